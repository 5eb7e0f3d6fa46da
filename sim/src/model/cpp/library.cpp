#include "library.hpp"
#include <dlfcn.h>
#include <stdexcept>

namespace virtio_hdl {

namespace {
template <class F> F symbol(void* library, const char* name) {
    auto* address = dlsym(library, name);
    if (address == nullptr) {
        throw std::runtime_error(std::string("not a model library: no ") + name);
    }
    return reinterpret_cast<F>(address);
}
}  // namespace

Instance::Instance(const std::string& library, uint64_t seed) {
    library_ = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_ == nullptr) {
        throw std::runtime_error(dlerror());
    }
    delete_ = symbol<VirtioHdlDelete>(library_, "virtio_hdl_delete");
    eval_ = symbol<VirtioHdlEval>(library_, "virtio_hdl_eval");
    failure_ = reinterpret_cast<decltype(failure_)>(dlsym(library_, "virtio_hdl_failure"));
    auto ports = symbol<VirtioHdlPorts>(library_, "virtio_hdl_ports");
    instance_ = symbol<VirtioHdlNew>(library_, "virtio_hdl_new")(seed);
    ports_ = ports(instance_);
    while (ports_[count_].name != nullptr) {
        // Inputs belong to the bench; what a seed put there is no stimulus.
        Port port(ports_[count_]);
        if (port.input()) {
            std::memset(port.data(), 0, port.bytes());
        }
        count_++;
    }
}

Instance::~Instance() {
    // The library stays mapped: another instance may use it, and Verilator's runtime keeps per-thread state in it.
    delete_(instance_);
}

size_t Instance::index(const std::string& name) const {
    for (size_t i = 0; i < count_; i++) {
        if (name == ports_[i].name) {
            return i;
        }
    }
    throw std::runtime_error("the model has no port " + name);
}

Port Instance::find(const std::string& name, bool input) const {
    Port port(ports_[index(name)]);
    if (port.input() != input) {
        throw std::runtime_error("the model's port " + name + " has the other direction");
    }
    return port;
}

}  // namespace virtio_hdl

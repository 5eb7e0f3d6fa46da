// A loaded model library, an instance of the model, and access to its ports.
#pragma once
#include "shim.hpp"
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace virtio_hdl {

// One port: words of 32 bits in and out of the model's storage.
class Port {
  public:
    Port() = default;
    explicit Port(const VirtioHdlPort& port) : data_(port.data), width_(port.width), input_(port.input != 0) {
        bytes_ = width_ <= 8 ? 1 : width_ <= 16 ? 2 : width_ <= 32 ? 4 : width_ <= 64 ? 8 : 4 * words();
    }

    explicit operator bool() const { return data_ != nullptr; }
    uint32_t width() const { return width_; }
    uint32_t words() const { return (width_ + 31) / 32; }
    uint32_t bytes() const { return bytes_; }
    bool input() const { return input_; }
    void* data() const { return data_; }

    // A port of one bit: valid, ready, clock.
    bool bit() const { return *static_cast<const uint8_t*>(data_) != 0; }
    void set_bit(bool value) const { *static_cast<uint8_t*>(data_) = value; }

    // The port's words, least significant first; bits beyond the width are zero.
    void get(uint32_t* words) const {
        words[this->words() - 1] = 0;
        std::memcpy(words, data_, bytes_);
    }
    void set(const uint32_t* words) const {
        std::memcpy(data_, words, bytes_);
        if (uint32_t over = width_ % 32; over != 0 && bytes_ >= 4) {
            static_cast<uint32_t*>(data_)[this->words() - 1] &= (1u << over) - 1;
        } else if (bytes_ < 4) {
            mask_narrow();
        }
    }

  private:
    void mask_narrow() const {
        uint32_t mask = (1u << width_) - 1;
        if (bytes_ == 1) {
            *static_cast<uint8_t*>(data_) &= mask;
        } else {
            *static_cast<uint16_t*>(data_) &= mask;
        }
    }

    void* data_ = nullptr;
    uint32_t width_ = 0;
    uint32_t bytes_ = 0;
    bool input_ = false;
};

// One instance of the model in its library. Evaluates; knows nothing of cycles.
class Instance {
  public:
    Instance(const std::string& library, uint64_t seed);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    void eval() const { eval_(instance_); }
    // Why the model has stopped, if it has: Verilog that is not generated here may.
    const char* failure() const { return failure_ == nullptr ? nullptr : failure_(instance_); }
    // Throws where the model has no such port, or one of another direction.
    Port input(const std::string& name) const { return find(name, true); }
    Port output(const std::string& name) const { return find(name, false); }
    Port port(size_t index) const { return Port(ports_[index]); }
    size_t index(const std::string& name) const;
    size_t count() const { return count_; }
    const char* name(size_t index) const { return ports_[index].name; }

  private:
    Port find(const std::string& name, bool input) const;

    void* library_ = nullptr;
    VirtioHdlDelete delete_ = nullptr;
    VirtioHdlEval eval_ = nullptr;
    const char* (*failure_)(VirtioHdlInstance*) = nullptr;
    VirtioHdlInstance* instance_ = nullptr;
    const VirtioHdlPort* ports_ = nullptr;
    size_t count_ = 0;
};

}  // namespace virtio_hdl

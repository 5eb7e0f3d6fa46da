// Compiled into the shared library of each model; what stands between at-signs is filled in.
#include "shim.hpp"
#include "V@TOP@.h"
#include "verilated.h"

// Verilator's runtime asks for simulation time where a model uses it; these models do not.
double sc_time_stamp() { return 0; }

struct VirtioHdlInstance {
    VerilatedContext context;
    V@TOP@* top;
    VirtioHdlPort* ports;
};@FOREIGN@

extern "C" __attribute__((visibility("default"))) VirtioHdlInstance* virtio_hdl_new(uint64_t seed) {
    auto* instance = new VirtioHdlInstance;
    instance->context.randReset(seed == 0 ? 0 : 2);
    // Verilator takes a positive int; 0 would mean the time of day.
    instance->context.randSeed(static_cast<int>(seed % 0x7ffffffe) + 1);
    instance->top = new V@TOP@{&instance->context};
    auto* top = instance->top;
    instance->ports = new VirtioHdlPort[@COUNT@ + 1]{
@PORTS@        {nullptr, 0, 0, nullptr},
    };
    return instance;
}

extern "C" __attribute__((visibility("default"))) void virtio_hdl_delete(VirtioHdlInstance* instance) {
    @FINAL@
    delete instance->top;
    delete[] instance->ports;
    delete instance;
}

extern "C" __attribute__((visibility("default"))) void virtio_hdl_eval(VirtioHdlInstance* instance) {
    @EVAL@
}

extern "C" __attribute__((visibility("default"))) const VirtioHdlPort* virtio_hdl_ports(VirtioHdlInstance* instance) {
    return instance->ports;
}

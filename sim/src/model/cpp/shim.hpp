// The C interface between a Verilated model in its shared library and the class that runs it.
#pragma once
#include <cstdint>

extern "C" {
// One port of the top module. `data` is the model's own storage, Verilator's way: 1, 2, 4 or 8 bytes up to 64 bits,
// 4 bytes per started 32 bits beyond.
struct VirtioHdlPort {
    const char* name;
    uint32_t width;
    uint32_t input;
    void* data;
};

// A fresh instance. With seed 0 everything not reset starts as zero, else at random.
struct VirtioHdlInstance;
typedef VirtioHdlInstance* (*VirtioHdlNew)(uint64_t seed);
typedef void (*VirtioHdlDelete)(VirtioHdlInstance*);
// Settles the model after a change of its inputs.
typedef void (*VirtioHdlEval)(VirtioHdlInstance*);
// The ports; the array ends with a null name.
typedef const VirtioHdlPort* (*VirtioHdlPorts)(VirtioHdlInstance*);
}

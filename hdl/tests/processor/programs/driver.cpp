// Runs programs on the processor, one after the other: a line for each, its result, cycles and instructions.
//
// 0000_0000  RAM, 128 KiB, with the program at 0
// 8000_0000  written: the result, and the end
// 8000_0004  written: bits 1:0 become the levels of the external and the timer's interrupt, after 31:8 cycles
#include "Vtop.h"
#include <cstdio>
#include <cstdint>
#include <cstring>
static uint32_t ram[32768];
int main(int count, char** names) {
    uint32_t random = 1;
    for (int number = 1; number < count; number++) {
        memset(ram, 0, sizeof ram);
        FILE* file = fopen(names[number], "rb");
        if (!file || fread(ram, 1, sizeof ram, file) == 0) return 1;
        fclose(file);
        Vtop* top = new Vtop;
        uint32_t result = 0, instructions = 0, level_cycles = 0, levels = 0, wait = 1, cycle = 0;
        bool valid = false;
        for (; cycle < 500000 && !result; cycle++) {
            top->reset = cycle < 3;
            random ^= random << 13, random ^= random >> 17, random ^= random << 5;
            // not in the first cycle of an access
            top->bus_done = valid && top->bus_valid && wait-- == 1;
            valid = top->bus_valid && !top->bus_done;
            if (!valid) wait = 1 + random % 4 / 3;
            top->bus_error = 0;
            if (top->bus_done) {
                uint32_t address = top->bus_address, mask = 0;
                for (int lane = 0; lane < 4; lane++) if (top->bus_enable >> lane & 1) mask |= 0xffu << 8 * lane;
                if (address < sizeof ram) {
                    uint32_t& word = ram[address / 4];
                    top->bus_read_data = word;
                    word = (word & ~mask) | (top->bus_write_data & mask);
                } else if (address == 0x80000000 && mask) {
                    result = top->bus_write_data;
                } else if (address == 0x80000004 && mask) {
                    levels = top->bus_write_data & 3, level_cycles = 1 + (top->bus_write_data >> 8);
                } else {
                    top->bus_error = 1;
                }
            }
            if (level_cycles && --level_cycles == 0) top->timer_interrupt = levels & 1, top->external_interrupt = levels >> 1;
            top->clock = 0, top->eval();
            instructions += top->retired;
            top->clock = 1, top->eval();
        }
        printf("%s %u %u %u\n", names[number], result, cycle, instructions);
        delete top;
    }
}

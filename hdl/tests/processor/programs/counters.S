// mcycle and minstret: 64 bits, counted exactly, and written.
#include "riscv_test.h"
RVTEST_CODE_BEGIN
    csrr t0, minstret
    nop
    nop
    csrr t1, minstret
    sub t1, t1, t0
    expect 1, t1, 3
    // what was written is what the next one reads
    csrwi minstret, 9
    csrr t0, minstret
    expect 2, t0, 9
    csrr t0, minstret
    expect 3, t0, 13
    // the carry
    csrwi minstreth, 5
    li t0, -2
    csrw minstret, t0
    nop
    csrr t0, minstret
    csrr t1, minstreth
    expect 4, t0, -1
    expect 5, t1, 6
    csrwi mcycleh, 7
    csrw mcycle, t0
    csrr t0, mcycle
    csrr t1, mcycleh
    expect 6, t1, 8
    li TESTNUM, 7
    li t1, 100
    bgeu t0, t1, fail
    // a loop that is longer than what is counted outside of the CSR: 2000 times 2 instructions
    li t2, 2000
    csrr t3, mcycle
    csrr t0, minstret
1:  addi t2, t2, -1
    bnez t2, 1b
    csrr t1, minstret
    csrr t4, mcycle
    sub t1, t1, t0
    expect 8, t1, 4001
    sub t4, t4, t3
    li TESTNUM, 9
    li t1, 20000
    bltu t4, t1, fail
    // traps are no instructions that retire
    la t0, handler
    csrw mtvec, t0
    csrr t0, minstret
    ecall
behind:
    csrr t1, minstret
    sub t1, t1, t0
    expect 10, t1, 4
    RVTEST_PASS
fail:
    RVTEST_FAIL
    .balign 4
handler:
    la t2, behind
    jr t2
RVTEST_CODE_END

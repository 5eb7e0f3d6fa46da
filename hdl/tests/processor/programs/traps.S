// Every exception: mcause, mepc, mtval, mstatus; and that nothing of the instruction has happened.
#include "riscv_test.h"

// The instruction at label 5 behind it traps; s0 must stay 77. The handler goes on at s1.
.macro traps number, cause, value
    expect \number, s0, 77
    expect_csr \number + 1, mcause, \cause
    la t5, 5b
    csrr t6, mepc
    li TESTNUM, \number + 2
    bne t5, t6, fail
    expect_csr \number + 3, mtval, \value
    expect_csr \number + 4, mstatus, 0x1880
    li s0, 77
    csrsi mstatus, 8
.endm

RVTEST_CODE_BEGIN
    la t0, handler + 3
    csrw mtvec, t0
    la t0, handler
    csrr t1, mtvec
    li TESTNUM, 1
    bne t0, t1, fail
    li s0, 77
    csrsi mstatus, 8

    la s1, 6f
5:  ecall
6:  traps 10, 11, 0
    la s1, 6f
5:  ebreak
6:  la t5, 5b
    csrr t6, mtval
    li TESTNUM, 20
    bne t5, t6, fail
    csrwi mtval, 0
    traps 21, 3, 0
    la s1, 6f
5:  .word 0
6:  traps 30, 2, 0
    la s1, 6f
5:  .word 0x02948433            // mul s0, s1, s1: there is no M
6:  traps 40, 2, 0x02948433
    la s1, 6f
5:  .word 0x40941433            // sll with the bit of sra
6:  traps 50, 2, 0x40941433
    la s1, 6f
5:  .word 0x02041413            // slli by 32
6:  traps 60, 2, 0x02041413
    la s1, 6f
5:  .word 0x7b002473            // csrr s0, dcsr: there is none
6:  traps 70, 2, 0x7b002473
    la s1, 6f
5:  .word 0xf1141473            // csrrw s0, mvendorid, s0: read only
6:  traps 80, 2, 0xf1141473
    la s1, 6f
5:  .word 0x10200073            // sret
6:  traps 90, 2, 0x10200073

    la s2, data
    la s1, 6f
5:  lw s0, 2(s2)
6:  addi t0, s2, 2
    csrr t1, mtval
    li TESTNUM, 100
    bne t0, t1, fail
    csrwi mtval, 0
    traps 101, 4, 0
    la s1, 6f
5:  lhu s0, 1(s2)
6:  csrwi mtval, 0
    traps 110, 4, 0
    la s1, 6f
5:  sw s1, 1(s2)
6:  csrwi mtval, 0
    traps 120, 6, 0
    la s1, 6f
5:  sh s1, 3(s2)
6:  csrwi mtval, 0
    traps 130, 6, 0
    lw t0, 0(s2)
    expect 135, t0, 0x12345678
    lui s2, 0x40000
    la s1, 6f
5:  lbu s0, 5(s2)
6:  traps 140, 5, 0x40000005
    la s1, 6f
5:  sb s0, 6(s2)
6:  traps 150, 7, 0x40000006

    la s2, 7f
    la s1, 6f
5:  jalr s0, 2(s2)
6:  addi t0, s2, 2
    csrr t1, mtval
    li TESTNUM, 160
    bne t0, t1, fail
    csrwi mtval, 0
    traps 161, 0, 0
    la s1, 6f
5:  .word 0x0060046f            // jal s0, 6 behind
6:  csrwi mtval, 0
    traps 170, 0, 0
    la s1, 6f
5:  .word 0x00000363            // beq x0, x0, 6 behind
6:  csrwi mtval, 0
    traps 180, 0, 0
    la s1, 6f
5:  .word 0x00001363            // bne x0, x0, 6 behind: not taken
6:  li TESTNUM, 190
    csrr t0, mcause
    bnez t0, fail
    // bit 0 of a target in a register is cleared
7:  la t0, 8f + 1
    jalr s0, 0(t0)
    li TESTNUM, 191
    j fail
8:  li s0, 77

    // a fetch that fails: the pc is the address, and the one before has retired
    lui s2, 0x40000
    la s1, 9f
    jalr s0, 0(s2)
9:  csrr t0, mepc
    expect 200, t0, 0x40000000
    expect_csr 201, mtval, 0x40000000
    expect_csr 202, mcause, 1
    RVTEST_PASS
fail:
    RVTEST_FAIL

    .balign 4
handler:
    jr s1
data:
    .word 0x12345678
RVTEST_CODE_END

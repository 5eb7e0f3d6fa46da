// Interrupts: enabled and not, which goes first, mret, and wfi.
#include "riscv_test.h"
RVTEST_CODE_BEGIN
    la t0, handler
    csrw mtvec, t0
    li s0, 0
    // pending, and nobody wants them
    levels 0, 3
    nop
    expect_csr 1, mip, 0x880
    csrsi mstatus, 8
    nop
    expect 2, s0, 0
    csrci mstatus, 8
    // wanted, but not globally: wfi goes on
    li t0, 0x880
    csrw mie, t0
    wfi
    expect 3, s0, 0
    // the external one goes first; the handler takes its level away
    li s1, 1
    csrsi mstatus, 8
    nop
    expect 4, s0, 2
    expect 5, s2, 0x8000000b
    expect 6, s3, 0x80000007
    expect_csr 7, mip, 0
    expect_csr 8, mstatus, 0x1888
    // it wakes who sleeps, and comes back behind wfi
    li s0, 0
    levels 2000, 1
    wfi
after:
    expect 9, s0, 1
    la t0, after
    li TESTNUM, 10
    bne s5, t0, fail
    expect 11, s3, 0x80000007
    // without MIE it goes on without an interrupt
    csrci mstatus, 8
    li s0, 0
    levels 700, 2
    wfi
    expect_csr 12, mip, 0x800
    expect 13, s0, 0
    levels 0, 0
    nop
    // mret takes MIE from MPIE, and leaves MPIE set
    csrwi mstatus, 0
    la t0, 1f
    csrw mepc, t0
    mret
    j fail
1:  expect_csr 14, mstatus, 0x1880
    la t0, 2f
    csrw mepc, t0
    mret
    j fail
2:  expect_csr 15, mstatus, 0x1888
    RVTEST_PASS
fail:
    RVTEST_FAIL

    .balign 4
handler:
    addi s0, s0, 1
    csrr s4, mcause
    csrr s5, mepc
    andi t1, s4, 8
    beqz t1, 1f
    // external: the timer's stays
    mv s2, s4
    levels 0, 1
    mret
1:  mv s3, s4
    levels 0, 0
    nop
    mret
RVTEST_CODE_END

// CSRs: what they are at first, what can be written, what the six instructions do.
#include "riscv_test.h"
RVTEST_CODE_BEGIN
    expect_csr 1, mstatus, 0x1800
    expect_csr 2, misa, 0x40000100
    expect_csr 3, mie, 0
    expect_csr 4, mcause, 0
    expect_csr 5, mtvec, 0
    expect_csr 6, mhartid, 0
    expect_csr 7, mvendorid, 0
    expect_csr 8, marchid, 0
    expect_csr 9, mimpid, 0
    expect_csr 10, 0x310, 0
    expect_csr 11, 0xf15, 0

    li t0, -1
    csrw mstatus, t0
    expect_csr 20, mstatus, 0x1888
    csrw mstatus, zero
    expect_csr 21, mstatus, 0x1800
    csrw misa, zero
    expect_csr 22, misa, 0x40000100
    csrw mie, t0
    expect_csr 23, mie, 0x880
    csrw mip, t0
    expect_csr 24, mip, 0
    csrw mtvec, t0
    expect_csr 25, mtvec, 0xfffffffc
    csrw mepc, t0
    expect_csr 26, mepc, 0xfffffffc
    csrw mscratch, t0
    expect_csr 27, mscratch, 0xffffffff
    csrw mtval, t0
    expect_csr 28, mtval, 0xffffffff
    csrw mie, zero

    li t0, 0x0ff0
    csrw mscratch, t0
    li t1, 0x00ff
    csrrs t2, mscratch, t1
    expect 40, t2, 0x0ff0
    csrrc t2, mscratch, t1
    expect 41, t2, 0x0fff
    csrrw t2, mscratch, t1
    expect 42, t2, 0x0f00
    csrrsi t2, mscratch, 31
    expect 43, t2, 0x00ff
    csrrci t2, mscratch, 5
    expect 44, t2, 0x00ff
    csrrwi t2, mscratch, 17
    expect 45, t2, 0x00fa
    expect_csr 46, mscratch, 17
    // the same register twice
    csrrw t1, mscratch, t1
    expect 47, t1, 17
    expect_csr 48, mscratch, 0xff
    csrrw zero, mscratch, t1
    expect 49, zero, 0
    // x0 in place of rs1 writes nothing: this one may be read
    csrrs t0, mvendorid, zero
    csrrci t0, mvendorid, 0
    RVTEST_PASS
fail:
    RVTEST_FAIL
RVTEST_CODE_END

// What the riscv-tests want of the machine they run on, and what our own programs need: see ../programs.rs.
#define TESTNUM x28
#define RVTEST_RV32U
#define RVTEST_CODE_BEGIN .text; .globl _start; _start:
#define RVTEST_CODE_END
#define RVTEST_DATA_BEGIN .balign 4;
#define RVTEST_DATA_END
// The first register takes the result: 1, or twice the number of the case that failed.
#define RVTEST_PASS li a0, 1; lui a1, 0x80000; sw a0, 0(a1); 1: j 1b
#define RVTEST_FAIL slli TESTNUM, TESTNUM, 1; lui a1, 0x80000; sw TESTNUM, 0(a1); 1: j 1b

// The second register: bits 1:0 become the levels of the external and the timer's interrupt after as many cycles as 31:8 say.
.macro levels cycles, value
    li t5, (\cycles << 8) | \value
    lui t6, 0x80000
    sw t5, 4(t6)
.endm

// A case: the register holds the value.
.macro expect number, register, value
    li TESTNUM, \number
    li t6, \value
    bne \register, t6, fail
.endm

// The same of a CSR.
.macro expect_csr number, csr, value
    csrr t5, \csr
    expect \number, t5, \value
.endm

// Numbers that more than one module of the copy device needs.

// Registers, by their offset in BAR0.
`define REG_IDENTITY        12'h000
`define REG_SOURCE          12'h008
`define REG_SOURCE_HIGH     12'h00c
`define REG_DESTINATION     12'h010
`define REG_DEST_HIGH       12'h014
`define REG_LENGTH          12'h018
`define REG_CONTROL         12'h01c
`define REG_STATUS          12'h020
`define REG_COPIED          12'h024

// The second 4 KiB of BAR0: MSI-X table and pending bits.
`define MSIX_TABLE          32'h0000_1000
`define MSIX_PBA            32'h0000_1800

// States of a completion.
`define STATUS_SUCCESS      3'b000
`define STATUS_UNSUPPORTED  3'b001
`define STATUS_ABORT        3'b100

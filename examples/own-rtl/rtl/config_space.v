// Configuration space: a header of type 0, MSI-X at 0x40, PCI Express at 0x50.
`include "copy_defines.vh"

module config_space #(
    parameter [15:0] VENDOR_ID = 16'h1234,
    parameter [15:0] DEVICE_ID = 16'hc0de
) (
    input  wire        clk,
    input  wire        rst_n,

    // Number of a double word, and what it holds.
    input  wire [9:0]  register,
    output reg  [31:0] value,
    input  wire        write,
    input  wire [31:0] data,
    input  wire [3:0]  enable,

    output reg         memory_enable,
    output reg         bus_master,
    // Where BAR0 is, in units of its 8 KiB.
    output reg  [63:13] bar,
    output reg         msix_enable,
    output reg         msix_mask
);
    reg [7:0]   interrupt_line;
    // Max Payload Size and Max Read Request Size are kept, and never exceeded: packets have 64 bytes.
    reg [15:0]  device_control;

    always @(*) begin
        case (register)
            10'h000: value = {DEVICE_ID, VENDOR_ID};
            // Status: there is a list of capabilities.
            10'h001: value = {16'h0010, 13'd0, bus_master, memory_enable, 1'b0};
            // Class: a device that fits no other.
            10'h002: value = 32'hff00_0000;
            // Memory, 64 bit.
            10'h004: value = {bar[31:13], 13'b0_0000_0000_0100};
            10'h005: value = bar[63:32];
            10'h00b: value = {DEVICE_ID, VENDOR_ID};
            10'h00d: value = 32'h0000_0040;
            10'h00f: value = {24'd0, interrupt_line};
            // MSI-X: one vector; table and pending bits in BAR0.
            10'h010: value = {msix_enable, msix_mask, 14'd0, 16'h5011};
            10'h011: value = `MSIX_TABLE;
            10'h012: value = `MSIX_PBA;
            // PCI Express, version 2: an endpoint, payloads of 128 bytes, no function-level reset.
            10'h014: value = 32'h0002_0010;
            10'h015: value = 32'h0000_8000;
            10'h016: value = {16'd0, device_control};
            // Link: 2.5 GT/s, one lane.
            10'h017: value = 32'h0000_0011;
            10'h018: value = 32'h0011_0000;
            default: value = 32'd0;
        endcase
    end

    always @(posedge clk) begin
        if (!rst_n) begin
            memory_enable  <= 1'b0;
            bus_master     <= 1'b0;
            bar            <= 51'd0;
            interrupt_line <= 8'd0;
            msix_enable    <= 1'b0;
            msix_mask      <= 1'b0;
            // As the specification has it after a reset: relaxed ordering and no snoop allowed, reads of 512 bytes.
            device_control <= 16'h2810;
        end else if (write) begin
            case (register)
                10'h001: if (enable[0]) begin
                    memory_enable <= data[1];
                    bus_master    <= data[2];
                end
                10'h004: begin
                    if (enable[1]) bar[15:13] <= data[15:13];
                    if (enable[2]) bar[23:16] <= data[23:16];
                    if (enable[3]) bar[31:24] <= data[31:24];
                end
                10'h005: begin
                    if (enable[0]) bar[39:32] <= data[7:0];
                    if (enable[1]) bar[47:40] <= data[15:8];
                    if (enable[2]) bar[55:48] <= data[23:16];
                    if (enable[3]) bar[63:56] <= data[31:24];
                end
                10'h00f: if (enable[0]) interrupt_line <= data[7:0];
                10'h010: if (enable[3]) begin
                    msix_enable <= data[31];
                    msix_mask   <= data[30];
                end
                10'h016: begin
                    if (enable[0]) device_control[7:0]  <= data[7:0];
                    if (enable[1]) device_control[14:8] <= data[14:8];
                end
                default: ;
            endcase
        end
    end
endmodule

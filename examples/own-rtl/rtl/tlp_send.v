// Puts TLPs together: completions, requests of the engine, messages of MSI-X. What has begun is finished; of what waits, answers go
// first, since nothing may keep them waiting.
`include "copy_defines.vh"

module tlp_send (
    input  wire        clk,
    input  wire        rst_n,
    input  wire [15:0] function_id,

    // The request to be answered.
    input  wire        request,
    output wire        request_done,
    input  wire [31:0] header0,
    input  wire [31:0] header1,
    input  wire [63:0] address,
    input  wire        is_config,
    // It is one for BAR0.
    input  wire        is_hit,
    // Number of the double word to read.
    output wire [1:0]  read_index,
    input  wire [31:0] read_data,

    // A request of the engine.
    input  wire        dma_valid,
    input  wire        dma_write,
    input  wire [63:0] dma_address,
    input  wire [4:0]  dma_dwords,
    output wire [3:0]  dma_index,
    input  wire [31:0] dma_data,
    output wire        dma_sent,

    // An interrupt.
    input  wire        interrupt_valid,
    input  wire [63:0] interrupt_address,
    input  wire [31:0] interrupt_data,
    output wire        interrupt_sent,

    output wire [31:0] dword,
    output wire        last,
    output wire        valid,
    input  wire        ready
);
    localparam [1:0] NOTHING = 2'd0, COMPLETION = 2'd1, DMA = 2'd2, INTERRUPT = 2'd3;

    reg [1:0] sends;
    // Number of the double word on `dword`.
    reg [4:0] index;

    // ---- What a completion says

    wire       is_read     = !header0[30];
    // Registers are read by one or two double words.
    wire       is_short    = header0[9:0] == 10'd1 || header0[9:0] == 10'd2;
    wire [2:0] status      = is_config || (is_hit && is_short) ? `STATUS_SUCCESS
                           : is_hit ? `STATUS_ABORT : `STATUS_UNSUPPORTED;
    wire       with_data   = is_read && status == `STATUS_SUCCESS;
    wire [1:0] answer_data = with_data ? header0[1:0] : 2'd0;

    // Bytes before the first and behind the last that is enabled.
    function [1:0] leading(input [3:0] enable);
        leading = enable[0] ? 2'd0 : enable[1] ? 2'd1 : enable[2] ? 2'd2 : enable[3] ? 2'd3 : 2'd0;
    endfunction
    function [1:0] trailing(input [3:1] enable);
        trailing = enable[3] ? 2'd0 : enable[2] ? 2'd1 : enable[1] ? 2'd2 : 2'd3;
    endfunction

    wire [3:0]  first_enable = header1[3:0];
    wire [3:0]  last_enable  = header0[1:0] == 2'd2 ? header1[7:4] : first_enable;
    wire        is_memory    = !is_config && is_read && status == `STATUS_SUCCESS;
    wire [11:0] byte_count   = is_memory
                             ? {8'd0, header0[1:0], 2'b00} - {10'd0, leading(first_enable)} - {10'd0, trailing(last_enable[3:1])}
                             : 12'd4;
    wire [6:0]  low_address  = is_memory ? {address[6:2], leading(first_enable)} : 7'd0;

    // ---- The packet that is sent

    wire        is_answer = sends == COMPLETION;
    wire        writes    = sends == INTERRUPT || dma_write;
    wire [63:0] to        = sends == INTERRUPT ? interrupt_address : dma_address;
    wire [4:0]  dwords    = sends == INTERRUPT ? 5'd1 : dma_dwords;
    wire        is_long   = to[63:32] != 32'd0;

    wire [4:0]  header_dwords = is_answer || !is_long ? 5'd3 : 5'd4;
    wire [4:0]  data_dwords   = is_answer ? {3'd0, answer_data} : writes ? dwords : 5'd0;
    wire [4:0]  data_index    = index - header_dwords;

    // An answer has the traffic class and the attributes of its request.
    wire [31:0] answer0  = {1'b0, with_data, 1'b0, 5'b01010, 24'd0} | (header0 & 32'h0074_3000) | {30'd0, answer_data};
    wire [31:0] answer1  = {function_id, status, 1'b0, byte_count};
    wire [31:0] answer2  = {header1[31:8], 1'b0, low_address};
    wire [31:0] request0 = {1'b0, writes, is_long, 5'b00000, 19'd0, dwords};
    wire [31:0] request1 = {function_id, 8'd0, dwords == 5'd1 ? 4'h0 : 4'hf, 4'hf};

    reg [31:0] header;
    always @(*) begin
        case (index[1:0])
            2'd0:    header = is_answer ? answer0 : request0;
            2'd1:    header = is_answer ? answer1 : request1;
            2'd2:    header = is_answer ? answer2 : is_long ? to[63:32] : to[31:0];
            default: header = to[31:0];
        endcase
    end

    assign read_index = data_index[1:0];
    assign dma_index  = data_index[3:0];
    assign dword      = index < header_dwords ? header
                      : is_answer ? read_data : sends == INTERRUPT ? interrupt_data : dma_data;
    assign valid      = sends != NOTHING;
    assign last       = index + 5'd1 == header_dwords + data_dwords;

    wire ends = valid && ready && last;
    assign request_done   = ends && is_answer;
    assign dma_sent       = ends && sends == DMA;
    assign interrupt_sent = ends && sends == INTERRUPT;

    always @(posedge clk) begin
        if (!rst_n || ends) begin
            sends <= NOTHING;
            index <= 5'd0;
        end else if (sends == NOTHING) begin
            sends <= request ? COMPLETION : dma_valid ? DMA : interrupt_valid ? INTERRUPT : NOTHING;
        end else if (ready) begin
            index <= index + 5'd1;
        end
    end

    wire unused = &{1'b0, header0[31], header0[29:24], header0[23], header0[19], header0[17:14], header0[11:10],
                    address[63:7], address[1:0], data_index[4], last_enable[0]};
endmodule

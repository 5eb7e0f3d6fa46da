// A PCI Express endpoint that copies memory: what `virtio-hdl` can run although it has not made it.
//
//   BAR0, 64 bit, 8 KiB
//     0x000 identity     "COPY", read only
//     0x008 source       address in memory, 64 bit, a multiple of 4
//     0x010 destination  the same
//     0x018 length       bytes, a multiple of 4
//     0x01c control      writing bit 0 starts a copy
//     0x020 status       bit 0: copies, 1: done, 2: failed; writing 1 clears bit 1 and 2
//     0x024 copied       bytes that have been written since the start, read only
//     0x1000, 0x1800     MSI-X table of one vector, pending bits
//
// The end of a copy is an interrupt. TLPs come and leave by AXI4-Streams of 64 bits: double words of a packet one behind the
// other, header fields as numbers, `tkeep` per byte.
`include "copy_defines.vh"

module copy_device #(
    parameter [15:0] VENDOR_ID = 16'h1234,
    parameter [15:0] DEVICE_ID = 16'hc0de,
    // Cycles after which a read that nobody answers has failed.
    parameter [31:0] READ_TIMEOUT = 32'd1_250_000
) (
    input  wire        clk,
    input  wire        rst_n,

    input  wire [63:0] s_axis_tdata,
    input  wire [7:0]  s_axis_tkeep,
    input  wire        s_axis_tlast,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,

    output wire [63:0] m_axis_tdata,
    output wire [7:0]  m_axis_tkeep,
    output wire        m_axis_tlast,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready
);
    // ---- TLPs from the link, a double word at a time

    wire [31:0] in_dword;
    wire        in_last, in_valid, in_ready;

    tlp_unpack unpack (
        .clk(clk), .rst_n(rst_n),
        .s_tdata(s_axis_tdata), .s_tkeep(s_axis_tkeep), .s_tlast(s_axis_tlast),
        .s_tvalid(s_axis_tvalid), .s_tready(s_axis_tready),
        .dword(in_dword), .last(in_last), .valid(in_valid), .ready(in_ready)
    );

    wire [31:0] header0, header1;
    wire [63:0] address;
    wire        request, request_done, payload_valid, failed_completion;
    wire [31:0] payload;
    wire [9:0]  payload_index;
    wire [3:0]  payload_enable;

    tlp_receive receive (
        .clk(clk), .rst_n(rst_n),
        .dword(in_dword), .last(in_last), .valid(in_valid), .ready(in_ready),
        .header0(header0), .header1(header1), .address(address),
        .request(request), .request_done(request_done),
        .payload_valid(payload_valid), .payload(payload), .payload_index(payload_index),
        .payload_enable(payload_enable), .failed_completion(failed_completion)
    );

    wire is_config     = header0[28:24] == 5'b00100;
    wire is_memory     = header0[28:24] == 5'b00000;
    wire is_completion = header0[28:24] == 5'b01010;
    wire has_data      = header0[30];

    // ---- Configuration space

    wire        memory_enable, bus_master, msix_enable, msix_mask;
    wire [63:13] bar;
    wire [31:0] config_value;
    wire        config_write = payload_valid && is_config && payload_index == 10'd0;

    config_space #(.VENDOR_ID(VENDOR_ID), .DEVICE_ID(DEVICE_ID)) config_space (
        .clk(clk), .rst_n(rst_n),
        .register(address[11:2]), .value(config_value),
        .write(config_write), .data(payload), .enable(payload_enable),
        .memory_enable(memory_enable), .bus_master(bus_master), .bar(bar),
        .msix_enable(msix_enable), .msix_mask(msix_mask)
    );

    // Requests name the function that they are for, and a function is what configuration writes call it.
    reg [15:0] function_id;
    always @(posedge clk) begin
        if (!rst_n) begin
            function_id <= 16'd0;
        end else if (config_write) begin
            function_id <= address[31:16];
        end
    end

    // ---- Registers, and the engine behind them

    wire        bar_hit   = is_memory && memory_enable && address[63:13] == bar;
    wire        bar_write = payload_valid && bar_hit;
    wire [1:0]  send_index;
    wire [12:0] bar_offset = {address[12:2], 2'b00}
                           + (has_data ? {1'b0, payload_index, 2'b00} : {9'd0, send_index, 2'b00});
    wire [31:0] bar_value;
    wire [63:0] source, destination, message_address;
    wire [31:0] length, copied, message_data;
    wire        start, busy, ended, failed, interrupt_valid, interrupt_sent;

    registers registers (
        .clk(clk), .rst_n(rst_n),
        .offset(bar_offset), .value(bar_value),
        .write(bar_write), .data(payload), .enable(payload_enable),
        .source(source), .destination(destination), .length(length), .start(start),
        .busy(busy), .ended(ended), .failed(failed), .copied(copied),
        .msix_enable(msix_enable && bus_master), .msix_mask(msix_mask),
        .message_address(message_address), .message_data(message_data),
        .interrupt_valid(interrupt_valid), .interrupt_sent(interrupt_sent)
    );

    wire        dma_valid, dma_write, dma_sent;
    wire [63:0] dma_address;
    wire [4:0]  dma_dwords;
    wire [3:0]  dma_index;
    wire [31:0] dma_data;

    copy_engine #(.READ_TIMEOUT(READ_TIMEOUT)) engine (
        .clk(clk), .rst_n(rst_n), .bus_master(bus_master),
        .source(source), .destination(destination), .length(length), .start(start),
        .busy(busy), .ended(ended), .failed(failed), .copied(copied),
        .read_valid(payload_valid && is_completion), .read_data(payload), .read_failed(failed_completion),
        .send_valid(dma_valid), .send_write(dma_write), .send_address(dma_address),
        .send_dwords(dma_dwords), .send_index(dma_index), .send_data(dma_data), .sent(dma_sent)
    );

    // ---- TLPs to the link

    wire [31:0] out_dword;
    wire        out_last, out_valid, out_ready;

    tlp_send send (
        .clk(clk), .rst_n(rst_n), .function_id(function_id),
        .request(request), .request_done(request_done),
        .header0(header0), .header1(header1), .address(address),
        .is_config(is_config), .is_hit(bar_hit), .read_index(send_index),
        .read_data(is_config ? config_value : bar_value),
        .dma_valid(dma_valid), .dma_write(dma_write), .dma_address(dma_address),
        .dma_dwords(dma_dwords), .dma_index(dma_index), .dma_data(dma_data), .dma_sent(dma_sent),
        .interrupt_valid(interrupt_valid), .interrupt_address(message_address),
        .interrupt_data(message_data), .interrupt_sent(interrupt_sent),
        .dword(out_dword), .last(out_last), .valid(out_valid), .ready(out_ready)
    );

    tlp_pack pack (
        .clk(clk), .rst_n(rst_n),
        .dword(out_dword), .last(out_last), .valid(out_valid), .ready(out_ready),
        .m_tdata(m_axis_tdata), .m_tkeep(m_axis_tkeep), .m_tlast(m_axis_tlast),
        .m_tvalid(m_axis_tvalid), .m_tready(m_axis_tready)
    );
endmodule

// A stand-in with the ports of the raw-TLP blk endpoint. What comes in on rx goes out on tx one cycle later.
// A packet that begins with 0xc000000N makes a blk command of operation and tag N, sector {dword 2, dword 1} and length
// dword 3. Each beat of blk_read data comes out on blk_write, `last` on every second, `error` where its bit 0 is set.
// A status s with tag t sends a TLP of four double words: 0x57000000 + s, 0x100 * t, the capacity. The last beat of a
// read changes the low byte of the second one to its tag.
module standin (
    input  wire         clock,
    input  wire         reset,
    input  wire [127:0] rx_data,
    input  wire [3:0]   rx_keep,
    input  wire         rx_last,
    input  wire         rx_valid,
    output wire         rx_ready,
    output reg  [127:0] tx_data,
    output reg  [3:0]   tx_keep,
    output reg          tx_last,
    output reg          tx_valid,
    input  wire         tx_ready,
    input  wire         tx_nonposted_ready,
    input  wire [63:0]  blk_capacity,
    input  wire         blk_read_only,
    output reg          blk_command_valid,
    input  wire         blk_command_ready,
    output reg  [2:0]   blk_command_operation,
    output reg  [63:0]  blk_command_sector,
    output reg  [31:0]  blk_command_length,
    output reg  [7:0]   blk_command_tag,
    output reg          blk_write_valid,
    input  wire         blk_write_ready,
    output reg  [127:0] blk_write_data,
    output reg          blk_write_last,
    output reg          blk_write_error,
    input  wire         blk_status_valid,
    output wire         blk_status_ready,
    input  wire [7:0]   blk_status,
    input  wire [7:0]   blk_status_tag,
    input  wire         blk_read_valid,
    output wire         blk_read_ready,
    input  wire [127:0] blk_read_data,
    input  wire         blk_read_last,
    input  wire [7:0]   blk_read_tag,
    output wire         busy
);
  reg first;
  reg odd;
  reg [7:0] unreset;  // starts with whatever the seed says
  wire tx_free = !tx_valid || tx_ready;
  wire command_free = !blk_command_valid || blk_command_ready;
  wire write_free = !blk_write_valid || blk_write_ready;
  wire rx_command = first && rx_data[31:4] == 28'hc000000;
  assign rx_ready = tx_free && command_free;
  assign blk_status_ready = tx_free && !rx_valid && first;
  assign blk_read_ready = write_free;
  assign busy = tx_valid || blk_command_valid || blk_write_valid;

  always @(posedge clock) begin
    if (tx_ready) tx_valid <= 1'b0;
    if (blk_command_ready) blk_command_valid <= 1'b0;
    if (blk_write_ready) blk_write_valid <= 1'b0;
    if (rx_valid && rx_ready) begin
      first <= rx_last;
      if (rx_command) begin
        blk_command_valid <= 1'b1;
        blk_command_operation <= rx_data[2:0];
        blk_command_sector <= rx_data[95:32];
        blk_command_length <= rx_data[127:96];
        blk_command_tag <= {5'd0, rx_data[2:0]};
      end else begin
        tx_valid <= 1'b1;
        tx_data <= rx_data;
        tx_keep <= rx_keep;
        tx_last <= rx_last;
      end
    end
    if (blk_status_valid && blk_status_ready) begin
      tx_valid <= 1'b1;
      tx_data <= {blk_capacity, 16'd0, blk_status_tag, unreset, 24'h570000, blk_status};
      tx_keep <= 4'b1111;
      tx_last <= 1'b1;
    end
    if (blk_read_valid && blk_read_ready) begin
      odd <= !odd;
      blk_write_valid <= 1'b1;
      blk_write_data <= blk_read_data;
      blk_write_last <= odd;
      blk_write_error <= blk_read_data[0];
      if (blk_read_last) unreset <= blk_read_tag;
    end
    if (reset) begin
      first <= 1'b1;
      odd <= 1'b0;
      tx_valid <= 1'b0;
      blk_command_valid <= 1'b0;
      blk_write_valid <= 1'b0;
    end
  end
endmodule

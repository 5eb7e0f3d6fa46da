// AXI4-Streams as a vendor's PCIe block has them: what comes in by `in` goes out by `out` a cycle later, and by `copy`
// too where bit 40 of tuser is set. `shown` is the level `driven` of the cycle before.
module beats (
    input  wire        clock,
    input  wire        reset,
    input  wire [63:0] in_tdata,
    input  wire [7:0]  in_tkeep,
    input  wire        in_tlast,
    input  wire [40:0] in_tuser,
    input  wire        in_tvalid,
    output wire        in_tready,
    output reg  [63:0] out_tdata,
    output reg  [7:0]  out_tkeep,
    output reg         out_tlast,
    output reg  [40:0] out_tuser,
    output reg         out_tvalid,
    input  wire [3:0]  out_tready,
    output wire [63:0] copy_tdata,
    output wire [7:0]  copy_tkeep,
    output wire        copy_tlast,
    output wire [40:0] copy_tuser,
    output reg         copy_tvalid,
    input  wire        copy_tready,
    input  wire [3:0]  driven,
    output reg  [3:0]  shown,
    output wire        busy
);
  assign in_tready = (!out_tvalid || out_tready[0]) && (!copy_tvalid || copy_tready);
  assign {copy_tdata, copy_tkeep, copy_tlast, copy_tuser} = {out_tdata, out_tkeep, out_tlast, out_tuser};
  assign busy = out_tvalid || copy_tvalid;

  always @(posedge clock) begin
    shown <= driven;
    if (out_tready[0]) out_tvalid <= 1'b0;
    if (copy_tready) copy_tvalid <= 1'b0;
    if (in_tvalid && in_tready) begin
      {out_tdata, out_tkeep, out_tlast, out_tuser} <= {in_tdata, in_tkeep, in_tlast, in_tuser};
      out_tvalid <= 1'b1;
      copy_tvalid <= in_tuser[40];
    end
    if (reset) begin
      out_tvalid <= 1'b0;
      copy_tvalid <= 1'b0;
      shown <= 4'd0;
    end
  end
endmodule

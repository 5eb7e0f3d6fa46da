// Beats of 64 bits as double words, one in a cycle.
module tlp_unpack (
    input  wire        clk,
    input  wire        rst_n,
    input  wire [63:0] s_tdata,
    input  wire [7:0]  s_tkeep,
    input  wire        s_tlast,
    input  wire        s_tvalid,
    output wire        s_tready,
    output wire [31:0] dword,
    output wire        last,
    output wire        valid,
    input  wire        ready
);
    // The lower half of the beat has been taken.
    reg  upper;
    wire has_upper = s_tkeep[4];
    wire beat_ends = upper || !has_upper;

    assign dword    = upper ? s_tdata[63:32] : s_tdata[31:0];
    assign valid    = s_tvalid;
    assign last     = s_tlast && beat_ends;
    assign s_tready = ready && beat_ends;

    always @(posedge clk) begin
        if (!rst_n) begin
            upper <= 1'b0;
        end else if (valid && ready) begin
            upper <= !beat_ends;
        end
    end

    // A TLP has whole double words: one bit of each says enough.
    wire unused = &{1'b0, s_tkeep[7:5], s_tkeep[3:0]};
endmodule

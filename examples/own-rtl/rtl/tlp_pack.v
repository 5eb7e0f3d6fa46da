// Double words as beats of 64 bits.
module tlp_pack (
    input  wire        clk,
    input  wire        rst_n,
    input  wire [31:0] dword,
    input  wire        last,
    input  wire        valid,
    output wire        ready,
    output reg  [63:0] m_tdata,
    output reg  [7:0]  m_tkeep,
    output reg         m_tlast,
    output reg         m_tvalid,
    input  wire        m_tready
);
    // The lower half of the next beat is there.
    reg        has_lower;
    reg [31:0] lower;

    assign ready = !m_tvalid || m_tready;

    always @(posedge clk) begin
        if (ready) begin
            m_tvalid <= valid && (has_lower || last);
            m_tdata  <= has_lower ? {dword, lower} : {32'd0, dword};
            m_tkeep  <= has_lower ? 8'hff : 8'h0f;
            m_tlast  <= last;
            if (valid) begin
                lower     <= dword;
                has_lower <= !has_lower && !last;
            end
        end
        if (!rst_n) begin
            m_tvalid  <= 1'b0;
            has_lower <= 1'b0;
        end
    end
endmodule

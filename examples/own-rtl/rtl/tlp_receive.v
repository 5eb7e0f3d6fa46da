// Takes TLPs apart. One at a time: a request that is to be answered keeps its header on the outputs, and all behind it waiting, until
// `request_done`.
module tlp_receive (
    input  wire        clk,
    input  wire        rst_n,

    input  wire [31:0] dword,
    input  wire        last,
    input  wire        valid,
    output wire        ready,

    // Header of the packet. `address` is that of a memory request; of a configuration request it holds function and register.
    output reg  [31:0] header0,
    output reg  [31:0] header1,
    output reg  [63:0] address,

    // A request that is to be answered, when its payload is through.
    output wire        request,
    input  wire        request_done,

    // A double word of payload, in the cycle in which it comes: number and byte enables.
    output wire        payload_valid,
    output wire [31:0] payload,
    output wire [9:0]  payload_index,
    output wire [3:0]  payload_enable,

    // A completion came without the data that were asked for.
    output wire        failed_completion
);
    localparam [2:0] HEADER0 = 3'd0, HEADER1 = 3'd1, HEADER2 = 3'd2, HEADER3 = 3'd3, PAYLOAD = 3'd4, ANSWER = 3'd5;

    reg [2:0] state;
    reg [9:0] index;

    wire is_long       = header0[29];
    wire has_data      = header0[30];
    wire is_completion = header0[28:24] == 5'b01010;
    // Memory writes and messages (type 10xxx) are posted, completions are answers themselves.
    wire is_answered   = !is_completion && !header0[28] && !(has_data && header0[28:24] == 5'b00000);
    wire header_ends   = (state == HEADER2 && !is_long) || state == HEADER3;

    assign ready   = state != ANSWER;
    assign request = state == ANSWER;
    wire   moves   = valid && ready;

    // Length 0 is 1,024. What comes behind the length, a digest, is nothing to look at.
    wire [9:0] last_index  = header0[9:0] - 10'd1;
    wire       is_poisoned = header0[14];
    reg        is_behind;

    assign payload        = dword;
    assign payload_valid  = moves && state == PAYLOAD && !is_behind && !is_poisoned;
    assign payload_index  = index;
    assign payload_enable = index == 10'd0 ? header1[3:0] : index == last_index ? header1[7:4] : 4'hf;

    assign failed_completion = moves && is_completion
                            && ((header_ends && !has_data) || (state == PAYLOAD && is_poisoned));

    always @(posedge clk) begin
        if (moves) begin
            case (state)
                HEADER0: header0 <= dword;
                HEADER1: header1 <= dword;
                HEADER2: address <= is_long ? {dword, 32'd0} : {32'd0, dword};
                HEADER3: address <= {address[63:32], dword};
                default: ;
            endcase
        end
        if (state != PAYLOAD) begin
            index     <= 10'd0;
            is_behind <= 1'b0;
        end else if (moves) begin
            index     <= index + 10'd1;
            is_behind <= is_behind || index == last_index;
        end

        if (!rst_n) begin
            state <= HEADER0;
        end else if (state == ANSWER) begin
            if (request_done) begin
                state <= HEADER0;
            end
        end else if (moves) begin
            if (last) begin
                // One that ends before its header does is none.
                state <= (header_ends || state == PAYLOAD) && is_answered ? ANSWER : HEADER0;
            end else if (header_ends) begin
                state <= PAYLOAD;
            end else if (state != PAYLOAD) begin
                state <= state + 3'd1;
            end
        end
    end
endmodule

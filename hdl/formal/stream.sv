// Of any stream cell: every beat that goes in comes out once, unchanged and in order, and nothing else does.
// CAPACITY: beats it holds. LATENCY: cycles until a beat is seen.
localparam BITS = $clog2(CAPACITY + 1) + 1;

// beats that went in and came out since the reset; any one of them is marked
reg [BITS-1:0] sent, received;
(* anyconst *) reg [BITS-1:0] marked;
reg [WIDTH-1:0] marked_data;
reg marked_inside;
wire goes_in = input_valid && input_ready;
wire comes_out = output_valid && output_ready;
wire [BITS-1:0] inside = sent - received;
wire [BITS-1:0] place_of_marked = marked - received;
wire marked_is_next = output_valid && received == marked;
always @(posedge clock)
    if (reset) begin
        sent <= 0;
        received <= 0;
        marked_inside <= 1'b0;
    end else begin
        sent <= sent + goes_in;
        received <= received + comes_out;
        if (goes_in && sent == marked) begin
            marked_data <= input_data;
            marked_inside <= 1'b1;
        end else if (comes_out && received == marked) begin
            marked_inside <= 1'b0;
        end
    end

reg waits;
reg [WIDTH-1:0] waiting_data;
reg [3:0] unseen;
always @(posedge clock) begin
    waits <= !reset && output_valid && !output_ready;
    waiting_data <= output_data;
    unseen <= reset || output_valid || inside == 0 ? 4'd0 : unseen + 4'd1;
end

always @* if (started) begin
    holds_no_more_than_its_capacity: assert (inside <= CAPACITY);
    invents_nothing: assert (!output_valid || inside != 0);
    loses_nothing: assert (!marked_is_next || marked_inside);
    keeps_data_and_order: assert (!marked_is_next || output_data == marked_data);
    shows_a_beat_in_time: assert (unseen < LATENCY);
    takes_a_beat_when_empty: assert (input_ready || inside != 0);
    waits_unchanged: assert (!waits || (output_valid && output_data == waiting_data));
    // what the proof of the others needs
    marked_is_inside: assert (marked_inside == (place_of_marked < inside));
end

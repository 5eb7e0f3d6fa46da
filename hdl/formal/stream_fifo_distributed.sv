// A FIFO in distributed RAM: what the induction of stream.sv needs to know of it.
localparam DEPTH_BITS = $clog2(CAPACITY);
wire [DEPTH_BITS-1:0] place = read + (marked - received);
always @* if (started) begin
    // what the proof of the others needs
    the_count_is_right: assert (count == inside && (written - read) % CAPACITY == count % CAPACITY);
    the_flags_follow_the_count: assert (output_valid == (count != 0) && (input_ready == (count != CAPACITY)));
    the_marked_beat_is_in_its_place: assert (!marked_inside || memory[place] == marked_data);
end

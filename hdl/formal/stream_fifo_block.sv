// A FIFO in block RAM: what the induction of stream.sv needs to know of it.
localparam DEPTH_BITS = $clog2(CAPACITY - 1);
wire [DEPTH_BITS-1:0] place = read + (marked - received) - output_valid;
wire in_memory = marked_inside && !(output_valid && received == marked);
always @* if (started) begin
    // what the proof of the others needs
    the_count_is_right: assert (count + output_valid == inside && (written - read) % (CAPACITY - 1) == count % (CAPACITY - 1));
    the_flags_follow_the_count: assert (filled == (count != 0) && (input_ready == (count != CAPACITY - 1)));
    the_marked_beat_is_in_its_place: assert (!in_memory || memory[place] == marked_data);
end

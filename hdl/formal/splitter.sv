// Splitter: the chunks of a transfer cover it exactly, in order; none crosses 4 KiB or is larger than the limit that held in
// the cycle before the transfer was taken, however the limit changes meanwhile.
// Assumed: a transfer has 1 to 4096 bytes.
always @* assume (!transfer_valid || (transfer_length >= 1 && transfer_length <= 4096));

wire takes = transfer_valid && transfer_ready;
wire gives = chunk_valid && chunk_ready;

reg [2:0] size_before;
always @(posedge clock) size_before <= size;

// the transfer at hand, and how much of it has been given
reg at_hand;
reg [12:0] sampled, given, total;
reg [63:0] next_address;
reg [15:0] next_ram_address;
reg [3:0] its_client;
reg [5:0] its_slot;
always @(posedge clock)
    if (reset || stop) begin
        at_hand <= 1'b0;
    end else if (takes) begin
        at_hand <= 1'b1;
        sampled <= size_before >= 5 ? 13'd4096 : 13'd128 << size_before;
        given <= 13'd0;
        total <= transfer_length;
        next_address <= transfer_address;
        next_ram_address <= transfer_ram_address;
        its_client <= transfer_client;
        its_slot <= transfer_slot;
    end else if (gives) begin
        at_hand <= !chunk_last;
        given <= given + chunk_length;
        next_address <= next_address + chunk_length;
        next_ram_address <= next_ram_address + chunk_length;
    end

wire [13:0] end_in_page = {2'd0, chunk_address[11:0]} + chunk_length;
wire [13:0] bytes_of_dwords = {12'd0, chunk_address[1:0]} + chunk_length;
wire [3:0] enable_from = 4'hf << chunk_address[1:0];
wire [1:0] last_byte = chunk_address[1:0] + chunk_length[1:0] - 2'd1;
wire [3:0] enable_to = 4'hf >> (2'd3 - last_byte);
wire one_dword = chunk_dwords == 11'd1;

always @* if (started) begin
    a_chunk_is_of_the_transfer_at_hand: assert (!chunk_valid || (at_hand && chunk_client == its_client && chunk_slot == its_slot));
    none_is_taken_before_the_end_of_the_one_before: assert (!at_hand || !transfer_ready);
    a_chunk_is_there_until_the_end: assert (!at_hand || stop || chunk_valid);
    if (chunk_valid) begin
        follows_the_chunk_before: assert (chunk_address == next_address && chunk_ram_address == next_ram_address);
        the_first_is_marked: assert (chunk_first == (given == 0));
        the_last_is_marked_and_ends_the_transfer: assert (chunk_last == ({1'b0, given} + chunk_length == total));
        covers_no_more_than_the_transfer: assert (chunk_length != 0 && {1'b0, given} + chunk_length <= total);
        is_within_the_limit_that_was_sampled: assert (chunk_length <= sampled);
        does_not_cross_4_kib: assert (end_in_page <= 14'd4096);
        counts_the_double_words_it_touches: assert (chunk_dwords == (bytes_of_dwords + 14'd3) >> 2);
        enables_its_bytes: assert (chunk_first_be == (one_dword ? enable_from & enable_to : enable_from)
                                   && chunk_last_be == (one_dword ? 4'h0 : enable_to));
    end
    // what the proof of the others needs
    the_block_is_as_far: assert (active == at_hand);
    the_limit_is_that_of_the_cycle_before: assert (limit == (size_before >= 5 ? 5'h1f : (5'd1 << size_before) - 5'd1));
    if (at_hand) begin
        the_transfer_is_not_at_its_end: assert (total <= 4096 && given < total);
        the_limit_is_a_power_of_two: assert ((held_limit & (held_limit + 5'd1)) == 5'd0);
        the_block_has_the_rest: assert (remaining_less_one + 14'd1 + given == total);
        the_block_has_the_limit: assert (sampled == {1'b0, held_limit, 7'h7f} + 13'd1);
    end
end

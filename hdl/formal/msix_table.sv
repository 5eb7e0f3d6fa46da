// MSI-X table: of any one vector, no interrupt is lost, sent while it is masked, or sent without having been fired.
// Assumed: the table is reset at the beginning, an access stays as it is until it is done, and it is a driver's: the state window may
// write the pending bits.
(* anyconst *) reg [5:0] vector;
always @* assume (vector < VECTORS);
always @* assume (!frozen);

wire fires = fire_valid && fire_ready && enable && fire_data == vector;
wire forgets = reset || function_reset || forget;
// a message is made; it may then wait for the link
wire sends = message_valid_reg_next && !message_valid_reg && !reset && !function_reset;
wire sends_this = sends && chosen == vector;

reg held;
reg [48:0] before;
always @(posedge clock) begin
    held <= bus_valid && !bus_done && !reset;
    before <= {bus_write, bus_address, bus_enable, bus_write_data};
end
always @* if (started) assume (!held || (bus_valid && {bus_write, bus_address, bus_enable, bus_write_data} == before));

// the mask as the driver wrote it
wire writes = access && bus_write && bus_address[11:4] == vector && bus_address[3:2] == 2'd3 && bus_enable[0];
reg mask;
always @(posedge clock)
    if (reset || function_reset) mask <= 1'b1;
    else if (writes) mask <= bus_write_data[0];

// must be sent; may be sent: the same, but for what the driver gave up by switching MSI-X off
reg must, may;
always @(posedge clock)
    if (forgets) begin
        must <= 1'b0;
        may <= 1'b0;
    end else begin
        if (fires) may <= 1'b1;
        else if (sends_this) may <= 1'b0;
        if (!enable) must <= 1'b0;
        else if (fires) must <= 1'b1;
        else if (sends_this) must <= 1'b0;
    end

// cycles in which nothing keeps it from being sent
reg [5:0] patience;
wire free = must && !mask && enable && !function_mask && !fire_valid && !bus_valid && message_ready;
always @(posedge clock) patience <= free && !forgets && !sends_this ? patience + 6'd1 : 6'd0;

reg waits;
always @(posedge clock) waits <= message_valid && !message_ready && !reset && !function_reset;

always @* if (started) begin
    a_fired_vector_is_not_lost: assert (!must || pending[vector] || (chosen_valid && chosen == vector));
    a_masked_vector_is_not_sent: assert (!sends_this || (enable && !function_mask && !mask));
    nothing_is_sent_that_was_not_fired: assert (!sends_this || may);
    only_vectors_of_the_table_are_sent: assert (!sends || chosen < VECTORS);
    an_unmasked_vector_is_sent_in_time: assert (patience < 2 * VECTORS + 4);
    a_message_waits_for_the_link: assert (!waits || message_valid);
    what_must_be_sent_keeps_it_busy: assert (!(must && !mask && enable && !function_mask) || busy);
    // what the proof of the others needs
    an_access_is_that_of_the_bus: assert (!access || (bus_valid && {write, address, byte_enable} == {bus_write, bus_address, bus_enable}));
    the_mask_is_the_one_written: assert (mask == masked[vector]);
    what_is_pending_was_fired: assert (!(pending[vector] || (chosen_valid && chosen == vector)) || may);
    the_chosen_one_exists: assert (!chosen_valid || chosen < VECTORS);
    the_scan_stays_in_the_table: assert (scan < VECTORS);
end

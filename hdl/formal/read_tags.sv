// Tag table: of any one slot of the circle, a read that was made retires exactly once, and no read is made with it while the one
// before is outstanding or, if that one was given up, for a timeout afterwards.
// Assumed: a read is made only when a tag is available.
always @* assume (!allocate || available);

(* anyconst *) reg [SLOT_BITS-1:0] slot;
wire makes = allocate && next_tag[SLOT_BITS-1:0] == slot;
wire passes = pass_over && newest[SLOT_BITS-1:0] == slot;
wire ends = pop && oldest[SLOT_BITS-1:0] == slot;
wire gives_up = expire && expire_tag[SLOT_BITS-1:0] == slot;

// a read with it is outstanding; it is passed over; what is told at the end
reg outstanding, passed, last_of_request;
// cycles since it was given up
reg rests;
reg [7:0] rested_for;
always @(posedge clock)
    if (reset) begin
        outstanding <= 1'b0;
        passed <= 1'b0;
        rests <= 1'b0;
    end else begin
        if (makes) begin
            outstanding <= 1'b1;
            last_of_request <= chunk_last;
        end else if (ends) begin
            outstanding <= 1'b0;
        end
        if (passes) passed <= 1'b1;
        else if (ends) passed <= 1'b0;
        if (gives_up) begin
            rests <= 1'b1;
            rested_for <= 8'd0;
        end else if (rested_for < TIMEOUT) begin
            rested_for <= rested_for + 8'd1;
        end else begin
            rests <= 1'b0;
        end
    end

// an end is told one cycle later if it is that of a request's last read
reg ended, told;
always @(posedge clock) begin
    ended <= ends && !reset;
    told <= outstanding && last_of_request;
end

always @* if (started) begin
    no_tag_is_used_while_it_is_outstanding: assert (!makes || !outstanding);
    no_tag_is_used_while_it_rests: assert (!makes || !rests);
    only_what_was_made_ends: assert (!ends || outstanding || passed);
    a_read_that_is_closed_is_open_no_more: assert (!(outstanding && open[slot] && ends));
    what_is_outstanding_is_in_the_circle: assert (!(outstanding || passed) || (slot - oldest[SLOT_BITS-1:0]) < count);
    the_end_of_a_request_is_told_once: assert (!ended || ended_valid == told);
    // what the proof of the others needs
    the_circle_is_as_long_as_its_count: assert (count <= SLOTS && (newest[SLOT_BITS-1:0] - oldest[SLOT_BITS-1:0]) == count[SLOT_BITS-1:0]);
    what_is_in_the_circle_is_known: assert ((outstanding || passed) == ((slot - oldest[SLOT_BITS-1:0]) < count));
    not_both: assert (!(outstanding && passed));
    none_is_open_outside: assert (!open[slot] || outstanding);
end

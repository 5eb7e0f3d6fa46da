// Tag table: of any one slot of the circle, a read that was made retires exactly once; no read is made with it while the one before
// is outstanding or, if that one was given up, for a timeout afterwards; and none is given up that has not been out for a timeout.
// Assumed, as the read engine sees to it: a read is made when a tag is available and none waits to leave; it waits from the next
// cycle on, until it leaves or is withdrawn. Completions are accounted for when they were found, and a read is finished once,
// after its last one, and not while another is accounted for. Two of the same tag have a cycle between them.
reg waits;
reg [7:0] its_tag;
// any cycle may be the last one in which it waits
(* anyseq *) reg leave;
// nor is the table told which completion is as it should be
(* anyseq *) reg advance;
always @(posedge clock) begin
    waits <= !reset && (allocate || (waits && !leave && !withdraw));
    if (allocate) its_tag <= next_tag;
end
always @* if (started) begin
    assume (!allocate || (available && !waiting && wanted));
    assume (waiting == waits && waiting_tag == its_tag);
    assume (!leave || (waiting && !withdraw));
    assume (!withdraw || waiting);
end

reg [7:0] coming_before;
reg was_reset;
always @(posedge clock) begin
    coming_before <= coming_tag;
    was_reset <= reset;
end
always @* if (started) begin
    assume (lookup_tag == coming_before);
    assume (!(advance || refuse || spoil) || (found && !was_reset));
    assume (!(advance || refuse || spoil) || coming_tag != lookup_tag);
    assume (!(advance && refuse));
    assume (!finish || !(refuse || spoil));
end

(* anyconst *) reg [SLOT_BITS-1:0] slot;
wire makes = allocate && next_tag[SLOT_BITS-1:0] == slot;
wire passes = pass_over && newest[SLOT_BITS-1:0] == slot;
wire ends = pop && oldest[SLOT_BITS-1:0] == slot;
wire gives_up = expire && expire_tag[SLOT_BITS-1:0] == slot;
wire leaves = leave && waiting_tag[SLOT_BITS-1:0] == slot;
wire [SLOT_BITS-1:0] position = slot - oldest[SLOT_BITS-1:0];
wire inside = position < count;

// a read with it is outstanding, and for how long, at most TIMEOUT cycles; it is passed over; what is told at the end
reg outstanding, is_out, passed, last_of_request, abandoned;
// slots of which all completions are here, and the last data on their way
reg [SLOTS-1:0] complete;
always @(posedge clock)
    if (reset) begin
        complete <= 0;
    end else begin
        if (advance && advance_last) complete[lookup_tag[SLOT_BITS-1:0]] <= 1'b1;
        if (finish) complete[finish_tag[SLOT_BITS-1:0]] <= 1'b0;
        if (expire || pop) complete[oldest[SLOT_BITS-1:0]] <= 1'b0;
    end
always @* if (started) assume (!finish || complete[finish_tag[SLOT_BITS-1:0]]);
reg [7:0] out_for;
// it never left; it has been answered or was given up
reg withdrawn, over;
// cycles since it was given up
reg must_rest;
reg [7:0] rested_for;
always @(posedge clock) begin
    abandoned <= abandon || (abandoned && is_out);
    if (reset) begin
        outstanding <= 1'b0;
        is_out <= 1'b0;
        passed <= 1'b0;
        withdrawn <= 1'b0;
        over <= 1'b0;
        must_rest <= 1'b0;
        out_for <= TIMEOUT;
        rested_for <= TIMEOUT;
    end else begin
        if (makes) begin
            outstanding <= 1'b1;
            last_of_request <= chunk_last;
        end else if (ends) begin
            outstanding <= 1'b0;
        end
        if (passes) passed <= 1'b1;
        else if (ends) passed <= 1'b0;
        if (withdraw && waiting_tag[SLOT_BITS-1:0] == slot) withdrawn <= 1'b1;
        else if (ends || makes) withdrawn <= 1'b0;
        if (gives_up || (finish && finish_tag[SLOT_BITS-1:0] == slot) || (refuse && lookup_tag[SLOT_BITS-1:0] == slot)) over <= 1'b1;
        else if (makes) over <= 1'b0;
        if (leaves) begin
            is_out <= 1'b1;
            out_for <= 8'd0;
        end else begin
            if (ends) is_out <= 1'b0;
            if (out_for < TIMEOUT) out_for <= out_for + 8'd1;
        end
        if (gives_up && !abandon) begin
            must_rest <= 1'b1;
            rested_for <= 8'd0;
        end else if (rested_for < TIMEOUT) begin
            rested_for <= rested_for + 8'd1;
        end else begin
            must_rest <= 1'b0;
        end
    end
end

// an end is told one cycle later if it is that of a request's last read
reg ended, told;
always @(posedge clock) begin
    ended <= ends && !reset;
    told <= outstanding && last_of_request;
end

// behind a reset
wire cleared = !clearing || slot < newest[SLOT_BITS-1:0];
wire open = open_for_oldest_watched;
wire is_looked_up = !was_reset && lookup_tag[SLOT_BITS-1:0] == slot;

reg [5:0] gave_up_at;
always @(posedge clock) if (gives_up && !abandon) gave_up_at <= ticks;
wire [5:0] since_it_left = ticks - retire_stamp_watched;
wire [5:0] since_it_was_given_up = ticks - gave_up_at;
wire [SLOT_BITS-1:0] newest_inside = newest[SLOT_BITS-1:0] - 1'b1;
wire is_oldest = count != 0 && oldest[SLOT_BITS-1:0] == slot;
wire it_waits = waits && its_tag[SLOT_BITS-1:0] == slot;

always @* if (started) begin
    no_tag_is_used_while_it_is_outstanding: assert (!makes || !outstanding);
    no_tag_is_used_while_it_rests: assert (!makes || !must_rest);
    only_what_was_made_ends: assert (!ends || outstanding || passed);
    a_read_ends_when_it_was_answered_given_up_or_withdrawn: assert (!ends || passed || (is_out && over) || withdrawn);
    only_what_has_left_is_given_up: assert (!gives_up || (outstanding && is_out));
    none_is_given_up_before_its_time: assert (!gives_up || abandoned || out_for == TIMEOUT);
    the_end_of_a_request_is_told_once: assert (!ended || ended_valid == told);
    only_what_is_out_is_answered: assert (!(found && is_looked_up) || is_out);
    // what the proof of the others needs
    nothing_is_made_before_all_is_cleared: assert (!clearing || (!must_rest && !available && !pass_over && !waits && count == 0 && oldest[SLOT_BITS-1:0] == 0));
    the_circle_is_as_long_as_its_count: assert (clearing || count <= SLOTS && (newest[SLOT_BITS-1:0] - oldest[SLOT_BITS-1:0] - count[SLOT_BITS-1:0]) % SLOTS == 0);
    what_is_in_the_circle_is_known: assert ((outstanding || passed) == inside);
    not_both: assert (!(outstanding && passed));
    none_is_open_outside: assert (!cleared || !open || outstanding);
    both_places_know_what_is_open: assert (!cleared || open_for_coming_watched == open);
    a_tick_is_a_cycle: assert (prescaler == 0);
    what_is_answered_is_out: assert (!(open_then && known_then && is_looked_up) || is_out);
    none_is_passed_over_behind_what_waits: assert (!(pass_over && waits));
    what_waits_is_the_newest: assert (!it_waits || (count != 0 && its_tag[SLOT_BITS-1:0] == newest_inside));
    what_waits_is_not_complete: assert (!it_waits || !(complete[slot] || (finished && finished_slot == slot) || (refused && looked_slot == slot)));
    what_waits_is_open_and_not_out: assert (!it_waits || (outstanding && open && !is_out && !withdrawn));
    what_is_open_waits_or_is_out: assert (!(outstanding && open) || it_waits || is_out);
    what_is_closed_is_over_or_withdrawn: assert (!outstanding || open || (is_out && over) || withdrawn);
    what_is_about_to_be_closed_is_over: assert (!(outstanding && ((finished && finished_slot == slot) || (refused && looked_slot == slot))) || over);
    what_is_out_is_outstanding: assert (!is_out || (outstanding && !withdrawn));
    what_is_withdrawn_is_outstanding: assert (!withdrawn || (outstanding && !open));
    what_is_complete_is_out: assert (!complete[slot] || is_out);
    its_time_is_counted: assert (out_for <= TIMEOUT && (!is_out || out_for == TIMEOUT || since_it_left == out_for + 6'd1));
    what_is_too_old_is_out: assert (!(too_old && is_oldest && !closed) || (is_out && open && (abandoned || out_for == TIMEOUT)));
    what_has_just_been_closed_ends: assert (!(too_old && is_oldest && closed && open) || (finished && finished_slot == slot) || (refused && looked_slot == slot));
    what_rests_is_marked: assert (!must_rest || (!open && rests_watched && rest_watched == gave_up_at[5:4]));
    the_memory_knows_what_is_to_be_told: assert (!(outstanding || passed) || retire_last_watched == (outstanding && last_of_request));
    its_rest_is_counted: assert (rested_for <= TIMEOUT && (!must_rest || since_it_was_given_up == rested_for + 6'd1));
end

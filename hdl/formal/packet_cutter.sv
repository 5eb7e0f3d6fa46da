// Of the example in docs/write-a-block.md: no packet is longer than LIMIT, one that is not longer is left as it is, and a beat
// that was offered stays.
wire leaves = short_valid && short_ready;
reg [15:0] place;
always @(posedge clock)
    if (reset) place <= 0;
    else if (leaves) place <= short_last ? 0 : place + 1;

reg waits;
reg [8:0] waiting;
always @(posedge clock) begin
    waits <= !reset && short_valid && !short_ready;
    waiting <= {short_last, short_data};
end
// what the sender of a stream owes
reg offered;
reg [8:0] offer;
always @(posedge clock) begin
    offered <= !reset && packet_valid && !packet_ready;
    offer <= {packet_last, packet_data};
end
always @* if (offered) assume (packet_valid && {packet_last, packet_data} == offer);

always @* if (started) begin
    is_no_longer_than_the_limit: assert (place < LIMIT);
    is_cut_only_at_the_limit: assert (!leaves || !short_last || packet_last || place == LIMIT - 1);
    leaves_data_unchanged: assert (!leaves || short_data == packet_data);
    waits_unchanged: assert (!waits || (short_valid && {short_last, short_data} == waiting));
end

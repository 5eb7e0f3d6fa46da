// Control processor: an instruction, of any kind and in any state of registers, CSRs and memory, does what the specification says.
// The first cycle is the one in which it is decoded, whatever the processor did before; the proof ends behind the longest of them.
// Assumed: the bus answers after a cycle or two, a shift is by 3 at most (each bit is a cycle more, and the same), and the counters,
// whose rounds are 12 cycles, are neither asked for nor due. Interrupts come at any time.
always @* begin
    if (!started) assume (state == STATE_DECODE && !sleeps && !valid && !traps && !retires);
    assume (!counters_due && !status_counts);
end

// ---- the instruction: fields as in the specification
reg [31:0] held_word, held_pc;
always @(posedge clock) if (!started) begin held_word <= word; held_pc <= program_counter; end
wire [31:0] w = started ? held_word : word;
wire [31:0] pc_of_it = started ? held_pc : program_counter;
always @* if (!started) assume (program_counter[1:0] == 0 && address == program_counter);
wire [6:0] opcode = w[6:0];
wire [2:0] f3 = w[14:12];
wire [6:0] f7 = w[31:25];
wire [31:0] imm_i = {{20{w[31]}}, w[31:20]};
wire [31:0] imm_s = {{20{w[31]}}, w[31:25], w[11:7]};
wire [31:0] imm_b = {{19{w[31]}}, w[31], w[7], w[30:25], w[11:8], 1'b0};
wire [31:0] imm_u = {w[31:12], 12'd0};
wire [31:0] imm_j = {{11{w[31]}}, w[31], w[19:12], w[20], w[30:21], 1'b0};

// ---- the values of its registers, and of the word in the register file that its CSR is
(* anyconst *) reg [31:0] x, y, stored;
always @* begin
    assume (w[19:15] != 0 || x == 0);
    assume (w[24:20] != 0 || y == 0);
    assume (w[19:15] != w[24:20] || x == y);
end
wire reads = state == STATE_DECODE || state == STATE_EXECUTE;
wire is_system_csr = opcode == 7'h73 && f3[1:0] != 0;
wire [5:0] csr_word = {1'b1, w[31], w[27:26], w[21:20]};
always @* if (reads) begin
    if (first_place == {1'b0, w[19:15]}) assume (registers_first == x);
    if (first_place == 0) assume (registers_first == 0);
    if (first_place == csr_word) assume (registers_first == stored);
    if (second_place == w[24:20]) assume (registers_second == y);
    if (second_place == w[19:15]) assume (registers_second == x);
end
always @* assume (!is_system_csr || csr_word != 6'h25 || stored[1:0] == 0);

// ---- what is legal
wire csr_known = (w[31:24] == 8'h30 && (w[23:20] == 0 || w[23:20] == 1 || w[23:20] == 4 || w[23:20] == 5))
    || w[31:20] == 12'h310 || (w[31:24] == 8'h34 && w[23:20] <= 4)
    || (w[31:24] == 8'hf1 && w[23:20] >= 1 && w[23:20] <= 5);
wire csr_is_written = f3[1:0] == 1 || w[19:15] != 0;
wire is_legal = opcode == 7'h37 || opcode == 7'h17 || opcode == 7'h6f
    || (opcode == 7'h67 && f3 == 0)
    || (opcode == 7'h63 && f3 != 2 && f3 != 3)
    || (opcode == 7'h03 && f3 != 3 && f3 < 6)
    || (opcode == 7'h23 && f3 < 3)
    || (opcode == 7'h13 && (f3[1:0] != 1 || f7 == 0 || (f3 == 5 && f7 == 7'h20)))
    || (opcode == 7'h33 && (f7 == 0 || (f7 == 7'h20 && (f3 == 0 || f3 == 5))))
    || (opcode == 7'h0f && f3 < 2)
    || w == 32'h00000073 || w == 32'h00100073 || w == 32'h30200073 || w == 32'h10500073
    || (is_system_csr && csr_known && !(csr_is_written && w[31:30] == 3));

// ---- what it computes
wire [31:0] other = opcode == 7'h33 ? y : imm_i;
always @* if (opcode == 7'h13 || opcode == 7'h33) assume (f3[1:0] != 1 || other[4:0] < 4);
reg [31:0] computed;
always @* begin
    case (f3)
        0: computed = opcode == 7'h33 && f7[5] ? x - other : x + other;
        1: computed = x << other[1:0];
        2: computed = {31'd0, $signed(x) < $signed(other)};
        3: computed = {31'd0, x < other};
        4: computed = x ^ other;
        5: begin
            computed = x >> other[1:0];
            if (f7[5]) computed = $signed(x) >>> other[1:0];
        end
        6: computed = x | other;
        default: computed = x & other;
    endcase
end
reg condition;
always @* case (f3)
    0: condition = x == y;
    1: condition = x != y;
    4: condition = $signed(x) < $signed(y);
    5: condition = $signed(x) >= $signed(y);
    6: condition = x < y;
    default: condition = x >= y;
endcase
wire [31:0] data_address = x + (opcode == 7'h23 ? imm_s : imm_i);
wire accesses = opcode == 7'h03 || opcode == 7'h23;
wire data_misaligned = accesses && ((f3[1:0] == 1 && data_address[0]) || (f3[1:0] == 2 && data_address[1:0] != 0));
wire [31:0] jump_target = opcode == 7'h6f ? pc_of_it + imm_j : opcode == 7'h67 ? (x + imm_i) & ~32'd1 : pc_of_it + imm_b;
wire jumps_away = opcode == 7'h6f || opcode == 7'h67 || (opcode == 7'h63 && condition);
reg [31:0] mepc_read;
always @(posedge clock) if (state == STATE_EXECUTE) mepc_read <= registers_first;
always @* if (reads && first_place == 6'h25) assume (registers_first[1:0] == 0);
wire [31:0] follows = w == 32'h30200073 ? mepc_read : jumps_away ? jump_target : pc_of_it + 4;

// ---- the bus, and what it gave
reg waited;
reg [31:0] given;
always @(posedge clock) begin
    waited <= valid && !bus_done;
    if (state == STATE_ACCESS && bus_done) given <= bus_read_data;
end
always @* if (started) assume (bus_done == (valid && waited));
wire [31:0] shifted = given >> {data_address[1:0], 3'd0};
wire [31:0] loaded = f3 == 0 ? {{24{shifted[7]}}, shifted[7:0]} : f3 == 1 ? {{16{shifted[15]}}, shifted[15:0]}
    : f3 == 4 ? {24'd0, shifted[7:0]} : f3 == 5 ? {16'd0, shifted[15:0]} : shifted;
wire [3:0] bytes = f3 == 0 ? 4'd1 << data_address[1:0] : f3 == 1 ? 4'd3 << data_address[1:0] : 4'd15;
wire [31:0] placed = y << {data_address[1:0], 3'd0};

// ---- how far it is
reg over;
always @(posedge clock)
    if (!started) over <= trap_now;
    else if (retire || trap_now) over <= 1'b1;
wire during = !started || !over;
wire has_rd = opcode == 7'h37 || opcode == 7'h17 || opcode == 7'h6f || opcode == 7'h67 || opcode == 7'h03
    || opcode == 7'h13 || opcode == 7'h33;
wire [31:0] for_rd = opcode == 7'h37 ? imm_u : opcode == 7'h17 ? pc_of_it + imm_u
    : opcode == 7'h6f || opcode == 7'h67 ? pc_of_it + 4 : opcode == 7'h03 ? loaded : computed;
wire [4:0] cause_of_it = !is_legal ? 5'd2 : w == 32'h73 ? 5'd11 : w == 32'h00100073 ? 5'd3
    : data_misaligned ? (opcode == 7'h23 ? 5'd6 : 5'd4)
    : accesses ? (opcode == 7'h23 ? 5'd7 : 5'd5) : 5'd0;
wire traps_for_itself = !is_legal || w == 32'h73 || w == 32'h00100073 || data_misaligned
    || (accesses && state == STATE_ACCESS && bus_error) || (jumps_away && jump_target[1]);

// ---- CSRs
wire is_mstatus_word = w[31:20] == 12'h300;
reg old_before, old_global;
always @(posedge clock) if (!started) begin old_before <= status_value[7]; old_global <= status_value[3]; end
wire [31:0] old = is_mstatus_word ? {19'd0, 2'd3, 3'd0, old_before, 3'd0, old_global, 3'd0} : stored;
wire plain_csr = is_system_csr && (w[31:20] == 12'h305 || (w[31:24] == 8'h34 && w[23:20] < 4));
wire [31:0] operand = f3[2] ? {27'd0, w[19:15]} : x;
wire [31:0] new_value = f3[1:0] == 1 ? operand : f3[1:0] == 2 ? old | operand : old & ~operand;
wire [31:0] masked = w[31:20] == 12'h305 || w[31:20] == 12'h341 ? new_value & ~32'd3 : new_value;

always @* if (started && during) begin
    what_retires_is_legal_and_does_not_trap: assert (!retire || !traps_for_itself);
    what_traps_does_so_for_itself: assert (!trap_now || cause_next[4] || (traps_for_itself && cause_next == cause_of_it));
    only_the_decoder_takes_interrupts: assert (!trap_now || !cause_next[4]);
    goes_on_where_the_specification_says: assert (!retire || address_next == follows);
    writes_rd_what_the_specification_says: assert (!(retire && has_rd && w[11:7] != 0)
        || (write && write_place == {1'b0, w[11:7]} && registers_write_data == for_rd));
    writes_nothing_else: assert (!write || (retire && has_rd && w[11:7] != 0) || state == STATE_CSR || state == STATE_CSR_WRITE);
    accesses_what_the_specification_says: assert (state != STATE_ACCESS || !valid
        || (accesses && bus_address == (data_address & ~32'd3) && bus_enable == (opcode == 7'h23 ? bytes : 4'd0)));
    stores_what_the_specification_says: assert (!(state == STATE_ACCESS && valid && opcode == 7'h23)
        || ((!bytes[0] || bus_write_data[7:0] == placed[7:0]) && (!bytes[1] || bus_write_data[15:8] == placed[15:8])
            && (!bytes[2] || bus_write_data[23:16] == placed[23:16]) && (!bytes[3] || bus_write_data[31:24] == placed[31:24])));
    a_csr_is_read_into_rd: assert (!(state == STATE_CSR && (plain_csr || is_mstatus_word))
        || (write == (w[11:7] != 0) && write_place == {1'b0, w[11:7]} && (!write || registers_write_data == old)));
    a_csr_is_written: assert (!(state == STATE_CSR_WRITE && plain_csr)
        || (write == csr_is_written && write_place == csr_word && (!write || registers_write_data == masked)));
    mstatus_is_written: assert (!(state == STATE_CSR_WRITE && is_mstatus_word)
        || (!write && status_write == csr_is_written && result[3] == new_value[3] && result[7] == new_value[7]));
end
// in its first cycle it may trap, too
always @* if (!started) begin
    an_interrupt_goes_first: assert (!status_interrupt || (trap_now && cause_next == (status_external ? 5'h1b : 5'h17)));
    an_illegal_one_and_a_call_trap_at_once: assert (status_interrupt
        || trap_now == (!is_legal || w == 32'h73 || w == 32'h00100073));
    and_tell_why: assert (status_interrupt || !trap_now || cause_next == cause_of_it);
    nothing_is_written_yet: assert (!write && !retire);
end
// behind a trap
reg trapped;
reg [4:0] cause_told;
always @(posedge clock)
    if (during) begin trapped <= trap_now; cause_told <= cause_next; end
    else if (state == STATE_TRAP_JUMP) trapped <= 1'b0;
always @* if (started && over && trapped) begin
    mepc_is_its_address: assert (state != STATE_TRAP_PC || (write && write_place == 6'h25 && registers_write_data == pc_of_it));
    mtval_is_address_instruction_or_0: assert (state != STATE_TRAP_CAUSE || (write && write_place == 6'h27 && registers_write_data
        == (cause_told == 2 ? w : cause_told[4] || cause_told == 11 ? 32'd0 : cause_told == 3 ? pc_of_it
            : cause_told == 0 ? jump_target : data_address)));
    mcause_is_the_cause: assert (state != STATE_TRAP_JUMP || (write && write_place == 6'h26
        && registers_write_data == {cause_told[4], 27'd0, cause_told[3:0]}));
end

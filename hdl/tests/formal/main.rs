//! Proofs without bound on time: `make formal`. Each block's properties are in `hdl/formal`; each is seen to fail on a fault.
mod sby;

use rust_hdl::prelude::*;
use sby::Claim;
use virtio_hdl_rtl::cells::{HalfStage, Skid, Stage, StreamFifo};
use virtio_hdl_rtl::control::Processor;
use virtio_hdl_rtl::dma::read_tags::TagTable;
use virtio_hdl_rtl::dma::splitter::Splitter;
use virtio_hdl_rtl::pcie::MsixTable;

/// A cell that carries beats of two bits: what it does with one bit it does with all.
fn stream<U: Block>(name: &str, uut: U, capacity: usize, latency: usize, more: &[&str]) -> Claim {
    let parameters = format!("localparam WIDTH = 2, CAPACITY = {capacity}, LATENCY = {latency};\n");
    Claim::new(name, uut, &parameters, &[&["stream.sv"], more].concat())
}

fn stage() -> Claim {
    stream("stream_stage", Stage::<Bits<2>>::default(), 1, 1, &[])
}
fn half_stage() -> Claim {
    stream("stream_half_stage", HalfStage::<Bits<2>>::default(), 1, 1, &[])
}
fn skid() -> Claim {
    stream("skid_buffer", Skid::<Bits<2>>::default(), 2, 1, &[])
}
fn fifo() -> Claim {
    let files = ["stream_fifo_distributed.sv"];
    stream("stream_fifo", StreamFifo::<Bits<2>, 3>::default(), 8, 1, &files).by_induction(3)
}
fn fifo_of_two() -> Claim {
    let files = ["stream_fifo_distributed.sv"];
    stream("stream_fifo_of_two", StreamFifo::<Bits<2>, 1>::default(), 2, 1, &files).by_induction(3)
}
fn block_ram_fifo() -> Claim {
    let files = ["stream_fifo_block.sv"];
    stream("stream_fifo_in_block_ram", StreamFifo::<Bits<2>, 5>::default(), 33, 2, &files).by_induction(3)
}
fn splitter() -> Claim {
    Claim::new("dma_splitter", Splitter::default(), "", &["splitter.sv"]).by_induction(2)
}
/// Four tags, and a timeout of 16 cycles.
fn read_tags() -> Claim {
    let parameters = "localparam SLOT_BITS = 2, SLOTS = 4, TIMEOUT = 16;\n";
    Claim::new("dma_read_tags", TagTable::<2>::new(16), parameters, &["read_tags.sv"])
        .watching_memories()
        .by_induction(2)
}
fn msix_table() -> Claim {
    Claim::new("pcie_msix_table", MsixTable::new(3), "", &["msix_table.sv"])
}
/// The longest instruction whose length is bounded: a load that fails, and its trap.
fn processor() -> Claim {
    Claim::new("control_processor", Processor::default(), "", &["control_processor.sv"]).starting_anywhere(12)
}

#[test]
fn a_stage_loses_and_invents_nothing() {
    stage().holds();
}

#[test]
fn a_stage_that_overwrites_its_beat_is_found() {
    let (right, wrong) = ("assign input_ready = output_ready || !output_valid;", "assign input_ready = 1'b1;");
    stage().with_fault(right, wrong).is_refuted_by("holds_no_more_than_its_capacity");
}

#[test]
#[should_panic(expected = "no_such_signal")]
fn a_property_of_a_signal_that_is_not_there_is_refused() {
    Claim::new("misspelt", Stage::<Bits<2>>::default(), "always @* assert (!no_such_signal);\n", &[]).holds();
}

#[test]
fn a_half_stage_loses_and_invents_nothing() {
    half_stage().holds();
}

#[test]
fn a_half_stage_that_gives_a_beat_twice_is_found() {
    let (right, wrong) = ("output_valid <= !output_ready;", "output_valid <= 1'b1;");
    half_stage().with_fault(right, wrong).is_refuted_by("invents_nothing");
}

#[test]
fn a_skid_buffer_loses_and_invents_nothing() {
    skid().holds();
}

#[test]
fn a_skid_buffer_that_forgets_its_spare_is_found() {
    let (right, wrong) = ("output_valid <= push || !input_ready;", "output_valid <= push;");
    skid().with_fault(right, wrong).is_refuted_by("keeps_data_and_order");
}

#[test]
fn a_fifo_loses_and_invents_nothing() {
    fifo().holds();
}

#[test]
fn a_fifo_that_takes_a_beat_too_many_is_found() {
    let (right, wrong) = ("wire one_is_free = &count[ADDRESS-1:0];", "wire one_is_free = 1'b0;");
    fifo().with_fault(right, wrong).is_refuted_by("holds_no_more_than_its_capacity");
}

#[test]
fn a_fifo_of_two_loses_and_invents_nothing() {
    fifo_of_two().holds();
}

#[test]
fn the_msix_table_loses_no_vector_and_sends_none_while_masked() {
    msix_table().holds();
}

#[test]
fn an_msix_table_that_sends_a_masked_vector_is_found() {
    let (right, wrong) =
        ("assign chosen_masked = function_mask | masked[chosen];", "assign chosen_masked = function_mask;");
    msix_table().with_fault(right, wrong).is_refuted_by("a_masked_vector_is_not_sent");
}

#[test]
fn an_msix_table_that_loses_a_pending_vector_is_found() {
    let (right, wrong) = ("next_pending = next_pending | (64'd1 << chosen);", "next_pending = 64'd1 << chosen;");
    msix_table().with_fault(right, wrong).is_refuted_by("a_fired_vector_is_not_lost");
}

#[test]
fn a_fifo_in_block_ram_loses_and_invents_nothing() {
    block_ram_fifo().holds();
}

#[test]
fn a_fifo_in_block_ram_that_gives_a_beat_twice_is_found() {
    let (right, wrong) = ("filled && !(pop && count == 1)", "filled && !(pop && count == 0)");
    block_ram_fifo().with_fault(right, wrong).is_refuted_by("keeps_data_and_order");
}

#[test]
fn the_splitter_covers_each_transfer_within_the_limit_it_sampled() {
    splitter().holds();
}

#[test]
fn a_splitter_that_changes_its_limit_amid_a_transfer_is_found() {
    let (right, wrong) = ("        held_limit_next = held_limit;", "        held_limit_next = limit;");
    splitter().with_fault(right, wrong).is_refuted_by("is_within_the_limit_that_was_sampled");
}

#[test]
fn every_read_tag_retires_once_and_is_not_reused_before_it_has_rested() {
    read_tags().holds();
}

#[test]
fn a_read_that_is_given_up_while_it_waits_is_found() {
    let (right, wrong) = ("!(waiting & one_left);", "1'b1;");
    read_tags().with_fault(right, wrong).is_refuted_by("only_what_has_left_is_given_up");
}

#[test]
fn a_tag_that_does_not_rest_is_found() {
    let (right, wrong) = ("assign resting = (|rests_rdata) & !rested[1];", "assign resting = 1'b0;");
    read_tags().with_fault(right, wrong).is_refuted_by("no_tag_is_used_while_it_rests");
}

#[test]
fn a_tag_that_is_open_behind_a_reset_is_found() {
    let (right, wrong) = (
        "assign marks = allocate | pass_over | withdraw | clearing;",
        "assign marks = allocate | pass_over | withdraw;",
    );
    read_tags().with_fault(right, wrong).is_refuted_by("only_what_is_out_is_answered");
}

#[test]
fn a_read_that_ends_without_its_answer_is_found() {
    let (right, wrong) = ("assign pop = (|count) & !(|open_for_oldest_rdata);", "assign pop = |count;");
    let property = "a_read_ends_when_it_was_answered_given_up_or_withdrawn";
    read_tags().with_fault(right, wrong).is_refuted_by(property);
}

#[test]
fn every_instruction_does_what_the_specification_says() {
    processor().holds();
}

#[test]
fn a_processor_that_compares_without_signs_is_found() {
    let (right, wrong) = ("assign signs_differ = (left[31] ^ right[31]) & !unsigned_;", "assign signs_differ = 1'b0;");
    processor().with_fault(right, wrong).is_refuted_by("writes_rd_what_the_specification_says");
}

#[test]
fn a_processor_that_jumps_to_no_word_is_found() {
    processor()
        .with_fault("if (jumps && target[1]) begin", "if (1'b0) begin")
        .is_refuted_by("what_retires_is_legal_and_does_not_trap");
}

#[test]
fn a_processor_that_puts_the_cause_elsewhere_is_found() {
    processor().with_fault("write_place = 6'd38;", "write_place = 6'd37;").is_refuted_by("mcause_is_the_cause");
}

//! Proofs without bound on time: `make formal`. Each block's properties are in `hdl/formal`; those of stages, the skid buffer and
//! the MSI-X table are seen to fail on a fault.
mod sby;

use rust_hdl::prelude::*;
use sby::Claim;
use virtio_hdl_rtl::cells::{HalfStage, Skid, Stage, StreamFifo};
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
    stream("stream_fifo", StreamFifo::<Bits<2>, 3>::default(), 8, 1, &files)
}
fn fifo_of_two() -> Claim {
    let files = ["stream_fifo_distributed.sv"];
    stream("stream_fifo_of_two", StreamFifo::<Bits<2>, 1>::default(), 2, 1, &files)
}
fn msix_table() -> Claim {
    Claim::new("pcie_msix_table", MsixTable::new(3), "", &["msix_table.sv"])
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
    skid().with_fault(right, wrong).is_refuted_by("holds_no_more_than_its_capacity");
}

#[test]
fn a_fifo_loses_and_invents_nothing() {
    fifo().holds();
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

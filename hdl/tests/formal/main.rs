//! Proofs without bound on time: `make formal`. Each block's properties are in `hdl/formal`; each proof is seen to fail on a fault.
mod sby;

use rust_hdl::prelude::*;
use sby::Claim;
use virtio_hdl_rtl::cells::{HalfStage, Skid, Stage, StreamFifo};
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
    stream("stream_fifo", StreamFifo::<Bits<2>, 3>::default(), 8, 1, &files)
}
fn fifo_of_two() -> Claim {
    let files = ["stream_fifo_distributed.sv"];
    stream("stream_fifo_of_two", StreamFifo::<Bits<2>, 1>::default(), 2, 1, &files)
}
fn block_ram_fifo() -> Claim {
    stream("stream_fifo_in_block_ram", StreamFifo::<Bits<2>, 5>::default(), 33, 2, &["stream_fifo_block.sv"])
}
fn msix_table() -> Claim {
    Claim::new("pcie_msix_table", MsixTable::new(3), "", &["msix_table.sv"])
}
fn splitter() -> Claim {
    Claim::new("dma_splitter", Splitter::default(), "", &["splitter.sv"])
}

/// Four tags, and a timeout of 16 cycles.
fn read_tags() -> Claim {
    let parameters = "localparam SLOT_BITS = 2, SLOTS = 4, TIMEOUT = 16;\n";
    Claim::new("dma_read_tags", TagTable::<2, 4>::new(16), parameters, &["read_tags.sv"])
}

macro_rules! proofs {
    ($($claim:ident: $holds:ident { $($fault:ident: $from:literal => $to:literal, $property:literal;)* })*) => {
        $(
            #[test]
            fn $holds() {
                $claim().holds();
            }
            $(
                #[test]
                fn $fault() {
                    $claim().with_fault($from, $to).is_refuted_by($property);
                }
            )*
        )*
    };
}

proofs! {
    stage: a_stage_loses_and_invents_nothing {
        a_stage_that_overwrites_its_beat_is_found:
            "assign input_ready = output_ready || !output_valid;" => "assign input_ready = 1'b1;", "waits_unchanged";
    }
    half_stage: a_half_stage_loses_and_invents_nothing {
        a_half_stage_that_gives_a_beat_twice_is_found:
            "output_valid <= !output_ready;" => "output_valid <= 1'b1;", "invents_nothing";
    }
    skid: a_skid_buffer_loses_and_invents_nothing {
        a_skid_buffer_that_forgets_its_spare_is_found:
            "output_valid <= push || !input_ready;" => "output_valid <= push;", "shows_a_beat_in_time";
    }
    fifo: a_fifo_loses_and_invents_nothing {
        a_fifo_that_overflows_is_found:
            "count == 4'd8 ||" => "count == 4'd9 ||", "the_flags_follow_the_count";
    }
    fifo_of_two: a_fifo_of_two_loses_and_invents_nothing {}
    block_ram_fifo: a_fifo_in_block_ram_loses_and_invents_nothing {
        a_fifo_in_block_ram_that_drops_a_beat_is_found:
            "memory[written] <= input_data" => "if (!pop) memory[written] <= input_data", "the_marked_beat_is_in_its_place";
    }
    msix_table: the_msix_table_loses_no_vector_and_sends_none_while_masked {
        an_msix_table_that_sends_a_masked_vector_is_found:
            "assign chosen_masked = function_mask | masked[chosen];" => "assign chosen_masked = function_mask;",
            "a_masked_vector_is_not_sent";
        an_msix_table_that_loses_a_pending_vector_is_found:
            "next_pending = next_pending | (64'd1 << chosen);" => "next_pending = 64'd1 << chosen;",
            "a_fired_vector_is_not_lost";
    }
    splitter: the_splitter_covers_each_transfer_within_the_limit_it_sampled {
        a_splitter_that_changes_its_limit_amid_a_transfer_is_found:
            "held_limit <= held_limit_next" => "held_limit <= limit", "the_last_is_marked_and_ends_the_transfer";
    }
    read_tags: every_read_tag_retires_once_and_is_not_reused_before_it_has_rested {
        a_read_tag_that_does_not_rest_is_found:
            "free <= steady & !resting;" => "free <= steady;", "no_tag_is_used_while_it_rests";
        a_read_tag_that_is_reused_is_found:
            "space = count < LIMIT_NARROW;" => "space = 1'b1;", "no_tag_is_used_while_it_is_outstanding";
    }
}

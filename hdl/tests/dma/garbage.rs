//! Every block with inputs that mean nothing and resets at any time: the evaluator and Verilator must agree.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::dma::types::{BufferDescriptor, ByteBeat, ReadRequest, ReadRetire, ScatterCommand, WriteRequest};
use virtio_hdl_rtl::dma::{Gather, Scatter, SizedReadEngine, WriteEngine};
use virtio_hdl_rtl::testing::{Bench, Port, Rng};
use virtio_hdl_rtl::tlp::types::CompletionBeat;

const CYCLES: usize = 3000;

/// Often short, sometimes anything.
fn length<const N: usize>(r: &mut Rng) -> Bits<N> {
    if r.chance(3, 4) {
        r.below(200).into()
    } else {
        Port::random(r)
    }
}

#[test]
fn read_engine_agrees_with_its_verilog_on_garbage() {
    SizedReadEngine::TAGS.into_iter().for_each(read_engine_of_tags_agrees_on_garbage);
}

fn read_engine_of_tags_agrees_on_garbage(tags: u16) {
    let name = format!("dma_read_garbage_{tags}");
    let mut b = Bench::new(&name, SizedReadEngine::new(tags, 64), |u| &mut u.clock);
    for _ in 0..CYCLES {
        b.cycle(
            |u, r| {
                u.reset.next = r.chance(1, 300);
                u.stop.next = r.chance(1, 50);
                u.max_read_request.next = Port::random(r);
                u.extended_tag.next = r.chance(9, 10);
                u.function_id.next = r.below(2).into();
                u.request.valid.next = r.chance(1, 2);
                u.request.data.next = ReadRequest {
                    address: Port::random(r),
                    length: length(r),
                    destination: Port::random(r),
                    client: Port::random(r),
                    slot: Port::random(r),
                };
                u.transmit.ready.next = r.chance(3, 4);
                u.completion.valid.next = r.chance(3, 4);
                u.completion.data.next = CompletionBeat {
                    data: Port::random(r),
                    first: r.chance(1, 2),
                    last: r.chance(1, 2),
                    tag: r.below(128).into(),
                    requester_id: r.below(2).into(),
                    status: (r.below(8) / 7).into(),
                    byte_count: length(r),
                    lower_address: Port::random(r),
                    length: (r.below(12)).into(),
                    poisoned: r.chance(1, 10),
                };
            },
            |_| (),
        );
    }
    b.finish();
}

#[test]
fn write_engine_agrees_with_its_verilog_on_garbage() {
    let mut b = Bench::new("dma_write_garbage", WriteEngine::default(), |u| &mut u.clock);
    for _ in 0..CYCLES {
        b.cycle(
            |u, r| {
                u.reset.next = r.chance(1, 300);
                u.stop.next = r.chance(1, 50);
                u.max_payload.next = Port::random(r);
                u.request.valid.next = r.chance(1, 2);
                u.request.data.next = WriteRequest {
                    address: Port::random(r),
                    length: length(r),
                    source: Port::random(r),
                    client: Port::random(r),
                };
                u.transmit.ready.next = r.chance(3, 4);
                u.read_data.next = Port::random(r);
            },
            |_| (),
        );
    }
    b.finish();
}

fn buffer(r: &mut Rng) -> BufferDescriptor {
    BufferDescriptor { address: Port::random(r), length: length(r), end: r.chance(1, 4), error: r.chance(1, 10) }
}

#[test]
fn gather_agrees_with_its_verilog_on_garbage() {
    let mut b = Bench::new("dma_gather_garbage", Gather::<6>::new(3), |u| &mut u.clock);
    for _ in 0..CYCLES {
        b.cycle(
            |u, r| {
                u.reset.next = r.chance(1, 300);
                u.max_read_request.next = Port::random(r);
                u.buffers.valid.next = r.chance(1, 2);
                u.buffers.data.next = buffer(r);
                u.request.ready.next = r.chance(3, 4);
                u.retire_valid.next = r.chance(1, 2);
                u.retire.next =
                    ReadRetire { client: (r.below(2) + 2).into(), slot: Port::random(r), error: r.chance(1, 10) };
                u.read_granted.next = r.chance(3, 4);
                u.read_data.next = Port::random(r);
                u.data.ready.next = r.chance(3, 4);
            },
            |_| (),
        );
    }
    b.finish();
}

#[test]
fn scatter_agrees_with_its_verilog_on_garbage() {
    let mut b = Bench::new("dma_scatter_garbage", Scatter::<6>::new(3), |u| &mut u.clock);
    for _ in 0..CYCLES {
        b.cycle(
            |u, r| {
                u.reset.next = r.chance(1, 300);
                u.buffers.valid.next = r.chance(1, 2);
                u.buffers.data.next = buffer(r);
                u.command.valid.next = r.chance(1, 2);
                u.command.data.next = ScatterCommand {
                    skip: length(r),
                    length: length(r),
                    head: Port::random(r),
                    used_length: Port::random(r),
                    drop: r.chance(1, 10),
                    more: r.chance(1, 3),
                    soon: r.chance(1, 3),
                };
                u.data.valid.next = r.chance(3, 4);
                u.data.data.next = ByteBeat {
                    data: Port::random(r),
                    count: Port::random(r),
                    last: Port::random(r),
                    error: Port::random(r),
                };
                u.request.ready.next = r.chance(3, 4);
                u.read_past.next = r.chance(1, 4);
                u.read_word.next = Port::random(r);
                u.done.next = r.chance(1, 4);
                u.used.ready.next = r.chance(3, 4);
            },
            |_| (),
        );
    }
    b.finish();
}

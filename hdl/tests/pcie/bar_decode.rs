//! BAR decoding by address.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::pcie::BarDecode;
use virtio_hdl_rtl::testing::{Bench, Rng};
use virtio_hdl_rtl::tlp::types::{Request, RequestKind};

/// What config space says of the BARs.
#[derive(Clone, Copy, Debug)]
pub struct State {
    pub io_enable: bool,
    pub memory_enable: bool,
    pub d3hot: bool,
    pub bar0: u64,
    pub bar1: u64,
}

/// The BARs of a function; 0 bytes: not there.
#[derive(Clone, Copy)]
pub struct Shape {
    pub bar0_is_io: bool,
    pub bar0_size: u64,
    pub bar1_size: u64,
}

/// Which BARs a request hits: BAR0 in bit 0, BAR1 in bit 1.
pub fn bar_hit(request: &Request, state: &State, shape: &Shape) -> u64 {
    let memory = matches!(request.kind, RequestKind::MemoryRead | RequestKind::MemoryWrite) && state.memory_enable;
    let io = matches!(request.kind, RequestKind::IoRead | RequestKind::IoWrite) && state.io_enable;
    let inside = |base: u64, size: u64| (base..base + size).contains(&request.address.to_u64());
    let bar0 = (if shape.bar0_is_io { io } else { memory }) && inside(state.bar0, shape.bar0_size);
    let bar1 = memory && inside(state.bar1, shape.bar1_size);
    u64::from(bar0) | u64::from(bar1) << 1
}

/// The decoder, which has no clock, with registers behind it.
#[derive(LogicBlock)]
struct Registered {
    clock: Signal<In, Clock>,
    request: Signal<In, Request>,
    io_enable: Signal<In, Bit>,
    memory_enable: Signal<In, Bit>,
    bar0_base: Signal<In, Bits<32>>,
    bar1_base: Signal<In, Bits<32>>,
    hit: Signal<Out, Bits<2>>,
    decode: BarDecode,
    held: DFF<Bits<2>>,
}

impl Registered {
    fn new(decode: BarDecode) -> Self {
        Self {
            clock: Default::default(),
            request: Default::default(),
            io_enable: Default::default(),
            memory_enable: Default::default(),
            bar0_base: Default::default(),
            bar1_base: Default::default(),
            hit: Default::default(),
            decode,
            held: Default::default(),
        }
    }
}

impl Logic for Registered {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held);
        self.decode.request.next = self.request.val();
        self.decode.io_enable.next = self.io_enable.val();
        self.decode.memory_enable.next = self.memory_enable.val();
        self.decode.bar0_base.next = self.bar0_base.val();
        self.decode.bar1_base.next = self.bar1_base.val();
        self.held.d.next = self.decode.hit.val();
        self.hit.next = self.held.q.val();
    }
}

fn random(name: &str, shape: Shape) {
    const KINDS: [RequestKind; 7] = [
        RequestKind::MemoryRead,
        RequestKind::MemoryWrite,
        RequestKind::IoRead,
        RequestKind::IoWrite,
        RequestKind::ConfigRead,
        RequestKind::ConfigWrite,
        RequestKind::Unsupported,
    ];
    let uut = BarDecode::new(shape.bar0_is_io, shape.bar0_size as u32, shape.bar1_size as u32);
    let mut bench = Bench::new(name, Registered::new(uut), |uut| &mut uut.clock);
    let mut before = 0;
    let mut rng = Rng(7);
    let mut hits = [0; 4];
    for _ in 0..4000 {
        let state = State {
            io_enable: rng.chance(7, 8),
            memory_enable: rng.chance(7, 8),
            d3hot: false,
            bar0: rng.below(1 << 24) * shape.bar0_size,
            bar1: rng.below(1 << 20) * 4096,
        };
        let (near, size) = match rng.below(3) {
            0 => (state.bar0, shape.bar0_size),
            1 => (state.bar1, 4096),
            _ => (rng.below(1 << 31) + 4096, 4096),
        };
        let above = if rng.chance(1, 16) { 1 << 32 } else { 0 };
        let request = Request {
            kind: KINDS[rng.below(7) as usize],
            // from just below to just behind
            address: (above + near + rng.below(3 * size) / 4 * 4 - size.min(near)).into(),
            ..Default::default()
        };
        let want = bar_hit(&request, &state, &shape);
        bench.cycle(
            |uut, _| {
                uut.io_enable.next = state.io_enable;
                uut.memory_enable.next = state.memory_enable;
                uut.bar0_base.next = state.bar0.into();
                uut.bar1_base.next = state.bar1.into();
                uut.request.next = request;
            },
            |uut| assert_eq!(uut.hit.val().to_u64(), before, "{name}"),
        );
        before = want;
        hits[want as usize] += 1;
    }
    assert!(hits[0] > 100 && hits[1] > 20, "{hits:?}");
    assert_eq!(hits[2] > 20, shape.bar1_size > 0, "{hits:?}");
    bench.finish();
}

/// Only an enabled BAR is hit, only by requests of its space, and only below 4 GiB.
#[test]
fn a_bar_is_hit_from_its_first_byte_to_its_last() {
    random("pcie_bar_decode_io", Shape { bar0_is_io: true, bar0_size: 64, bar1_size: 4096 });
    random("pcie_bar_decode_memory", Shape { bar0_is_io: false, bar0_size: 128, bar1_size: 4096 });
    random("pcie_bar_decode_alone", Shape { bar0_is_io: true, bar0_size: 32, bar1_size: 0 });
}

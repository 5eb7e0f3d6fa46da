//! The leaf cells: rust-hdl's evaluator against Verilator, and both against a plain Rust model.
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::cells::*;
use virtio_hdl_rtl::comment;
use virtio_hdl_rtl::testing::{Bench, Port, Rng};

/// Phases of a sender that idles, a receiver that blocks, and both at full speed; reset now and then.
fn stream_phase<T: Port>(
    reset: &mut Signal<In, Bit>,
    input: &mut Sink<T>,
    output: &mut Source<T>,
    rng: &mut Rng,
    cycle: u64,
) {
    let (send, take) = [(4, 4), (1, 4), (4, 1), (2, 2), (4, 0), (0, 4)][cycle as usize / 60 % 6];
    reset.next = rng.chance(1, 400);
    input.data.next = T::random(rng);
    input.valid.next = rng.chance(send, 4);
    output.ready.next = rng.chance(take, 4);
}

/// What came out is what went in, in order, and never more than `capacity` inside.
struct Queue<T> {
    inside: VecDeque<T>,
    capacity: usize,
    moved: usize,
}

impl<T: Synth> Queue<T> {
    fn new(capacity: usize) -> Self {
        Self { inside: VecDeque::new(), capacity, moved: 0 }
    }
    fn step(&mut self, reset: &Signal<In, Bit>, input: &Sink<T>, output: &Source<T>) {
        if output.valid.val() {
            assert_eq!(self.inside.front(), Some(&output.data.val()));
            if output.ready.val() {
                self.inside.pop_front();
                self.moved += 1;
            }
        }
        if input.valid.val() && input.ready.val() {
            self.inside.push_back(input.data.val());
        }
        assert!(self.inside.len() <= self.capacity);
        if reset.val() {
            self.inside.clear();
        }
    }
}

macro_rules! stream_cell {
    ($test:ident, $uut:ty, $data:ty, $capacity:expr) => {
        #[test]
        fn $test() {
            let mut queue = Queue::<$data>::new($capacity);
            let mut bench = Bench::new(stringify!($test), <$uut>::default(), |u| &mut u.clock);
            for cycle in 0..3000 {
                bench.cycle(
                    |u, rng| stream_phase(&mut u.reset, &mut u.input, &mut u.output, rng, cycle),
                    |u| queue.step(&u.reset, &u.input, &u.output),
                );
            }
            bench.finish();
            assert!(queue.moved > 600, "only {} beats moved", queue.moved);
        }
    };
}

stream_cell!(skid_wide, Skid<Bits<145>>, Bits<145>, 2);
stream_cell!(skid_bit, Skid<Bit>, Bit, 2);
stream_cell!(stage_wide, Stage<Bits<145>>, Bits<145>, 1);
stream_cell!(stage_bit, Stage<Bit>, Bit, 1);
stream_cell!(half_stage_wide, HalfStage<Bits<103>>, Bits<103>, 1);
stream_cell!(fifo_small, StreamFifo<Bits<133>, 2>, Bits<133>, 4);
stream_cell!(fifo_two, StreamFifo<Bits<8>, 1>, Bits<8>, 2);
stream_cell!(fifo_block_ram, StreamFifo<Bits<70>, 5>, Bits<70>, 33);

/// Filled and emptied by turns.
#[test]
fn half_stage_moves_a_beat_in_two_cycles() {
    let mut bench = Bench::new("half_stage_rate", HalfStage::<Bits<16>>::default(), |u| &mut u.clock);
    let mut out = vec![];
    for cycle in 0..100u64 {
        bench.cycle(
            |u, _| {
                u.input.data.next = cycle.into();
                u.input.valid.next = true;
                u.output.ready.next = true;
            },
            |u| out.extend(u.output.valid.val().then(|| (cycle, u.output.data.val().to_u64()))),
        );
    }
    bench.finish();
    let want: Vec<_> = (0..50).map(|beat| (2 * beat + 1, 2 * beat)).collect();
    assert_eq!(out, want);
}

/// One beat in and one out per cycle once running, and the latency the documentation says.
#[test]
fn stream_cells_run_at_full_rate() {
    macro_rules! full_rate {
        ($name:expr, $uut:ty, $latency:expr) => {{
            let mut bench = Bench::new($name, <$uut>::default(), |u| &mut u.clock);
            let mut out = vec![];
            for cycle in 0..100u64 {
                bench.cycle(
                    |u, _| {
                        u.input.data.next = cycle.into();
                        u.input.valid.next = true;
                        u.output.ready.next = true;
                    },
                    |u| {
                        assert!(u.input.ready.val());
                        if u.output.valid.val() {
                            out.push((cycle, u.output.data.val().to_u64()));
                        }
                    },
                );
            }
            bench.finish();
            let want: Vec<_> = ($latency..100u64).map(|cycle| (cycle, cycle - $latency)).collect();
            assert_eq!(out, want);
        }};
    }
    full_rate!("skid_rate", Skid<Bits<16>>, 1);
    full_rate!("stage_rate", Stage<Bits<16>>, 1);
    full_rate!("fifo_rate_small", StreamFifo<Bits<16>, 3>, 1);
    full_rate!("fifo_rate_block_ram", StreamFifo<Bits<16>, 5>, 2);
}

/// A register of a struct resets to what its constructor says, and holds what it is given.
#[test]
fn register() {
    use virtio_hdl_rtl::dma::types::ReadRetire;
    let initial = ReadRetire { client: 5.into(), slot: 33.into(), error: true };
    let mut bench = Bench::new("register", Reg::new(initial), |u| &mut u.clock);
    let mut model = initial;
    for _ in 0..500 {
        bench.cycle(
            |u, rng| {
                u.reset.next = rng.chance(1, 8);
                u.d.next = Port::random(rng);
            },
            |u| {
                assert_eq!(u.q.val(), model);
                model = if u.reset.val() { initial } else { u.d.val() };
            },
        );
    }
    bench.finish();
}

#[test]
fn lane_ram() {
    let mut model = [[0u8; 8]; 16];
    // nothing is promised of a word that was written while it was read
    let mut read: Option<u64> = None;
    let mut bench = Bench::new("lane_ram", LaneRam::<64, 4, 8>::default(), |u| &mut u.clock);
    for _ in 0..3000 {
        bench.cycle(
            |u, rng| {
                u.raddr.next = Port::random(rng);
                u.waddr.next = Port::random(rng);
                u.wdata.next = Port::random(rng);
                u.wen.next = Port::random(rng);
            },
            |u| {
                assert!(read.is_none_or(|read| u.rdata.val().to_u64() == read));
                let collision = u.wen.val().any() && u.waddr.val() == u.raddr.val();
                read = (!collision).then(|| u64::from_le_bytes(model[u.raddr.val().index()]));
                for lane in (0..8).filter(|lane| u.wen.val().get_bit(*lane)) {
                    model[u.waddr.val().index()][lane] = u.wdata.val().to_u64().to_le_bytes()[lane];
                }
            },
        );
    }
    bench.finish();
}

#[test]
fn block_ram() {
    let mut model = [0u64; 8];
    // nothing is promised of a word that was written while it was read
    let mut read: Option<u64> = None;
    let mut bench = Bench::new("block_ram", BlockRam::<37, 3>::default(), |u| &mut u.clock);
    for _ in 0..2000 {
        bench.cycle(
            |u, rng| {
                u.raddr.next = Port::random(rng);
                u.waddr.next = Port::random(rng);
                u.wdata.next = Port::random(rng);
                u.wen.next = Port::random(rng);
            },
            |u| {
                assert!(read.is_none_or(|read| u.rdata.val().to_u64() == read));
                let collision = u.wen.val() && u.waddr.val() == u.raddr.val();
                read = (!collision).then(|| model[u.raddr.val().index()]);
                if u.wen.val() {
                    model[u.waddr.val().index()] = u.wdata.val().to_u64();
                }
            },
        );
    }
    bench.finish();
}

/// The multiplexer, which has no clock, in a block with one.
#[derive(virtio_hdl_rtl::block::Block)]
struct Mux4World {
    pub clock: Signal<In, Clock>,
    pub inputs: [Signal<In, Bits<5>>; 4],
    pub select: Signal<In, Bits<2>>,
    pub chosen: Signal<Out, Bits<5>>,
    mux: Mux4<Bits<5>>,
}

impl Logic for Mux4World {
    #[hdl_gen]
    fn update(&mut self) {
        comment!("module mux4_world: a multiplexer");
        for i in 0..4 {
            self.mux.inputs[i].next = self.inputs[i].val();
        }
        self.mux.select.next = self.select.val();
        self.chosen.next = self.mux.chosen.val();
    }
}

#[test]
fn mux4() {
    let mut bench = Bench::new("mux4", Mux4World::default(), |u| &mut u.clock);
    for _ in 0..2000 {
        bench.cycle(
            |u, rng| {
                u.inputs.iter_mut().for_each(|input| input.next = Port::random(rng));
                u.select.next = Port::random(rng);
            },
            |u| assert_eq!(u.chosen.val(), u.inputs[u.select.val().index()].val()),
        );
    }
    bench.finish();
}

#[test]
fn lut_ram() {
    let mut model = [0u64; 8];
    let mut bench = Bench::new("lut_ram", LutRam::<37, 3>::default(), |u| &mut u.clock);
    for _ in 0..2000 {
        bench.cycle(
            |u, rng| {
                u.waddr.next = Port::random(rng);
                u.wdata.next = Port::random(rng);
                u.wen.next = Port::random(rng);
                u.raddr.next = Port::random(rng);
            },
            |u| {
                assert_eq!(u.rdata.val().to_u64(), model[u.raddr.val().index()]);
                if u.wen.val() {
                    model[u.waddr.val().index()] = u.wdata.val().to_u64();
                }
            },
        );
    }
    bench.finish();
}

/// Two edges behind, and high from a reset on.
#[test]
fn synchroniser() {
    let mut seen = [true; 2];
    let mut bench = Bench::new("synchroniser", Synchroniser::default(), |u| &mut u.clock);
    for _ in 0..2000 {
        bench.cycle(
            |u, rng| {
                u.asynchronous.next = Port::random(rng);
                u.reset.next = rng.chance(1, 20);
            },
            |u| {
                assert_eq!(u.synchronous.val(), seen[1]);
                seen = if u.reset.val() { [true; 2] } else { [u.asynchronous.val(), seen[0]] };
            },
        );
    }
    bench.finish();
}

#[test]
fn two_write_ram() {
    let mut model = [0u64; 8];
    let mut bench = Bench::new("two_write_ram", TwoWriteRam::<5, 3>::default(), |u| &mut u.clock);
    for _ in 0..2000 {
        bench.cycle(
            |u, rng| {
                let (first, other) = (rng.below(8), 1 + rng.below(7));
                u.first_waddr.next = first.into();
                u.second_waddr.next = ((first + other) % 8).into();
                u.first_wdata.next = Port::random(rng);
                u.second_wdata.next = Port::random(rng);
                u.first_wen.next = Port::random(rng);
                u.second_wen.next = Port::random(rng);
                u.raddr.next = Port::random(rng);
            },
            |u| {
                assert_eq!(u.rdata.val().to_u64(), model[u.raddr.val().index()]);
                if u.first_wen.val() {
                    model[u.first_waddr.val().index()] = u.first_wdata.val().to_u64();
                }
                if u.second_wen.val() {
                    model[u.second_waddr.val().index()] = u.second_wdata.val().to_u64();
                }
            },
        );
    }
    bench.finish();
}

/// What it holds at first is what it was given, in both languages; each byte is written by itself.
fn program_ram(has_register: bool) {
    let image: Vec<u32> = (0..11).map(|word: u32| 0x9e37_79b9_u32.wrapping_mul(word + 1)).collect();
    let mut model = [0u32; 16];
    // behind the last word the first one comes again
    let place = |word: Bits<14>| word.index() % 16;
    model[..11].copy_from_slice(&image);
    // nothing is promised of a word that was written while it was read
    let mut read = [None; 2];
    let name = if has_register { "program_ram_registered" } else { "program_ram" };
    let mut bench = Bench::new(name, ProgramRam::new(16, &image, has_register), |u| &mut u.clock);
    let mut written = 0;
    for cycle in 0..3000 {
        bench.cycle(
            |u, rng| {
                u.raddr.next = Port::random(rng);
                u.waddr.next = Port::random(rng);
                u.wdata.next = Port::random(rng);
                u.wen.next = if cycle < 100 { 0.into() } else { Port::random(rng) };
            },
            |u| {
                let seen: Option<u32> = read[usize::from(has_register)];
                assert!(seen.is_none_or(|read| u.rdata.val().to_u64() == u64::from(read)), "cycle {cycle}");
                let enable = u.wen.val().to_u64();
                let collision = enable != 0 && place(u.waddr.val()) == place(u.raddr.val());
                read = [(!collision).then(|| model[place(u.raddr.val())]), read[0]];
                let mut bytes = model[place(u.waddr.val())].to_le_bytes();
                for lane in (0..4).filter(|lane| enable >> lane & 1 == 1) {
                    bytes[lane] = (u.wdata.val().to_u64() as u32).to_le_bytes()[lane];
                    written += 1;
                }
                model[place(u.waddr.val())] = u32::from_le_bytes(bytes);
            },
        );
    }
    assert!(written > 3000, "{written} bytes written");
    bench.finish();
}

#[test]
fn program_ram_holds_its_image() {
    program_ram(false);
}

#[test]
fn program_ram_with_an_output_register_holds_its_image() {
    program_ram(true);
}

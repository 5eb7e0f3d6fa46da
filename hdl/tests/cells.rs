//! The leaf cells: rust-hdl's evaluator against Verilator, and both against a plain Rust model.
use rust_hdl::prelude::*;
use std::collections::VecDeque;
use virtio_hdl_rtl::cells::*;
use virtio_hdl_rtl::testing::{ports, Diff, Port, PortInfo, Rng};
use virtio_hdl_rtl::{drive_random, log_fields, verilog};

fn connected<U: Block>(mut uut: U) -> U {
    uut.connect_all();
    check_all(&uut).unwrap();
    uut
}

fn compare(name: &str, text: &str, ports: &[PortInfo], stim: String, expect: String) {
    let mut diff = Diff::new(name);
    (diff.stim, diff.expect) = (stim, expect);
    for (port, wrong, cycles, first) in diff.run(text, ports, &[]) {
        assert!(cycles > 0 && wrong == 0, "{name}.{port}: {wrong} of {cycles} cycles differ, {first}");
    }
}

/// Runs a cell with random inputs; `$step` sees the cell after the outputs have settled, before the edge.
macro_rules! differential {
    ($name:expr, $uut:expr, $cycles:expr; $($i:ident).+ $(, $($is:ident).+)*; $($($o:ident).+),*; $adjust:expr, $step:expr) => {{
        let mut uut = connected($uut);
        let (text, ports) = (verilog::generate(&uut, "top"), ports(&uut));
        let (mut stim, mut expect, mut rng) = (String::new(), String::new(), Rng(0x5eed));
        for cycle in 0..$cycles {
            uut.clock.next = false.into();
            let mut unused = String::new();
            drive_random!(uut, &mut rng, unused; $($i).+ $(, $($is).+)*);
            $adjust(&mut uut, &mut rng, cycle);
            stim.push_str(&uut.$($i).+.next.hex());
            $( stim.push(' '); stim.push_str(&uut.$($is).+.next.hex()); )*
            stim.push('\n');
            assert!(simulate(&mut uut, 100));
            log_fields!(uut, expect; $($($o).+),*);
            $step(&uut);
            uut.clock.next = true.into();
            assert!(simulate(&mut uut, 100));
        }
        compare($name, &text, &ports, stim, expect);
    }};
}

/// Reset now and then; phases of a sender that idles, a receiver that blocks, and both at full speed.
fn stream_phase(
    reset: &mut Signal<In, Bit>,
    valid: &mut Signal<In, Bit>,
    ready: &mut Signal<In, Bit>,
    rng: &mut Rng,
    cycle: usize,
) {
    reset.next = rng.chance(1, 400);
    let (send, take) = [(4, 4), (1, 4), (4, 1), (2, 2), (4, 0), (0, 4)][cycle / 60 % 6];
    valid.next = rng.chance(send, 4);
    ready.next = rng.chance(take, 4);
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
            differential!(
                stringify!($test), <$uut>::default(), 3000;
                reset, input.data, input.valid, output.ready; input.ready, output.data, output.valid;
                |u: &mut $uut, r: &mut Rng, cycle| stream_phase(
                    &mut u.reset, &mut u.input.valid, &mut u.output.ready, r, cycle
                ),
                |u: &$uut| queue.step(&u.reset, &u.input, &u.output)
            );
            assert!(queue.moved > 900, "only {} beats moved", queue.moved);
        }
    };
}

stream_cell!(skid_wide, Skid<Bits<145>>, Bits<145>, 2);
stream_cell!(skid_bit, Skid<Bit>, Bit, 2);
stream_cell!(fifo_small, StreamFifo<Bits<133>, 2>, Bits<133>, 5);
stream_cell!(fifo_two, StreamFifo<Bits<8>, 1>, Bits<8>, 3);
stream_cell!(fifo_block_ram, StreamFifo<Bits<70>, 5>, Bits<70>, 33);

/// One beat in and one out per cycle once running, and the latency the documentation says.
#[test]
fn stream_cells_run_at_full_rate() {
    macro_rules! full_rate {
        ($uut:ty, $latency:expr) => {{
            let mut uut = connected(<$uut>::default());
            let mut out = vec![];
            for cycle in 0..100u64 {
                uut.clock.next = false.into();
                uut.input.data.next = cycle.into();
                uut.input.valid.next = true;
                uut.output.ready.next = true;
                assert!(simulate(&mut uut, 10));
                assert!(uut.input.ready.val());
                if uut.output.valid.val() {
                    out.push((cycle, uut.output.data.val().to_u64()));
                }
                uut.clock.next = true.into();
                assert!(simulate(&mut uut, 10));
            }
            let want: Vec<_> = ($latency..100u64).map(|c| (c, c - $latency)).collect();
            assert_eq!(out, want);
        }};
    }
    full_rate!(Skid<Bits<16>>, 1);
    full_rate!(StreamFifo<Bits<16>, 3>, 1);
    full_rate!(StreamFifo<Bits<16>, 5>, 2);
}

#[test]
fn sdp_ram() {
    type Uut = SdpRam<64, 4, 8>;
    let mut model = [[0u8; 8]; 16];
    let mut read: Option<u64> = None;
    differential!("sdp_ram", Uut::default(), 3000; raddr, waddr, wdata, wen; rdata; |_: &mut Uut, _: &mut Rng, _| (),
    |u: &Uut| {
        if let Some(v) = read {
            assert_eq!(u.rdata.val().to_u64(), v);
        }
        read = Some(u64::from_le_bytes(model[u.raddr.val().index()]));
        for lane in 0..8 {
            if u.wen.val().get_bit(lane) {
                model[u.waddr.val().index()][lane] = u.wdata.val().to_u64().to_le_bytes()[lane];
            }
        }
    });
}

#[test]
fn sdp_ram_one_lane() {
    type Uut = SdpRam<9, 3, 1>;
    differential!("sdp_ram_one_lane", Uut::default(), 1000; raddr, waddr, wdata, wen; rdata;
        |_: &mut Uut, _: &mut Rng, _| (), |_: &Uut| ());
}

#[test]
fn lut_ram() {
    type Uut = LutRam<37, 3>;
    let mut model = [0u64; 8];
    differential!("lut_ram", Uut::default(), 2000; waddr, wdata, wen, raddr; rdata; |_: &mut Uut, _: &mut Rng, _| (),
    |u: &Uut| {
        assert_eq!(u.rdata.val().to_u64(), model[u.raddr.val().index()]);
        if u.wen.val() {
            model[u.waddr.val().index()] = u.wdata.val().to_u64();
        }
    });
}

/// As a byte memory: unaligned 16-byte writes, unaligned reads.
#[test]
fn banked_ram() {
    type Uut = BankedRam<3>;
    let mut model = [0u8; 256];
    let mut read: Option<[u128; 2]> = None;
    differential!("banked_ram", Uut::default(), 3000;
    write_even_index, write_odd_index, write_even_enable, write_odd_enable, write_data, read_even_index, read_odd_index;
    read_even_data, read_odd_data;
    |u: &mut Uut, r: &mut Rng, _| {
        // reading the word just being written is not defined
        while u.read_even_index.next == u.write_even_index.next { u.read_even_index.next = Port::random(r); }
        while u.read_odd_index.next == u.write_odd_index.next { u.read_odd_index.next = Port::random(r); }
    },
    |u: &Uut| {
        let word = |model: &[u8; 256], w: usize| u128::from_le_bytes(model[w * 16..][..16].try_into().unwrap());
        if let Some([even, odd]) = read {
            assert_eq!((u.read_even_data.val().to_u128(), u.read_odd_data.val().to_u128()), (even, odd));
        }
        read = Some([word(&model, u.read_even_index.val().index() * 2), word(&model, u.read_odd_index.val().index() * 2 + 1)]);
        let data = u.write_data.val().to_u128().to_le_bytes();
        for lane in 0..16 {
            if u.write_even_enable.val().get_bit(lane) {
                model[u.write_even_index.val().index() * 32 + lane] = data[lane];
            }
            if u.write_odd_enable.val().get_bit(lane) {
                model[u.write_odd_index.val().index() * 32 + 16 + lane] = data[lane];
            }
        }
    });
}

//! Expressions that rust-hdl's own printer gets wrong, and the idioms of the code base: evaluator against Verilator.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::cells::{Bank, Reg};
use virtio_hdl_rtl::impl_port;
use virtio_hdl_rtl::testing::{Bench, Port};

#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
enum Op {
    Read,
    Write,
    Flush,
}
#[derive(Copy, Clone, Debug, PartialEq, Default, LogicStruct)]
struct Job {
    op: Op,
    tag: Bits<5>,
    address: Bits<40>,
    last: bool,
}
impl_port!(Op: Read, Write, Flush);
impl_port!(Job { op, tag, address, last });

/// One line per trap.
#[derive(LogicBlock, Default)]
struct Traps {
    clock: Signal<In, Clock>,
    a: Signal<In, Bits<8>>,
    b: Signal<In, Bits<8>>,
    n: Signal<In, Bits<3>>,
    sx: Signal<In, Signed<8>>,
    sy: Signal<In, Signed<8>>,
    job: Signal<In, Job>,
    precedence: Signal<Out, Bits<4>>,
    wraps: Signal<Out, Bits<4>>,
    carry: Signal<Out, Bits<9>>,
    inverted: Signal<Out, Bits<16>>,
    slices: Signal<Out, Bits<8>>,
    far: Signal<Out, Bits<3>>,
    replaced: Signal<Out, Bits<8>>,
    built: Signal<Out, Bits<8>>,
    smaller: Signal<Out, Bits<3>>,
    product: Signal<Out, Bits<32>>,
    out: Signal<Out, Job>,
    fields: Signal<Out, Bits<9>>,
    late: Signal<Out, Bits<4>>,
    bits: Signal<Local, Bits<9>>,
    part: Signal<Local, Bits<8>>,
}

impl Logic for Traps {
    #[hdl_gen]
    fn update(&mut self) {
        self.precedence.next = 0.into();
        self.precedence.next = bits::<4>(0)
            .replace_bit(0, (self.a.val() & self.b.val()) == 3)
            .replace_bit(1, (self.a.val() | self.b.val()) != 255)
            .replace_bit(2, (self.a.val() & self.b.val()) == self.a.val())
            .replace_bit(3, (self.a.val() ^ self.b.val()) >= self.a.val());
        self.wraps.next = bits::<4>(0)
            .replace_bit(0, self.a.val() + 1 == self.b.val())
            .replace_bit(1, (self.a.val() + 1) >> 1 == self.b.val())
            .replace_bit(2, !self.a.val() == 0xF0)
            .replace_bit(3, self.a.val() - self.b.val() < 16);
        self.carry.next = bit_cast::<9, 8>(self.a.val() + self.b.val());
        self.inverted.next = bit_cast::<16, 8>(!self.a.val());
        self.slices.next = (self.a.val() + self.b.val()).get_bits::<4>(2).get_bits::<8>(0);
        self.far.next = self.a.val().get_bits::<3>(self.n.val().index());
        self.replaced.next = self.a.val().replace_bit(self.n.val().index(), self.b.val().get_bit(0));
        self.built.next = self.b.val();
        for i in 0..4 {
            self.built.next = self.built.val().replace_bit(2 * i, self.a.val().get_bit(i + 1));
        }
        self.smaller.next = bits::<3>(0)
            .replace_bit(0, self.sx.val() < self.sy.val())
            .replace_bit(1, self.sx.val() < 3.into())
            .replace_bit(2, self.n.val().index() == 9);
        self.product.next = 0.into();
        if self.a.val().any() {
            self.product.next = bit_cast::<32, 8>(self.a.val()) << self.n.val();
        }
        self.out.next = self.job.val();
        if self.job.val().op == Op::Flush {
            self.out.next.op = Op::Read;
            self.out.next.address = bit_cast::<40, 8>(self.b.val());
        }
        self.bits.next = 0.into();
        match self.job.val().op {
            Op::Read => self.bits.next = 1.into(),
            Op::Write => self.bits.next = bit_cast::<9, 5>(self.job.val().tag) << 2,
            Op::Flush => {
                if self.job.val().last {
                    self.bits.next = 0x1ff.into();
                }
            }
        }
        self.fields.next = self.bits.val();
        // a bit that only this branch knows, replaced before the value is cut
        self.part.next = self.a.val();
        self.late.next = 0.into();
        if self.a.val().get_bit(0) {
            self.part.next = self.b.val();
            self.late.next = bit_cast::<4, 8>(self.b.val().replace_bit(0, self.part.val().get_bit(7)));
        }
    }
}

#[test]
fn traps() {
    let mut bench = Bench::new("printer_traps", Traps::default(), |u| &mut u.clock);
    for _ in 0..4000 {
        bench.cycle(
            |u, rng| {
                u.a.next = Port::random(rng);
                // near the first: comparisons are true now and then
                u.b.next = if rng.chance(1, 2) { u.a.next + rng.below(3) } else { Port::random(rng) };
                u.n.next = Port::random(rng);
                u.sx.next = Port::random(rng);
                u.sy.next = Port::random(rng);
                u.job.next = Port::random(rng);
            },
            |_| (),
        );
    }
    bench.finish();
}

/// Registers of structs, in a bank, with an enum; reset to other values than zero.
#[derive(LogicBlock)]
struct Registers {
    clock: Signal<In, Clock>,
    reset: Signal<In, Bit>,
    job: Signal<In, Job>,
    select: Signal<In, Bits<2>>,
    load: Signal<In, Bit>,
    out: Signal<Out, Job>,
    plain: DFF<Job>,
    bank: Bank<Reg<Job>, 3>,
    count: Reg<Bits<8>>,
    counted: Signal<Out, Bits<8>>,
}

impl Default for Registers {
    fn default() -> Self {
        let initial = Job { op: Op::Flush, tag: 17.into(), address: 0x12_3456_789a_u64.into(), last: true };
        Self {
            clock: Default::default(),
            reset: Default::default(),
            job: Default::default(),
            select: Default::default(),
            load: Default::default(),
            out: Default::default(),
            plain: Default::default(),
            bank: Bank::from_fn(|_| Reg::new(initial)),
            count: Reg::new(200.into()),
            counted: Default::default(),
        }
    }
}

impl Logic for Registers {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, plain, count);
        self.count.reset.next = self.reset.val();
        self.out.next = self.plain.q.val();
        for i in 0..3 {
            self.bank[i].clock.next = self.clock.val();
            self.bank[i].reset.next = self.reset.val();
            self.bank[i].d.next = self.bank[i].q.val();
            if self.select.val().index() == i {
                self.out.next = self.bank[i].q.val();
                if self.load.val() {
                    self.bank[i].d.next = self.job.val();
                }
            }
        }
        if self.load.val() {
            self.plain.d.next = self.job.val();
            self.count.d.next = self.count.q.val() + 1;
        }
        self.counted.next = self.count.q.val();
    }
}

#[test]
fn registers() {
    let mut bench = Bench::new("printer_registers", Registers::default(), |u| &mut u.clock);
    for _ in 0..2000 {
        bench.cycle(
            |u, rng| {
                u.reset.next = rng.chance(1, 30);
                u.job.next = Port::random(rng);
                u.select.next = Port::random(rng);
                u.load.next = rng.chance(1, 3);
            },
            |_| (),
        );
    }
    bench.finish();
}

/// A register whose name, or whose next value's name, is taken by a port or local.
#[derive(LogicBlock, Default)]
struct Clash {
    clock: Signal<In, Clock>,
    value: Signal<In, Bits<8>>,
    count_next: Signal<Out, Bits<8>>,
    count: Reg<Bits<8>>,
    plain: DFF<Bits<8>>,
}

impl Logic for Clash {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, count, plain);
        self.count.reset.next = false;
        self.plain.d.next = self.value.val();
        self.count.d.next = self.count.q.val() + self.plain.q.val();
        self.count_next.next = self.count.q.val();
    }
}

#[test]
fn register_names_belong_together() {
    let mut bench = Bench::new("printer_clash", Clash::default(), |u| &mut u.clock);
    for name in ["reg  [7:0] count_reg;", "count_reg <= count_reg + plain;", "plain <= value;"] {
        assert!(bench.verilog().contains(name), "{name}:\n{}", bench.verilog());
    }
    for _ in 0..100 {
        bench.cycle(|u, rng| u.value.next = Port::random(rng), |_| ());
    }
    bench.finish();
}

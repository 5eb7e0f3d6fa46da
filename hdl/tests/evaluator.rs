//! What `derive(Block)` has the evaluator do: a block is evaluated at first, and then when it is told something new, and not else.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::block::Block;
use virtio_hdl_rtl::cells::{Bank, Reg, Sink, Source};

/// A parity of all its inputs, of each kind that there is, and how often that was computed.
#[derive(Block)]
struct Parity {
    clock: Signal<In, Clock>,
    reset: Signal<In, Bit>,
    single: Signal<In, Bit>,
    several: [Signal<In, Bit>; 2],
    input: Sink<Bits<200>>,
    output: Source<Bits<200>>,
    odd: Signal<Out, Bit>,
    before: Signal<Out, Bit>,
    last: Reg<Bit>,
    bank: Bank<Reg<Bit>, 2>,
    _steps: usize,
}

impl Logic for Parity {
    fn update(&mut self) {
        self._steps += 1;
        self.odd.next = !(self.single.val()
            ^ self.several[0].val()
            ^ self.several[1].val()
            ^ self.input.valid.val()
            ^ self.input.data.val().get_bit(199)
            ^ self.output.ready.val());
        self.last.d.next = self.odd.val();
        self.before.next = self.last.q.val();
    }
}

/// One inside of another, whose inputs come a step later.
#[derive(Block)]
struct Outer {
    clock: Signal<In, Clock>,
    reset: Signal<In, Bit>,
    single: Signal<In, Bit>,
    odd: Signal<Out, Bit>,
    before: Signal<Out, Bit>,
    inner: Parity,
}

impl Logic for Outer {
    fn update(&mut self) {
        self.inner.single.next = self.single.val();
        self.odd.next = self.inner.odd.val();
        self.before.next = self.inner.before.val();
    }
}

fn settle<U: Block>(uut: &mut U) {
    assert!(simulate(uut, 10));
}

#[test]
fn the_first_step_evaluates_though_all_inputs_are_zero() {
    let mut uut = Outer::default();
    uut.connect_all();
    settle(&mut uut);
    assert!(uut.odd.val());
}

#[test]
fn each_kind_of_input_is_news_and_what_has_settled_is_left_alone() {
    let mut uut = Parity::default();
    uut.connect_all();
    settle(&mut uut);
    let turn: [fn(&mut Parity); 6] = [
        |u| u.single.next = !u.single.val(),
        |u| u.several[0].next = !u.several[0].val(),
        |u| u.several[1].next = !u.several[1].val(),
        |u| u.input.valid.next = !u.input.valid.val(),
        |u| u.input.data.next = !u.input.data.val(),
        |u| u.output.ready.next = !u.output.ready.val(),
    ];
    for (number, turn) in turn.into_iter().chain(turn).enumerate() {
        let odd = uut.odd.val();
        turn(&mut uut);
        settle(&mut uut);
        assert_ne!(uut.odd.val(), odd, "input {number}");
        let steps = uut._steps;
        settle(&mut uut);
        assert_eq!(uut._steps, steps, "after input {number}");
    }
}

#[test]
fn an_edge_of_the_clock_is_news_in_every_cycle_and_reaches_what_is_inside() {
    let mut uut = Outer::default();
    uut.connect_all();
    let mut odd = false;
    for cycle in 0..20 {
        uut.single.next = cycle % 3 == 0;
        uut.clock.next = false.into();
        settle(&mut uut);
        assert_eq!(uut.before.val(), odd, "cycle {cycle}");
        odd = uut.odd.val();
        assert_eq!(odd, cycle % 3 != 0, "cycle {cycle}");
        uut.clock.next = true.into();
        settle(&mut uut);
    }
    // a clock that stands still is none
    let steps = uut.inner._steps;
    settle(&mut uut);
    assert_eq!(uut.inner._steps, steps);
}

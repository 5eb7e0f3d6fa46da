//! A block under test with everything around it.
use super::driver::TopPorts;
use super::{ports, Diff, PortInfo, Rng};
use crate::verilog;
use crate::verilog::literal_digits;
use rust_hdl::prelude::*;

/// Runs a block cycle by cycle in rust-hdl's evaluator, records all its ports, and at the end replays the record
/// in Verilator.
pub struct Bench<U: Block> {
    /// The block.
    pub uut: U,
    /// Random numbers for the stimuli.
    pub rng: Rng,
    /// Cycles run.
    pub cycles: u64,
    clock: fn(&mut U) -> &mut Signal<In, Clock>,
    verilog: String,
    ports: Vec<PortInfo>,
    diff: Diff,
}

impl<U: Block> Bench<U> {
    /// Connects, checks and prints the block. `clock` names its clock: `|uut| &mut uut.clock`.
    pub fn new(name: &str, mut uut: U, clock: fn(&mut U) -> &mut Signal<In, Clock>) -> Self {
        uut.connect_all();
        check_all(&uut).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        // the evaluator's registers begin without a reset
        let design = verilog::print_initialised(&uut, "top").unwrap_or_else(|error| panic!("{name}: {error}"));
        let verilog = design.single_file();
        let ports = ports(&uut);
        Bench { uut, rng: Rng::from_env(), cycles: 0, clock, verilog, ports, diff: Diff::new(name) }
    }

    /// One cycle: `drive` sets inputs while the clock is low, `check` sees the settled block before the edge.
    pub fn cycle(&mut self, drive: impl FnOnce(&mut U, &mut Rng), check: impl FnOnce(&U)) {
        drive(&mut self.uut, &mut self.rng);
        self.low();
        check(&self.uut);
        self.edge();
    }

    /// First half of a cycle for stimuli that react to the block: the inputs of `uut` have been set, its outputs
    /// settle and are recorded.
    pub fn low(&mut self) {
        (self.clock)(&mut self.uut).next = false.into();
        self.settle();
        self.record();
    }

    /// Second half of the cycle: the rising edge.
    pub fn edge(&mut self) {
        (self.clock)(&mut self.uut).next = true.into();
        self.settle();
        self.cycles += 1;
    }

    fn settle(&mut self) {
        assert!(simulate(&mut self.uut, 1000), "{}: does not settle in cycle {}", self.diff.name, self.cycles);
    }

    fn record(&mut self) {
        let Diff { stim, expect, .. } = &mut self.diff;
        let mut index = 0;
        let ports = &self.ports;
        TopPorts::visit(&self.uut, |_, _, atom| {
            let port = &ports[index];
            index += 1;
            if port.name != "clock" {
                let line = if port.input { &mut *stim } else { &mut *expect };
                push_digits(line, atom);
                line.push(' ');
            }
        });
        stim.push('\n');
        expect.push('\n');
    }

    /// The Verilog.
    pub fn verilog(&self) -> &str {
        &self.verilog
    }

    /// Replays all cycles in Verilator; panics with the first difference of each output.
    pub fn finish(self) {
        self.diff.check(&self.verilog, &self.ports);
    }
}

/// Appends all bits of an atom as one hexadecimal number. They are taken from what a waveform shows, since a literal is made of them
/// through large numbers, bit by bit, which took a fifth of the evaluator's time.
fn push_digits(line: &mut String, atom: &dyn Atom) {
    let VCDValue::Single(one) = VCDValue::from(true) else { unreachable!("a bool is one bit") };
    // lowest first; the first field of a struct is the lowest
    let mut bits = vec![];
    let mut left = vec![atom.vcd()];
    while let Some(value) = left.pop() {
        match value {
            VCDValue::Single(bit) => bits.push(bit == one),
            VCDValue::Vector(all) => bits.extend(all.iter().rev().map(|bit| *bit == one)),
            VCDValue::Composite(fields) => left.extend(fields.into_iter().rev().map(|field| *field)),
            // of an enum a waveform shows the name
            VCDValue::String(_) => return line.push_str(&literal_digits(atom.verilog())),
        }
    }
    for digit in bits.chunks(4).rev() {
        let value = digit.iter().rev().fold(0, |value, bit| 2 * value + u32::from(*bit));
        line.extend(char::from_digit(value, 16));
    }
}

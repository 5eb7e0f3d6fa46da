//! Test bench: steps a block in rust-hdl's evaluator, so that the stimulus may react to what the block does, and
//! records all of its ports; the record is replayed in Verilator at the end and must agree in every cycle.
use rust_hdl::prelude::*;
use virtio_hdl_rtl::cells::register::literal_digits;
use virtio_hdl_rtl::testing::{ports, Diff, PortInfo, Rng};

/// One block under test with its recording.
pub struct Bench<U: Block> {
    pub uut: Box<U>,
    pub rng: Rng,
    pub cycle: u64,
    clock: fn(&mut U, bool),
    verilog: String,
    ports: Vec<PortInfo>,
    diff: Diff,
}

impl<U: Block> Bench<U> {
    pub fn new(name: &str, mut uut: Box<U>, clock: fn(&mut U, bool)) -> Self {
        uut.connect_all();
        check_all(&*uut).unwrap();
        // before any simulation: RAM contents would be printed as initial values
        let verilog = virtio_hdl_rtl::verilog::generate(&*uut, "top");
        let ports = ports(&*uut);
        let diff = Diff::new(name);
        Bench { uut, rng: Rng(1), cycle: 0, clock, verilog, ports, diff }
    }

    /// The inputs have been set: let the outputs settle, and record both.
    pub fn settle(&mut self) {
        (self.clock)(&mut self.uut, false);
        assert!(simulate(&mut *self.uut, 100), "no stable state in cycle {}", self.cycle);
        let mut record = Record { depth: 0, inputs: &mut self.diff.stim, outputs: &mut self.diff.expect };
        self.uut.accept("top", &mut record);
        self.diff.stim.push('\n');
        self.diff.expect.push('\n');
    }

    /// The rising edge.
    pub fn tick(&mut self) {
        (self.clock)(&mut self.uut, true);
        assert!(simulate(&mut *self.uut, 100), "no stable state after cycle {}", self.cycle);
        self.cycle += 1;
    }

    /// Replays the record in Verilator.
    pub fn compare(self) {
        let mut wrong = vec![];
        for (port, mismatches, total, example) in self.diff.run(&self.verilog, &self.ports, &[]) {
            if mismatches > 0 {
                wrong.push(format!("{port}: {mismatches} of {total} cycles differ, first {example}"));
            }
        }
        assert!(wrong.is_empty(), "evaluator and Verilator disagree:\n{}", wrong.join("\n"));
    }
}

struct Record<'a> {
    depth: usize,
    inputs: &'a mut String,
    outputs: &'a mut String,
}

impl Probe for Record<'_> {
    fn visit_start_scope(&mut self, _name: &str, _node: &dyn Block) {
        self.depth += 1;
    }
    fn visit_start_namespace(&mut self, _name: &str, _node: &dyn Block) {}
    fn visit_atom(&mut self, name: &str, signal: &dyn Atom) {
        if self.depth != 1 || !signal.kind().is_parameter() || name == "clock" {
            return;
        }
        let line = if signal.kind() == AtomKind::InputParameter { &mut self.inputs } else { &mut self.outputs };
        let digits = literal_digits(signal.verilog());
        for _ in digits.len()..signal.bits().div_ceil(4) {
            line.push('0');
        }
        line.push_str(&digits);
        line.push(' ');
    }
    fn visit_end_namespace(&mut self, _name: &str, _node: &dyn Block) {}
    fn visit_end_scope(&mut self, _name: &str, _node: &dyn Block) {
        self.depth -= 1;
    }
}

/// The 16 bytes of a beat, lane 0 first.
pub fn bytes(data: Bits<128>) -> [u8; 16] {
    data.to_u128().to_le_bytes()
}

/// A beat from up to 16 bytes.
pub fn beat(bytes: &[u8]) -> Bits<128> {
    num_bigint::BigUint::from_bytes_le(bytes).into()
}

/// Host memory: every byte is a function of its address.
pub fn host_byte(address: u64) -> u8 {
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as u8
}

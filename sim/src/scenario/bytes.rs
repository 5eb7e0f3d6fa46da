//! Random bytes both ways through a console: every one arrives once, and in order.
use super::ScenarioError;
use crate::backend::console::{TerminalSize, Typist};
use crate::host::console::Console;
use crate::host::ring::Shape;
use crate::host::Platform;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::VecDeque;
use virtio_hdl_rtl::virtio::layout::console::{FEATURE_EMERG_WRITE, FEATURE_SIZE};
use virtio_hdl_rtl::virtio::layout::FEATURE_RING_INDIRECT_DESC;

/// Cycles after which a byte has been lost: the longest standstill of the other end, many times.
const PATIENCE: u64 = 20_000_000;
/// Chains for bytes that come in.
const PROVIDED: usize = 16;
/// Bytes of the longest chain.
const LONGEST: u32 = 1500;
/// Bytes that are typed and have not arrived, at most.
const UNREAD: usize = 2000;

/// What is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes each way.
    pub bytes: u64,
    /// Most chains to print outstanding.
    pub depth: usize,
    /// Chooses everything random.
    pub seed: u64,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Bytes that were printed.
    pub printed_bytes: u64,
    /// Chains that they were in.
    pub printed_chains: u64,
    /// Bytes that were typed.
    pub typed_bytes: u64,
    /// Chains that they took.
    pub typed_chains: u64,
    /// Emergency writes.
    pub emergencies: u64,
    /// Changes of the terminal's size.
    pub resizes: u64,
    /// Interrupts.
    pub interrupts: u64,
    /// Cycles.
    pub cycles: u64,
}

struct Run<'a> {
    platform: &'a mut dyn Platform,
    console: &'a mut Console,
    typist: &'a Typist,
    options: &'a Options,
    rng: ChaCha8Rng,
    report: Report,
    /// Bytes given to the device that have not been printed.
    printing: VecDeque<u8>,
    /// Bytes typed that have not arrived.
    typing: VecDeque<u8>,
    submitted: u64,
    typed: u64,
}

/// Prints and types `options.bytes` bytes. Between them the other end stands still, the terminal changes its size, and bytes come by
/// emergency writes, where the features are there.
pub fn run(
    platform: &mut dyn Platform,
    console: &mut Console,
    typist: &Typist,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let start = platform.now();
    let interrupts = console.interrupts().0;
    let mut run = Run {
        rng: ChaCha8Rng::seed_from_u64(options.seed),
        platform,
        console,
        typist,
        options,
        report: Report::default(),
        printing: VecDeque::new(),
        typing: VecDeque::new(),
        submitted: 0,
        typed: 0,
    };
    let mut moved = start;
    while run.report.printed_bytes < options.bytes || run.report.typed_bytes < options.bytes {
        let before = run.report.printed_bytes + run.report.typed_bytes;
        run.provide()?;
        run.print()?;
        run.type_in();
        run.stand_still();
        run.resize()?;
        run.console.kick(run.platform)?;
        let deadline = run.platform.now() + 20_000;
        if let Some(typed) = run.console.wait(run.platform, deadline)? {
            run.arrived(&typed)?;
        }
        run.look()?;
        let now = run.report.printed_bytes + run.report.typed_bytes;
        if now != before {
            moved = run.platform.now();
            progress(now);
        } else if run.platform.now() - moved > PATIENCE {
            let (printing, typing) = (run.printing.len(), run.typing.len());
            return Err(run.difference(format!("{printing} bytes are not printed, {typing} do not arrive")));
        }
        run.emergency()?;
    }
    let mut report = run.report;
    report.interrupts = console.interrupts().0 - interrupts;
    report.cycles = platform.now() - start;
    Ok(report)
}

impl Run<'_> {
    fn difference(&self, what: String) -> ScenarioError {
        let request = self.report.printed_bytes + self.report.typed_bytes;
        ScenarioError::Difference { seed: self.options.seed, request, what }
    }

    fn shape(&mut self) -> Shape {
        match self.console.has_feature(FEATURE_RING_INDIRECT_DESC) && self.rng.random_bool(0.3) {
            true => Shape::Indirect,
            false => Shape::Direct,
        }
    }

    /// Buffers of a chain, at most.
    fn most_buffers(&self) -> usize {
        8.min(self.console.queue_size().into())
    }

    /// Bytes of a chain, and the lengths of its buffers.
    fn chain(&mut self) -> (u32, Vec<u32>) {
        let most = if self.rng.random_bool(0.5) { 40 } else { LONGEST };
        let bytes = self.rng.random_range(1..=most);
        (bytes, (0..self.rng.random_range(0..self.most_buffers())).map(|_| self.rng.random_range(1..=bytes)).collect())
    }

    fn provide(&mut self) -> Result<(), ScenarioError> {
        while self.console.receive_buffers() < PROVIDED && self.console.has_room(self.most_buffers()).0 {
            let ((bytes, cut), shape) = (self.chain(), self.shape());
            self.console.provide(self.platform, bytes, &cut, shape)?;
        }
        Ok(())
    }

    fn print(&mut self) -> Result<(), ScenarioError> {
        while self.submitted < self.options.bytes
            && self.console.transmitting() < self.options.depth
            && self.console.has_room(self.most_buffers()).1
        {
            let ((bytes, cut), shape) = (self.chain(), self.shape());
            let mut text = vec![0; bytes as usize];
            self.rng.fill_bytes(&mut text);
            self.console.print(self.platform, &text, &cut, shape)?;
            self.submitted += u64::from(bytes);
            self.report.printed_chains += 1;
            self.printing.extend(text);
        }
        Ok(())
    }

    /// In one go, as from a program, or one by one, as from a keyboard.
    fn type_in(&mut self) {
        if self.typed >= self.options.bytes || self.typing.len() >= UNREAD {
            return;
        }
        let most = if self.rng.random_bool(0.3) { 1 } else { 700 };
        let mut text = vec![0; self.rng.random_range(1..=most)];
        self.rng.fill_bytes(&mut text);
        self.typed += text.len() as u64;
        self.typist.type_in(&text);
        self.typing.extend(text);
    }

    /// The other end takes a while, or takes little.
    fn stand_still(&mut self) {
        let allowed = match self.rng.random_range(0..20) {
            0 => Some(0),
            1..6 => Some(self.rng.random_range(0..3000)),
            _ => None,
        };
        self.typist.allow(allowed);
    }

    fn resize(&mut self) -> Result<(), ScenarioError> {
        if !self.console.has_feature(FEATURE_SIZE) || !self.rng.random_bool(0.05) {
            return Ok(());
        }
        let size = TerminalSize { cols: self.rng.random_range(1..500), rows: self.rng.random_range(1..200) };
        let before = self.console.size(self.platform);
        self.typist.resize(size);
        let wanted = (size.cols, size.rows);
        if before == Some(wanted) {
            return Ok(());
        }
        let changes = self.console.interrupts().1;
        let deadline = self.platform.now() + PATIENCE;
        while self.console.size(self.platform) != Some(wanted) || self.console.interrupts().1 == changes {
            if let Some(typed) = self.console.wait(self.platform, deadline)? {
                self.arrived(&typed)?;
            }
            if self.platform.now() >= deadline {
                return Err(self.difference(format!("the driver does not hear of the size {wanted:?}")));
            }
        }
        self.report.resizes += 1;
        Ok(())
    }

    /// When all has been printed, so that it is known where the byte comes.
    fn emergency(&mut self) -> Result<(), ScenarioError> {
        if !self.console.has_feature(FEATURE_EMERG_WRITE) || !self.rng.random_bool(0.1) {
            return Ok(());
        }
        self.typist.allow(None);
        self.all_is_printed()?;
        let byte = self.rng.random();
        self.console.emergency_write(self.platform, byte);
        self.printing.push_back(byte);
        self.report.emergencies += 1;
        self.all_is_printed()
    }

    fn all_is_printed(&mut self) -> Result<(), ScenarioError> {
        let deadline = self.platform.now() + PATIENCE;
        while !self.printing.is_empty() {
            self.platform.run(100);
            self.look()?;
            if self.platform.now() >= deadline {
                return Err(self.difference(format!("{} bytes are not printed", self.printing.len())));
            }
        }
        Ok(())
    }

    fn arrived(&mut self, typed: &[u8]) -> Result<(), ScenarioError> {
        let expected: Vec<u8> = self.typing.drain(..typed.len().min(self.typing.len())).collect();
        if expected != typed {
            return Err(self.difference(format!("{} bytes arrive that were not typed so", typed.len())));
        }
        self.report.typed_bytes += typed.len() as u64;
        self.report.typed_chains += 1;
        Ok(())
    }

    fn look(&mut self) -> Result<(), ScenarioError> {
        let printed = self.typist.printed();
        let expected: Vec<u8> = self.printing.drain(..printed.len().min(self.printing.len())).collect();
        if expected != printed {
            return Err(self.difference(format!("{} bytes are printed that were not given so", printed.len())));
        }
        self.report.printed_bytes += printed.len() as u64;
        Ok(())
    }
}

//! What a simulation did and how fast: on the screen, or as JSON.
use super::output::outln;
use crate::host::Platform;
use crate::link::{LinkConfig, Statistics};
use crate::machine::{Machine, MachineError};
use crate::scenario::depth::Figures;
use anyhow::bail;
use serde::Serialize;
use std::time::Instant;

/// One part of a scenario.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Phase {
    pub name: String,
    /// Requests of the driver, and bytes that they moved.
    pub requests: u64,
    pub bytes: u64,
    /// Clock cycles that passed, and those in which the endpoint's clock ran.
    pub cycles: u64,
    pub clocked: u64,
    pub to_device_packets: u64,
    pub to_device_bytes: u64,
    pub to_host_packets: u64,
    pub to_host_bytes: u64,
    pub interrupts: u64,
    /// Most reads of the device in flight.
    pub most_reads: usize,
    /// Wall-clock time.
    pub seconds: f64,
    /// Against the link's limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// What of the traces could not be written.
    #[serde(skip)]
    pub trace_error: Option<String>,
    #[serde(skip)]
    start: Option<(u64, u64, Statistics, Instant)>,
}

impl Phase {
    /// From now on.
    pub fn begin(name: &str, machine: &Machine) -> Self {
        let start = (machine.now(), machine.clocked(), machine.statistics(), Instant::now());
        Phase { name: name.into(), start: Some(start), ..Phase::default() }
    }

    /// Until now; a machine that broke a rule is an error.
    pub fn end(&mut self, machine: &mut Machine) -> anyhow::Result<()> {
        match machine.finish() {
            Err(error @ MachineError::Trace(_)) => self.trace_error = Some(error.to_string()),
            finished => finished?,
        }
        if let Some((now, clocked, before, wall)) = self.start.take() {
            let after = machine.statistics();
            self.seconds = wall.elapsed().as_secs_f64();
            self.cycles = machine.now() - now;
            self.clocked = machine.clocked() - clocked;
            self.to_device_packets = after.to_device_packets - before.to_device_packets;
            self.to_device_bytes = after.to_device_bytes - before.to_device_bytes;
            self.to_host_packets = after.to_host_packets - before.to_host_packets;
            self.to_host_bytes = after.to_host_bytes - before.to_host_bytes;
            self.interrupts = after.interrupts - before.interrupts;
            self.most_reads = after.most_reads;
        }
        let violations = machine.root().violations();
        if let Some((cycle, first)) = violations.first() {
            bail!("the device broke {} rules of PCI Express, first in cycle {cycle}: {first}", violations.len());
        }
        Ok(())
    }
}

/// A whole scenario.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    link: LinkConfig,
    built: bool,
    phases: Vec<Phase>,
}

impl Summary {
    pub fn new(link: &LinkConfig, built: bool) -> Self {
        Summary { link: link.clone(), built, phases: vec![] }
    }

    pub fn add(&mut self, phase: Phase) {
        self.phases.push(phase);
    }

    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            outln!("{}", serde_json::to_string_pretty(self)?);
            return self.traced();
        }
        outln!(
            "{} at {} MHz; the model was {}",
            self.link.speed.name(),
            self.link.clock_hz as f64 / 1e6,
            if self.built { "built" } else { "in the cache" }
        );
        for phase in &self.phases {
            self.print_phase(phase);
        }
        self.traced()
    }

    /// A trace that could not be written has not stopped what was traced.
    fn traced(&self) -> anyhow::Result<()> {
        match self.phases.iter().find_map(|phase| phase.trace_error.as_ref()) {
            Some(error) => bail!("{error}"),
            None => Ok(()),
        }
    }

    fn print_phase(&self, phase: &Phase) {
        let time = phase.cycles as f64 / self.link.clock_hz as f64;
        let per_request = phase.cycles as f64 / phase.requests.max(1) as f64;
        outln!("\n{}", phase.name);
        outln!("  {:>10} requests, {} bytes", phase.requests, phase.bytes);
        outln!(
            "  {:>10} cycles ({:.3} ms), {per_request:.0} per request, {:.2} Gb/s",
            phase.cycles,
            time * 1e3,
            phase.bytes as f64 * 8.0 / time / 1e9
        );
        if let Some(figures) = &phase.figures {
            outln!(
                "  {:>9.1}% of what the link allows ({:.0} cycles per request); latency {} cycles, 99 %: {}",
                100.0 * figures.share,
                figures.limit_cycles,
                figures.latency_median,
                figures.latency_p99
            );
        }
        outln!(
            "  {:>10} TLPs to the device, {:.0}% of the link; {} to the host, {:.0}%; {} interrupts",
            phase.to_device_packets,
            self.utilisation(phase.to_device_bytes, time),
            phase.to_host_packets,
            self.utilisation(phase.to_host_bytes, time),
            phase.interrupts
        );
        outln!(
            "  {:>9.1}s on the wall: {:.0} thousand cycles per second",
            phase.seconds,
            phase.clocked as f64 / phase.seconds / 1e3
        );
    }

    /// Share of one direction of the link, in percent.
    fn utilisation(&self, bytes: u64, seconds: f64) -> f64 {
        bytes as f64 * 8.0 / seconds / (self.link.speed.gigabits() * 1e9) * 100.0
    }
}

//! Control events under load: while requests, frames, bytes or pages are under way, the host does at random moments what a host may do at
//! any moment: it changes limits, takes bus mastering away, lets the function sleep, masks interrupts, rewrites registers,
//! resets; and reads of the device fail or are answered too late.
//!
//! Checked always: no memory request outside what the rings name at that time, none behind the answer to a reset, without bus
//! mastering or asleep; nothing is delivered twice, to another chain, or with wrong data; what goes on comes to its end with
//! an interrupt; a reset brings the device back.
mod balloon;
mod console;
mod disk;
mod guard;
mod happening;
mod port;

use super::wire::FarEnd;
use super::ScenarioError;
use crate::backend::console::Typist;
use crate::backend::BalloonHandle;
use crate::host::pci::{self, Bus, Function};
use crate::host::ring::{RingError, Shape};
use crate::host::virtio_pci::{DriverError, Interrupted, VectorPolicy, VirtioPci};
use crate::host::{Platform, Width};
use crate::link::{Fault, Interrupt};
use crate::machine::{Machine, MachineError, SLOT};
use crate::model::Library;
use balloon::BalloonTraffic;
use console::ConsoleTraffic;
use disk::DiskTraffic;
use guard::Guard;
use happening::{Aftermath, Happening};
use port::PortTraffic;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Range;
use virtio_hdl_rtl::config::{EndpointConfig, LinkInterface};
use virtio_hdl_rtl::pcie::registers::DIAGNOSTICS;
use virtio_hdl_rtl::virtio::types::Violation;

/// Completion timeout that an endpoint for this scenario should have, so that waits longer than it are cheap, microseconds.
pub const COMPLETION_TIMEOUT_US: u32 = 50;
/// Cycles after which a request, a frame or an interrupt has been lost: some completion timeouts.
const PATIENCE: u64 = 400_000;
/// Cycles that packets may take through a hard block that answers configuration requests itself.
const BLOCK_PIPELINE: u64 = 1_000;

/// What is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events.
    pub events: u64,
    /// Chooses everything random.
    pub seed: u64,
    /// The endpoint.
    pub config: EndpointConfig,
    /// Its model, for one that goes on in its place.
    pub library: Library,
    /// The endpoint stands still each time, and nothing else happens.
    pub standstills: bool,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// How often each kind of event took place.
    pub events: BTreeMap<String, u64>,
    /// Requests or frames that ended as they should.
    pub ended: u64,
    /// Those that a reset ended.
    pub given_up: u64,
    /// Resets of all kinds.
    pub resets: u64,
    /// Queues that a failed read of their ring stopped.
    pub stopped: u64,
    /// Failed reads.
    pub faults: u64,
    /// Cycles.
    pub cycles: u64,
}

/// How waiting for the end of all that is under way came out.
enum Settled {
    /// All has ended.
    Done,
    /// Something does not.
    Stalled(String),
}

/// A change of the device configuration by the device side.
type Change = Box<dyn FnOnce(&mut Machine) -> Result<(), MachineError>>;

/// Traffic through a device by its driver.
trait Traffic {
    /// Binds the driver, with ways to interrupt, features and order of descriptors by chance.
    fn probe(&mut self, guard: &mut Guard<'_>, bus: &mut Bus, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError>;
    /// The driver's transport.
    fn transport(&self) -> Option<&VirtioPci>;
    /// Gives the device something to do.
    fn submit(&mut self, guard: &mut Guard<'_>, rng: &mut ChaCha8Rng) -> Result<(), ScenarioError>;
    /// Takes what has ended, without waiting.
    fn collect(&mut self, guard: &mut Guard<'_>) -> Result<(), ScenarioError>;
    /// Handles an interrupt; false when there is none until cycle `deadline`.
    fn interrupt(&mut self, guard: &mut Guard<'_>, deadline: u64) -> Result<bool, ScenarioError>;
    /// Waits by interrupt until all has ended.
    fn settle(&mut self, guard: &mut Guard<'_>) -> Result<Settled, ScenarioError>;
    /// Unbinds the driver, which resets the device.
    fn remove(&mut self, guard: &mut Guard<'_>, bus: &mut Bus) -> Result<(), ScenarioError>;
    /// Forgets the driver: the function has lost all that it was told.
    fn forget(&mut self, guard: &mut Guard<'_>);
    /// How the device configuration changes by itself next.
    fn next_change(&mut self) -> Change;
    /// A read of the device may fail from now on until the next reset.
    fn expect_faults(&mut self);
    /// Requests or frames that ended, and that were given up at a reset.
    fn ended(&self) -> (u64, u64);
}

/// Runs `options.events` events on a disk. Its content is the scenario's.
pub fn run_disk(
    machine: &mut Machine,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let traffic = DiskTraffic::new(machine, options.seed)?;
    run(machine, traffic, options, progress)
}

/// Runs `options.events` events on a network port. The wire is the far end of the endpoint's.
pub fn run_port(
    machine: &mut Machine,
    wire: &FarEnd,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let traffic = PortTraffic::new(wire.clone(), &options.config, options.seed);
    run(machine, traffic, options, progress)
}

/// Runs `options.events` events on a console, with this one at its other end.
pub fn run_console(
    machine: &mut Machine,
    typist: &Typist,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let traffic = ConsoleTraffic::new(typist.clone(), options.seed);
    run(machine, traffic, options, progress)
}

/// Runs `options.events` events on a balloon, with this hand at it.
pub fn run_balloon(
    machine: &mut Machine,
    handle: &BalloonHandle,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let traffic = BalloonTraffic::new(machine, handle.clone(), options.seed)?;
    run(machine, traffic, options, progress)
}

fn run(
    machine: &mut Machine,
    traffic: impl Traffic,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let start = machine.now();
    let raw = options.config.link.interface == LinkInterface::Tlp;
    let mut run = Run {
        guard: Guard::new(machine, options.config.queue_size, if raw { 0 } else { BLOCK_PIPELINE }),
        bus: Bus::default(),
        rng: ChaCha8Rng::seed_from_u64(options.seed),
        traffic,
        options,
        report: Report::default(),
        raw,
        faults: false,
        last: String::from("the start"),
        round: 0,
    };
    run.appear()?;
    for round in 0..options.events {
        run.round = round;
        run.event()?;
        progress(round + 1);
    }
    run.settle()?;
    run.reset()?;
    let mut report = run.report;
    (report.ended, report.given_up) = run.traffic.ended();
    report.cycles = machine.now() - start;
    report.faults = machine.statistics().faults;
    Ok(report)
}

/// Sometimes the interrupt line only, and some of these features not.
fn vary(policies: &mut Vec<VectorPolicy>, features: &mut u32, bits: &[u32], rng: &mut ChaCha8Rng) {
    if rng.random_bool(0.25) {
        *policies = vec![VectorPolicy::Line];
    }
    for bit in bits {
        if rng.random_bool(0.3) {
            *features &= !(1 << bit);
        }
    }
}

/// Where a chain lies: with this probability in a table of its own, where that was negotiated.
fn shape(negotiated: bool, probability: f64, rng: &mut ChaCha8Rng) -> Shape {
    match negotiated && rng.random_bool(probability) {
        true => Shape::Indirect,
        false => Shape::Direct,
    }
}

/// Waits for an interrupt and handles it; false when there is none until `deadline`.
fn interrupt<'a>(
    guard: &mut Guard<'a>,
    deadline: u64,
    handle: impl FnOnce(&mut Guard<'a>, Interrupt) -> Result<Interrupted, RingError>,
) -> Result<bool, ScenarioError> {
    /// A line that stays up is looked at again after this many cycles.
    const PAUSE: u64 = 50;
    if guard.now() >= deadline {
        return Ok(false);
    }
    let Some(interrupt) = guard.wait_interrupt(deadline) else { return Ok(false) };
    match handle(guard, interrupt).map_err(DriverError::from)? {
        Interrupted::NotMine => guard.run(PAUSE),
        Interrupted::Mine { config_changed, .. } => guard.told_of_change |= config_changed,
    }
    Ok(true)
}

struct Run<'a, T> {
    guard: Guard<'a>,
    bus: Bus,
    rng: ChaCha8Rng,
    traffic: T,
    options: &'a Options,
    report: Report,
    /// The raw-packet endpoint, whose config space shows its diagnostics.
    raw: bool,
    /// Reads have been made to fail since the last reset.
    faults: bool,
    /// What happened last.
    last: String,
    round: u64,
}

impl<T: Traffic> Run<'_, T> {
    /// The function appears on the bus, and the driver binds.
    fn appear(&mut self) -> Result<(), ScenarioError> {
        self.bus =
            Bus::scan(&mut self.guard, &pci::Options::default()).map_err(|error| self.broken(error.to_string()))?;
        let function = self.function()?;
        self.guard.learn(&function);
        self.bind()
    }

    fn function(&self) -> Result<Function, ScenarioError> {
        self.bus.function(SLOT).cloned().map_err(|error| self.broken(error.to_string()))
    }

    fn bind(&mut self) -> Result<(), ScenarioError> {
        let bound = self.traffic.probe(&mut self.guard, &mut self.bus, &mut self.rng);
        self.told(bound)
    }

    /// One event under load, and what comes of it.
    fn event(&mut self) -> Result<(), ScenarioError> {
        let submitted = self.traffic.submit(&mut self.guard, &mut self.rng);
        self.told(submitted)?;
        let until = if self.rng.random_bool(0.8) { 3_000 } else { 12_000 };
        let cycles = self.rng.random_range(0..until);
        self.guard.run(cycles);
        let happening = match self.options.standstills {
            true => Happening::Freeze,
            false => Happening::random(&mut self.rng),
        };
        self.last = happening.to_string();
        tracing::debug!(round = self.round, event = %self.last, cycle = self.guard.now());
        *self.report.events.entry(self.last.clone()).or_default() += 1;
        match self.perform(happening)? {
            Aftermath::GoesOn => {
                let collected = self.traffic.collect(&mut self.guard);
                self.told(collected)?;
                match self.rng.random_range(0..8) {
                    0..4 => self.settle()?,
                    4 => self.reset()?,
                    _ => {}
                }
            }
            Aftermath::Reset => self.reset()?,
            Aftermath::Gone => self.reappear()?,
        }
        self.checked()
    }

    /// All that is under way must come to its end, unless a read was made to fail that the ring needs: then the queue has
    /// stopped with the violation that says so, and a reset brings it back.
    fn settle(&mut self) -> Result<(), ScenarioError> {
        let settled = self.traffic.settle(&mut self.guard);
        match self.told(settled)? {
            Settled::Done => {
                let violation = self.violation();
                match violation {
                    Some(found) if found != 0 && !self.faults => Err(self.broken(format!("ring violation {found:#x}"))),
                    _ => Ok(()),
                }
            }
            Settled::Stalled(what) if !self.faults => Err(self.broken(what)),
            Settled::Stalled(what) => match self.violation() {
                // Of a queue that had stopped, another endpoint in its place says no more than that.
                Some(found) if ![Violation::RingRead as u32, Violation::Before as u32].contains(&(found & 0xff)) => {
                    Err(self.broken(format!("{what}, and the violation shown is {found:#x}")))
                }
                _ => {
                    self.report.stopped += 1;
                    self.reset()
                }
            },
        }
    }

    /// The last ring violation, where the endpoint shows it.
    fn violation(&mut self) -> Option<u32> {
        self.raw.then(|| self.guard.config_read(SLOT, DIAGNOSTICS, Width::Double))
    }

    /// Unbinds and binds the driver, which resets the device.
    fn reset(&mut self) -> Result<(), ScenarioError> {
        let removed = self.traffic.remove(&mut self.guard, &mut self.bus);
        self.told(removed)?;
        let left: Vec<Range<u64>> = self.guard.live().collect();
        if !left.is_empty() {
            return Err(self.broken(format!("the driver has not given back {left:x?}")));
        }
        self.begin_again()?;
        self.bind()?;
        self.works()
    }

    /// The same when a function-level reset has taken everything from the function.
    fn reappear(&mut self) -> Result<(), ScenarioError> {
        self.traffic.forget(&mut self.guard);
        self.guard.reclaim();
        self.begin_again()?;
        self.appear()?;
        self.works()
    }

    /// Another driver takes the device over that this one has at work, as a kernel does that is started by kexec: the first
    /// that the device hears of it is the reset of the probe. While that drains, the device configuration changes; the driver must be
    /// told of it, as it may have read what was before.
    pub(super) fn take_over(&mut self) -> Result<(), ScenarioError> {
        let left: Vec<Range<u64>> = self.guard.live().collect();
        self.traffic.forget(&mut self.guard);
        self.begin_again()?;
        let change = self.traffic.next_change();
        self.guard.change_at_reset(change);
        self.appear()?;
        left.iter().for_each(|region| self.guard.release(region));
        let deadline = self.guard.now() + PATIENCE;
        while !self.guard.told_of_change {
            let handled = self.traffic.interrupt(&mut self.guard, deadline);
            if !self.told(handled)? {
                return Err(self.broken("the driver is not told of a change while the reset drained".into()));
            }
        }
        self.works()
    }

    fn begin_again(&mut self) -> Result<(), ScenarioError> {
        self.report.resets += 1;
        self.guard.machine().root().forget_faults();
        self.faults = false;
        self.checked()
    }

    /// A request works.
    fn works(&mut self) -> Result<(), ScenarioError> {
        let submitted = self.traffic.submit(&mut self.guard, &mut self.rng);
        self.told(submitted)?;
        if self.rng.random_bool(0.5) {
            self.settle()?;
        }
        Ok(())
    }

    /// The next read of the device that touches this memory fails.
    fn inject(&mut self, range: Range<u64>, fault: Fault) {
        self.faults = true;
        self.traffic.expect_faults();
        self.guard.machine().root().inject(range, fault);
    }

    fn checked(&mut self) -> Result<(), ScenarioError> {
        self.guard.machine().check()?;
        if let Err(what) = self.guard.check() {
            return Err(self.broken(what));
        }
        match self.guard.machine().root().violations().first() {
            Some((cycle, violation)) => {
                let what = format!("in cycle {cycle} the device broke a rule of PCI Express: {violation}");
                Err(self.broken(what))
            }
            None => Ok(()),
        }
    }

    /// The result of the traffic. What the guard has seen comes first, as it is nearer to the cause.
    fn told<R>(&mut self, result: Result<R, ScenarioError>) -> Result<R, ScenarioError> {
        self.checked()?;
        result.map_err(|error| self.broken(error.to_string()))
    }

    fn broken(&self, what: String) -> ScenarioError {
        let what = format!("after {} (cycle {}): {what}", self.last, self.guard.now());
        ScenarioError::Difference { seed: self.options.seed, request: self.round, what }
    }
}

//! `virtio-hdl sim --speed`: how much of the bare model's speed the co-simulation keeps.
//!
//! Both run the same cycles with the same inputs: once with driver, root complex and disk attached, once from a record
//! of those inputs and nothing else. They take turns, and the median of the ratios counts.
use super::machine::BoundDisk;
use super::output::outln;
use crate::backend::{Disk, DiskPort};
use crate::link::LinkConfig;
use crate::machine::{Machine, MachineOptions};
use crate::model::Library;
use crate::scenario::depth;
use anyhow::ensure;
use serde::Serialize;
use std::time::Instant;

/// Rounds that are measured.
const ROUNDS: usize = 5;

/// Cycles per second, each round.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Speed {
    cycles: u64,
    /// Requests outstanding.
    depth: usize,
    cosimulation: Vec<f64>,
    bare: Vec<f64>,
    /// Median of co-simulation by bare model.
    ratio: f64,
}

pub(super) fn measure(
    library: &Library,
    options: &MachineOptions,
    disk_latency: u64,
    requests: u64,
) -> anyhow::Result<Speed> {
    let read = |options: &MachineOptions| read(library, options, disk_latency, requests);
    let recorded = MachineOptions { record: true, ..options.clone() };
    let (mut machine, _, depth) = read(&recorded)?;
    ensure!(machine.endpoint().replay_matches()?, "the bare model does not do what it did in the co-simulation");
    let mut speed = Speed { cycles: machine.clocked(), depth, cosimulation: vec![], bare: vec![], ratio: 0.0 };
    for _ in 0..ROUNDS {
        let (run, seconds, _) = read(options)?;
        ensure!(run.clocked() == speed.cycles, "the same seed gave another run");
        speed.cosimulation.push(speed.cycles as f64 / seconds);
        let bare = machine.endpoint().replay()?;
        speed.bare.push(bare.cycles as f64 / bare.seconds);
    }
    let ratios = speed.cosimulation.iter().zip(&speed.bare).map(|(with, bare)| with / bare);
    speed.ratio = median(&ratios.collect::<Vec<_>>());
    Ok(speed)
}

/// A run of reads with 32 outstanding, or as many as the queue holds, from power-on; the machine, the seconds it took, and how many
/// were outstanding.
fn read(
    library: &Library,
    options: &MachineOptions,
    disk_latency: u64,
    requests: u64,
) -> anyhow::Result<(Machine, f64, usize)> {
    let begin = Instant::now();
    let BoundDisk { mut machine, mut blk } =
        BoundDisk::start(library, DiskPort::new(Disk::in_memory(8192), disk_latency), options)?;
    let run = depth::Options { write: false, bytes: 4096, depth: 32, requests, seed: options.link.seed };
    let link: &LinkConfig = &options.link;
    let figures = depth::run(&mut machine, &mut blk, link, &run)?;
    machine.check()?;
    Ok((machine, begin.elapsed().as_secs_f64(), figures.depth))
}

/// The value in the middle; 0 of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

pub(super) fn print(speed: &Speed, json: bool) -> anyhow::Result<()> {
    if json {
        outln!("{}", serde_json::to_string_pretty(speed)?);
        return Ok(());
    }
    outln!("{} cycles of 4 KiB reads, {} outstanding; median of {ROUNDS} rounds in turn", speed.cycles, speed.depth);
    outln!(
        "  {:>8.0} thousand cycles per second with driver, root complex and disk",
        median(&speed.cosimulation) / 1e3
    );
    outln!("  {:>8.0} thousand cycles per second bare", median(&speed.bare) / 1e3);
    outln!("  {:>7.1}% of the bare model's speed is kept", 100.0 * speed.ratio);
    Ok(())
}

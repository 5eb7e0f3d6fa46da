//! How fast the endpoint is with so many requests outstanding, against what the link allows.
use super::limit::blk_request;
use super::ScenarioError;
use crate::host::blk::{Blk, Operation, Request, Status};
use crate::host::ring::{Buffer, Shape};
use crate::host::Platform;
use crate::link::LinkConfig;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::HashMap;

/// Cycles after which a request has been lost.
const PATIENCE: u64 = 4_000_000;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Writes, else reads.
    pub write: bool,
    /// Bytes of each request, a multiple of 512.
    pub bytes: u32,
    /// Requests outstanding; no more than the queue holds.
    pub depth: usize,
    /// Requests measured, at least one.
    pub requests: u64,
    /// Chooses the sectors.
    pub seed: u64,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Writes, else reads.
    pub write: bool,
    /// Bytes of each request.
    pub bytes: u32,
    /// Requests outstanding.
    pub depth: usize,
    /// Requests measured.
    pub requests: u64,
    /// Cycles they took together.
    pub cycles: u64,
    /// Cycles per request.
    pub cycles_per_request: f64,
    /// Cycles per request that the link allows.
    pub limit_cycles: f64,
    /// Share of the link's limit, 0 to 1.
    pub share: f64,
    /// Median, 99th percentile of the cycles from a request's kick to its end.
    pub latency_median: u64,
    /// 99 of 100 take no longer.
    pub latency_p99: u64,
}

/// Descriptors of a request: header, data, status.
const DESCRIPTORS: usize = 3;

/// Keeps `depth` requests outstanding, or as many as the queue holds, until `requests` have ended.
pub fn run(
    platform: &mut dyn Platform,
    blk: &mut Blk,
    link: &LinkConfig,
    options: &Options,
) -> Result<Figures, ScenarioError> {
    let held = blk.queues().iter().map(|queue| usize::from(queue.size()) / DESCRIPTORS).sum();
    let depth = options.depth.min(held);
    let options = &Options { depth, ..options.clone() };
    let size = u64::from(options.bytes) * options.depth as u64;
    let memory = platform.allocate(size, 4096).ok_or(ScenarioError::Memory(size))?;
    let result = measure(platform, blk, link, options, memory);
    platform.free(memory, size);
    result
}

fn measure(
    platform: &mut dyn Platform,
    blk: &mut Blk,
    link: &LinkConfig,
    options: &Options,
    memory: u64,
) -> Result<Figures, ScenarioError> {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let places = blk.capacity(platform) * 512 / u64::from(options.bytes);
    if places == 0 {
        return Err(ScenarioError::SmallDisk(options.bytes.into()));
    }
    let mut free: Vec<u64> = (0..options.depth as u64).map(|n| memory + n * u64::from(options.bytes)).collect();
    let mut begun = HashMap::new();
    let mut latencies = Vec::new();
    let (mut submitted, start) = (0, platform.now());
    while (latencies.len() as u64) < options.requests {
        while submitted < options.requests {
            let Some(address) = free.pop() else { break };
            let (operation, writable) = if options.write { (Operation::Out, false) } else { (Operation::In, true) };
            let request = Request {
                operation,
                sector: rng.random_range(0..places) * u64::from(options.bytes) / 512,
                data: vec![Buffer { address, bytes: options.bytes, writable }],
                shape: Shape::Direct,
            };
            let ticket = blk.submit(platform, &request)?;
            begun.insert(ticket, (address, platform.now()));
            submitted += 1;
        }
        let deadline = platform.now() + PATIENCE;
        for ended in blk.wait(platform, deadline)? {
            if ended.status != Status::Ok {
                return Err(crate::host::blk::BlkError::Status(ended.status).into());
            }
            if let Some((address, since)) = begun.remove(&ended.ticket) {
                free.push(address);
                latencies.push(platform.now() - since);
            }
        }
    }
    let cycles = platform.now() - start;
    latencies.sort_unstable();
    let cycles_per_request = cycles as f64 / options.requests as f64;
    let limit = blk_request(link, options.write, u64::from(options.bytes), options.depth as u64);
    let limit_cycles = limit.cycles(link);
    Ok(Figures {
        write: options.write,
        bytes: options.bytes,
        depth: options.depth,
        requests: options.requests,
        cycles,
        cycles_per_request,
        limit_cycles,
        share: limit_cycles / cycles_per_request,
        latency_median: latencies[latencies.len() / 2],
        latency_p99: latencies[latencies.len() * 99 / 100],
    })
}

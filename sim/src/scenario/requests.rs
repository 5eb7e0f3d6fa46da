//! Random requests to a device that is a program: each is answered once, and no reply is longer than there is room for it.
use super::ScenarioError;
use crate::host::requests::{Reply, Requests};
use crate::host::ring::Shape;
use crate::host::Platform;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::HashMap;

/// Cycles after which a request has been lost: a program takes some thousands for one.
const PATIENCE: u64 = 20_000_000;
/// Bytes of the longest request.
const LONGEST: usize = 100;
/// Room for most replies, in bytes; one in twelve has more.
const ROOM: u32 = 200;
/// Buffers of a chain, at most: three of the request, three for the reply.
const BUFFERS: usize = 6;

/// What is done.
#[derive(Clone, Debug)]
pub struct Options {
    /// Requests, all in all.
    pub requests: u64,
    /// Most of them outstanding.
    pub depth: usize,
    /// Queues that they are given to, from the first one on.
    pub queues: usize,
    /// Chooses everything random.
    pub seed: u64,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Requests that were answered.
    pub requests: u64,
    /// Bytes of them.
    pub request_bytes: u64,
    /// Bytes of the replies.
    pub reply_bytes: u64,
    /// Cycles.
    pub cycles: u64,
}

/// What has been asked: the request, and the room there is for the reply.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its bytes.
    pub request: Vec<u8>,
    /// Bytes that the reply may have.
    pub room: u32,
}

/// Gives the device `options.requests` requests; `check` says what is wrong with a reply.
pub fn run(
    platform: &mut dyn Platform,
    driver: &mut Requests,
    options: &Options,
    check: &mut dyn FnMut(&Asked, &Reply) -> Result<(), String>,
    progress: &mut dyn FnMut(u64),
) -> Result<Report, ScenarioError> {
    let start = platform.now();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let (mut given, mut report) = (0, Report::default());
    let mut asked = HashMap::new();
    while report.requests < options.requests {
        let queue = rng.random_range(0..options.queues.max(1));
        while asked.len() < options.depth.max(1) && given < options.requests && driver.has_room(queue, BUFFERS) {
            let (one, cut) = request(&mut rng);
            let shape = if rng.random_bool(0.5) { Shape::Indirect } else { Shape::Direct };
            let number = driver.give(platform, queue, &one.request, one.room, &cut, shape)?;
            asked.insert((queue, number), one);
            given += 1;
        }
        driver.kick(platform)?;
        let deadline = platform.now() + PATIENCE;
        let difference = |request, what| ScenarioError::Difference { seed: options.seed, request, what };
        let Some(reply) = driver.wait(platform, deadline)? else {
            return Err(difference(report.requests, format!("{} requests are not answered", asked.len())));
        };
        let Some(one) = asked.remove(&(reply.queue, reply.number)) else {
            return Err(difference(report.requests, "a reply to what nobody has asked".into()));
        };
        check(&one, &reply).map_err(|what| difference(report.requests, what))?;
        report.requests += 1;
        report.request_bytes += one.request.len() as u64;
        report.reply_bytes += reply.bytes.len() as u64;
        progress(report.requests);
    }
    report.cycles = platform.now() - start;
    Ok(report)
}

/// A request, and the lengths of its buffers.
fn request(rng: &mut ChaCha8Rng) -> (Asked, Vec<u32>) {
    let mut request = vec![0; rng.random_range(0..LONGEST)];
    rng.fill_bytes(&mut request);
    let room = match rng.random_range(0..12) {
        0 if !request.is_empty() => 0,
        1 => ROOM * rng.random_range(1..25),
        _ => rng.random_range(1..=ROOM),
    };
    let cut = (0..rng.random_range(0..BUFFERS / 2)).map(|_| rng.random_range(1..70)).collect();
    (Asked { request, room }, cut)
}

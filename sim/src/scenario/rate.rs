//! How many frames per second go through the endpoint, against what the link allows.
use super::limit::net_frame;
use super::wire::FarEnd;
use super::ScenarioError;
use crate::host::net::{Net, Outgoing};
use crate::host::ring::Shape;
use crate::host::Platform;
use crate::link::LinkConfig;
use serde::Serialize;
use std::time::Duration;
use virtio_hdl_rtl::virtio::layout::net::FRAME_BYTES_MAX;

/// Cycles after which a frame has been lost.
const PATIENCE: u64 = 4_000_000;
/// Cycles from one look at the wire to the next, when nothing else is to come.
const WIRE_PATIENCE: u64 = 16;
/// Frames that a driver hands over at a time; the limit counts with it.
const BATCH: u64 = 32;
/// Chains that the device has at most: half of a queue of 256, so that there is always a batch under way.
const DEPTH: usize = 128;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// From driver to wire, else from wire to driver.
    pub transmit: bool,
    /// Bytes of each frame.
    pub bytes: u32,
    /// Frames measured.
    pub frames: u64,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// From driver to wire, else from wire to driver.
    pub transmit: bool,
    /// Bytes of each frame.
    pub bytes: u32,
    /// Frames measured.
    pub frames: u64,
    /// Cycles they took together.
    pub cycles: u64,
    /// Cycles per frame.
    pub cycles_per_frame: f64,
    /// Cycles per frame that the link allows.
    pub limit_cycles: f64,
    /// Share of the link's limit, 0 to 1.
    pub share: f64,
    /// Millions of frames per second.
    pub mpps: f64,
    /// Gigabits of frames per second.
    pub gigabits: f64,
}

/// Sends or receives `options.frames` frames as fast as the endpoint can. For frames that come in, the wire has to be
/// faster than the link.
pub fn run(
    platform: &mut dyn Platform,
    net: &mut Net,
    wire: &FarEnd,
    link: &LinkConfig,
    options: &Options,
) -> Result<Figures, ScenarioError> {
    let cycles = match options.transmit {
        true => transmit(platform, net, wire, options)?,
        false => receive(platform, net, wire, link, options)?,
    };
    let cycles_per_frame = cycles as f64 / options.frames as f64;
    let limit_cycles = net_frame(link, options.transmit, options.bytes.into(), BATCH).cycles(link);
    let mpps = link.clock_hz as f64 / cycles_per_frame / 1e6;
    Ok(Figures {
        transmit: options.transmit,
        bytes: options.bytes,
        frames: options.frames,
        cycles,
        cycles_per_frame,
        limit_cycles,
        share: limit_cycles / cycles_per_frame,
        mpps,
        gigabits: mpps * f64::from(options.bytes) * 8.0 / 1e3,
    })
}

/// Cycles for the frames behind the first batch, until the last one is on the wire.
fn transmit(
    platform: &mut dyn Platform,
    net: &mut Net,
    wire: &FarEnd,
    options: &Options,
) -> Result<u64, ScenarioError> {
    let frame = vec![0x5a; options.bytes as usize];
    let all = options.frames + BATCH;
    let (mut submitted, mut seen, mut start, mut since) = (0, 0, 0, platform.now());
    while seen < all {
        while submitted < all && net.transmitting() + BATCH as usize <= DEPTH {
            for _ in 0..BATCH.min(all - submitted) {
                net.send(platform, &Outgoing { frame: frame.clone(), ..Outgoing::default() })?;
                submitted += 1;
            }
            net.kick(platform)?;
        }
        // no interrupt says that a frame whose buffers have been given back has left for the wire
        let patience = if net.transmitting() == 0 { WIRE_PATIENCE } else { PATIENCE };
        let deadline = platform.now() + patience;
        net.wait(platform, deadline)?;
        while wire.take().is_some() {
            seen += 1;
            since = platform.now();
            if seen == BATCH {
                start = since;
            }
        }
        lost(platform, since, seen)?;
    }
    Ok(since - start)
}

/// The same for frames that come in; more of them are put on the wire than the endpoint can take.
fn receive(
    platform: &mut dyn Platform,
    net: &mut Net,
    wire: &FarEnd,
    link: &LinkConfig,
    options: &Options,
) -> Result<u64, ScenarioError> {
    let bytes = net.header_bytes() + FRAME_BYTES_MAX;
    let frame = vec![0x5a; options.bytes as usize];
    let all = options.frames + BATCH;
    let (mut put, mut seen, mut start, mut since) = (0, 0, 0, platform.now());
    while seen < all {
        while net.receive_buffers() + BATCH as usize <= 2 * DEPTH {
            for _ in 0..BATCH {
                net.provide(platform, bytes, &[], Shape::Direct)?;
            }
            net.kick(platform)?;
        }
        while put < seen + 4 * DEPTH as u64 {
            let now = u128::from(platform.now()) * 1_000_000_000 / u128::from(link.clock_hz);
            wire.put(Duration::from_nanos(now as u64), frame.clone());
            put += 1;
        }
        let deadline = platform.now() + PATIENCE;
        if net.wait(platform, deadline)?.is_some() {
            seen += 1;
            since = platform.now();
            if seen == BATCH {
                start = since;
            }
        }
        lost(platform, since, seen)?;
    }
    Ok(since - start)
}

fn lost(platform: &dyn Platform, since: u64, seen: u64) -> Result<(), ScenarioError> {
    match platform.now() - since < PATIENCE {
        true => Ok(()),
        false => Err(ScenarioError::Difference { seed: 0, request: seen, what: "no more frames arrive".into() }),
    }
}

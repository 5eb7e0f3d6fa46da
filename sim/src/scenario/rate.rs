//! How many frames per second go through the endpoint, against what the link allows.
use super::limit::{net_frame, Heads};
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
/// Frames and buffers that the driver has with the device at most: a queue full.
const DEPTH: usize = 256;

/// Which way the frames go.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From driver to wire.
    Transmit,
    /// From wire to driver.
    Receive,
    /// Both at once.
    Both,
}

impl Way {
    fn transmits(self) -> bool {
        self != Way::Receive
    }
    fn receives(self) -> bool {
        self != Way::Transmit
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which way.
    pub way: Way,
    /// Bytes of each frame.
    pub bytes: u32,
    /// Frames to measure at least, both ways together.
    pub frames: u64,
    /// How the driver's heads lie; the limit counts with it.
    pub heads: Heads,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Which way.
    pub way: Way,
    /// Bytes of each frame.
    pub bytes: u32,
    /// Frames measured, both ways together.
    pub frames: u64,
    /// Of these, frames that went out.
    pub transmitted: u64,
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

/// Sends or receives `options.frames` frames as fast as the endpoint can, or does both. For frames that come in, the wire has to
/// be faster than the link.
pub fn run(
    platform: &mut dyn Platform,
    net: &mut Net,
    wire: &FarEnd,
    link: &LinkConfig,
    options: &Options,
) -> Result<Figures, ScenarioError> {
    let frame = vec![0x5a; options.bytes as usize];
    let (cycles, seen) = Load { net, wire, link, options, frame, put: 0, seen: Seen::default() }.measure(platform)?;
    let frames = seen.all();
    let cycles_per_frame = cycles as f64 / frames as f64;
    let limit = |transmit| net_frame(link, transmit, options.bytes.into(), BATCH, options.heads);
    let limit_cycles = match options.way {
        Way::Transmit => limit(true).cycles(link),
        Way::Receive => limit(false).cycles(link),
        // of two frames, one each way
        Way::Both => limit(true).with(&limit(false)).cycles(link) / 2.0,
    };
    let mpps = link.clock_hz as f64 / cycles_per_frame / 1e6;
    Ok(Figures {
        way: options.way,
        bytes: options.bytes,
        frames,
        transmitted: seen.transmitted,
        cycles,
        cycles_per_frame,
        limit_cycles,
        share: limit_cycles / cycles_per_frame,
        mpps,
        gigabits: mpps * f64::from(options.bytes) * 8.0 / 1e3,
    })
}

/// Frames that have arrived.
#[derive(Copy, Clone, Debug, Default)]
struct Seen {
    transmitted: u64,
    received: u64,
}

impl Seen {
    fn all(&self) -> u64 {
        self.transmitted + self.received
    }

    fn since(&self, before: &Seen) -> Seen {
        Seen { transmitted: self.transmitted - before.transmitted, received: self.received - before.received }
    }
}

/// A driver that always has enough for the device to do.
struct Load<'a> {
    net: &'a mut Net,
    wire: &'a FarEnd,
    link: &'a LinkConfig,
    options: &'a Options,
    frame: Vec<u8>,
    /// Frames put on the wire.
    put: u64,
    seen: Seen,
}

impl Load<'_> {
    /// Cycles that the frames behind the first queue full of each way took, and how many they are.
    fn measure(&mut self, platform: &mut dyn Platform) -> Result<(u64, Seen), ScenarioError> {
        let mut start = None;
        let mut since = platform.now();
        loop {
            self.give(platform)?;
            // no interrupt says that a frame whose buffers have been given back has left for the wire
            let idle = !self.options.way.receives() && self.net.transmitting() == 0;
            let deadline = platform.now() + if idle { WIRE_PATIENCE } else { PATIENCE };
            let before = self.seen.all();
            self.seen.received += u64::from(self.net.wait(platform, deadline)?.is_some());
            while self.wire.take().is_some() {
                self.seen.transmitted += 1;
            }
            let now = platform.now();
            if self.seen.all() > before {
                since = now;
            } else if now - since >= PATIENCE {
                let what = "no more frames arrive".into();
                return Err(ScenarioError::Difference { seed: 0, request: self.seen.all(), what });
            }
            let (begin, first) = *match &mut start {
                None if self.flows() => start.insert((now, self.seen)),
                None => continue,
                Some(start) => start,
            };
            let behind = self.seen.since(&first);
            if behind.all() >= self.options.frames {
                return Ok((now - begin, behind));
            }
        }
    }

    /// A queue full has passed each way that is measured.
    fn flows(&self) -> bool {
        let full = |counts: bool, seen: u64| !counts || seen >= DEPTH as u64;
        full(self.options.way.transmits(), self.seen.transmitted)
            && full(self.options.way.receives(), self.seen.received)
    }

    /// Gives the device what it has room for, in batches.
    fn give(&mut self, platform: &mut dyn Platform) -> Result<(), ScenarioError> {
        while self.options.way.transmits() && self.net.transmitting() + BATCH as usize <= DEPTH {
            for _ in 0..BATCH {
                self.net.send(platform, &Outgoing { frame: self.frame.clone(), ..Outgoing::default() })?;
            }
            self.net.kick(platform)?;
        }
        let bytes = self.net.header_bytes() + FRAME_BYTES_MAX;
        while self.options.way.receives() && self.net.receive_buffers() + BATCH as usize <= DEPTH {
            for _ in 0..BATCH {
                self.net.provide(platform, bytes, &[], Shape::Direct)?;
            }
            self.net.kick(platform)?;
        }
        while self.options.way.receives() && self.put < self.seen.received + 2 * DEPTH as u64 {
            let now = u128::from(platform.now()) * 1_000_000_000 / u128::from(self.link.clock_hz);
            self.wire.put(Duration::from_nanos(now as u64), self.frame.clone());
            self.put += 1;
        }
        Ok(())
    }
}

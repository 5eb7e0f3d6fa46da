//! How long one request takes that is alone in the endpoint.
use super::measure::{Bench, Rig, ABOVE};
use crate::cli::machine::BoundDisk;
use crate::host::blk::{Operation, Request};
use crate::host::net::{Net, Outgoing};
use crate::host::ring::{Buffer, Shape, Virtqueue};
use crate::host::Platform;
use crate::machine::Machine;
use crate::scenario::latency::{self, Begin, Latency};
use crate::scenario::limit::{Heads, LatencyFloor};
use crate::scenario::ScenarioError;
use anyhow::Context;
use serde::Serialize;
use std::ops::Range;
use std::time::Duration;
use virtio_hdl_rtl::config::LinkOptions;
use virtio_hdl_rtl::virtio::layout;

/// Requests of a measurement.
const ROUNDS: usize = 200;
/// Cycles after which a request has been lost.
const PATIENCE: u64 = 4_000_000;
/// Bytes of a disk request, and of a frame.
const BLK_BYTES: u32 = 4096;
const FRAME_BYTES: usize = 64;
/// Cycles until a frame comes by wire: enough for the endpoint to fetch the buffer that is to wait for it.
const PREPARATION: u64 = 4_000;

/// How long one request alone takes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Alone {
    pub link: &'static str,
    pub what: String,
    pub clock_hz: u64,
    pub latency: Latency,
    /// For what begins with a frame by wire all of it; for what begins with a notify, what does not hold a wait for the host.
    pub floor: LatencyFloor,
    /// It begins with a frame by wire, else with a notify.
    pub by_wire: bool,
}

impl Rig {
    /// A disk, one 4 KiB request at a time.
    pub fn blk_alone(&self, bench: &mut Bench) -> anyhow::Result<()> {
        for (operation, name) in [(Operation::In, "read"), (Operation::Out, "write")] {
            let BoundDisk { mut machine, mut blk } = self.start_blk(ABOVE)?;
            let address = machine.allocate(BLK_BYTES.into(), 4096).context("no guest memory")?;
            let ring = used_ring(blk.queue());
            let data = vec![Buffer { address, bytes: BLK_BYTES, writable: operation == Operation::In }];
            let request = Request { operation, sector: 0, data, shape: Shape::Direct };
            let latency = latency::measure(&mut machine, ring, ROUNDS, |machine| {
                blk.execute(machine, &request, PATIENCE)?;
                Ok::<_, ScenarioError>(Begin::Notify)
            })?;
            bench.alone.push(self.alone(&format!("blk {name} 4 KiB"), latency, false));
        }
        Ok(())
    }

    /// A network port, one frame at a time: out, in with a buffer that comes late, in with buffers that wait for it.
    pub fn net_alone(&self, bench: &mut Bench) -> anyhow::Result<()> {
        bench.alone.push(self.transmit_alone()?);
        bench.alone.push(self.receive_alone()?);
        bench.alone.push(self.wire_alone()?);
        Ok(())
    }

    fn transmit_alone(&self) -> anyhow::Result<Alone> {
        let (mut machine, mut net, _wire) = self.start_net(ABOVE, Heads::Runs)?;
        let ring = used_ring(net.queues().1);
        let outgoing = Outgoing { frame: vec![0x5a; FRAME_BYTES], ..Outgoing::default() };
        let latency = latency::measure(&mut machine, ring, ROUNDS, |machine| {
            net.send(machine, &outgoing)?;
            net.kick(machine)?;
            wait_until(machine, &mut net, |net| net.transmitting() == 0)?;
            Ok(Begin::Notify)
        })?;
        Ok(self.alone("net transmit 64 B", latency, false))
    }

    /// The frame waits for its buffer.
    fn receive_alone(&self) -> anyhow::Result<Alone> {
        let (mut machine, mut net, wire) = self.start_net(ABOVE, Heads::Runs)?;
        let ring = used_ring(net.queues().0);
        let bytes = net.header_bytes() + FRAME_BYTES as u32;
        let latency = latency::measure(&mut machine, ring, ROUNDS, |machine| {
            wire.put(Duration::ZERO, vec![0x5a; FRAME_BYTES]);
            machine.run(100);
            net.provide(machine, bytes, &[], Shape::Direct)?;
            net.kick(machine)?;
            wait_until(machine, &mut net, |net| net.receive_buffers() == 0)?;
            Ok(Begin::Notify)
        })?;
        Ok(self.alone("net receive 64 B, late buffer", latency, false))
    }

    /// The buffer waits for its frame, and so does the driver, as one does that has nothing else to do: it has asked for the interrupt.
    fn wire_alone(&self) -> anyhow::Result<Alone> {
        let (mut machine, mut net, wire) = self.start_net(ABOVE, Heads::Runs)?;
        let ring = used_ring(net.queues().0);
        let bytes = net.header_bytes() + FRAME_BYTES as u32;
        let nanoseconds = 1_000_000_000 / self.link.clock_hz;
        let latency = latency::measure(&mut machine, ring, ROUNDS, |machine| {
            net.provide(machine, bytes, &[], Shape::Direct)?;
            net.kick(machine)?;
            let at = machine.now() + PREPARATION;
            wire.put(Duration::from_nanos(at * nanoseconds), vec![0x5a; FRAME_BYTES]);
            wait_until(machine, &mut net, |net| net.receive_buffers() == 0)?;
            Ok(Begin::Wire(at))
        })?;
        Ok(self.alone("net receive 64 B, by wire", latency, true))
    }

    fn alone(&self, what: &str, latency: Latency, by_wire: bool) -> Alone {
        let floor = LatencyFloor::of_a_frame(&self.link, FRAME_BYTES as u64, (LinkOptions::DATAPATH_BITS / 8).into());
        Alone { link: self.link.speed.name(), what: what.into(), clock_hz: self.link.clock_hz, latency, floor, by_wire }
    }
}

/// Waits for the end of the one request.
fn wait_until(machine: &mut Machine, net: &mut Net, ended: impl Fn(&Net) -> bool) -> Result<(), ScenarioError> {
    let deadline = machine.now() + PATIENCE;
    while !ended(net) && machine.now() < deadline {
        net.wait(machine, deadline)?;
    }
    Ok(())
}

/// Where a queue's used ring lies.
fn used_ring(queue: &Virtqueue) -> Range<u64> {
    let used = layout::used_offset(queue.size());
    queue.address() + used..queue.address() + layout::ring_bytes(queue.size())
}

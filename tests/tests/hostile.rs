//! The whole endpoint before a device side that breaks every rule: no wrong data in any chain, nothing of before a reset after it, and a
//! reset that waits for nobody.
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;
use virtio_hdl::backend::{BlkCommand, BlkEvent, BlkOperation, BlkPorts, NetPort};
use virtio_hdl::host::blk::{Blk, Operation, Options, Request, Status};
use virtio_hdl::host::net::{Net, Options as NetOptions, Outgoing};
use virtio_hdl::host::pci::Bus;
use virtio_hdl::host::ring::{Buffer, Shape};
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::{DevicePacket, DeviceSide, Endpoint, ModelError};
use virtio_hdl::scenario::wire::FarEnd;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_tests::rig::{content, SECTORS};
use virtio_hdl_tests::{example, library};
use vm_memory::{Bytes, GuestAddress};

/// A millisecond of the endpoint's clock: a reset ends within it.
const MILLISECOND: u64 = 125_000;
/// Each request's part of the buffers.
const SLOT_BYTES: u64 = 8192;
/// What lies in them before.
const BEFORE: u8 = 0x11;
/// Data of no command.
const POISON: [u8; 16] = [0xee; 16];

/// A disk that answers as it should, or anything.
struct Disk {
    rng: Rng,
    hostile: Arc<AtomicBool>,
    ports: Option<BlkPorts>,
    writes: VecDeque<BlkCommand>,
    /// Answers that another one overtakes.
    held: Vec<BlkCommand>,
}

impl Disk {
    fn new(seed: u64, hostile: Arc<AtomicBool>) -> Self {
        Disk { rng: Rng(seed + 1), hostile, ports: None, writes: VecDeque::new(), held: vec![] }
    }

    fn data(command: BlkCommand) -> Vec<u8> {
        match command.operation {
            BlkOperation::Read => {
                (0..u64::from(command.length / 512)).flat_map(|n| content(command.sector + n)).collect()
            }
            BlkOperation::GetId => vec![0x33; command.length as usize],
            _ => vec![],
        }
    }

    fn honest(&mut self, at: u64, command: BlkCommand, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let ports = self.ports.expect("connected");
        ports.status(endpoint, at, command.tag, 0)?;
        match Disk::data(command) {
            data if data.is_empty() => Ok(()),
            data => ports.read_data(endpoint, at, command.tag, &data, true),
        }
    }

    fn answer(&mut self, now: u64, command: BlkCommand, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        if !self.hostile.load(Ordering::Relaxed) {
            return self.honest(now, command, endpoint);
        }
        let ports = self.ports.expect("connected");
        let at = now + if self.rng.chance(1, 3) { self.rng.below(8000) } else { 0 };
        let mut data = Disk::data(command);
        match self.rng.below(14) {
            0 => {}
            1 => ports.status(endpoint, at, command.tag, self.rng.below(256) as u8)?,
            2 => ports.status(endpoint, at, command.tag, 0)?,
            3 => ports.status(endpoint, at, self.rng.below(256) as u8, 0)?,
            4 if !data.is_empty() => ports.read_data(endpoint, at, command.tag, &data, true)?,
            5 if data.len() > 16 => {
                data.truncate(16 * (1 + self.rng.below(data.len().div_ceil(16) as u64 - 1) as usize));
                ports.status(endpoint, at, command.tag, 0)?;
                ports.read_data(endpoint, at, command.tag, &data, true)?;
            }
            6 if !data.is_empty() => {
                data.resize(data.len().next_multiple_of(16), 0);
                (0..=self.rng.below(40)).for_each(|_| data.extend(POISON));
                ports.status(endpoint, at, command.tag, 0)?;
                ports.read_data(endpoint, at, command.tag, &data, true)?;
            }
            7 => {
                self.honest(at, command, endpoint)?;
                self.honest(at, command, endpoint)?;
            }
            8 => {
                // not yet asked, or long ago
                let tag = command.tag.wrapping_add(self.rng.below(20) as u8).wrapping_sub(10);
                if tag != command.tag {
                    ports.status(endpoint, at, tag, 0)?;
                }
                if tag.wrapping_sub(command.tag) >= 128 {
                    ports.read_data(endpoint, at, tag, &POISON, true)?;
                }
                self.honest(at, command, endpoint)?;
            }
            9 => self.held.push(command),
            _ => {
                self.honest(at, command, endpoint)?;
                for held in std::mem::take(&mut self.held) {
                    self.honest(at, held, endpoint)?;
                }
            }
        }
        Ok(())
    }
}

impl DeviceSide for Disk {
    fn connect(&mut self, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        let ports = BlkPorts::connect(endpoint)?;
        ports.show(endpoint, SECTORS, false);
        self.ports = Some(ports);
        Ok(())
    }

    fn packet(&mut self, packet: DevicePacket, endpoint: &mut Endpoint) -> Result<(), ModelError> {
        match self.ports.expect("connected").event(packet) {
            Some(BlkEvent::Command(_, command)) if command.operation == BlkOperation::Write => {
                self.writes.push_back(command);
                Ok(())
            }
            Some(BlkEvent::Command(at, command)) => self.answer(at, command, endpoint),
            Some(BlkEvent::WriteData(at, words, discard)) => {
                let command = self.writes.pop_front().expect("data of a command");
                assert!(discard || words.len() * 4 == command.length as usize, "{} words", words.len());
                self.answer(at, command, endpoint)
            }
            _ => Ok(()),
        }
    }
}

/// Buffers of a request: of its own, filled with what is there before.
fn request(rng: &mut Rng, machine: &Machine, address: u64) -> Request {
    let operation =
        [Operation::In, Operation::In, Operation::Out, Operation::Flush, Operation::GetId][rng.below(5) as usize];
    let bytes = match operation {
        Operation::Flush => 0,
        Operation::GetId => 1 + rng.below(100) as u32,
        _ => 512 * (1 + rng.below(8) as u32),
    };
    machine.memory().write_slice(&[BEFORE; SLOT_BYTES as usize], GuestAddress(address)).unwrap();
    let writable = matches!(operation, Operation::In | Operation::GetId);
    let data = if bytes == 0 { vec![] } else { vec![Buffer { address, bytes, writable }] };
    Request { operation, sector: rng.below(SECTORS - 8), data, shape: Shape::Direct }
}

fn check(machine: &Machine, request: &Request, status: Option<Status>) {
    let Some(buffer) = request.data.first().filter(|buffer| buffer.writable) else { return };
    let mut bytes = vec![0; SLOT_BYTES as usize];
    machine.memory().read_slice(&mut bytes, GuestAddress(buffer.address)).unwrap();
    let own: Vec<u8> = match request.operation {
        Operation::In => (0..8).flat_map(|n| content(request.sector + n)).collect(),
        _ => [vec![0x33; 20], vec![0; 80]].concat(),
    };
    let length = buffer.bytes as usize;
    assert!(bytes[length..].iter().all(|byte| *byte == BEFORE), "behind the buffer of {request:?}");
    for (place, byte) in bytes[..length].iter().enumerate() {
        let good = *byte == own[place];
        // an answer that was cut off ends in an error, behind what was there of it
        let unfinished = [0, BEFORE, POISON[0]].contains(byte);
        assert!(
            good || status != Some(Status::Ok) && unfinished,
            "byte {place} of {request:?} is {byte:#x}, it ended with {status:?}"
        );
    }
}

#[test]
fn a_hostile_disk_puts_no_wrong_data_into_any_chain_and_holds_up_no_reset() {
    let (mut ended_well, mut ended_badly, mut forgotten) = (0, 0, 0);
    for seed in 0..4 {
        let hostile = Arc::new(AtomicBool::new(false));
        let port = Box::new(Disk::new(seed, hostile.clone()));
        let mut machine = Machine::new(&library(&example("blk")), port, &MachineOptions::default()).unwrap();
        let mut bus = Bus::scan(&mut machine, &Default::default()).unwrap();
        let mut rng = Rng(100 + seed);
        let buffers = machine.allocate(32 * SLOT_BYTES, 4096).unwrap();
        let mut blk = Blk::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
        for round in 0..12 {
            hostile.store(true, Ordering::Relaxed);
            let mut outstanding = vec![];
            for slot in 0..12 {
                let request = request(&mut rng, &machine, buffers + slot * SLOT_BYTES);
                outstanding.push((blk.submit(&mut machine, &request).unwrap(), request));
            }
            blk.kick(&mut machine).unwrap();
            if rng.chance(1, 3) {
                machine.run(rng.below(800));
                machine.endpoint().set_device_held(true).unwrap();
            }
            machine.run(rng.below(12_000));
            for ended in blk.poll(&mut machine).unwrap() {
                let place = outstanding.iter().position(|(ticket, _)| *ticket == ended.ticket);
                let (_, request) = outstanding.swap_remove(place.expect("ended once"));
                check(&machine, &request, Some(ended.status));
                match ended.status {
                    Status::Ok => ended_well += 1,
                    _ => ended_badly += 1,
                }
            }
            forgotten += outstanding.len();
            let reset_at = machine.now();
            blk.remove(&mut machine, &mut bus).unwrap();
            let mut before = vec![0; 12 * SLOT_BYTES as usize];
            machine.memory().read_slice(&mut before, GuestAddress(buffers)).unwrap();
            outstanding.iter().for_each(|(_, request)| check(&machine, request, None));
            // the device is a new one while the disk still takes nothing
            blk = Blk::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
            let reads = machine.statistics().reads;
            let last = request(&mut rng, &machine, buffers + 31 * SLOT_BYTES);
            let last = Request {
                operation: Operation::In,
                data: vec![Buffer::writable(buffers + 31 * SLOT_BYTES, 4096)],
                ..last
            };
            let ticket = blk.submit(&mut machine, &last).unwrap();
            blk.kick(&mut machine).unwrap();
            while machine.statistics().reads < reads + 3 {
                machine.run(100);
                assert!(machine.now() - reset_at < MILLISECOND, "round {round}: the reset does not end");
            }
            hostile.store(false, Ordering::Relaxed);
            machine.endpoint().set_device_held(false).unwrap();
            let deadline = machine.now() + MILLISECOND;
            let ended = blk.wait(&mut machine, deadline).unwrap_or_else(|error| panic!("round {round}: {error}"));
            assert_eq!((ended.len(), ended[0].ticket, ended[0].status), (1, ticket, Status::Ok), "round {round}");
            check(&machine, &last, Some(Status::Ok));
            machine.run(10_000);
            let mut after = vec![0; before.len()];
            machine.memory().read_slice(&mut after, GuestAddress(buffers)).unwrap();
            assert!(before == after, "round {round}: a buffer of before the reset was written");
            machine.check().unwrap();
            assert!(machine.root().violations().is_empty(), "{:?}", machine.root().violations());
        }
    }
    assert!(ended_well > 50 && ended_badly > 20 && forgotten > 50, "{ended_well} {ended_badly} {forgotten}");
}

#[test]
fn a_wire_that_takes_nothing_holds_up_no_reset() {
    let config = example("net");
    let wire = FarEnd::default();
    let port = NetPort::new(wire.backend(), config.net_options().mac, config.link.clock_hz);
    let mut machine = Machine::new(&library(&config), Box::new(port), &MachineOptions::default()).unwrap();
    let mut bus = Bus::scan(&mut machine, &Default::default()).unwrap();
    let frame = |n: u8, bytes: usize| vec![n; bytes];
    for (round, delay) in [0, 300, 600, 900, 2000, 5000].into_iter().enumerate() {
        let round = round as u8;
        let mut net = Net::probe(&mut machine, &mut bus, SLOT, &NetOptions::default()).unwrap();
        for n in 0..20 {
            let outgoing = Outgoing { frame: frame(n | 0x80, 1000), ..Outgoing::default() };
            net.send(&mut machine, &outgoing).unwrap();
        }
        net.kick(&mut machine).unwrap();
        machine.run(delay);
        machine.endpoint().set_device_held(true).unwrap();
        machine.run(1000);
        let reset_at = machine.now();
        net.transport().write(&mut machine, layout::STATUS, Width::Byte, 0);
        assert_eq!(net.transport().status(&mut machine), 0);
        net.remove(&mut machine, &mut bus).unwrap();
        // it receives while the wire still takes nothing
        let mut net = Net::probe(&mut machine, &mut bus, SLOT, &NetOptions::default()).unwrap();
        net.provide(&mut machine, 2000, &[], Shape::Direct).unwrap();
        net.kick(&mut machine).unwrap();
        let mut received = None;
        while received.is_none() {
            let now = u128::from(machine.now()) * 1_000_000_000 / u128::from(config.link.clock_hz);
            wire.put(Duration::from_nanos(now as u64), frame(round, 100));
            machine.run(3000);
            received = net.poll(&mut machine).unwrap();
            assert!(machine.now() - reset_at < MILLISECOND, "round {round}: the reset does not end");
        }
        assert_eq!(received.unwrap().frame, frame(round, 100));
        machine.endpoint().set_device_held(false).unwrap();
        while wire.take().is_some() {}
        let outgoing = Outgoing { frame: frame(round, 200), ..Outgoing::default() };
        net.send(&mut machine, &outgoing).unwrap();
        net.kick(&mut machine).unwrap();
        machine.run(20_000);
        let sent: Vec<_> = std::iter::from_fn(|| wire.take()).collect();
        // the last beat of a frame may have been on offer
        assert_eq!(sent.last(), Some(&frame(round, 200)), "round {round}");
        assert!(sent.len() <= 2, "round {round}: {} frames of before the reset", sent.len() - 1);
        machine.check().unwrap();
        net.remove(&mut machine, &mut bus).unwrap();
    }
    assert!(machine.side::<NetPort>().unwrap().statistics().spoilt_frames > 0, "no frame was cut off");
}

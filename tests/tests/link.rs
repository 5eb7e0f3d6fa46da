//! The endpoint on every kind of link, and what it does when its reads fail. The root complex records each rule of
//! PCI Express that the endpoint breaks, and each access is compared with what the ring names.
use std::ops::Range;
use std::sync::{Arc, Mutex};
use virtio_hdl::backend::{Disk, DiskPort};
use virtio_hdl::host::blk::{Blk, Operation, Options, Request, Status, Ticket};
use virtio_hdl::host::pci::Bus;
use virtio_hdl::host::ring::{Buffer, Shape};
use virtio_hdl::host::virtio_pci::VectorPolicy;
use virtio_hdl::host::Platform;
use virtio_hdl::host::Width;
use virtio_hdl::link::tlp::*;
use virtio_hdl::link::{CompletionCut, Credits, DeviceAccess, Fault, HostRequest, Latency, LinkConfig, RootComplex};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl_rtl::device::BLK;
use virtio_hdl_rtl::endpoint::diagnostics;
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout::*;
use virtio_hdl_tests::rig::{setup, setup_of, Setup, LONG};
use virtio_hdl_tests::{bound, example, impatient};
use vm_memory::{Bytes, GuestAddress};

const SECTORS: u64 = 2048;
const REQUEST_BYTES: u64 = 4096;

fn disk(options: &MachineOptions) -> (Machine, Bus, Blk) {
    let driver = Options { scatter: Some(options.link.seed), ..Options::default() };
    bound(&example("blk"), Disk::in_memory(SECTORS), options, &driver)
}

fn pattern(seed: u64, bytes: u64) -> Vec<u8> {
    (0..bytes).map(|n| ((n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

/// Buffers of odd sizes at odd addresses that cover `bytes` bytes from `address`.
fn pieces(address: u64, bytes: u64, writable: bool) -> Vec<Buffer> {
    let mut data = Vec::new();
    let mut from = 0;
    for size in [1, 300, 7, 2001, 64, u64::MAX] {
        let size = size.min(bytes - from);
        data.push(Buffer { address: address + from, bytes: size as u32, writable });
        from += size;
    }
    data
}

/// Submits `count` requests at once and waits for all; the statuses in the order of submission.
fn run(machine: &mut Machine, blk: &mut Blk, operation: Operation, address: u64, count: u64) -> Vec<Status> {
    let shapes = [Shape::Direct, Shape::Indirect, Shape::Mixed(1)];
    let tickets: Vec<Ticket> = (0..count)
        .map(|n| {
            let data = pieces(address + n * REQUEST_BYTES, REQUEST_BYTES, operation == Operation::In);
            let sector = n * REQUEST_BYTES / blk::SECTOR_BYTES;
            let shape = shapes[n as usize % shapes.len()];
            blk.submit(machine, &Request { operation, sector, data, shape }).unwrap_or_else(|error| panic!("{error}"))
        })
        .collect();
    let mut ended = Vec::new();
    while blk.in_flight() > 0 {
        let deadline = machine.now() + 3_000_000;
        ended.extend(blk.wait(machine, deadline).unwrap_or_else(|error| panic!("{error}")));
    }
    let status = |ticket| ended.iter().find(|ended| ended.ticket == ticket).map(|ended| ended.status);
    tickets.into_iter().map(|ticket| status(ticket).expect("each request ends")).collect()
}

/// Writes and reads a hundred KiB with 24 requests in flight, twice.
fn exercise(link: LinkConfig, stall: Stall) -> Machine {
    const COUNT: u64 = 24;
    let bytes = COUNT * REQUEST_BYTES;
    let (mut machine, _, mut blk) = disk(&MachineOptions { link, stall, ..MachineOptions::default() });
    // From an odd address.
    let block = machine.allocate(bytes + 3, 4096).unwrap();
    let address = block + 3;
    for round in 0..2 {
        let data = pattern(round, bytes);
        machine.memory().write_slice(&data, GuestAddress(address)).unwrap();
        assert_eq!(run(&mut machine, &mut blk, Operation::Out, address, COUNT), vec![Status::Ok; COUNT as usize]);
        let mut found = vec![0; bytes as usize];
        machine.side::<DiskPort>().unwrap().disk().read(0, &mut found).unwrap();
        assert!(found == data, "the disk does not hold what was written");
        machine.memory().write_slice(&vec![0; bytes as usize], GuestAddress(address)).unwrap();
        assert_eq!(run(&mut machine, &mut blk, Operation::In, address, COUNT), vec![Status::Ok; COUNT as usize]);
        machine.memory().read_slice(&mut found, GuestAddress(address)).unwrap();
        assert!(found == data, "what was read is not what was written");
    }
    assert_eq!(machine.root().violations(), []);
    machine.check().unwrap();
    machine
}

fn link() -> LinkConfig {
    LinkConfig { seed: 1, ..LinkConfig::default() }
}

#[test]
fn every_way_to_cut_completions() {
    for completion_cut in [CompletionCut::Boundary, CompletionCut::MaxPayload, CompletionCut::Random] {
        for read_completion_boundary in [64, 128] {
            exercise(LinkConfig { completion_cut, read_completion_boundary, ..link() }, Stall::default());
        }
    }
}

#[test]
fn every_payload_and_read_request_size() {
    for (max_payload, max_read_request) in [(128, 128), (128, 4096), (256, 256), (256, 1024)] {
        exercise(LinkConfig { max_payload, max_read_request, ..link() }, Stall::default());
    }
}

#[test]
fn completions_in_any_order_over_a_wide_spread() {
    let read_latency = Latency { shortest_ns: 20, median_ns: 2000, longest_ns: 8000 };
    for seed in 0..4 {
        let completion_cut = CompletionCut::Random;
        exercise(LinkConfig { read_latency, completion_cut, seed, ..link() }, Stall::default());
    }
}

#[test]
fn few_credits_are_not_overdrawn() {
    let credits = Credits { nonposted_headers: 8, ..Credits::default() };
    let machine = exercise(LinkConfig { credits, ..link() }, Stall::default());
    assert!(machine.statistics().most_reads <= 8);
}

#[test]
fn streams_that_stand_still_at_random() {
    for (receive, transmit, device) in [(128, 0, 0), (0, 128, 0), (0, 0, 128), (100, 100, 100)] {
        exercise(link(), Stall { receive, transmit, device });
    }
}

/// Whether it was a write, and which bytes.
type Seen = (bool, Range<u64>);

#[test]
fn nothing_is_accessed_but_ring_headers_and_buffers() {
    let (mut machine, _, mut blk) = disk(&MachineOptions { link: link(), ..MachineOptions::default() });
    let address = machine.allocate(8 * REQUEST_BYTES, 4096).unwrap();
    let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
    let log = seen.clone();
    machine.root().watch(move |access| {
        log.lock().unwrap().push(match access {
            DeviceAccess::Read { address, bytes, .. } => (false, *address..address + bytes),
            DeviceAccess::Write { address, data, .. } => (true, *address..address + data.len() as u64),
        });
    });
    let ring = blk.queue().address();
    let used = ring + used_offset(blk.queue().size());
    let end = ring + ring_bytes(blk.queue().size());
    let data = address..address + 8 * REQUEST_BYTES;
    let status_bytes = blk.status_bytes();
    run(&mut machine, &mut blk, Operation::In, address, 8);
    let within = |range: &Range<u64>, outer: &Range<u64>| outer.start <= range.start && range.end <= outer.end;
    for (write, range) in seen.lock().unwrap().iter() {
        if *write {
            let allowed = within(range, &data) || within(range, &(used..end)) || status_bytes.contains(range);
            assert!(allowed, "write to {range:x?}");
        } else {
            assert!(!within(range, &data), "{range:x?} is for the device to write and was read");
        }
    }
    assert_eq!(machine.statistics().outside_reads + machine.statistics().dropped_writes, 0);
}

const FAULTS: [Fault; 4] = [Fault::Unsupported, Fault::Aborted, Fault::Poisoned, Fault::Lost];

/// A disk whose reads time out soon.
fn impatient_disk() -> (Machine, Bus, Blk) {
    let config = impatient(example("blk"));
    let options = MachineOptions { link: link(), ..MachineOptions::default() };
    bound(&config, Disk::in_memory(SECTORS), &options, &Options::default())
}

#[test]
fn failed_read_of_data_fails_exactly_its_request() {
    let (mut machine, _, mut blk) = impatient_disk();
    let address = machine.allocate(8 * REQUEST_BYTES, 4096).unwrap();
    for fault in FAULTS {
        for (request, offset) in [(0, 0), (3, 1000), (7, 4095)] {
            let at = address + request * REQUEST_BYTES + offset;
            machine.root().inject(at..at + 1, fault);
            let found = run(&mut machine, &mut blk, Operation::Out, address, 8);
            assert_eq!(machine.root().pending_faults(), 0);
            let expected: Vec<Status> =
                (0..8).map(|n| if n == request { Status::IoError } else { Status::Ok }).collect();
            assert_eq!(found, expected, "{fault:?} at {offset} of request {request}");
        }
    }
    let all = run(&mut machine, &mut blk, Operation::Out, address, 8);
    assert_eq!(all, [Status::Ok; 8]);
    machine.check().unwrap();
}

#[test]
fn late_completion_is_dropped_and_its_tag_is_used_again() {
    let (mut machine, _, mut blk) = impatient_disk();
    let address = machine.allocate(8 * REQUEST_BYTES, 4096).unwrap();
    machine.root().inject(address + 64..address + 65, Fault::Late(120_000));
    let found = run(&mut machine, &mut blk, Operation::Out, address, 8);
    assert_eq!(found[0], Status::IoError);
    assert_eq!(found[1..], [Status::Ok; 7]);
    for round in 0..20 {
        machine.memory().write_slice(&pattern(round, 8 * REQUEST_BYTES), GuestAddress(address)).unwrap();
        assert_eq!(run(&mut machine, &mut blk, Operation::Out, address, 8), [Status::Ok; 8]);
        let mut disk = vec![0; 8 * REQUEST_BYTES as usize];
        machine.side::<DiskPort>().unwrap().disk().read(0, &mut disk).unwrap();
        assert!(disk == pattern(round, 8 * REQUEST_BYTES), "a late completion in round {round}");
    }
    assert_eq!(machine.root().violations(), []);
}

#[test]
fn failed_read_of_the_ring_hangs_nothing_and_a_reset_recovers() {
    for fault in FAULTS {
        let (mut machine, mut bus, blk) = impatient_disk();
        let size = blk.queue().size();
        let ring = blk.queue().address();
        blk.remove(&mut machine, &mut bus).unwrap();
        for place in [0..avail_offset(size), avail_offset(size)..used_event_offset(size)] {
            let mut blk = Blk::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
            assert_eq!(blk.queue().address(), ring, "the same memory again");
            machine.root().inject(ring + place.start..ring + place.end, fault);
            let flush = Request { operation: Operation::Flush, sector: 0, data: vec![], shape: Shape::Direct };
            blk.submit(&mut machine, &flush).unwrap();
            blk.kick(&mut machine).unwrap();
            // Whether the request ends is the device's business; it answers, and it starts afresh.
            machine.run(20_000);
            assert_eq!(machine.root().pending_faults(), 0, "{fault:?}");
            assert_ne!(blk.transport().status(&mut machine), 0xff);
            blk.remove(&mut machine, &mut bus).unwrap();
            let mut blk = Blk::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
            blk.write(&mut machine, 1, &[7; 512]).unwrap();
            blk.remove(&mut machine, &mut bus).unwrap();
        }
        assert_eq!(machine.root().violations(), []);
        machine.check().unwrap();
    }
}

/// A disk whose driver has INTx only.
fn with_intx() -> Setup {
    let policies = VectorPolicy::ALL.into_iter().rev().take(1).collect();
    setup(&MachineOptions { link: link(), ..MachineOptions::default() }, &Options { policies, ..Options::default() })
}

#[test]
fn intx_waits_for_d0() {
    let mut s = with_intx();
    s.expect_no_intx_from_sleep("raw packets");
    s.assert_works();
    assert_eq!(s.machine.root().violations(), []);
}

/// The messages that have come, without their times.
fn messages(s: &mut Setup) -> Vec<u8> {
    std::iter::from_fn(|| s.machine.root().take_message()).map(|(_, code)| code).collect()
}

/// Sends a message of the root complex to everybody.
fn broadcast(s: &mut Setup, code: u8) {
    let message = Message {
        requester: RootComplex::ID,
        tag: 0,
        routing: Routing::Broadcast,
        code,
        fields: [0; 2],
        payload: vec![],
    };
    let now = s.machine.now();
    s.machine.root().send(now, Tlp::from(Kind::Message(message)).encode());
}

#[test]
fn power_turn_off_is_answered_in_every_power_state_and_under_traffic() {
    let mut s = with_intx();
    for state in [0, 3] {
        s.bus.function(SLOT).unwrap().clone().set_power_state(&mut s.machine, state).unwrap();
        broadcast(&mut s, PME_TURN_OFF);
        s.machine.run(LONG);
        assert_eq!(messages(&mut s), [PME_TO_ACK], "D{state}");
        // Set_Slot_Power_Limit and the like are nobody's affair
        broadcast(&mut s, 0x50);
        s.machine.run(LONG);
        assert!(messages(&mut s).is_empty(), "D{state}");
    }
    s.bus.function(SLOT).unwrap().clone().set_power_state(&mut s.machine, 0).unwrap();
    s.begin_reads();
    broadcast(&mut s, PME_TURN_OFF);
    broadcast(&mut s, PME_TURN_OFF);
    s.wait_all();
    s.expect_reads();
    let acknowledged = messages(&mut s);
    assert!(!acknowledged.is_empty() && acknowledged.iter().all(|code| *code == PME_TO_ACK), "{acknowledged:x?}");
    assert_eq!(s.machine.root().violations(), []);
}

/// What goes wrong at the device.
#[derive(Copy, Clone, Debug)]
enum Error {
    /// A read that hits nothing: a locked one.
    UnsupportedRead,
    /// A write that hits nothing.
    UnsupportedWrite,
    /// A completion that nobody waits for.
    UnexpectedCompletion,
    /// A read that is longer than the registers take.
    TooLong,
    /// A packet that is none.
    Malformed,
    /// A write of wrong data.
    Poisoned,
}

fn provoke(s: &mut Setup, error: Error) {
    let bar1 = s.bus.function(SLOT).unwrap().bar(1).unwrap().address;
    let memory = |address, bytes| {
        let (enables, length) = ByteEnables::of(address, bytes);
        MemoryRequest { requester: RootComplex::ID, tag: 200, address, length, enables }
    };
    let packet = match error {
        Error::UnsupportedRead => Tlp::from(Kind::MemoryRead { request: memory(bar1, 4), locked: true }),
        Error::UnsupportedWrite => {
            Tlp::from(Kind::MemoryWrite { request: memory(bar1 + 0x10_0000, 4), payload: vec![1] })
        }
        Error::UnexpectedCompletion => Tlp::from(Kind::Completion(Completion {
            completer: RootComplex::ID,
            requester: SLOT,
            tag: 250,
            status: CompletionStatus::UnsupportedRequest,
            byte_count: 4,
            lower_address: 0,
            payload: vec![],
            locked: false,
        })),
        Error::TooLong => Tlp::from(Kind::MemoryRead { request: memory(bar1, 64), locked: false }),
        Error::Malformed => Tlp::from(Kind::MemoryRead { request: memory(bar1, 4), locked: false }),
        Error::Poisoned => {
            let mut tlp = Tlp::from(Kind::MemoryWrite { request: memory(bar1, 4), payload: vec![1] });
            tlp.header.poisoned = true;
            tlp
        }
    };
    let mut dwords = packet.encode();
    if matches!(error, Error::Malformed) {
        dwords.push(0);
    }
    let now = s.machine.now();
    s.machine.root().send(now, dwords);
    s.machine.run(2000);
}

/// Role-based error reporting (PCI Express Base Specification, 6.2.3.2.4): what the requester is told of in a completion is
/// advisory, and goes by the enable of correctable errors; SERR# Enable stands in for the other two.
#[test]
fn errors_are_reported_as_the_enables_ask() {
    const CORRECTABLE: u16 = 1;
    const NONFATAL: u16 = 2;
    const FATAL: u16 = 4;
    const UNSUPPORTED: u16 = 8;
    const SERR: u16 = 1 << 8;
    let mut s = with_intx();
    let function = s.bus.function(SLOT).unwrap().clone();
    let control = function.capability(pci::CAPABILITY_EXPRESS).unwrap() + pci::EXPRESS_DEVICE_CONTROL;
    let before = s.machine.config_read(SLOT, control, Width::Word) & !15;
    for asleep in [false, true] {
        for serr in [0, SERR] {
            function.command(&mut s.machine, serr, !serr & SERR);
            for enables in 0..16u16 {
                s.machine.config_write(SLOT, control, Width::Word, before | u32::from(enables));
                let on = |bits: u16| enables & bits == bits;
                for (error, code, wanted) in [
                    (Error::UnsupportedRead, ERR_COR, on(CORRECTABLE | UNSUPPORTED)),
                    (Error::UnsupportedWrite, ERR_NONFATAL, on(NONFATAL | UNSUPPORTED) || serr != 0),
                    (Error::UnexpectedCompletion, ERR_COR, on(CORRECTABLE)),
                    (Error::Malformed, ERR_FATAL, on(FATAL) || serr != 0),
                    (Error::TooLong, ERR_COR, on(CORRECTABLE)),
                    (Error::Poisoned, ERR_NONFATAL, on(NONFATAL) || serr != 0),
                ] {
                    // asleep, nothing hits a BAR: unsupported requests
                    if asleep && matches!(error, Error::TooLong | Error::Poisoned) {
                        continue;
                    }
                    s.machine.config_write(SLOT, pci::STATUS, Width::Word, 0xffff);
                    if asleep {
                        function.set_power_state(&mut s.machine, 3).unwrap();
                    }
                    provoke(&mut s, error);
                    let what = format!("{error:?}, Device Control {enables:#x}, SERR# {serr:#x}, asleep: {asleep}");
                    assert_eq!(messages(&mut s), if wanted { vec![code] } else { vec![] }, "{what}");
                    let signaled = s.machine.config_read(SLOT, pci::STATUS, Width::Word) & 1 << 14 != 0;
                    assert_eq!(signaled, wanted && serr != 0 && code != ERR_COR, "{what}: Signaled System Error");
                    function.set_power_state(&mut s.machine, 0).unwrap();
                }
            }
        }
    }
    s.assert_works();
}

/// Device Control 2: without a timeout a request waits for its read as long as it takes, a reset ends it, and with the timeout
/// back it fails.
#[test]
fn completion_timeout_can_be_disabled() {
    let config = impatient(example("blk"));
    let mut s = setup_of(&config, &MachineOptions { link: link(), ..MachineOptions::default() }, &Options::default());
    let express = s.bus.function(SLOT).unwrap().capability(pci::CAPABILITY_EXPRESS).unwrap();
    let capabilities = s.machine.config_read(SLOT, express + pci::EXPRESS_DEVICE_CAPABILITIES_2, Width::Double);
    assert_eq!(capabilities, pci::EXPRESS_TIMEOUT_DISABLE_SUPPORTED);
    let control = express + pci::EXPRESS_DEVICE_CONTROL_2;
    let disable = u32::from(pci::EXPRESS_TIMEOUT_DISABLE);
    for reset in [false, true] {
        s.machine.config_write(SLOT, control, Width::Word, 0xffff);
        assert_eq!(s.machine.config_read(SLOT, control, Width::Word), disable);
        s.machine.root().inject(s.buffers..s.buffers + 512, Fault::Lost);
        s.submit(Operation::Out, 0);
        s.blk.kick(&mut s.machine).unwrap();
        s.machine.run(200_000);
        assert_eq!(s.blk.poll(&mut s.machine).unwrap().len(), 0, "given up");
        assert_eq!(s.machine.root().pending_faults(), 0);
        if reset {
            s = s.probe_again();
        } else {
            s.machine.config_write(SLOT, control, Width::Word, 0);
            let ended = s.wait_all();
            assert_eq!(ended.iter().map(|ended| ended.status).collect::<Vec<_>>(), [Status::IoError]);
        }
        s.assert_works();
    }
}

/// Reads of memory BARs of up to 16 bytes, at any address, are the bytes that single reads give. Longer ones are against the
/// programming model.
#[test]
fn memory_bars_are_read_up_to_16_bytes_at_any_address() {
    let mut s = setup_of(
        &example("blk-memory-bar"),
        &MachineOptions { link: link(), ..MachineOptions::default() },
        &Options::default(),
    );
    let function = s.bus.function(SLOT).unwrap().clone();
    // behind the registers that a read changes: device config, table, diagnostics
    for (bar, from) in [(0, 0x18), (1, 0), (1, 0x800), (1, 0xc00)] {
        let base = function.bar(bar).unwrap().address + from;
        let single: Vec<u8> = (0..40).map(|n| s.machine.mmio_read(base + n, Width::Byte) as u8).collect();
        for offset in 0..8usize {
            for bytes in 1..=16 - offset % 4 {
                let address = base + offset as u64;
                let (status, data) = s.ask(HostRequest::MemoryRead { address, bytes: bytes as u16 });
                assert_eq!(status, Some(CompletionStatus::Successful), "{bytes} bytes at {address:#x}");
                assert_eq!(data, single[offset..offset + bytes], "{bytes} bytes at {address:#x}");
            }
        }
        let (status, _) = s.ask(HostRequest::MemoryRead { address: base, bytes: 20 });
        assert_eq!(status, Some(CompletionStatus::CompleterAbort), "20 bytes");
    }
    s.assert_works();
    assert_eq!(s.machine.root().violations(), []);
}

#[test]
fn the_diagnostics_are_in_bar1_as_in_config_space() {
    let mut s = setup(&MachineOptions { link: link(), ..MachineOptions::default() }, &Options::default());
    s.assert_works();
    s.offer(256);
    s.blk.kick(&mut s.machine).unwrap();
    s.machine.run(LONG);
    let fields = diagnostics::fields(&BLK).count() as u16;
    let shown: Vec<u32> = (0..fields).map(|field| s.diagnostic(field)).collect();
    assert_eq!(shown[0], 2 | 256 << 16, "head index out of range");
    assert!(shown[12] > 0 && shown[13] > 0 && shown[14] > 0, "{shown:?}");
    let window: Vec<u32> = (0..fields).map(|field| s.window(field.into())).collect();
    assert_eq!(window, shown);
    assert_eq!((s.window(fields.into()), s.window(63)), (0, 0), "behind the last");
    assert_eq!(s.machine.endpoint().queue_violation(), shown[0], "the port");
}

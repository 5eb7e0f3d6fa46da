//! What the legacy interface and the virtqueue ask of the device, on the whole Verilated endpoint: bad rings, resets,
//! bus mastering, failing reads, order of writes, interrupts.
use std::sync::{Arc, Mutex};
use virtio_hdl::backend::DiskPort;
use virtio_hdl::host::blk::{Blk, Operation, Options, Status};
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::host::ring::{Buffer, Shape};
use virtio_hdl::host::virtio_pci::VectorPolicy;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::{DeviceAccess, Fault};
use virtio_hdl::machine::{MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl::scenario::random;
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout::{self, used_offset, DESCRIPTOR_INDIRECT, DESCRIPTOR_NEXT, DESCRIPTOR_WRITE};
use virtio_hdl_rtl::virtio::types::Violation;
use virtio_hdl_tests::rig::*;
use virtio_hdl_tests::{example, show_sectors};
use vm_memory::{Bytes, GuestAddress};

/// Offers a good read and then what `spoil` makes. The read ends well, the queue stops with this report, nothing else is
/// written, and a reset recovers.
fn bad_ring(rule: Violation, head: u16, spoil: impl FnOnce(&mut Setup)) {
    let mut s = default_setup();
    let (ring, size) = s.ring();
    s.submit(Operation::In, 0);
    let written = Arc::new(Mutex::new(vec![]));
    let log = written.clone();
    s.machine.root().watch(move |access| {
        if let DeviceAccess::Write { address, data, .. } = access {
            log.lock().unwrap().push((*address, data.len() as u64));
        }
    });
    spoil(&mut s);
    s.blk.kick(&mut s.machine).unwrap();
    s.machine.run(LONG);
    let report = s.diagnostic(0);
    assert_eq!(report & 0xff, rule as u32, "rule");
    assert_eq!(report >> 16, u32::from(head), "head");
    let used: u16 = s.machine.memory().read_obj(GuestAddress(ring + used_offset(size) + 2)).unwrap();
    assert!(used <= 1, "{used} chains used");
    let used_ring = ring + used_offset(size)..ring + layout::ring_bytes(size);
    let buffer = s.buffers..s.buffers + 4096;
    for (address, bytes) in written.lock().unwrap().iter() {
        let inside = |range: &std::ops::Range<u64>| range.contains(address) && address + bytes <= range.end;
        // the status byte lies in memory of the driver's own
        assert!(inside(&used_ring) || inside(&buffer) || *bytes == 1, "{bytes} bytes written to {address:#x}");
    }
    let mut s = s.probe_again();
    assert_eq!(s.diagnostic(0), 0, "a reset clears the report");
    s.assert_works();
}

#[test]
fn bad_ring_head_out_of_range() {
    bad_ring(Violation::HeadRange, 256, |s| s.offer(256));
}

#[test]
fn bad_ring_loop() {
    bad_ring(Violation::ChainTooLong, 20, |s| {
        s.descriptor(20, s.buffers, 16, DESCRIPTOR_NEXT, 21);
        s.descriptor(21, s.buffers, 16, DESCRIPTOR_NEXT, 20);
        s.offer(20);
    });
}

#[test]
fn bad_ring_chain_longer_than_the_queue() {
    bad_ring(Violation::ChainTooLong, 20, |s| {
        for i in 0..256 {
            s.table_entry(i, s.buffers, 1, DESCRIPTOR_NEXT, (i as u16 + 1) % 256);
        }
        s.descriptor(20, s.table(), 256 * 16, DESCRIPTOR_INDIRECT, 0);
        s.offer(20);
    });
}

#[test]
fn bad_ring_next_out_of_range() {
    bad_ring(Violation::NextRange, 20, |s| {
        s.descriptor(20, s.buffers, 16, DESCRIPTOR_NEXT, 256);
        s.offer(20);
    });
}

#[test]
fn bad_ring_indirect_inside_indirect() {
    bad_ring(Violation::IndirectNested, 20, |s| {
        s.table_entry(0, s.buffers, 16, DESCRIPTOR_INDIRECT, 0);
        s.descriptor(20, s.table(), 16, DESCRIPTOR_INDIRECT, 0);
        s.offer(20);
    });
}

#[test]
fn bad_ring_indirect_length_not_a_multiple_of_16() {
    bad_ring(Violation::IndirectLength, 20, |s| {
        s.descriptor(20, s.table(), 40, DESCRIPTOR_INDIRECT, 0);
        s.offer(20);
    });
}

#[test]
fn bad_ring_zero_length_descriptor() {
    bad_ring(Violation::ZeroLength, 20, |s| {
        s.descriptor(20, s.buffers, 0, 0, 0);
        s.offer(20);
    });
}

#[test]
fn bad_ring_writable_before_readable() {
    bad_ring(Violation::WritableFirst, 20, |s| {
        s.descriptor(20, s.buffers, 16, DESCRIPTOR_NEXT | DESCRIPTOR_WRITE, 21);
        s.descriptor(21, s.buffers, 16, 0, 0);
        s.offer(20);
    });
}

#[test]
fn bad_ring_available_index_jumps_by_more_than_the_queue_size() {
    bad_ring(Violation::AvailableIndex, 0, |s| {
        s.blk.queue_mut().publish(s.machine.memory(), 300).unwrap();
        s.blk.transport().notify(&mut s.machine, 0);
        s.machine.run(LONG);
    });
}

#[test]
fn bad_ring_request_too_short() {
    for (readable, writable) in [(15, 1), (16, 0), (0, 16)] {
        bad_ring(Violation::RequestTooShort, 20, |s| {
            let next = if readable > 0 && writable > 0 { DESCRIPTOR_NEXT } else { 0 };
            if readable > 0 {
                s.descriptor(20, s.buffers, readable, next, 21);
            }
            if writable > 0 {
                s.descriptor(if readable > 0 { 21 } else { 20 }, s.buffers, writable, DESCRIPTOR_WRITE, 0);
            }
            s.offer(20);
        });
    }
}

#[test]
fn bad_ring_descriptor_read_fails() {
    for fault in [Fault::Unsupported, Fault::Aborted, Fault::Poisoned] {
        bad_ring(Violation::RingRead, 20, |s| {
            let (ring, _) = s.ring();
            s.descriptor(20, s.buffers, 16, 0, 0);
            s.offer(20);
            s.machine.root().inject(ring + 20 * 16..ring + 21 * 16, fault);
        });
    }
}

/// The host answers a read late, so the reset drains for long; the driver is ready before that, and has read the capacity.
#[test]
fn a_change_while_a_reset_drains_is_told_afterwards() {
    let drain = 40_000;
    for name in ["blk", "blk-intx"] {
        let options = MachineOptions::default();
        let mut s = setup_of(&example(name), &options, &Options::default());
        let late = Fault::Late(drain * 1_000_000_000 / options.link.clock_hz);
        s.machine.root().inject(s.buffers..s.buffers + 4096, late);
        s.submit(Operation::Out, 0);
        s.blk.kick(&mut s.machine).unwrap();
        s.machine.run(2000);
        let status = |s: &mut Setup, value| s.blk.transport().write(&mut s.machine, layout::STATUS, Width::Byte, value);
        let isr = |s: &mut Setup| s.blk.transport().read(&mut s.machine, layout::ISR, Width::Byte);
        status(&mut s, 0);
        status(&mut s, 7);
        show_sectors(&mut s.machine, SECTORS + 1);
        s.machine.run(drain / 4);
        assert_eq!(isr(&mut s), 0, "{name}: nothing is told during the reset");
        s.machine.run(2 * drain);
        assert_eq!(isr(&mut s), 3, "{name}");
        s.machine.run(LONG);
        assert_eq!(isr(&mut s), 0, "{name}: told once");
        // no driver cares any more
        show_sectors(&mut s.machine, SECTORS);
        s.machine.run(LONG);
        status(&mut s, 0);
        status(&mut s, 7);
        s.machine.run(LONG);
        assert_eq!(isr(&mut s), 0, "{name}: a change before the reset");
    }
}

#[test]
fn bad_ring_buffer_or_table_behind_the_last_address() {
    for (bytes, flags) in [(512, DESCRIPTOR_WRITE), (512, 0), (512, DESCRIPTOR_INDIRECT)] {
        bad_ring(Violation::AddressRange, 20, |s| {
            s.descriptor(20, s.buffers, 16, DESCRIPTOR_NEXT, 21);
            s.descriptor(21, 0u64.wrapping_sub(256), bytes, flags, 22);
            s.offer(20);
        });
    }
}

/// What a read of the ring is for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum RingRead {
    Index,
    Slots,
    Descriptor,
    Table,
    UsedEvent,
}

/// A read of the ring fails while requests are under way. Those that were taken come to their end, the others are neither read nor
/// answered, and a reset recovers.
fn ring_read_fails(kind: RingRead, fault: Fault) {
    let what = format!("{kind:?} {fault:?}");
    let mut s = impatient_setup();
    let (ring, size) = s.ring();
    let available = ring + layout::avail_offset(size);
    let used = |s: &Setup| -> u16 { s.machine.memory().read_obj(GuestAddress(ring + used_offset(size) + 2)).unwrap() };
    for n in 0..8 {
        s.submit(Operation::In, n);
    }
    s.blk.kick(&mut s.machine).unwrap();
    s.machine.run(700);
    let written = Arc::new(Mutex::new(vec![]));
    let log = written.clone();
    s.machine.root().watch(move |access| {
        if let DeviceAccess::Write { address, .. } = access {
            log.lock().unwrap().push(*address);
        }
    });
    let slot = available + layout::RING_ENTRIES + 2 * 8;
    let mut request = s.request(Operation::In, 8);
    request.shape = if kind == RingRead::Table { Shape::Indirect } else { Shape::Direct };
    s.blk.submit(&mut s.machine, &request).unwrap();
    let head: u16 = s.machine.memory().read_obj(GuestAddress(slot)).unwrap();
    let descriptor = ring + 16 * u64::from(head);
    let table: u64 = s.machine.memory().read_obj(GuestAddress(descriptor)).unwrap();
    let (place, bytes, head) = match kind {
        RingRead::Index => (available, 4, 0),
        RingRead::Slots => (slot, 2, 0),
        RingRead::Descriptor => (descriptor, 16, head),
        RingRead::Table => (table, 16, head),
        RingRead::UsedEvent => (ring + layout::used_event_offset(size), 2, 0),
    };
    s.machine.root().inject(place..place + bytes, fault);
    if kind == RingRead::Slots {
        // the slots are read twice: the first time is a guess, of whose failing nothing comes
        s.machine.root().inject(place..place + bytes, fault);
    }
    for n in 9..12 {
        s.submit(Operation::In, n);
    }
    s.blk.kick(&mut s.machine).unwrap();
    // longer than the completion timeout
    s.machine.run(LONG);
    assert_eq!(s.machine.root().pending_faults(), 0, "{what}: was not read");
    let report = s.diagnostic(0);
    assert_eq!((report & 0xff, report >> 16), (Violation::RingRead as u32, u32::from(head)), "{what}");
    if kind != RingRead::UsedEvent {
        assert_eq!(used(&s), 8, "{what}: chains used");
        let others = s.buffers + 8 * 4096..s.buffers + 12 * 4096;
        let stray = written.lock().unwrap().iter().copied().find(|address| others.contains(address));
        assert_eq!(stray, None, "{what}: written to a buffer that was not taken");
    }
    let before = (s.initiated(), used(&s));
    s.submit(Operation::In, 13);
    s.blk.kick(&mut s.machine).unwrap();
    s.blk.transport().notify(&mut s.machine, 0);
    s.machine.run(LONG);
    assert_eq!((s.initiated(), used(&s)), before, "{what}: the queue goes on");
    let mut s = s.probe_again();
    assert_eq!(s.diagnostic(0), 0, "{what}: a reset clears the report");
    s.assert_works();
}

#[test]
fn ring_reads_of_every_kind_fail_under_load_and_a_reset_recovers() {
    for fault in [Fault::Unsupported, Fault::Aborted, Fault::Poisoned, Fault::Lost] {
        for kind in [RingRead::Index, RingRead::Slots, RingRead::Descriptor, RingRead::Table, RingRead::UsedEvent] {
            ring_read_fails(kind, fault);
        }
    }
}

#[test]
fn status_zero_stops_all_dma_before_the_next_read_is_answered() {
    reset_stops_dma(|s| s.blk.transport().write(&mut s.machine, layout::STATUS, Width::Byte, 0));
}

#[test]
fn queue_pfn_zero_stops_all_dma_before_the_next_read_is_answered() {
    reset_stops_dma(|s| s.blk.transport().write(&mut s.machine, layout::QUEUE_PFN, Width::Double, 0));
}

fn reset_stops_dma(reset: impl Fn(&mut Setup)) {
    // over a link so short and so congested that the next read arrives while packets of before still wait to leave
    let mut near = MachineOptions { stall: Stall { transmit: 200, ..Stall::default() }, ..MachineOptions::default() };
    near.link.one_way_ns = 16;
    // from the first kick to the last used element: the reset strikes everywhere
    let far = [0, 60, 130, 200, 290, 400, 700, 1500, 4000].map(|delay| (MachineOptions::default(), delay));
    let near = (0..80).map(|n| (near.clone(), 37 * n));
    for (options, delay) in far.into_iter().chain(near) {
        let mut s = setup(&options, &Options::default());
        for n in 0..16 {
            s.submit(Operation::In, n);
            s.submit(Operation::Out, n + 64);
        }
        s.blk.kick(&mut s.machine).unwrap();
        s.machine.run(delay);
        reset(&mut s);
        assert_eq!(s.blk.transport().status(&mut s.machine), 0);
        let before = s.initiated();
        s.machine.run(LONG);
        assert_eq!(s.initiated(), before, "packets of the old configuration, {delay} cycles after the kick");
        assert_eq!(s.blk.transport().read(&mut s.machine, layout::ISR, Width::Byte), 0);
        s.probe_again().assert_works();
    }
}

#[test]
fn function_level_reset_stops_dma_and_clears_the_function() {
    let mut s = default_setup();
    s.begin_reads();
    s.bus.function(SLOT).unwrap().reset(&mut s.machine).unwrap();
    let (begun, before) = (s.machine.now(), s.initiated());
    s.machine.run(LONG);
    assert_eq!(s.initiated(), before);
    let command = s.machine.config_read(SLOT, pci::COMMAND, Width::Word) as u16;
    assert_eq!(command & (pci::COMMAND_IO | pci::COMMAND_MEMORY | pci::COMMAND_BUS_MASTER), 0);
    let bus = Bus::scan(&mut s.machine, &BusOptions::default()).unwrap();
    s.bus = bus;
    s.blk = Blk::probe(&mut s.machine, &mut s.bus, SLOT, &Options::default()).unwrap();
    s.assert_works();
    assert!(s.machine.now() - begun < LONG + SOON, "reads that never left must not be waited for");
}

/// Cycles after which a device that is reset must be ready: 1 ms.
const SOON: u64 = 125_000;

#[test]
fn clearing_bus_master_enable_drops_what_was_begun_and_setting_it_brings_nothing_back() {
    for delay in [0, 130, 200, 290, 400, 700, 1500] {
        let mut s = default_setup();
        for n in 0..16 {
            s.submit(Operation::In, n);
            s.submit(Operation::Out, n + 64);
        }
        s.blk.kick(&mut s.machine).unwrap();
        s.machine.run(delay);
        let function = s.bus.function(SLOT).unwrap().clone();
        function.command(&mut s.machine, 0, pci::COMMAND_BUS_MASTER);
        let before = s.initiated();
        // a kick meanwhile
        s.blk.transport().notify(&mut s.machine, 0);
        s.machine.run(if delay == 200 { 0 } else { LONG });
        assert_eq!(s.initiated(), before, "DMA without bus mastering");
        assert_eq!(s.blk.transport().status(&mut s.machine) & layout::STATUS_DRIVER_OK, 0);
        function.command(&mut s.machine, pci::COMMAND_BUS_MASTER, 0);
        s.machine.run(LONG);
        s.blk.transport().notify(&mut s.machine, 0);
        s.machine.run(LONG);
        assert_eq!(s.initiated(), before, "what was dropped came back, {delay} cycles after the kick");
        // who resets it finds it ready
        let begun = s.machine.now();
        let mut s = s.probe_again();
        s.assert_works();
        assert!(s.machine.now() - begun < SOON, "ready after {} cycles", s.machine.now() - begun);
    }
}

#[test]
fn reset_after_bus_mastering_was_taken_away_neither_hangs_nor_sends() {
    for delay in [130, 290, 400, 700] {
        let mut s = default_setup();
        for n in 0..32 {
            s.submit(Operation::In, n);
        }
        s.blk.kick(&mut s.machine).unwrap();
        s.machine.run(delay);
        s.bus.function(SLOT).unwrap().command(&mut s.machine, 0, pci::COMMAND_BUS_MASTER);
        let before = s.initiated();
        s.blk.transport().write(&mut s.machine, layout::STATUS, Width::Byte, 0);
        assert_eq!(s.blk.transport().status(&mut s.machine), 0);
        s.machine.run(LONG);
        assert_eq!(s.initiated(), before);
        let begun = s.machine.now();
        let mut s = s.probe_again();
        s.assert_works();
        assert!(s.machine.now() - begun < SOON, "reads that never left must not be waited for");
    }
}

#[test]
fn old_drivers_use_their_queues_before_they_set_driver_ok() {
    let mut s = default_setup();
    let transport = s.blk.transport();
    let status = transport.status(&mut s.machine) & !layout::STATUS_DRIVER_OK;
    transport.write(&mut s.machine, layout::STATUS, Width::Byte, u32::from(status));
    s.begin_reads();
    s.wait_all();
    s.expect_reads();
}

/// Longer than the completion timeout, as every sleep is.
#[test]
fn no_dma_while_the_function_sleeps() {
    for delay in [130, 290, 400, 700] {
        let mut s = impatient_setup();
        for n in 0..16 {
            s.submit(Operation::In, n);
            s.submit(Operation::Out, n + 64);
        }
        s.blk.kick(&mut s.machine).unwrap();
        s.machine.run(delay);
        let function = s.bus.function(SLOT).unwrap().clone();
        function.set_power_state(&mut s.machine, 3).unwrap();
        let before = s.initiated();
        s.machine.run(LONG);
        assert_eq!(s.initiated(), before, "DMA in D3hot");
        function.set_power_state(&mut s.machine, 0).unwrap();
        for ended in s.wait_all() {
            assert_eq!(ended.status, Status::Ok, "a read that waited was given up");
        }
        assert_eq!(s.diagnostic(8), 0, "timeouts");
        assert_eq!(s.machine.root().violations(), []);
        s.assert_works();
    }
}

/// The host gives the credit of a read back when it has answered it, which may take long.
#[test]
fn neither_a_register_nor_a_reset_waits_for_the_credit_of_a_read() {
    let mut options = MachineOptions::default();
    options.link.credits.nonposted_headers = 8;
    let slow = 400_000;
    (options.link.read_latency.shortest_ns, options.link.read_latency.median_ns) = (slow, slow);
    options.link.read_latency.longest_ns = slow;
    let mut s = setup(&options, &Options::default());
    for n in 0..16 {
        s.submit(Operation::Out, n);
    }
    s.blk.kick(&mut s.machine).unwrap();
    // the read of a page is under way, and the next ones wait
    s.machine.run(4 * LONG);
    let quick = |s: &mut Setup, what: &str| {
        let begun = s.machine.now();
        s.blk.transport().status(&mut s.machine);
        s.machine.config_read(SLOT, pci::COMMAND, Width::Word);
        let cycles = s.machine.now() - begun;
        assert!(cycles < 3000, "{what}: answered after {cycles} cycles");
    };
    quick(&mut s, "at work");
    for _ in 0..3 {
        s.machine.run(LONG / 4);
        s.blk.transport().write(&mut s.machine, layout::STATUS, Width::Byte, 0);
        quick(&mut s, "in a reset");
        let before = s.initiated();
        s.machine.run(2 * LONG);
        assert_eq!(s.initiated(), before, "a read left behind the reset");
    }
    let mut s = s.probe_again();
    s.assert_works();
}

#[test]
fn failing_data_read_fails_exactly_its_request() {
    for fault in [Fault::Unsupported, Fault::Aborted, Fault::Poisoned, Fault::Lost, Fault::Late(75_000)] {
        let mut s = impatient_setup();
        let tickets: Vec<_> = (0..8).map(|n| s.submit(Operation::Out, n)).collect();
        s.machine.root().inject(s.buffers + 3 * 4096 + 1024..s.buffers + 3 * 4096 + 1536, fault);
        for ended in s.wait_all() {
            let expected = if ended.ticket == tickets[3] { Status::IoError } else { Status::Ok };
            assert_eq!(ended.status, expected, "{fault:?}");
        }
        let mut sector = [0; 512];
        for n in 24..32 {
            s.machine.side::<DiskPort>().unwrap().disk().read(n, &mut sector).unwrap();
            assert!(sector == content(n), "{fault:?}: sector {n} of the failed write was changed");
        }
        assert_eq!(s.diagnostic(0), 0, "the queue goes on");
        s.machine.run(LONG);
        s.assert_works();
    }
}

#[test]
fn failing_header_read_executes_nothing() {
    let mut s = default_setup();
    let header = s.machine.allocate(4096, 4096).unwrap();
    let status = header + 16;
    s.machine.memory().write_slice(&[0xff; 32], GuestAddress(header)).unwrap();
    s.machine.root().inject(header..header + 16, Fault::Poisoned);
    let buffers = [Buffer::readable(header, 16), Buffer::readable(s.buffers, 4096), Buffer::writable(status, 1)];
    s.blk.queue_mut().add(&mut s.machine, &buffers, Shape::Direct).unwrap();
    if s.blk.queue_mut().kick(s.machine.memory()).unwrap() {
        s.blk.transport().notify(&mut s.machine, 0);
    }
    s.machine.run(LONG);
    assert_eq!(s.machine.side::<DiskPort>().unwrap().commands(), 0);
    let status: u8 = s.machine.memory().read_obj(GuestAddress(status)).unwrap();
    assert_eq!(status, layout::blk::STATUS_IOERR);
}

#[test]
fn data_then_used_element_then_used_index_then_interrupt() {
    let mut s = default_setup();
    let (ring, size) = s.ring();
    let used = ring + used_offset(size);
    let log = Arc::new(Mutex::new(vec![]));
    let sink = log.clone();
    s.machine.root().watch(move |access| {
        if let DeviceAccess::Write { address, .. } = access {
            sink.lock().unwrap().push(*address);
        }
    });
    for n in 0..4 {
        s.submit(Operation::In, n);
    }
    s.wait_all();
    let log = log.lock().unwrap();
    let last = |wanted: u64| log.iter().rposition(|address| *address == wanted);
    for n in 0..4u64 {
        let element = last(used + 4 + 8 * n);
        let data = log.iter().rposition(|address| (s.buffers + 4096 * n..s.buffers + 4096 * (n + 1)).contains(address));
        // elements may share a write with the one before
        if let Some(element) = element {
            assert!(data < Some(element), "data of request {n} behind its used element");
        }
        assert!(data < last(used + 2), "data of request {n} behind the last used index");
    }
    assert!(last(used + 4) < last(used + 2), "used element behind the used index");
}

#[test]
fn any_cut_of_a_request_into_descriptors_works() {
    // the header byte by byte, header with data, data with status, all in two
    let mut s = default_setup();
    let region = s.machine.allocate(8192, 4096).unwrap();
    let cuts: [(Vec<u32>, Vec<u32>); 5] = [
        (vec![1; 16], vec![513]),
        (vec![16], vec![512, 1]),
        (vec![3, 13], vec![1, 510, 2]),
        (vec![15, 1], vec![256, 256, 1]),
        (vec![16], vec![1; 513].chunks(17).map(|chunk| chunk.iter().sum()).collect()),
    ];
    for (i, (readable, writable)) in cuts.iter().enumerate() {
        let sector = 11 + i as u64;
        let mut header = [0u8; 16];
        header[8..].copy_from_slice(&sector.to_le_bytes());
        s.machine.memory().write_slice(&header, GuestAddress(region)).unwrap();
        let mut buffers = vec![];
        let mut address = region;
        readable.iter().for_each(|bytes| {
            buffers.push(Buffer::readable(address, *bytes));
            address += u64::from(*bytes);
        });
        let answer = address;
        writable.iter().for_each(|bytes| {
            buffers.push(Buffer::writable(address, *bytes));
            address += u64::from(*bytes);
        });
        s.blk.queue_mut().add(&mut s.machine, &buffers, Shape::Direct).unwrap();
        if s.blk.queue_mut().kick(s.machine.memory()).unwrap() {
            s.blk.transport().notify(&mut s.machine, 0);
        }
        s.machine.run(LONG);
        let used = s.blk.queue_mut().take(&mut s.machine).unwrap().expect("the request has ended");
        assert_eq!(used.written, 513);
        let mut data = [0; 513];
        s.machine.memory().read_slice(&mut data, GuestAddress(answer)).unwrap();
        assert!(data[..512] == content(sector) && data[512] == 0, "cut {i}");
    }
}

#[test]
fn masked_vector_is_pending_and_delivered_on_unmask() {
    let mut s =
        setup(&MachineOptions::default(), &Options { policies: VectorPolicy::ALL.to_vec(), ..Options::default() });
    s.expect_masked_vectors_pending("raw packets");
}

#[test]
fn interrupt_disable_keeps_the_line_down() {
    let line = VectorPolicy::ALL.into_iter().rev().take(1).collect();
    let mut s = setup(&MachineOptions::default(), &Options { policies: line, ..Options::default() });
    s.bus.function(SLOT).unwrap().command(&mut s.machine, pci::COMMAND_INTX_DISABLE, 0);
    s.submit(Operation::In, 0);
    s.blk.kick(&mut s.machine).unwrap();
    let deadline = s.machine.now() + LONG;
    assert_eq!(s.machine.wait_interrupt(deadline), None);
    let status = s.machine.config_read(SLOT, pci::STATUS, Width::Word) as u16;
    assert_ne!(status & pci::STATUS_INTERRUPT, 0, "Interrupt Status");
    s.bus.function(SLOT).unwrap().command(&mut s.machine, 0, pci::COMMAND_INTX_DISABLE);
    assert_eq!(s.wait_all().len(), 1);
}

#[test]
fn garbage_packets_are_counted_and_harm_nothing() {
    let mut s = default_setup();
    let mut state = 0x1234_5678_9abc_def0u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..3000 {
        let length = 1 + random() as usize % 12;
        let mut packet: Vec<u32> = (0..length).map(|_| random() as u32).collect();
        // no write that could reach a register: these are not garbage
        packet[0] |= 0xa000_0000;
        let now = s.machine.now();
        s.machine.root().send(now, packet);
        s.machine.run(20);
    }
    s.machine.run(LONG);
    assert!(s.diagnostic(1) + s.diagnostic(2) > 1000, "malformed packets and messages are counted");
    s.assert_works();
}

#[test]
fn few_credits_slow_it_down_and_lose_nothing() {
    let mut options = MachineOptions::default();
    options.link.credits.nonposted_headers = 8;
    options.link.credits.posted_headers = 8;
    options.link.credits.posted_data = 40;
    let mut s = setup(&options, &Options::default());
    s.begin_reads();
    s.wait_all();
    s.expect_reads();
    assert_eq!(s.machine.root().violations(), []);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let run = |seed| {
        let mut options = MachineOptions::default();
        options.link.seed = seed;
        let mut s = setup(&options, &Options::default());
        let mut content: Vec<u8> = (0..SECTORS).flat_map(content).collect();
        let run = random::Options {
            requests: 60,
            depth: 8,
            seed,
            serial: example("blk").blk_options().serial.clone(),
            read_only: false,
            strict: true,
        };
        let report = random::run(&mut s.machine, &mut s.blk, &mut content, &run, &mut |_| {}).unwrap();
        (report, s.machine.statistics().to_host_bytes, s.machine.now())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

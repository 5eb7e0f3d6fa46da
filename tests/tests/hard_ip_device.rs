//! What can happen to a device, on the endpoint behind the model of every vendor's PCIe block: interrupts, resets, bus
//! mastering, requests that hit nothing, reads that fail, order of writes and answers. The streams of the block stand
//! still at random.
use virtio_hdl::backend::DiskPort;
use virtio_hdl::host::blk::{Blk, Operation, Options, Status};
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::host::virtio_pci::VectorPolicy;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::tlp::{ByteEnables, Kind, MemoryRequest};
use virtio_hdl::link::{CompletionStatus, Fault, HostRequest, RootComplex, Tlp};
use virtio_hdl::machine::{MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl_rtl::config::LinkInterface;
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_tests::blocks::{behind, BLOCKS};
use virtio_hdl_tests::rig::*;
use vm_memory::{Bytes, GuestAddress};

type Block = (LinkInterface, u16);

fn options(seed: u64) -> MachineOptions {
    let mut options = MachineOptions { stall: Stall { receive: 60, transmit: 60, device: 30 }, ..Default::default() };
    (options.link.seed, options.link.clock_hz) = (seed, 250_000_000);
    options
}

/// A disk behind a block, which gives reads up within [`LONG`], driven with these options.
fn disk_with(block: Block, options: &MachineOptions, driver: &Options) -> Setup {
    setup_of(&behind(block, "blk"), options, driver)
}

/// The same, with the first way to interrupt that works.
fn disk(block: Block, options: &MachineOptions) -> Setup {
    disk_with(block, options, &Options::default())
}

/// A disk behind a block, whose driver has INTx only, and no EVENT_IDX: the device interrupts as soon as it has written
/// the used index, without a look at memory.
fn with_intx(block: Block, seed: u64) -> Setup {
    let policies = VectorPolicy::ALL.into_iter().rev().take(1).collect();
    let all = Options::default();
    let features = all.features & !(1 << layout::FEATURE_RING_EVENT_IDX);
    disk_with(block, &options(seed), &Options { policies, features, ..all })
}

/// The device broke no rule, of its block or of the link, and works.
fn sound(s: &mut Setup, what: &str) {
    s.machine.check().unwrap_or_else(|error| panic!("{what}: {error}"));
    s.assert_works();
    assert_eq!(s.machine.root().violations(), [], "{what}");
}

#[test]
fn masked_vectors_are_pending_and_delivered_on_unmask() {
    for block in BLOCKS {
        let driver = Options { policies: VectorPolicy::ALL.to_vec(), ..Options::default() };
        let mut s = disk_with(block, &options(1), &driver);
        s.expect_masked_vectors_pending(&format!("{block:?}"));
        sound(&mut s, &format!("{block:?}"));
    }
}

#[test]
fn intx_disable_keeps_the_line_down_and_the_status_bit_up() {
    for block in BLOCKS {
        let mut s = with_intx(block, 2);
        let function = s.bus.function(SLOT).unwrap().clone();
        function.command(&mut s.machine, pci::COMMAND_INTX_DISABLE, 0);
        s.submit(Operation::In, 0);
        s.blk.kick(&mut s.machine).unwrap();
        let deadline = s.machine.now() + LONG;
        assert_eq!(s.machine.wait_interrupt(deadline), None, "{block:?}");
        let status = s.machine.config_read(SLOT, pci::STATUS, Width::Word) as u16;
        assert_ne!(status & pci::STATUS_INTERRUPT, 0, "{block:?}: Interrupt Status");
        function.command(&mut s.machine, 0, pci::COMMAND_INTX_DISABLE);
        assert_eq!(s.wait_all().len(), 1);
        // Disabled while it is asserted: the line goes down, and comes up again.
        s.submit(Operation::In, 0);
        s.blk.kick(&mut s.machine).unwrap();
        s.machine.run(LONG);
        assert!(s.machine.root().intx(), "{block:?}: no interrupt");
        function.command(&mut s.machine, pci::COMMAND_INTX_DISABLE, 0);
        s.machine.run(LONG);
        assert!(!s.machine.root().intx(), "{block:?}: asserted though disabled");
        function.command(&mut s.machine, 0, pci::COMMAND_INTX_DISABLE);
        s.machine.run(LONG);
        assert!(s.machine.root().intx(), "{block:?}: not asserted again");
        assert_eq!(s.blk.transport().read(&mut s.machine, layout::ISR, Width::Byte) & 1, 1);
        s.machine.run(LONG);
        assert!(!s.machine.root().intx(), "{block:?}: asserted for nothing");
        assert_eq!(s.wait_all().len(), 1);
        sound(&mut s, &format!("{block:?}"));
    }
}

#[test]
fn intx_waits_for_d0_behind_every_block() {
    for block in BLOCKS {
        let mut s = with_intx(block, 9);
        s.expect_no_intx_from_sleep(&format!("{block:?}"));
        sound(&mut s, &format!("{block:?}"));
    }
}

/// The diagnostics of a device whose config space is the block's: in BAR1.
#[test]
fn the_diagnostics_are_in_bar1_behind_every_block() {
    for block in BLOCKS {
        let mut s = disk(block, &options(10));
        s.assert_works();
        let (reads, writes, interrupts) = s.initiated();
        s.machine.run(LONG);
        let counted = |s: &mut Setup, field: u64| s.window(field);
        assert_eq!(counted(&mut s, 0), 0, "{block:?}: no violation");
        assert_eq!(counted(&mut s, 12), reads as u32, "{block:?}: reads");
        assert_eq!(counted(&mut s, 13), writes as u32, "{block:?}: writes");
        assert_eq!(counted(&mut s, 14), interrupts as u32, "{block:?}: interrupts");
        // Four at once, and what is written there is lost.
        let address = s.bus.function(SLOT).unwrap().bar(1).unwrap().address + 0xc30;
        let (status, data) = s.ask(HostRequest::MemoryRead { address, bytes: 16 });
        assert_eq!(status, Some(CompletionStatus::Successful), "{block:?}");
        for (n, word) in data.chunks(4).enumerate() {
            let word = u32::from_le_bytes(word.try_into().unwrap());
            assert_eq!(word, s.window(12 + n as u64), "{block:?}: field {}", 12 + n);
        }
        s.machine.mmio_write(address, Width::Double, 0xffff_ffff);
        assert_eq!(s.window(12), reads as u32, "{block:?}: written");
        // The first violation: rule, queue, head.
        s.offer(256);
        s.blk.kick(&mut s.machine).unwrap();
        s.machine.run(LONG);
        assert_eq!(s.window(0), 2 | 256 << 16, "{block:?}: head index out of range");
        let mut s = s.probe_again();
        assert_eq!(s.window(0), 0, "{block:?}: a reset clears the report");
        sound(&mut s, &format!("{block:?}"));
    }
}

/// A driver that reads ISR instead of waiting finds in memory what the device wrote before it set the bit.
#[test]
fn the_answer_to_a_register_read_comes_behind_the_writes_before_it() {
    for block in BLOCKS {
        for seed in 0..6 {
            let mut s = with_intx(block, seed);
            let (ring, size) = s.ring();
            let used = GuestAddress(ring + layout::used_offset(size) + 2);
            for round in 0..12 {
                s.submit(Operation::In, round);
                s.blk.kick(&mut s.machine).unwrap();
                let before: u16 = s.machine.memory().read_obj(used).unwrap();
                let deadline = s.machine.now() + LONG;
                while s.blk.transport().read(&mut s.machine, layout::ISR, Width::Byte) & 1 == 0 {
                    s.machine.check().unwrap();
                    assert!(s.machine.now() < deadline, "{block:?}: no interrupt");
                }
                let after: u16 = s.machine.memory().read_obj(used).unwrap();
                assert_ne!(before, after, "{block:?}, seed {seed}: ISR has passed the used index");
                assert_eq!(s.blk.poll(&mut s.machine).unwrap().len(), 1);
            }
            sound(&mut s, &format!("{block:?}"));
        }
    }
}

#[test]
fn requests_that_the_device_does_not_serve_are_refused() {
    for block in BLOCKS {
        let mut s = disk(block, &options(3));
        let function = s.bus.function(SLOT).unwrap().clone();
        let (bar0, bar1) = (function.bar(0).unwrap(), function.bar(1).unwrap());
        let read = |bytes| HostRequest::MemoryRead { address: bar1.address, bytes };
        for (bytes, expected) in [
            (8, Some(CompletionStatus::Successful)),
            (12, Some(CompletionStatus::Successful)),
            (16, Some(CompletionStatus::Successful)),
            (20, Some(CompletionStatus::CompleterAbort)),
            (64, Some(CompletionStatus::CompleterAbort)),
        ] {
            let served = if expected == Some(CompletionStatus::Successful) { bytes.into() } else { 0 };
            let (status, data) = s.ask(read(bytes));
            assert_eq!((status, data.len()), (expected, served), "{block:?}: {bytes} bytes");
        }
        // A locked read gets past the block, and no further. The answer comes as one without data.
        let (enables, length) = ByteEnables::of(bar1.address, 4);
        let (requester, address) = (RootComplex::ID, bar1.address);
        let request = MemoryRequest { requester, tag: 200, address, length, enables };
        let before = s.machine.statistics().to_host_packets;
        let now = s.machine.now();
        s.machine.root().send(now, Tlp::from(Kind::MemoryRead { request, locked: true }).encode());
        s.machine.run(LONG);
        assert_eq!(s.machine.statistics().to_host_packets, before + 1, "{block:?}: a locked read");
        assert_eq!(s.machine.root().violations().len(), 1, "{block:?}: nobody waits for that");
        // The space is disabled: the block answers.
        function.command(&mut s.machine, 0, pci::COMMAND_IO | pci::COMMAND_MEMORY);
        let port = bar0.address as u32;
        let refused = (Some(CompletionStatus::UnsupportedRequest), vec![]);
        assert_eq!(s.ask(HostRequest::IoRead { port, bytes: 1 }), refused, "{block:?}");
        assert_eq!(s.ask(read(4)), refused, "{block:?}");
        function.command(&mut s.machine, pci::COMMAND_IO | pci::COMMAND_MEMORY, 0);
        s.assert_works();
    }
}

#[test]
fn a_failed_read_of_data_fails_exactly_its_request() {
    for block in BLOCKS {
        for fault in [Fault::Unsupported, Fault::Aborted, Fault::Poisoned, Fault::Lost, Fault::Late(75_000)] {
            let mut s = disk(block, &options(4));
            let tickets: Vec<_> = (0..8).map(|n| s.submit(Operation::Out, n)).collect();
            s.machine.root().inject(s.buffers + 3 * 4096 + 1024..s.buffers + 3 * 4096 + 1536, fault);
            for ended in s.wait_all() {
                let expected = if ended.ticket == tickets[3] { Status::IoError } else { Status::Ok };
                assert_eq!(ended.status, expected, "{block:?}, {fault:?}");
            }
            let mut sector = [0; 512];
            for n in 24..32 {
                s.machine.side::<DiskPort>().unwrap().disk().read(n, &mut sector).unwrap();
                assert!(sector == content(n), "{block:?}, {fault:?}: sector {n} of the failed write was changed");
            }
            // The block gives the read up too, long after the device.
            s.machine.run(3 * PATIENCE);
            sound(&mut s, &format!("{block:?}, {fault:?}"));
        }
    }
}

#[test]
fn a_device_reset_anywhere_stops_dma_and_the_device_starts_afresh() {
    for block in BLOCKS {
        for (seed, delay) in (0..30).map(|n| (n, 65 * n)) {
            let mut s = disk(block, &options(seed));
            for n in 0..16 {
                s.submit(Operation::In, n);
                s.submit(Operation::Out, n + 64);
            }
            s.blk.kick(&mut s.machine).unwrap();
            s.machine.run(delay);
            s.blk.transport().write(&mut s.machine, layout::STATUS, Width::Byte, 0);
            assert_eq!(s.blk.transport().status(&mut s.machine), 0, "{block:?}");
            // A read may come late: nothing orders it with the answer on the block's other stream.
            let (_, writes, interrupts) = s.initiated();
            s.machine.run(LONG);
            let (_, after, interrupts_after) = s.initiated();
            assert_eq!(
                (after, interrupts_after),
                (writes, interrupts),
                "{block:?}: packets of the old configuration, {delay} cycles after the kick"
            );
            let mut s = s.probe_again();
            sound(&mut s, &format!("{block:?}, {delay} cycles after the kick"));
        }
    }
}

#[test]
fn a_function_level_reset_stops_dma_and_clears_the_function() {
    for block in BLOCKS.into_iter().filter(|(interface, _)| *interface == LinkInterface::UltraScalePlus) {
        for seed in 0..4 {
            let mut s = disk(block, &options(seed));
            s.begin_reads();
            s.machine.run(97 * seed);
            s.bus.function(SLOT).unwrap().reset(&mut s.machine).unwrap();
            let begun = s.machine.now();
            s.machine.run(LONG);
            let before = s.initiated();
            s.machine.run(LONG);
            assert_eq!(s.initiated(), before, "{block:?}");
            s.machine.check().unwrap();
            let command = s.machine.config_read(SLOT, pci::COMMAND, Width::Word) as u16;
            assert_eq!(command & (pci::COMMAND_IO | pci::COMMAND_MEMORY | pci::COMMAND_BUS_MASTER), 0);
            s.bus = Bus::scan(&mut s.machine, &BusOptions::default()).unwrap();
            s.blk = Blk::probe(&mut s.machine, &mut s.bus, SLOT, &Options::default()).unwrap();
            sound(&mut s, &format!("{block:?}, seed {seed}"));
            let cycles = s.machine.now() - begun;
            assert!(cycles < 2 * LONG + 250_000, "{block:?}, seed {seed}: deaf for {cycles} cycles");
            // The block says when the reset takes too long.
            s.machine.run(13_000_000);
            s.machine.check().unwrap();
        }
    }
}

#[test]
fn asleep_there_is_no_dma_and_it_goes_on_afterwards() {
    for block in BLOCKS {
        let mut s = disk(block, &options(6));
        s.begin_reads();
        let function = s.bus.function(SLOT).unwrap().clone();
        function.set_power_state(&mut s.machine, 3).unwrap();
        // What has been begun comes out: the streams stand still at random.
        s.machine.run(4000);
        let before = s.initiated();
        // Longer than the completion timeout.
        s.machine.run(LONG);
        assert_eq!(s.initiated(), before, "{block:?}");
        function.set_power_state(&mut s.machine, 0).unwrap();
        let ended = s.wait_all();
        assert!(ended.iter().all(|ended| ended.status == Status::Ok), "{block:?}: {ended:?}");
        s.expect_reads();
        sound(&mut s, &format!("{block:?}"));
    }
}

#[test]
fn without_bus_mastering_work_is_dropped_and_does_not_come_back() {
    for block in BLOCKS {
        let mut s = disk(block, &options(6));
        s.begin_reads();
        let function = s.bus.function(SLOT).unwrap().clone();
        function.command(&mut s.machine, 0, pci::COMMAND_BUS_MASTER);
        s.machine.run(4000);
        let before = s.initiated();
        s.machine.run(LONG);
        function.command(&mut s.machine, pci::COMMAND_BUS_MASTER, 0);
        s.machine.run(LONG);
        s.blk.transport().notify(&mut s.machine, 0);
        s.machine.run(LONG);
        assert_eq!(s.initiated(), before, "{block:?}");
        let begun = s.machine.now();
        let mut s = s.probe_again();
        sound(&mut s, &format!("{block:?}"));
        assert!(s.machine.now() - begun < 250_000, "{block:?}: ready after {} cycles", s.machine.now() - begun);
    }
}

#[test]
fn few_credits_slow_it_down_and_lose_nothing() {
    for block in BLOCKS {
        let mut options = options(7);
        options.link.credits.nonposted_headers = 8;
        options.link.credits.posted_headers = 8;
        options.link.credits.posted_data = 40;
        let mut s = disk(block, &options);
        s.begin_reads();
        s.wait_all();
        s.expect_reads();
        sound(&mut s, &format!("{block:?}"));
    }
}

#[test]
fn the_bus_is_set_up_as_on_the_raw_link_and_what_it_sets_is_kept_to() {
    for block in BLOCKS {
        for (max_payload, max_read_request) in [(128, 128), (128, 4096), (256, 1024)] {
            let mut options = options(8);
            (options.link.max_payload, options.link.max_read_request) = (max_payload, max_read_request);
            let mut s = disk(block, &options);
            s.begin_reads();
            s.wait_all();
            s.expect_reads();
            sound(&mut s, &format!("{block:?}, {max_payload}, {max_read_request}"));
        }
    }
}

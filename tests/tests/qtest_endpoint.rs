//! The endpoint on QEMU's PCI bus, with no guest: what only the RTL behind vfio-user-pci shows.
use std::time::Instant;
use virtio_hdl::bridge::{BridgeOptions, MsixMode};
use virtio_hdl::host::blk::{Blk, Operation, Options, Request, Status};
use virtio_hdl::host::ring::{Buffer, Shape};
use virtio_hdl::host::virtio_pci::VectorPolicy;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::qtest::Chipset;
use virtio_hdl::vfio_user::{region, ServerOptions};
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout::*;
use virtio_hdl_tests::qtest::{slot, Kind, Rig, SECTORS};
use vm_memory::{Bytes, GuestAddress};

/// Cycles after which a request of these tests has ended or never will.
const PATIENCE: u64 = 50_000_000;
/// Cycles in which everything that is going to happen has happened.
const LONG: u64 = 200_000;
/// Bytes of a request.
const BYTES: u64 = 4096;

fn with_policy(policy: VectorPolicy) -> Options {
    Options { policies: vec![policy], ..Options::default() }
}

fn by_message() -> Kind {
    Kind::Ours { example: "blk", bridge: BridgeOptions::default(), server: ServerOptions { map: false } }
}

/// Submits reads of the first requests of the disk, one after the other into guest memory, which is returned.
fn submit_reads(rig: &mut Rig, blk: &mut Blk, count: u64) -> u64 {
    let place = rig.platform.allocate(count * BYTES, BYTES).unwrap();
    for n in 0..count {
        let data = vec![Buffer::writable(place + n * BYTES, BYTES as u32)];
        let request =
            Request { operation: Operation::In, sector: n * BYTES / blk::SECTOR_BYTES, data, shape: Shape::Direct };
        blk.submit(&mut rig.platform, &request).unwrap();
    }
    place
}

/// The device's index of the used ring.
fn used_index(rig: &Rig, blk: &Blk) -> u16 {
    let ring = blk.queue().address() + used_offset(blk.queue().size());
    rig.platform.memory().read_obj(GuestAddress(ring + 2)).unwrap()
}

fn wait_all(rig: &mut Rig, blk: &mut Blk) {
    let deadline = rig.platform.now() + PATIENCE;
    while blk.in_flight() > 0 {
        let ended = blk.wait(&mut rig.platform, deadline).unwrap_or_else(|error| panic!("{error}"));
        assert!(ended.iter().all(|ended| ended.status == Status::Ok), "{ended:?}");
    }
}

fn expect_reads(rig: &Rig, disk: usize, place: u64, count: u64) {
    let mut found = vec![0; (count * BYTES) as usize];
    rig.platform.memory().read_slice(&mut found, GuestAddress(place)).unwrap();
    assert!(found == rig.content(disk, 0, found.len()), "what was read is not what disk {disk} holds");
}

/// QEMU leaves MSI-X alone and lets the driver program the endpoint's own table. Should a later QEMU emulate the table
/// all the same, this is what fails.
#[test]
fn driver_programs_the_table_in_the_rtl() {
    let mut rig = Rig::new(Chipset::Q35, &[&Kind::ours("blk")]);
    let mut blk = rig.probe(0, &with_policy(VectorPolicy::PerQueue));
    let messages = [0, 1].map(|vector| rig.platform.message(slot(0), vector));
    let table = rig.bus.function(slot(0)).unwrap().bar(1).unwrap();
    for (entry, message) in (0u32..).zip(messages) {
        let fields = [0, 4, 8, 12].map(|field| table.read(&mut rig.platform, 16 * entry + field, Width::Double));
        assert_eq!(fields, [message.address as u32, (message.address >> 32) as u32, message.data, 0], "entry {entry}");
    }
    rig.assert_works(0, &mut blk, 1);
    let reports = rig.finish();
    // Three fields and the mask of two vectors.
    assert!(reports[0].msix_table_writes >= 8, "{} writes to the table", reports[0].msix_table_writes);
    let written: Vec<_> = reports[0].vectors.iter().map(|vector| (vector.address, vector.data)).collect();
    assert_eq!(written, messages.map(|message| (message.address, message.data)));
    let client = &reports[0].clients[0];
    assert!(client.region_reads[region::BAR1 as usize] >= 8, "the table is read from the endpoint");
    // INTx is never used, MSI-X is not QEMU's.
    assert_eq!((client.eventfds_signalled, reports[0].violations), (0, 0));
}

#[test]
fn clearing_bus_master_enable_drops_what_was_begun_and_a_second_probe_works() {
    for kind in [Kind::ours("blk"), by_message()] {
        let mut rig = Rig::new(Chipset::Q35, &[&kind]);
        let mut blk = rig.probe(0, &Options::default());
        // From here on the mapping is known to be shared, and no message goes to QEMU.
        rig.assert_works(0, &mut blk, 1);
        submit_reads(&mut rig, &mut blk, 64);
        let before = used_index(&rig, &blk);
        blk.kick(&mut rig.platform).unwrap();
        rig.bus.function(slot(0)).unwrap().command(&mut rig.platform, 0, pci::COMMAND_BUS_MASTER);
        let off = used_index(&rig, &blk);
        assert!(off.wrapping_sub(before) < 64, "all is done before the command register is written");
        rig.platform.run(LONG);
        assert_eq!(used_index(&rig, &blk), off, "DMA without bus mastering");
        assert_eq!(blk.transport().status(&mut rig.platform) & STATUS_DRIVER_OK, 0);
        rig.bus.function(slot(0)).unwrap().command(&mut rig.platform, pci::COMMAND_BUS_MASTER, 0);
        blk.transport().notify(&mut rig.platform, 0);
        rig.platform.run(LONG);
        assert_eq!(used_index(&rig, &blk), off, "what was begun before goes on");
        blk.remove(&mut rig.platform, &mut rig.bus).unwrap();
        blk = rig.probe(0, &Options::default());
        rig.assert_works(0, &mut blk, 2);
        rig.finish();
    }
}

#[test]
fn function_level_reset_stops_dma_and_a_second_probe_works() {
    let mut rig = Rig::new(Chipset::Q35, &[&Kind::ours("blk")]);
    let mut blk = rig.probe(0, &Options::default());
    submit_reads(&mut rig, &mut blk, 64);
    blk.kick(&mut rig.platform).unwrap();
    rig.bus.function(slot(0)).unwrap().reset(&mut rig.platform).unwrap();
    // The read behind the reset.
    assert_eq!(rig.platform.config_read(slot(0), pci::COMMAND, Width::Word), 0);
    let before = used_index(&rig, &blk);
    assert!(before < 64, "all is done before the reset");
    rig.platform.run(LONG);
    assert_eq!(used_index(&rig, &blk), before, "DMA after a reset");
    rig.scan();
    let mut blk = rig.probe(0, &Options::default());
    rig.assert_works(0, &mut blk, 2);
    rig.finish();
}

#[test]
fn machine_reset_stops_dma() {
    let mut rig = Rig::new(Chipset::Q35, &[&Kind::ours("blk")]);
    let mut blk = rig.probe(0, &Options::default());
    submit_reads(&mut rig, &mut blk, 32);
    blk.kick(&mut rig.platform).unwrap();
    rig.platform.reset().unwrap_or_else(|error| panic!("{error}"));
    let before = used_index(&rig, &blk);
    rig.platform.run(LONG);
    assert_eq!(used_index(&rig, &blk), before, "DMA after a reset");
    rig.scan();
    let mut blk = rig.probe(0, &Options::default());
    rig.assert_works(0, &mut blk, 3);
    let reports = rig.finish();
    // One when QEMU starts, at least one more.
    assert!(reports[0].resets >= 2, "{} resets", reports[0].resets);
}

/// Whoever owns the memory after a reset finds in it what he wrote.
#[test]
fn machine_reset_amid_long_reads_writes_nothing_late() {
    const LENGTH: u64 = 256 << 10;
    const READS: u64 = 32;
    for kind in [Kind::ours("blk"), by_message()] {
        let mut rig = Rig::new(Chipset::Q35, &[&kind]);
        let mut blk = rig.probe(0, &Options::default());
        rig.assert_works(0, &mut blk, 1);
        let before = used_index(&rig, &blk);
        let place = rig.platform.allocate(READS * LENGTH, BYTES).unwrap();
        for n in 0..READS {
            let data = vec![Buffer::writable(place + n * LENGTH, LENGTH as u32)];
            let request = Request { operation: Operation::In, sector: 0, data, shape: Shape::Direct };
            blk.submit(&mut rig.platform, &request).unwrap();
        }
        blk.kick(&mut rig.platform).unwrap();
        let deadline = rig.platform.now() + PATIENCE;
        while used_index(&rig, &blk) == before {
            assert!(rig.platform.now() < deadline, "no read comes to its end");
            rig.platform.run(1000);
        }
        rig.platform.reset().unwrap_or_else(|error| panic!("{error}"));
        assert!(used_index(&rig, &blk).wrapping_sub(before) < READS as u16, "all is done before the reset");
        // What was sent by message before the reset is still served when QEMU comes to it.
        rig.platform.run(LONG);
        let fill = vec![0xee; (READS * LENGTH) as usize];
        rig.platform.memory().write_slice(&fill, GuestAddress(place)).unwrap();
        rig.platform.run(LONG);
        let mut found = vec![0; fill.len()];
        rig.platform.memory().read_slice(&mut found, GuestAddress(place)).unwrap();
        assert!(found == fill, "written after the reset");
        rig.scan();
        let mut blk = rig.probe(0, &Options::default());
        rig.assert_works(0, &mut blk, 2);
        rig.finish();
    }
}

#[test]
fn dma_goes_through_the_mapping_or_by_message() {
    for (kind, map) in [(Kind::ours("blk"), true), (by_message(), false)] {
        for policy in [VectorPolicy::PerQueue, VectorPolicy::Line] {
            let mut rig = Rig::new(Chipset::Q35, &[&kind]);
            let mut blk = rig.probe(0, &with_policy(policy));
            let start = Instant::now();
            for seed in 0..8 {
                rig.assert_works(0, &mut blk, seed);
            }
            println!("mapped {map}, {policy:?}: {:?} for 24 requests of 8 KiB", start.elapsed());
            let client = rig.finish().remove(0).clients.remove(0);
            let data = 8 * 8192;
            match map {
                // Until the mapping is seen to be shared, messages are used.
                true => assert!(client.read_mapped_bytes > data && client.written_mapped_bytes > data, "{client:?}"),
                false => {
                    assert_eq!((client.read_mapped_bytes, client.written_mapped_bytes), (0, 0));
                    assert!(client.read_message_bytes > data && client.written_message_bytes > data, "{client:?}");
                }
            }
            assert_eq!(client.failed_dma, 0);
        }
    }
}

#[test]
fn eventfds_interrupt_through_the_table_of_qemu() {
    let bridge = BridgeOptions { msix: MsixMode::Eventfd, ..BridgeOptions::default() };
    let kind = Kind::Ours { example: "blk", bridge, server: ServerOptions::default() };
    for policy in VectorPolicy::ALL {
        let mut rig = Rig::new(Chipset::Q35, &[&kind]);
        let mut blk = rig.probe(0, &with_policy(policy));
        rig.assert_works(0, &mut blk, 4);
        rig.assert_interrupts(&mut blk);
        let client = rig.finish().remove(0).clients.remove(0);
        assert!(client.eventfds_signalled >= 3, "{policy:?}: {client:?}");
    }
}

#[test]
fn two_endpoints_and_a_disk_of_qemu_share_the_bus() {
    for (chipset, policy) in [(Chipset::Q35, VectorPolicy::PerQueue), (Chipset::Pc, VectorPolicy::Line)] {
        let mut rig = Rig::new(chipset, &[&Kind::ours("blk"), &Kind::ours("blk"), &Kind::THEIRS]);
        let mut disks = [0, 1, 2].map(|disk| rig.probe(disk, &with_policy(policy)));
        let mut places = [0; 3];
        for round in 0..4 {
            for (disk, blk) in disks.iter_mut().enumerate() {
                places[disk] = submit_reads(&mut rig, blk, 32);
                blk.kick(&mut rig.platform).unwrap();
            }
            for (disk, blk) in disks.iter_mut().enumerate() {
                wait_all(&mut rig, blk);
                expect_reads(&rig, disk, places[disk], 32);
                rig.platform.free(places[disk], 32 * BYTES);
            }
            for (disk, blk) in disks.iter_mut().enumerate() {
                rig.assert_works(disk, blk, 10 * round + disk as u64);
            }
        }
        let first = rig.content(0, 0, (SECTORS * blk::SECTOR_BYTES) as usize);
        assert!(first != rig.content(1, 0, first.len()), "the disks are different ones");
        rig.finish();
    }
}

#[test]
fn register_read_latency() {
    for (name, kind) in [("QEMU's device", Kind::THEIRS), ("the endpoint", Kind::ours("blk"))] {
        let mut rig = Rig::new(Chipset::Q35, &[&kind]);
        let blk = rig.probe(0, &Options::default());
        const READS: u32 = 1000;
        let start = Instant::now();
        for _ in 0..READS {
            assert_eq!(blk.transport().status(&mut rig.platform), 7);
        }
        println!("a register of {name} is read in {:?}", start.elapsed() / READS);
        rig.finish();
    }
}

/// A queue that a bad ring has stopped, and kicks before Bus Master is set: nobody tells the driver, the server counts them.
#[test]
fn stopped_queues_and_kicks_without_bus_mastering_are_counted() {
    let mut rig = Rig::new(Chipset::Q35, &[&Kind::ours("blk")]);
    let mut blk = rig.probe(0, &Options::default());
    rig.assert_works(0, &mut blk, 4);
    for _ in 0..2 {
        blk.queue_mut().offer(rig.platform.memory(), 256).unwrap();
        blk.kick(&mut rig.platform).unwrap();
        rig.platform.run(LONG);
        blk.remove(&mut rig.platform, &mut rig.bus).unwrap();
        blk = rig.probe(0, &Options::default());
    }
    rig.assert_works(0, &mut blk, 5);
    let function = rig.bus.function(slot(0)).unwrap().clone();
    function.command(&mut rig.platform, 0, pci::COMMAND_BUS_MASTER);
    blk.transport().notify(&mut rig.platform, 0);
    blk.transport().notify(&mut rig.platform, 0);
    rig.platform.run(LONG);
    function.command(&mut rig.platform, pci::COMMAND_BUS_MASTER, 0);
    blk.transport().notify(&mut rig.platform, 0);
    rig.platform.run(LONG);
    let reports = rig.finish();
    let told = (reports[0].queue_violations, reports[0].kicks_without_bus_master, reports[0].violations);
    assert_eq!(told, (2, 2, 0));
}

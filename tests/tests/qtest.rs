//! The host model on QEMU's PCI bus, with no guest: its drivers against QEMU's own legacy disk, which shows that the host
//! model is right, and against the endpoint behind vfio-user-pci. What both must do is one test, run for each.
use virtio_hdl::host::blk::{BlkError, Operation, Options, Request, Status};
use virtio_hdl::host::pci::Space;
use virtio_hdl::host::ring::{Buffer, Shape, Virtqueue};
use virtio_hdl::host::virtio_pci::*;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::qtest::Chipset;
use virtio_hdl::scenario::random;
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout::*;
use virtio_hdl_tests::qtest::{slot, Kind, Rig, SECTORS, SERIAL};
use vm_memory::{Bytes, GuestAddress};

/// Cycles after which a request of these tests has ended or never will.
const PATIENCE: u64 = 50_000_000;
/// Cycles in which everything that is going to happen has happened.
const LONG: u64 = 100_000;

/// A disk's queue, and as many as no disk of these tests has.
const ONE: [QueueUse; 1] = [QueueUse::interrupting("requests")];
const THREE: [QueueUse; 3] = [const { QueueUse::interrupting("requests") }; 3];

fn with_policy(policy: VectorPolicy) -> Options {
    Options { policies: vec![policy], ..Options::default() }
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod theirs {
            $(#[test] fn $name() { super::$name(&super::Kind::THEIRS) })*
        }
        mod ours {
            $(#[test] fn $name() { super::$name(&super::Kind::ours("blk")) })*
        }
    };
}

on_both! {
    bus_scan_finds_the_disk_and_places_its_bars
    every_way_to_interrupt_works
    vectors_that_the_device_lacks_are_refused
    registers_are_those_of_the_legacy_interface
    disk_tells_its_name_and_refuses_what_it_does_not_have
    random_requests_do_what_a_disk_does
    removed_disk_is_probed_again
    suspended_disk_goes_on_after_resume
    machine_reset_lets_the_disk_begin_anew
    no_bus_master_clears_driver_ok
    masked_vector_is_pending_and_delivered_on_unmask
    accesses_that_hit_nothing_hurt_nothing
}

fn bus_scan_finds_the_disk_and_places_its_bars(kind: &Kind) {
    for chipset in [Chipset::Q35, Chipset::Pc] {
        let rig = Rig::new(chipset, &[kind]);
        let [function] = rig.bus.functions() else { panic!("{:?}", rig.bus.functions()) };
        assert_eq!((function.id, function.vendor, function.device, function.revision), (slot(0), 0x1af4, 0x1001, 0));
        assert_eq!((function.class, function.subsystem_vendor, function.subsystem), (0x01_0000, 0x1af4, 2));
        assert_eq!(function.interrupt_pin, 1);
        assert_eq!(function.bar(0).unwrap().space, Space::Io);
        assert_eq!(function.bar(1).unwrap().space, Space::Memory);
        assert!(function.capability(pci::CAPABILITY_MSIX).is_some());
        rig.finish();
    }
}

fn every_way_to_interrupt_works(kind: &Kind) {
    for chipset in [Chipset::Q35, Chipset::Pc] {
        for policy in VectorPolicy::ALL {
            let mut rig = Rig::new(chipset, &[kind]);
            let mut disk = rig.probe(0, &with_policy(policy));
            rig.assert_works(0, &mut disk, 5);
            assert_eq!(disk.transport().policy(), Some(policy));
            rig.assert_interrupts(&mut disk);
            rig.finish();
        }
    }
}

fn vectors_that_the_device_lacks_are_refused(kind: &Kind) {
    let mut rig = Rig::new(Chipset::Q35, &[kind]);
    let mut driver = VirtioPci::probe(&mut rig.platform, &mut rig.bus, slot(0)).unwrap();
    driver.find_queues(&mut rig.platform, &ONE, &QueueOptions::default()).unwrap();
    for register in [CONFIG_VECTOR, QUEUE_VECTOR] {
        driver.write(&mut rig.platform, register, Width::Word, 2);
        assert_eq!(driver.read(&mut rig.platform, register, Width::Word) as u16, NO_VECTOR);
        driver.write(&mut rig.platform, register, Width::Word, 1);
        assert_eq!(driver.read(&mut rig.platform, register, Width::Word), 1);
    }
    rig.finish();
}

fn registers_are_those_of_the_legacy_interface(kind: &Kind) {
    let mut rig = Rig::new(Chipset::Q35, &[kind]);
    let mut driver = VirtioPci::probe(&mut rig.platform, &mut rig.bus, slot(0)).unwrap();
    let platform = &mut rig.platform;
    let features = driver.device_features(platform);
    let always = [FEATURE_NOTIFY_ON_EMPTY, FEATURE_RING_INDIRECT_DESC, FEATURE_BAD_FEATURE, blk::FEATURE_FLUSH];
    assert!(always.iter().all(|bit| features >> bit & 1 == 1), "{features:#010x}");
    driver.write(platform, HOST_FEATURES, Width::Double, 0);
    assert_eq!(driver.device_features(platform), features);
    // Only what is offered is stored; a driver that accepts everything did not look.
    driver.write(platform, GUEST_FEATURES, Width::Double, 1 << blk::FEATURE_FLUSH | 1 << 3);
    assert_eq!(driver.read(platform, GUEST_FEATURES, Width::Double), 1 << blk::FEATURE_FLUSH);
    driver.write(platform, GUEST_FEATURES, Width::Double, features);
    assert_eq!(driver.read(platform, GUEST_FEATURES, Width::Double), 0);
    // There is one queue, and it can be used once.
    let error = driver.find_queues(platform, &THREE[..2], &QueueOptions::default()).unwrap_err();
    let DriverError::NoInterrupts(refusals) = error else { panic!("{error}") };
    assert!(matches!(refusals[2], (VectorPolicy::Line, DriverError::NoQueue(1))), "{refusals:?}");
    assert_eq!(platform.memory_in_use(), 0);
    assert_eq!(driver.read(platform, QUEUE_PFN, Width::Double), 0);
    driver.find_queues(platform, &ONE, &QueueOptions::default()).unwrap();
    let frame = driver.read(platform, QUEUE_PFN, Width::Double);
    assert_eq!(u64::from(frame) << QUEUE_PFN_SHIFT, driver.queues()[0].address);
    // A queue that there is not is kicked in vain.
    driver.notify(platform, 7);
    // The configuration moves with the enable bit of MSI-X; byte by byte or whole.
    let msix = driver.function().capability(pci::CAPABILITY_MSIX).unwrap() + pci::MSIX_CONTROL;
    for enable in [0, pci::MSIX_CONTROL_ENABLE] {
        platform.config_write(slot(0), msix, Width::Word, enable.into());
        let base = device_config_offset(enable != 0);
        assert_eq!(u64::from(driver.read(platform, base, Width::Double)), SECTORS);
        assert_eq!(u64::from(driver.read(platform, base + 1, Width::Byte)), SECTORS >> 8);
    }
    // Page frame 0 resets the whole device.
    driver.write(platform, QUEUE_PFN, Width::Double, 0);
    assert_eq!(driver.status(platform), 0);
    assert_eq!(driver.read(platform, ISR, Width::Byte), 0);
    rig.finish();
}

fn disk_tells_its_name_and_refuses_what_it_does_not_have(kind: &Kind) {
    let mut rig = Rig::new(Chipset::Q35, &[kind]);
    let mut disk = rig.probe(0, &Options::default());
    assert_eq!(disk.id(&mut rig.platform).unwrap(), SERIAL);
    assert_eq!(disk.capacity(&mut rig.platform), SECTORS);
    let beyond = disk.read(&mut rig.platform, SECTORS, &mut [0; 512]);
    assert!(matches!(beyond, Err(BlkError::Status(Status::IoError))));
    let request = Request { operation: Operation::Other(77), sector: 0, data: vec![], shape: Shape::Direct };
    assert_eq!(disk.execute(&mut rig.platform, &request, PATIENCE).unwrap(), Status::Unsupported);
    rig.finish();
}

fn random_requests_do_what_a_disk_does(kind: &Kind) {
    let strict = matches!(kind, Kind::Ours { .. });
    let requests = if strict { 300 } else { 3000 };
    for (policy, seed) in VectorPolicy::ALL.into_iter().zip(1..) {
        let mut rig = Rig::new(Chipset::Q35, &[kind]);
        let mut disk = rig.probe(0, &Options { scatter: Some(seed), ..with_policy(policy) });
        let mut content = rig.content(0, 0, (SECTORS * blk::SECTOR_BYTES) as usize);
        let run = random::Options { requests, depth: 32, seed, serial: SERIAL.into(), read_only: false, strict };
        let report = random::run(&mut rig.platform, &mut disk, &mut content, &run, &mut |_| {})
            .unwrap_or_else(|error| panic!("{error}: {}", rig.platform.output()));
        println!("{policy:?}: {report:?}");
        disk.flush(&mut rig.platform).unwrap();
        assert!(rig.content(0, 0, content.len()) == content, "seed {seed}: the image is not what it should be");
        rig.finish();
    }
}

fn removed_disk_is_probed_again(kind: &Kind) {
    for policy in VectorPolicy::ALL {
        let mut rig = Rig::new(Chipset::Q35, &[kind]);
        for round in 0..3 {
            let mut disk = rig.probe(0, &with_policy(policy));
            rig.assert_works(0, &mut disk, 20 + round);
            disk.remove(&mut rig.platform, &mut rig.bus).unwrap();
            assert_eq!(rig.platform.memory_in_use(), 0);
            let command = rig.platform.config_read(slot(0), pci::COMMAND, Width::Word) as u16;
            let switches = pci::COMMAND_IO | pci::COMMAND_MEMORY | pci::COMMAND_BUS_MASTER | pci::COMMAND_INTX_DISABLE;
            assert_eq!(command & switches, 0, "{policy:?}");
        }
        rig.finish();
    }
}

/// A sleep may take all of configuration space.
fn suspended_disk_goes_on_after_resume(kind: &Kind) {
    for policy in VectorPolicy::ALL {
        let mut rig = Rig::new(Chipset::Q35, &[kind]);
        let mut disk = rig.probe(0, &with_policy(policy));
        rig.assert_works(0, &mut disk, 11);
        let function = rig.bus.function(slot(0)).unwrap().clone();
        let before = function.save(&mut rig.platform);
        disk.transport_mut().suspend(&mut rig.platform).unwrap();
        // Without bus mastering the device is not DRIVER_OK any more: that is not the sleep's affair.
        rig.platform.config_write(slot(0), pci::COMMAND, Width::Word, pci::COMMAND_BUS_MASTER.into());
        for bar in [pci::BAR0, pci::BAR0 + 4] {
            rig.platform.config_write(slot(0), bar, Width::Double, 0);
        }
        disk.transport_mut().resume(&mut rig.platform).unwrap();
        assert_eq!(function.save(&mut rig.platform), before, "{policy:?}");
        rig.assert_works(0, &mut disk, 13);
        rig.finish();
    }
}

fn machine_reset_lets_the_disk_begin_anew(kind: &Kind) {
    for chipset in [Chipset::Q35, Chipset::Pc] {
        for policy in [VectorPolicy::PerQueue, VectorPolicy::Line] {
            let mut rig = Rig::new(chipset, &[kind]);
            let mut disk = rig.probe(0, &with_policy(policy));
            rig.assert_works(0, &mut disk, 31);
            rig.platform.reset().unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(rig.platform.config_read(slot(0), pci::COMMAND, Width::Word), 0, "{chipset:?}");
            assert_eq!(rig.platform.config_read(slot(0), pci::BAR0, Width::Double), 1, "{chipset:?}");
            rig.scan();
            let function = rig.bus.function(slot(0)).unwrap().clone();
            let msix = function.capability(pci::CAPABILITY_MSIX).unwrap() + pci::MSIX_CONTROL;
            let control = rig.platform.config_read(slot(0), msix, Width::Word) as u16;
            assert_eq!(control & pci::MSIX_CONTROL_ENABLE, 0, "{chipset:?} {policy:?}");
            function.enable(&mut rig.platform).unwrap();
            let registers = function.bar(0).unwrap();
            assert_eq!(registers.read(&mut rig.platform, STATUS, Width::Byte), 0, "{chipset:?} {policy:?}");
            assert_eq!(registers.read(&mut rig.platform, QUEUE_PFN, Width::Double), 0, "{chipset:?} {policy:?}");
            let mut disk = rig.probe(0, &with_policy(policy));
            rig.assert_works(0, &mut disk, 32);
            rig.finish();
        }
    }
}

fn no_bus_master_clears_driver_ok(kind: &Kind) {
    let mut rig = Rig::new(Chipset::Q35, &[kind]);
    let mut disk = rig.probe(0, &Options::default());
    rig.assert_works(0, &mut disk, 30);
    rig.bus.function(slot(0)).unwrap().command(&mut rig.platform, 0, pci::COMMAND_BUS_MASTER);
    assert_eq!(disk.transport().status(&mut rig.platform), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    rig.finish();
}

fn masked_vector_is_pending_and_delivered_on_unmask(kind: &Kind) {
    let mut rig = Rig::new(Chipset::Q35, &[kind]);
    let mut disk = rig.probe(0, &with_policy(VectorPolicy::PerQueue));
    let function = rig.bus.function(slot(0)).unwrap().clone();
    let msix = *disk.transport().msix().unwrap();
    for by_function in [false, true] {
        let set = |platform: &mut dyn Platform, masked| match by_function {
            true => msix.set_function_mask(platform, &function, masked),
            false => msix.set_mask(platform, 1, masked),
        };
        set(&mut rig.platform, true);
        let flush = Request { operation: Operation::Flush, sector: 0, data: vec![], shape: Shape::Direct };
        disk.submit(&mut rig.platform, &flush).unwrap();
        disk.kick(&mut rig.platform).unwrap();
        let end = rig.platform.now() + PATIENCE;
        while !msix.is_pending(&mut rig.platform, 1) {
            assert!(rig.platform.now() < end, "nothing is pending");
        }
        let deadline = rig.platform.now() + LONG;
        assert_eq!(rig.platform.wait_interrupt(deadline), None, "an interrupt of a masked vector");
        set(&mut rig.platform, false);
        let deadline = rig.platform.now() + PATIENCE;
        let interrupt = rig.platform.wait_interrupt(deadline).expect("an interrupt on unmask");
        let mine = Interrupted::Mine { config_changed: false, queues: vec![0] };
        assert_eq!(disk.interrupt(&mut rig.platform, interrupt).unwrap(), mine);
        assert!(!msix.is_pending(&mut rig.platform, 1), "still pending");
        assert_eq!(disk.poll(&mut rig.platform).unwrap().len(), 1);
    }
    rig.finish();
}

/// Odd sizes, odd places, registers that are not there, and what lies behind them.
fn accesses_that_hit_nothing_hurt_nothing(kind: &Kind) {
    let mut rig = Rig::new(Chipset::Q35, &[kind]);
    let mut disk = rig.probe(0, &Options::default());
    let bars = [0, 1].map(|index| rig.bus.function(slot(0)).unwrap().bar(index).unwrap());
    let client = rig.platform.client();
    for width in [Width::Byte, Width::Word, Width::Double] {
        for offset in (0..0x14).chain([bars[0].bytes as u16 - 1, bars[0].bytes as u16]) {
            let port = bars[0].address as u16 + offset;
            client.port_read(port, width).unwrap();
            // Not the status, which resets the disk, nor its queue and features.
            if matches!(offset, 0..4 | 0xd | 0x13..) {
                client.port_write(port, width, 0xffff_ffff).unwrap();
            }
        }
        // Behind the table.
        for offset in [0x7ff, 0x801, bars[1].bytes - 3, bars[1].bytes - 1, bars[1].bytes] {
            client.memory_read(bars[1].address + offset, width).unwrap();
            client.memory_write(bars[1].address + offset, width, 0xffff_ffff).unwrap();
        }
    }
    for bytes in [1, 3, 5, 7, 8, 9, 64, 4096] {
        let mut data = vec![0xff; bytes];
        client.block_read(bars[1].address + 1, &mut data).unwrap();
        client.block_write(bars[1].address + 0x821, &data).unwrap();
    }
    for offset in (0x40..0x100).step_by(3) {
        rig.platform.config_read(slot(0), offset, Width::Double);
    }
    rig.assert_works(0, &mut disk, 8);
    rig.finish();
}

#[test]
fn too_few_vectors_fall_back_to_the_line() {
    let kinds =
        [Kind::Theirs("vectors=0"), Kind::Theirs("vectors=1"), Kind::ours("blk-intx"), Kind::ours("blk-one-vector")];
    for kind in kinds {
        let mut rig = Rig::new(Chipset::Q35, &[&kind]);
        let mut disk = rig.probe(0, &Options::default());
        rig.assert_works(0, &mut disk, 77);
        rig.assert_interrupts(&mut disk);
        assert_eq!(disk.transport().policy(), Some(VectorPolicy::Line));
        rig.finish();
    }
}

#[test]
fn their_queues_share_a_vector_when_there_are_too_few() {
    let mut rig = Rig::new(Chipset::Q35, &[&Kind::Theirs("num-queues=2,vectors=2")]);
    let mut driver = VirtioPci::probe(&mut rig.platform, &mut rig.bus, slot(0)).unwrap();
    driver.negotiate(&mut rig.platform, 0);
    let mut queues = driver.find_queues(&mut rig.platform, &THREE[..2], &QueueOptions::default()).unwrap();
    assert_eq!(driver.policy(), Some(VectorPolicy::Shared));
    driver.add_status(&mut rig.platform, STATUS_DRIVER_OK).unwrap();
    let place = rig.platform.allocate(4096, 4096).unwrap();
    for index in 0..2 {
        let mut header = [0u8; 16];
        header[8] = index as u8;
        rig.platform.memory().write_slice(&header, GuestAddress(place)).unwrap();
        let (data, status) = (place + 512, place + 1024);
        let chain = [Buffer::readable(place, 16), Buffer::writable(data, 512), Buffer::writable(status, 1)];
        let queue = &mut queues[usize::from(index)];
        queue.add(&mut rig.platform, &chain, Shape::Direct).unwrap();
        assert!(queue.kick(rig.platform.memory()).unwrap());
        driver.notify(&mut rig.platform, index);
        let deadline = rig.platform.now() + PATIENCE;
        let interrupt = rig.platform.wait_interrupt(deadline).expect("an interrupt");
        let mine = Interrupted::Mine { config_changed: false, queues: vec![index] };
        let rings: Vec<&Virtqueue> = queues.iter().collect();
        assert_eq!(driver.interrupt(&mut rig.platform, interrupt, &rings).unwrap(), mine);
        assert_eq!(queues[usize::from(index)].take(&mut rig.platform).unwrap().expect("a used chain").written, 513);
        let mut found = vec![0; 512];
        rig.platform.memory().read_slice(&mut found, GuestAddress(data)).unwrap();
        assert!(found == rig.content(0, index.into(), 512), "queue {index}");
    }
    rig.finish();
}

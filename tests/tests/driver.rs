//! The driver of the legacy interface against the generated endpoint: each line of the list "host model (driver),
//! function by function" is a test.
use virtio_hdl::backend::{Disk, DiskPort};
use virtio_hdl::host::blk::{Blk, BlkError, Operation, Options, Request, Status};
use virtio_hdl::host::pci::{Bus, Options as BusOptions, PciError, Space};
use virtio_hdl::host::ring::{Buffer, Shape};
use virtio_hdl::host::virtio_pci::*;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::{FunctionId, Interrupt};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout::*;
use virtio_hdl_tests::{example, impatient, machine as build, show_sectors};
use vm_memory::{Bytes, GuestAddress};

const SECTORS: u64 = 2048;
/// A disk's queue, and as many as no disk of these tests has.
const ONE: [QueueUse; 1] = [QueueUse::interrupting("requests")];
const THREE: [QueueUse; 3] = [const { QueueUse::interrupting("requests") }; 3];
/// Cycles after which a request of these tests has ended or never will.
const PATIENCE: u64 = 1_000_000;

fn boot(config: &EndpointConfig) -> (Machine, Bus) {
    let options = MachineOptions { memory_bytes: 64 << 20, ..MachineOptions::default() };
    let disk = Disk::in_memory(SECTORS).with_serial(&config.blk_options().serial);
    let mut machine = build(config, disk, &options);
    let bus = Bus::scan(&mut machine, &BusOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    (machine, bus)
}

fn transport(config: &EndpointConfig) -> (Machine, Bus, VirtioPci) {
    let (mut machine, mut bus) = boot(config);
    let driver = VirtioPci::probe(&mut machine, &mut bus, SLOT).unwrap_or_else(|error| panic!("{error}"));
    (machine, bus, driver)
}

fn disk_with(config: &EndpointConfig, options: &Options) -> (Machine, Bus, Blk) {
    let (mut machine, mut bus) = boot(config);
    let disk = Blk::probe(&mut machine, &mut bus, SLOT, options).unwrap_or_else(|error| panic!("{error}"));
    (machine, bus, disk)
}

fn with_policy(policy: VectorPolicy) -> Options {
    Options { policies: vec![policy], ..Options::default() }
}

fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|n| (((n ^ seed) * 0x9e37_79b9) >> 11) as u8).collect()
}

/// Writes and reads back through the device, and looks at the disk behind it.
fn assert_works(machine: &mut Machine, disk: &mut Blk, seed: u64) {
    let data = pattern(seed, 4096);
    let sector = seed % (SECTORS - 8);
    disk.write(machine, sector, &data).unwrap_or_else(|error| panic!("{error}"));
    let mut found = vec![0; data.len()];
    machine.side::<DiskPort>().unwrap().disk().read(sector, &mut found).unwrap();
    assert!(found == data, "the disk does not hold what was written");
    found.fill(0);
    disk.read(machine, sector, &mut found).unwrap_or_else(|error| panic!("{error}"));
    assert!(found == data, "what was read is not what was written");
    assert_no_violation(machine);
}

fn assert_no_violation(machine: &mut Machine) {
    assert_eq!(machine.root().violations(), []);
    machine.check().unwrap_or_else(|error| panic!("{error}"));
}

fn config_u16(machine: &mut Machine, offset: u16) -> u16 {
    machine.config_read(SLOT, offset, Width::Word) as u16
}

/// Nothing that a driver takes is left.
fn assert_clean(machine: &mut Machine, bus: &Bus) {
    assert_eq!(machine.memory_in_use(), 0, "memory in use");
    let switches = pci::COMMAND_IO | pci::COMMAND_MEMORY | pci::COMMAND_BUS_MASTER | pci::COMMAND_INTX_DISABLE;
    assert_eq!(config_u16(machine, pci::COMMAND) & switches, 0);
    if let Some(msix) = bus.function(SLOT).unwrap().capability(pci::CAPABILITY_MSIX) {
        assert_eq!(config_u16(machine, msix + pci::MSIX_CONTROL) & pci::MSIX_CONTROL_ENABLE, 0);
    }
}

#[test]
fn bus_scan_finds_one_function_and_places_its_bars() {
    let (mut machine, bus) = boot(&example("blk"));
    let [function] = bus.functions() else { panic!("{:?}", bus.functions()) };
    assert_eq!((function.id, function.vendor, function.device, function.revision), (SLOT, 0x1af4, 0x1001, 0));
    assert_eq!((function.class, function.subsystem_vendor, function.subsystem), (0x01_0000, 0x1af4, 2));
    assert_eq!((function.interrupt_pin, function.multifunction), (1, false));
    let [Some(registers), Some(table), None, None, None, None] = function.bars else { panic!("{:?}", function.bars) };
    assert_eq!((registers.space, registers.bytes), (Space::Io, u64::from(example("blk").bar0_bytes())));
    assert_eq!((table.space, table.bytes), (Space::Memory, 4096));
    for id in [pci::CAPABILITY_POWER, pci::CAPABILITY_MSIX, pci::CAPABILITY_EXPRESS] {
        assert!(function.capability(id).is_some(), "capability {id:#x}");
    }
    assert_no_violation(&mut machine);
}

#[test]
fn without_vectors_there_is_no_msix_and_no_bar1() {
    let (_, bus) = boot(&example("blk-intx"));
    let function = bus.function(SLOT).unwrap();
    assert_eq!(function.capability(pci::CAPABILITY_MSIX), None);
    assert_eq!(function.bar(1), Err(PciError::NoBar { function: SLOT, index: 1 }));
    assert_eq!(function.bar(0).unwrap().bytes, u64::from(example("blk-intx").bar0_bytes()));
}

#[test]
fn probe_enables_the_function_and_tells_it() {
    let (mut machine, mut bus, driver) = transport(&example("blk"));
    let switches = pci::COMMAND_IO | pci::COMMAND_MEMORY | pci::COMMAND_BUS_MASTER;
    assert_eq!(config_u16(&mut machine, pci::COMMAND) & switches, switches);
    assert_eq!((driver.kind(), driver.status(&mut machine)), (VIRTIO_ID_BLK, STATUS_ACKNOWLEDGE | STATUS_DRIVER));
    let second = VirtioPci::probe(&mut machine, &mut bus, SLOT);
    assert!(matches!(second, Err(DriverError::Pci(PciError::Claimed { .. }))));
    assert_no_violation(&mut machine);
}

#[test]
fn probe_refuses_another_abi_version() {
    let mut config = example("blk");
    config.ids.revision = 1;
    let (mut machine, mut bus) = boot(&config);
    let result = VirtioPci::probe(&mut machine, &mut bus, SLOT);
    assert!(matches!(result, Err(DriverError::AbiVersion(1))));
    assert_clean(&mut machine, &bus);
}

#[test]
fn features_are_offered_accepted_and_read_back() {
    let config = example("blk");
    let (mut machine, _, mut driver) = transport(&config);
    let offered = driver.device_features(&mut machine);
    // RO is a property of the disk: offered while it is read only.
    assert_eq!(offered, config.host_features() & !(1 << blk::FEATURE_RO));
    let supported = 1 << blk::FEATURE_FLUSH | 1 << FEATURE_RING_EVENT_IDX | 1 << 3;
    let accepted = driver.negotiate(&mut machine, supported);
    assert_eq!(accepted, 1 << blk::FEATURE_FLUSH | 1 << FEATURE_RING_EVENT_IDX);
    assert_eq!(driver.read(&mut machine, GUEST_FEATURES, Width::Double), accepted);
}

#[test]
fn read_only_disk_says_so_and_refuses_writes() {
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(SECTORS * blk::SECTOR_BYTES).unwrap();
    let disk = Disk::open(image.path(), true).unwrap_or_else(|error| panic!("{error}"));
    let mut machine = build(&example("blk"), disk, &MachineOptions::default());
    let mut bus = Bus::scan(&mut machine, &BusOptions::default()).unwrap();
    let mut disk = Blk::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
    assert!(disk.has_feature(blk::FEATURE_RO));
    let written = disk.write(&mut machine, 0, &[1; 512]);
    assert!(matches!(written, Err(BlkError::Status(Status::IoError))));
    let mut sector = [1; 512];
    disk.read(&mut machine, 0, &mut sector).unwrap();
    assert_eq!(sector, [0; 512]);
    assert_no_violation(&mut machine);
}

#[test]
fn config_is_read_bytewise_where_msix_puts_it() {
    for policy in [VectorPolicy::Line, VectorPolicy::PerQueue] {
        let (mut machine, _, disk) = disk_with(&example("blk"), &with_policy(policy));
        assert_eq!(disk.capacity(&mut machine), SECTORS, "{policy:?}");
        let base = device_config_offset(policy != VectorPolicy::Line);
        let low = disk.transport().read(&mut machine, base, Width::Double);
        assert_eq!(u64::from(low), SECTORS, "{policy:?}");
        let mut block_size = [0; 4];
        disk.transport().get_config(&mut machine, blk::CONFIG_BLK_SIZE, &mut block_size);
        assert_eq!(u32::from_le_bytes(block_size), example("blk").blk_options().block_size);
        // The configuration of a disk is read only: a byte that is written stays as it was.
        disk.transport().set_config(&mut machine, blk::CONFIG_CAPACITY, &[0xff]);
        assert_eq!(disk.capacity(&mut machine), SECTORS);
        assert_no_violation(&mut machine);
    }
}

#[test]
fn status_keeps_its_bits_until_the_reset() {
    let (mut machine, _, mut driver) = transport(&example("blk"));
    driver.negotiate(&mut machine, 1 << blk::FEATURE_FLUSH);
    driver.add_status(&mut machine, STATUS_DRIVER_OK).unwrap();
    assert_eq!(driver.status(&mut machine), STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK);
    driver.add_status(&mut machine, STATUS_FAILED).unwrap();
    driver.reset(&mut machine).unwrap();
    assert_eq!(driver.status(&mut machine), 0);
    assert_eq!(driver.read(&mut machine, GUEST_FEATURES, Width::Double), 0);
}

#[test]
fn notify_starts_what_the_ring_holds_and_nothing_else_does() {
    let (mut machine, _, mut disk) = disk_with(&example("blk"), &Options::default());
    let flush = Request { operation: Operation::Flush, sector: 0, data: vec![], shape: Shape::Direct };
    disk.submit(&mut machine, &flush).unwrap();
    let memory = machine.memory().clone();
    assert!(disk.queue_mut().kick(&memory).unwrap(), "the device wants to be notified");
    machine.run(20_000);
    assert!(disk.poll(&mut machine).unwrap().is_empty(), "the device looked without being notified");
    // A queue that there is not is ignored.
    disk.transport().notify(&mut machine, 7);
    disk.transport().notify(&mut machine, 0);
    let deadline = machine.now() + PATIENCE;
    assert_eq!(disk.wait(&mut machine, deadline).unwrap()[0].status, Status::Ok);
    assert_no_violation(&mut machine);
}

#[test]
fn line_interrupt_is_shared_and_reading_its_status_ends_it() {
    let (mut machine, _, mut disk) = disk_with(&example("blk"), &with_policy(VectorPolicy::Line));
    assert_works(&mut machine, &mut disk, 1);
    let line = Interrupt::Line { at: 0, asserted: true };
    machine.run(1000);
    assert!(!machine.root().intx());
    assert_eq!(disk.interrupt(&mut machine, line).unwrap(), Interrupted::NotMine);
    let capacity = SECTORS * 2;
    show_sectors(&mut machine, capacity);
    let deadline = machine.now() + PATIENCE;
    let interrupt = machine.wait_interrupt(deadline).expect("an interrupt for the new capacity");
    let mine = Interrupted::Mine { config_changed: true, queues: vec![] };
    assert_eq!(disk.interrupt(&mut machine, interrupt).unwrap(), mine);
    assert_eq!(disk.capacity(&mut machine), capacity);
    assert_no_violation(&mut machine);
}

#[test]
fn config_change_comes_on_the_config_vector() {
    for policy in [VectorPolicy::PerQueue, VectorPolicy::Shared] {
        let (mut machine, _, disk) = disk_with(&example("blk"), &with_policy(policy));
        show_sectors(&mut machine, SECTORS + 1);
        let deadline = machine.now() + PATIENCE;
        let interrupt = machine.wait_interrupt(deadline).expect("an interrupt for the new capacity");
        let mine = Interrupted::Mine { config_changed: true, queues: vec![] };
        assert_eq!(disk.interrupt(&mut machine, interrupt).unwrap(), mine, "{policy:?}");
    }
}

/// The interrupts that the driver settles on with this example, after the disk has worked with them.
fn settled(name: &str) -> VectorPolicy {
    let (mut machine, _, mut disk) = disk_with(&example(name), &Options::default());
    assert_works(&mut machine, &mut disk, 77);
    let (interrupts, config_changes) = disk.interrupts();
    assert!(interrupts > 0, "the disk did not interrupt");
    assert_eq!(config_changes, 0);
    disk.transport().policy().unwrap()
}

#[test]
fn enough_vectors_give_one_for_config_and_one_per_queue() {
    assert_eq!(settled("blk"), VectorPolicy::PerQueue);
}

#[test]
fn too_few_vectors_fall_back_to_the_line() {
    assert_eq!(settled("blk-one-vector"), VectorPolicy::Line);
}

#[test]
fn no_vectors_fall_back_to_the_line() {
    assert_eq!(settled("blk-intx"), VectorPolicy::Line);
}

#[test]
fn every_way_to_interrupt_works() {
    for policy in VectorPolicy::ALL {
        let (mut machine, _, mut disk) = disk_with(&example("blk"), &with_policy(policy));
        assert_works(&mut machine, &mut disk, 5);
        assert_eq!(disk.transport().policy(), Some(policy));
        assert!(disk.interrupts().0 > 0, "{policy:?}");
    }
}

#[test]
fn vectors_that_the_device_lacks_are_refused() {
    let (mut machine, _, mut driver) = transport(&example("blk"));
    let options = QueueOptions { policies: vec![VectorPolicy::PerQueue], ..QueueOptions::default() };
    driver.find_queues(&mut machine, &ONE, &options).unwrap();
    for register in [CONFIG_VECTOR, QUEUE_VECTOR] {
        driver.write(&mut machine, register, Width::Word, 2);
        assert_eq!(driver.read(&mut machine, register, Width::Word) as u16, NO_VECTOR);
        driver.write(&mut machine, register, Width::Word, 1);
        assert_eq!(driver.read(&mut machine, register, Width::Word), 1);
    }
}

#[test]
fn ways_that_fail_leave_nothing_behind() {
    let (mut machine, _, mut driver) = transport(&example("blk-one-vector"));
    let vectors =
        QueueOptions { policies: vec![VectorPolicy::PerQueue, VectorPolicy::Shared], ..QueueOptions::default() };
    let error = driver.find_queues(&mut machine, &ONE, &vectors).unwrap_err();
    let DriverError::NoInterrupts(refusals) = error else { panic!("{error}") };
    assert_eq!(refusals.len(), 2);
    assert!(refusals
        .iter()
        .all(|(_, why)| matches!(why, DriverError::Pci(PciError::Vectors { wanted: 2, available: 1, .. }))));
    assert_eq!(machine.memory_in_use(), 0);
    // One queue more than there is: every way gets as far as the second queue and is undone.
    let (mut machine, _, mut driver) = transport(&example("blk"));
    let error = driver.find_queues(&mut machine, &THREE[..2], &QueueOptions::default()).unwrap_err();
    let DriverError::NoInterrupts(refusals) = error else { panic!("{error}") };
    assert!(matches!(refusals[1], (VectorPolicy::Shared, DriverError::NoQueue(1))), "{refusals:?}");
    assert!(matches!(refusals[2], (VectorPolicy::Line, DriverError::NoQueue(1))), "{refusals:?}");
    assert_eq!(machine.memory_in_use(), 0);
    assert_eq!(driver.read(&mut machine, QUEUE_PFN, Width::Double), 0);
    let queues = driver.find_queues(&mut machine, &ONE, &QueueOptions::default()).unwrap();
    assert_eq!((queues.len(), driver.policy()), (1, Some(VectorPolicy::PerQueue)));
}

#[test]
fn setup_gives_the_queue_its_frame_and_refuses_one_in_use() {
    let config = example("blk");
    let (mut machine, _, mut driver) = transport(&config);
    let queues = driver.find_queues(&mut machine, &ONE, &QueueOptions::default()).unwrap();
    assert_eq!(queues[0].size(), config.queue_size);
    let frame = driver.read(&mut machine, QUEUE_PFN, Width::Double);
    assert_eq!(u64::from(frame) << QUEUE_PFN_SHIFT, queues[0].address());
    let line = QueueOptions { policies: vec![VectorPolicy::Line], ..QueueOptions::default() };
    let error = driver.find_queues(&mut machine, &ONE, &line).unwrap_err();
    let DriverError::NoInterrupts(refusals) = error else { panic!("{error}") };
    assert!(matches!(refusals[0].1, DriverError::QueueInUse { index: 0, .. }));
}

#[test]
fn delete_takes_frame_and_vectors_from_the_device() {
    let (mut machine, _, mut driver) = transport(&example("blk"));
    driver.find_queues(&mut machine, &ONE, &QueueOptions::default()).unwrap();
    driver.delete_queues(&mut machine);
    assert_eq!(driver.read(&mut machine, QUEUE_PFN, Width::Double), 0);
    assert_eq!(machine.memory_in_use(), 0);
    assert!(driver.queues().is_empty() && driver.policy().is_none());
    driver.find_queues(&mut machine, &ONE, &QueueOptions::default()).unwrap();
}

#[test]
fn suspended_device_sleeps_and_goes_on_after_resume() {
    for policy in VectorPolicy::ALL {
        let (mut machine, bus, mut disk) = disk_with(&example("blk"), &with_policy(policy));
        assert_works(&mut machine, &mut disk, 11);
        let power = bus.function(SLOT).unwrap().capability(pci::CAPABILITY_POWER).unwrap() + pci::POWER_CONTROL;
        disk.transport_mut().suspend(&mut machine).unwrap();
        assert_eq!(config_u16(&mut machine, power) & pci::POWER_STATE, 3);
        assert_eq!(disk.transport().status(&mut machine), 0xff, "registers answer in D3hot");
        machine.run(10_000);
        disk.transport_mut().resume(&mut machine).unwrap();
        assert_eq!(config_u16(&mut machine, power) & pci::POWER_STATE, 0);
        assert_eq!(
            disk.transport().status(&mut machine),
            STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK,
            "{policy:?}"
        );
        assert_works(&mut machine, &mut disk, 13);
    }
}

/// Sleeps that begin anywhere in the work, some of them longer than the completion timeout.
#[test]
fn requests_in_flight_wait_for_the_end_of_a_sleep() {
    let config = impatient(example("blk"));
    for (n, policy) in VectorPolicy::ALL.into_iter().cycle().take(12).enumerate() {
        let (mut machine, _, mut disk) = disk_with(&config, &with_policy(policy));
        let data = pattern(7, 16 * 4096);
        machine.side::<DiskPort>().unwrap().disk().write(0, &data).unwrap();
        let address = machine.allocate(16 * 4096, 4096).unwrap();
        for n in 0..16 {
            let data = vec![Buffer::writable(address + 4096 * n, 4096)];
            let request = Request { operation: Operation::In, sector: 8 * n, data, shape: Shape::Direct };
            disk.submit(&mut machine, &request).unwrap();
        }
        disk.kick(&mut machine).unwrap();
        machine.run(97 * n as u64);
        disk.transport_mut().suspend(&mut machine).unwrap();
        machine.run(if n % 2 == 0 { 30_000 } else { 300 });
        disk.transport_mut().resume(&mut machine).unwrap();
        while disk.in_flight() > 0 {
            let deadline = machine.now() + PATIENCE;
            let ended = disk.wait(&mut machine, deadline).unwrap_or_else(|error| panic!("{policy:?}, {n}: {error}"));
            assert!(ended.iter().all(|ended| ended.status == Status::Ok), "{policy:?}, {n}: {ended:?}");
        }
        let mut found = vec![0; data.len()];
        machine.memory().read_slice(&mut found, GuestAddress(address)).unwrap();
        assert!(found == data, "{policy:?}, {n}");
        assert_no_violation(&mut machine);
    }
}

#[test]
fn resume_restores_what_the_sleep_took_from_configuration_space() {
    let (mut machine, bus, mut disk) = disk_with(&example("blk"), &Options::default());
    let function = bus.function(SLOT).unwrap().clone();
    let before = function.save(&mut machine);
    disk.transport_mut().suspend(&mut machine).unwrap();
    let msix = function.capability(pci::CAPABILITY_MSIX).unwrap() + pci::MSIX_CONTROL;
    for offset in [pci::COMMAND, msix] {
        machine.config_write(SLOT, offset, Width::Word, 0);
    }
    for bar in [pci::BAR0, pci::BAR0 + 4] {
        machine.config_write(SLOT, bar, Width::Double, 0);
    }
    disk.transport_mut().resume(&mut machine).unwrap();
    assert_eq!(function.save(&mut machine), before);
    assert_no_violation(&mut machine);
}

#[test]
fn remove_unwinds_everything_and_a_second_probe_works() {
    let (mut machine, mut bus) = boot(&example("blk"));
    for round in 0..3 {
        let options = Options { scatter: (round > 0).then_some(round), ..Options::default() };
        let mut disk = Blk::probe(&mut machine, &mut bus, SLOT, &options).unwrap_or_else(|error| panic!("{error}"));
        assert_works(&mut machine, &mut disk, 21 + round);
        disk.remove(&mut machine, &mut bus).unwrap();
        assert_clean(&mut machine, &bus);
    }
}

#[test]
fn remove_with_requests_in_flight_leaves_no_dma_behind() {
    let (mut machine, mut bus, mut disk) = disk_with(&example("blk"), &Options::default());
    let address = machine.allocate(32 * 4096, 4096).unwrap();
    for n in 0..32 {
        let data = vec![Buffer::writable(address + 4096 * n, 4096)];
        let request = Request { operation: Operation::In, sector: 8 * n, data, shape: Shape::Direct };
        disk.submit(&mut machine, &request).unwrap();
    }
    disk.kick(&mut machine).unwrap();
    machine.run(300);
    disk.remove(&mut machine, &mut bus).unwrap();
    let writes = machine.statistics().writes;
    machine.run(50_000);
    assert_eq!(machine.statistics().writes, writes, "a write behind the reset");
    machine.free(address, 32 * 4096);
    assert_clean(&mut machine, &bus);
    let mut disk = Blk::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
    assert_works(&mut machine, &mut disk, 3);
}

#[test]
fn memory_bar_works_as_io_does() {
    let config = example("blk-memory-bar");
    let (mut machine, bus, mut disk) = disk_with(&config, &Options::default());
    assert_eq!(bus.function(SLOT).unwrap().bar(0).unwrap().space, Space::Memory);
    assert_works(&mut machine, &mut disk, 9);
}

#[test]
fn smallest_interface_works() {
    let (mut machine, _, mut disk) = disk_with(&example("blk-plain"), &Options::default());
    assert!(!disk.has_feature(FEATURE_RING_EVENT_IDX) && !disk.has_feature(FEATURE_RING_INDIRECT_DESC));
    assert_works(&mut machine, &mut disk, 10);
}

#[test]
fn no_bus_master_clears_driver_ok() {
    let (mut machine, bus, mut disk) = disk_with(&example("blk"), &Options::default());
    assert_works(&mut machine, &mut disk, 30);
    bus.function(SLOT).unwrap().command(&mut machine, 0, pci::COMMAND_BUS_MASTER);
    assert_eq!(disk.transport().status(&mut machine), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
}

#[test]
fn functions_that_are_not_there_do_not_answer() {
    let (mut machine, _) = boot(&example("blk"));
    let other = FunctionId::new(SLOT.bus(), SLOT.device(), 3);
    assert_eq!(machine.config_read(other, pci::VENDOR_ID, Width::Double), u32::MAX);
    assert_no_violation(&mut machine);
}

#[test]
fn disk_flushes_tells_its_name_and_refuses_what_it_does_not_have() {
    let config = example("blk");
    let (mut machine, _, mut disk) = disk_with(&config, &Options::default());
    disk.flush(&mut machine).unwrap();
    assert_eq!(disk.id(&mut machine).unwrap(), config.blk_options().serial);
    let beyond = disk.read(&mut machine, SECTORS, &mut [0; 512]);
    assert!(matches!(beyond, Err(BlkError::Status(Status::IoError))));
    let request = Request { operation: Operation::Other(77), sector: 0, data: vec![], shape: Shape::Direct };
    assert_eq!(disk.execute(&mut machine, &request, PATIENCE).unwrap(), Status::Unsupported);
    assert_no_violation(&mut machine);
}

#[test]
fn thirty_two_requests_in_flight_end_with_the_right_data() {
    for shape in [Shape::Direct, Shape::Indirect, Shape::Mixed(1)] {
        let options = Options { scatter: Some(4), ..Options::default() };
        let (mut machine, _, mut disk) = disk_with(&example("blk"), &options);
        let data = pattern(99, 32 * 4096);
        machine.side::<DiskPort>().unwrap().disk().write(0, &data).unwrap();
        let address = machine.allocate(32 * 4096, 4096).unwrap();
        for n in 0..32 {
            let place = address + 4096 * n;
            let data = vec![Buffer::writable(place, 1000), Buffer::writable(place + 1000, 3096)];
            let request = Request { operation: Operation::In, sector: 8 * n, data, shape };
            disk.submit(&mut machine, &request).unwrap();
        }
        let deadline = machine.now() + PATIENCE;
        let mut ended = 0;
        while disk.in_flight() > 0 {
            for request in disk.wait(&mut machine, deadline).unwrap_or_else(|error| panic!("{error}")) {
                assert_eq!((request.status, request.written), (Status::Ok, 4097));
                ended += 1;
            }
        }
        assert_eq!(ended, 32);
        let mut found = vec![0; data.len()];
        machine.memory().read_slice(&mut found, GuestAddress(address)).unwrap();
        assert!(found == data, "{shape:?}");
        assert_no_violation(&mut machine);
    }
}

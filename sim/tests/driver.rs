//! The transport driver and the disk driver, function by function, on a disk of plain software.
mod software;

use software::registers::{Registers, SCRATCH};
use software::{Access, Build, Machine, DISK};
use virtio_hdl::host::blk::{Blk, BlkError, Operation, Options, Request, Status};
use virtio_hdl::host::net::{self, Net};
use virtio_hdl::host::pci::{Bus, Options as BusOptions, PciError, Space};
use virtio_hdl::host::ring::{Buffer, Shape, Virtqueue};
use virtio_hdl::host::virtio_pci::*;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::{FunctionId, Interrupt};
use virtio_hdl_rtl::pcie::layout as pci;
use virtio_hdl_rtl::virtio::layout::*;
use vm_memory::{Bytes, GuestAddress};

const ONE: [QueueUse; 1] = [QueueUse::interrupting("requests")];
const THREE: [QueueUse; 3] =
    [QueueUse::interrupting("input"), QueueUse::interrupting("output"), QueueUse::interrupting("control")];

fn machine(build: Build) -> (Machine, Bus) {
    let mut machine = Machine::new(build);
    let bus = Bus::scan(&mut machine, &BusOptions::default()).unwrap();
    (machine, bus)
}

fn transport(build: Build) -> (Machine, Bus, VirtioPci) {
    let (mut machine, mut bus) = machine(build);
    let driver = VirtioPci::probe(&mut machine, &mut bus, DISK).unwrap();
    (machine, bus, driver)
}

fn disk(build: Build) -> (Machine, Bus, Blk) {
    let (mut machine, mut bus) = machine(build);
    let disk = Blk::probe(&mut machine, &mut bus, DISK, &Options::default()).unwrap();
    (machine, bus, disk)
}

/// The device has used a chain of this ring.
fn use_a_chain(machine: &Machine, ring: &Virtqueue) {
    let index = ring.address() + used_offset(ring.size()) + RING_INDEX;
    machine.memory.write_obj(1u16, GuestAddress(index)).unwrap();
}

/// Everything that a driver takes has been given back.
fn assert_clean(machine: &Machine) {
    assert_eq!(machine.allocator.used(), 0, "memory in use");
    assert!(!machine.msix_enabled());
    assert_eq!(machine.command(), 0);
    assert_eq!(Registers { status: 0, ..machine.registers.clone() }, Default::default());
    assert!(machine.table.iter().all(|entry| entry[3] == 1), "a vector is unmasked");
}

#[test]
fn bus_scan_finds_functions_behind_one_that_is_missing() {
    let mut machine = Machine::new(Build::default());
    let second = FunctionId::new(DISK.bus(), DISK.device(), 2);
    machine.also_at(second);
    let bus = Bus::scan(&mut machine, &BusOptions::default()).unwrap();
    let found: Vec<_> = bus.functions().iter().map(|function| function.id).collect();
    assert_eq!(found, [DISK, second]);
}

#[test]
fn scan_finds_sizes_and_places() {
    let (machine, bus) = machine(Build::default());
    let [function] = bus.functions() else { panic!("{:?}", bus.functions()) };
    assert_eq!((function.id, function.vendor, function.device), (DISK, 0x1af4, 0x1001));
    assert_eq!((function.class, function.revision), (0x01_0000, 0));
    let [Some(registers), Some(table), None, None, None, None] = function.bars else { panic!("{:?}", function.bars) };
    assert_eq!((registers.space, registers.bytes), (Space::Io, 64));
    assert_eq!((table.space, table.bytes), (Space::Memory, 4096));
    let ids: Vec<u8> = function.capabilities.iter().map(|capability| capability.id).collect();
    assert_eq!(ids, [pci::CAPABILITY_POWER, pci::CAPABILITY_EXPRESS, pci::CAPABILITY_MSIX]);
    assert_eq!(machine.device_control(), 1 << 5 | 1 << 8 | 2 << 12, "MPS 256, extended tags, MRRS 512");
    assert_eq!(machine.command(), 0, "nothing is switched on");
}

#[test]
fn scan_refuses_a_capability_list_without_end() {
    let mut machine = Machine::new(Build { looped_capabilities: true, ..Build::default() });
    let result = Bus::scan(&mut machine, &BusOptions::default());
    assert!(matches!(result, Err(PciError::CapabilityList { .. })));
}

#[test]
fn scan_tells_when_a_window_is_full() {
    let mut machine = Machine::new(Build::default());
    let options = BusOptions { io: 0xc000..0xc020, ..BusOptions::default() };
    let result = Bus::scan(&mut machine, &options);
    assert_eq!(result.unwrap_err(), PciError::NoRoom { function: DISK, index: 0, bytes: 64 });
}

#[test]
fn probe_enables_claims_and_tells_the_device() {
    let (machine, mut bus, driver) = transport(Build::default());
    assert_eq!(machine.command(), pci::COMMAND_IO | pci::COMMAND_MEMORY | pci::COMMAND_BUS_MASTER);
    assert_eq!(driver.kind(), VIRTIO_ID_BLK);
    assert_eq!(machine.written(STATUS), [0, 1, 3], "reset, ACKNOWLEDGE, DRIVER");
    assert!(matches!(bus.claim(DISK, 0), Err(PciError::Claimed { .. })));
}

#[test]
fn probe_accepts_the_device_id_range_and_nothing_else() {
    for (device, virtio) in [(0x0fff, false), (0x1000, true), (0x103f, true), (0x1040, false)] {
        let (mut machine, mut bus) = machine(Build { device, ..Build::default() });
        let result = VirtioPci::probe(&mut machine, &mut bus, DISK);
        assert_eq!(result.is_ok(), virtio, "{device:#x}");
        assert!(virtio || machine.log.is_empty());
    }
    let (mut machine, mut bus) = machine(Build { vendor: 0x8086, ..Build::default() });
    let result = VirtioPci::probe(&mut machine, &mut bus, DISK);
    assert!(matches!(result, Err(DriverError::NotVirtio { vendor: 0x8086, .. })));
}

#[test]
fn probe_refuses_another_abi_version_and_touches_nothing() {
    let (mut machine, mut bus) = machine(Build { revision: 1, ..Build::default() });
    let result = VirtioPci::probe(&mut machine, &mut bus, DISK);
    assert!(matches!(result, Err(DriverError::AbiVersion(1))));
    assert!(machine.log.is_empty());
    assert_clean(&machine);
}

#[test]
fn probe_of_a_function_that_is_not_there_or_taken_fails() {
    let (mut machine, mut bus, _driver) = transport(Build::default());
    let nowhere = FunctionId::new(0, 3, 0);
    let result = VirtioPci::probe(&mut machine, &mut bus, nowhere);
    assert!(matches!(result, Err(DriverError::Pci(PciError::NoFunction { .. }))));
    let result = VirtioPci::probe(&mut machine, &mut bus, DISK);
    assert!(matches!(result, Err(DriverError::Pci(PciError::Claimed { .. }))));
}

#[test]
fn probe_works_with_a_memory_bar() {
    let (mut machine, _, driver) = transport(Build { io_bar: false, ..Build::default() });
    assert_eq!(driver.status(&mut machine), 3);
}

#[test]
fn features_are_the_intersection() {
    let (mut machine, _, mut driver) = transport(Build::default());
    let offered = driver.device_features(&mut machine);
    assert_eq!(offered, software::FEATURES);
    let supported = 1 << blk::FEATURE_FLUSH | 1 << blk::FEATURE_RO;
    assert_eq!(driver.negotiate(&mut machine, supported), 1 << blk::FEATURE_FLUSH);
    assert_eq!(machine.registers.features, 1 << blk::FEATURE_FLUSH);
    assert_eq!(machine.written(GUEST_FEATURES), [1 << blk::FEATURE_FLUSH]);
}

#[test]
fn config_is_read_and_written_bytewise_where_msix_puts_it() {
    for (policy, base) in [(VectorPolicy::Line, DEVICE_CONFIG), (VectorPolicy::Shared, DEVICE_CONFIG_MSIX)] {
        let (mut machine, _, mut driver) = transport(Build { sectors: 0x123, ..Build::default() });
        let options = QueueOptions { policies: vec![policy], ..QueueOptions::default() };
        driver.find_queues(&mut machine, &ONE, &options).unwrap();
        machine.log.clear();
        let mut bytes = [0; 8];
        driver.get_config(&mut machine, blk::CONFIG_CAPACITY, &mut bytes);
        assert_eq!(u64::from_le_bytes(bytes), 0x123);
        driver.set_config(&mut machine, SCRATCH, &[0x5a]);
        assert_eq!(machine.registers.scratch, 0x5a);
        let expected: Vec<(bool, u32)> = (0..8).map(|n| (false, base + n)).chain([(true, base + SCRATCH)]).collect();
        let found: Vec<(bool, u32)> = machine.log.iter().map(|access| (access.write, access.offset)).collect();
        assert_eq!(found, expected, "{policy:?}");
        assert!(machine.log.iter().all(|access| access.width == Width::Byte));
    }
}

#[test]
fn status_is_never_zero_but_to_reset() {
    let (mut machine, mut bus, mut disk) = disk(Build::default());
    disk.write(&mut machine, 1, &[7; 512]).unwrap();
    let statuses = machine.written(STATUS);
    assert_eq!(statuses, [0, 1, 3, 7]);
    machine.log.clear();
    disk.remove(&mut machine, &mut bus).unwrap();
    assert!(machine.written(STATUS).iter().all(|status| *status == 0));
}

#[test]
fn reset_is_checked() {
    let (mut machine, _, driver) = transport(Build::default());
    driver.reset(&mut machine).unwrap();
    assert_eq!(driver.status(&mut machine), 0);
    let last = machine.log.len() - 3;
    assert!(matches!(
        machine.log[last..last + 2],
        [Access { write: true, offset: STATUS, value: 0, .. }, Access { write: false, offset: STATUS, .. }]
    ));
    // A device that does not answer is not taken for reset.
    machine.config_write(DISK, pci::COMMAND, Width::Word, 0);
    assert!(matches!(driver.reset(&mut machine), Err(DriverError::Status { written: 0, found: 0xff })));
}

#[test]
fn notify_is_a_16_bit_write_of_the_queue_index() {
    let (mut machine, _, mut disk) = disk(Build::default());
    machine.log.clear();
    disk.flush(&mut machine).unwrap();
    let access = Access { write: true, offset: QUEUE_NOTIFY, width: Width::Word, value: 0 };
    assert_eq!(machine.log, [access]);
}

fn with_policy(policy: VectorPolicy) -> Options {
    Options { policies: vec![policy], ..Options::default() }
}

#[test]
fn line_interrupt_reads_the_status_and_says_whose_it_is() {
    let (mut machine, mut bus) = machine(Build::default());
    let disk = Blk::probe(&mut machine, &mut bus, DISK, &with_policy(VectorPolicy::Line)).unwrap();
    let line = Interrupt::Line { at: 0, asserted: true };
    assert_eq!(disk.interrupt(&mut machine, line).unwrap(), Interrupted::NotMine);
    machine.registers.isr = ISR_QUEUE;
    let spurious = disk.interrupt(&mut machine, line).unwrap();
    assert_eq!(spurious, Interrupted::NotMine, "nothing new in the ring");
    assert_eq!(machine.registers.isr, 0, "reading clears");
    machine.change_capacity(128);
    let mine = |config_changed, queues| Interrupted::Mine { config_changed, queues };
    assert_eq!(disk.interrupt(&mut machine, line).unwrap(), mine(true, vec![]));
    use_a_chain(&machine, disk.queue());
    machine.registers.isr = ISR_QUEUE;
    assert_eq!(disk.interrupt(&mut machine, line).unwrap(), mine(false, vec![0]));
    machine.change_capacity(64);
    assert_eq!(disk.interrupt(&mut machine, line).unwrap(), mine(true, vec![0]));
    machine.change_capacity(128);
    disk.interrupt(&mut machine, line).unwrap();
    assert_eq!(disk.capacity(&mut machine), 128);
    assert_eq!(disk.interrupt(&mut machine, line).unwrap(), Interrupted::NotMine);
}

/// Nobody serves the other device, so there is always one more interrupt that is not ours.
#[test]
fn a_line_that_another_device_holds_ends_no_wait_but_at_its_deadline() {
    let deadline = 20_000;
    let (mut machine, mut bus) = machine(Build::default());
    let mut disk = Blk::probe(&mut machine, &mut bus, DISK, &with_policy(VectorPolicy::Line)).unwrap();
    (machine.deaf, machine.line_is_held) = (true, true);
    let flush = Request { operation: Operation::Flush, sector: 0, data: vec![], shape: Shape::Direct };
    disk.submit(&mut machine, &flush).unwrap();
    assert!(matches!(disk.wait(&mut machine, deadline), Err(BlkError::Timeout { in_flight: 1, .. })));
    assert!((deadline..deadline + 1000).contains(&machine.now()), "{}", machine.now());

    let (mut machine, mut bus) =
        self::machine(Build { device: DEVICE_ID_NET, subsystem: VIRTIO_ID_NET, queues: 2, ..Build::default() });
    let options = net::Options { policies: vec![VectorPolicy::Line], ..net::Options::default() };
    let mut port = Net::probe(&mut machine, &mut bus, DISK, &options).unwrap();
    (machine.deaf, machine.line_is_held) = (true, true);
    assert!(port.wait(&mut machine, deadline).unwrap().is_none());
    assert!((deadline..deadline + 1000).contains(&machine.now()), "{}", machine.now());
}

#[test]
fn message_interrupts_say_what_they_are_for() {
    let (mut machine, _, disk) = disk(Build::default());
    let table: Vec<(u64, u32)> =
        machine.table.iter().map(|e| (u64::from(e[1]) << 32 | u64::from(e[0]), e[2])).collect();
    let mut told = |address, data| disk.interrupt(&mut machine, Interrupt::Message { at: 0, address, data }).unwrap();
    assert_eq!(told(table[0].0, table[0].1), Interrupted::Mine { config_changed: true, queues: vec![] });
    assert_eq!(told(table[1].0, table[1].1), Interrupted::NotMine, "nothing new in the ring");
    use_a_chain(&machine, disk.queue());
    let mut told = |address, data| disk.interrupt(&mut machine, Interrupt::Message { at: 0, address, data }).unwrap();
    assert_eq!(told(table[1].0, table[1].1), Interrupted::Mine { config_changed: false, queues: vec![0] });
    assert_eq!(told(table[1].0, 0x999), Interrupted::NotMine);
    assert!(!machine.log.iter().any(|access| access.offset == ISR), "messages need no status");
}

/// The best way to interrupt that a device allows.
fn best(build: Build) -> (VectorPolicy, Machine, Blk) {
    let (mut machine, mut bus) = machine(build);
    let mut disk = Blk::probe(&mut machine, &mut bus, DISK, &Options::default()).unwrap();
    disk.write(&mut machine, 3, &[9; 512]).unwrap();
    assert!(machine.disk[3 * 512..4 * 512].iter().all(|byte| *byte == 9));
    (disk.transport().policy().unwrap(), machine, disk)
}

#[test]
fn enough_vectors_give_one_per_queue() {
    let (policy, machine, disk) = best(Build::default());
    assert_eq!(policy, VectorPolicy::PerQueue);
    assert_eq!((machine.registers.config_vector, machine.registers.queues[0].vector), (0, 1));
    assert_eq!(disk.transport().queues()[0].vector, Some(1));
}

/// Finds as many queues as the device has and tells the policy, and of each queue the vector and whom it interrupts.
fn find_all(build: Build) -> (VectorPolicy, Vec<Option<u16>>, Vec<Vec<u16>>) {
    let count = build.queues;
    let (mut machine, _, mut driver) = transport(build);
    let rings = driver.find_queues(&mut machine, &THREE[..usize::from(count)], &QueueOptions::default()).unwrap();
    rings.iter().for_each(|ring| use_a_chain(&machine, ring));
    let rings: Vec<&Virtqueue> = rings.iter().collect();
    let vectors: Vec<Option<u16>> = driver.queues().iter().map(|queue| queue.vector).collect();
    for (state, vector) in machine.registers.queues.iter().zip(&vectors) {
        assert_eq!(state.vector, vector.unwrap_or(NO_VECTOR));
    }
    let interrupted = vectors.iter().map(|vector| {
        let interrupt = match vector {
            Some(vector) => {
                Interrupt::Message { at: 0, address: 0xfee0_0000, data: machine.table[usize::from(*vector)][2] }
            }
            None => Interrupt::Line { at: 0, asserted: true },
        };
        machine.registers.isr = ISR_QUEUE;
        match driver.interrupt(&mut machine, interrupt, &rings).unwrap() {
            Interrupted::Mine { config_changed: false, queues } => queues,
            other => panic!("{other:?}"),
        }
    });
    let interrupted = interrupted.collect();
    let policy = driver.policy().unwrap();
    driver.delete_queues(&mut machine);
    assert_eq!(machine.allocator.used(), 0);
    (policy, vectors, interrupted)
}

#[test]
fn three_queues_with_four_three_and_no_vectors() {
    let build = |vectors| Build { vectors, queues: 3, ..Build::default() };
    let all = || vec![0, 1, 2];
    let (policy, vectors, interrupted) = find_all(build(4));
    assert_eq!((policy, vectors), (VectorPolicy::PerQueue, vec![Some(1), Some(2), Some(3)]));
    assert_eq!(interrupted, [vec![0], vec![1], vec![2]]);
    let (policy, vectors, interrupted) = find_all(build(3));
    assert_eq!((policy, vectors), (VectorPolicy::Shared, vec![Some(1); 3]));
    assert_eq!(interrupted, [all(), all(), all()]);
    let (policy, vectors, interrupted) = find_all(build(0));
    assert_eq!((policy, vectors), (VectorPolicy::Line, vec![None; 3]));
    assert_eq!(interrupted, [all(), all(), all()]);
}

#[test]
fn vector_refused_for_the_last_queue_falls_back_to_the_shared_one() {
    let (policy, vectors, _) = find_all(Build { vectors: 8, refused_from: 3, queues: 3, ..Build::default() });
    assert_eq!((policy, vectors), (VectorPolicy::Shared, vec![Some(1); 3]));
}

#[test]
fn vectors_have_the_names_of_what_they_are_for() {
    let names = |vectors| {
        let (mut machine, _, mut driver) = transport(Build { vectors, queues: 3, ..Build::default() });
        driver.find_queues(&mut machine, &THREE, &QueueOptions::default()).unwrap();
        driver.vector_names().to_vec()
    };
    assert_eq!(names(4), ["config", "input", "output", "control"]);
    assert_eq!(names(3), ["config", "virtqueues"]);
    assert!(names(0).is_empty());
}

#[test]
fn a_queue_without_callback_gets_no_vector_and_asks_for_no_interrupt() {
    let uses = [QueueUse::silent("input"), QueueUse::interrupting("output"), QueueUse::silent("control")];
    for (vectors, expected) in [(2, [None, Some(1), None]), (0, [None; 3])] {
        let (mut machine, _, mut driver) = transport(Build { vectors, queues: 3, ..Build::default() });
        let rings = driver.find_queues(&mut machine, &uses, &QueueOptions::default()).unwrap();
        let found: Vec<Option<u16>> = driver.queues().iter().map(|queue| queue.vector).collect();
        assert_eq!(found, expected);
        for (ring, wanted) in rings.iter().zip(&uses) {
            let flags = ring.address() + avail_offset(ring.size()) + RING_FLAGS;
            let flags: u16 = machine.memory.read_obj(GuestAddress(flags)).unwrap();
            assert_eq!(flags & AVAIL_NO_INTERRUPT == 0, wanted.callback);
        }
        machine.log.clear();
        driver.delete_queues(&mut machine);
        // With MSI-X the vector of each queue is taken away and that is waited for, whether it had one or not.
        let flushes = machine.log.iter().filter(|access| !access.write && access.offset == ISR).count();
        assert_eq!(flushes, if vectors > 0 { 3 } else { 0 });
    }
}

#[test]
fn each_way_to_interrupt_begins_with_a_reset_and_the_negotiated_features() {
    // The second queue's vector is refused: taking the first queue back is a reset, that also takes the features.
    let (mut machine, _, mut driver) = transport(Build { vectors: 8, refused_from: 2, queues: 2, ..Build::default() });
    let accepted = driver.negotiate(&mut machine, u32::MAX);
    assert_ne!(accepted, 0);
    driver.find_queues(&mut machine, &THREE[..2], &QueueOptions::default()).unwrap();
    assert_eq!(driver.policy(), Some(VectorPolicy::Shared));
    assert_eq!(machine.registers.features, accepted);
    assert_eq!(driver.status(&mut machine), STATUS_ACKNOWLEDGE | STATUS_DRIVER);
}

/// What is restored before that would be lost with the rest.
#[test]
fn a_function_is_awake_before_its_configuration_space_is_restored() {
    let (mut machine, bus, mut disk) = disk(Build::default());
    machine.forgets = true;
    let function = bus.function(DISK).unwrap();
    let before = function.save(&mut machine);
    disk.transport_mut().suspend(&mut machine).unwrap();
    disk.transport_mut().resume(&mut machine).unwrap();
    assert_eq!(function.save(&mut machine), before);
    disk.write(&mut machine, 3, &[9; 512]).unwrap();
}

#[test]
fn a_resume_that_fails_leaves_nothing_behind_on_removal() {
    let (mut machine, mut bus, mut disk) = disk(Build::default());
    disk.transport_mut().suspend(&mut machine).unwrap();
    machine.stays_asleep = true;
    let error = disk.remove(&mut machine, &mut bus).unwrap_err();
    assert!(matches!(error, DriverError::Pci(PciError::PowerState { state: 3, wanted: 0, .. })), "{error}");
    assert_eq!(machine.allocator.used(), 0, "memory in use");
    machine.stays_asleep = false;
    Blk::probe(&mut machine, &mut bus, DISK, &Options::default()).unwrap();

    // the transport, by itself
    let (mut machine, mut bus, mut driver) = transport(Build::default());
    driver.find_queues(&mut machine, &ONE, &QueueOptions::default()).unwrap();
    driver.suspend(&mut machine).unwrap();
    machine.stays_asleep = true;
    driver.remove(&mut machine, &mut bus).unwrap_err();
    assert_eq!(machine.allocator.used(), 0, "memory in use");
    machine.stays_asleep = false;
    VirtioPci::probe(&mut machine, &mut bus, DISK).unwrap();
}

#[test]
fn all_bars_are_claimed_or_none() {
    let (mut machine, mut bus) = machine(Build::default());
    bus.claim(DISK, 1).unwrap();
    let error = VirtioPci::probe(&mut machine, &mut bus, DISK).unwrap_err();
    assert!(matches!(error, DriverError::Pci(PciError::Claimed { index: 1, .. })), "{error}");
    assert_eq!(bus.claim(DISK, 0).map(|_| ()), Ok(()), "BAR0 was given back");
}

#[test]
fn queues_beyond_the_last_are_not_found() {
    let (mut machine, _, mut driver) = transport(Build { queues: 2, vectors: 8, ..Build::default() });
    let error = driver.find_queues(&mut machine, &THREE[..3], &QueueOptions::default()).unwrap_err();
    let DriverError::NoInterrupts(refusals) = error else { panic!("{error}") };
    assert!(refusals.iter().all(|(_, why)| matches!(why, DriverError::NoQueue(2))), "{refusals:?}");
    assert_eq!(machine.allocator.used(), 0);
    assert!(!machine.msix_enabled());
}

#[test]
fn one_vector_in_the_table_gives_the_line() {
    let (policy, machine, _) = best(Build { vectors: 1, ..Build::default() });
    assert_eq!(policy, VectorPolicy::Line);
    assert!(!machine.msix_enabled());
    assert_eq!(machine.command() & pci::COMMAND_INTX_DISABLE, 0);
}

#[test]
fn no_msix_gives_the_line() {
    let (policy, machine, _) = best(Build { vectors: 0, ..Build::default() });
    assert_eq!(policy, VectorPolicy::Line);
    assert_eq!(machine.messages, 0);
}

#[test]
fn refused_config_vector_unwinds_to_the_line() {
    let build = Build { refused_from: 0, ..Build::default() };
    let (mut machine, _, mut driver) = transport(build.clone());
    let options = QueueOptions { policies: vec![VectorPolicy::PerQueue], ..QueueOptions::default() };
    let error = driver.find_queues(&mut machine, &ONE, &options).unwrap_err();
    assert!(error.to_string().contains("refused vector 0 for configuration changes"), "{error}");
    assert!(machine.written(QUEUE_PFN).is_empty(), "no queue was touched");
    let (policy, machine, _) = best(build);
    assert_eq!(policy, VectorPolicy::Line);
    assert!(machine.table.iter().all(|entry| entry[3] == 1), "the entries are masked again");
}

#[test]
fn refused_queue_vector_unwinds_queue_and_config_vector() {
    let (mut machine, _, mut driver) = transport(Build { refused_from: 1, ..Build::default() });
    let options = QueueOptions { policies: vec![VectorPolicy::PerQueue], ..QueueOptions::default() };
    let error = driver.find_queues(&mut machine, &ONE, &options).unwrap_err();
    let DriverError::NoInterrupts(refusals) = error else { panic!("{error}") };
    assert!(matches!(refusals[0].1, DriverError::VectorRefused { vector: 1, purpose: VectorPurpose::Queue(0) }));
    assert_eq!(machine.allocator.used(), 0);
    assert_eq!((machine.registers.queues[0].frame, machine.registers.config_vector), (0, NO_VECTOR));
    assert!(!machine.msix_enabled());
    let queues = driver.find_queues(&mut machine, &ONE, &QueueOptions::default()).unwrap();
    assert_eq!((queues.len(), driver.policy()), (1, Some(VectorPolicy::Line)));
}

#[test]
fn no_vector_and_no_pin_is_an_error_that_says_why() {
    let (mut machine, mut bus) = machine(Build { vectors: 0, interrupt_pin: 0, ..Build::default() });
    let error = Blk::probe(&mut machine, &mut bus, DISK, &Options::default()).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("PerQueue: 01:00.0: there is no capability 0x11"), "{text}");
    assert!(text.contains("Line: the function has no interrupt pin"), "{text}");
    assert_clean(&machine);
    assert_eq!(machine.registers.status, STATUS_FAILED, "the device is told that its driver gave up");
}

#[test]
fn setup_writes_the_frame_of_a_zeroed_ring() {
    let (mut machine, _, mut driver) = transport(Build::default());
    machine.memory.write_slice(&vec![0xff; 1 << 20], GuestAddress(0x10_0000)).unwrap();
    let queues = driver.find_queues(&mut machine, &ONE, &QueueOptions::default()).unwrap();
    let address = queues[0].address();
    assert_eq!(u64::from(machine.registers.queues[0].frame) << 12, address);
    assert_eq!((address % 4096, queues[0].size()), (0, 16));
    let mut ring = vec![1; ring_bytes(16) as usize];
    machine.memory.read_slice(&mut ring, GuestAddress(address)).unwrap();
    assert!(ring.iter().all(|byte| *byte == 0));
}

#[test]
fn setup_refuses_size_0_and_a_queue_in_use() {
    let line = QueueOptions { policies: vec![VectorPolicy::Line], ..QueueOptions::default() };
    let refusal = |machine: &mut Machine, driver: &mut VirtioPci| match driver.find_queues(machine, &ONE, &line) {
        Err(DriverError::NoInterrupts(mut refusals)) => refusals.remove(0).1,
        _ => panic!("queue 0 was set up"),
    };
    let (mut machine, _, mut driver) = transport(Build { queue_size: 0, ..Build::default() });
    assert!(matches!(refusal(&mut machine, &mut driver), DriverError::NoQueue(0)));
    let (mut machine, _, mut driver) = transport(Build::default());
    machine.registers.queues[0].frame = 0x77;
    let error = refusal(&mut machine, &mut driver);
    assert!(matches!(error, DriverError::QueueInUse { index: 0, frame: 0x77 }));
    assert_eq!(machine.allocator.used(), 0);
}

#[test]
fn delete_detaches_flushes_and_frees() {
    let (mut machine, _, mut driver) = transport(Build::default());
    driver.find_queues(&mut machine, &ONE, &QueueOptions::default()).unwrap();
    machine.log.clear();
    driver.delete_queues(&mut machine);
    let steps: Vec<(bool, u32, u32)> = machine.log.iter().map(|a| (a.write, a.offset, a.value)).collect();
    assert_eq!(
        steps,
        [
            (true, QUEUE_SEL, 0),
            (true, QUEUE_VECTOR, 0xffff),
            (false, ISR, 0),
            (true, QUEUE_PFN, 0),
            (true, CONFIG_VECTOR, 0xffff),
            (false, CONFIG_VECTOR, 0xffff),
        ]
    );
    assert_eq!(machine.allocator.used(), 0);
    assert!(!machine.msix_enabled() && driver.queues().is_empty() && driver.policy().is_none());
}

#[test]
fn suspend_and_resume_keep_the_disk_going() {
    for policy in VectorPolicy::ALL {
        let (mut machine, mut bus) = machine(Build::default());
        let mut disk = Blk::probe(&mut machine, &mut bus, DISK, &with_policy(policy)).unwrap();
        disk.write(&mut machine, 0, &[1; 512]).unwrap();
        let before = (machine.command(), machine.device_control(), machine.msix_enabled(), machine.table.clone());
        disk.transport_mut().suspend(&mut machine).unwrap();
        assert_eq!(machine.power_state(), 3);
        assert_eq!(disk.transport().status(&mut machine), 0xff, "asleep");
        // Whatever the sleep took from configuration space and from the table is put back.
        for (offset, value) in [(pci::COMMAND, 0), (0x52, 0), (0x68, 0)] {
            machine.config_write(DISK, offset, Width::Word, value);
        }
        machine.config_write(DISK, pci::BAR0, Width::Double, 0);
        machine.table.fill([0, 0, 0, 1]);
        disk.transport_mut().resume(&mut machine).unwrap();
        assert_eq!(machine.power_state(), 0);
        let after = (machine.command(), machine.device_control(), machine.msix_enabled(), machine.table.clone());
        assert_eq!(before, after, "{policy:?}");
        disk.write(&mut machine, 1, &[2; 512]).unwrap();
        assert_eq!((machine.disk[511], machine.disk[512]), (1, 2));
    }
}

#[test]
fn remove_unwinds_everything_and_a_second_probe_works() {
    let (mut machine, mut bus) = machine(Build::default());
    for round in 0..3 {
        let options = Options { scatter: Some(round), ..Options::default() };
        let mut disk = Blk::probe(&mut machine, &mut bus, DISK, &options).unwrap();
        disk.write(&mut machine, round, &[round as u8 + 1; 512]).unwrap();
        // Requests that the disk never answers are given back as well.
        machine.deaf = true;
        let address = machine.allocate(512, 512).unwrap();
        let data = vec![Buffer::readable(address, 512); 3];
        let request = Request { operation: Operation::Out, sector: 9, data, shape: Shape::Indirect };
        disk.submit(&mut machine, &request).unwrap();
        disk.kick(&mut machine).unwrap();
        machine.deaf = false;
        disk.remove(&mut machine, &mut bus).unwrap();
        machine.free(address, 512);
        assert_clean(&machine);
        assert_eq!(machine.disk[512 * round as usize], round as u8 + 1);
    }
}

#[test]
fn another_kind_of_device_is_left_alone() {
    let (mut machine, mut bus) = machine(Build { subsystem: VIRTIO_ID_NET, ..Build::default() });
    let result = Blk::probe(&mut machine, &mut bus, DISK, &Options::default());
    assert!(matches!(result, Err(DriverError::DeviceKind { found: VIRTIO_ID_NET, expected: VIRTIO_ID_BLK })));
    assert!(machine.log.is_empty());
}

#[test]
fn disk_reads_writes_flushes_and_tells_its_name() {
    let (mut machine, _, mut disk) = disk(Build::default());
    let data: Vec<u8> = (0..4096_u32).map(|n| (n * 7 / 8) as u8).collect();
    disk.write(&mut machine, 8, &data).unwrap();
    assert_eq!(machine.disk[8 * 512..16 * 512], data);
    let mut back = vec![0; 4096];
    disk.read(&mut machine, 8, &mut back).unwrap();
    assert_eq!(back, data);
    disk.flush(&mut machine).unwrap();
    assert_eq!(disk.id(&mut machine).unwrap(), "software disk");
    assert_eq!(disk.capacity(&mut machine), 64);
    assert_eq!(machine.messages, 4, "one interrupt for each request");
}

#[test]
fn disk_answers_are_decoded() {
    let (mut machine, _, mut disk) = disk(Build::default());
    let mut sector = [0; 512];
    let beyond = disk.read(&mut machine, 64, &mut sector);
    assert!(matches!(beyond, Err(BlkError::Status(Status::IoError))));
    let request = Request { operation: Operation::Other(77), sector: 0, data: vec![], shape: Shape::Direct };
    assert_eq!(disk.execute(&mut machine, &request, 1000).unwrap(), Status::Unsupported);
    assert_eq!(Status::from(0xff), Status::Unknown(0xff));
}

#[test]
fn many_requests_are_in_flight_and_end_in_any_order() {
    for (reverse, scatter) in [(false, None), (true, Some(5))] {
        let (mut machine, mut bus) = machine(Build { reverse, queue_size: 64, ..Build::default() });
        let options = Options { scatter, ..Options::default() };
        let mut disk = Blk::probe(&mut machine, &mut bus, DISK, &options).unwrap();
        let address = machine.allocate(16 * 512, 512).unwrap();
        let mut tickets = Vec::new();
        for n in 0..16 {
            let data = vec![Buffer::readable(address + 512 * n, 512)];
            machine.memory.write_slice(&[n as u8 + 1; 512], GuestAddress(address + 512 * n)).unwrap();
            let request = Request { operation: Operation::Out, sector: n, data, shape: Shape::Direct };
            tickets.push(disk.submit(&mut machine, &request).unwrap());
        }
        assert_eq!(disk.in_flight(), 16);
        let ended = disk.wait(&mut machine, 1_000_000).unwrap();
        assert!(ended.iter().all(|ended| ended.status == Status::Ok && ended.written == 1));
        let mut order: Vec<_> = ended.iter().map(|ended| ended.ticket).collect();
        if reverse {
            order.reverse();
        }
        assert_eq!(order, tickets);
        assert_eq!(machine.messages, 1, "one interrupt for the batch");
        assert!((0..16).all(|n| machine.disk[512 * n] == n as u8 + 1));
    }
}

#[test]
fn full_queue_is_an_error_and_nothing_is_lost() {
    let (mut machine, _, mut disk) = disk(Build::default());
    machine.deaf = true;
    let flush = Request { operation: Operation::Flush, sector: 0, data: vec![], shape: Shape::Direct };
    let accepted = (0..100).take_while(|_| disk.submit(&mut machine, &flush).is_ok()).count();
    assert_eq!(accepted, 8, "two descriptors each");
    let error = disk.submit(&mut machine, &flush).unwrap_err().to_string();
    assert_eq!(error, "2 descriptors are wanted, 0 are free");
    disk.kick(&mut machine).unwrap();
    assert!(matches!(disk.wait(&mut machine, 20_000), Err(BlkError::Timeout { in_flight: 8, .. })));
    machine.deaf = false;
    disk.transport().notify(&mut machine, 0);
    assert_eq!(disk.wait(&mut machine, 1_000_000).unwrap().len(), 8);
}

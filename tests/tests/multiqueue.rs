//! A disk with several queues, on the whole Verilated endpoint: each has its requests, its interrupt, and its faults.
use virtio_hdl::host::blk::{Operation, Options, Request, Status};
use virtio_hdl::host::ring::{Buffer, Descriptor, Shape};
use virtio_hdl::host::virtio_pci::{Interrupted, VectorPolicy};
use virtio_hdl::host::Platform;
use virtio_hdl::machine::MachineOptions;
use virtio_hdl_rtl::virtio::layout::DESCRIPTOR_WRITE;
use virtio_hdl_rtl::virtio::types::Violation;
use virtio_hdl_tests::example;
use virtio_hdl_tests::rig::*;
use vm_memory::{Bytes, GuestAddress};

const QUEUES: usize = 4;

fn setup_with(driver: &Options) -> Setup {
    setup_of(&example("blk-multiqueue"), &MachineOptions::default(), driver)
}

/// A read of the `n`th 4 KiB through this queue.
fn submit_to(s: &mut Setup, queue: usize, n: u64) {
    let request = s.request(Operation::In, n);
    s.blk.submit_to(&mut s.machine, queue, &request).unwrap();
}

#[test]
fn each_queue_interrupts_with_a_vector_of_its_own() {
    let mut s = setup_with(&Options::default());
    assert_eq!(s.blk.queues().len(), QUEUES);
    assert_eq!(s.blk.transport().policy(), Some(VectorPolicy::PerQueue));
    for queue in [2, 0, 3, 1] {
        submit_to(&mut s, queue, queue as u64);
        s.blk.kick(&mut s.machine).unwrap();
        let deadline = s.machine.now() + PATIENCE;
        let interrupt = s.machine.wait_interrupt(deadline).expect("an interrupt");
        let of = s.blk.interrupt(&mut s.machine, interrupt).unwrap();
        assert_eq!(of, Interrupted::Mine { config_changed: false, queues: vec![queue as u16] });
        assert_eq!(s.blk.poll(&mut s.machine).unwrap().len(), 1);
        assert_eq!(s.machine.wait_interrupt(s.machine.now() + LONG), None, "only one");
    }
    s.machine.check().unwrap();
}

/// All queues have requests at all times: none waits for another.
#[test]
fn all_queues_are_served_at_once_and_by_turns() {
    let mut s = setup_with(&Options::default());
    let mut finished = [0; QUEUES];
    let mut waiting = [0; QUEUES];
    while finished.iter().sum::<usize>() < 400 {
        for (queue, waiting) in waiting.iter_mut().enumerate() {
            (*waiting..12).for_each(|n| submit_to(&mut s, queue, (12 * queue + n) as u64));
            *waiting = 12;
        }
        s.blk.kick(&mut s.machine).unwrap();
        s.machine.run(300);
        for queue in 0..QUEUES {
            let ring = &mut s.blk.queues_mut()[queue];
            while ring.take(&mut s.machine).unwrap().is_some() {
                finished[queue] += 1;
                waiting[queue] -= 1;
            }
        }
        assert!(s.machine.now() < PATIENCE, "{finished:?}");
    }
    assert!(finished.iter().all(|finished| *finished >= 80), "{finished:?}");
    s.machine.check().unwrap();
}

/// As an old driver, or Linux with one processor.
#[test]
fn a_driver_that_knows_one_queue_uses_one() {
    let plain = Options { features: 0, ..Options::default() };
    for driver in [plain, Options { queues: 1, ..Options::default() }] {
        let mut s = setup_with(&driver);
        assert_eq!(s.blk.queues().len(), 1);
        s.begin_reads();
        assert!(s.wait_all().iter().all(|ended| ended.status == Status::Ok));
        s.expect_reads();
        s.assert_works();
    }
}

/// What stops: of the ring, found by the ring engine; or a request too short, found by the device.
fn a_bad_ring_stops_alone(queue: usize, rule: Violation, descriptor: Descriptor, head: u16) {
    let mut s = setup_with(&Options::default());
    for n in 0..8 {
        submit_to(&mut s, n % QUEUES, n as u64);
    }
    let ring = &mut s.blk.queues_mut()[queue];
    ring.write_descriptor(s.machine.memory(), 20, descriptor).unwrap();
    ring.offer(s.machine.memory(), head).unwrap();
    s.blk.kick(&mut s.machine).unwrap();
    s.machine.run(LONG);
    // what came before it has ended
    assert!(s.wait_all().iter().all(|ended| ended.status == Status::Ok));
    let report = s.diagnostic(0);
    let told = (report & 0xff, report >> 8 & 3, report >> 16);
    assert_eq!(told, (rule as u32, queue as u32, u32::from(head)), "rule, queue, head");
    for n in 8..32 {
        let other = (queue + 1 + n % (QUEUES - 1)) % QUEUES;
        submit_to(&mut s, other, n as u64);
    }
    assert!(s.wait_all().iter().all(|ended| ended.status == Status::Ok));
    s.expect_reads();
    // its own requests wait for a reset
    submit_to(&mut s, queue, 40);
    s.blk.kick(&mut s.machine).unwrap();
    s.machine.run(LONG);
    assert!(s.blk.poll(&mut s.machine).unwrap().is_empty());
    let mut s = s.probe_again();
    for queue in 0..QUEUES {
        submit_to(&mut s, queue, queue as u64);
    }
    assert!(s.wait_all().iter().all(|ended| ended.status == Status::Ok));
    s.assert_works();
}

#[test]
fn a_queue_with_a_bad_ring_stops_alone() {
    for queue in [0, 3] {
        a_bad_ring_stops_alone(queue, Violation::HeadRange, Descriptor::default(), 256);
    }
}

#[test]
fn a_queue_with_a_request_too_short_stops_alone() {
    for queue in [1, 2] {
        let short = Descriptor { address: 0x1000, bytes: 16, flags: DESCRIPTOR_WRITE, next: 0 };
        a_bad_ring_stops_alone(queue, Violation::RequestTooShort, short, 20);
    }
}

/// Requests of one queue are carried out in their order, those of several in any: each queue writes one sector again and again.
#[test]
fn writes_of_a_queue_keep_their_order() {
    let mut s = setup_with(&Options::default());
    let address = s.buffers;
    for round in 0..8u8 {
        for n in 0..QUEUES {
            let place = address + 4096 * (8 * n as u64 + u64::from(round));
            let data = vec![round << 4 | n as u8; 512];
            s.machine.memory().write_slice(&data, GuestAddress(place)).unwrap();
            let buffer = Buffer::readable(place, 512);
            let request =
                Request { operation: Operation::Out, sector: n as u64, data: vec![buffer], shape: Shape::Direct };
            s.blk.submit_to(&mut s.machine, n, &request).unwrap();
        }
    }
    assert!(s.wait_all().iter().all(|ended| ended.status == Status::Ok));
    for n in 0..QUEUES {
        let mut back = [0; 512];
        s.blk.read(&mut s.machine, n as u64, &mut back).unwrap();
        assert_eq!(back, [0x70 | n as u8; 512], "the last write of queue {n}");
    }
    s.machine.check().unwrap();
}

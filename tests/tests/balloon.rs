//! What the endpoint with a balloon adds to those with a disk, a network card or a console: pages in and out, with an answer for each chain;
//! what the guest says of its memory; how much is wanted. On the whole Verilated endpoint.
use virtio_hdl::backend::{BalloonHandle, BalloonPort};
use virtio_hdl::host::balloon::{Balloon, BalloonQueue, Options};
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::host::ring::{Buffer, Shape};
use virtio_hdl::host::virtio_pci::VectorPolicy;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl::scenario::pages;
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint::diagnostics;
use virtio_hdl_rtl::pcie::registers::DIAGNOSTICS;
use virtio_hdl_rtl::virtio::layout;
use virtio_hdl_rtl::virtio::layout::balloon::{self, PAGE_BYTES};
use virtio_hdl_rtl::virtio::types::Violation;
use virtio_hdl_tests::{example, library, offer_head};
use vm_memory::{Bytes, GuestAddress};
use BalloonQueue::{Deflate, Inflate, Statistics};

/// Cycles in which everything that is going to happen has happened.
const LONG: u64 = 40_000;
/// Pages in a run of random ones.
const PAGES: u64 = 6_000;

struct Setup {
    config: EndpointConfig,
    machine: Machine,
    bus: Bus,
    balloon: Balloon,
    handle: BalloonHandle,
}

fn setup(name: &str, options: &MachineOptions) -> Setup {
    let config = example(name);
    let mut port = BalloonPort::new(0, config.link.clock_hz);
    let handle = port.handle();
    let mut machine = Machine::new(&library(&config), Box::new(port), options).unwrap();
    let mut bus = Bus::scan(&mut machine, &BusOptions::default()).unwrap();
    let balloon = Balloon::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
    handle.take_pages();
    Setup { config, machine, bus, balloon, handle }
}

impl Setup {
    fn default() -> Self {
        setup("balloon", &MachineOptions::default())
    }

    fn give(&mut self, queue: BalloonQueue, bytes: &[u8]) {
        self.balloon.give(&mut self.machine, queue, bytes, &[], Shape::Direct).unwrap();
        self.balloon.kick(&mut self.machine).unwrap();
    }

    /// A page of the guest's that is full of ones.
    fn page(&mut self) -> u32 {
        let address = self.machine.allocate(PAGE_BYTES, PAGE_BYTES).unwrap();
        self.machine.memory().write_slice(&[0xff; PAGE_BYTES as usize], GuestAddress(address)).unwrap();
        (address / PAGE_BYTES) as u32
    }

    /// What all of its bytes are, if they are alike.
    fn content(&mut self, page: u32) -> Option<u8> {
        let mut content = vec![0; PAGE_BYTES as usize];
        self.machine.memory().read_slice(&mut content, GuestAddress(u64::from(page) * PAGE_BYTES)).unwrap();
        content.iter().all(|byte| *byte == content[0]).then_some(content[0])
    }

    /// The queues of the chains that come back.
    fn back(&mut self) -> Vec<BalloonQueue> {
        self.machine.run(LONG);
        std::iter::from_fn(|| self.balloon.poll(&mut self.machine).unwrap()).map(|(queue, _)| queue).collect()
    }

    fn register(&mut self, offset: u32, width: Width) -> u32 {
        self.balloon.transport().read(&mut self.machine, offset, width)
    }

    fn write_register(&mut self, offset: u32, width: Width, value: u32) {
        self.balloon.transport().write(&mut self.machine, offset, width, value);
    }

    fn diagnostic(&mut self, field: usize) -> u32 {
        self.machine.config_read(SLOT, DIAGNOSTICS + 4 * field as u16, Width::Double)
    }

    fn assert_works(&mut self) {
        self.handle.set_delay(0);
        self.back();
        self.handle.take_pages();
        let page = self.page();
        self.give(Inflate, &page.to_le_bytes());
        assert_eq!((self.back(), self.content(page)), (vec![Inflate], Some(0)));
        self.give(Deflate, &page.to_le_bytes());
        assert_eq!(self.back(), [Deflate]);
        assert_eq!(self.handle.take_pages(), [(page, false), (page, true)]);
        self.machine.check().unwrap();
    }

    fn probe_again(mut self) -> Self {
        self.balloon.remove(&mut self.machine, &mut self.bus).unwrap();
        self.balloon = Balloon::probe(&mut self.machine, &mut self.bus, SLOT, &Options::default()).unwrap();
        self
    }

    /// Makes the queue's next head one that is not in its table.
    fn break_queue(&mut self, queue: u16) {
        offer_head(&mut self.machine, self.balloon.transport(), queue, self.config.queue_size, self.config.queue_size);
        self.machine.run(LONG);
    }
}

fn stat(tag: u16, value: u64) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &value.to_le_bytes()].concat()
}

#[test]
fn random_pages_are_given_back_and_what_comes_out_is_never_taken_again() {
    let stall = Stall { receive: 60, transmit: 60, device: 60 };
    let none = Stall::default();
    for (name, stall) in [("balloon", none), ("balloon", stall), ("balloon-intx", stall), ("balloon-plain", none)] {
        let mut s = setup(name, &MachineOptions { stall, ..MachineOptions::default() });
        let options = pages::Options { pages: PAGES, depth: 8, seed: 3 };
        let report = pages::run(&mut s.machine, &mut s.balloon, &s.handle, &options, &mut |_| {});
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        let moved = [report.inflated, report.deflated, report.chains, report.nowhere, report.targets];
        assert!(moved.iter().zip([2000, 1500, 80, 2, 5]).all(|(count, least)| *count > least), "{name}: {report:?}");
        let statistics = s.balloon.has_feature(balloon::FEATURE_STATS_VQ);
        assert_eq!(report.statistics > 5, statistics, "{name}: {report:?}");
        let state = s.handle.state();
        assert_eq!((state.kept, state.outside > 0), (0, true), "{name}: {state:?}");
        s.machine.check().unwrap();
    }
}

#[test]
fn a_balloon_has_its_ids_three_queues_and_what_is_wanted() {
    for (name, queues) in [("balloon", 3), ("balloon-plain", 2)] {
        let mut s = setup(name, &MachineOptions::default());
        let function = s.balloon.transport().function().clone();
        assert_eq!((function.vendor, function.device, function.subsystem, function.revision), (0x1af4, 0x1002, 5, 0));
        assert_eq!(function.class, 0x05_0000);
        assert_eq!(s.balloon.transport().policy(), Some(VectorPolicy::PerQueue));
        for queue in 0..queues {
            s.write_register(layout::QUEUE_SEL, Width::Word, queue);
            assert_eq!(s.register(layout::QUEUE_NUM, Width::Word), u32::from(s.config.queue_size));
            assert_eq!(s.register(layout::QUEUE_VECTOR, Width::Word), 1 + queue);
        }
        s.write_register(layout::QUEUE_SEL, Width::Word, queues);
        assert_eq!(s.register(layout::QUEUE_NUM, Width::Word), 0, "{name}");
        let config = layout::DEVICE_CONFIG_MSIX;
        assert_eq!(s.register(config + balloon::CONFIG_NUM_PAGES, Width::Double), 0);
        assert_eq!(s.register(config + balloon::CONFIG_ACTUAL, Width::Double), 0);
        assert_eq!(s.register(config + 8, Width::Double), u32::MAX, "behind its end");
        s.write_register(config + balloon::CONFIG_NUM_PAGES, Width::Double, 77);
        assert_eq!(s.register(config + balloon::CONFIG_NUM_PAGES, Width::Double), 0, "which is not the driver's");
        s.balloon.set_actual(&mut s.machine, 0x1234_5678);
        assert_eq!(s.register(config + balloon::CONFIG_ACTUAL, Width::Double), 0x1234_5678);
        s.machine.run(LONG);
        assert_eq!(s.handle.state().actual, 0x1234_5678);
        let mut s = s.probe_again();
        assert_eq!(s.register(config + balloon::CONFIG_ACTUAL, Width::Double), 0, "the reset forgets it");
        s.assert_works();
    }
}

#[test]
fn what_is_wanted_interrupts_when_it_changes() {
    let mut s = setup("balloon-intx", &MachineOptions::default());
    s.machine.run(LONG);
    assert_eq!(s.register(layout::ISR, Width::Byte), 0);
    s.handle.set_target(1000);
    s.machine.run(LONG);
    assert_eq!(s.register(layout::ISR, Width::Byte), 3, "both bits, as for every change of a device config");
    assert_eq!((s.register(layout::ISR, Width::Byte), s.balloon.num_pages(&mut s.machine)), (0, 1000));
    s.handle.set_target(1000);
    s.machine.run(LONG);
    assert_eq!(s.register(layout::ISR, Width::Byte), 0);
    let mut s = s.probe_again();
    assert_eq!(s.balloon.num_pages(&mut s.machine), 1000, "it stays from one driver to the next");
}

/// The host has given the page back when the guest hears of it, and one that the guest has again is never taken.
#[test]
fn a_chain_comes_back_when_it_has_been_answered_and_not_before() {
    let mut s = Setup::default();
    s.handle.set_delay(4 * LONG);
    let page = s.page();
    s.give(Inflate, &page.to_le_bytes());
    s.give(Deflate, &page.to_le_bytes());
    s.machine.run(LONG);
    assert_eq!(s.handle.take_pages(), [(page, false)], "and the other queue waits its turn");
    assert_eq!((s.back(), s.content(page)), (vec![], Some(0)));
    s.machine.run(3 * LONG);
    assert_eq!(s.back(), [Inflate]);
    s.machine.run(4 * LONG);
    assert_eq!(s.back(), [Deflate]);
    s.assert_works();
}

#[test]
fn statistics_are_kept_until_newer_ones_are_wanted() {
    let mut s = Setup::default();
    s.give(Statistics, &[stat(4, 77), stat(5, u64::MAX), stat(0xffff, 1)].concat());
    assert_eq!(s.back(), []);
    let state = s.handle.state();
    assert_eq!((state.statistics, state.told), ([(4, 77), (5, u64::MAX), (0xffff, 1)].into(), 1));
    s.handle.ask();
    assert_eq!(s.back(), [Statistics]);
    s.handle.ask();
    assert_eq!(s.back(), []);
    s.give(Statistics, &stat(4, 78));
    assert_eq!(s.back(), [Statistics], "they were wanted already");
    assert_eq!(s.handle.state().statistics, [(4, 78)].into());
    s.assert_works();
}

#[test]
fn a_reset_under_way_ends_when_the_pages_at_hand_are_answered() {
    for (delay, after) in [(0, 0), (0, 200), (0, 700), (500, 900), (500, 2000), (20_000, 1500), (5_000_000, 1500)] {
        let mut s = Setup::default();
        s.handle.set_delay(delay);
        let pages: Vec<u32> = (0..200).map(|_| s.page()).collect();
        let bytes: Vec<u8> = pages.iter().flat_map(|page| page.to_le_bytes()).collect();
        s.give(Inflate, &bytes);
        s.give(Statistics, &stat(1, 2).repeat(30));
        s.machine.run(after);
        let mut s = s.probe_again();
        // the guest uses them again
        for page in &pages {
            s.machine
                .memory()
                .write_slice(&[0xff; PAGE_BYTES as usize], GuestAddress(u64::from(*page) * PAGE_BYTES))
                .unwrap();
        }
        // the next chain waits for an answer that is later than the reset has patience
        if delay > LONG {
            let page = pages[0];
            s.handle.take_pages();
            s.give(Inflate, &page.to_le_bytes());
            assert_eq!((s.back(), s.handle.take_pages()), (vec![], vec![]), "{delay}");
            s.machine.run(delay);
            assert_eq!(s.handle.take_pages(), [(page, false)]);
            s.machine.run(delay);
            assert_eq!(s.back(), [Inflate]);
        }
        s.machine.run(LONG);
        let first = usize::from(delay > LONG);
        let taken: Vec<u32> = pages[first..].iter().copied().filter(|page| s.content(*page) != Some(0xff)).collect();
        assert_eq!(taken, Vec::<u32>::new(), "{delay} {after}");
        s.assert_works();
    }
}

#[test]
fn a_broken_ring_stops_its_queue_and_no_other() {
    for queue in BalloonQueue::ALL {
        let mut s = Setup::default();
        s.break_queue(queue as u16);
        let violation = s.diagnostic(0);
        assert_eq!(violation & 0xffff, (queue as u32) << 8 | Violation::HeadRange as u32, "{violation:#x}");
        let page = s.page();
        s.give(Inflate, &page.to_le_bytes());
        s.give(Deflate, &page.to_le_bytes());
        s.give(Statistics, &stat(4, 5));
        s.handle.ask();
        let mut back = s.back();
        back.sort_by_key(|queue| *queue as u16);
        let others: Vec<_> = BalloonQueue::ALL.into_iter().filter(|other| *other != queue).collect();
        assert_eq!(back, others);
        let mut s = s.probe_again();
        s.assert_works();
    }
}

/// Chains that no balloon driver makes, all of which come back.
#[test]
fn chains_without_use_are_given_back_and_odd_ones_counted() {
    let mut s = Setup::default();
    let first = diagnostics::FIELDS.len();
    let place = s.machine.allocate(64, 64).unwrap();
    // nothing to read
    for queue in [Inflate, Deflate] {
        let ring = s.balloon.queue_mut(queue).unwrap();
        ring.add(&mut s.machine, &[Buffer::writable(place, 64)], Shape::Direct).unwrap();
    }
    s.give(Inflate, &[1, 2, 3]);
    s.give(Inflate, &[1, 0, 0, 0xff, 1]);
    s.give(Statistics, &[stat(1, 2), vec![1; 9]].concat());
    s.handle.ask();
    let mut back = s.back();
    back.sort_by_key(|queue| *queue as u16);
    assert_eq!(back, [Inflate, Inflate, Inflate, Deflate, Statistics]);
    assert_eq!(s.handle.take_pages(), [(0xff00_0001, false)]);
    let state = s.handle.state();
    assert_eq!((state.outside, state.given_back, state.statistics), (PAGE_BYTES, 0, [(1, 2)].into()));
    assert_eq!([first, first + 1, first + 2].map(|field| s.diagnostic(field)), [0, 2, 1]);
    s.assert_works();
}

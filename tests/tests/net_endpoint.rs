//! What the endpoint with a network device adds to that with a disk: two queues, a device config that changes, counters of frames. On
//! the whole Verilated endpoint.
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;
use virtio_hdl::backend::net::NetBackend;
use virtio_hdl::backend::NetPort;
use virtio_hdl::host::net::{Incoming, Net, Options, Outgoing};
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::host::ring::Shape;
use virtio_hdl::host::virtio_pci::{Interrupted, VectorPolicy};
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl::scenario::frames;
use virtio_hdl::scenario::wire::FarEnd;
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint::diagnostics;
use virtio_hdl_rtl::pcie::registers::DIAGNOSTICS;
use virtio_hdl_rtl::virtio::layout::{self, net};
use virtio_hdl_rtl::virtio::types::Violation;
use virtio_hdl_tests::{example, jumbo_net, library, offer_head};

/// Cycles in which everything that is going to happen has happened.
const LONG: u64 = 40_000;
/// Frames each way in a run of random ones.
const FRAMES: u64 = 80;

struct Setup {
    config: EndpointConfig,
    machine: Machine,
    bus: Bus,
    net: Net,
    wire: FarEnd,
}

fn setup(example_name: &str, options: &MachineOptions) -> Setup {
    setup_of(example(example_name), options)
}

fn setup_of(config: EndpointConfig, options: &MachineOptions) -> Setup {
    let wire = FarEnd::default();
    let port = NetPort::new(wire.backend(), config.net_options().mac, config.link.clock_hz);
    let mut machine = Machine::new(&library(&config), Box::new(port), options).unwrap();
    let mut bus = Bus::scan(&mut machine, &BusOptions::default()).unwrap();
    let net = Net::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
    Setup { config, machine, bus, net, wire }
}

fn frame(bytes: usize, seed: u8) -> Vec<u8> {
    (0..bytes).map(|i| (i as u8).wrapping_mul(7) ^ seed).collect()
}

impl Setup {
    fn send(&mut self, frame: &[u8]) {
        let outgoing = Outgoing { frame: frame.to_vec(), ..Outgoing::default() };
        self.net.send(&mut self.machine, &outgoing).unwrap();
        self.net.kick(&mut self.machine).unwrap();
    }

    fn provide(&mut self, chains: usize) {
        for _ in 0..chains {
            let bytes = self.net.header_bytes() + net::FRAME_BYTES_MAX;
            self.net.provide(&mut self.machine, bytes, &[], Shape::Direct).unwrap();
        }
        self.net.kick(&mut self.machine).unwrap();
    }

    /// A frame on the wire, now.
    fn put(&mut self, frame: &[u8]) {
        let now = u128::from(self.machine.now()) * 1_000_000_000 / u128::from(self.config.link.clock_hz);
        self.wire.put(Duration::from_nanos(now as u64), frame.to_vec());
    }

    fn interrupt(&mut self) -> Interrupted {
        let deadline = self.machine.now() + LONG;
        let interrupt = self.machine.wait_interrupt(deadline).expect("an interrupt");
        self.net.interrupt(&mut self.machine, interrupt).unwrap()
    }

    fn poll(&mut self) -> Option<Incoming> {
        self.net.poll(&mut self.machine).unwrap()
    }

    fn diagnostic(&mut self, field: usize) -> u32 {
        self.machine.config_read(SLOT, DIAGNOSTICS + 4 * field as u16, Width::Double)
    }

    fn register(&mut self, offset: u32, width: Width) -> u32 {
        self.net.transport().read(&mut self.machine, offset, width)
    }

    fn write_register(&mut self, offset: u32, width: Width, value: u32) {
        self.net.transport().write(&mut self.machine, offset, width, value);
    }

    /// Packets that the device has sent of its own accord.
    fn initiated(&self) -> (u64, u64, u64) {
        let statistics = self.machine.statistics();
        (statistics.reads, statistics.writes, statistics.interrupts)
    }

    fn probe_again(mut self) -> Setup {
        self.net.remove(&mut self.machine, &mut self.bus).unwrap();
        self.net = Net::probe(&mut self.machine, &mut self.bus, SLOT, &Options::default()).unwrap();
        self
    }

    fn assert_sends(&mut self, seed: u8) {
        while self.wire.take().is_some() {}
        self.send(&frame(700, seed));
        self.machine.run(LONG);
        assert_eq!(self.wire.take(), Some(frame(700, seed)));
        assert!(self.wire.take().is_none());
    }

    fn assert_receives(&mut self, seed: u8) {
        self.put(&frame(900, seed));
        self.machine.run(LONG);
        assert_eq!(self.poll().map(|incoming| incoming.frame), Some(frame(900, seed)));
        self.machine.check().unwrap();
    }

    /// Makes the queue's next head one that is not in its table.
    fn break_queue(&mut self, queue: u16, head: u16) {
        offer_head(&mut self.machine, self.net.transport(), queue, self.config.queue_size, head);
        self.machine.run(LONG);
    }
}

#[test]
fn random_frames_arrive_whole_and_in_order() {
    let stall = Stall { receive: 60, transmit: 60, device: 60 };
    for (name, stall) in [("net", Stall::default()), ("net", stall), ("net-intx", stall), ("net-plain", stall)] {
        let mut s = setup(name, &MachineOptions { stall, ..MachineOptions::default() });
        let options = frames::Options { frames: FRAMES, depth: 16, seed: 5, clock_hz: s.config.link.clock_hz };
        let report = frames::run(&mut s.machine, &mut s.net, &s.wire, &options, &mut |_| {});
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((report.sent_frames, report.received_frames), (FRAMES, FRAMES), "{name}");
        s.machine.check().unwrap();
    }
}

#[test]
fn a_network_card_has_its_ids_two_queues_and_its_address() {
    let mut s = setup("net", &MachineOptions::default());
    let function = s.net.transport().function().clone();
    assert_eq!((function.vendor, function.device, function.subsystem, function.revision), (0x1af4, 0x1000, 1, 0));
    assert_eq!(s.net.transport().policy(), Some(VectorPolicy::PerQueue));
    for queue in [0, 1] {
        s.write_register(layout::QUEUE_SEL, Width::Word, queue);
        assert_eq!(s.register(layout::QUEUE_NUM, Width::Word), 256);
        assert_eq!(s.register(layout::QUEUE_VECTOR, Width::Word), 1 + queue);
    }
    s.write_register(layout::QUEUE_SEL, Width::Word, 2);
    assert_eq!(s.register(layout::QUEUE_SEL, Width::Word), 2, "a queue that is not there");
    assert_eq!(s.register(layout::QUEUE_NUM, Width::Word), 0);
    s.net.transport().notify(&mut s.machine, 2);
    // the device config ends behind the MTU
    assert_eq!(s.net.mac(&mut s.machine), s.config.net_options().mac);
    let status = layout::DEVICE_CONFIG_MSIX + net::CONFIG_STATUS;
    assert_eq!(s.register(status, Width::Word), u32::from(net::STATUS_LINK_UP));
    assert_eq!(s.register(status + 2, Width::Word), 1, "one pair of queues");
    assert_eq!(s.register(status + 4, Width::Word), 1500, "mtu");
    assert_eq!(s.register(status + 6, Width::Word), 0xffff);
    s.provide(1);
    s.assert_sends(1);
    s.assert_receives(2);
}

/// The address that the endpoint shows its MAC.
fn mac_of_the_wire(machine: &mut Machine) -> [u8; 6] {
    let (port, endpoint) = machine.side_and_endpoint::<NetPort>().unwrap();
    port.ports().unwrap().mac(endpoint)
}

/// What Linux does for `ip link set address`.
#[test]
fn an_address_that_the_driver_writes_is_used_until_a_reset() {
    for name in ["net", "net-intx"] {
        let mut s = setup(name, &MachineOptions::default());
        let own = s.config.net_options().mac;
        assert_eq!((s.net.mac(&mut s.machine), mac_of_the_wire(&mut s.machine)), (own, own));
        let other = [0x52, 1, 2, 3, 4, 5];
        s.net.transport().set_config(&mut s.machine, net::CONFIG_MAC, &other);
        assert_eq!((s.net.mac(&mut s.machine), mac_of_the_wire(&mut s.machine)), (other, other));
        // the status behind it is not the driver's
        s.net.transport().set_config(&mut s.machine, net::CONFIG_STATUS, &[0, 0]);
        assert!(s.net.link_up(&mut s.machine));
        s.provide(1);
        s.assert_sends(1);
        s.assert_receives(2);
        s.net.transport().reset(&mut s.machine).unwrap();
        assert_eq!((s.net.mac(&mut s.machine), mac_of_the_wire(&mut s.machine)), (own, own));
    }
}

/// A driver must not do that, but no frame may be shifted by it: what is negotiated holds while DRIVER_OK is set.
#[test]
fn features_that_are_written_under_traffic_change_nothing() {
    for delay in [0, 60, 130, 200, 270, 340, 480, 800, 1500] {
        let mut s = setup("net", &MachineOptions::default());
        s.provide(10);
        for n in 0..10 {
            s.put(&frame(60 + 70 * usize::from(n), n));
            let outgoing = Outgoing { frame: frame(60 + 70 * usize::from(n), n), ..Outgoing::default() };
            s.net.send(&mut s.machine, &outgoing).unwrap();
        }
        s.net.kick(&mut s.machine).unwrap();
        s.machine.run(delay);
        let features = s.register(layout::GUEST_FEATURES, Width::Double);
        for other in [0, 1 << net::FEATURE_MAC, features] {
            s.write_register(layout::GUEST_FEATURES, Width::Double, other);
            assert_eq!(s.register(layout::GUEST_FEATURES, Width::Double), other);
            s.machine.run(150);
        }
        s.write_register(layout::GUEST_FEATURES, Width::Double, 0);
        s.machine.run(LONG);
        for n in 0..10 {
            let expected = Some(frame(60 + 70 * usize::from(n), n));
            assert_eq!(s.wire.take(), expected, "frame {n} out, {delay} cycles after the kick");
            assert_eq!(
                s.poll().map(|incoming| incoming.frame),
                expected,
                "frame {n} in, {delay} cycles after the kick"
            );
        }
        s.provide(1);
        s.assert_sends(1);
        s.assert_receives(2);
    }
}

#[test]
fn each_queue_and_the_link_have_a_vector_of_their_own() {
    let mut s = setup("net", &MachineOptions::default());
    s.provide(2);
    for round in 0..2 {
        s.send(&frame(100, round));
        assert_eq!(s.interrupt(), Interrupted::Mine { config_changed: false, queues: vec![1] });
        assert_eq!(s.poll(), None);
        s.put(&frame(100, round));
        assert_eq!(s.interrupt(), Interrupted::Mine { config_changed: false, queues: vec![0] });
        assert!(s.poll().is_some());
        // a state of the link is seen with the next frame at the latest
        let up = round == 1;
        s.wire.set_link(up);
        s.put(&frame(1, 0));
        assert_eq!(s.interrupt(), Interrupted::Mine { config_changed: true, queues: vec![] });
        assert_eq!(s.net.link_up(&mut s.machine), up);
    }
    s.machine.check().unwrap();
}

/// One vector too few for a vector of each queue's own: both share one, beside that of the configuration.
#[test]
fn with_two_vectors_the_queues_share_one() {
    let mut s = setup_of(jumbo_net(), &MachineOptions::default());
    assert_eq!(s.net.transport().policy(), Some(VectorPolicy::Shared));
    assert_eq!(s.net.transport().vector_names(), ["config", "virtqueues"]);
    s.provide(4);
    s.send(&frame(300, 1));
    assert_eq!(s.interrupt(), Interrupted::Mine { config_changed: false, queues: vec![1] });
    assert!(s.poll().is_none());
    s.put(&frame(400, 2));
    assert_eq!(s.interrupt(), Interrupted::Mine { config_changed: false, queues: vec![0] });
    assert_eq!(s.poll().map(|incoming| incoming.frame), Some(frame(400, 2)));
    s.wire.set_link(false);
    s.put(&frame(1, 0));
    assert_eq!(s.interrupt(), Interrupted::Mine { config_changed: true, queues: vec![] });
    s.machine.check().unwrap();
}

/// A change of the config sets both bits of the ISR, and the driver is told of none before it is ready: then of those since its
/// reset, since it may have read the state that was before.
#[test]
fn a_link_that_changes_raises_the_interrupt_line() {
    let mut s = setup("net-intx", &MachineOptions::default());
    assert_eq!(s.net.transport().policy(), Some(VectorPolicy::Line));
    s.wire.set_link(false);
    s.put(&frame(1, 0));
    assert_eq!(s.interrupt(), Interrupted::Mine { config_changed: true, queues: vec![] });
    assert!(!s.net.link_up(&mut s.machine));
    s.net.transport().reset(&mut s.machine).unwrap();
    s.wire.set_link(true);
    s.put(&frame(1, 0));
    s.machine.run(LONG);
    assert_eq!(s.register(layout::ISR, Width::Byte), 0);
    s.write_register(layout::STATUS, Width::Byte, 7);
    s.machine.run(LONG);
    assert_eq!(s.register(layout::ISR, Width::Byte), 3);
    assert_eq!(s.register(layout::ISR, Width::Byte), 0);
    // a change before a reset is of no interest after it
    s.write_register(layout::STATUS, Width::Byte, 3);
    s.wire.set_link(false);
    s.put(&frame(1, 0));
    s.machine.run(LONG);
    s.net.transport().reset(&mut s.machine).unwrap();
    s.write_register(layout::STATUS, Width::Byte, 7);
    s.machine.run(LONG);
    assert_eq!(s.register(layout::ISR, Width::Byte), 0);
}

/// As QEMU's `bad_features`: such a driver understands the address, and leaves checksums to the device.
#[test]
fn a_driver_that_accepts_bad_feature_gets_the_safe_set() {
    for (name, safe) in [("net", 1 << net::FEATURE_MAC | 1 << net::FEATURE_CSUM), ("net-plain", 1 << net::FEATURE_MAC)]
    {
        let mut s = setup(name, &MachineOptions::default());
        s.net.transport().reset(&mut s.machine).unwrap();
        s.write_register(layout::GUEST_FEATURES, Width::Double, u32::MAX);
        assert_eq!(s.register(layout::GUEST_FEATURES, Width::Double), safe, "{name}");
    }
}

#[test]
fn dropped_frames_are_counted() {
    let mut s = setup("net", &MachineOptions::default());
    let first = diagnostics::FIELDS.len();
    s.send(&frame(13, 0));
    s.put(&frame(13, 0));
    s.put(&frame(1523, 0));
    s.machine.run(LONG);
    let now = s.machine.now() + 1000;
    let (port, endpoint) = s.machine.side_and_endpoint::<NetPort>().unwrap();
    port.ports().unwrap().frame(endpoint, now, &frame(100, 0), true).unwrap();
    s.machine.run(LONG);
    let counts: Vec<u32> = (first..first + 5).map(|field| s.diagnostic(field)).collect();
    assert_eq!(counts, [1, 1, 1, 1, 0]);
    // no buffers: the first ones wait, the others find no room
    (0..10).for_each(|n| s.put(&frame(1500, n)));
    s.machine.run(LONG);
    let dropped = s.diagnostic(first + 4);
    assert!((3..=6).contains(&dropped), "{dropped} of 10 frames dropped");
    s.provide(16);
    s.machine.run(LONG);
    for n in 0..10 - dropped as u8 {
        assert_eq!(s.poll().map(|incoming| incoming.frame), Some(frame(1500, n)));
    }
    assert_eq!(s.poll(), None);
    assert!(s.wire.take().is_none());
}

#[test]
fn a_broken_queue_is_reported_with_its_number_and_the_other_goes_on() {
    for broken in [0u16, 1] {
        let mut s = setup("net", &MachineOptions::default());
        s.provide(4);
        let head = 300 + broken;
        let report = Violation::HeadRange as u32 | u32::from(broken) << 8 | u32::from(head) << 16;
        s.break_queue(broken, head);
        assert_eq!(s.diagnostic(0), report);
        if broken == 0 {
            s.assert_sends(3);
        } else {
            s.assert_receives(4);
        }
        s.break_queue(1 - broken, 500);
        assert_eq!(s.diagnostic(0), report, "the first one stays");
        let mut s = s.probe_again();
        assert_eq!(s.diagnostic(0), 0, "a reset clears the report");
        s.provide(1);
        s.assert_sends(5);
        s.assert_receives(6);
    }
}

/// A chain that the device itself refuses: no room for a header.
#[test]
fn a_chain_without_room_for_a_header_is_a_violation() {
    let mut s = setup("net", &MachineOptions::default());
    s.net.provide(&mut s.machine, 11, &[], Shape::Direct).unwrap();
    s.net.kick(&mut s.machine).unwrap();
    s.machine.run(LONG);
    assert_eq!(s.diagnostic(0) & 0xffff, Violation::RequestTooShort as u32);
    s.assert_sends(1);
}

#[test]
fn a_reset_stops_both_directions_and_frames_of_before_are_gone() {
    for delay in [0, 90, 200, 330, 500, 900, 1700, 3000] {
        let mut s = setup("net", &MachineOptions::default());
        s.provide(20);
        for n in 0..20 {
            s.put(&frame(60 + 70 * usize::from(n), n));
            s.send(&frame(60 + 70 * usize::from(n), n));
        }
        s.machine.run(delay);
        s.write_register(layout::STATUS, Width::Byte, 0);
        assert_eq!(s.net.transport().status(&mut s.machine), 0);
        let before = s.initiated();
        s.put(&frame(333, 1));
        s.machine.run(LONG);
        assert_eq!(s.initiated(), before, "packets of the old configuration, {delay} cycles after the last frame");
        let mut s = s.probe_again();
        s.provide(1);
        s.assert_sends(7);
        s.assert_receives(8);
        assert_eq!(s.poll(), None);
    }
}

#[test]
fn frames_that_come_before_the_driver_is_ready_are_dropped() {
    let mut s = setup("net", &MachineOptions::default());
    s.provide(2);
    s.write_register(layout::STATUS, Width::Byte, (layout::STATUS_ACKNOWLEDGE | layout::STATUS_DRIVER).into());
    s.put(&frame(444, 1));
    s.machine.run(LONG);
    s.net.transport().add_status(&mut s.machine, layout::STATUS_DRIVER_OK).unwrap();
    s.assert_receives(2);
    assert_eq!(s.poll(), None);
}

/// A network that always has another frame.
struct Flood(Arc<AtomicU64>);

impl NetBackend for Flood {
    fn transmit(&mut self, _now: Duration, _frame: &[u8]) {}

    fn receive(&mut self, _now: Duration) -> Option<Vec<u8>> {
        // It has an end, so that a port without a bound fails rather than fills the memory.
        (self.0.fetch_add(1, Ordering::Relaxed) < 100_000).then(|| frame(60, 0))
    }

    fn deadline(&self) -> Option<Duration> {
        Some(Duration::ZERO)
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[test]
fn frames_that_come_faster_than_the_wire_wait_where_they_come_from() {
    let (config, taken) = (example("net"), Arc::new(AtomicU64::new(0)));
    let port = NetPort::new(Box::new(Flood(Arc::clone(&taken))), config.net_options().mac, config.link.clock_hz);
    let options = MachineOptions::default();
    let mut machine = Machine::new(&library(&config), Box::new(port), &options).unwrap();
    let mut last = 0;
    for _ in 0..5 {
        machine.run(4_000);
        let taken = taken.load(Ordering::Relaxed) - std::mem::replace(&mut last, taken.load(Ordering::Relaxed));
        // At 10 bytes a cycle, 4,000 cycles carry 40,000 bytes: of 60 and 20 or 24 around them to a frame.
        assert!((300..=500 + 140).contains(&taken), "{taken} frames in 4,000 cycles");
    }
}

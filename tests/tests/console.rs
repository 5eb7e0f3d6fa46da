//! What the endpoint with a console adds to those with a disk or a network card: bytes both ways, the size of a terminal, emergency
//! writes. On the whole Verilated endpoint.
use virtio_hdl::backend::console::{TerminalSize, Typist};
use virtio_hdl::backend::ConsolePort;
use virtio_hdl::host::console::{Console, Options};
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::host::ring::Shape;
use virtio_hdl::host::virtio_pci::VectorPolicy;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::machine::{Machine, MachineOptions, SLOT};
use virtio_hdl::model::Stall;
use virtio_hdl::scenario::bytes;
use virtio_hdl_rtl::config::EndpointConfig;
use virtio_hdl_rtl::endpoint::diagnostics;
use virtio_hdl_rtl::pcie::registers::DIAGNOSTICS;
use virtio_hdl_rtl::virtio::layout::{self, console};
use virtio_hdl_rtl::virtio::types::Violation;
use virtio_hdl_tests::{example, library, offer_head};

/// Cycles in which everything that is going to happen has happened.
const LONG: u64 = 40_000;
/// Bytes each way in a run of random ones.
const BYTES: u64 = 12_000;
const SIZE: TerminalSize = TerminalSize { cols: 80, rows: 25 };

struct Setup {
    config: EndpointConfig,
    machine: Machine,
    bus: Bus,
    console: Console,
    typist: Typist,
}

fn setup(name: &str, options: &MachineOptions) -> Setup {
    let config = example(name);
    let typist = Typist::default();
    let port = ConsolePort::new(Box::new(typist.console()), SIZE, config.link.clock_hz);
    let mut machine = Machine::new(&library(&config), Box::new(port), options).unwrap();
    let mut bus = Bus::scan(&mut machine, &BusOptions::default()).unwrap();
    let console = Console::probe(&mut machine, &mut bus, SLOT, &Options::default()).unwrap();
    Setup { config, machine, bus, console, typist }
}

impl Setup {
    fn default() -> Self {
        setup("console", &MachineOptions::default())
    }

    fn print(&mut self, text: &[u8]) {
        self.console.print(&mut self.machine, text, &[], Shape::Direct).unwrap();
        self.console.kick(&mut self.machine).unwrap();
    }

    fn provide(&mut self, chains: usize) {
        for _ in 0..chains {
            self.console.provide(&mut self.machine, 4096, &[], Shape::Direct).unwrap();
        }
        self.console.kick(&mut self.machine).unwrap();
    }

    /// What arrives of what has been typed.
    fn arrives(&mut self) -> Vec<u8> {
        self.machine.run(LONG);
        std::iter::from_fn(|| self.console.poll(&mut self.machine).unwrap()).flatten().collect()
    }

    fn printed(&mut self) -> Vec<u8> {
        self.machine.run(LONG);
        self.console.poll(&mut self.machine).unwrap();
        self.typist.printed()
    }

    fn register(&mut self, offset: u32, width: Width) -> u32 {
        self.console.transport().read(&mut self.machine, offset, width)
    }

    fn write_register(&mut self, offset: u32, width: Width, value: u32) {
        self.console.transport().write(&mut self.machine, offset, width, value);
    }

    fn diagnostic(&mut self, field: usize) -> u32 {
        self.machine.config_read(SLOT, DIAGNOSTICS + 4 * field as u16, Width::Double)
    }

    fn assert_works(&mut self, seed: u8) {
        self.typist.allow(None);
        self.typist.printed();
        self.print(&[seed; 700]);
        assert_eq!(self.printed(), [seed; 700]);
        self.provide(2);
        self.typist.type_in(&[seed; 300]);
        assert_eq!(self.arrives(), [seed; 300]);
        self.machine.check().unwrap();
    }

    fn probe_again(mut self) -> Self {
        self.console.remove(&mut self.machine, &mut self.bus).unwrap();
        self.console = Console::probe(&mut self.machine, &mut self.bus, SLOT, &Options::default()).unwrap();
        self
    }

    /// Makes the queue's next head one that is not in its table.
    fn break_queue(&mut self, queue: u16) {
        offer_head(&mut self.machine, self.console.transport(), queue, self.config.queue_size, self.config.queue_size);
        self.machine.run(LONG);
    }
}

#[test]
fn random_bytes_are_printed_and_arrive_once_and_in_order() {
    let stall = Stall { receive: 60, transmit: 60, device: 60 };
    let none = Stall::default();
    for (name, stall) in [("console", none), ("console", stall), ("console-intx", stall), ("console-plain", none)] {
        let mut s = setup(name, &MachineOptions { stall, ..MachineOptions::default() });
        let options = bytes::Options { bytes: BYTES, depth: 8, seed: 3 };
        let report = bytes::run(&mut s.machine, &mut s.console, &s.typist, &options, &mut |_| {});
        let report = report.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(report.printed_bytes >= BYTES && report.typed_bytes >= BYTES, "{name}: {report:?}");
        let has = |bit| s.console.has_feature(bit);
        assert_eq!(report.resizes > 0, has(console::FEATURE_SIZE), "{name}: {report:?}");
        assert_eq!(report.emergencies > 0, has(console::FEATURE_EMERG_WRITE), "{name}: {report:?}");
        s.machine.check().unwrap();
    }
}

#[test]
fn a_console_has_its_ids_two_queues_and_its_size() {
    let mut s = Setup::default();
    let function = s.console.transport().function().clone();
    assert_eq!((function.vendor, function.device, function.subsystem, function.revision), (0x1af4, 0x1003, 3, 0));
    assert_eq!(function.class, 0x07_8000);
    assert_eq!(s.console.transport().policy(), Some(VectorPolicy::PerQueue));
    for queue in [0, 1] {
        s.write_register(layout::QUEUE_SEL, Width::Word, queue);
        assert_eq!(s.register(layout::QUEUE_NUM, Width::Word), 256);
        assert_eq!(s.register(layout::QUEUE_VECTOR, Width::Word), 1 + queue);
    }
    s.write_register(layout::QUEUE_SEL, Width::Word, 2);
    assert_eq!(s.register(layout::QUEUE_NUM, Width::Word), 0);
    assert_eq!(s.console.size(&mut s.machine), Some((80, 25)));
    let config = layout::DEVICE_CONFIG_MSIX;
    assert_eq!(s.register(config + console::CONFIG_MAX_NR_PORTS, Width::Double), 1);
    assert_eq!(s.register(config + console::CONFIG_EMERG_WR + 4, Width::Double), u32::MAX, "behind its end");
    s.assert_works(1);
}

/// Writes to what is not the driver's change nothing, and print nothing.
#[test]
fn an_emergency_write_is_printed_before_there_is_a_driver() {
    for name in ["console", "console-intx"] {
        let mut s = setup(name, &MachineOptions::default());
        s.console.transport().reset(&mut s.machine).unwrap();
        assert_eq!(s.register(layout::STATUS, Width::Byte), 0);
        for byte in b"panic" {
            s.console.emergency_write(&mut s.machine, *byte);
        }
        let base = layout::device_config_offset(name == "console");
        s.write_register(base + console::CONFIG_EMERG_WR, Width::Double, u32::from(b'!'));
        s.write_register(base + console::CONFIG_COLS, Width::Double, u32::MAX);
        s.write_register(base + console::CONFIG_MAX_NR_PORTS, Width::Double, u32::MAX);
        assert_eq!(s.printed(), b"panic!", "{name}");
        assert_eq!(s.register(base + console::CONFIG_COLS, Width::Double), 25 << 16 | 80, "{name}");
        let s = s.probe_again();
        { s }.assert_works(7);
    }
}

#[test]
fn without_the_feature_a_write_to_the_device_config_prints_nothing() {
    let mut s = setup("console-plain", &MachineOptions::default());
    assert!(!s.console.has_feature(console::FEATURE_EMERG_WRITE));
    s.console.emergency_write(&mut s.machine, b'x');
    assert_eq!(s.printed(), b"");
    s.assert_works(3);
}

/// Both bits of the ISR, as for every change of a device config. Linux reads the size when it is told of a change, so that it is told once
/// of the one that is there; where the size is not offered, nobody is told.
#[test]
fn the_size_of_the_terminal_interrupts_when_it_changes_and_with_the_first_chain() {
    for (name, isr) in [("console-intx", 3), ("console-plain", 0)] {
        let mut s = setup(name, &MachineOptions::default());
        s.console.transport().reset(&mut s.machine).unwrap();
        s.write_register(layout::GUEST_FEATURES, Width::Double, 1 << console::FEATURE_SIZE);
        s.write_register(layout::STATUS, Width::Byte, 7);
        s.machine.run(LONG);
        assert_eq!(s.register(layout::ISR, Width::Byte), 0, "{name}");
        s.typist.resize(TerminalSize { cols: 132, rows: 50 });
        s.machine.run(LONG);
        assert_eq!(s.register(layout::ISR, Width::Byte), isr, "{name}");
        assert_eq!(s.register(layout::ISR, Width::Byte), 0, "{name}");
        let mut s = s.probe_again();
        for (text, isr) in [("first", isr | 1), ("second", 1)] {
            s.print(text.as_bytes());
            s.machine.run(LONG);
            assert_eq!(s.register(layout::ISR, Width::Byte), isr, "{name}: {text}");
            s.console.poll(&mut s.machine).unwrap();
        }
    }
}

/// The random standstill of the stream is that of before.
#[test]
fn a_reader_that_took_nothing_for_a_while_takes_bytes_at_the_pace_of_before() {
    let stall = Stall { device: 200, ..Stall::default() };
    let mut s = setup("console", &MachineOptions { stall, ..MachineOptions::default() });
    let assert_slow = |s: &mut Setup| {
        s.print(&[b'x'; 1000]);
        // 56 of 256 cycles
        s.machine.run(2500);
        let printed = s.typist.printed().len();
        assert!((1..900).contains(&printed), "{printed} bytes in 2,500 cycles");
        assert_eq!(printed + s.printed().len(), 1000);
    };
    assert_slow(&mut s);
    s.typist.allow(Some(0));
    for _ in 0..70 {
        s.print(&[b'y'; 1000]);
    }
    s.machine.run(12 * LONG);
    s.console.poll(&mut s.machine).unwrap();
    assert!(s.console.transmitting() > 0, "the endpoint does not wait");
    s.typist.allow(None);
    assert_eq!(s.printed().len(), 70_000);
    assert_slow(&mut s);
}

/// What was accepted is not lost, the driver waits, and the rest of the device does not.
#[test]
fn a_reader_that_takes_nothing_holds_up_what_is_printed_and_nothing_else() {
    let mut s = Setup::default();
    s.typist.allow(Some(100));
    let text: Vec<u8> = (0..80_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();
    let mut chains = text.chunks(1000);
    for chunk in chains.by_ref().take(70) {
        s.print(chunk);
    }
    s.machine.run(20 * LONG);
    s.console.poll(&mut s.machine).unwrap();
    // 64 KiB wait for the reader; the clock stands still while there is nothing to do
    let waiting = s.console.transmitting();
    assert!((1..8).contains(&waiting), "{waiting} chains wait");
    s.provide(4);
    s.typist.type_in(b"are you there?");
    assert_eq!(s.arrives(), b"are you there?");
    assert_eq!(s.typist.printed(), &text[..100]);
    s.typist.allow(None);
    for chunk in chains {
        s.print(chunk);
    }
    s.machine.run(20 * LONG);
    assert_eq!(s.printed(), &text[100..]);
    assert_eq!(s.console.transmitting(), 0);
    s.machine.check().unwrap();
}

#[test]
fn a_reset_under_way_loses_no_byte_that_was_not_taken() {
    for delay in [0, 40, 150, 300, 500, 900, 2000] {
        let mut s = Setup::default();
        s.provide(8);
        let text: Vec<u8> = (0..3000_u32).map(|n| (n % 251) as u8).collect();
        s.typist.type_in(&text);
        s.print(&[0x55; 2000]);
        s.machine.run(delay);
        let before: Vec<u8> = std::iter::from_fn(|| s.console.poll(&mut s.machine).unwrap()).flatten().collect();
        assert_eq!(before, &text[..before.len()]);
        let mut s = s.probe_again();
        let printed = s.printed();
        assert!(printed.iter().all(|byte| *byte == 0x55) && printed.len() <= 2000, "{delay}: {printed:?}");
        s.provide(16);
        let after = s.arrives();
        assert_eq!(after, &text[text.len() - after.len()..], "{delay}");
        // given back or taken when the reset came: two chains of 256 bytes, and no more
        let lost = text.len() - before.len() - after.len();
        assert!(lost <= 8 * 256, "{lost} bytes are lost, {delay} cycles after the kick");
        s.assert_works(9);
    }
}

#[test]
fn a_broken_ring_stops_its_queue_and_no_other() {
    for queue in [0, 1] {
        let mut s = Setup::default();
        s.provide(4);
        s.break_queue(queue);
        let violation = s.diagnostic(0);
        assert_eq!(violation & 0xffff, u32::from(queue) << 8 | Violation::HeadRange as u32, "{violation:#x}");
        s.print(b"hello");
        s.typist.type_in(b"world");
        let arrived = s.arrives();
        let printed = s.typist.printed();
        match queue {
            0 => assert_eq!(printed, b"hello"),
            _ => assert_eq!((arrived, printed), (b"world".to_vec(), vec![])),
        }
        let mut s = s.probe_again();
        s.arrives();
        s.assert_works(4);
    }
}

/// Chains that no console driver makes.
#[test]
fn chains_without_use_are_given_back_and_counted() {
    let mut s = Setup::default();
    let first = diagnostics::FIELDS.len();
    s.provide(1);
    // a writable buffer to print from: there is nothing to print
    let text = s.machine.allocate(64, 64).unwrap();
    let buffer = virtio_hdl::host::ring::Buffer::writable(text, 64);
    let queue = s.console.queues_mut();
    queue.1.add(&mut s.machine, &[buffer], Shape::Direct).unwrap();
    // a readable one to type into
    queue.0.add(&mut s.machine, &[virtio_hdl::host::ring::Buffer::readable(text, 64)], Shape::Direct).unwrap();
    s.console.kick(&mut s.machine).unwrap();
    s.typist.type_in(b"a");
    s.machine.run(LONG);
    assert_eq!(s.typist.printed(), b"");
    assert_eq!((s.diagnostic(first), s.diagnostic(first + 1), s.diagnostic(first + 2)), (0, 0, 1));
    s.machine.check().unwrap();
}

//! The host model's console driver on QEMU's PCI bus, with no guest: on QEMU's own legacy console, and on the endpoint behind
//! vfio-user-pci. What both must do is one test, run for each.
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use virtio_hdl::host::console::{Console, Options};
use virtio_hdl::host::ring::Shape;
use virtio_hdl::host::virtio_pci::VectorPolicy;
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::qtest::Chipset;
use virtio_hdl_rtl::virtio::layout::{self, console};
use virtio_hdl_tests::qtest::{slot, Kind, Rig};

/// Cycles after which something of these tests has happened or never will.
const PATIENCE: u64 = 500_000_000;
/// In which nothing comes that is not on its way.
const QUIET: Duration = Duration::from_millis(300);

macro_rules! on_both {
    ($($name:ident)*) => {
        mod theirs {
            $(#[test] fn $name() { super::$name(&super::Kind::TheirConsole("vectors=3")) })*
        }
        mod ours {
            $(#[test] fn $name() { super::$name(&super::Kind::ours("console")) })*
        }
    };
}

on_both! {
    a_console_has_its_ids_and_two_queues
    bytes_go_both_ways_with_every_way_to_interrupt
    an_emergency_write_is_printed_without_queues
    a_console_that_was_removed_is_probed_again
}

fn probe(rig: &mut Rig, options: &Options) -> Console {
    Console::probe(&mut rig.platform, &mut rig.bus, slot(0), options).unwrap_or_else(|error| panic!("{error}"))
}

fn read(stream: &mut UnixStream, bytes: usize) -> Vec<u8> {
    let mut found = vec![0; bytes];
    stream.read_exact(&mut found).unwrap_or_else(|error| panic!("{error}"));
    found
}

/// Prints, and types.
fn assert_works(rig: &mut Rig, console: &mut Console, stream: &mut UnixStream) {
    let text: Vec<u8> = (0..3000_u32).map(|n| ((n * 5) >> 2) as u8).collect();
    for chunk in text.chunks(700) {
        console.print(&mut rig.platform, chunk, &[100, 7], Shape::Direct).unwrap();
        console.provide(&mut rig.platform, 4096, &[3, 500], Shape::Indirect).unwrap();
    }
    console.kick(&mut rig.platform).unwrap();
    assert!(read(stream, text.len()) == text, "what was printed is not what was given");
    let typed = &text[..600];
    stream.write_all(typed).unwrap();
    let mut arrived = vec![];
    let deadline = rig.platform.now() + PATIENCE;
    while arrived.len() < typed.len() && rig.platform.now() < deadline {
        arrived.extend(console.wait(&mut rig.platform, deadline).unwrap().unwrap_or_default());
    }
    assert!(arrived == typed, "{} bytes arrived", arrived.len());
    while console.transmitting() > 0 && rig.platform.now() < deadline {
        console.poll(&mut rig.platform).unwrap();
    }
    assert_eq!(console.transmitting(), 0);
}

fn a_console_has_its_ids_and_two_queues(kind: &Kind) {
    let mut rig = Rig::new(Chipset::Q35, &[kind]);
    let [function] = rig.bus.functions() else { panic!("{:?}", rig.bus.functions()) };
    assert_eq!((function.vendor, function.device, function.subsystem), (0x1af4, 0x1003, 3));
    assert_eq!((function.class, function.interrupt_pin), (0x07_8000, 1));
    let mut console = probe(&mut rig, &Options::default());
    assert!(console.has_feature(console::FEATURE_EMERG_WRITE));
    let transport = console.transport();
    // QEMU's has a control queue besides, whatever is negotiated
    let sizes = [0, 1].map(|queue| {
        transport.write(&mut rig.platform, layout::QUEUE_SEL, Width::Word, queue);
        transport.read(&mut rig.platform, layout::QUEUE_NUM, Width::Word)
    });
    assert!(sizes.iter().all(|size| *size > 0), "{sizes:?}");
    let ports = layout::DEVICE_CONFIG_MSIX + console::CONFIG_MAX_NR_PORTS;
    assert_eq!(transport.read(&mut rig.platform, ports, Width::Double), 1);
    let mut stream = rig.console(0);
    assert_works(&mut rig, &mut console, &mut stream);
    rig.finish();
}

fn bytes_go_both_ways_with_every_way_to_interrupt(kind: &Kind) {
    for policy in VectorPolicy::ALL {
        let mut rig = Rig::new(Chipset::Q35, &[kind]);
        let mut stream = rig.console(0);
        let mut console = probe(&mut rig, &Options { policies: vec![policy], ..Options::default() });
        assert_works(&mut rig, &mut console, &mut stream);
        assert_eq!(console.transport().policy(), Some(policy));
        // what comes when the driver has looked at everything
        let mut other = stream.try_clone().unwrap();
        let typing = std::thread::spawn(move || {
            std::thread::sleep(QUIET);
            other.write_all(b"x").unwrap();
        });
        let (interrupts, deadline) = (console.interrupts().0, rig.platform.now() + PATIENCE);
        console.provide(&mut rig.platform, 64, &[], Shape::Direct).unwrap();
        console.kick(&mut rig.platform).unwrap();
        assert_eq!(console.wait(&mut rig.platform, deadline).unwrap().as_deref(), Some(&b"x"[..]));
        assert!(console.interrupts().0 > interrupts, "{policy:?}");
        typing.join().unwrap();
        rig.finish();
    }
}

/// As one access of 32 bits, which is what the register has.
fn an_emergency_write_is_printed_without_queues(kind: &Kind) {
    let mut rig = Rig::new(Chipset::Q35, &[kind]);
    let mut stream = rig.console(0);
    let mut console = probe(&mut rig, &Options::default());
    console.transport().reset(&mut rig.platform).unwrap();
    let register = layout::device_config_offset(true) + console::CONFIG_EMERG_WR;
    for byte in b"oops" {
        console.transport().write(&mut rig.platform, register, Width::Double, (*byte).into());
    }
    assert_eq!(read(&mut stream, 4), b"oops");
    stream.set_read_timeout(Some(QUIET)).unwrap();
    let more = stream.read(&mut [0; 8]);
    assert!(matches!(&more, Err(error) if error.kind() == ErrorKind::WouldBlock), "{more:?}");
    console.remove(&mut rig.platform, &mut rig.bus).unwrap();
    console = probe(&mut rig, &Options::default());
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_works(&mut rig, &mut console, &mut stream);
    rig.finish();
}

fn a_console_that_was_removed_is_probed_again(kind: &Kind) {
    let mut rig = Rig::new(Chipset::Pc, &[kind]);
    let mut stream = rig.console(0);
    for _ in 0..3 {
        let mut console = probe(&mut rig, &Options::default());
        assert_works(&mut rig, &mut console, &mut stream);
        console.remove(&mut rig.platform, &mut rig.bus).unwrap();
        assert_eq!(rig.platform.memory_in_use(), 0);
    }
    rig.finish();
}

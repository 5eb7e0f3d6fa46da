//! The example device of the vfio-user crate on a stock QEMU's PCI bus: no virtio and no RTL.
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use timer::{Timer, DELAY, ID, ID_VALUE, STATUS};
use vfio_user_server::{Server, ServerOptions};
use virtio_hdl::guest::{vfio_user_pci, FindOptions, Qemu};
use virtio_hdl::host::pci::{Bus, Options, Space};
use virtio_hdl::host::{Platform, Width};
use virtio_hdl::link::{FunctionId, Interrupt};
use virtio_hdl::qtest::{Chipset, QtestOptions, QtestPlatform};

#[allow(dead_code, reason = "its `main` is for QEMU")]
#[path = "../../vfio-user/examples/timer.rs"]
mod timer;

const SLOT: FunctionId = FunctionId::new(0, 4, 0);
/// Cycles of the platform: 10 s.
const PATIENCE: u64 = 40_000_000;
/// Cycles in which an interrupt that is on its way has come.
const QUIET: u64 = 20_000;

#[test]
fn the_example_device_works_on_qemus_pci_bus() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("timer.sock");
    let mut server = Server::bind(&socket, ServerOptions::default()).unwrap();
    let (_stop, stopped) = UnixStream::pair().unwrap();
    let serving = std::thread::spawn(move || server.serve(&mut Timer::at_rest(), stopped.as_fd()).unwrap());
    let mut platform = QtestPlatform::start(&QtestOptions {
        qemu: &Qemu::find(&FindOptions::default()).unwrap(),
        chipset: Chipset::Q35,
        memory_bytes: 64 << 20,
        arguments: vec!["-device".into(), vfio_user_pci(&socket, &[("addr", "04.0".into())]).into()],
        functions: vec![SLOT],
        timeout: Duration::from_secs(30),
    })
    .unwrap();
    let bus = Bus::scan(&mut platform, &Options::default()).unwrap();
    let function = bus.function(SLOT).unwrap();
    assert_eq!((function.vendor, function.device, function.class), (0x1234, 0x7133, 0x08_8000));
    assert_eq!((function.interrupt_pin, function.capabilities.len()), (1, 0));
    let bar = function.bar(0).unwrap();
    assert_eq!((bar.space, bar.bytes), (Space::Memory, 4096));
    function.enable(&mut platform).unwrap();
    let read = |platform: &mut QtestPlatform, offset| bar.read(platform, offset as u32, Width::Double);
    let write = |platform: &mut QtestPlatform, offset, value| bar.write(platform, offset as u32, Width::Double, value);

    assert_eq!(read(&mut platform, ID), ID_VALUE);
    for delay in [3000, 1] {
        write(&mut platform, DELAY, delay);
        let deadline = platform.now() + PATIENCE;
        let interrupt = platform.wait_interrupt(deadline);
        assert!(matches!(interrupt, Some(Interrupt::Line { asserted: true, .. })), "{interrupt:?}");
        assert_eq!((read(&mut platform, STATUS), read(&mut platform, DELAY)), (1, delay));
        write(&mut platform, STATUS, 1);
        assert_eq!(read(&mut platform, STATUS), 0);
        let deadline = platform.now() + QUIET;
        assert_eq!(platform.wait_interrupt(deadline), None, "the line is still asserted");
    }
    write(&mut platform, DELAY, 60_000_000);
    platform.reset().unwrap();
    let bus = Bus::scan(&mut platform, &Options::default()).unwrap();
    bus.function(SLOT).unwrap().enable(&mut platform).unwrap();
    assert_eq!(read(&mut platform, DELAY), 0, "a reset reaches the device");
    platform.check().unwrap();
    drop((platform, _stop));
    serving.join().unwrap();
}

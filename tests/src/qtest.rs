//! Disks, network cards, consoles and balloons on QEMU's PCI bus, with no guest: QEMU's own, and the Verilated endpoint through vfio-user-pci.
use crate::Served;
use std::fmt::Display;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tempfile::{NamedTempFile, TempDir};
use virtio_hdl::backend::console::{SocketConsole, TerminalSize};
use virtio_hdl::backend::net::Loopback;
use virtio_hdl::backend::{BalloonPort, ConsolePort, Disk, DiskPort, NetPort};
use virtio_hdl::bridge::{BridgeOptions, Report};
use virtio_hdl::guest::{FindOptions, Qemu};
use virtio_hdl::host::blk::{Blk, Operation, Options, Request};
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::host::ring::Shape;
use virtio_hdl::host::virtio_pci::Interrupted;
use virtio_hdl::host::Platform;
use virtio_hdl::link::FunctionId;
use virtio_hdl::model::DeviceSide;
use virtio_hdl::qtest::{Chipset, QtestOptions, QtestPlatform};
use virtio_hdl::vfio_user::ServerOptions;
use virtio_hdl_rtl::virtio::layout::blk::SECTOR_BYTES;

/// Size of each disk.
pub const SECTORS: u64 = 2048;
/// Of full length: QEMU's disk writes one zero behind a shorter name and leaves the rest of the buffer as it was.
pub const SERIAL: &str = "qtest-disk-123456789";
/// Guest memory.
const MEMORY_BYTES: u64 = 64 << 20;
/// Longest wait for QEMU, and QEMU's for the endpoint: the machine may have much else to do.
const PATIENCE: Duration = Duration::from_secs(30);

/// QEMU's console and its balloon have no property for the size of their queues, which ours have, too.
pub const THEIR_FIXED_QUEUES: u16 = 128;
/// Cycles in which an interrupt that is on its way has come.
const QUIET: u64 = 20_000;
/// Cycles after which an interrupt will never come.
const LONG: u64 = 50_000_000;

/// Disk or card n is device 4 + n of bus 0.
pub const fn slot(disk: usize) -> FunctionId {
    FunctionId::new(0, 4 + disk as u8, 0)
}

/// Whose disk or card it is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// QEMU's `virtio-blk-pci` with these properties.
    Theirs(&'static str),
    /// QEMU's `virtio-net-pci` with these properties, on a wire without another end.
    TheirNet(&'static str),
    /// QEMU's `virtio-serial-pci` with one console and these properties, on the socket [`Rig::console`].
    TheirConsole(&'static str),
    /// QEMU's `virtio-balloon-pci` with these properties.
    TheirBalloon(&'static str),
    /// The Verilated endpoint of an example configuration.
    Ours {
        /// Its name.
        example: &'static str,
        /// How it is bridged.
        bridge: BridgeOptions,
        /// How it is served.
        server: ServerOptions,
    },
}

impl Kind {
    /// QEMU's disk as it is.
    pub const THEIRS: Kind = Kind::Theirs("");

    /// The endpoint, served as usual.
    pub fn ours(example: &'static str) -> Self {
        Kind::Ours { example, bridge: BridgeOptions::default(), server: ServerOptions::default() }
    }
}

/// A machine with disks in front of which no driver is yet.
pub struct Rig {
    /// QEMU; ends before the servers.
    pub platform: QtestPlatform,
    /// Its disks.
    pub bus: Bus,
    images: Vec<NamedTempFile>,
    sockets: TempDir,
    served: Vec<Served>,
}

fn ok<T, E: Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

impl Rig {
    /// Starts QEMU with these disks.
    pub fn new(chipset: Chipset, kinds: &[&Kind]) -> Self {
        let qemu = ok(Qemu::find(&FindOptions::default()));
        let sockets = ok(tempfile::tempdir());
        let (mut images, mut served, mut arguments) = (Vec::new(), Vec::new(), Vec::new());
        for (n, kind) in kinds.iter().enumerate() {
            let mut image = ok(NamedTempFile::new());
            ok(image.write_all(&pattern(n as u64, (SECTORS * SECTOR_BYTES) as usize)));
            let mut behind = None;
            let device = match *kind {
                Kind::Theirs(properties) => {
                    arguments.push("-drive".into());
                    arguments.push(format!("if=none,id=disk{n},format=raw,file={}", image.path().display()).into());
                    format!(
                        "virtio-blk-pci,disable-modern=on,disable-legacy=off,addr={:02x}.0,drive=disk{n},\
                         serial={SERIAL},{properties}",
                        slot(n).device()
                    )
                }
                Kind::TheirNet(properties) => {
                    let path = |end: &str| sockets.path().join(format!("{end}{n}")).display().to_string();
                    arguments.push("-netdev".into());
                    arguments.push(
                        format!(
                            "dgram,id=net{n},local.type=unix,local.path={},remote.type=unix,remote.path={}",
                            path("local"),
                            path("remote")
                        )
                        .into(),
                    );
                    format!(
                        "virtio-net-pci,disable-modern=on,disable-legacy=off,addr={:02x}.0,netdev=net{n},{properties}",
                        slot(n).device()
                    )
                }
                Kind::TheirConsole(properties) => {
                    let path = sockets.path().join(format!("console{n}"));
                    arguments.push("-chardev".into());
                    let socket = format!("socket,id=chardev{n},server=on,wait=off,path={}", path.display());
                    arguments.push(socket.into());
                    behind = Some(format!("virtconsole,bus=serial{n}.0,chardev=chardev{n}"));
                    format!(
                        "virtio-serial-pci,disable-modern=on,disable-legacy=off,addr={:02x}.0,id=serial{n},max_ports=1,{properties}",
                        slot(n).device()
                    )
                }
                Kind::TheirBalloon(properties) => format!(
                    "virtio-balloon-pci,disable-modern=on,disable-legacy=off,addr={:02x}.0,{properties}",
                    slot(n).device()
                ),
                Kind::Ours { example, bridge, server } => {
                    let mut config = crate::example(example);
                    if matches!(config.device.name, "console" | "balloon") {
                        config.queue_size = THEIR_FIXED_QUEUES;
                    }
                    let side: Box<dyn DeviceSide> = match config.device.name {
                        "blk" => {
                            let disk = ok(Disk::open(image.path(), false)).with_serial(SERIAL);
                            Box::new(DiskPort::new(disk, 0))
                        }
                        "console" => {
                            let socket = SocketConsole::bind(&sockets.path().join(format!("console{n}")));
                            // as QEMU's, which tells nothing of it
                            let size = TerminalSize { cols: 0, rows: 0 };
                            Box::new(ConsolePort::new(Box::new(ok(socket)), size, config.link.clock_hz))
                        }
                        "balloon" => Box::new(BalloonPort::new(0, config.link.clock_hz)),
                        _ => {
                            let wire = Box::new(Loopback::new());
                            Box::new(NetPort::new(wire, config.net_options().mac, config.link.clock_hz))
                        }
                    };
                    let endpoint = Served::start(&config, side, bridge.clone(), *server);
                    // JSON: socket is a structure.
                    let device = format!(
                        r#"{{"driver":"vfio-user-pci","addr":"{:02x}.0","x-msg-timeout":{},"socket":{{"type":"unix","path":"{}"}}}}"#,
                        slot(n).device(),
                        PATIENCE.as_millis(),
                        endpoint.socket().display()
                    );
                    served.push(endpoint);
                    device
                }
            };
            for device in [Some(device), behind].into_iter().flatten() {
                arguments.extend(["-device".into(), device.into()]);
            }
            images.push(image);
        }
        let options = QtestOptions {
            qemu: &qemu,
            chipset,
            memory_bytes: MEMORY_BYTES,
            arguments,
            functions: (0..kinds.len()).map(slot).collect(),
            timeout: PATIENCE,
        };
        let mut platform = ok(QtestPlatform::start(&options));
        let bus = ok(Bus::scan(&mut platform, &BusOptions::default()));
        Rig { platform, bus, images, sockets, served }
    }

    /// Scans the bus anew, as after a reset.
    pub fn scan(&mut self) {
        self.bus = ok(Bus::scan(&mut self.platform, &BusOptions::default()));
    }

    /// Binds the driver to a disk.
    pub fn probe(&mut self, disk: usize, options: &Options) -> Blk {
        ok(Blk::probe(&mut self.platform, &mut self.bus, slot(disk), options))
    }

    /// The other end of a console.
    pub fn console(&self, console: usize) -> UnixStream {
        let stream = ok(UnixStream::connect(self.sockets.path().join(format!("console{console}"))));
        ok(stream.set_read_timeout(Some(PATIENCE)));
        stream
    }

    /// What the image of a disk holds.
    pub fn content(&self, disk: usize, sector: u64, bytes: usize) -> Vec<u8> {
        let mut found = vec![0; bytes];
        ok(ok(File::open(self.images[disk].path())).read_exact_at(&mut found, sector * SECTOR_BYTES));
        found
    }

    /// Writes, flushes and reads back through the driver, and looks at the image behind it.
    pub fn assert_works(&mut self, disk: usize, blk: &mut Blk, seed: u64) {
        let data = pattern(seed, 8192);
        let sector = seed % (SECTORS - 16);
        ok(blk.write(&mut self.platform, sector, &data));
        ok(blk.flush(&mut self.platform));
        assert!(self.content(disk, sector, data.len()) == data, "the image does not hold what was written");
        let mut found = vec![0; data.len()];
        ok(blk.read(&mut self.platform, sector, &mut found));
        assert!(found == data, "what was read is not what was written");
        self.check();
    }

    /// Does a request and looks at its end only after its interrupt: [`assert_works`](Self::assert_works) may be fast
    /// enough to find everything done before it has to wait for one.
    pub fn assert_interrupts(&mut self, blk: &mut Blk) {
        // What earlier requests have left.
        let quiet = self.platform.now() + QUIET;
        while self.platform.now() < quiet {
            if let Some(interrupt) = self.platform.wait_interrupt(quiet) {
                blk.interrupt(&mut self.platform, interrupt).unwrap();
            }
        }
        ok(blk.poll(&mut self.platform));
        let flush = Request { operation: Operation::Flush, sector: 0, data: vec![], shape: Shape::Direct };
        ok(blk.submit(&mut self.platform, &flush));
        ok(blk.kick(&mut self.platform));
        let deadline = self.platform.now() + LONG;
        let interrupt = self.platform.wait_interrupt(deadline).expect("an interrupt");
        let mine = Interrupted::Mine { config_changed: false, queues: vec![0] };
        assert_eq!(blk.interrupt(&mut self.platform, interrupt).unwrap(), mine);
        assert_eq!(ok(blk.poll(&mut self.platform)).len(), 1, "the interrupt came before the used ring was written");
        self.check();
    }

    /// QEMU is alive and has nothing to complain about.
    pub fn check(&mut self) {
        self.platform.check().unwrap_or_else(|error| panic!("{error}: {}", self.platform.output()));
        assert_eq!(self.platform.output(), "", "QEMU complains");
    }

    /// Ends QEMU, then the servers, and tells what those did.
    pub fn finish(mut self) -> Vec<Report> {
        self.check();
        self.end()
    }

    /// The same, whatever QEMU has complained about.
    pub fn end(self) -> Vec<Report> {
        drop(self.platform);
        self.served.into_iter().map(Served::end).collect()
    }
}

/// Bytes that are different for each seed.
pub fn pattern(seed: u64, bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|n| ((n ^ seed).wrapping_mul(0x9e37_79b9) >> 11) as u8).collect()
}

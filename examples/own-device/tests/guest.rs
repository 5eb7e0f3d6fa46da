//! Linux reads `/dev/hwrng` from the endpoint, in a stock QEMU.
use own_device::entropy::Entropy;
use own_device::RNG;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;
use virtio_hdl::bridge::{Bridge, BridgeOptions};
use virtio_hdl::design;
use virtio_hdl::guest::{busybox, vfio_user_pci, DebianOptions, FindOptions, Guest, Initramfs, Kernel, Qemu};
use virtio_hdl::vfio_user::{Server, ServerOptions};
use virtio_hdl_rtl::config::EndpointConfig;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/rng.toml");
const TIMEOUT: Duration = Duration::from_secs(120);

/// Linux asks for 64 bytes at a time, and a thread of its own takes some of them: all that come are whole words, and no word comes twice.
const JOB: &str = r#"set -e
grep . /sys/class/misc/hw_random/rng_current
dd if=/dev/hwrng of=/words bs=64 count=256 2>/dev/null
[ "$(wc -c </words)" = 16384 ]
[ "$(grep -c '^word [0-9]*$' /words)" = 1024 ]
[ "$(sort -u /words | wc -l)" = 1024 ]
echo "1024 words of their own"
"#;

/// Words of 16 bytes that can be told apart, as lines of text.
struct Words {
    next: u32,
}

impl Read for Words {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        for word in buffer.chunks_exact_mut(16) {
            self.next += 1;
            word.copy_from_slice(format!("word {:010}\n", self.next).as_bytes());
        }
        Ok(buffer.len())
    }
}

#[test]
fn linux_reads_random_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    let (stop, stopped) = UnixStream::pair().unwrap();
    let (ready, is_ready) = mpsc::channel();
    let serving = {
        let socket = socket.clone();
        std::thread::spawn(move || {
            let config = EndpointConfig::load_with(&[&RNG], CONFIG).unwrap_or_else(|error| panic!("{error}"));
            let library = design::library(&config).unwrap_or_else(|error| panic!("{error}"));
            let options = BridgeOptions { clock_hz: config.link.clock_hz, ..BridgeOptions::default() };
            let mut bridge = Bridge::new(&library, Box::new(Entropy::new(Words { next: 0 })), &options).unwrap();
            let mut server = Server::bind(&socket, ServerOptions::default()).unwrap();
            ready.send(()).unwrap();
            server.serve(&mut bridge, stopped.as_fd()).unwrap();
            bridge.finish().unwrap();
            bridge.report()
        })
    };
    is_ready.recv().unwrap();

    let debian = DebianOptions::default();
    let qemu = Qemu::find(&FindOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    let kernel = Kernel::debian("bookworm", &debian).unwrap_or_else(|error| panic!("{error}"));
    let initramfs = Initramfs::new(&kernel, &busybox(&debian).unwrap()).unwrap();
    let initramfs = initramfs.modules(&["virtio_pci", "virtio_rng"]).job(JOB).build().unwrap();
    let guest = Guest::new(&qemu).kernel(&kernel, initramfs).device(vfio_user_pci(&socket, &[]));
    let ended = guest.start(|_| {}).unwrap().wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.console));
    assert!(ended.console.contains("virtio_rng.0") && ended.console.contains("1024 words of their own"));

    (&stop).write_all(&[0]).unwrap();
    let report = serving.join().unwrap();
    assert_eq!((report.violations, report.unanswered_accesses), (0, 0), "{report:?}");
}

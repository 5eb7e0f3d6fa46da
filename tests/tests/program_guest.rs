//! A stock QEMU with an unmodified Debian kernel on a device that is a program: an entropy source without RTL of its own.
use std::time::{Duration, Instant};
use virtio_hdl::backend::console::Typist;
use virtio_hdl::backend::ConsolePort;
use virtio_hdl::bridge::BridgeOptions;
use virtio_hdl::guest::vfio_user_pci;
use virtio_hdl::vfio_user::ServerOptions;
use virtio_hdl_tests::guest::program_guest;
use virtio_hdl_tests::{check_clean, example, Served};

const TIMEOUT: Duration = Duration::from_secs(180);

/// Linux asks for 64 bytes at a time.
const JOB: &str = r#"
grep -q virtio_rng /sys/class/misc/hw_random/rng_current
dd if=/dev/hwrng of=/words bs=64 count=256 2>/dev/null
[ "$(wc -c </words)" = 16384 ]
# of so many random numbers of 32 bits hardly two are alike
[ "$(hexdump -v -e '1/4 "%08x\n"' /words | sort -u | wc -l)" -gt 4090 ]
echo "4096 numbers"
echo virtio0 >/sys/bus/virtio/drivers/virtio_rng/unbind
echo virtio0 >/sys/bus/virtio/drivers/virtio_rng/bind
dd if=/dev/hwrng of=/words bs=64 count=16 2>/dev/null
[ "$(wc -c </words)" = 1024 ]
echo "and again"
"#;

/// Meanwhile the program is asked on its console what it has counted.
#[test]
fn linux_reads_random_numbers_from_a_program() {
    let config = example("rng");
    let typist = Typist::default();
    let port = ConsolePort::of_program(Box::new(typist.console()), config.link.clock_hz);
    let served = Served::start(&config, Box::new(port), BridgeOptions::default(), ServerOptions::default());
    let guest = program_guest(JOB).device(vfio_user_pci(&served.socket(), &[]));
    let mut running = guest.start(|_| {}).unwrap();
    running.wait_for("4096 numbers", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    typist.type_in(b"stats\r");
    let end = Instant::now() + TIMEOUT;
    let mut text = String::new();
    while !text.contains("requests") {
        text += &String::from_utf8_lossy(&typist.printed());
        assert!(Instant::now() < end, "the program says {text:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.console));
    assert!(ended.console.contains("and again"), "{}", ended.console);
    assert!(text.starts_with("virtio-hdl rng "), "{text}");
    let report = served.end();
    check_clean(&report);
}

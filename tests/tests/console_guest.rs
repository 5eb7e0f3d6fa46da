//! A stock QEMU with an unmodified Debian kernel on the Verilated console.
use rustix::fs::{Mode, OFlags};
use rustix::termios::{tcsetwinsize, Winsize};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};
use virtio_hdl::backend::console::{ConsoleBackend, PtyConsole, SocketConsole, TerminalSize};
use virtio_hdl::backend::ConsolePort;
use virtio_hdl::bridge::{BridgeOptions, Report};
use virtio_hdl::guest::{vfio_user_pci, Guest, Running};
use virtio_hdl::vfio_user::ServerOptions;
use virtio_hdl_tests::guest::console_guest;
use virtio_hdl_tests::{check_clean, example, Served};

const TIMEOUT: Duration = Duration::from_secs(180);
const MEBIBYTE: usize = 1 << 20;

fn serve(name: &str, backend: Box<dyn ConsoleBackend>) -> Served {
    let config = example(name);
    let port = ConsolePort::new(backend, TerminalSize { cols: 80, rows: 25 }, config.link.clock_hz);
    Served::start(&config, Box::new(port), BridgeOptions::default(), ServerOptions::default())
}

fn start(guest: Guest, served: &Served) -> Running {
    guest.device(vfio_user_pci(&served.socket(), &[])).start(|_| {}).unwrap()
}

#[track_caller]
fn wait_for(running: &mut Running, text: &str) {
    running.wait_for(text, TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
}

#[track_caller]
fn end(mut running: Running, served: Served) -> Report {
    let ended = running.wait(TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    ended.job().unwrap_or_else(|error| panic!("{error}\n{}", ended.errors));
    let report = served.end();
    check_clean(&report);
    report
}

/// What the device side counted.
fn counted(report: &Report, what: &str) -> u64 {
    report.device["console"][what].as_u64().unwrap()
}

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Random bytes that `seq` makes in the guest, too.
fn numbers(bytes: usize) -> Vec<u8> {
    let text: String = (1..).map(|n| format!("{n}\n")).take(bytes / 4).collect();
    text.into_bytes()[..bytes].to_vec()
}

/// Reads so many bytes.
fn read(stream: &mut UnixStream, bytes: usize) -> Vec<u8> {
    let mut found = vec![0; bytes];
    stream.read_exact(&mut found).unwrap_or_else(|error| panic!("{error}"));
    found
}

/// Bytes both ways, compared at both ends.
#[track_caller]
fn carries(name: &str, bytes: usize, change: impl FnOnce(Guest<'static>) -> Guest<'static>) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console");
    let served = serve(name, Box::new(SocketConsole::bind(&path).unwrap()));
    let job = format!(
        "open; echo opened
        seq 1 999999 | head -c {bytes} >/tmp/data
        head -c {bytes} <&3 >/tmp/got; cmp /tmp/data /tmp/got; echo arrived
        cat /tmp/data >&3; read -r line <&3; echo \"line $line\""
    );
    let mut running = start(change(console_guest(&job)), &served);
    let mut stream = connect(&path);
    wait_for(&mut running, "opened");
    let expected = numbers(bytes);
    stream.write_all(&expected).unwrap();
    wait_for(&mut running, "arrived");
    assert!(read(&mut stream, bytes) == expected, "what was printed is not what was given");
    stream.write_all(b"done\n").unwrap();
    wait_for(&mut running, "line done");
    let report = end(running, served);
    assert_eq!((counted(&report, "printed_bytes"), counted(&report, "lost_bytes")), (bytes as u64, 0), "{report:?}");
    report
}

#[test]
fn linux_prints_and_reads_a_mebibyte_each_way_with_msix() {
    let report = carries("console", MEBIBYTE, |guest| guest);
    assert!(report.vectors[1].fired > 100 && report.intx_asserted == 0, "{report:?}");
}

#[test]
fn linux_prints_and_reads_with_intx_and_plain_rings() {
    let report = carries("console", 1 << 14, |guest| guest.append("pci=nomsi"));
    assert!(report.intx_asserted > 8 && report.msix_table_writes == 0, "{report:?}");
    carries("console-plain", 1 << 14, |guest| guest.cpus(2));
}

/// One that reads nothing makes the guest wait; where nobody is, nothing waits.
#[test]
fn a_slow_reader_loses_nothing_and_one_that_is_gone_hangs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("console");
    let served = serve("console", Box::new(SocketConsole::bind(&path).unwrap()));
    // more than what waits in the socket and before it
    let bytes = 300_000;
    let job = format!(
        "open; echo opened
        seq 1 999999 | head -c {bytes} >/tmp/data
        cat /tmp/data >&3; read -r line <&3; echo \"line $line\"
        cat /tmp/data >&3; echo alone
        read -r line <&3; echo \"line $line\"; echo back >&3"
    );
    let mut running = start(console_guest(&job), &served);
    let mut stream = connect(&path);
    wait_for(&mut running, "opened");
    std::thread::sleep(Duration::from_secs(1));
    assert!(!running.console().contains("line"), "the guest does not wait");
    assert!(read(&mut stream, bytes) == numbers(bytes));
    stream.write_all(b"first\n").unwrap();
    wait_for(&mut running, "line first");
    drop(stream);
    wait_for(&mut running, "alone");
    let mut stream = connect(&path);
    stream.write_all(b"second\n").unwrap();
    wait_for(&mut running, "line second");
    let mut text = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    while !text.ends_with("back\n") {
        text.push_str(&String::from_utf8(read(&mut stream, 1)).unwrap());
    }
    let report = end(running, served);
    assert!(counted(&report, "lost_bytes") > 0, "{report:?}");
}

/// A terminal as a program has it that emulates one: a login, commands, another size, and what the kernel says.
#[test]
fn a_login_shell_on_the_console_sees_the_terminal_change_its_size() {
    let backend = PtyConsole::open().unwrap();
    let name = backend.place().unwrap().to_string();
    let served = serve("console", Box::new(backend));
    let terminal = rustix::fs::open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK, Mode::empty()).unwrap();
    let resize = |ws_col, ws_row| {
        tcsetwinsize(&terminal, Winsize { ws_col, ws_row, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    };
    resize(100, 40);
    let job = "mkdir -p /etc; echo root::0:0:root:/:/bin/sh >/etc/passwd; echo root:x:0: >/etc/group
        getty -L 115200 hvc0 vt100; echo logged out";
    let mut running = start(console_guest(job).append("console=hvc0"), &served);
    let mut screen = String::new();
    let mut expect = |text: &str| {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(at) = screen.find(text) {
                screen.drain(..at + text.len());
                return;
            }
            let mut piece = [0; 4096];
            match rustix::io::read(&terminal, &mut piece) {
                Ok(bytes) => screen.push_str(&String::from_utf8_lossy(&piece[..bytes])),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
            assert!(Instant::now() < deadline, "no {text:?} on the terminal: {screen}");
        }
    };
    let type_in = |text: &str| assert_eq!(rustix::io::write(&terminal, text.as_bytes()).unwrap(), text.len());
    expect("login: ");
    type_in("root\n");
    expect("# ");
    type_in("stty -a | grep -o 'rows [0-9]*; columns [0-9]*'\n");
    expect("rows 40; columns 100");
    resize(132, 50);
    type_in("until stty -a | grep 'rows 50; columns 132'; do sleep 0.1; done\n");
    expect("\nspeed");
    expect("rows 50; columns 132");
    type_in("echo \"<2>from the kernel\" >/dev/kmsg; exit\n");
    expect("] from the kernel");
    wait_for(&mut running, "logged out");
    let report = end(running, served);
    assert!(report.vectors[0].fired >= 2, "the configuration's vector: {report:?}");
}

//! `virtio-hdl serve` and `virtio-hdl qemu` as processes: sockets, signals, sudden deaths, and what an idle guest costs.
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use virtio_hdl::guest::{vfio_user_pci, Guest, Running};
use virtio_hdl::host::blk::{Blk, Options};
use virtio_hdl::host::pci::{Bus, Options as BusOptions};
use virtio_hdl::host::Platform;
use virtio_hdl::link::FunctionId;
use virtio_hdl::qtest::{Chipset, QtestOptions, QtestPlatform};
use virtio_hdl_rtl::pcie::layout::COMMAND_BUS_MASTER;
use virtio_hdl_tests::guest::{guest, run, Ext4};
use virtio_hdl_tests::program;

const TIMEOUT: Duration = Duration::from_secs(120);

/// A server's process; it is killed with this.
struct Serve {
    child: Child,
    folder: tempfile::TempDir,
    /// What it said when it was ready.
    said: String,
}

impl Serve {
    fn start(disk: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = program()
            .args(["serve", "blk", "--socket"])
            .arg(folder.path().join("socket"))
            .arg("--disk")
            .arg(disk)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        while !said.contains("-device") {
            assert_ne!(errors.read_line(&mut said).unwrap(), 0, "{said}");
        }
        child.stderr = Some(errors.into_inner());
        Serve { child, folder, said }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn signal(&self, name: &str) {
        run(Command::new("kill").args(["-s", name, &self.child.id().to_string()]));
    }

    /// Waits for the end: exit code, standard output, and the rest of standard error.
    fn end(mut self) -> (Option<i32>, String, String) {
        let (mut output, mut errors) = (String::new(), String::new());
        self.child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        (self.child.wait().unwrap().code(), output, errors)
    }

    fn boot(&self, guest: Guest) -> Running {
        guest.device(vfio_user_pci(&self.socket(), &[])).start(|_| {}).unwrap()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds of processor time that a process has had.
fn processor_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // utime and stime, fields 14 and 15 of proc(5), in ticks of 10 ms
    let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / 100.0
}

#[test]
fn serve_says_what_to_give_qemu_and_ends_cleanly_on_a_signal() {
    for signal in ["TERM", "INT"] {
        let disk = Ext4::new(30);
        let serve = Serve::start(&disk.path());
        let socket = serve.socket();
        assert!(serve.said.contains("share=on") && serve.said.contains("vfio-user-pci"), "{}", serve.said);
        assert!(serve.said.contains(socket.to_str().unwrap()), "{}", serve.said);
        assert!(socket.exists());
        serve.signal(signal);
        let (code, output, errors) = serve.end();
        assert_eq!(code, Some(0), "{errors}");
        assert!(output.contains("0 register reads"), "{output}");
        assert!(!socket.exists());
    }
}

#[test]
fn what_serve_says_works() {
    let disk = Ext4::new(31);
    let serve = Serve::start(&disk.path());
    // The line from `-object` on, as a user would paste it.
    let options: String = serve.said.lines().skip(1).map(|line| line.trim_end_matches('\\')).collect();
    let qemu = virtio_hdl_tests::guest::qemu().command();
    let mut line = qemu.get_program().to_str().unwrap().to_string();
    for argument in qemu.get_args() {
        line += &format!(" {}", argument.to_str().unwrap());
    }
    line = format!("echo quit | {line} -nodefaults -display none -monitor stdio {options}");
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).envs(qemu.get_envs().map(|(key, value)| (key, value.unwrap())));
    run(&mut shell);
    serve.signal("TERM");
    let (code, output, errors) = serve.end();
    assert_eq!(code, Some(0), "{errors}");
    assert!(!output.contains(" 0 register reads"), "{output}");
}

#[test]
fn serve_refuses_a_socket_in_use_and_what_is_no_socket() {
    let disk = Ext4::new(32);
    let serve = Serve::start(&disk.path());
    for (path, message) in [(serve.socket(), "in use"), (disk.path(), "no socket")] {
        let output =
            program().args(["serve", "blk", "--socket"]).arg(&path).arg("--disk").arg(disk.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains(message), "{output:?}");
        assert!(path.exists());
    }
}

/// As many descriptors as it has, and none for a client: it waits until there are some.
#[test]
fn a_server_without_descriptors_goes_on_when_there_are_some() {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    let disk = Ext4::new(39);
    let serve = Serve::start(&disk.path());
    let process = serve.child.id();
    let limit = |descriptors: usize| {
        let limit = format!("--nofile={descriptors}:4096");
        run(Command::new("prlimit").args(["--pid", &process.to_string(), &limit]));
    };
    // The lowest free number is the next.
    let is_free = |number: &usize| !Path::new(&format!("/proc/{process}/fd/{number}")).exists();
    limit((0..).find(is_free).unwrap());
    let mut client = UnixStream::connect(serve.socket()).unwrap();
    // VERSION 0.0 without capabilities
    client.write_all(&[1, 0, 1, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
    let seconds = processor_seconds(process);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(processor_seconds(process) - seconds < 0.3, "it is busy with waiting");
    limit(1024);
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut reply = [0; 16];
    client.read_exact(&mut reply).unwrap();
    assert_eq!(reply[..4], [1, 0, 1, 0]);
    drop(client);
    serve.signal("TERM");
    let (code, _, errors) = serve.end();
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(errors.matches("cannot accept a client for now").count(), 1, "{errors}");
}

#[test]
fn an_idle_guest_costs_the_server_next_to_nothing() {
    let disk = Ext4::new(33);
    let serve = Serve::start(&disk.path());
    let mut guest = serve.boot(guest("copy /dev/vda; echo idle; sleep 1000"));
    guest.wait_for("idle", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    std::thread::sleep(Duration::from_secs(1));
    let (begin, before) = (Instant::now(), processor_seconds(serve.child.id()));
    std::thread::sleep(Duration::from_secs(4));
    let share = (processor_seconds(serve.child.id()) - before) / begin.elapsed().as_secs_f64();
    println!("an idle guest: {:.1} % of a core", 100.0 * share);
    assert!(share < 0.02, "{share}");
}

/// What a guest had flushed is in the image, whoever dies.
const FLUSHED: &str = r#"mount -t ext4 -o noinit_itable /dev/vda /mnt
dd if=/mnt/data of=/mnt/copy bs=64k conv=fsync 2>/dev/null
sync
echo flushed
beat=0
while true; do beat=$((beat + 1)); echo "beat $beat."; cat /proc/uptime >/dev/null; sleep 0.2; done"#;

#[test]
fn a_server_that_is_killed_leaves_what_was_flushed_and_a_guest_that_goes_on() {
    let disk = Ext4::new(34);
    let mut serve = Serve::start(&disk.path());
    let mut guest = serve.boot(guest(FLUSHED));
    // By then the disk is quiet: a server that dies while the guest is at it may take QEMU 10.1 with it, which sets an
    // error twice ("error_setv: Assertion `*errp == NULL' failed").
    guest.wait_for("beat 4.", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    serve.child.kill().unwrap();
    serve.child.wait().unwrap();
    let beats = guest.console().matches("beat").count();
    guest.wait_for(&format!("beat {}.", beats + 4), TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    guest.kill().unwrap();
    // 1: there was a journal to replay
    let status = Command::new("e2fsck").arg("-fp").arg(disk.path()).stdout(Stdio::null()).status().unwrap();
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
    disk.check();
}

#[test]
fn a_guest_that_is_killed_leaves_what_was_flushed_and_a_server_that_goes_on() {
    let disk = Ext4::new(35);
    let serve = Serve::start(&disk.path());
    let mut first = serve.boot(guest(FLUSHED));
    first.wait_for("flushed", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    first.kill().unwrap();
    // The next guest finds it, with the journal replayed.
    let mut second = serve.boot(guest("mount -t ext4 /dev/vda /mnt; cmp /mnt/data /mnt/copy; umount /mnt"));
    second.wait(TIMEOUT).unwrap().job().unwrap_or_else(|error| panic!("{error}"));
    serve.signal("TERM");
    let (code, _, errors) = serve.end();
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(errors.matches("a guest is there").count(), 2, "{errors}");
    assert_eq!(errors.matches("the guest is gone; all that it wrote is flushed").count(), 2, "{errors}");
    disk.check();
}

#[test]
fn a_guest_that_is_killed_amid_its_work_leaves_a_server_that_goes_on() {
    let disk = Ext4::new(36);
    let serve = Serve::start(&disk.path());
    for _ in 0..3 {
        let mut busy = serve.boot(guest("echo busy; while true; do cat /dev/vda >/dev/null; fresh; done"));
        busy.wait_for("busy", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
        std::thread::sleep(Duration::from_millis(300));
        busy.kill().unwrap();
    }
    let mut last = serve.boot(guest("copy /dev/vda"));
    last.wait(TIMEOUT).unwrap().job().unwrap_or_else(|error| panic!("{error}"));
    serve.signal("TERM");
    assert_eq!(serve.end().0, Some(0));
    disk.check();
}

#[test]
fn qemu_runs_the_demo_and_reports() {
    let disk = Ext4::new(37);
    let output = program().args(["qemu", "blk", "--json", "--disk"]).arg(disk.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("read back: identical"), "{errors}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["boot_seconds"].as_f64().unwrap() > 0.1);
    assert!(report["endpoint"]["vectors"][1]["fired"].as_u64().unwrap() > 8);
    assert!(report["endpoint"]["cycles_skipped"].as_u64() > report["endpoint"]["cycles_simulated"].as_u64());
    run(Command::new("e2fsck").arg("-fn").arg(disk.path()));
}

#[test]
fn qemu_says_what_went_wrong() {
    let disk = Ext4::new(38);
    let empty = tempfile::NamedTempFile::new().unwrap();
    empty.as_file().set_len(1 << 20).unwrap();
    let refused = |arguments: &[&str], disk: &Path, message: &str| {
        let output = program().args(["qemu", "blk"]).args(arguments).arg("--disk").arg(disk).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(message), "{errors}");
    };
    refused(&[], empty.path(), "exit code 1");
    refused(&[], Path::new("/nowhere"), "cannot open the disk image");
    refused(&["--qemu", "/bin/true"], &disk.path(), "/bin/true");
    refused(&["--kernel", "/etc/hostname"], &disk.path(), "is no Linux kernel");
    refused(&["--job", "/nowhere"], &disk.path(), "cannot read /nowhere");
    refused(&["--append", "init=/nowhere rdinit=/nowhere"], &disk.path(), "QEMU ended");
}

/// A ratio of times: other work on the machine disturbs it, so one quiet moment in three is enough.
#[test]
fn a_boot_takes_at_most_half_as_long_again_as_with_qemus_own_disk() {
    let ratio = || {
        let output = program().args(["qemu", "blk", "--compare", "3", "--json"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        println!("{figures}");
        figures["ratio"].as_f64().unwrap()
    };
    assert!((0..3).any(|_| ratio() <= 1.5), "see the figures above");
}

/// What a driver does wrong is told in words, on standard error, while the guest runs.
#[test]
fn serve_says_which_rule_stopped_a_queue_and_that_bus_master_is_off() {
    const SLOT: FunctionId = FunctionId::new(0, 4, 0);
    let disk = Ext4::new(37);
    let serve = Serve::start(&disk.path());
    let device = vfio_user_pci(&serve.socket(), &[("addr", "04.0".into())]);
    let options = QtestOptions {
        qemu: virtio_hdl_tests::guest::qemu(),
        chipset: Chipset::Q35,
        memory_bytes: 64 << 20,
        arguments: vec!["-device".into(), device.into()],
        functions: vec![SLOT],
        timeout: Duration::from_secs(60),
    };
    let mut platform = QtestPlatform::start(&options).unwrap_or_else(|error| panic!("{error}"));
    let mut bus = Bus::scan(&mut platform, &BusOptions::default()).unwrap();
    let mut blk = Blk::probe(&mut platform, &mut bus, SLOT, &Options::default()).unwrap();
    blk.queue_mut().offer(platform.memory(), 256).unwrap();
    blk.kick(&mut platform).unwrap();
    platform.run(1_000_000);
    bus.function(SLOT).unwrap().command(&mut platform, 0, COMMAND_BUS_MASTER);
    for _ in 0..3 {
        blk.transport().notify(&mut platform, 0);
    }
    platform.run(1_000_000);
    drop(platform);
    serve.signal("TERM");
    let (code, _, errors) = serve.end();
    assert_eq!(code, Some(0), "{errors}");
    for words in
        ["queue 0 has stopped at head 256: the head index is not below", "kicks queue 0 while Bus Master is off"]
    {
        assert_eq!(errors.matches(words).count(), 1, "{words}: {errors}");
    }
}

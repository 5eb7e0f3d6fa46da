//! `virtio-hdl serve` and `virtio-hdl qemu` as processes: sockets, signals, sudden deaths, and what an idle guest costs.
use std::io::{Read, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use virtio_hdl::backend::Disk;
use virtio_hdl::guest::vfio_user_pci;
use virtio_hdl::host::blk::{Blk, Options};
use virtio_hdl::host::console::{self, Console};
use virtio_hdl::host::ring::Shape;
use virtio_hdl::host::Platform;
use virtio_hdl_rtl::pcie::layout::COMMAND_BUS_MASTER;
use virtio_hdl_tests::guest::{console_guest, guest, net_guest, run, Ext4};
use virtio_hdl_tests::serve::{processor_seconds, Serve, SLOT};
use virtio_hdl_tests::{output, program};

const TIMEOUT: Duration = Duration::from_secs(120);

#[test]
fn serve_says_what_to_give_qemu_and_ends_cleanly_on_a_signal() {
    for signal in ["TERM", "INT", "HUP"] {
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
    let (disk, other) = (Ext4::new(32), Ext4::new(49));
    let serve = Serve::start(&disk.path());
    for (path, message) in [(serve.socket(), "in use"), (disk.path(), "no socket")] {
        let output =
            program().args(["serve", "blk", "--socket"]).arg(&path).arg("--disk").arg(other.path()).output().unwrap();
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

/// Of a processor's time, how much the server takes for so long.
fn share(serve: &Serve, time: Duration) -> f64 {
    let (begin, before) = (Instant::now(), processor_seconds(serve.child.id()));
    std::thread::sleep(time);
    (processor_seconds(serve.child.id()) - before) / begin.elapsed().as_secs_f64()
}

#[test]
fn an_idle_guest_costs_the_server_next_to_nothing() {
    let disk = Ext4::new(33);
    let serve = Serve::start(&disk.path());
    let mut guest = serve.boot(guest("copy /dev/vda; echo idle; sleep 1000"));
    guest.wait_for("idle", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
    std::thread::sleep(Duration::from_secs(1));
    let share = share(&serve, Duration::from_secs(4));
    println!("an idle guest: {:.1} % of a core", 100.0 * share);
    assert!(share < 0.02, "{share}");
}

/// Linux fills the receive queue, with more than the endpoint looks at before something comes.
#[test]
fn an_idle_guest_whose_receive_queue_is_full_costs_the_server_next_to_nothing() {
    let port = net_guest("ip link set eth0 up; sleep 1; echo idle; sleep 1000");
    for (config, guest) in [("net", port), ("console", console_guest("open; echo idle; sleep 1000"))] {
        let serve = Serve::of(config, |command, _| {
            command.stdin(Stdio::null());
            if config == "console" {
                command.args(["--console", "stdio"]);
            }
        });
        let mut guest = serve.boot(guest);
        guest.wait_for("idle", TIMEOUT).unwrap_or_else(|error| panic!("{error}"));
        std::thread::sleep(Duration::from_secs(1));
        let share = share(&serve, Duration::from_secs(4));
        println!("{config}, an idle guest: {:.1} % of a core", 100.0 * share);
        assert!(share < 0.05, "{config}: {share}");
    }
}

/// A console that waits: for who types, at the end of its input, for a driver that takes what was typed, for who reads what is printed.
#[test]
fn a_console_that_waits_costs_the_server_next_to_nothing() {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    let serve = Serve::of("console", |command, _| {
        command.args(["--console", "stdio"]).stdin(reader);
    });
    let rests = |of: &str| {
        let share = share(&serve, Duration::from_secs(1));
        println!("{of}: {:.0} % of a core", 100.0 * share);
        // whether there is room for what is printed is looked at every millisecond
        assert!(share < 0.15, "{of}: {share}");
    };
    let (mut platform, mut bus) = serve.on_a_bus();
    // more than what waits before the endpoint
    let typed: Vec<u8> = (0..2000_u32).map(|n| ((n * 5) >> 2) as u8).collect();
    rustix::io::write(&writer, &typed).unwrap();
    rests("bytes are typed before there is a driver");
    let mut console = Console::probe(&mut platform, &mut bus, SLOT, &console::Options::default()).unwrap();
    rests("the driver has no chain for them");
    let mut arrived = vec![];
    for (part, of) in [(500, "the driver has no more chains"), (typed.len(), "all has been typed")] {
        while arrived.len() < part {
            console.provide(&mut platform, 100, &[], Shape::Direct).unwrap();
            console.kick(&mut platform).unwrap();
            let deadline = platform.now() + 1_000_000_000;
            let chain = console.wait(&mut platform, deadline).unwrap();
            arrived.extend(chain.unwrap_or_else(|| panic!("{} bytes have arrived", arrived.len())));
        }
        rests(of);
    }
    assert!(arrived == typed);
    // as many as the ring holds, as Linux does
    while console.has_room(1).0 {
        console.provide(&mut platform, 100, &[], Shape::Direct).unwrap();
    }
    console.kick(&mut platform).unwrap();
    rests("the driver has filled the queue");
    drop(writer);
    rests("the input is at its end");
    // more than what waits in the pipe, and before it
    for _ in 0..40 {
        console.print(&mut platform, &[b'x'; 4000], &[], Shape::Direct).unwrap();
    }
    console.kick(&mut platform).unwrap();
    let mut before = 0;
    while console.transmitting() != before {
        before = console.transmitting();
        std::thread::sleep(Duration::from_secs(1));
        assert!(console.poll(&mut platform).unwrap().is_none());
    }
    assert!(before > 0, "all has been printed");
    rests("nobody reads what is printed");
    let mut printed = [0; 160_000];
    let mut serve = serve;
    serve.child.stdout.as_mut().unwrap().read_exact(&mut printed).unwrap();
    assert!(printed == [b'x'; 160_000]);
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
    let disk = Ext4::new(37);
    let serve = Serve::start(&disk.path());
    let (mut platform, mut bus) = serve.on_a_bus();
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

#[test]
fn an_image_that_is_served_is_refused_to_all_others() {
    let disk = Ext4::new(40);
    let serve = Serve::start(&disk.path());
    let folder = tempfile::tempdir().unwrap();
    let refused = |command: &mut Command| {
        let output = output(command.arg("--disk").arg(disk.path()));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("is in use by another process") && errors.contains("which writes to it"), "{errors}");
    };
    refused(program().args(["serve", "blk", "--socket"]).arg(folder.path().join("second")));
    refused(program().args(["serve", "blk", "--read-only", "--socket"]).arg(folder.path().join("second")));
    refused(program().args(["sim", "blk"]));
    assert!(!folder.path().join("second").exists());
    drop(serve);
    // Two that only read do not disturb each other, and let nobody write.
    let first = Disk::open(&disk.path(), true).unwrap();
    let second = Disk::open(&disk.path(), true).unwrap();
    let said = Disk::open(&disk.path(), false).map(drop).unwrap_err().to_string();
    assert!(said.contains("which relies on nobody writing to it"), "{said}");
    drop((first, second));
    Disk::open(&disk.path(), false).map(drop).unwrap();
}

#[test]
fn qemu_and_we_keep_each_other_out_of_an_image() {
    let disk = Ext4::new(41);
    let qemu = || {
        let mut command = virtio_hdl_tests::guest::qemu().command();
        let drive = format!("if=none,id=disk,format=raw,file={}", disk.path().display());
        command.args(["-accel", "qtest", "-machine", "pc", "-nodefaults", "-display", "none", "-S", "-drive", &drive]);
        command.args(["-device", "virtio-blk-pci,drive=disk", "-monitor", "stdio"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let ours = Disk::open(&disk.path(), false).unwrap();
    let output = qemu().output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("lock"), "{errors}");
    drop(ours);

    let mut theirs = qemu().spawn().unwrap();
    // It answers when all is set up.
    theirs.stdin.as_mut().unwrap().write_all(b"info status\n").unwrap();
    let (mut said, mut byte) = (String::new(), [0]);
    while !said.contains("VM status") {
        theirs.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        said.push(byte[0] as char);
    }
    for read_only in [true, false] {
        let said = Disk::open(&disk.path(), read_only).map(drop).unwrap_err().to_string();
        assert!(said.contains("is in use by another process"), "{said}");
    }
    theirs.kill().unwrap();
    theirs.wait().unwrap();
}

#[test]
fn a_server_that_is_refused_has_written_nothing() {
    let (disk, other) = (Ext4::new(42), Ext4::new(43));
    let serve = Serve::start(&disk.path());
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    for (image, config, option, message) in [
        (Some(other.path()), "blk", "--tlp-log", "socket"),
        (Some(other.path()), "blk", "--vcd", "socket"),
        (Some(disk.path()), "blk", "--tlp-log", "disk image"),
        (None, "net", "--pcap", "socket"),
    ] {
        std::fs::write(&kept, "of the first server").unwrap();
        let mut command = program();
        command.args(["serve", config, "--socket"]).arg(serve.socket()).arg(option).arg(&kept);
        if let Some(image) = image {
            command.arg("--disk").arg(image);
        }
        let output = output(&mut command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains("in use") && errors.contains(message), "{errors}");
        assert_eq!(std::fs::read(&kept).unwrap(), b"of the first server", "{option}");
    }
}

/// How long a process may take to see a signal on a machine with much else to do. What is shown ends at once or never.
const PROMPT: Duration = Duration::from_secs(20);

fn wait(child: &mut Child) -> std::process::ExitStatus {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begin.elapsed() > PROMPT {
            child.kill().unwrap();
            panic!("it still runs {PROMPT:?} after the signal");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < TIMEOUT, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, name: &str) {
    run(Command::new("kill").args(["-s", name, &child.id().to_string()]));
}

fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A Verilator that is never done, and has a child that is not either, whose number it leaves.
fn never_done(path: &Path, pid: &Path) {
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 5 && exit\nsleep 1000 & echo $! >{0}.new\nmv {0}.new {0}\nwait\n",
        pid.display()
    );
    script(path, &text);
}

#[test]
fn a_signal_ends_a_command_that_builds_a_model_with_nothing_left() {
    use std::os::unix::process::ExitStatusExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (cache, socket, pid) = (folder.path().join("cache"), folder.path().join("socket"), folder.path().join("pid"));
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    never_done(&folder.path().join("bin/verilator"), &pid);
    let path = format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").unwrap());
    let (socket, disk) = (socket.to_str().unwrap(), Ext4::new(44));
    let image = disk.path().to_str().unwrap().to_string();
    let serve = ["serve", "blk", "--socket", socket, "--disk", &image];
    let qemu = ["qemu", "blk", "--disk", &image];
    let sim = ["sim", "blk", "--scenario", "depth"];
    for (arguments, name, number) in
        [(serve.as_slice(), "TERM", 15), (&serve, "HUP", 1), (&qemu, "INT", 2), (&sim, "TERM", 15)]
    {
        let _ = std::fs::remove_file(&pid);
        let mut command = program();
        command.args(arguments).env("XDG_CACHE_HOME", &cache).env("PATH", &path).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        until("Verilator was not started", || pid.exists());
        let grandchild = std::fs::read_to_string(&pid).unwrap();
        signal(&child, name);
        let status = wait(&mut child);
        assert_eq!(status.signal(), Some(number), "{arguments:?}: {status}");
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(errors.contains(&format!("ended by SIG{name}")), "{errors}");
        until("Verilator still runs", || {
            // A zombie is nobody's child here that would be waited for.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", grandchild.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        });
        assert!(!Path::new(socket).exists(), "the socket is left");
        // Verilator's own code, compiled, is kept for all models.
        let folders = std::fs::read_dir(cache.join("virtio-hdl")).unwrap().map(|entry| entry.unwrap());
        let left: Vec<_> = folders.filter(|entry| entry.file_type().unwrap().is_dir()).collect();
        assert!(left.iter().all(|entry| entry.file_name().to_string_lossy().starts_with("runtime-")), "{left:?}");
    }
}

#[test]
fn a_signal_ends_a_server_whose_output_nobody_reads() {
    use std::os::unix::process::ExitStatusExt as _;
    let disk = Ext4::new(45);
    let folder = tempfile::tempdir().unwrap();
    let (fifo, socket) = (folder.path().join("fifo"), folder.path().join("socket"));
    run(Command::new("mkfifo").arg(&fifo));
    let mut command = program();
    command.args(["serve", "blk", "--socket"]).arg(&socket).arg("--tlp-log").arg(&fifo).arg("--disk").arg(disk.path());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    until("there is no socket", || socket.exists());
    signal(&child, "TERM");
    assert_eq!(wait(&mut child).signal(), Some(15));
    assert!(!socket.exists());
}

/// Its loop waits for the reader of the trace, and cannot see the signal.
#[test]
fn a_signal_ends_a_server_whose_loop_does_not_come_round() {
    use std::os::unix::process::ExitStatusExt as _;
    let disk = Ext4::new(47);
    let folder = tempfile::tempdir().unwrap();
    let (fifo, socket) = (folder.path().join("fifo"), folder.path().join("socket"));
    run(Command::new("mkfifo").arg(&fifo));
    // open for reading too, so that nobody waits for a reader; and then nobody reads
    let _pipe = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
    let mut command = program();
    command.args(["serve", "blk", "--socket"]).arg(&socket).arg("--vcd").arg(&fifo).arg("--disk").arg(disk.path());
    let mut child = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    until("there is no socket", || socket.exists());
    // QEMU looks at the whole configuration space when it starts, which makes more of a trace than the pipe takes
    let mut qemu = virtio_hdl_tests::guest::qemu().command();
    qemu.args(["-machine", "q35", "-m", "64", "-display", "none", "-nodefaults", "-S", "-device"]);
    let mut qemu = qemu.arg(vfio_user_pci(&socket, &[])).stderr(Stdio::null()).spawn().unwrap();
    // write(2) is system call 1 of x86-64, 64 of Arm
    let call = || std::fs::read_to_string(format!("/proc/{0}/task/{0}/syscall", child.id())).unwrap_or_default();
    until("the trace does not fill the pipe", || call().starts_with("1 ") || call().starts_with("64 "));
    signal(&child, "TERM");
    assert_eq!(wait(&mut child).signal(), Some(15));
    assert!(!socket.exists());
    let _ = qemu.kill();
    let _ = qemu.wait();
}

#[test]
fn a_capture_or_an_image_that_is_a_pipe_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    run(Command::new("mkfifo").arg(&fifo));
    let fifo = fifo.to_str().unwrap();
    let capture = format!("pcap:{fifo}");
    for (arguments, message) in [
        (["serve", "net", "--socket", "/nowhere/socket", "--net", &capture], "it is not a file"),
        (["serve", "blk", "--socket", "/nowhere/socket", "--disk", fifo], "is neither a file nor a block device"),
    ] {
        let mut child = program().args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        assert_eq!(wait(&mut child).code(), Some(1));
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(errors.contains(message), "{errors}");
    }
}

#[test]
fn a_signal_ends_qemu_too_with_a_shell_and_with_a_job() {
    let disk = Ext4::new(46);
    let folder = tempfile::tempdir().unwrap();
    let (qemu, pid) = (folder.path().join("qemu"), folder.path().join("pid"));
    // A QEMU that does not listen to SIGTERM, as one does not that waits for its device.
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in\n--version) echo QEMU emulator version 11.0.0 ;;\n*help) echo vfio-user-pci options ;;\n\
         *) trap '' TERM HUP; echo $$ >{0}.new; mv {0}.new {0}; exec sleep 1000 ;;\nesac\n",
        pid.display()
    );
    script(&qemu, &text);
    for arguments in [["--shell"].as_slice(), &[]] {
        let _ = std::fs::remove_file(&pid);
        let mut command = program();
        command.args(["qemu", "blk"]).args(arguments).arg("--qemu").arg(&qemu).arg("--disk").arg(disk.path());
        command.env("TMPDIR", folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        until("QEMU was not started", || pid.exists());
        signal(&child, "TERM");
        assert_eq!(wait(&mut child).code(), Some(1));
        let mut errors = String::new();
        child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(errors.contains("error: ended by SIGTERM before the guest was at its end"), "{errors}");
        let process = std::fs::read_to_string(&pid).unwrap();
        assert!(!Path::new("/proc").join(process.trim()).exists(), "QEMU still runs");
        let mut left: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["pid", "qemu"], "nothing else stays");
    }
}

#[test]
fn a_guest_goes_on_when_its_trace_cannot_be_written() {
    let disk = Ext4::new(47);
    let serve = Serve::start_with(&disk.path(), &["--tlp-log", "/dev/full"]);
    let mut guest = serve.boot(guest("copy /dev/vda"));
    guest.wait(TIMEOUT).unwrap().job().unwrap_or_else(|error| panic!("{error}"));
    serve.signal("TERM");
    let (code, output, errors) = serve.end();
    assert_eq!(code, Some(1), "{errors}");
    assert!(errors.contains("a trace ends here, all else goes on"), "{errors}");
    assert!(errors.contains("error: cannot write the trace: /dev/full: No space left on device"), "{errors}");
    assert!(output.contains("disk commands"), "{output}");
    disk.check();
}

#[test]
fn writes_of_a_driver_without_flush_are_permanent_when_they_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let job = folder.path().join("job.sh");
    std::fs::write(
        &job,
        "cat /sys/block/vda/queue/write_cache; dd if=/dev/zero of=/dev/vda bs=4k count=20 oflag=direct\n",
    )
    .unwrap();
    let flushes = |config: &str, mode: &str| {
        let disk = Ext4::new(48);
        let mut command = program();
        command.args(["qemu", config, "--json", "--job"]).arg(&job).arg("--disk").arg(disk.path());
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.contains(mode), "{errors}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["endpoint"]["disk_flushes"].as_u64().unwrap()
    };
    assert!(flushes("blk-plain", "write through") >= 20, "each of the writes");
    assert!(flushes("blk", "write back") < 10, "where the driver says when");
}

#[test]
fn a_command_that_waits_for_a_model_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (cache, pid) = (folder.path().join("cache"), folder.path().join("pid"));
    std::fs::create_dir(folder.path().join("bin")).unwrap();
    never_done(&folder.path().join("bin/verilator"), &pid);
    let path = format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").unwrap());
    let start = |errors: &str| {
        let mut command = program();
        command.args(["sim", "blk", "--scenario", "depth"]).env("XDG_CACHE_HOME", &cache).env("PATH", &path);
        command.stderr(std::fs::File::create(folder.path().join(errors)).unwrap()).spawn().unwrap()
    };
    let said = |errors: &str| std::fs::read_to_string(folder.path().join(errors)).unwrap();
    let mut first = start("first");
    until("Verilator was not started", || pid.exists());
    let mut second = start("second");
    let waits = "waiting for another process, which builds the model of virtio_blk";
    let ended = Instant::now() + PROMPT;
    until("it says nothing", || said("second").contains(waits) || Instant::now() > ended);
    for child in [&mut second, &mut first] {
        signal(child, "TERM");
        wait(child);
    }
    assert!(said("second").contains(waits), "{}", said("second"));
    assert!(said("first").contains("building the model of virtio_blk"), "{}", said("first"));
}

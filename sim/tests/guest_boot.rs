//! A stock QEMU and Debian's kernels: fetched, booted, with QEMU's own virtio-blk.
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use virtio_hdl::guest::{
    busybox, DebianOptions, FindOptions, Guest, GuestError, Initramfs, Kernel, MachineType, Memory, Qemu, BLK_MODULES,
};

/// Far more than it takes.
const LONG: Duration = Duration::from_secs(60);

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn qemu() -> Result<Qemu> {
    Ok(Qemu::find(&FindOptions::default())?)
}

/// A kernel with nothing but busybox, and a job or a shell.
fn linux(job: Option<&str>) -> Result<(Kernel, Vec<u8>)> {
    let debian = DebianOptions::default();
    let kernel = Kernel::debian("bookworm", &debian)?;
    let initramfs = Initramfs::new(&kernel, &busybox(&debian)?)?;
    let initramfs = match job {
        Some(job) => initramfs.job(job),
        None => initramfs,
    };
    let initramfs = initramfs.build()?;
    Ok((kernel, initramfs))
}

/// A kernel with everything for virtio-blk and ext4.
fn linux_with_disk(suite: &str, job: &str) -> Result<(Kernel, Vec<u8>)> {
    linux_that_waits(suite, job, 30)
}

fn linux_that_waits(suite: &str, job: &str, seconds: u32) -> Result<(Kernel, Vec<u8>)> {
    let debian = DebianOptions::default();
    let kernel = Kernel::debian(suite, &debian)?;
    let initramfs = Initramfs::new(&kernel, &busybox(&debian)?)?
        .modules(BLK_MODULES)
        .wait_at_most("/dev/vda", seconds)
        .job(job)
        .build()?;
    Ok((kernel, initramfs))
}

/// An ext4 image with a file `hello`.
fn image(folder: &TempDir) -> Result<String> {
    let content = folder.path().join("content");
    std::fs::create_dir(&content)?;
    std::fs::write(content.join("hello"), "hello from the host\n")?;
    let image = folder.path().join("disk.img");
    tool(Command::new("mkfs.ext4").args(["-q", "-d"]).arg(&content).arg(&image).arg("16M"))?;
    Ok(image.display().to_string())
}

fn tool(command: &mut Command) -> Result<String> {
    let path = std::env::var("PATH")?;
    let output = command.env("PATH", format!("{path}:/usr/sbin:/sbin")).output()?;
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(format!("{command:?}: {said}").into()),
    }
}

fn with_disk<'a>(guest: Guest<'a>, image: &str) -> Guest<'a> {
    guest
        .argument("-drive")
        .argument(format!("if=none,id=disk,format=raw,file={image}"))
        .device("virtio-blk-pci,disable-modern=on,drive=disk")
}

/// Mounts the disk, reads a file, writes one.
const JOB: &str = "set -e
mount -t ext4 /dev/vda /mnt
cat /mnt/hello
echo hello from Linux $(uname -r) on $(nproc) >/mnt/answer
sync
umount /mnt";

fn mounts_reads_and_writes(suite: &str, version: &str, cpus: u32, change: fn(Guest) -> Guest) -> Result {
    let folder = TempDir::new()?;
    let image = image(&folder)?;
    let (kernel, initramfs) = linux_with_disk(suite, JOB)?;
    assert!(kernel.version.starts_with(version), "{}", kernel.version);
    let started = Instant::now();
    let qemu = qemu()?;
    let guest = change(Guest::new(&qemu).kernel(&kernel, initramfs).cpus(cpus));
    let ended = with_disk(guest, &image).start(|_| {})?.wait(LONG)?;
    ended.job()?;
    println!("Linux {}: init at {:?}, end after {:.1?}", kernel.version, ended.init_seconds(), started.elapsed());
    assert!(ended.console.contains("hello from the host\n"), "{}", ended.console);
    assert!(ended.init_seconds().is_some_and(|seconds| seconds > 0.1), "{}", ended.console);
    let answer = tool(Command::new("debugfs").args(["-R", "cat /answer", &image]))?;
    assert!(answer.contains(&format!("hello from Linux {} on {cpus}\n", kernel.version)), "{answer}");
    tool(Command::new("e2fsck").args(["-f", "-n", &image]))?;
    Ok(())
}

#[test]
fn linux_6_1_on_q35() -> Result {
    mounts_reads_and_writes("bookworm", "6.1.", 1, |guest| guest)
}

#[test]
fn linux_6_12_on_pc_with_two_cpus_and_memory_of_qemus_own() -> Result {
    mounts_reads_and_writes("trixie", "6.12.", 2, |guest| guest.machine(MachineType::Pc).memory(Memory::Anonymous, 300))
}

#[test]
fn memory_is_shared_unless_asked_otherwise() -> Result {
    for (memory, share) in [(Memory::Shared, "shared"), (Memory::Unshared, "private")] {
        let qemu = qemu()?;
        let mut guest = Guest::new(&qemu).memory(memory, 64).argument("-S").start(|_| {})?;
        let deadline = Instant::now() + LONG;
        let maps = loop {
            let maps = std::fs::read_to_string(format!("/proc/{}/maps", guest.pid()))?;
            if let Some(line) = maps.lines().find(|line| line.contains("memfd:memory-backend-memfd")) {
                break line.to_string();
            }
            assert!(Instant::now() < deadline, "QEMU maps no memfd:\n{maps}");
        };
        let expected = if share == "shared" { "rw-s" } else { "rw-p" };
        assert!(maps.contains(expected), "{memory:?}: {maps}");
        guest.kill()?;
    }
    Ok(())
}

#[test]
fn lines_of_the_console_are_handed_over_as_they_come() -> Result {
    let (kernel, initramfs) = linux(Some("echo one; echo; printf two"))?;
    let (send, receive) = mpsc::channel();
    let qemu = qemu()?;
    let mut guest =
        Guest::new(&qemu).kernel(&kernel, initramfs).start(move |line| drop(send.send(line.to_string())))?;
    guest.wait(LONG)?.job()?;
    let lines: Vec<_> = receive.iter().collect();
    let one = lines.iter().position(|line| line == "one").ok_or("no line")?;
    assert_eq!(lines[one + 1], "twovirtio-hdl: job exit 0");
    Ok(())
}

#[test]
fn a_job_that_fails_is_reported() -> Result {
    let (kernel, initramfs) = linux(Some("echo the job begins; exit 3"))?;
    let ended = Guest::new(&qemu()?).kernel(&kernel, initramfs).start(|_| {})?.wait(LONG)?;
    assert_eq!(ended.job_exit(), Some(3));
    let error = ended.job().err().ok_or("not reported")?.to_string();
    assert!(error.contains("exit code 3") && error.contains("the job begins"), "{error}");
    Ok(())
}

#[test]
fn a_panic_is_reported() -> Result {
    let (kernel, initramfs) = linux(Some("true"))?;
    let qemu = qemu()?;
    let guest = Guest::new(&qemu).kernel(&kernel, initramfs).append("rdinit=/nothing root=/dev/nothing");
    let error = guest.start(|_| {})?.wait(LONG)?.job().err().ok_or("not reported")?.to_string();
    assert!(error.contains("before the guest was at the end of its job") && error.contains("Kernel panic"), "{error}");
    Ok(())
}

#[test]
fn what_qemu_refuses_is_reported() -> Result {
    let qemu = qemu()?;
    let error = Guest::new(&qemu).device("no-such-device").start(|_| {})?.wait_for("anything", LONG);
    let error = error.err().ok_or("not reported")?.to_string();
    assert!(
        error.contains("exit status: 1") && error.contains("'no-such-device' is not a valid device model"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_missing_disk_is_reported_on_the_console() -> Result {
    let (kernel, initramfs) = linux_that_waits("bookworm", "echo no matter", 1)?;
    let qemu = qemu()?;
    let mut guest = Guest::new(&qemu).kernel(&kernel, initramfs).start(|_| {})?;
    guest.wait_for("virtio-hdl: no /dev/vda at ", LONG)?;
    guest.wait(LONG)?.job()?;
    Ok(())
}

#[test]
fn a_guest_reboots_if_it_may() -> Result {
    let job = "if [ $(dd if=/dev/vda bs=6 count=1 2>/dev/null) = second ]; then echo this is the second time; exit; fi
echo second | dd of=/dev/vda conv=fsync 2>/dev/null
echo rebooting
sync
stty echo
reboot -f";
    let (kernel, initramfs) = linux_with_disk("bookworm", job)?;
    for may in [true, false] {
        let folder = TempDir::new()?;
        let image = folder.path().join("disk.img");
        std::fs::write(&image, vec![b'-'; 65536])?;
        let qemu = qemu()?;
        let guest = Guest::new(&qemu).kernel(&kernel, initramfs.clone());
        let guest = if may { guest.reboots() } else { guest };
        let ended = with_disk(guest, &image.display().to_string()).start(|_| {})?.wait(LONG)?;
        assert!(ended.console.contains("rebooting"), "{}", ended.console);
        assert_eq!(ended.console.contains("this is the second time"), may, "{}", ended.console);
        assert_eq!(ended.job_exit(), may.then_some(0));
    }
    Ok(())
}

#[test]
fn the_shell_has_job_control() -> Result {
    let (kernel, initramfs) = linux(None)?;
    let qemu = qemu()?;
    let mut guest = Guest::new(&qemu).kernel(&kernel, initramfs).start(|_| {})?;
    guest.wait_for("/ # ", LONG)?;
    // The job itself says that it runs. If the shell did, the signal could come while it forks, and be lost.
    guest.send("sh -c 'echo sleeping $((6 * 7)); exec sleep 1000'\n")?;
    guest.wait_for("sleeping 42\n", LONG)?;
    // Without a controlling terminal this would interrupt nothing.
    guest.send("\x03")?;
    // A "^C" in front of the prompt comes only if the shell has not switched echo off by then.
    let deadline = Instant::now() + LONG;
    while !guest.console().split("sleeping 42\n").nth(1).is_some_and(|said| said.contains("\n/ # ")) {
        assert!(Instant::now() < deadline, "{}", guest.console());
        std::thread::sleep(Duration::from_millis(10));
    }
    guest.send("echo awake $((6 * 7)); exit\n")?;
    guest.wait_for("awake 42\n", LONG)?;
    assert!(guest.wait(LONG)?.status.success());
    Ok(())
}

/// Whether a process is there and no zombie.
fn lives(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[test]
fn a_guest_that_does_not_end_times_out_and_is_killed_when_dropped() -> Result {
    let (kernel, initramfs) = linux(Some("echo sleeping; sleep 1000"))?;
    let qemu = qemu()?;
    let mut guest = Guest::new(&qemu).kernel(&kernel, initramfs).start(|_| {})?;
    guest.wait_for("sleeping", LONG)?;
    let Err(GuestError::Timeout { console, .. }) = guest.wait(Duration::from_millis(50)) else {
        return Err("no timeout".into());
    };
    assert!(console.contains("virtio-hdl: init at"), "{console}");
    let pid = guest.pid();
    assert!(lives(pid));
    drop(guest);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    Ok(())
}

/// This test program again, at one of the helpers below.
struct Helper {
    child: Child,
    output: mpsc::Receiver<String>,
    said: String,
}

impl Helper {
    fn start(name: &str) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--exact", name, "--ignored", "--nocapture"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut stdout = child.stdout.take().ok_or("no output")?;
        let (send, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                let _ = send.send(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        });
        Ok(Helper { child, output, said: String::new() })
    }

    /// Waits for its output, and gives the rest of that line.
    fn wait_for(&mut self, text: &str) -> Result<&str> {
        let after = loop {
            match self.said.split_once(text) {
                Some((before, rest)) if rest.contains('\n') || text.ends_with(' ') => break before.len() + text.len(),
                _ => {}
            }
            let more = self.output.recv_timeout(LONG);
            self.said += &more.map_err(|error| format!("{text:?}: {error} after\n{}", self.said))?;
        };
        Ok(self.said[after..].lines().next().unwrap_or_default())
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "started by a_guest_ends_with_the_process_that_started_it"]
fn helper_starts_a_guest_and_waits() -> Result {
    let qemu = qemu()?;
    let mut guest = Guest::new(&qemu).argument("-S").start(|_| {})?;
    println!("\nstarted {}", guest.pid());
    guest.wait(LONG)?;
    Ok(())
}

#[test]
fn a_guest_ends_with_the_process_that_started_it() -> Result {
    let mut starter = Helper::start("helper_starts_a_guest_and_waits")?;
    let pid: u32 = starter.wait_for("\nstarted")?.trim().parse()?;
    // QEMU has read its options when its memory is there.
    let deadline = Instant::now() + LONG;
    while !std::fs::read_to_string(format!("/proc/{pid}/maps"))?.contains("memfd:memory-backend") {
        assert!(Instant::now() < deadline);
    }
    drop(starter);
    while lives(pid) {
        assert!(Instant::now() < deadline, "QEMU {pid} outlived the process that started it");
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

#[test]
#[ignore = "started by the_terminal_is_the_guests_console"]
fn helper_runs_a_shell_on_the_terminal() -> Result {
    let (kernel, initramfs) = linux(None)?;
    let qemu = qemu()?;
    let ended = Guest::new(&qemu).kernel(&kernel, initramfs).start_on_terminal()?.wait(LONG)?;
    println!("\nguest ended: {}", ended.status);
    Ok(())
}

#[test]
fn the_terminal_is_the_guests_console() -> Result {
    let mut helper = Helper::start("helper_runs_a_shell_on_the_terminal")?;
    helper.wait_for("/ # ")?;
    helper.child.stdin.take().ok_or("no input")?.write_all(b"echo answer $((6 * 7)); exit\n")?;
    assert_eq!(helper.wait_for("\nanswer")?.trim(), "42");
    assert_eq!(helper.wait_for("guest ended:")?.trim(), "exit status: 0");
    Ok(())
}

//! One run of QEMU: its arguments, its console, its end.
use super::error::GuestError;
use super::kernel::Kernel;
use super::processor::Processor;
use super::qemu::Qemu;
use crate::leftovers::Leftover;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::process::{kill_process, pidfd_open, Pid, PidfdFlags, Signal};
use rustix::termios::{tcgetattr, tcsetattr, OptionalActions, Termios};
use std::ffi::OsString;
use std::io::{self, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// QEMU takes no longer to end when it is told to; a guest that does not let go of it is not waited for.
const END: Duration = Duration::from_millis(300);

/// Which machine QEMU is.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum MachineType {
    /// A PC with PCI Express.
    #[default]
    Q35,
    /// A PC with PCI only.
    Pc,
    /// QEMU's own board for an Arm, with PCI Express. QEMU's `gic-version` says how devices interrupt.
    Virt,
}

/// How the guest's memory is made.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Memory {
    /// A memfd that other processes can map: a device outside QEMU reaches it at once.
    #[default]
    Shared,
    /// A memfd that they can map but see nothing in: a common mistake.
    Unshared,
    /// Memory of QEMU's own: a device outside QEMU has to ask for every byte.
    Anonymous,
}

/// A run of QEMU in the making.
#[derive(Debug)]
pub struct Guest<'a> {
    qemu: &'a Qemu,
    machine: MachineType,
    memory: Memory,
    mebibytes: u32,
    cpus: u32,
    kvm: bool,
    reboots: bool,
    kernel: Option<(Kernel, Vec<u8>)>,
    append: String,
    arguments: Vec<OsString>,
}

impl<'a> Guest<'a> {
    /// A q35, for an Arm a virt, with one processor, emulated, and 256 MiB of shared memory, which boots from its first disk.
    pub fn new(qemu: &'a Qemu) -> Self {
        Guest {
            qemu,
            machine: match qemu.processor() {
                Processor::X86_64 => MachineType::Q35,
                Processor::Aarch64 => MachineType::Virt,
            },
            memory: Memory::default(),
            mebibytes: 256,
            cpus: 1,
            kvm: false,
            reboots: false,
            kernel: None,
            append: String::new(),
            arguments: Vec::new(),
        }
    }

    /// Another machine.
    pub fn machine(mut self, machine: MachineType) -> Self {
        self.machine = machine;
        self
    }

    /// Memory of another kind or size.
    pub fn memory(mut self, memory: Memory, mebibytes: u32) -> Self {
        (self.memory, self.mebibytes) = (memory, mebibytes);
        self
    }

    /// More processors.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Uses KVM; see [`Qemu::kvm_works`].
    pub fn kvm(mut self, kvm: bool) -> Self {
        self.kvm = kvm;
        self
    }

    /// Lets the guest reboot. Otherwise a reboot ends QEMU, and so does a panic; with this a panic stands still.
    pub fn reboots(mut self) -> Self {
        self.reboots = true;
        self
    }

    /// Boots this kernel with this [initramfs](super::Initramfs::build).
    pub fn kernel(mut self, kernel: &Kernel, initramfs: Vec<u8>) -> Self {
        self.kernel = Some((kernel.clone(), initramfs));
        self
    }

    /// More for the kernel's command line.
    pub fn append(mut self, append: &str) -> Self {
        self.append = format!("{} {append}", self.append);
        self
    }

    /// A device, as `-device` takes it.
    pub fn device(self, device: impl Into<OsString>) -> Self {
        self.argument("-device").argument(device)
    }

    /// Another argument of QEMU's.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Starts QEMU, and hands every line of the console to `each_line`. The thread that starts it has to live as long
    /// as the guest: QEMU ends with it.
    pub fn start(self, each_line: impl FnMut(&str) + Send + 'static) -> Result<Running, GuestError> {
        let (mut command, initramfs) = self.command()?;
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", "-monitor", "none"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::new(command, initramfs, Box::new(each_line))
    }

    /// Starts QEMU with the guest's console on this terminal; `Ctrl-A X` ends it. [`Running`] has no text of it.
    pub fn start_on_terminal(self) -> Result<Running, GuestError> {
        let (mut command, initramfs) = self.command()?;
        command.args(["-serial", "mon:stdio"]);
        let terminal = tcgetattr(io::stdin()).ok();
        let mut running = Running::new(command, initramfs, Box::new(|_| {}))?;
        running.terminal = terminal;
        Ok(running)
    }

    /// QEMU with all its arguments, and a file that they name.
    fn command(&self) -> Result<(Command, Option<(NamedTempFile, Leftover)>), GuestError> {
        let mut command = self.qemu.command();
        command.args(self.qemu.end_with_parent());
        // A display would be the console of the firmware; without one it writes nothing on the serial line.
        command.args(["-nodefaults", "-no-user-config", "-display", "none"]);
        let machine = match self.machine {
            MachineType::Q35 => "q35",
            MachineType::Pc => "pc",
            MachineType::Virt => "virt",
        };
        let size = self.mebibytes;
        command.arg("-m").arg(format!("{size}M"));
        match self.memory {
            Memory::Anonymous => {
                command.args(["-machine", machine]);
            }
            Memory::Shared | Memory::Unshared => {
                let share = if self.memory == Memory::Shared { "on" } else { "off" };
                command.arg("-object").arg(format!("memory-backend-memfd,id=memory,size={size}M,share={share}"));
                command.arg("-machine").arg(format!("{machine},memory-backend=memory"));
            }
        }
        command.arg("-smp").arg(self.cpus.to_string());
        match self.kvm {
            true => command.args(["-accel", "kvm", "-cpu", "host"]),
            false => command.args(["-accel", "tcg"]),
        };
        if self.machine == MachineType::Virt && !self.kvm {
            // By default the board has one of 32 bits.
            command.args(["-cpu", "cortex-a57"]);
        }
        let mut file = None;
        if let Some((kernel, initramfs)) = &self.kernel {
            let written = NamedTempFile::new().and_then(|mut file| file.write_all(initramfs).map(|()| file));
            let written = written.map_err(GuestError::io("write the initramfs to a temporary file"))?;
            let leftover = Leftover::path(written.path());
            let (initramfs, _) = file.insert((written, leftover));
            // -1: reboot at once, which ends QEMU with -no-reboot; 0: stand still
            let panic = if self.reboots { 0 } else { -1 };
            let console = match self.machine {
                MachineType::Q35 | MachineType::Pc => "ttyS0",
                MachineType::Virt => "ttyAMA0",
            };
            let image = kernel.image_for(self.machine, self.kvm, &self.arguments);
            // Without the kernel's tests of its own ciphers, which take an emulated processor a fifth of a boot.
            let append = format!("console={console} quiet panic={panic} reboot=t cryptomgr.notests{}", self.append);
            command.arg("-kernel").arg(image).arg("-initrd").arg(initramfs.path()).arg("-append").arg(append);
        }
        if !self.reboots {
            command.arg("-no-reboot");
        }
        command.args(&self.arguments);
        Ok((command, file))
    }
}

/// A guest at work; dropping it ends it.
pub struct Running {
    child: Child,
    console: Arc<Console>,
    readers: Vec<JoinHandle<()>>,
    /// How many readers there were at the start.
    outputs: usize,
    /// QEMU maps it.
    _initramfs: Option<(NamedTempFile, Leftover)>,
    /// How the terminal was before QEMU had it.
    terminal: Option<Termios>,
    leftover: Option<Leftover>,
}

/// What the guest and QEMU said.
#[derive(Default)]
struct Console {
    state: Mutex<Said>,
    changed: Condvar,
}

#[derive(Default)]
struct Said {
    /// What the guest wrote on its console.
    console: String,
    /// What QEMU wrote on its standard error.
    errors: String,
    /// How many of the two have come to their ends.
    readers_done: usize,
}

impl Console {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn change(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `done`, or until the time has passed.
    fn wait(&self, deadline: Instant, mut done: impl FnMut(&Said) -> bool) -> bool {
        let mut said = self.lock();
        while !done(&said) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            said = match self.changed.wait_timeout(said, left) {
                Ok((said, _)) => said,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        true
    }
}

/// A guest that has come to its end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// QEMU's exit status.
    pub status: ExitStatus,
    /// All that was on the console.
    pub console: String,
    /// All that QEMU said itself.
    pub errors: String,
}

impl Running {
    fn new(
        mut command: Command,
        initramfs: Option<(NamedTempFile, Leftover)>,
        each_line: Box<dyn FnMut(&str) + Send>,
    ) -> Result<Self, GuestError> {
        let mut child = command.spawn().map_err(GuestError::io("start QEMU"))?;
        let leftover = Leftover::program(&child);
        let console = Arc::new(Console::default());
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            let (console, mut lines) = (Arc::clone(&console), Lines { pending: String::new(), each: each_line });
            readers.push(reader(output, move |text| {
                console.change(|said| match text {
                    Some(text) => said.console += text,
                    None => said.readers_done += 1,
                });
                lines.add(text.unwrap_or("\n"));
            }));
        }
        if let Some(errors) = child.stderr.take() {
            let console = Arc::clone(&console);
            readers.push(reader(errors, move |text| {
                console.change(|said| match text {
                    Some(text) => said.errors += text,
                    None => said.readers_done += 1,
                });
            }));
        }
        Ok(Running { child, console, outputs: readers.len(), readers, _initramfs: initramfs, terminal: None, leftover })
    }

    /// The console so far, without carriage returns.
    pub fn console(&self) -> String {
        self.console.lock().console.clone()
    }

    /// QEMU's process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types on the console.
    pub fn send(&mut self, text: &str) -> Result<(), GuestError> {
        let Some(input) = &mut self.child.stdin else { return Ok(()) };
        input
            .write_all(text.as_bytes())
            .and_then(|()| input.flush())
            .map_err(GuestError::io("write to the guest's console"))
    }

    /// Waits until this text is on the console.
    pub fn wait_for(&mut self, text: &str, timeout: Duration) -> Result<(), GuestError> {
        let all = self.outputs;
        let deadline = Instant::now() + timeout;
        let stopped = self.console.wait(deadline, |said| said.console.contains(text) || said.readers_done == all);
        if self.console.lock().console.contains(text) {
            return Ok(());
        }
        let what = format!("as far as {text:?}");
        match stopped {
            true => Err(self.collect()?.early(&what)),
            false => Err(GuestError::Timeout { what, after: timeout, console: self.console() }),
        }
    }

    /// Waits for the end of QEMU. After a timeout the guest still runs.
    pub fn wait(&mut self, timeout: Duration) -> Result<Ended, GuestError> {
        let all = self.outputs;
        let deadline = Instant::now() + timeout;
        let silent = self.console.wait(deadline, |said| said.readers_done == all);
        if silent && self.ends_within(deadline.saturating_duration_since(Instant::now())) {
            return self.collect();
        }
        Err(GuestError::Timeout { what: "at its end".into(), after: timeout, console: self.console() })
    }

    /// Whether QEMU runs no more.
    pub fn has_ended(&self) -> bool {
        self.ends_within(Duration::ZERO)
    }

    /// Ends QEMU: it is told to, and killed if it does not hear.
    pub fn end(&mut self) -> Result<Ended, GuestError> {
        if let Some(pid) = self.process() {
            // It may end by itself just now.
            let _ = kill_process(pid, Signal::TERM);
        }
        match self.ends_within(END) {
            true => self.collect(),
            false => self.kill(),
        }
    }

    /// Ends QEMU at once, as if the power failed.
    pub fn kill(&mut self) -> Result<Ended, GuestError> {
        self.child.kill().map_err(GuestError::io("end QEMU"))?;
        if let Some(terminal) = &self.terminal {
            // QEMU had no time to.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, terminal);
        }
        self.collect()
    }

    fn process(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    fn ends_within(&self, timeout: Duration) -> bool {
        // One that has been waited for is there no more.
        let Some(process) = self.process().and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
            return true;
        };
        let timeout = Timespec::try_from(timeout).ok();
        rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&process, PollFlags::IN)], timeout.as_ref())) == Ok(1)
    }

    fn collect(&mut self) -> Result<Ended, GuestError> {
        let status = self.child.wait().map_err(GuestError::io("wait for QEMU"))?;
        self.leftover = None;
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let said = self.console.lock();
        Ok(Ended { status, console: said.console.clone(), errors: said.errors.clone() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Whether QEMU ended well and the job did too.
    pub fn job(&self) -> Result<(), GuestError> {
        match self.job_exit() {
            Some(0) if self.status.success() => Ok(()),
            Some(0) | None => Err(self.early("at the end of its job")),
            Some(code) => Err(GuestError::Job { code, console: self.console.clone() }),
        }
    }

    /// The exit code of the job, if it came to its end.
    pub fn job_exit(&self) -> Option<i32> {
        self.marker("virtio-hdl: job exit ")
    }

    /// Seconds from the kernel's start to that of the first process.
    pub fn init_seconds(&self) -> Option<f64> {
        self.marker("virtio-hdl: init at ")
    }

    /// The word behind the last place where this is on the console.
    fn marker<T: std::str::FromStr>(&self, before: &str) -> Option<T> {
        let (_, behind) = self.console.rsplit_once(before)?;
        behind.split_whitespace().next()?.parse().ok()
    }

    fn early(&self, what: &str) -> GuestError {
        GuestError::Ended { what: what.into(), status: self.status, said: format!("{}\n{}", self.console, self.errors) }
    }
}

/// Cuts text into lines; empty ones are left out.
struct Lines {
    pending: String,
    each: Box<dyn FnMut(&str) + Send>,
}

impl Lines {
    fn add(&mut self, text: &str) {
        self.pending += text;
        while let Some(end) = self.pending.find('\n') {
            if end > 0 {
                (self.each)(&self.pending[..end]);
            }
            self.pending.drain(..=end);
        }
    }
}

/// A thread that hands over text without carriage returns, and none at the end.
fn reader(mut from: impl Read + Send + 'static, mut take: impl FnMut(Option<&str>) + Send + 'static) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => take(Some(&String::from_utf8_lossy(&buffer[..length]).replace('\r', ""))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        take(None);
    })
}

//! The endpoint is exchanged, saved and restored under a running Linux, which copies files and sends frames meanwhile.
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_tests::{output, program};

/// A guest of `virtio-hdl qemu`, and its endpoint's control socket.
struct Guest {
    folder: tempfile::TempDir,
    child: Child,
    console: Lines<BufReader<ChildStdout>>,
    seen: String,
}

impl Guest {
    /// Starts this endpoint and this job, which says `booted`.
    fn start(endpoint: &[&str], job: &str, disk: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("job.sh"), job).unwrap();
        let mut command = program();
        command.arg("qemu").args(endpoint).arg("--job").arg(path("job.sh")).arg("--control").arg(path("control"));
        if disk {
            fs::File::create(path("disk.img")).unwrap().set_len(16 << 20).unwrap();
            assert!(Command::new("mkfs.ext4").arg("-q").arg(path("disk.img")).status().unwrap().success());
            command.arg("--disk").arg(path("disk.img"));
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let console = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut guest = Guest { folder, child, console, seen: String::new() };
        guest.says("booted");
        guest
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reads on until the guest says so.
    #[track_caller]
    fn says(&mut self, what: &str) {
        for line in self.console.by_ref().map_while(Result::ok) {
            self.seen += &(line.clone() + "\n");
            if line.contains(what) {
                return;
            }
        }
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        panic!("the guest never says {what}:\n{}\n{errors}", self.seen);
    }

    /// `virtio-hdl ctl`.
    #[track_caller]
    fn ctl(&self, arguments: &[&str]) -> String {
        let done = output(program().arg("ctl").arg(self.path("control")).args(arguments).current_dir(&self.folder));
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Ten times at random moments: the endpoint stands still, its state is saved, it is reset, and has it restored; another one takes its
    /// place; or both.
    fn disturb(&self, others: &[&[&str]], seed: u64) {
        let mut moments = Rng(seed);
        let pause = |moments: &mut Rng| std::thread::sleep(Duration::from_millis(moments.below(150)));
        for turn in 0..10 {
            pause(&mut moments);
            assert_eq!(self.ctl(&["freeze"]), "still: true\n");
            self.ctl(&["save", "saved"]);
            self.ctl(&["restore", "saved"]);
            if turn % 3 == 0 {
                // in which the guest finds nobody
                pause(&mut moments);
            }
            self.ctl(&["thaw"]);
            if turn % 2 == 0 {
                pause(&mut moments);
                self.ctl(&[&["reload"], others[turn / 2 % others.len()]].concat());
            }
        }
    }

    /// Reads on to the end.
    fn ends(mut self) -> String {
        self.console.by_ref().map_while(Result::ok).for_each(|line| self.seen += &(line + "\n"));
        let mut errors = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}\n{errors}", self.seen);
        let told = format!("{}\n{errors}", self.seen);
        for wrong in ["WRONG", "LOST", "against the rules", "without an answer", "WARN", "I/O error", "hung"] {
            assert!(!told.contains(wrong), "{told}");
        }
        told
    }
}

/// Copies and compares until the disk grows. Another width of the same hard block takes the place of the first, and comes back.
#[test]
fn a_guest_copies_while_its_disk_is_exchanged() {
    // as `virtio_hdl_tests::blocks::behind` has them, whose models are there
    let of = |name| [name, "--set", "link.clock_hz=250000000", "--set", "completion_timeout_us=50"];
    let (narrow, wide) = (of("blk@7-series-64"), of("blk@7-series-128"));
    let job = r#"
        mount -t ext4 /dev/vda /mnt
        size=$(cat /sys/block/vda/size)
        echo booted
        while [ $(cat /sys/block/vda/size) = $size ]; do
            dd if=/dev/urandom of=/mnt/data bs=64k count=16 conv=fsync 2>/dev/null || echo WRONG
            before=$(md5sum /mnt/data)
            echo 3 >/proc/sys/vm/drop_caches
            [ "$before" = "$(md5sum /mnt/data)" ] || echo WRONG
            round=$((round + 1))
        done
        umount /mnt
        echo "copied $round times"
        "#;
    let guest = Guest::start(&narrow, job, true);
    guest.disturb(&[&wide, &narrow], 1);
    guest.ctl(&["capacity", "40960"]);
    let told = guest.ends();
    assert!(told.contains("copied"), "{told}");
}

/// Sends and receives until its plug is pulled and put back: no echo is lost, however long the card stood still.
#[test]
fn a_guest_pings_while_its_card_is_exchanged() {
    let job = r#"
        ip link set eth0 up
        udhcpc -q -n -i eth0 -s /bin/true >/dev/null 2>&1
        ip address add 10.0.2.15/24 dev eth0
        echo booted
        pulls() { cat /sys/class/net/eth0/carrier_changes; }
        before=$(pulls)
        undisturbed() { [ "$(pulls)" = "$before" ]; }
        while undisturbed; do
            ping -q -A -c 20 10.0.2.2 | grep -q ' 0% packet loss' || ! undisturbed || echo LOST
            wget -q -O /tmp/data http://10.0.2.2/random/65536/1 || ! undisturbed || echo WRONG
            round=$((round + 1))
        done
        echo "pinged $round times"
        "#;
    let guest = Guest::start(&["net"], job, false);
    guest.disturb(&[&["net"]], 2);
    // so that nothing waits for ever for an answer
    guest.ctl(&["link", "down"]);
    std::thread::sleep(Duration::from_millis(100));
    guest.ctl(&["link", "up"]);
    let told = guest.ends();
    assert!(told.contains("pinged"), "{told}");
}

//! The endpoint is exchanged, saved and restored under a running Linux, which copies files and sends frames meanwhile.
use std::process::Command;
use std::time::Duration;
use virtio_hdl_rtl::testing::Rng;
use virtio_hdl_tests::controlled::Guest;
use virtio_hdl_tests::guest::run;

/// Ten times at random moments: the endpoint stands still, its state is saved, it is reset, and has it restored; another one takes its
/// place; or both.
fn disturb(guest: &Guest, others: &[&[&str]], seed: u64) {
    let mut moments = Rng(seed);
    let pause = |moments: &mut Rng| std::thread::sleep(Duration::from_millis(moments.below(150)));
    for turn in 0..10 {
        pause(&mut moments);
        assert_eq!(guest.ctl(&["freeze"]), "still: true\n");
        guest.ctl(&["save", "saved"]);
        guest.ctl(&["restore", "saved"]);
        if turn % 3 == 0 {
            // in which the guest finds nobody
            pause(&mut moments);
        }
        guest.ctl(&["thaw"]);
        if turn % 2 == 0 {
            pause(&mut moments);
            guest.ctl(&[&["reload"], others[turn / 2 % others.len()]].concat());
        }
    }
}

/// Copies and compares until the disk grows. Another width of the same hard block takes the place of the first, and comes back.
#[test]
fn a_guest_copies_while_its_disk_is_exchanged() {
    // as `virtio_hdl_tests::blocks::behind` has them, whose models are there
    let of = |name| [name, "--set", "link.clock_hz=250000000", "--set", "completion_timeout_us=50"];
    let (narrow, wide) = (of("blk@7-series-64"), of("blk@7-series-128"));
    let image = tempfile::NamedTempFile::new().unwrap();
    image.as_file().set_len(16 << 20).unwrap();
    run(Command::new("mkfs.ext4").arg("-q").arg(image.path()));
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
    let guest = Guest::start(&[&narrow[..], &["--disk", &image.path().to_string_lossy()]].concat(), job);
    disturb(&guest, &[&wide, &narrow], 1);
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
    let guest = Guest::start(&["net"], job);
    disturb(&guest, &[&["net"]], 2);
    // so that nothing waits for ever for an answer
    guest.ctl(&["link", "down"]);
    std::thread::sleep(Duration::from_millis(100));
    guest.ctl(&["link", "up"]);
    let told = guest.ends();
    assert!(told.contains("pinged"), "{told}");
}

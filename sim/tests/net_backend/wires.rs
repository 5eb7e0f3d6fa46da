//! Loopback, sockets with two ends, TAP.
use crate::frame;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;
use virtio_hdl::backend::net::{Loopback, NetBackend, NetError, NetSpec, Socket, Tap};

const NOW: Duration = Duration::from_micros(17);

#[test]
fn a_loopback_gives_back_what_it_gets() {
    let mut plain = Loopback::new();
    let mut swapping = Loopback::swapping();
    for wire in [&mut plain, &mut swapping] {
        assert_eq!(wire.deadline(), None);
        wire.transmit(NOW, &frame(b"one"));
        wire.transmit(NOW, b"runt");
        assert_eq!(wire.deadline(), Some(NOW));
    }
    assert_eq!(plain.receive(NOW), Some(frame(b"one")));
    assert_eq!(swapping.receive(NOW).unwrap(), [&frame(b"")[6..12], &frame(b"")[..6], &frame(b"one")[12..]].concat());
    assert_eq!([plain.receive(NOW), swapping.receive(NOW)], [Some(b"runt".to_vec()), Some(b"runt".to_vec())]);
    assert_eq!((plain.receive(NOW), plain.deadline()), (None, None));
    (0..5000u16).for_each(|index| plain.transmit(NOW, &index.to_be_bytes()));
    assert_eq!(std::iter::from_fn(|| plain.receive(NOW)).count(), 1024, "and does not grow for ever");
}

/// Whether there is something to read soon.
fn readable(wire: &dyn NetBackend) -> bool {
    let descriptor = wire.as_fd().unwrap();
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&second)).unwrap() == 1
}

/// Frames go both ways between two ends.
fn talk(left: &mut dyn NetBackend, right: &mut dyn NetBackend) {
    assert_eq!((left.receive(NOW), right.receive(NOW)), (None, None));
    for bytes in [1, 46, 1500, 9000] {
        left.transmit(NOW, &frame(&vec![1; bytes]));
        right.transmit(NOW, &frame(&vec![2; bytes]));
        assert!(readable(left) && readable(right));
        assert_eq!(right.receive(NOW), Some(frame(&vec![1; bytes])));
        assert_eq!(left.receive(NOW), Some(frame(&vec![2; bytes])));
        assert_eq!((left.receive(NOW), right.receive(NOW)), (None, None));
    }
}

#[test]
fn unix_sockets_have_two_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let mut left = Socket::unix(&a, &b).unwrap();
    left.transmit(NOW, &frame(b"nobody is there yet"));
    assert_eq!(left.deadline(), None, "the frame is lost, as on any wire");
    let mut right = Socket::unix(&b, &a).unwrap();
    talk(&mut left, &mut right);

    // More than the system holds waits with us, and goes as the other end takes it.
    for index in 0..1000u16 {
        left.transmit(NOW, &frame(&index.to_be_bytes()));
    }
    for index in 0..1000u16 {
        assert_eq!(right.receive(NOW), Some(frame(&index.to_be_bytes())));
        assert_eq!(left.receive(NOW), None);
    }
    assert_eq!((right.receive(NOW), left.deadline()), (None, None));

    // An end that goes takes its file with it, and may come back.
    drop(right);
    assert!(!b.exists());
    left.transmit(NOW, &frame(b"nobody is there any more"));
    talk(&mut left, &mut Socket::unix(&b, &a).unwrap());
}

#[test]
fn a_peer_that_takes_nothing_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let mut left = Socket::unix(&a, &b).unwrap();
    let right = UnixDatagram::bind(&b).unwrap();
    (0..5000u16).for_each(|index| left.transmit(NOW, &frame(&index.to_be_bytes())));
    assert_eq!(left.deadline(), Some(NOW + Duration::from_micros(50)));
    right.set_nonblocking(true).unwrap();
    let mut taken = 0;
    let mut buffer = [0; 100];
    while let Ok(bytes) = right.recv(&mut buffer) {
        assert_eq!(buffer[..bytes], frame(&(taken as u16).to_be_bytes()), "in order");
        taken += 1;
        left.receive(NOW);
    }
    assert!((1024..5000).contains(&taken), "{taken}: some wait, the rest is lost");
}

#[test]
fn only_a_free_path_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    let refused = |path: &Path| Socket::unix(path, &b).unwrap_err().to_string();
    let first = Socket::unix(&a, &b).unwrap();
    let said = refused(&a);
    assert_eq!(said, format!("the socket {} is in use by another process; stop it, or take another path", a.display()));
    assert!(a.exists(), "the first one's socket is left alone");
    drop(first);

    // QEMU's end with `-netdev dgram` is such a socket.
    let other = UnixDatagram::bind(&a).unwrap();
    assert!(refused(&a).contains("is in use by another process"));
    drop(other);
    assert!(a.exists(), "the file of a dead process");
    drop(Socket::unix(&a, &b).unwrap());
    assert!(!a.exists());

    fs::write(&a, "a file").unwrap();
    assert!(refused(&a).ends_with("is there already and is not a socket; remove it, or take another path"));
    assert_eq!(fs::read(&a).unwrap(), b"a file");
    let said = refused(&folder.path().join("none/a"));
    assert!(said.starts_with("cannot make the socket /") && said.contains("No such file"), "{said}");
    assert!(refused(&folder.path().join("x".repeat(200))).contains("File name too long"));
}

#[test]
fn udp_sockets_have_two_ends() {
    // Two ports that are free, as far as one can know.
    let port = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let (a, b) = (port(), port());
    let (left, right) = (a.local_addr().unwrap(), b.local_addr().unwrap());
    let said = Socket::udp(left, right).unwrap_err().to_string();
    assert!(said.starts_with(&format!("cannot take {left} as the UDP address, which another process has: ")), "{said}");
    drop((a, b));
    let mut one = Socket::udp(left, right).unwrap();
    one.transmit(NOW, &frame(b"nobody is there yet"));
    one.transmit(NOW, &frame(b"nor now"));
    let mut two = Socket::udp(right, left).unwrap();
    talk(&mut one, &mut two);
    port().send_to(b"from somewhere else", left).unwrap();
    two.transmit(NOW, &frame(b"from the other end"));
    assert!(readable(&one));
    assert_eq!((one.receive(NOW), one.receive(NOW)), (Some(frame(b"from the other end")), None));
    let said = Socket::udp("192.0.2.1:5000".parse().unwrap(), right).unwrap_err().to_string();
    assert!(said.contains("192.0.2.1:5000 as the UDP address, which is not an address of this machine: "), "{said}");
}

#[test]
fn what_the_system_drops_is_counted() {
    let port = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let (flood, end) = (port(), port());
    let to = end.local_addr().unwrap();
    drop(end);
    let mut wire = Socket::udp(to, flood.local_addr().unwrap()).unwrap();
    let sent = 5000;
    for _ in 0..sent {
        flood.send_to(&[7; 1500], to).unwrap();
    }
    let received = std::iter::from_fn(|| wire.receive(NOW)).count() as u64;
    assert!(received < sent);
    assert_eq!(wire.lost().received, sent - received);
}

/// Whoever runs this may be allowed to or not: both are shown as far as they go.
#[test]
fn a_tap_interface_is_attached_to_or_it_is_said_why_not() {
    let name = format!("vh{}", std::process::id());
    match Tap::open(&name) {
        Ok(mut wire) => {
            assert!(Path::new("/sys/class/net").join(&name).exists(), "the interface is there");
            let said = Tap::open(&name).unwrap_err().to_string();
            assert!(said.contains("another process has it"), "{said}");
            // It is down: a frame is lost, and none comes.
            wire.transmit(NOW, &frame(b"lost"));
            assert!(wire.receive(NOW).is_none() && wire.as_fd().is_some() && wire.deadline().is_none());
            drop(wire);
            assert!(!Path::new("/sys/class/net").join(&name).exists(), "and goes with its owner");
            let mut wire = Tap::open(&name).unwrap();
            let deleted = std::process::Command::new("ip").args(["link", "delete", &name]).status();
            if deleted.is_ok_and(|status| status.success()) {
                assert!(wire.link_up());
                assert!(wire.receive(NOW).is_none());
                assert!(!wire.link_up() && wire.as_fd().is_none(), "nobody waits for what is gone");
                wire.transmit(NOW, &frame(b"lost"));
            }
            drop(wire);
            let said = Tap::open("lo").unwrap_err().to_string();
            assert!(said.contains("that is not a TAP interface"), "{said}");
        }
        Err(error) => {
            assert!(matches!(&error, NetError::Tap { name: tried, .. } if *tried == name));
            let said = error.to_string();
            let permission = said.contains(&format!("sudo ip tuntap add dev {name} mode tap user $USER"));
            let module = said.contains("sudo modprobe tun");
            assert!(permission || module, "{said}");
        }
    }
    let said = Tap::open("a-name-of-16-byt").unwrap_err().to_string();
    assert!(
        said.starts_with("cannot attach to the TAP interface a-name-of-16-byt: ") && said.contains("too long"),
        "{said}"
    );
}

#[test]
fn a_specification_opens_what_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let open = |text: &str| text.parse::<NetSpec>().unwrap().open();
    let mut left = open(&format!("unix:{},{}", path("a"), path("b"))).unwrap();
    let mut right = open(&format!("unix:{},{}", path("b"), path("a"))).unwrap();
    talk(&mut *left, &mut *right);
    let mut back = open("loopback,swap").unwrap();
    back.transmit(NOW, &frame(b"x"));
    assert_ne!(back.receive(NOW), Some(frame(b"x")));
    assert!(open("peer").unwrap().link_up());
    assert!(matches!(open("pcap:/nowhere"), Err(NetError::Capture { .. })));
    assert!(matches!(open(&format!("unix:{},{}", path("b"), path("a"))), Err(NetError::InUse { .. })));
}

//! Captures: written and read back, replayed, refused.
use crate::frame;
use pcap_file::pcap::{PcapPacket, PcapWriter};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::{Block, PcapNgReader, PcapNgWriter};
use pcap_file::DataLink;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use virtio_hdl::backend::net::{Loopback, NetBackend, NetError, Pace, Recorder, Replay};

const NS: fn(u64) -> Duration = Duration::from_nanos;
const MS: fn(u64) -> Duration = Duration::from_millis;

/// Two frames that go through a loopback, the second later.
fn record(path: &Path) {
    let mut wire = Recorder::create(Box::new(Loopback::swapping()), path).unwrap();
    wire.transmit(NS(1_234_567_891), &frame(b"first"));
    assert!(wire.receive(NS(1_234_567_999)).unwrap().ends_with(b"first"));
    wire.transmit(MS(2000), &frame(&[7; 1500]));
    assert!(wire.receive(MS(3000)).is_some());
    assert_eq!((wire.receive(MS(3000)), wire.deadline()), (None, None));
    // Without a word the file is whole: the process may be killed.
    std::mem::forget(wire);
}

#[test]
fn a_recording_has_both_directions_and_nanoseconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wire.pcapng");
    record(&path);
    let mut reader = PcapNgReader::new(File::open(&path).unwrap()).unwrap();
    let mut packets = vec![];
    while let Some(block) = reader.next_block() {
        match block.unwrap() {
            Block::EnhancedPacket(packet) => packets.push(packet.into_owned()),
            Block::InterfaceDescription(interface) => {
                assert_eq!((interface.linktype, interface.snaplen), (DataLink::ETHERNET, 0));
                assert!(interface.options.contains(&InterfaceDescriptionOption::IfTsResol(9)));
            }
            other => panic!("{other:?}"),
        }
    }
    let mut back = frame(b"first");
    back.copy_within(0..6, 6);
    back[..6].copy_from_slice(&frame(b"")[6..12]);
    let seen: Vec<_> =
        packets.iter().map(|packet| (packet.timestamp, &packet.options[..], packet.data.len())).collect();
    let (inbound, outbound) = ([EnhancedPacketOption::Flags(1)], [EnhancedPacketOption::Flags(2)]);
    let expected = [
        (NS(1_234_567_891), &outbound[..], 19),
        (NS(1_234_567_999), &inbound, 19),
        (MS(2000), &outbound, 1514),
        (MS(3000), &inbound, 1514),
    ];
    assert_eq!(seen, expected);
    assert_eq!((&packets[0].data[..], &packets[1].data[..]), (&frame(b"first")[..], &back[..]));

    // Where it is installed, Wireshark's own word.
    if let Ok(output) = Command::new("capinfos").arg("-Mc").arg(&path).output() {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains("Number of packets:   4"), "{text}");
    }
}

#[test]
fn a_recording_is_replayed_without_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wire.pcapng");
    record(&path);
    let mut wire = Replay::open(&path, Pace::Recorded).unwrap();
    assert_eq!((wire.remaining(), wire.deadline()), (2, Some(Duration::ZERO)));
    let start = MS(50);
    assert!(wire.receive(start).unwrap().ends_with(b"first"));
    let second = start + (MS(3000) - NS(1_234_567_999));
    assert_eq!(wire.deadline(), Some(second));
    assert_eq!(wire.receive(second - NS(1)), None);
    wire.transmit(second, &frame(b"nobody hears it"));
    assert_eq!(wire.receive(second).unwrap().len(), 1514);
    assert_eq!((wire.receive(MS(9000)), wire.deadline()), (None, None));

    let mut fast = Replay::open(&path, Pace::Fast).unwrap();
    assert_eq!(
        [fast.receive(start), fast.receive(start), fast.receive(start)].map(|frame| frame.is_some()),
        [true, true, false]
    );
}

#[test]
fn microseconds_and_other_units_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    // Units a second as if_tsresol gives them, and two seconds in them.
    let resolutions =
        [(None, 2_000_000u64), (Some(6), 2_000_000), (Some(3), 2000), (Some(0x80 | 10), 2048), (Some(0), 2)];
    for (resolution, units) in resolutions {
        let path = folder.path().join("units.pcapng");
        let mut writer = PcapNgWriter::new(File::create(&path).unwrap()).unwrap();
        let options = resolution.map(InterfaceDescriptionOption::IfTsResol).into_iter().collect();
        let interface = InterfaceDescriptionBlock { linktype: DataLink::ETHERNET, snaplen: 0, options };
        writer.write_pcapng_block(interface).unwrap();
        for timestamp in [NS(0), NS(units)] {
            let data = frame(b"x");
            let block = EnhancedPacketBlock {
                interface_id: 0,
                timestamp,
                original_len: 15,
                data: data.into(),
                options: vec![],
            };
            writer.write_pcapng_block(block).unwrap();
        }
        let mut wire = Replay::open(&path, Pace::Recorded).unwrap();
        assert!(wire.receive(MS(1)).is_some());
        assert_eq!(wire.deadline(), Some(MS(2001)), "{resolution:?}");
    }
    let path = folder.path().join("units.pcap");
    let mut writer = PcapWriter::new(File::create(&path).unwrap()).unwrap();
    for timestamp in [MS(10_000), MS(10_250)] {
        writer.write_packet(&PcapPacket::new_owned(timestamp, 15, frame(b"x"))).unwrap();
    }
    let mut wire = Replay::open(&path, Pace::Recorded).unwrap();
    assert_eq!((wire.receive(MS(0)), wire.deadline()), (Some(frame(b"x")), Some(MS(250))));
}

fn refusal(path: &Path) -> String {
    Replay::open(path, Pace::Fast).map(|wire| wire.remaining()).unwrap_err().to_string()
}

#[test]
fn what_is_no_capture_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    let said = refusal(&path("none"));
    assert!(
        said.starts_with("cannot open the capture /") && said.ends_with("none: No such file or directory (os error 2)"),
        "{said}"
    );
    fs::write(path("text"), "this is a text and no capture").unwrap();
    let said = refusal(&path("text"));
    assert!(
        said.contains("text cannot be read past its first 0 frames") && said.ends_with("it must be pcap or pcapng"),
        "{said}"
    );
    fs::write(path("empty"), "").unwrap();
    assert!(refusal(&path("empty")).contains("past its first 0 frames"));

    record(&path("whole"));
    let whole = fs::read(path("whole")).unwrap();
    fs::write(path("cut"), &whole[..whole.len() - 10]).unwrap();
    assert!(refusal(&path("cut")).contains("cut cannot be read past its first 1 frames"), "{}", refusal(&path("cut")));
    // Whatever is damaged, it is said and not more.
    for at in (0..400).chain((400..whole.len()).step_by(101)) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        fs::write(path("damaged"), &damaged).unwrap();
        let _ = Replay::open(&path("damaged"), Pace::Fast);
    }

    let mut writer = PcapNgWriter::new(File::create(path("usb")).unwrap()).unwrap();
    writer.write_pcapng_block(InterfaceDescriptionBlock::new(DataLink::USB_LINUX, 0)).unwrap();
    let block = EnhancedPacketBlock {
        interface_id: 0,
        timestamp: NS(0),
        original_len: 1,
        data: vec![0].into(),
        options: vec![],
    };
    writer.write_pcapng_block(block).unwrap();
    assert!(refusal(&path("usb")).ends_with("is of USB_LINUX, not of Ethernet"), "{}", refusal(&path("usb")));
}

/// A disk that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(data.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_network() {
    let mut wire = Recorder::new(Box::new(Loopback::new()), Full(1000)).unwrap();
    for index in 0..20 {
        wire.transmit(MS(index), &frame(&[index as u8; 500]));
        assert_eq!(wire.receive(MS(index)), Some(frame(&[index as u8; 500])));
        assert_eq!(wire.receive(MS(index)), None);
    }
    assert!(matches!(wire.finish(), Err(NetError::Record { .. })), "what was not written is told at the end");
    let refused = Recorder::create(Box::new(Loopback::new()), Path::new("/nowhere/wire.pcapng")).map(drop).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cannot record to /nowhere/wire.pcapng: Error reading bytes: No such file or directory (os error 2)"
    );
}

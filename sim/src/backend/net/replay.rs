//! A capture file as the source of frames.
use super::{NetBackend, NetError};
use pcap_file::pcap::PcapParser;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::{Block, PcapNgParser};
use pcap_file::{DataLink, PcapError};
use rustix::fs::OFlags;
use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

/// First word of a pcapng file, the same in both byte orders.
const PCAPNG_MAGIC: [u8; 4] = 0x0a0d_0d0au32.to_be_bytes();

/// How fast a capture is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// With the distances between the frames that they had.
    Recorded,
    /// As fast as the device takes them.
    Fast,
}

/// Sends the frames of a pcap or pcapng file to the device, and drops what the device sends. Of a recording that tells
/// the directions, only what had come in is sent.
#[derive(Debug)]
pub struct Replay {
    /// Time since the first frame, and the frame.
    frames: VecDeque<(Duration, Vec<u8>)>,
    pace: Pace,
    /// When the replay began.
    start: Option<Duration>,
}

impl Replay {
    /// Reads a file whole. The first frame is there from the first time on that frames are asked for.
    pub fn open(path: &Path, pace: Pace) -> Result<Self, NetError> {
        let file = read(path).map_err(|error| NetError::Capture { path: path.into(), error })?;
        let mut frames = vec![];
        let read = match file.starts_with(&PCAPNG_MAGIC) {
            true => read_pcapng(&file, &mut frames),
            false => read_pcap(&file, &mut frames),
        };
        read.map_err(|reason| match reason {
            Refusal::Damaged(error) => NetError::Format { path: path.into(), frames: frames.len(), error },
            Refusal::Link(link) => NetError::NotEthernet { path: path.into(), link },
        })?;
        let first = frames.first().map_or(Duration::ZERO, |(at, _)| *at);
        let frames = frames.into_iter().map(|(at, frame)| (at.saturating_sub(first), frame)).collect();
        Ok(Replay { frames, pace, start: None })
    }

    /// Frames that are still to come.
    pub fn remaining(&self) -> usize {
        self.frames.len()
    }
}

impl NetBackend for Replay {
    fn transmit(&mut self, _now: Duration, _frame: &[u8]) {}

    fn receive(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.start.get_or_insert(now);
        match self.deadline() {
            Some(deadline) if deadline <= now => self.frames.pop_front().map(|(_, frame)| frame),
            _ => None,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let (at, _) = self.frames.front()?;
        let start = self.start.unwrap_or(Duration::ZERO);
        Some(match self.pace {
            Pace::Recorded => start.saturating_add(*at),
            Pace::Fast => start,
        })
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// All of a file. A pipe, for whose other end one would wait, is none.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// Why a capture is not replayed.
enum Refusal {
    Damaged(PcapError),
    Link(DataLink),
}

impl From<PcapError> for Refusal {
    fn from(error: PcapError) -> Self {
        Refusal::Damaged(error)
    }
}

fn ethernet(link: DataLink) -> Result<(), Refusal> {
    match link {
        DataLink::ETHERNET => Ok(()),
        link => Err(Refusal::Link(link)),
    }
}

fn read_pcap(file: &[u8], frames: &mut Vec<(Duration, Vec<u8>)>) -> Result<(), Refusal> {
    let (mut rest, parser) = PcapParser::new(file)?;
    ethernet(parser.header().datalink)?;
    while !rest.is_empty() {
        let packet;
        (rest, packet) = parser.next_packet(rest)?;
        frames.push((packet.timestamp, packet.data.into_owned()));
    }
    Ok(())
}

fn read_pcapng(file: &[u8], frames: &mut Vec<(Duration, Vec<u8>)>) -> Result<(), Refusal> {
    let (mut rest, mut parser) = PcapNgParser::new(file)?;
    while !rest.is_empty() {
        let block;
        (rest, block) = parser.next_block(rest)?;
        let Block::EnhancedPacket(packet) = block else { continue };
        let interface = parser.packet_interface(&packet).ok_or(PcapError::InvalidInterfaceId(packet.interface_id))?;
        ethernet(interface.linktype)?;
        if !is_outbound(&packet) {
            frames.push((timestamp(&packet, interface), packet.data.into_owned()));
        }
    }
    Ok(())
}

/// Whether bits 1:0 of the flags word (pcapng, section 4.3.1) say that the frame had been sent.
fn is_outbound(packet: &EnhancedPacketBlock) -> bool {
    packet.options.iter().any(|option| matches!(option, EnhancedPacketOption::Flags(flags) if flags & 3 == 2))
}

/// The time of a frame. pcap-file 2.0 gives the timestamp's units as if they were nanoseconds; if_tsresol (pcapng,
/// section 4.2) says what they are: microseconds by default, else a negative power of ten, or of two with bit 7.
fn timestamp(packet: &EnhancedPacketBlock, interface: &InterfaceDescriptionBlock) -> Duration {
    let resolution = interface.options.iter().find_map(|option| match option {
        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
        _ => None,
    });
    let (base, exponent): (u128, _) = match resolution.unwrap_or(6) {
        binary @ 0x80.. => (2, binary & 0x7f),
        decimal => (10, decimal),
    };
    let units = packet.timestamp.as_nanos();
    // More than 64 bits of fraction: all of the timestamp is a fraction of a second that does not count.
    let nanoseconds = base.checked_pow(exponent.into()).map_or(0, |second| units * 1_000_000_000 / second);
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

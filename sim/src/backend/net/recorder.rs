//! What crosses the wire, as a pcapng file.
use super::{Lost, NetBackend, NetError};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::{DataLink, PcapError, PcapResult};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Directions as bits 1:0 of a frame's flags word have them (pcapng, section 4.3.1), seen from the device.
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;
/// if_tsresol of nanoseconds.
const NANOSECONDS: u8 = 9;

/// Writes down the frames of both directions with the time of the simulation in nanoseconds, and passes them on. The
/// file is complete whenever the device has taken all frames.
pub struct Recorder<W: Write + Send> {
    backend: Box<dyn NetBackend>,
    /// Nothing after an error.
    writer: Option<PcapNgWriter<W>>,
    unflushed: bool,
    path: PathBuf,
    failure: Option<PcapError>,
}

impl Recorder<BufWriter<File>> {
    /// Records to a file, which is replaced.
    pub fn create(backend: Box<dyn NetBackend>, path: &Path) -> Result<Self, NetError> {
        let failed = |error| NetError::Record { path: path.into(), error };
        let file = File::create(path).map_err(|error| failed(PcapError::IoError(error)))?;
        let recorder = Recorder::new(backend, BufWriter::new(file)).map_err(failed)?;
        Ok(Recorder { path: path.into(), ..recorder })
    }
}

impl<W: Write + Send> Recorder<W> {
    /// Records to any writer.
    pub fn new(backend: Box<dyn NetBackend>, writer: W) -> PcapResult<Self> {
        let mut writer = PcapNgWriter::new(writer)?;
        writer.write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0,
            options: vec![
                InterfaceDescriptionOption::IfName("net".into()),
                InterfaceDescriptionOption::IfDescription("Ethernet port of the virtio-hdl endpoint".into()),
                InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
            ],
        })?;
        Ok(Recorder { backend, writer: Some(writer), unflushed: true, path: PathBuf::new(), failure: None })
    }

    fn record(&mut self, now: Duration, frame: &[u8], direction: u32) {
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: now,
            original_len: frame.len() as u32,
            data: frame.into(),
            options: vec![EnhancedPacketOption::Flags(direction)],
        };
        self.write(|writer| writer.write_pcapng_block(block).map(drop));
        self.unflushed = true;
    }

    /// Writes, and gives up for good when that fails: the network goes on.
    fn write(&mut self, what: impl FnOnce(&mut PcapNgWriter<W>) -> PcapResult<()>) {
        if let Some(Err(error)) = self.writer.as_mut().map(what) {
            let cause = std::error::Error::source(&error);
            tracing::warn!(%error, cause, "the recording of the network ends here, all else goes on");
            self.writer = None;
            self.failure = Some(error);
        }
    }
}

impl<W: Write + Send> NetBackend for Recorder<W> {
    fn transmit(&mut self, now: Duration, frame: &[u8]) {
        self.record(now, frame, OUTBOUND);
        self.backend.transmit(now, frame);
    }

    fn receive(&mut self, now: Duration) -> Option<Vec<u8>> {
        let frame = self.backend.receive(now);
        match &frame {
            Some(frame) => self.record(now, frame, INBOUND),
            None if self.unflushed => {
                self.write(|writer| writer.get_mut().flush().map_err(PcapError::IoError));
                self.unflushed = false;
            }
            None => {}
        }
        frame
    }

    fn lost(&self) -> Lost {
        self.backend.lost()
    }

    fn finish(&mut self) -> Result<(), NetError> {
        self.write(|writer| writer.get_mut().flush().map_err(PcapError::IoError));
        let recorded =
            self.failure.take().map_or(Ok(()), |error| Err(NetError::Record { path: self.path.clone(), error }));
        recorded.and(self.backend.finish())
    }

    fn deadline(&self) -> Option<Duration> {
        self.backend.deadline()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.backend.as_fd()
    }

    fn link_up(&self) -> bool {
        self.backend.link_up()
    }
}

//! A VMM for tests of devices: it says what a test tells it to, right or wrong, and panics where an answer is not as it must
//! be. Its messages are put together by hand and not by the server's code, which it tests.
use crate::Errno;
use rustix::event::{eventfd, EventfdFlags};
use rustix::fs::MemfdFlags;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Command: versions and capabilities are agreed on: the first command.
pub const VERSION: u16 = 1;
/// Command: a range of guest memory is there.
pub const DMA_MAP: u16 = 2;
/// Command: a range of guest memory is gone.
pub const DMA_UNMAP: u16 = 3;
/// Command: what kind of device it is.
pub const GET_INFO: u16 = 4;
/// Command: size and flags of a region.
pub const GET_REGION_INFO: u16 = 5;
/// Command: vectors and flags of an interrupt index.
pub const GET_IRQ_INFO: u16 = 7;
/// Command: eventfds, masks and triggers of an interrupt index.
pub const SET_IRQS: u16 = 8;
/// Command: a register is read.
pub const REGION_READ: u16 = 9;
/// Command: a register is written.
pub const REGION_WRITE: u16 = 10;
/// Command: the device reads guest memory: from server to client.
pub const DMA_READ: u16 = 11;
/// Command: the device writes guest memory: from server to client.
pub const DMA_WRITE: u16 = 12;
/// Command: the device starts again.
pub const RESET: u16 = 13;

/// Flag of a header: a reply, not a command.
pub const REPLY: u32 = 1;
/// Flag of a command: no reply is wanted.
pub const NO_REPLY: u32 = 0x10;
/// Flag of a reply: the command failed.
pub const FAILED: u32 = 0x20;

/// How long the client waits for the server.
const PATIENCE: Duration = Duration::from_secs(10);

/// A message as the client sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrived {
    /// Number by which a reply finds its command.
    pub id: u16,
    /// What it is about.
    pub command: u16,
    /// [`REPLY`], [`NO_REPLY`], [`FAILED`].
    pub flags: u32,
    /// The error number of a failure, else 0.
    pub error: u32,
    /// What comes behind the header.
    pub body: Vec<u8>,
}

/// The client's end of the socket.
#[derive(Debug)]
pub struct TestClient {
    /// To be read, written and closed at will.
    pub stream: UnixStream,
    next_id: u16,
}

impl TestClient {
    /// A client that has said nothing yet, and waits ten seconds for anything.
    pub fn new(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        // Far from the server's ids, so that they cannot be mistaken.
        TestClient { stream, next_id: 0x4000 }
    }

    /// Sends bytes with descriptors.
    pub fn send_raw(&self, bytes: &[u8], descriptors: &[BorrowedFd]) -> rustix::io::Result<()> {
        let mut left = bytes;
        let mut descriptors = descriptors;
        while !left.is_empty() {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                assert!(control.push(SendAncillaryMessage::ScmRights(descriptors)));
            }
            let sent = rustix::net::sendmsg(&self.stream, &[IoSlice::new(left)], &mut control, SendFlags::NOSIGNAL)?;
            left = &left[sent..];
            descriptors = &[];
        }
        Ok(())
    }

    /// Sends a message and does not wait for the answer. Returns its id.
    pub fn send(&mut self, command: u16, flags: u32, body: &[u8], descriptors: &[BorrowedFd]) -> u16 {
        let id = self.next_id;
        self.next_id += 1;
        self.send_raw(&message(id, command, flags, 0, body), descriptors).unwrap();
        id
    }

    /// The next message of the server; `None` when it has closed the connection.
    pub fn receive(&mut self) -> Option<Arrived> {
        let header = self.receive_bytes(16)?;
        let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
        let half = |at: usize| u16::from_ne_bytes(header[at..at + 2].try_into().unwrap());
        let body = self.receive_bytes(word(4) as usize - 16)?;
        Some(Arrived { id: half(0), command: half(2), flags: word(8), error: word(12), body })
    }

    fn receive_bytes(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let mut data = vec![0; bytes];
        let mut arrived = 0;
        while arrived < bytes {
            match rustix::net::recv(&self.stream, &mut data[arrived..], RecvFlags::empty()) {
                Ok((0, _)) | Err(Errno::CONNRESET) => return None,
                Ok((count, _)) => arrived += count,
                Err(error) => panic!("the server does not answer: {error}"),
            }
        }
        Some(data)
    }

    /// Sends a command with descriptors; the answer is its reply's body, or the error number.
    pub fn ask_with(&mut self, command: u16, body: &[u8], descriptors: &[BorrowedFd]) -> Result<Vec<u8>, Errno> {
        let id = self.send(command, 0, body, descriptors);
        self.answer(id, command)
    }

    /// Sends a command; the answer is its reply's body, or the error number.
    pub fn ask(&mut self, command: u16, body: &[u8]) -> Result<Vec<u8>, Errno> {
        self.ask_with(command, body, &[])
    }

    /// The reply to a command, which must be the next message.
    pub fn answer(&mut self, id: u16, command: u16) -> Result<Vec<u8>, Errno> {
        let reply = self.receive().expect("the server has closed the connection");
        assert_eq!((reply.id, reply.command), (id, command), "{reply:?}");
        match reply.flags {
            REPLY => Ok(reply.body),
            flags => {
                assert_eq!((flags, reply.body), (REPLY | FAILED, vec![]));
                Err(Errno::from_raw_os_error(reply.error as i32))
            }
        }
    }

    /// VERSION as QEMU sends it.
    pub fn agree(&mut self) {
        let capabilities =
            r#"{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576,"pgsizes":4096,"max_dma_maps":65535}}"#;
        self.ask(VERSION, &version(0, 0, capabilities)).unwrap();
    }

    /// Reads `count` bytes of registers.
    pub fn read_region(&mut self, region: u32, offset: u64, count: u32) -> Result<Vec<u8>, Errno> {
        let access = access(offset, region, count);
        self.ask(REGION_READ, &access).map(|reply| {
            assert_eq!(reply[..16], access);
            reply[16..].to_vec()
        })
    }

    /// Writes registers, and waits for the reply.
    pub fn write_region(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<Vec<u8>, Errno> {
        self.ask(REGION_WRITE, &[access(offset, region, data.len() as u32), data.to_vec()].concat())
    }

    /// The next message must be this DMA command. Returns its id and data.
    pub fn expect_dma(&mut self, command: u16, address: u64, bytes: usize) -> (u16, Vec<u8>) {
        let asked = self.receive().expect("the server has closed the connection");
        assert_eq!((asked.command, asked.flags, asked.error), (command, 0, 0), "{asked:?}");
        assert_eq!(asked.body[..16], dma_access(address, bytes as u64), "{:x?}", &asked.body[..16]);
        (asked.id, asked.body[16..].to_vec())
    }

    /// Carries out a DMA_READ.
    pub fn reply_read(&self, id: u16, address: u64, data: &[u8]) {
        let body = [dma_access(address, data.len() as u64), data.to_vec()].concat();
        self.send_raw(&message(id, DMA_READ, REPLY, 0, &body), &[]).unwrap();
    }

    /// Acknowledges a DMA_WRITE.
    pub fn reply_write(&self, id: u16, address: u64, bytes: usize) {
        self.send_raw(&message(id, DMA_WRITE, REPLY, 0, &dma_access(address, bytes as u64)), &[]).unwrap();
    }

    /// Refuses a DMA command.
    pub fn reply_failure(&self, id: u16, command: u16, error: u32) {
        self.send_raw(&message(id, command, REPLY | FAILED, error, &[]), &[]).unwrap();
    }
}

/// A message.
pub fn message(id: u16, command: u16, flags: u32, error: u32, body: &[u8]) -> Vec<u8> {
    let mut message = [id.to_ne_bytes(), command.to_ne_bytes()].concat();
    message.extend([16 + body.len() as u32, flags, error].map(u32::to_ne_bytes).concat());
    message.extend(body);
    message
}

/// Words in a row.
pub fn words<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.map(u32::to_ne_bytes).concat()
}

/// Body of VERSION.
pub fn version(major: u16, minor: u16, json: &str) -> Vec<u8> {
    [&major.to_ne_bytes()[..], &minor.to_ne_bytes(), json.as_bytes(), b"\0"].concat()
}

/// Body of REGION_READ, and what precedes the data of REGION_WRITE.
pub fn access(offset: u64, region: u32, count: u32) -> Vec<u8> {
    [offset.to_ne_bytes().to_vec(), words([region, count])].concat()
}

/// What precedes the data of DMA_READ and DMA_WRITE.
pub fn dma_access(address: u64, bytes: u64) -> Vec<u8> {
    [address, bytes].map(u64::to_ne_bytes).concat()
}

/// Body of SET_IRQS without data.
pub fn set_irqs(flags: u32, index: u32, start: u32, count: u32) -> Vec<u8> {
    words([20, flags, index, start, count])
}

/// Permissions of DMA_MAP: the device may read and write.
pub const READ_WRITE: u32 = 3;
/// Permissions of DMA_MAP: the device may read.
pub const READ_ONLY: u32 = 1;

/// Body of DMA_MAP; `offset` is that in the descriptor's file.
pub fn dma_map(flags: u32, offset: u64, address: u64, size: u64) -> Vec<u8> {
    [words([32, flags]), [offset, address, size].map(u64::to_ne_bytes).concat()].concat()
}

/// Body of DMA_UNMAP.
pub fn dma_unmap(flags: u32, address: u64, size: u64) -> Vec<u8> {
    [words([24, flags]), [address, size].map(u64::to_ne_bytes).concat()].concat()
}

/// Memory as a descriptor.
pub fn memfd(bytes: u64) -> File {
    let file = File::from(rustix::fs::memfd_create("vfio-user-test", MemfdFlags::CLOEXEC).unwrap());
    file.set_len(bytes).unwrap();
    file
}

/// An eventfd that nobody has signalled.
pub fn new_eventfd() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap()
}

/// How often an eventfd was signalled since the last look.
pub fn count(eventfd: &OwnedFd) -> u64 {
    let mut count = [0; 8];
    match rustix::io::read(eventfd, &mut count) {
        Ok(_) => u64::from_ne_bytes(count),
        Err(error) => {
            assert_eq!(error, Errno::AGAIN);
            0
        }
    }
}

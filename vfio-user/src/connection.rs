//! A non-blocking stream of messages with descriptors.
use crate::message::{Command, Header, Message, HEADER_BYTES, MAX_DESCRIPTORS, MAX_MESSAGE_BYTES};
use crate::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags};
use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use zerocopy::FromBytes;

/// Most bytes that wait for a client that does not read. Enough for all DMA messages that may be out and some replies.
const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// Why a connection ends before the server does.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Gone {
    /// As it should.
    #[error("the client has closed the connection")]
    Closed,
    /// As a client that dies does.
    #[error("the connection is lost: {0}")]
    Lost(Errno),
    /// In the middle of something.
    #[error("the client has closed the connection within a message: {found} of {expected} bytes of {part} have come")]
    Truncated { part: String, found: usize, expected: usize },
    /// Out of step.
    #[error("{command} with id {id} claims {size} bytes; a message has {HEADER_BYTES} to {MAX_MESSAGE_BYTES}")]
    Size { command: Command, id: u16, size: u32 },
    /// Neither command nor reply.
    #[error("{command} with id {id} has flags {flags:#x}: neither a command nor a reply")]
    Type { command: Command, id: u16, flags: u32 },
    /// Too many, or no room for them here.
    #[error(
        "{part} came with more than {MAX_DESCRIPTORS} descriptors, or with more than this process may have \
         (see `ulimit -n`)"
    )]
    Descriptors { part: String },
    /// The client does not answer the device's DMA.
    #[error("the client does not answer: {writes} writes of the device, {bytes} bytes, wait for it")]
    Unanswered { writes: usize, bytes: usize },
    /// Guest memory that is not there.
    #[error(
        "guest memory at {address:#x} cannot be written ({error}): the file behind it is full or was cut; give the file \
         system of the memory backend (/dev/shm) as much room as the guest has memory"
    )]
    Memory { address: u64, error: Errno },
    /// The client asks and does not listen.
    #[error("the client does not read: more than {MAX_OUTPUT_BYTES} bytes wait for it")]
    Output,
}

/// One end of the socket.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    /// Of the message that is arriving: its header first, then its body.
    header: Option<Header>,
    input: Vec<u8>,
    arrived: usize,
    descriptors: Vec<OwnedFd>,
    output: VecDeque<u8>,
}

impl Connection {
    pub fn new(stream: UnixStream) -> Self {
        Connection {
            stream,
            header: None,
            input: vec![0; HEADER_BYTES],
            arrived: 0,
            descriptors: Vec::new(),
            output: VecDeque::new(),
        }
    }

    /// The next message, if it is here as a whole.
    pub fn receive(&mut self) -> Result<Option<Message>, Gone> {
        loop {
            while self.arrived < self.input.len() {
                if !self.fill()? {
                    return Ok(None);
                }
            }
            self.arrived = 0;
            match self.header.take() {
                None => {
                    let header = Header::read_from_bytes(&self.input).expect("the input is a header");
                    let (command, id, size, flags) = (header.command(), header.id, header.size, header.flags);
                    if size < HEADER_BYTES as u32 || size > MAX_MESSAGE_BYTES {
                        return Err(Gone::Size { command, id, size });
                    }
                    if !header.is_command() && !header.is_reply() {
                        return Err(Gone::Type { command, id, flags });
                    }
                    self.input = vec![0; size as usize - HEADER_BYTES];
                    self.header = Some(header);
                }
                Some(header) => {
                    let body = std::mem::replace(&mut self.input, vec![0; HEADER_BYTES]);
                    return Ok(Some(Message { header, body, descriptors: std::mem::take(&mut self.descriptors) }));
                }
            }
        }
    }

    /// Takes what has arrived of the header or body; false when there is nothing. Never reads past its end: descriptors
    /// that arrive belong to this message.
    fn fill(&mut self) -> Result<bool, Gone> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut buffers = [IoSliceMut::new(&mut self.input[self.arrived..])];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = match rustix::net::recvmsg(&self.stream, &mut buffers, &mut control, flags) {
            Err(Errno::AGAIN) => return Ok(false),
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(Gone::Lost(error)),
            Ok(received) => received,
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.descriptors.extend(descriptors);
            }
        }
        if received.flags.contains(ReturnFlags::CTRUNC) || self.descriptors.len() > MAX_DESCRIPTORS {
            return Err(Gone::Descriptors { part: self.part() });
        }
        if received.bytes == 0 {
            return Err(match (&self.header, self.arrived) {
                (None, 0) => Gone::Closed,
                _ => Gone::Truncated { part: self.part(), found: self.arrived, expected: self.input.len() },
            });
        }
        self.arrived += received.bytes;
        Ok(true)
    }

    /// What is arriving.
    fn part(&self) -> String {
        match &self.header {
            None => "a header".into(),
            Some(header) => format!("the body of {} with id {}", header.command(), header.id),
        }
    }

    /// Queues a message; [`Connection::flush`] sends it.
    pub fn send(&mut self, message: &[u8]) {
        self.output.extend(message);
    }

    /// Sends what the socket takes.
    pub fn flush(&mut self) -> Result<(), Gone> {
        while !self.output.is_empty() {
            match rustix::net::send(&self.stream, self.output.as_slices().0, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
            {
                Ok(sent) => drop(self.output.drain(..sent)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if self.output.len() > MAX_OUTPUT_BYTES => return Err(Gone::Output),
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(Gone::Lost(error)),
            }
        }
        Ok(())
    }

    /// Whether the socket is full.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

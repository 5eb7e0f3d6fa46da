//! One client of the socket: its line that is arriving, and the answer that it has not read.
use super::{Answer, Command, MOST_REQUEST};
use rustix::io::Errno;
use rustix::net::{recv, send, RecvFlags, SendFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

/// Bytes looked at at a time.
const PIECE: usize = 4096;

/// The client has gone, or is to go.
pub(super) struct Gone;

/// What has come of a line.
enum Line {
    Whole(Vec<u8>),
    /// More is to come.
    Part,
    TooLong,
}

/// A client that has connected.
pub(super) struct Connection {
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// It goes when it has its answer.
    ends: bool,
    /// When it last asked for something.
    pub heard: Instant,
}

impl Connection {
    pub fn new(stream: UnixStream) -> Self {
        Connection { stream, input: vec![], output: vec![], ends: false, heard: Instant::now() }
    }

    /// Whether an answer waits for it: until it has read that, it is asked nothing more.
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether something has come that nobody has read.
    pub fn has_input(&self) -> bool {
        matches!(recv(&self.stream, &mut [0][..], RecvFlags::PEEK | RecvFlags::DONTWAIT), Ok((1, _)))
    }

    /// Takes what has come, and gives `execute` the command if that is a whole one. What comes behind it stays in the socket.
    /// True if there was one.
    pub fn serve(&mut self, execute: impl FnOnce(&Command) -> Answer) -> Result<bool, Gone> {
        self.flush()?;
        if self.has_output() {
            return Ok(false);
        }
        if self.ends {
            return Err(Gone);
        }
        let (answer, executed) = match self.line()? {
            Line::Part => return Ok(false),
            Line::TooLong => {
                self.ends = true;
                (Answer::Error(format!("a request has at most {MOST_REQUEST} bytes: the connection ends")), false)
            }
            Line::Whole(line) => match serde_json::from_slice(&line) {
                Ok(command) => (execute(&command), true),
                Err(error) => {
                    let example = r#"send a line such as {"command":"status"}"#;
                    (Answer::Error(format!("this is no request: {error}; {example}")), false)
                }
            },
        };
        self.heard = Instant::now();
        self.output = serde_json::to_vec(&answer).map_err(|_| Gone)?;
        self.output.push(b'\n');
        self.flush()?;
        Ok(executed)
    }

    /// Reads to the end of a line, and not beyond.
    fn line(&mut self) -> Result<Line, Gone> {
        let mut piece = [0; PIECE];
        let seen = match recv(&self.stream, &mut piece[..], RecvFlags::PEEK | RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err(Gone),
            Ok((seen, _)) => seen,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(Line::Part),
            Err(_) => return Err(Gone),
        };
        let end = piece[..seen].iter().position(|byte| *byte == b'\n');
        let wanted = end.map_or(seen, |end| end + 1);
        let (taken, _) = recv(&self.stream, &mut piece[..wanted], RecvFlags::DONTWAIT).map_err(|_| Gone)?;
        self.input.extend(&piece[..taken]);
        Ok(match end {
            _ if self.input.len() > MOST_REQUEST => Line::TooLong,
            Some(_) => Line::Whole(std::mem::take(&mut self.input)),
            None => Line::Part,
        })
    }

    /// Sends what the socket takes.
    fn flush(&mut self) -> Result<(), Gone> {
        while self.has_output() {
            match send(&self.stream, &self.output, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.output.drain(..sent)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => return Err(Gone),
            }
        }
        match self.ends && !self.has_output() {
            true => Err(Gone),
            false => Ok(()),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

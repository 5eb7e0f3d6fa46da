//! The socket: who may come, and whose turn it is.
use super::connection::Connection;
use super::{Answer, Command};
use crate::socket_file::{BindError, SocketFile};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{accept_with, send, SendFlags, SocketFlags, SocketType};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Connections that may wait.
const BACKLOG: i32 = 8;
/// Clients at a time. When more come, the one goes that has been silent for longest.
const MOST_CLIENTS: usize = 16;
/// What one is told that comes when all of them are being served.
const TOO_MANY: &[u8] = b"{\"error\":\"too many clients ask at once: try again\"}\n";

/// The socket cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Somebody listens there.
    #[error("the control socket {} is in use: stop the program that listens there, or choose another path", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error("{} is there already and is no socket: remove it, or choose another path for --control", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// No such folder, not allowed, name too long.
    #[error(
        "cannot make the control socket {}: {error}; choose a path of at most 107 bytes in a folder you may write to",
        path.display()
    )]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// A socket by which commands come. Its file, of mode 0600, goes with it.
pub struct Control {
    listener: OwnedFd,
    _file: SocketFile,
    /// Readable when somebody connects, a client has sent something, or takes more of its answer.
    ready: OwnedFd,
    /// In the order of their turns.
    clients: Vec<Connection>,
    /// Given up so that a client can be turned away when there are no more descriptors.
    reserve: Option<OwnedFd>,
    quit: Box<dyn Fn() + Send>,
}

impl Control {
    /// Makes the socket. `quit` ends the program, or lets it end, when a client has been told that it will.
    pub fn bind(path: &Path, quit: Box<dyn Fn() + Send>) -> Result<Self, ControlError> {
        let failed = |error: Errno| ControlError::Bind { path: path.into(), error: error.into() };
        let (listener, file) = SocketFile::bind(path, SocketType::STREAM).map_err(|error| match error {
            BindError::NotASocket => ControlError::NotASocket { path: path.into() },
            BindError::InUse => ControlError::InUse { path: path.into() },
            BindError::Failed(error) => failed(error),
        })?;
        rustix::net::listen(&listener, BACKLOG).map_err(failed)?;
        let ready = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        epoll::add(&ready, &listener, EventData::new_u64(0), EventFlags::IN).map_err(failed)?;
        let reserve = ready.try_clone().ok();
        Ok(Control { listener, _file: file, ready, clients: vec![], reserve, quit })
    }

    /// Does what is due, at most one command, and without waiting. What is left keeps it readable.
    pub fn serve(&mut self, mut execute: impl FnMut(&Command) -> Answer) {
        let mut quits = false;
        let mut turn = 0;
        while turn < self.clients.len() {
            let client = &mut self.clients[turn];
            let had_output = client.has_output();
            let served = client.serve(|command| {
                let answer = execute(command);
                quits |= *command == Command::Quit && matches!(answer, Answer::Ok(_));
                answer
            });
            match served {
                // Closing it takes it out of those that are watched.
                Err(_) => drop(self.clients.remove(turn)),
                Ok(executed) => {
                    if client.has_output() != had_output {
                        let flags = if client.has_output() { EventFlags::OUT } else { EventFlags::IN };
                        // Without, it is looked at when somebody else has something.
                        let _ = epoll::modify(&self.ready, &*client, EventData::new_u64(0), flags);
                    }
                    turn += 1;
                    if executed {
                        self.clients.rotate_left(turn);
                        break;
                    }
                }
            }
        }
        self.accept();
        if quits {
            (self.quit)();
        }
    }

    /// Takes one client that has connected.
    fn accept(&mut self) {
        match accept_with(&self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
            Ok(stream) if !self.has_room() => {
                // Who does not take it gets none.
                let _ = send(&stream, TOO_MANY, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            }
            Ok(stream) => {
                if epoll::add(&self.ready, &stream, EventData::new_u64(0), EventFlags::IN).is_ok() {
                    self.clients.push(Connection::new(stream.into()));
                }
            }
            // It would stay at the socket, and keep it readable.
            Err(Errno::MFILE | Errno::NFILE) => {
                self.reserve = None;
                drop(accept_with(&self.listener, SocketFlags::CLOEXEC));
                self.reserve = self.ready.try_clone().ok();
                tracing::warn!("a client of the control socket is turned away: there are no descriptors for it");
            }
            Err(_) => {}
        }
    }

    /// Whether one more may come. Where there are too many, the one goes that has asked for nothing for longest.
    fn has_room(&mut self) -> bool {
        if self.clients.len() < MOST_CLIENTS {
            return true;
        }
        let idle = self.clients.iter().enumerate().filter(|(_, client)| client.has_output() || !client.has_input());
        let longest = idle.min_by_key(|(_, client)| client.heard).map(|(place, _)| place);
        longest.map(|place| self.clients.remove(place)).is_some()
    }
}

impl AsFd for Control {
    /// Readable when [`Control::serve`] has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::MOST_REQUEST;
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    use serde_json::{json, Value};
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;

    const STATUS: &[u8] = b"{\"command\":\"status\"}\n";

    struct Rig {
        control: Control,
        folder: tempfile::TempDir,
        /// What has been carried out.
        executed: usize,
        has_quit: Arc<AtomicBool>,
    }

    impl Rig {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let has_quit = Arc::new(AtomicBool::new(false));
            let quit = has_quit.clone();
            let quit = Box::new(move || quit.store(true, Ordering::SeqCst));
            let control = Control::bind(&folder.path().join("socket"), quit).unwrap();
            Rig { control, folder, executed: 0, has_quit }
        }

        fn connect(&self) -> UnixStream {
            let stream = UnixStream::connect(self.folder.path().join("socket")).unwrap();
            stream.set_nonblocking(true).unwrap();
            stream
        }

        fn is_ready(&self) -> bool {
            let none = Timespec { tv_sec: 0, tv_nsec: 0 };
            poll(&mut [PollFd::new(&self.control, PollFlags::IN)], Some(&none)).unwrap() > 0
        }

        /// Serves until nobody wants anything, with answers of this many bytes; each call carries out one command at most.
        fn settle(&mut self, bytes: usize) {
            for _ in 0..100_000 {
                if !self.is_ready() {
                    return;
                }
                let before = self.executed;
                self.control.serve(|_| {
                    self.executed += 1;
                    Answer::Ok(json!("x".repeat(bytes)))
                });
                assert!(self.executed <= before + 1, "several commands in one turn");
            }
            panic!("it is ready for ever");
        }

        /// What a client can read.
        fn lines(&self, client: &mut UnixStream) -> Vec<Value> {
            let lines = BufReader::new(client).lines().map_while(Result::ok);
            lines.map(|line| serde_json::from_str(&line).unwrap()).collect()
        }
    }

    fn error(answer: &Value) -> &str {
        answer["error"].as_str().unwrap_or_else(|| panic!("{answer}"))
    }

    #[test]
    fn clients_are_answered_in_their_order_whatever_the_pieces_in_which_they_ask() {
        let mut rig = Rig::new();
        let (mut one, mut other) = (rig.connect(), rig.connect());
        one.write_all(&STATUS.repeat(3)).unwrap();
        other.write_all(&STATUS[..7]).unwrap();
        rig.settle(1);
        other.write_all(&STATUS[7..]).unwrap();
        rig.settle(1);
        assert_eq!((rig.lines(&mut one).len(), rig.lines(&mut other), rig.executed), (3, vec![json!({"ok": "x"})], 4));
        // A client that asks and sends no more has its answer yet.
        other.write_all(STATUS).unwrap();
        other.shutdown(std::net::Shutdown::Write).unwrap();
        rig.settle(1);
        assert_eq!(rig.lines(&mut other).len(), 1);
        // half a line, and gone
        one.write_all(&STATUS[..9]).unwrap();
        drop(one);
        rig.settle(1);
        assert_eq!((rig.executed, rig.control.clients.len()), (5, 0));
    }

    #[test]
    fn garbage_is_answered_and_what_comes_behind_it_is_carried_out() {
        let mut rig = Rig::new();
        let mut client = rig.connect();
        let deep = "[".repeat(5000);
        let garbage: [&[u8]; 6] =
            [b"", b"\xff\xfe\x00", b"{\"command\":\"dance\"}", b"nonsense", b"null", deep.as_bytes()];
        for line in garbage {
            client.write_all(&[line, b"\n", STATUS].concat()).unwrap();
            rig.settle(1);
            let answers = rig.lines(&mut client);
            assert!(error(&answers[0]).starts_with("this is no request: "), "{answers:?}");
            assert!(error(&answers[0]).contains("send a line such as {\"command\":\"status\"}"), "{answers:?}");
            assert_eq!(answers[1], json!({"ok": "x"}));
        }
        assert_eq!(rig.executed, garbage.len());
    }

    #[test]
    fn a_line_that_is_too_long_ends_the_connection_with_a_word() {
        let mut rig = Rig::new();
        for length in [MOST_REQUEST, 10 * MOST_REQUEST] {
            let mut client = rig.connect();
            client.write_all(&vec![b' '; length]).unwrap();
            client.write_all(b"\n").unwrap();
            rig.settle(1);
            let answers = rig.lines(&mut client);
            assert!(error(&answers[0]).contains("at most 8192 bytes"), "{answers:?}");
            assert_eq!((rig.control.clients.len(), answers.len()), (0, 1));
        }
        let mut client = rig.connect();
        client.write_all(&[&vec![b' '; MOST_REQUEST - STATUS.len()], STATUS].concat()).unwrap();
        rig.settle(1);
        assert_eq!((rig.lines(&mut client).len(), rig.executed), (1, 1), "the longest there may be");
    }

    #[test]
    fn who_never_reads_is_asked_nothing_more_and_holds_nobody_up() {
        let mut rig = Rig::new();
        let mut slow = rig.connect();
        while slow.write(STATUS).is_ok() {}
        // An answer is more than a socket holds.
        rig.settle(2 << 20);
        assert_eq!(rig.executed, 1);
        assert!(rig.control.clients[0].has_output());
        let mut other = rig.connect();
        other.write_all(STATUS).unwrap();
        rig.settle(1);
        assert_eq!((rig.lines(&mut other).len(), rig.executed), (1, 2));
        // When it reads at last it gets the whole, and its next answer.
        let mut read = 0;
        let mut piece = vec![0; 1 << 20];
        while rig.executed < 3 {
            read += slow.read(&mut piece).unwrap();
            rig.settle(100 << 10);
        }
        assert!(read > 1 << 20, "{read}");
    }

    #[test]
    fn of_too_many_clients_the_one_goes_that_was_silent_for_longest() {
        let mut rig = Rig::new();
        let mut clients = vec![];
        for _ in 0..MOST_CLIENTS {
            clients.push(rig.connect());
            rig.settle(1);
        }
        let mut first = clients.remove(0);
        first.write_all(STATUS).unwrap();
        rig.settle(1);
        assert_eq!(rig.lines(&mut first).len(), 1);
        let mut late = rig.connect();
        late.write_all(STATUS).unwrap();
        rig.settle(1);
        assert_eq!((rig.lines(&mut late).len(), rig.control.clients.len()), (1, MOST_CLIENTS));
        assert_eq!(clients[0].read(&mut [0]).unwrap(), 0, "it has been silent since it came");
        first.write_all(STATUS).unwrap();
        rig.settle(1);
        assert_eq!(rig.lines(&mut first).len(), 1, "and this one has not");
        // A crowd that comes and goes leaves nothing behind.
        drop((clients, first, late));
        for _ in 0..200 {
            drop(rig.connect());
            rig.settle(1);
        }
        rig.settle(1);
        assert_eq!(rig.control.clients.len(), 0);
    }

    #[test]
    fn who_says_quit_is_told_before_it_happens() {
        let mut rig = Rig::new();
        let mut client = rig.connect();
        client.write_all(b"{\"command\":\"quit\"}\n").unwrap();
        rig.control.serve(|_| Answer::Error("not now".into()));
        rig.control.serve(|_| Answer::Error("not now".into()));
        assert_eq!((error(&rig.lines(&mut client)[0]), rig.has_quit.load(Ordering::SeqCst)), ("not now", false));
        client.write_all(b"{\"command\":\"quit\"}\n").unwrap();
        rig.settle(1);
        assert_eq!((rig.lines(&mut client).len(), rig.has_quit.load(Ordering::SeqCst)), (1, true));
    }
}

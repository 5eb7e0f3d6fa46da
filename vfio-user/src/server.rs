//! The poll loop: one client after the other.
use crate::client::Client;
use crate::connection::Gone;
use crate::dispatch::dispatch;
use crate::listener::{Accepted, Listener};
use crate::{Device, Errno, ServerOptions, Work};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Most messages between two calls of [`Device::work`].
const BATCH: usize = 32;

/// How long nobody is accepted when there are no descriptors for it.
const PAUSE: Duration = Duration::from_secs(1);

/// Serving is not possible.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another server listens there.
    #[error("the socket {} is in use: stop the program that listens there, or choose another path", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error("{} is there already and is no socket: remove it, or choose another path", path.display())]
    NotASocket {
        /// What is there.
        path: PathBuf,
    },
    /// No such folder, not allowed, name too long.
    #[error("cannot make the socket {}: {error}; choose a path of at most 107 bytes in a folder you may write to", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Too many open files, for instance.
    #[error("cannot accept a client on {}: {error}", path.display())]
    Accept {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Waiting is not possible.
    #[error("cannot wait for the socket: {0}")]
    Poll(Errno),
}

/// Serves a [`Device`] to one client at a time.
#[derive(Debug)]
pub struct Server {
    /// Where clients come from, unless there is just the one.
    listener: Option<Listener>,
    /// A client that is connected and not served yet.
    newcomer: Option<UnixStream>,
    /// When clients are accepted again.
    pause: Option<Instant>,
    options: ServerOptions,
}

/// What there is to do.
struct Ready {
    stop: bool,
    /// Somebody connects.
    listener: bool,
    /// Something has arrived, or there is room for output.
    client: bool,
    /// INTx may be unmasked.
    resample: bool,
    /// Somebody else wants something of the device.
    control: bool,
}

/// What a look at the client showed.
struct Round {
    work: Work,
    /// All that had arrived is handled.
    drained: bool,
}

impl Server {
    /// Makes the socket `path`, which only this user may open. A dead server's socket is replaced, anything else is not.
    /// The file is removed with the server.
    pub fn bind(path: &Path, options: ServerOptions) -> Result<Self, ServerError> {
        Ok(Server { listener: Some(Listener::bind(path)?), newcomer: None, pause: None, options })
    }

    /// Serves the client at the other end of `stream`, and nobody else.
    pub fn connected(stream: UnixStream, options: ServerOptions) -> Self {
        Server { listener: None, newcomer: Some(stream), pause: None, options }
    }

    /// Serves one client after the other until `stop` is readable; a server that was made with [`Server::connected`]
    /// ends with its client. A client that misbehaves is dropped with a warning, and so is one that comes while another
    /// is served.
    pub fn serve<D: Device + ?Sized>(&mut self, device: &mut D, stop: BorrowedFd<'_>) -> Result<(), ServerError> {
        let mut client = None;
        let result = self.run(&mut client, device, stop);
        detach(client, device);
        result
    }

    fn run<D: Device + ?Sized>(
        &mut self,
        client: &mut Option<Client>,
        device: &mut D,
        stop: BorrowedFd<'_>,
    ) -> Result<(), ServerError> {
        let mut work = Work::Idle;
        loop {
            if client.is_none() {
                match self.newcomer.take() {
                    Some(stream) => *client = Some(Client::new(stream, self.options)),
                    None if self.listener.is_none() => return Ok(()),
                    None => {}
                }
            }
            let mut ready = self.wait(client.as_ref(), device, stop, work)?;
            if ready.stop {
                return Ok(());
            }
            if ready.listener {
                self.accept()?;
            }
            if ready.control {
                let attached = client.as_mut().filter(|client| client.attached);
                if device.control(attached) == Work::Failed {
                    return Ok(());
                }
            }
            if device.stands_still() {
                work = Work::Idle;
                continue;
            }
            // The client may have gone before the newcomer came.
            ready.client |= self.newcomer.is_some();
            let Some(current) = client else { continue };
            match round(current, device, &ready) {
                Ok(Round { work: Work::Failed, .. }) => return Ok(()),
                Ok(seen) => {
                    work = seen.work;
                    if seen.drained && self.newcomer.take().is_some() {
                        tracing::warn!("refused a second client: one at a time");
                    }
                }
                Err(Gone::Closed) => {
                    tracing::info!("the client has gone");
                    work = Work::Idle;
                    detach(client.take(), device);
                }
                Err(gone) => {
                    tracing::warn!("the connection ends: {gone}");
                    work = Work::Idle;
                    detach(client.take(), device);
                }
            }
        }
    }

    /// Takes a client that has connected. Where that needs what has run out, it waits at the socket.
    fn accept(&mut self) -> Result<(), ServerError> {
        let Some(listener) = &self.listener else { return Ok(()) };
        match listener.accept()? {
            Accepted::Client(stream) => (self.newcomer, self.pause) = (Some(stream), None),
            Accepted::Nobody => self.pause = None,
            Accepted::NoRoom(error) => {
                if self.pause.is_none() {
                    tracing::warn!("cannot accept a client for now: {error}; trying again every second");
                }
                self.pause = Some(Instant::now() + PAUSE);
            }
        }
        Ok(())
    }

    /// Waits until there is something to do, or looks whether there is while the device is busy.
    fn wait<D: Device + ?Sized>(
        &self,
        client: Option<&Client>,
        device: &D,
        stop: BorrowedFd<'_>,
        work: Work,
    ) -> Result<Ready, ServerError> {
        let mut watched = vec![PollFd::from_borrowed_fd(stop, PollFlags::IN)];
        let mut watch = |descriptor, events| {
            watched.push(PollFd::from_borrowed_fd(descriptor, events));
            watched.len() - 1
        };
        let now = Instant::now();
        let paused = self.pause.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero());
        let listener = self.listener.as_ref().filter(|_| self.newcomer.is_none() && paused.is_none());
        let listener = listener.map(|listener| watch(listener.as_fd(), PollFlags::IN));
        // The client of a device that stands still waits, whatever it wants.
        let client = client.filter(|_| !device.stands_still());
        let resample = client.and_then(|client| client.irqs.resample()).map(|resample| watch(resample, PollFlags::IN));
        let attached = client.is_some_and(|client| client.attached);
        let client = client.map(|client| {
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, client.connection.has_output());
            watch(client.connection.as_fd(), events)
        });
        if let (true, Some(descriptor)) = (attached, device.watched()) {
            watch(descriptor, PollFlags::IN);
        }
        let control = device.controlled().map(|descriptor| watch(descriptor, PollFlags::IN));
        let timeout = match work {
            Work::Busy => Some(Duration::ZERO),
            _ if attached => device.deadline().map(|deadline| deadline.saturating_duration_since(now)),
            _ => None,
        };
        let timeout = timeout.into_iter().chain(paused).min();
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        match poll(&mut watched, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(ServerError::Poll(error)),
        }
        let ready = |index: Option<usize>| index.is_some_and(|index| !watched[index].revents().is_empty());
        Ok(Ready {
            stop: ready(Some(0)),
            listener: ready(listener),
            client: ready(client),
            resample: ready(resample),
            control: ready(control),
        })
    }
}

/// Handles what has arrived and lets the device work.
fn round<D: Device + ?Sized>(client: &mut Client, device: &mut D, ready: &Ready) -> Result<Round, Gone> {
    if ready.resample && client.irqs.resampled() {
        device.intx_unmasked(client);
    }
    let mut drained = false;
    if ready.client {
        for _ in 0..BATCH {
            let Some(message) = client.connection.receive()? else {
                drained = true;
                break;
            };
            dispatch(client, device, message);
            client.dma.check()?;
        }
        // The VMM may hold a lock until it has its answers, so they go before the device's work.
        client.connection.flush()?;
    }
    let work = if client.attached { device.work(client) } else { Work::Idle };
    client.dma.check()?;
    client.connection.flush()?;
    Ok(Round { work, drained })
}

/// Forgets a client.
fn detach<D: Device + ?Sized>(client: Option<Client>, device: &mut D) {
    let Some(Client { statistics, attached, connection, memory, irqs, .. }) = client else { return };
    drop((connection, memory, irqs));
    if attached {
        device.detached(statistics);
    }
}

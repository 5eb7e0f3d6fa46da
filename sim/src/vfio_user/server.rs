//! The poll loop: one client after the other.
use super::client::Client;
use super::connection::Gone;
use super::dispatch::dispatch;
use super::listener::Listener;
use super::{Device, Errno, ServerOptions, Work};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Most messages between two calls of [`Device::work`].
const BATCH: usize = 32;

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
    options: ServerOptions,
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
        Ok(Server { listener: Some(Listener::bind(path)?), newcomer: None, options })
    }

    /// Serves the client at the other end of `stream`, and nobody else.
    pub fn connected(stream: UnixStream, options: ServerOptions) -> Self {
        Server { listener: None, newcomer: Some(stream), options }
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
            if self.wait(client.as_ref(), stop, work)? {
                return Ok(());
            }
            if let (Some(listener), None) = (&self.listener, &self.newcomer) {
                self.newcomer = listener.accept()?;
            }
            // The client behind the newcomer: it may have gone before the newcomer came.
            let Some(current) = client else { continue };
            match round(current, device) {
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

    /// Waits until there is something to do; true when that is to stop.
    fn wait(&self, client: Option<&Client>, stop: BorrowedFd<'_>, work: Work) -> Result<bool, ServerError> {
        let mut watched = vec![PollFd::from_borrowed_fd(stop, PollFlags::IN)];
        if let (Some(listener), None) = (&self.listener, &self.newcomer) {
            watched.push(PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN));
        }
        if let Some(client) = client {
            let mut events = PollFlags::IN;
            events.set(PollFlags::OUT, client.connection.has_output());
            watched.push(PollFd::from_borrowed_fd(client.connection.as_fd(), events));
            watched.extend(client.irqs.resample().map(|resample| PollFd::from_borrowed_fd(resample, PollFlags::IN)));
        }
        let no_wait = Timespec::default();
        let timeout = (work == Work::Busy).then_some(&no_wait);
        match poll(&mut watched, timeout) {
            Ok(_) => Ok(!watched[0].revents().is_empty()),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(ServerError::Poll(error)),
        }
    }
}

/// Handles what has arrived and lets the device work.
fn round<D: Device + ?Sized>(client: &mut Client, device: &mut D) -> Result<Round, Gone> {
    if client.irqs.resampled() {
        device.intx_unmasked(client);
    }
    let mut drained = false;
    for _ in 0..BATCH {
        let Some(message) = client.connection.receive()? else {
            drained = true;
            break;
        };
        dispatch(client, device, message);
    }
    // The VMM may hold a lock until it has its answers, so they go before the device's work.
    client.connection.flush()?;
    let work = if client.attached { device.work(client) } else { Work::Idle };
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

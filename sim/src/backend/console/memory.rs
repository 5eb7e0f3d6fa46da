//! A console whose other end is the program itself.
use super::{ConsoleBackend, TerminalSize};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// 1,000 cycles of 125 MHz.
const LOOK: Duration = Duration::from_micros(8);

#[derive(Debug)]
struct State {
    typed: VecDeque<u8>,
    printed: Vec<u8>,
    /// Bytes that may be printed; without end if there is none.
    room: Option<usize>,
    size: Option<TerminalSize>,
}

/// A console in memory: what a [`Typist`] types goes in, and it reads what is printed.
#[derive(Debug)]
pub struct MemoryConsole(Typist);

/// Who sits at a [`MemoryConsole`].
#[derive(Clone, Debug)]
pub struct Typist(Arc<Mutex<State>>);

impl Default for Typist {
    fn default() -> Self {
        let state = State { typed: VecDeque::new(), printed: Vec::new(), room: None, size: None };
        Typist(Arc::new(Mutex::new(state)))
    }
}

impl Typist {
    /// The console for an endpoint. One that nobody looks at takes nothing new before somebody does.
    pub fn console(&self) -> MemoryConsole {
        MemoryConsole(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Types these bytes.
    pub fn type_in(&self, bytes: &[u8]) {
        self.state().typed.extend(bytes);
    }

    /// Bytes that have been typed, and that the endpoint has not asked for.
    pub fn untaken(&self) -> usize {
        self.state().typed.len()
    }

    /// What has been printed since the last time.
    pub fn printed(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().printed)
    }

    /// Lets so many more bytes be printed; all if there is no number.
    pub fn allow(&self, bytes: Option<usize>) {
        self.state().room = bytes;
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, size: TerminalSize) {
        self.state().size = Some(size);
    }
}

impl ConsoleBackend for MemoryConsole {
    fn write(&mut self, bytes: &[u8]) -> usize {
        let mut state = self.0.state();
        let taken = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        state.room = state.room.map(|room| room - taken);
        state.printed.extend(&bytes[..taken]);
        taken
    }

    fn read(&mut self, most: usize) -> Vec<u8> {
        let mut state = self.0.state();
        let most = most.min(state.typed.len());
        state.typed.drain(..most).collect()
    }

    fn size(&self) -> Option<TerminalSize> {
        self.0.state().size
    }

    fn look_every(&self) -> Option<Duration> {
        Some(LOOK)
    }
}

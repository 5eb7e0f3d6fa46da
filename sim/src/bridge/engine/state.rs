//! The engine's endpoint, as it stands still.
use super::Engine;
use crate::model::{EndpointOptions, Library, ModelError};
use crate::state::{self, State, StateError, Stillness};

/// Cycles between two looks at an endpoint that nobody uses.
const LOOK: u64 = 256;

impl Engine {
    /// The endpoint begins nothing new.
    pub fn freeze(&mut self) -> Result<(), StateError> {
        self.wake();
        state::freeze(&mut self.endpoint)
    }

    /// How far it is.
    pub fn stillness(&mut self) -> Result<Stillness, StateError> {
        self.wake();
        state::look(&mut self.endpoint)
    }

    /// It goes on.
    pub fn thaw(&mut self) -> Result<(), StateError> {
        self.wake();
        state::thaw(&mut self.endpoint)
    }

    /// Lets time pass for an endpoint that has no client.
    pub fn pass(&mut self) -> Result<(), ModelError> {
        self.endpoint.pass(self.endpoint.cycle() + LOOK)
    }

    /// Its state.
    pub fn state(&mut self) -> Result<State, StateError> {
        State::read(&mut self.endpoint)
    }

    /// Resets it, and lets it have this state.
    pub fn restore(&mut self, state: &State) -> Result<(), StateError> {
        state::restore(&mut self.endpoint, state)
    }

    /// Puts one of this model in its place.
    pub fn exchange(&mut self, library: &Library, options: &EndpointOptions) -> Result<(), StateError> {
        let recorded = self.trace.is_some();
        self.endpoint = state::swap(&mut self.endpoint, &mut *self.side, library, options, recorded)?;
        Ok(())
    }
}

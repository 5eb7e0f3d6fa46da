//! A machine whose endpoint stands still, is saved, restored, and exchanged for another one.
use super::Machine;
use crate::model::{EndpointOptions, Library};
use crate::state::{self, State, StateError, Stillness, MOST_CYCLES};

/// Cycles between two looks whether the endpoint stands still.
const LOOK: u64 = 256;

impl Machine {
    /// Lets the endpoint come to a stand: nothing is on its way to it or from it then, and no TLP leaves it before [`Machine::thaw`]. The
    /// device side goes on meanwhile, and the host's memory.
    pub fn freeze(&mut self) -> Result<(), StateError> {
        let end = self.endpoint.cycle() + MOST_CYCLES;
        self.begin_freeze()?;
        while !self.stands_still()? {
            if self.endpoint.cycle() >= end || self.failure.is_some() {
                self.thaw()?;
                return Err(StateError::NeverStill(MOST_CYCLES));
            }
            self.pass();
        }
        Ok(())
    }

    /// The endpoint begins nothing new. Let time pass until it [stands still](Self::stands_still).
    pub fn begin_freeze(&mut self) -> Result<(), StateError> {
        state::freeze(&mut self.endpoint)
    }

    /// Whether it does. What the host has sent before it did is carried out first.
    pub fn stands_still(&mut self) -> Result<bool, StateError> {
        match state::look(&mut self.endpoint)? {
            Stillness::Moves => Ok(false),
            Stillness::Still if self.root.is_idle() => Ok(true),
            Stillness::Still | Stillness::Holds => {
                state::thaw(&mut self.endpoint)?;
                self.pass();
                state::freeze(&mut self.endpoint)?;
                Ok(false)
            }
        }
    }

    fn pass(&mut self) {
        let next = self.root.now().max(self.endpoint.cycle()) + LOOK;
        while self.root.now() < next && self.failure.is_none() {
            self.advance(next);
        }
    }

    /// Lets the endpoint go on.
    pub fn thaw(&mut self) -> Result<(), StateError> {
        state::thaw(&mut self.endpoint)
    }

    /// The state of the endpoint, which stands still.
    pub fn save(&mut self) -> Result<State, StateError> {
        State::read(&mut self.endpoint)
    }

    /// Resets the endpoint, which stands still, and lets it have this state. It stands still again. What its device side has for it waits.
    pub fn restore(&mut self, state: &State) -> Result<(), StateError> {
        state::restore(&mut self.endpoint, state)
    }

    /// Exchanges the endpoint, which stands still, for one of this model, which goes on where it was and stands still too. Where that
    /// cannot be, all is as before.
    pub fn exchange(&mut self, library: &Library, seed: u64) -> Result<(), StateError> {
        let options = EndpointOptions { seed, ..self.model.clone() };
        let recorded = self.trace.is_some();
        let mut new = state::swap(&mut self.endpoint, &mut *self.side, library, &options, recorded)?;
        new.set_lookahead(2 * self.one_way - 1, self.side.latency().saturating_sub(1))?;
        self.endpoint = new;
        Ok(())
    }
}

//! An endpoint that stands still under its guest: saved, restored, exchanged for another one. What the guest asks meanwhile waits at
//! its socket.
use super::control::{refused, Failure};
use super::{Bridge, BridgeError, Identity};
use crate::model::{EndpointOptions, Library, ModelError};
use crate::state::{State, StateError, Stillness};
use serde_json::{json, Value};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use vfio_user_server::Client;

/// What an endpoint is exchanged for.
pub struct Replacement {
    /// Its model.
    pub library: Library,
    /// What is on the socket then.
    pub identity: Identity,
}

/// Finds what a name stands for, of a configuration in a file or of an example, with these keys set, and builds it; or says why not.
pub type Find = Box<dyn Fn(&str, &[String]) -> Result<Replacement, String> + Send>;

/// How far the endpoint is on its way to a stand.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Standing {
    /// It goes on.
    #[default]
    Goes,
    /// It finishes what it has begun.
    Ends,
    /// It stands still.
    Still,
}

/// The bridge cannot go on without a model; all else is told to who asks.
impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Model(error) if !matches!(error, ModelError::NoStateWindow) => {
                Failure::Bridge(BridgeError::Model(error))
            }
            error => Failure::Refused(error.to_string()),
        }
    }
}

impl Bridge {
    /// From here on the endpoint can be exchanged for what `find` finds.
    pub fn exchanged_by(&mut self, find: Find) {
        self.find = Some(find);
    }

    /// The endpoint is to stand still, or is on its way there: whether it does now.
    pub(super) fn freeze(&mut self, client: Option<&mut Client>) -> Result<Value, Failure> {
        let begun = self.standing == Standing::Goes;
        if begun {
            self.engine.freeze()?;
            self.standing = Standing::Ends;
        }
        match client {
            Some(_) => self.come_to_a_stand()?,
            // Nobody but it moves then.
            None => {
                while self.standing != Standing::Still {
                    self.come_to_a_stand()?;
                    self.engine.pass()?;
                }
            }
        }
        Ok(json!({ "still": self.standing == Standing::Still, "begun": begun }))
    }

    /// Looks whether the endpoint stands still by now.
    pub(super) fn come_to_a_stand(&mut self) -> Result<(), StateError> {
        if self.standing != Standing::Ends {
            return Ok(());
        }
        match self.engine.stillness()? {
            Stillness::Moves => {}
            Stillness::Still => self.standing = Standing::Still,
            Stillness::Holds => {
                self.engine.thaw()?;
                self.engine.freeze()?;
            }
        }
        Ok(())
    }

    /// Lets the guest access registers: an endpoint that is about to stand still may do so before the access, which it would not answer,
    /// and goes on for it.
    pub(super) fn on_the_move<R>(
        &mut self,
        access: impl FnOnce(&mut Self) -> Result<R, BridgeError>,
    ) -> Result<R, BridgeError> {
        if self.standing != Standing::Ends {
            return access(self);
        }
        self.engine.thaw().map_err(BridgeError::State)?;
        let result = access(self)?;
        self.engine.freeze().map_err(BridgeError::State)?;
        Ok(result)
    }

    /// A reset of the endpoint has made it forget that it is to stand still.
    pub(super) fn freeze_again(&mut self) {
        if self.standing != Standing::Goes {
            self.standing = Standing::Ends;
            let frozen = self.engine.freeze().map_err(BridgeError::State);
            // The failure is kept, and ends the server with its next work.
            let _ = self.checked(frozen);
        }
    }

    pub(super) fn thaw(&mut self) -> Result<Value, Failure> {
        if self.standing != Standing::Goes {
            self.engine.thaw()?;
            self.standing = Standing::Goes;
        }
        Ok(json!({}))
    }

    fn must_be_still(&self) -> Result<(), Failure> {
        match self.standing {
            Standing::Still => Ok(()),
            Standing::Ends => {
                refused("the endpoint does not stand still yet: ask for `freeze` again, which says when it does")
            }
            Standing::Goes => refused("the endpoint does not stand still: `freeze` it first"),
        }
    }

    pub(super) fn save(&mut self, path: &Path) -> Result<Value, Failure> {
        self.must_be_still()?;
        let state = self.engine.state()?;
        match write(path, &state.to_text()) {
            Ok(()) => Ok(json!({ "saved": path })),
            Err(error) => refused(format!("cannot write {}: {error}", path.display())),
        }
    }

    /// A state that was saved of this endpoint, under the guest that is still there and has done nothing since.
    pub(super) fn restore(&mut self, path: &Path) -> Result<Value, Failure> {
        self.must_be_still()?;
        let told = |why: String| Failure::Refused(format!("cannot restore {}: {why}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| told(error.to_string()))?;
        let state = State::from_text(&text).map_err(|error| told(error.to_string()))?;
        let now = self.engine.state()?;
        if let Some(difference) = state.difference(&now) {
            return Err(told(format!(
                "the guest has gone on since it was saved, and would not find what it has left: {difference}"
            )));
        }
        self.engine.restore(&state)?;
        Ok(json!({ "restored": path }))
    }

    pub(super) fn reload(&mut self, name: &str, set: &[String]) -> Result<Value, Failure> {
        self.must_be_still()?;
        let Some(find) = &self.find else {
            return refused("whoever started this endpoint has not said where others come from");
        };
        let Replacement { library, identity } = find(name, set).map_err(Failure::Refused)?;
        let seed = self.seed.wrapping_add(1);
        self.engine.exchange(&library, &EndpointOptions { seed, ..EndpointOptions::default() })?;
        self.seed = seed;
        self.identity = identity;
        Ok(json!({ "configuration": self.identity.configuration }))
    }
}

/// Writes a file that only this user reads, as a whole or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

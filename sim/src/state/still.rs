//! Standing still, and going on.
use super::StateError;
use crate::model::{Endpoint, StateAccess};
use virtio_hdl_rtl::endpoint::state_window::{CONTROL, FREEZE, FROZEN, WAITING};

/// Whoever waits for an endpoint to stand still gives up after so many cycles: longer than any request of a disk takes.
pub const MOST_CYCLES: u64 = 100_000_000;

/// How far it is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Stillness {
    /// It is still at work.
    Moves,
    /// It stands still, and a request of the host waits before it: nobody else can carry that out.
    Holds,
    /// It stands still.
    Still,
}

/// Begins: it stands still some time later, when what has begun has ended. Until then its link and its device side go on as ever.
pub fn freeze(endpoint: &mut Endpoint) -> Result<(), StateError> {
    endpoint.state_access(StateAccess { address: CONTROL, enable: 0xf, write: Some(FREEZE) })?;
    Ok(())
}

/// Whether it does.
pub fn look(endpoint: &mut Endpoint) -> Result<Stillness, StateError> {
    let control = endpoint.state_access(StateAccess { address: CONTROL, enable: 0xf, write: None })?;
    Ok(match (control & FROZEN, control & WAITING) {
        (0, _) => Stillness::Moves,
        (_, 0) if !endpoint.has_requests()? => Stillness::Still,
        _ => Stillness::Holds,
    })
}

/// Lets it go on.
pub fn thaw(endpoint: &mut Endpoint) -> Result<(), StateError> {
    endpoint.state_access(StateAccess { address: CONTROL, enable: 0xf, write: Some(0) })?;
    Ok(())
}

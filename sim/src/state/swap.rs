//! One endpoint in the place of another.
use super::{freeze, look, State, StateError, Stillness};
use crate::model::{DeviceSide, Endpoint, EndpointOptions, Library, Stop};

/// Cycles in which an endpoint that nobody uses stands still.
const IN_PEACE: u64 = 1_000_000;
/// Cycles after which all that the device side shows has been seen.
const SEEN: u64 = 64;

/// Makes an endpoint of `library` that goes on where `old` stands still, with the same device side. It stands still too. Where that is
/// not possible, nothing has changed. While the ports are `recorded` it must have the same ones. A hard block stays as it is.
pub fn swap(
    old: &mut Endpoint,
    side: &mut dyn DeviceSide,
    library: &Library,
    options: &EndpointOptions,
    recorded: bool,
) -> Result<Endpoint, StateError> {
    let state = State::read(old)?;
    // Nothing is taken from the old one before it is known that the new one can go on.
    try_out(&state, old, library, options, recorded).map_err(|error| match error {
        StateError::Model(error) => StateError::Differs(error.to_string()),
        error => error,
    })?;
    let packets = old.take_back()?;
    let mut new = in_its_place(Endpoint::load(library, options, side)?, old)?;
    new.show_as(old);
    new.give_again(packets)?;
    side.poll(&mut new)?;
    let seen = new.cycle() + SEEN;
    while new.cycle() < seen {
        new.pass(seen)?;
    }
    state.write(&mut new)?;
    Ok(new)
}

/// Whether an endpoint of this model would go on with the state.
fn try_out(
    state: &State,
    old: &Endpoint,
    library: &Library,
    options: &EndpointOptions,
    recorded: bool,
) -> Result<(), StateError> {
    let mut trial = in_its_place(Endpoint::load(library, options, &mut ())?, old)?;
    if recorded && trial.ports() != old.ports() {
        return Err(StateError::Recorded);
    }
    state.write(&mut trial)
}

/// Resets an endpoint that stands still, and lets it have this state. It stands still again. A state that it cannot have leaves it as it
/// was.
pub fn restore(endpoint: &mut Endpoint, state: &State) -> Result<(), StateError> {
    let before = State::read(endpoint)?;
    state.fits(&before)?;
    match rewrite(endpoint, state) {
        Err(error @ StateError::Differs(_)) => {
            rewrite(endpoint, &before)?;
            Err(error)
        }
        done => done,
    }
}

fn rewrite(endpoint: &mut Endpoint, state: &State) -> Result<(), StateError> {
    let packets = endpoint.take_back()?;
    endpoint.reset();
    stand_still(endpoint)?;
    endpoint.give_again(packets)?;
    state.write(endpoint)
}

/// As late as the other one, and standing still.
fn in_its_place(mut new: Endpoint, old: &Endpoint) -> Result<Endpoint, StateError> {
    let end = new.cycle() + IN_PEACE;
    while new.run(end)? != Stop::Quiescent {
        if new.cycle() >= end {
            return Err(StateError::NeverStill(IN_PEACE));
        }
    }
    new.skip_to(old.cycle().max(new.cycle()));
    stand_still(&mut new)?;
    Ok(new)
}

/// An endpoint that nobody uses stands still soon.
fn stand_still(endpoint: &mut Endpoint) -> Result<(), StateError> {
    freeze(endpoint)?;
    let end = endpoint.cycle() + IN_PEACE;
    while look(endpoint)? == Stillness::Moves {
        if endpoint.cycle() >= end {
            return Err(StateError::NeverStill(IN_PEACE));
        }
        endpoint.pass(endpoint.cycle() + SEEN)?;
    }
    Ok(())
}

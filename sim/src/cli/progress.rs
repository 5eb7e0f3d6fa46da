//! What the building of a model shows on standard error.
use crate::model::BuildStep;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::Duration;

/// Runs `build` with something to tell its steps: a spinner, or, where nobody can watch, a line for each that takes long.
pub(super) fn shown<T>(build: impl FnOnce(&(dyn Fn(BuildStep) + Sync)) -> T) -> T {
    let bar: Mutex<Option<ProgressBar>> = Mutex::new(None);
    let locked = || bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let built = build(&|step| {
        if matches!(step, BuildStep::Waits { .. } | BuildStep::Begins { .. }) && !std::io::stderr().is_terminal() {
            note!("{step}");
        }
        locked().get_or_insert_with(spinner).set_message(step.to_string());
    });
    locked().iter().for_each(ProgressBar::finish_and_clear);
    built
}

fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

//! Several designs and targets at once.
use super::error::SynthError;
use super::flow::{Design, Done, Effort, Flow};
use super::tools::Tools;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A design on a target.
#[derive(Copy, Clone, Debug)]
pub struct Job<'a> {
    /// The design.
    pub design: &'a Design,
    /// What is made of it.
    pub flow: Flow,
    /// How hard it is tried.
    pub effort: Effort,
}

/// Runs all jobs, as many at once as `at_once` says, with a bar that says what is going on; `finished` hears of each job's
/// result and time. The results come in the order of the jobs; the first error ends everything.
pub fn run(
    jobs: &[Job],
    tools: &Tools,
    at_once: usize,
    finished: &(dyn Fn(&Job, &Done, Duration) + Sync),
) -> Result<Vec<Done>, SynthError> {
    let bar = ProgressBar::new(jobs.len() as u64);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} of {len} ({elapsed}) {wide_msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    // What takes longest begins first, so that no processor is left alone with it.
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(|index| jobs[*index].flow);
    let next = AtomicUsize::new(0);
    let running = Mutex::new(BTreeMap::new());
    let results: Vec<Mutex<Option<Result<Done, SynthError>>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let show = |index: usize, what: Option<String>| {
        let mut running = running.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match what {
            Some(what) => running.insert(index, what),
            None => running.remove(&index),
        };
        bar.set_message(running.values().cloned().collect::<Vec<_>>().join("; "));
    };
    let work = || loop {
        let Some(&index) = order.get(next.fetch_add(1, Ordering::Relaxed)) else {
            return;
        };
        let job = &jobs[index];
        let begin = Instant::now();
        let say = |what: &str| show(index, Some(format!("{} {}: {what}", job.design.name, job.flow.name())));
        let result = job.flow.run(job.design, job.effort, tools, &say);
        show(index, None);
        bar.inc(1);
        match &result {
            Ok(done) => bar.suspend(|| finished(job, done, begin.elapsed())),
            Err(_) => next.store(jobs.len(), Ordering::Relaxed),
        }
        *results[index].lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(result);
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, jobs.len().max(1)) {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    // A job that did not begin stands behind one that failed in the order, but perhaps before it in the list.
    let results =
        results.into_iter().filter_map(|slot| slot.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()));
    results.collect()
}

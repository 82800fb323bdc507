//! Independent jobs on all cores, with a line of progress now and then.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::clock;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);

/// Runs `work` for every number below `count` and returns the results in order; those begun
/// before `tell` broke it off, if it does.
pub(crate) fn map<T: Send>(
    what: &str,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut tell: impl FnMut(&T) -> ControlFlow<()>,
) -> Vec<T> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let began = clock::now();
    let mut last = began;
    let mut results: Vec<Option<T>> = (0..count).map(|_| None).collect();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= count || sender.send((job, work(job))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (done, (job, result)) in receiver.iter().enumerate() {
            if tell(&result).is_break() {
                next.store(count, Ordering::Relaxed);
            }
            if let Some(place) = results.get_mut(job) {
                *place = Some(result);
            }
            let now = clock::now();
            if now - last >= PROGRESS {
                last = now;
                let seconds = (now - began).as_secs_f64();
                let done = done + 1;
                let rate = per_second(done, seconds);
                let left = per_second(count - done, rate);
                eprintln!("sim: {done} of {count} {what}, {rate:.1} a second, {left:.0} s left");
            }
        }
    });
    results.into_iter().flatten().collect()
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
pub(crate) fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds.max(1e-9)
}

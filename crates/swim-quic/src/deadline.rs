//! Threads that wait: until when, for a future, and which must not.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crate::error::CommandError;

thread_local! {
    static IS_DRIVER: Cell<bool> = const { Cell::new(false) };
}

/// This thread runs members from here on.
pub(crate) fn become_driver_thread() {
    IS_DRIVER.set(true);
}

/// Whether this thread may wait for a driver thread: not if it is one itself, in which case it runs
/// code of the application that the driver has called.
pub(crate) fn may_wait() -> Result<(), CommandError> {
    if IS_DRIVER.get() { Err(CommandError::OnDriverThread) } else { Ok(()) }
}

/// The moment `timeout` from now on.
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    let now = now();
    // A timeout beyond what the clock can hold means: as long as it takes.
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(86_400 * 365))
}

/// How long it is until `deadline`.
pub(crate) fn time_until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(now())
}

#[expect(clippy::disallowed_methods, reason = "a caller's timeout starts when the caller calls")]
fn now() -> Instant {
    Instant::now()
}

/// Blocks this thread until the future is ready. `None`: it is not by `deadline`, or not at once
/// where the thread may not wait.
pub(crate) fn wait_until<F: Future>(future: F, deadline: Instant) -> Option<F::Output> {
    let unparks = Arc::new(Unparks { thread: std::thread::current(), woken: false.into() });
    let waker = Waker::from(Arc::clone(&unparks));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        // A thread may wake up without a reason.
        while !unparks.woken.swap(false, Ordering::AcqRel) {
            let left = time_until(deadline);
            if left.is_zero() || may_wait().is_err() {
                return None;
            }
            std::thread::park_timeout(left);
        }
    }
}

/// Wakes a thread that waits for a future.
struct Unparks {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unparks {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

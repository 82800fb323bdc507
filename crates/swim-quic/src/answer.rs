//! The way back from the driver thread: one value, for which a thread or a task waits.
//!
//! A call takes an [`Answer`] and sends the [`Reply`] along with its command. Whoever gives up
//! drops the answer; the driver is told, so that it keeps no reply that nobody waits for.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use quic_net::LoopWaker;

use crate::error::CommandError;
use crate::wakers::wake;

/// Tells the driver thread that a caller has given up.
pub(crate) struct GiveUps {
    any: AtomicBool,
    waker: Arc<LoopWaker>,
}

impl GiveUps {
    pub(crate) fn new(waker: Arc<LoopWaker>) -> Arc<Self> {
        Arc::new(Self { any: AtomicBool::new(false), waker })
    }

    fn tell(&self) {
        // One look finds all: while it is due, further ones are told by it.
        if !self.any.swap(true, Ordering::AcqRel)
            && let Err(error) = self.waker.wake()
        {
            log::error!("the driver thread cannot be woken: {error}");
        }
    }

    /// Whether somebody has given up since the last call.
    pub(crate) fn take(&self) -> bool {
        self.any.swap(false, Ordering::AcqRel)
    }
}

/// The end at which the value comes in.
pub(crate) struct Reply<T>(Arc<Slot<T>>);

/// The end at which somebody waits for it.
pub(crate) struct Answer<T> {
    slot: Arc<Slot<T>>,
    give_ups: Option<Arc<GiveUps>>,
}

struct Slot<T>(Mutex<State<T>>);

struct State<T> {
    value: Option<T>,
    /// The value is there, or none will come.
    ended: bool,
    /// Nobody waits any more.
    given_up: bool,
    waker: Option<Waker>,
}

/// Both ends; `give_ups` hears of an answer that is dropped too early.
pub(crate) fn answer<T>(give_ups: Option<Arc<GiveUps>>) -> (Reply<T>, Answer<T>) {
    let state = State { value: None, ended: false, given_up: false, waker: None };
    let slot = Arc::new(Slot(Mutex::new(state)));
    (Reply(Arc::clone(&slot)), Answer { slot, give_ups })
}

impl<T> Slot<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Reply<T> {
    /// Answers. That nobody waits any more is no error.
    pub(crate) fn send(self, value: T) {
        self.0.lock().value = Some(value);
    }

    /// Whether nobody waits any more.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.lock().given_up
    }
}

/// With a value or without: this is the end.
impl<T> Drop for Reply<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            wake(waker);
        }
    }
}

/// [`CommandError::Closed`]: the reply is gone, and the node with it.
impl<T> Future for Answer<T> {
    type Output = Result<T, CommandError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker().clone();
        let mut state = self.slot.lock();
        if state.ended {
            let value = state.value.take();
            drop(state);
            return Poll::Ready(value.ok_or(CommandError::Closed));
        }
        let former = state.waker.replace(waker);
        drop(state);
        drop(former);
        Poll::Pending
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let mut state = self.slot.lock();
        state.given_up = true;
        let (ended, waker) = (state.ended, state.waker.take());
        drop(state);
        drop(waker);
        if !ended && let Some(give_ups) = &self.give_ups {
            give_ups.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deadline::{deadline_after, wait_until};
    use crate::wakers::counts::Counts;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_thread_waits_for_the_value_for_the_end_or_for_the_deadline() {
        let (reply, mut late) = answer::<u8>(None);
        assert_eq!(wait_until(&mut late, deadline_after(Duration::from_millis(20))), None);
        assert!(!reply.is_given_up());
        let answered = std::thread::scope(|scope| {
            let waits = scope.spawn(|| wait_until(&mut late, deadline_after(PATIENCE)));
            reply.send(7);
            waits.join().unwrap()
        });
        assert_eq!(answered, Some(Ok(7)));
        let (reply, ends) = answer::<u8>(None);
        drop(reply);
        let ended = wait_until(ends, deadline_after(Duration::MAX));
        assert_eq!(ended, Some(Err(CommandError::Closed)));
    }

    #[test]
    fn a_task_is_woken_once_and_leaves_no_waker_when_it_goes() {
        let counts = Arc::<Counts>::default();
        let waker = Arc::clone(&counts).into();
        let mut context = Context::from_waker(&waker);
        let (reply, mut answered) = answer(None);
        for _ in 0..2 {
            assert!(Pin::new(&mut answered).poll(&mut context).is_pending());
        }
        assert_eq!(Arc::strong_count(&counts), 3, "one waker is kept");
        reply.send("there");
        assert_eq!(counts.0.load(Ordering::Relaxed), 1);
        assert_eq!(Pin::new(&mut answered).poll(&mut context), Poll::Ready(Ok("there")));

        let (reply, mut cancelled) = answer::<u8>(None);
        assert!(Pin::new(&mut cancelled).poll(&mut context).is_pending());
        drop(cancelled);
        assert_eq!(Arc::strong_count(&counts), 2, "its waker went with it");
        assert!(reply.is_given_up());
        reply.send(1);
        assert_eq!(counts.0.load(Ordering::Relaxed), 1);
    }

    /// Each thread waits for one value after the other; a lost wake would leave it waiting.
    #[test]
    fn no_wake_is_lost_between_many_threads() {
        std::thread::scope(|scope| {
            for _ in 0..16 {
                let (sender, replies) = std::sync::mpsc::channel::<Reply<u32>>();
                scope.spawn(move || {
                    for (number, reply) in (0..).zip(replies) {
                        reply.send(number);
                    }
                });
                scope.spawn(move || {
                    for number in 0..2_000 {
                        let (reply, answered) = answer(None);
                        sender.send(reply).unwrap();
                        let value = wait_until(answered, deadline_after(PATIENCE));
                        assert_eq!(value, Some(Ok(number)));
                    }
                });
            }
        });
    }
}

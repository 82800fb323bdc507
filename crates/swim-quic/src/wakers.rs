//! Who is to be woken when something changes: the tasks that wait for it.
//!
//! Wakers are called and dropped with no lock held, since either can run code of an executor, which
//! may come back here.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Wakes one task. What panics in its executor ends no member.
pub(crate) fn wake(waker: Waker) {
    if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
        log::error!("a waker of the application panicked: the task that it is of may not run");
    }
}

/// The tasks that wait for one thing.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    waiting: Mutex<Vec<(u64, Waker)>>,
    places: AtomicU64,
}

impl Wakers {
    /// Wakes all. Call it after the change: whoever looked before the change and waits since is
    /// found here.
    pub(crate) fn wake_all(&self) {
        self.take().for_each(wake);
    }

    /// Takes all of them out, to be woken later.
    pub(crate) fn take(&self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut *self.lock()).into_iter().map(|(_, waker)| waker)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }
}

/// One task's place among those that wait. Its waker goes with it.
#[derive(Debug)]
pub(crate) struct WakerPlace {
    wakers: Arc<Wakers>,
    number: u64,
    is_set: bool,
}

impl WakerPlace {
    pub(crate) fn new(wakers: &Arc<Wakers>) -> Self {
        let number = wakers.places.fetch_add(1, Ordering::Relaxed);
        Self { wakers: Arc::clone(wakers), number, is_set: false }
    }

    /// Ready with what `look` finds. If that is nothing, the task waits here, and looks once more:
    /// a change between the two would be lost. No lock may be held when `look` has found nothing.
    pub(crate) fn poll<T>(
        &mut self,
        context: &Context<'_>,
        mut look: impl FnMut() -> Option<T>,
    ) -> Poll<T> {
        if let Some(found) = look() {
            return Poll::Ready(found);
        }
        self.set(context.waker());
        look().map_or(Poll::Pending, Poll::Ready)
    }

    /// Puts a waker here.
    fn set(&mut self, waker: &Waker) {
        let new = waker.clone();
        let mut waiting = self.wakers.lock();
        let former = waiting.iter_mut().find(|(number, _)| *number == self.number);
        let former = match former {
            Some((_, place)) => Some(std::mem::replace(place, new)),
            None => {
                waiting.push((self.number, new));
                None
            }
        };
        drop(waiting);
        drop(former);
        self.is_set = true;
    }

    /// Wakes nobody from here on.
    pub(crate) fn clear(&mut self) {
        if !std::mem::take(&mut self.is_set) {
            return;
        }
        let mut waiting = self.wakers.lock();
        let place = waiting.iter().position(|(number, _)| *number == self.number);
        let former = place.map(|place| waiting.swap_remove(place));
        if waiting.is_empty() {
            // Whoever is idle holds no memory of its busiest moment.
            *waiting = Vec::new();
        }
        drop(waiting);
        drop(former);
    }
}

impl Drop for WakerPlace {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A waker for tests, which counts.
#[cfg(test)]
pub(crate) mod counts {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    /// How often it was woken.
    #[derive(Default)]
    pub(crate) struct Counts(pub(crate) AtomicUsize);

    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::counts::Counts;
    use super::*;

    #[test]
    fn who_waits_is_woken_once_and_who_has_gone_leaves_nothing() {
        let wakers = Arc::<Wakers>::default();
        let (first, second) = (Arc::<Counts>::default(), Arc::<Counts>::default());
        let mut stays = WakerPlace::new(&wakers);
        let mut goes = WakerPlace::new(&wakers);
        stays.set(&Arc::clone(&first).into());
        stays.set(&Arc::clone(&first).into());
        goes.set(&Arc::clone(&second).into());
        assert_eq!(wakers.count(), 2, "one waker a place");
        drop(goes);
        assert_eq!(Arc::strong_count(&second), 1);
        wakers.wake_all();
        wakers.wake_all();
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (1, 0));
        stays.set(&Arc::clone(&first).into());
        stays.clear();
        assert_eq!((wakers.count(), Arc::strong_count(&first)), (0, 1));
    }

    #[test]
    fn a_change_between_the_look_and_the_wait_is_found() {
        let wakers = Arc::<Wakers>::default();
        let mut place = WakerPlace::new(&wakers);
        let counts = Arc::<Counts>::default();
        let waker = Waker::from(Arc::clone(&counts));
        let context = Context::from_waker(&waker);
        let mut changed = false;
        // The change comes as soon as the first look has missed it, when nobody waits yet.
        let found = place.poll(&context, || {
            let found = changed.then_some("found");
            changed = true;
            wakers.wake_all();
            found
        });
        assert_eq!(found, Poll::Ready("found"));
        assert_eq!(place.poll(&context, || None::<()>), Poll::Pending);
        let before = counts.0.load(Ordering::Relaxed);
        wakers.wake_all();
        assert_eq!(counts.0.load(Ordering::Relaxed), before + 1, "a task that waits is woken");
    }

    /// An executor may drop a task, and all that it holds, when its last waker goes.
    #[test]
    fn a_waker_that_comes_back_when_it_is_dropped_finds_no_lock_held() {
        struct ComesBack(Arc<Wakers>);
        impl Wake for ComesBack {
            fn wake(self: Arc<Self>) {
                self.0.wake_all();
            }
        }
        impl Drop for ComesBack {
            fn drop(&mut self) {
                self.0.wake_all();
            }
        }
        let wakers = Arc::<Wakers>::default();
        let comes_back = || Waker::from(Arc::new(ComesBack(Arc::clone(&wakers))));
        let mut place = WakerPlace::new(&wakers);
        place.set(&comes_back());
        place.set(&comes_back());
        place.clear();
        place.set(&comes_back());
        wakers.wake_all();
        assert_eq!(wakers.count(), 0);
    }
}

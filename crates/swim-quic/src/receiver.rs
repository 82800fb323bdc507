//! The receiving ends that applications hold, of events as of streams and datagrams.
//!
//! They are made of a channel of crossbeam's, which does not show: what it is can change. Tasks
//! wait beside the channel: a [`Feed`] wakes them when it has sent something, and at its end.

mod iterators;

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
#[cfg(feature = "async")]
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crossbeam_channel as channel;
use crossbeam_channel::Select;

use crate::deadline::{deadline_after, may_wait};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::wakers::{WakerPlace, Wakers};
pub use iterators::{IncomingIntoIter, IncomingIter, IncomingTryIter};

/// The end at which a member puts in what an [`Incoming`] brings.
pub(crate) struct Feed<T> {
    // Dropped first: who is woken then must find the end.
    sender: channel::Sender<T>,
    waiting: WakesAtTheEnd,
}

struct WakesAtTheEnd(Arc<Wakers>);

impl Drop for WakesAtTheEnd {
    fn drop(&mut self) {
        self.0.wake_all();
    }
}

impl<T> Feed<T> {
    /// Puts one item in, if there is room and a receiver.
    pub(crate) fn try_send(&self, item: T) -> Result<(), channel::TrySendError<T>> {
        let sent = self.sender.try_send(item);
        if sent.is_ok() {
            self.waiting.0.wake_all();
        }
        sent
    }

    /// The same for whoever holds a lock and wakes [`wakers`](Self::wakers) after it.
    pub(crate) fn send_silently(&self, item: T) -> Result<(), channel::TrySendError<T>> {
        self.sender.try_send(item)
    }

    /// The tasks to wake after [`send_silently`](Self::send_silently).
    pub(crate) fn wakers(&self) -> impl Iterator<Item = Waker> + use<T> {
        self.waiting.0.take()
    }

    /// How many items wait.
    pub(crate) fn len(&self) -> usize {
        self.sender.len()
    }
}

/// A queue in which at most so many items wait.
pub(crate) fn bounded<T>(capacity: usize) -> (Feed<T>, Incoming<T>) {
    queue(channel::bounded(capacity))
}

/// A queue whose sender bounds it.
pub(crate) fn unbounded<T>() -> (Feed<T>, Incoming<T>) {
    queue(channel::unbounded())
}

fn queue<T>(
    (sender, receiver): (channel::Sender<T>, channel::Receiver<T>),
) -> (Feed<T>, Incoming<T>) {
    let wakers = Arc::<Wakers>::default();
    let feed = Feed { sender, waiting: WakesAtTheEnd(Arc::clone(&wakers)) };
    let incoming = Incoming {
        receiver,
        wakers,
        owned: None,
        #[cfg(feature = "async")]
        place: None,
    };
    (feed, incoming)
}

/// What comes to this member for the application: the receiving end of a queue that the member
/// fills.
///
/// It is used like [`std::sync::mpsc::Receiver`]; to wait for several at once there is
/// [`wait_any`](crate::wait_any). Clones share one queue, in which each item goes to one of them.
/// The queue, and what waits in it, is freed with the last clone. It ends with the member, or when
/// another listener takes its place: what waits then can still be received.
///
/// What waits for an item does not wait on a driver thread, in a hook for example, where it would
/// hold up what it waits for: it fails at once, and iterators end at once and say so in the log.
/// There, take what is here already with [`try_recv`](Self::try_recv).
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::{Cluster, RecvTimeoutError};
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let calls = cluster.listen("echo")?;
/// match calls.recv_timeout(Duration::from_secs(1)) {
///     Ok(call) => println!("{} opened a stream", call.from),
///     Err(RecvTimeoutError::Timeout) => println!("nobody did"),
///     Err(RecvTimeoutError::Disconnected) => println!("this member has stopped"),
///     Err(error @ RecvTimeoutError::OnDriverThread) => return Err(error.into()),
/// }
/// for call in calls {
///     println!("{} opened a stream", call.from);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Incoming<T> {
    receiver: channel::Receiver<T>,
    wakers: Arc<Wakers>,
    /// Where the task waits that polls this clone as a stream.
    #[cfg(feature = "async")]
    place: Option<WakerPlace>,
    /// What the last clone takes along when it goes, after the queue.
    owned: Option<Arc<dyn Any + Send + Sync>>,
}

impl<T> Incoming<T> {
    /// The same, and the last clone drops `owned`.
    pub(crate) fn owning(self, owned: Arc<dyn Any + Send + Sync>) -> Self {
        Self { owned: Some(owned), ..self }
    }

    /// Waits for the next item, for ever if need be.
    ///
    /// # Errors
    ///
    /// [`RecvError`] once it has ended, and on a driver thread.
    ///
    /// ```no_run
    /// # use swim_quic::Subscription;
    /// # fn example(events: &Subscription) -> Result<(), Box<dyn std::error::Error>> {
    /// let event = events.recv()?;
    /// println!("{event:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv(&self) -> Result<T, RecvError> {
        may_wait().map_err(|_| RecvError::OnDriverThread)?;
        self.receiver.recv().map_err(|channel::RecvError| RecvError::Disconnected)
    }

    /// The next item, if one waits. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TryRecvError`] when none waits, or it has ended.
    ///
    /// ```no_run
    /// # use swim_quic::{Subscription, TryRecvError};
    /// # fn example(events: &Subscription) {
    /// match events.try_recv() {
    ///     Ok(event) => println!("{event:?}"),
    ///     Err(TryRecvError::Empty) => println!("nothing new"),
    ///     Err(TryRecvError::Disconnected) => println!("the member has stopped"),
    /// }
    /// # }
    /// ```
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.receiver.try_recv().map_err(|error| match error {
            channel::TryRecvError::Empty => TryRecvError::Empty,
            channel::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Waits for the next item, at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`] when none has come in time, or it has ended, and on a driver thread.
    ///
    /// ```no_run
    /// # use swim_quic::{RecvTimeoutError, Subscription};
    /// # use std::time::Duration;
    /// # fn example(events: &Subscription) -> Result<(), Box<dyn std::error::Error>> {
    /// match events.recv_timeout(Duration::from_secs(1)) {
    ///     Ok(event) => println!("{event:?}"),
    ///     Err(RecvTimeoutError::Timeout) => println!("nothing in a second"),
    ///     Err(other) => return Err(other.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_deadline(deadline_after(timeout))
    }

    /// Waits for the next item until `deadline`.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`] when none has come by then, or it has ended, and on a driver thread.
    ///
    /// ```no_run
    /// # use swim_quic::Subscription;
    /// # use std::time::{Duration, Instant};
    /// # fn example(events: &Subscription) {
    /// let deadline = Instant::now() + Duration::from_secs(10);
    /// while let Ok(event) = events.recv_deadline(deadline) {
    ///     println!("{event:?}");
    /// }
    /// # }
    /// ```
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        may_wait().map_err(|_| RecvTimeoutError::OnDriverThread)?;
        self.receiver.recv_deadline(deadline).map_err(|error| match error {
            channel::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout,
            channel::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
        })
    }

    /// Waits for the next item in a task, on any executor. A future that is dropped has taken
    /// nothing and leaves no waker behind.
    ///
    /// # Errors
    ///
    /// [`RecvError`] once it has ended.
    ///
    /// ```no_run
    /// # use swim_quic::Subscription;
    /// # async fn example(events: &Subscription) {
    /// while let Ok(event) = events.recv_async().await {
    ///     println!("{event:?}");
    /// }
    /// # }
    /// ```
    pub async fn recv_async(&self) -> Result<T, RecvError> {
        let mut place = WakerPlace::new(&self.wakers);
        poll_fn(|context| self.poll_recv(context, &mut place)).await
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        place: &mut WakerPlace,
    ) -> Poll<Result<T, RecvError>> {
        let received = place.poll(context, || self.received());
        if received.is_ready() {
            place.clear();
        }
        received
    }

    fn received(&self) -> Option<Result<T, RecvError>> {
        match self.try_recv() {
            Ok(item) => Some(Ok(item)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError::Disconnected)),
            Err(TryRecvError::Empty) => None,
        }
    }

    /// The next item for an iterator, which has no place for an error.
    fn next(&self) -> Option<T> {
        let received = self.recv();
        if matches!(received, Err(RecvError::OnDriverThread)) {
            log::error!(
                "an iterator of what comes to a member ends: {}",
                RecvError::OnDriverThread
            );
        }
        received.ok()
    }

    /// Lets `waiting` become ready when this is.
    pub(crate) fn add_to<'a>(&'a self, waiting: &mut Select<'a>) {
        waiting.recv(&self.receiver);
    }

    /// How many items wait.
    ///
    /// ```no_run
    /// # use swim_quic::Subscription;
    /// # fn example(events: &Subscription) {
    /// println!("{} events wait", events.len());
    /// # }
    /// ```
    #[must_use]
    pub fn len(&self) -> usize {
        self.receiver.len()
    }

    /// Whether none waits.
    ///
    /// ```no_run
    /// # use swim_quic::Subscription;
    /// # fn example(events: &Subscription) {
    /// while !events.is_empty() {
    ///     println!("{:?}", events.try_recv());
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.receiver.is_empty()
    }
}

impl<T> Clone for Incoming<T> {
    fn clone(&self) -> Self {
        Self {
            receiver: self.receiver.clone(),
            wakers: Arc::clone(&self.wakers),
            #[cfg(feature = "async")]
            place: None,
            owned: self.owned.clone(),
        }
    }
}

/// Nothing that it holds is pinned.
impl<T> Unpin for Incoming<T> {}

/// Under the feature `async`. The waker of a task that waits stays until the next item, or until
/// this clone is dropped; [`recv_async`](Incoming::recv_async) keeps none.
#[cfg(feature = "async")]
impl<T> futures_core::Stream for Incoming<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let place = self.place.take();
        let mut place = place.unwrap_or_else(|| WakerPlace::new(&self.wakers));
        let received = self.poll_recv(context, &mut place);
        self.place = Some(place);
        received.map(Result::ok)
    }
}

impl<T> fmt::Debug for Incoming<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming").field("waiting", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::deadline::wait_until;

    const PATIENCE: Duration = Duration::from_secs(30);
    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn it_receives_in_every_way_and_says_how_it_ends() {
        let (sender, numbers) = unbounded();
        assert_eq!(numbers.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(numbers.recv_timeout(MOMENT), Err(RecvTimeoutError::Timeout));
        (1..=8).for_each(|number| sender.try_send(number).unwrap());
        assert_eq!((numbers.len(), numbers.is_empty()), (8, false));
        assert_eq!((numbers.recv(), numbers.try_recv()), (Ok(1), Ok(2)));
        assert_eq!(numbers.recv_timeout(Duration::MAX), Ok(3));
        assert_eq!(numbers.try_iter().take(2).collect::<Vec<_>>(), [4, 5]);
        drop(sender);
        let clone = numbers.clone();
        assert_eq!((&numbers).into_iter().next(), Some(6));
        assert_eq!(numbers.into_iter().collect::<Vec<_>>(), [7, 8], "what waited is received");
        assert_eq!(clone.iter().next(), None);
        assert_eq!((clone.recv(), clone.is_empty()), (Err(RecvError::Disconnected), true));
        assert_eq!(clone.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(clone.recv_timeout(PATIENCE), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn the_last_clone_drops_what_it_owns() {
        let owned = Arc::new(());
        let first = unbounded::<u8>().1.owning(Arc::<()>::clone(&owned));
        let second = first.clone();
        drop(first);
        assert_eq!(Arc::strong_count(&owned), 2);
        let iterator = second.into_iter();
        assert_eq!(Arc::strong_count(&owned), 2, "an iterator owns it, too");
        drop(iterator);
        assert_eq!(Arc::strong_count(&owned), 1);
    }

    /// Each item is sent at about the moment at which its receiver looks: before, after, or between
    /// the look and the wait.
    #[test]
    fn an_item_that_comes_as_the_task_begins_to_wait_wakes_it() {
        const ROUNDS: usize = 30_000;
        let (feed, incoming) = unbounded();
        let begun = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..ROUNDS {
                    let mut turns = 0_u32;
                    while begun.load(Ordering::Acquire) <= number {
                        turns = turns.wrapping_add(1);
                        if turns.is_multiple_of(1_000) {
                            std::thread::yield_now();
                        }
                    }
                    feed.try_send(number).unwrap();
                }
            });
            for number in 0..ROUNDS {
                begun.store(number + 1, Ordering::Release);
                (0..number % 100).for_each(|_| std::hint::spin_loop());
                let received = wait_until(incoming.recv_async(), deadline_after(PATIENCE));
                assert_eq!(received, Some(Ok(number)));
            }
        });
        assert_eq!(incoming.wakers.count(), 0);
    }
}

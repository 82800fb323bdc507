//! Waits for several receiving ends at once.

use std::time::Duration;

use crossbeam_channel::Select;

use crate::deadline::{deadline_after, may_wait};
use crate::error::WaitAnyError;
use crate::receiver::Incoming;

/// What [`wait_any`] waits for: an [`Incoming`] of any kind, a
/// [`Subscription`](crate::Subscription) among them. Not for other types.
pub trait Receiver: sealed::Registers {}

impl<T> Receiver for Incoming<T> {}

mod sealed {
    use super::{Incoming, Select};

    /// Several queues that are waited for together.
    #[expect(unnameable_types, reason = "it seals `Receiver`")]
    pub struct Waiting<'a>(pub(super) Select<'a>);

    #[expect(unnameable_types, reason = "it seals `Receiver`")]
    pub trait Registers {
        fn register<'a>(&'a self, waiting: &mut Waiting<'a>);
    }

    impl<T> Registers for Incoming<T> {
        fn register<'a>(&'a self, waiting: &mut Waiting<'a>) {
            self.add_to(&mut waiting.0);
        }
    }
}

/// Waits until one of several receivers has an item or has ended, at most `timeout`, and returns
/// its index; if that is true of several, any of them.
///
/// Take the item with [`Incoming::try_recv`]: where clones share the queue, another one may have
/// taken it meanwhile. A receiver that has ended is ready each time: leave it out from then on.
///
/// # Errors
///
/// [`WaitAnyError`] when none is ready in time, at once if `receivers` is empty, and on a driver
/// thread.
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::{Cluster, TryRecvError, WaitAnyError, wait_any};
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let (events, calls) = (cluster.subscribe(), cluster.listen("echo")?);
/// loop {
///     match wait_any(&[&events, &calls], Duration::from_secs(60)) {
///         Ok(0) => match events.try_recv() {
///             Ok(event) => println!("{event:?}"),
///             Err(TryRecvError::Empty) => {}
///             Err(TryRecvError::Disconnected) => return Ok(()),
///         },
///         Ok(_) => calls.try_iter().for_each(|call| println!("{} calls", call.from)),
///         Err(WaitAnyError::Timeout) => println!("nothing in a minute"),
///         Err(error @ WaitAnyError::OnDriverThread) => return Err(error.into()),
///     }
/// }
/// # }
/// ```
pub fn wait_any(receivers: &[&dyn Receiver], timeout: Duration) -> Result<usize, WaitAnyError> {
    may_wait().map_err(|_| WaitAnyError::OnDriverThread)?;
    if receivers.is_empty() {
        return Err(WaitAnyError::Timeout);
    }
    let mut waiting = sealed::Waiting(Select::new());
    for receiver in receivers {
        receiver.register(&mut waiting);
    }
    waiting.0.ready_deadline(deadline_after(timeout)).map_err(|_| WaitAnyError::Timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::unbounded;

    const PATIENCE: Duration = Duration::from_secs(30);
    const MOMENT: Duration = Duration::from_millis(20);

    #[test]
    fn of_several_the_one_with_something_is_told() {
        let ((numbers, first), (words, second)) = (unbounded::<u8>(), unbounded::<&str>());
        let both: [&dyn Receiver; 2] = [&first, &second];
        assert_eq!(wait_any(&[], PATIENCE), Err(WaitAnyError::Timeout));
        assert_eq!(wait_any(&both, MOMENT), Err(WaitAnyError::Timeout));
        words.try_send("here").unwrap();
        assert_eq!(wait_any(&both, PATIENCE), Ok(1));
        assert_eq!(wait_any(&both, PATIENCE), Ok(1), "nothing was taken");
        assert_eq!(second.try_recv(), Ok("here"));
        assert_eq!(wait_any(&both, MOMENT), Err(WaitAnyError::Timeout));
        let told = std::thread::scope(|scope| {
            let waits = scope.spawn(|| wait_any(&[&first, &second], PATIENCE));
            numbers.try_send(1).unwrap();
            waits.join().unwrap()
        });
        assert_eq!((told, first.try_recv()), (Ok(0), Ok(1)));
        drop(words);
        assert_eq!(wait_any(&both, PATIENCE), Ok(1), "one that has ended is ready");
    }
}

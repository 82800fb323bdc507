//! What a call that only queues returns.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::deadline::{deadline_after, wait_until};

/// The outcome of a call that has been queued, for a thread that [waits](Self::wait) or a task that
/// awaits it.
///
/// What was queued does not depend on it: it is carried out if the receipt is dropped, too.
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::{Cluster, DeliveryReport};
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let timeout = Duration::from_secs(10);
/// let queued = ["ada", "bob"].map(|name| cluster.queue_reliable(name, "hello", timeout));
/// for mut receipt in queued {
///     match receipt.wait(timeout) {
///         Some(Ok(report)) => println!("delivered: {report:?}"),
///         Some(Err(error)) => println!("not delivered: {error}"),
///         None => println!("not known yet"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "it tells whether the call succeeded"]
pub struct Receipt<T> {
    /// Until it has been handed out.
    outcome: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
}

impl<T> Receipt<T> {
    pub(crate) fn new(outcome: impl Future<Output = T> + Send + 'static) -> Self {
        Self { outcome: Some(Box::pin(outcome)) }
    }

    /// Waits for the outcome, at most `timeout`, and not at all on a driver thread, which has to
    /// bring it about. `None`: it is not known yet, or has been handed out before.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) {
    /// let mut receipt = cluster.queue_broadcast("hello");
    /// match receipt.wait(Duration::from_secs(1)) {
    ///     Some(Ok(())) => println!("on its way"),
    ///     Some(Err(error)) => println!("refused: {error}"),
    ///     None => println!("not known yet"),
    /// }
    /// # }
    /// ```
    pub fn wait(&mut self, timeout: Duration) -> Option<T> {
        self.outcome.as_ref()?;
        wait_until(self, deadline_after(timeout))
    }
}

/// For ever pending once the outcome has been handed out.
impl<T> Future for Receipt<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(outcome) = &mut self.outcome else { return Poll::Pending };
        let polled = outcome.as_mut().poll(context);
        if polled.is_ready() {
            self.outcome = None;
        }
        polled
    }
}

impl<T> fmt::Debug for Receipt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt").field("open", &self.outcome.is_some()).finish()
    }
}

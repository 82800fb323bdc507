//! The calls of a [`Cluster`] that queue what they are given and return.

use std::time::Duration;

use swim_core::DeliveryReport;

use super::{Cluster, messages};
use crate::answer::Answer;
use crate::error::{BroadcastError, CommandError, SendDatagramError, SendError};
use crate::receipt::Receipt;
use crate::to_member_name::ToMemberName;

/// # Messages that are queued
///
/// Calls that begin with `queue_` never block: they return a [`Receipt`], for which a thread can
/// wait and a task as well. One caller can so have many messages under way; they are sent in the
/// order of the calls. The queue of this member's commands holds 1,024, with payloads of 64 MiB;
/// when it is full, the receipt says [`CommandError::Busy`].
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::Cluster;
/// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let first = cluster.queue_reliable("bob", "one", Duration::from_secs(10));
/// let second = cluster.queue_reliable("bob", "two", Duration::from_secs(10));
/// println!("{:?}, then {:?}", first.await?, second.await?);
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// [`send`](Self::send), queued.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), told by the receipt;
    /// [`CommandError::Busy`] where the queue is full.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) {
    /// let mut sent = cluster.queue_send("bob", "load=0.7");
    /// if let Some(Err(error)) = sent.wait(Duration::from_secs(1)) {
    ///     println!("not sent: {error}");
    /// }
    /// # }
    /// ```
    pub fn queue_send(
        &self,
        to: impl ToMemberName,
        payload: impl Into<Vec<u8>>,
    ) -> Receipt<Result<(), SendError>> {
        receipt(self.begin_send(to, payload.into()), |sent| sent.map_err(SendError::from_refusal))
    }

    /// [`send_reliable`](Self::send_reliable), queued. Within `timeout` the message is delivered,
    /// or the receipt says why not.
    ///
    /// # Errors
    ///
    /// Those of [`send_reliable`](Self::send_reliable), told by the receipt;
    /// [`CommandError::Busy`] where the queue is full.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let timeout = Duration::from_secs(5);
    /// let receipts = ["bob", "cyd"].map(|name| cluster.queue_reliable(name, "order 17", timeout));
    /// for receipt in receipts {
    ///     println!("{:?}", receipt.await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_reliable(
        &self,
        to: impl ToMemberName,
        payload: impl Into<Vec<u8>>,
        timeout: Duration,
    ) -> Receipt<Result<DeliveryReport, SendError>> {
        let begun = self.begin_reliable(to, payload.into(), timeout);
        receipt(begun, |outcome| messages::delivered(Some(outcome)))
    }

    /// [`broadcast`](Self::broadcast), queued.
    ///
    /// # Errors
    ///
    /// Those of [`broadcast`](Self::broadcast), told by the receipt;
    /// [`CommandError::Busy`] where the queue is full.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.queue_broadcast("cache of 17 is stale").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_broadcast(
        &self,
        payload: impl Into<Vec<u8>>,
    ) -> Receipt<Result<(), BroadcastError>> {
        let begun = self.begin_broadcast(payload.into());
        receipt(begun, |queued| queued.map_err(BroadcastError::from_refusal))
    }

    /// [`send_datagram`](Self::send_datagram), queued.
    ///
    /// # Errors
    ///
    /// Those of [`send_datagram`](Self::send_datagram), told by the receipt;
    /// [`CommandError::Busy`] where the queue is full.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.queue_datagram("bob", "position", "12,7").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_datagram(
        &self,
        to: impl ToMemberName,
        protocol: &str,
        payload: impl Into<Vec<u8>>,
    ) -> Receipt<Result<(), SendDatagramError>> {
        receipt(self.begin_datagram(to, protocol, payload.into()), |sent| sent)
    }
}

/// For what was queued, or for the reason why it was not.
fn receipt<A, T, E>(
    begun: Result<Answer<A>, E>,
    finish: impl FnOnce(A) -> Result<T, E> + Send + 'static,
) -> Receipt<Result<T, E>>
where
    A: Send + 'static,
    E: From<CommandError> + Send + 'static,
{
    Receipt::new(async move { finish(begun?.await?) })
}

//! The calls of a [`Cluster`] that wait, for tasks instead of threads.
//!
//! They send the same commands. Time is measured by the driver thread, which has a clock anyway, so
//! that they need no runtime.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use swim_core::DeliveryReport;

use super::{Cluster, JoinReport, LeaveReport, REPORT_MARGIN, membership_calls, messages};
use crate::application::Stream;
use crate::cluster_event::ConnectionInfo;
use crate::command::Command;
use crate::deadline::deadline_after;
use crate::error::{
    CommandError, ConnectError, JoinError, LeaveError, OpenStreamError, PingError, SendError,
};
use crate::to_member_name::ToMemberName;

/// # Calls that wait, in tasks
///
/// Each does what the call without `_async` does, in the same time, and fails in the same way. They
/// run on any executor and start nothing before they are polled first.
///
/// A future that is dropped before its end leaves nothing behind: neither a waker nor a place at
/// the driver thread. What the call has begun goes on, as it does after a timeout: a join may still
/// succeed, and a message arrive; a stream that is being opened is reset.
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::Cluster;
/// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let second = Duration::from_secs(1);
/// cluster.join_async(["10.0.0.2:7946"], 10 * second).await?;
/// println!("bob is {:?} away", cluster.ping_async("bob", second).await?);
/// cluster.send_reliable_async("bob", "hello", second).await?;
/// cluster.shutdown_async(5 * second).await?;
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// [`join`](Self::join) for a task.
    ///
    /// # Errors
    ///
    /// As [`join`](Self::join).
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let joined = cluster.join_async(["seed.example"], Duration::from_secs(10)).await?.joined;
    /// println!("{joined} addresses answered");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn join_async<A: AsRef<str>>(
        &self,
        addresses: impl IntoIterator<Item = A>,
        timeout: Duration,
    ) -> Result<JoinReport, JoinError> {
        let mut joining = self.begin_join(addresses)?;
        if let Some(Err(error)) = self.within(&mut joining, timeout).await? {
            return Err(error.into());
        }
        joining.report()
    }

    /// [`leave`](Self::leave) for a task.
    ///
    /// # Errors
    ///
    /// As [`leave`](Self::leave).
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let report = cluster.leave_async(Duration::from_secs(5)).await?;
    /// println!("{} of {} know", report.told, report.wanted);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn leave_async(&self, timeout: Duration) -> Result<LeaveReport, LeaveError> {
        let leaving = self.begin(|reply| Command::Leave { reply })?;
        let outcome = self.within(leaving, timeout.saturating_add(REPORT_MARGIN)).await?;
        membership_calls::left(outcome.transpose()?)
    }

    /// [`ping`](Self::ping) for a task.
    ///
    /// # Errors
    ///
    /// As [`ping`](Self::ping).
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let round_trip = cluster.ping_async("bob", Duration::from_secs(1)).await?;
    /// println!("bob is {round_trip:?} away");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn ping_async(
        &self,
        to: impl ToMemberName,
        timeout: Duration,
    ) -> Result<Duration, PingError> {
        let pinging = self.begin_ping(to)?;
        let outcome = self.within(pinging, timeout.saturating_add(REPORT_MARGIN)).await?;
        messages::pong(outcome.transpose()?)
    }

    /// [`send_reliable`](Self::send_reliable) for a task.
    ///
    /// # Errors
    ///
    /// As [`send_reliable`](Self::send_reliable).
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let timeout = Duration::from_secs(5);
    /// let report = cluster.send_reliable_async("bob", "order 17", timeout).await?;
    /// println!("{report:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_reliable_async(
        &self,
        to: impl ToMemberName,
        payload: impl Into<Vec<u8>>,
        timeout: Duration,
    ) -> Result<DeliveryReport, SendError> {
        // The machine keeps to the timeout.
        let sending = self.begin_reliable(to, payload.into(), timeout)?;
        messages::delivered(Some(sending.await?))
    }

    /// [`open_stream`](Self::open_stream) for a task; [`Stream::read_async`] and
    /// [`Stream::write_async`] use it from one.
    ///
    /// # Errors
    ///
    /// As [`open_stream`](Self::open_stream).
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut stream = cluster.open_stream_async("bob", "log", Duration::from_secs(5)).await?;
    /// stream.write_all_async(b"one line\n").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open_stream_async(
        &self,
        to: impl ToMemberName,
        protocol: &str,
        timeout: Duration,
    ) -> Result<Stream, OpenStreamError> {
        // The endpoint keeps to the timeout.
        self.begin_stream(to, protocol, timeout)?.await?
    }

    /// [`connect`](Self::connect) for a task.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let connection = cluster.connect_async("bob", Duration::from_secs(5)).await?;
    /// println!("bob proves {:?}", connection.names);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_async(
        &self,
        member: impl ToMemberName,
        timeout: Duration,
    ) -> Result<ConnectionInfo, ConnectError> {
        let dialing = self.begin_connect(member)?;
        let dialed = self.within(dialing, timeout.saturating_add(REPORT_MARGIN)).await?;
        dialed.transpose()?.unwrap_or(Err(ConnectError::TimedOut))
    }

    /// [`close`](Self::close) for a task.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use swim_quic::Cluster;
    /// # async fn example(cluster: &Cluster) {
    /// cluster.close_async(Duration::from_secs(1)).await;
    /// assert!(!cluster.is_running());
    /// # }
    /// ```
    pub async fn close_async(&self, timeout: Duration) {
        self.begin_close(deadline_after(timeout));
        self.inner.sender.ended().await;
    }

    /// [`shutdown`](Self::shutdown) for a task. One that is dropped before its end may have left
    /// without closing.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown).
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let report = cluster.shutdown_async(Duration::from_secs(5)).await?;
    /// println!("{} were not told", report.unconfirmed());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown_async(&self, timeout: Duration) -> Result<LeaveReport, LeaveError> {
        let deadline = deadline_after(timeout);
        let left = self.leave_async(timeout).await;
        self.begin_close(deadline);
        self.inner.sender.ended().await;
        left
    }

    /// `None`: the future is not ready within `timeout`, which the driver thread measures.
    async fn within<F: Future>(
        &self,
        future: F,
        timeout: Duration,
    ) -> Result<Option<F::Output>, CommandError> {
        let time = deadline_after(timeout);
        let mut timer = pin!(self.begin(|reply| Command::AwaitTime { time, reply })?);
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Ok(Some(output))),
            Poll::Pending => timer.as_mut().poll(context).map_ok(|()| None),
        })
        .await
    }
}

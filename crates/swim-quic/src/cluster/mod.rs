//! The handle that a service embeds.
//!
//! A call either reads the published snapshot or sends a command to the driver thread and waits
//! for the answer, with a deadline. No call holds a lock around the machine or the endpoint.

mod agreement_calls;
mod async_calls;
mod connections;
mod identity_calls;
mod joining;
mod membership_calls;
mod messages;
mod metrics_calls;
mod queued_calls;
mod settings_calls;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use swim_core::{Member, MemberName, Outcome};

use crate::answer::{Answer, Reply};
use crate::cluster_event::Stats;
use crate::command::Command;
use crate::deadline::{deadline_after, may_wait, wait_until};
use crate::driver::CommandSender;
use crate::error::CommandError;
use crate::held_bytes::HeldBytes;
use crate::members::Members;
use crate::node::Shared;
use crate::resolve::Resolver;
use crate::settings_command::SettingsCommand;
use crate::subscribers::Subscription;

pub use agreement_calls::View;
pub use connections::RawSocket;
pub use joining::JoinReport;
pub use membership_calls::LeaveReport;

/// How long a command that only changes local state may take before the driver counts as stuck.
const LOCAL_ANSWER: Duration = Duration::from_secs(5);

/// How much longer than its own timeout an operation may take to report back.
const REPORT_MARGIN: Duration = Duration::from_millis(500);

/// A running member of a cluster.
///
/// Clones are handles to the same member. When the last one is dropped the member stops at once
/// and sends nothing: its peers will find it dead. To be seen leaving,
/// [`shutdown`](Self::shutdown) it.
///
/// Calls that wait take a timeout, and block their thread; those that end in `_async` let a task
/// wait instead, and those that begin with `queue_` return at once, with a [`Receipt`].
///
/// [`Receipt`]: crate::Receipt
///
/// No call waits for an event to be read, so that any may be made from a thread or task that reads
/// events. On a driver thread, where hooks run, and wakers of tasks that wait here, the calls that
/// wait are refused ([`CommandError::OnDriverThread`]): that thread would have to answer them. So
/// are those of an [`Incoming`](crate::Incoming).
///
/// ```no_run
/// use std::time::Duration;
/// use swim_quic::{Cluster, Event, Identity};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let builder = Cluster::builder("ada")
///     .identity(Identity::from_pem_files("ca.pem", "ada.pem", "ada.key")?)
///     .seeds(["10.0.0.2:7946"]);
/// // Before the start: a subscription made later misses what happened until then.
/// let events = builder.subscribe();
/// let cluster = builder.start()?;
///
/// println!("{} listens on {}", cluster.name(), cluster.address());
/// for event in &events {
///     if let Event::Joined(member) = event {
///         println!("{} is at {}", member.name(), member.address());
///         break;
///     }
/// }
/// println!("{} members", cluster.members().len());
/// println!("{} suspicions so far", cluster.stats()?.membership.counters.suspicions);
/// cluster.shutdown(Duration::from_secs(5))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

/// What all handles of one member share.
pub(crate) struct Inner {
    pub(crate) name: MemberName,
    /// The one announced first.
    pub(crate) address: SocketAddr,
    /// Where its socket is bound.
    pub(crate) bound: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    pub(crate) resolver: Resolver,
    pub(crate) sender: CommandSender,
    /// Of its reliable messages.
    pub(crate) held: HeldBytes,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Release);
        self.sender.wake();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.inner.name)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

impl Cluster {
    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// This member's name.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) {
    /// assert_eq!(cluster.name().to_string(), "ada");
    /// # }
    /// ```
    pub fn name(&self) -> &MemberName {
        &self.inner.name
    }

    /// The address this member announces, with its real port.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) {
    /// println!("others reach {} at {}", cluster.name(), cluster.address());
    /// # }
    /// ```
    pub fn address(&self) -> SocketAddr {
        let members = self.inner.shared.members.load();
        let own = members.iter().find(|member| *member.name() == self.inner.name);
        own.map_or(self.inner.address, Member::address)
    }

    /// Where its socket is bound, with its real port.
    #[cfg(feature = "testkit")]
    pub(crate) fn bound_address(&self) -> SocketAddr {
        self.inner.bound
    }

    /// Everybody known, ourselves included, ordered by name: alive, suspect, and those dead or
    /// left that are not purged yet. A snapshot: cheap, callable from anywhere.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, MemberState};
    /// # fn example(cluster: &Cluster) {
    /// let members = cluster.members();
    /// let alive = members.iter().filter(|member| member.state() == MemberState::Alive);
    /// println!("{} of {} are alive", alive.count(), members.len());
    /// # }
    /// ```
    pub fn members(&self) -> Members {
        Members::clone(&self.inner.shared.members.load())
    }

    /// A new subscription: every event from here on. What happened before is in
    /// [`members`](Self::members), and [`subscribe_with_members`](Self::subscribe_with_members)
    /// gives both without a gap; to miss no event since the start, use
    /// [`Builder::subscribe`](crate::Builder::subscribe). Who falls further behind than
    /// [`SubscriptionLimits`](crate::SubscriptionLimits) gets [`Event::Lagged`]. Once the member
    /// has stopped, a new subscription has ended.
    ///
    /// [`Event::Lagged`]: crate::Event::Lagged
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) {
    /// let events = cluster.subscribe();
    /// std::thread::spawn(move || {
    ///     for event in events {
    ///         println!("{event:?}");
    ///     }
    /// });
    /// # }
    /// ```
    pub fn subscribe(&self) -> Subscription {
        self.inner.shared.subscribers.add()
    }

    /// The members at this moment, and every event from then on: together they leave no gap and
    /// tell nothing twice.
    ///
    /// ```no_run
    /// # use std::collections::BTreeMap;
    /// # use swim_quic::{Cluster, Event};
    /// # fn example(cluster: &Cluster) {
    /// let (members, events) = cluster.subscribe_with_members();
    /// let mut known: BTreeMap<_, _> =
    ///     members.iter().map(|member| (member.name().clone(), member.clone())).collect();
    /// for event in events {
    ///     match event {
    ///         Event::Joined(member) | Event::Updated(member) | Event::Left(member) => {
    ///             known.insert(member.name().clone(), member);
    ///         }
    ///         Event::Removed { member, .. } => drop(known.remove(member.name())),
    ///         _ => {}
    ///     }
    /// }
    /// # }
    /// ```
    pub fn subscribe_with_members(&self) -> (Members, Subscription) {
        self.inner.shared.subscribers.add_with(|| self.members())
    }

    /// Whether the member runs. It does not after [`close`](Self::close), after a panic of its
    /// code, and when its driver thread has ended; then [`members`](Self::members) shows its last
    /// view for ever, calls fail with [`CommandError::Closed`], and subscriptions have ended with
    /// [`Event::Stopped`](crate::Event::Stopped).
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) {
    /// if !cluster.is_running() {
    ///     eprintln!("{} has stopped: start it anew", cluster.name());
    /// }
    /// # }
    /// ```
    pub fn is_running(&self) -> bool {
        !self.inner.shared.stopped.load(Ordering::Acquire)
    }

    /// The counters of this member, since its start.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver thread does not take or answer the question.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let stats = cluster.stats()?;
    /// let counters = stats.membership.counters;
    /// println!("{} of {} probes failed", counters.probes_failed, counters.probes);
    /// # Ok(())
    /// # }
    /// ```
    pub fn stats(&self) -> Result<Stats, CommandError> {
        self.ask(|reply| Command::Stats { reply })
    }

    /// Closes all connections politely and stops the member; waits at most `timeout`. Other
    /// handles find the cluster closed. From a hook it does not wait. Without a
    /// [`leave`](Self::leave) before it, peers see a failure.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) {
    /// // No leave: the others see a failure, as after a crash.
    /// cluster.close(Duration::from_secs(1));
    /// assert!(!cluster.is_running());
    /// # }
    /// ```
    pub fn close(&self, timeout: Duration) {
        let deadline = deadline_after(timeout);
        self.begin_close(deadline);
        if may_wait().is_ok() {
            self.inner.sender.wait_for_end(deadline + REPORT_MARGIN);
        }
    }

    fn begin_close(&self, deadline: Instant) {
        self.inner.shared.close_until(deadline);
        self.inner.sender.wake();
    }

    /// Sends a command that is answered.
    fn begin<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<Answer<T>, CommandError> {
        self.inner.sender.ask(command)
    }

    /// A command that is answered in the same turn.
    fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, CommandError> {
        may_wait()?;
        local(self.begin(command)?)
    }

    /// A command about settings, answered in the same turn.
    fn settings<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> SettingsCommand,
    ) -> Result<T, CommandError> {
        self.ask(|reply| Command::Settings(command(reply)))
    }
}

/// Waits for an answer that takes the driver thread one turn.
fn local<T>(answered: Answer<T>) -> Result<T, CommandError> {
    wait_until(answered, deadline_after(LOCAL_ANSWER)).ok_or(CommandError::Unanswered)?
}

/// Waits for the answer of an operation, which reports its own timeout. `None`: not within
/// `timeout`.
fn wait<T>(answered: Answer<T>, timeout: Duration) -> Result<Option<T>, CommandError> {
    let deadline = deadline_after(timeout.saturating_add(REPORT_MARGIN));
    wait_until(answered, deadline).transpose()
}

/// An outcome that does not belong to the operation that was asked for.
fn misplaced(outcome: &Outcome) -> CommandError {
    debug_assert!(false, "another operation's outcome: {outcome:?}");
    CommandError::Unanswered
}

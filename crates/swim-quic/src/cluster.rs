//! The handle that a service embeds.
//!
//! Every call either reads the published snapshot or sends a command to the driver thread and
//! waits for its answer with a deadline. Decides nothing; holds no lock around a machine.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use swim_core::{Member, MemberName, OperationError, Outcome};

use crate::address::JoinAddress;
use crate::builder::Builder;
use crate::command::{Command, CommandSender, Message, NodeId, answer};
use crate::error::{
    CommandError, JoinError, JoinFailure, LeaveError, PingError, SendError, SetMetaError,
};
use crate::event::{Event, Stats};
use crate::node::Shared;
use crate::resolve::Resolver;

/// How long a command that only changes local state may take before the driver counts as stuck.
const LOCAL_ANSWER: Duration = Duration::from_secs(5);

/// How much longer than its own timeout an operation may take to report back.
pub(crate) const REPORT_MARGIN: Duration = Duration::from_millis(500);

/// A running member of a cluster.
///
/// Clones are handles to the same member. When the last one is dropped the member stops at once
/// and sends nothing: its peers will find it dead. To go in peace, [`leave`](Self::leave) first.
///
/// Calls that wait take a timeout; none of them may be made from a hook.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) id: NodeId,
    pub(crate) name: MemberName,
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    pub(crate) resolver: Resolver,
    pub(crate) sender: CommandSender,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.abandoned.store(true, Ordering::Release);
        self.sender.wake();
    }
}

/// What a join achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinReport {
    /// How many addresses answered as members.
    pub joined: usize,
    /// The addresses that did not, and why.
    pub failed: Vec<JoinFailure>,
}

/// What a leave achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaveReport {
    /// How many distinct peers were told.
    pub told: usize,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.inner.name)
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}

impl Cluster {
    /// Starts describing a member called `name` (1 to 255 bytes).
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }

    pub(crate) fn from_inner(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    /// This member's name.
    pub fn name(&self) -> &MemberName {
        &self.inner.name
    }

    /// The address this member announces, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Everybody known, ourselves included, ordered by name: alive, suspect, and those dead or
    /// left that are not purged yet. A snapshot: cheap, callable from anywhere.
    pub fn members(&self) -> Arc<[Member]> {
        Arc::clone(&self.inner.shared.members.load())
    }

    /// A new subscription: every event from here on. The queue holds 4,096 events; who falls
    /// further behind gets [`Event::Lagged`] and can look at [`members`](Self::members).
    pub fn subscribe(&self) -> Receiver<Event> {
        self.inner.shared.subscribers.add()
    }

    /// Exchanges state with every address (`[name/]host[:port]`) at once. Addresses that answer
    /// become standing seeds.
    ///
    /// # Errors
    ///
    /// [`JoinError::Address`] when one is malformed (nothing is tried then), and
    /// [`JoinError::NobodyAnswered`] when none answered within `timeout`.
    pub fn join<A: AsRef<str>>(
        &self,
        addresses: impl IntoIterator<Item = A>,
        timeout: Duration,
    ) -> Result<JoinReport, JoinError> {
        let addresses = addresses
            .into_iter()
            .map(|address| address.as_ref().parse::<JoinAddress>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(JoinError::Address)?;
        if addresses.is_empty() {
            return Err(JoinError::NoAddress);
        }
        let deadline = deadline_after(timeout);
        let mut attempts = self.begin_joins(addresses, deadline)?;
        let mut report = JoinReport { joined: 0, failed: Vec::new() };
        for attempt in attempts.drain(..) {
            match attempt.wait(deadline)? {
                None => report.joined += 1,
                Some(error) => {
                    report.failed.push(JoinFailure { address: attempt.text, error });
                }
            }
        }
        if report.joined == 0 { Err(JoinError::NobodyAnswered(report.failed)) } else { Ok(report) }
    }

    fn begin_joins(
        &self,
        addresses: Vec<JoinAddress>,
        deadline: Instant,
    ) -> Result<Vec<JoinAttempt>, JoinError> {
        let (reply, resolved) = bounded(addresses.len());
        let mut attempts = Vec::new();
        let mut pending = addresses.clone();
        for address in addresses {
            self.inner.resolver.look_up(address, &reply, None);
        }
        while !pending.is_empty() {
            let Ok(answer) = resolved.recv_deadline(deadline) else {
                break;
            };
            if let Some(index) = pending.iter().position(|address| *address == answer.address) {
                pending.swap_remove(index);
            }
            let attempt = match answer.found {
                Ok(found) => self.begin_join(&answer.address, found)?,
                Err(error) => JoinAttempt { text: answer.address.text, tries: Err(error) },
            };
            attempts.push(attempt);
        }
        attempts.extend(pending.into_iter().map(|address| JoinAttempt {
            tries: Err(format!("{} did not resolve in time", address.text)),
            text: address.text,
        }));
        Ok(attempts)
    }

    fn begin_join(
        &self,
        address: &JoinAddress,
        found: Vec<SocketAddr>,
    ) -> Result<JoinAttempt, CommandError> {
        let mut tries = Vec::new();
        for socket_address in found {
            let (reply, outcome) = bounded(1);
            let name = address.name.clone();
            self.send_command(Command::Join { address: socket_address, name, reply })?;
            tries.push(outcome);
        }
        Ok(JoinAttempt { text: address.text.clone(), tries: Ok(tries) })
    }

    /// Tells the cluster that this member leaves. Returns when enough distinct peers have it
    /// (the smaller of the live others and the retransmit limit). The member then answers for
    /// one second more, closes its connections, and stays as a non-member until it is dropped.
    ///
    /// # Errors
    ///
    /// [`LeaveError::TimedOut`] when too few peers had it within `timeout`.
    pub fn leave(&self, timeout: Duration) -> Result<LeaveReport, LeaveError> {
        match self.operate(|reply| Command::Leave { reply }, timeout)? {
            Some(Outcome::Left { told }) => Ok(LeaveReport { told }),
            _ => Err(LeaveError::TimedOut),
        }
    }

    /// Closes all connections politely and stops the member; waits at most `timeout`. Other
    /// handles find the cluster closed. Without a [`leave`](Self::leave) before it, peers see a
    /// failure.
    pub fn close(&self, timeout: Duration) {
        let (reply, done) = bounded(1);
        let deadline = deadline_after(timeout);
        if self.inner.sender.send(Message::Close { id: self.inner.id, deadline, reply }).is_ok() {
            // The answer is the reply's end: the driver drops it with the node.
            let _ = done.recv_deadline(deadline + REPORT_MARGIN);
        }
    }

    /// Replaces this member's metadata, at most 512 bytes, and gossips it.
    ///
    /// # Errors
    ///
    /// [`SetMetaError::Refused`] when it is too long or this member has left.
    pub fn set_meta(&self, meta: impl Into<Vec<u8>>) -> Result<(), SetMetaError> {
        let meta = meta.into();
        self.ask(|reply| Command::SetMeta { meta, reply })?.map_err(SetMetaError::Refused)
    }

    /// Sends a message by datagram: unordered, may be lost, at most about 64 KiB. Larger than
    /// one datagram it travels on a stream of its own.
    ///
    /// # Errors
    ///
    /// [`SendError::Unknown`] and [`SendError::Refused`], with the reason.
    pub fn send(&self, to: &str, payload: impl Into<Vec<u8>>) -> Result<(), SendError> {
        let (to, payload) = (Self::member_name(to)?, payload.into());
        self.ask(|reply| Command::Send { to, payload, reply })?.map_err(SendError::Refused)
    }

    /// Sends a message over a stream and waits until the member's transport has all of it, at
    /// most `timeout`. At most 20 MiB.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the reason.
    pub fn send_reliable(
        &self,
        to: &str,
        payload: impl Into<Vec<u8>>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        let (to, payload) = (Self::member_name(to)?, payload.into());
        match self
            .operate(|reply| Command::SendReliable { to, payload, timeout, reply }, timeout)?
        {
            Some(Outcome::Delivered) => Ok(()),
            outcome => Err(send_failure(outcome)),
        }
    }

    /// Sends a message once to every member alive at this moment, best effort. It must fit one
    /// packet beside nothing else.
    ///
    /// # Errors
    ///
    /// [`SendError::Refused`] when it is too large or this member has left.
    pub fn broadcast(&self, payload: impl Into<Vec<u8>>) -> Result<(), SendError> {
        let payload = payload.into();
        self.ask(|reply| Command::Broadcast { payload, reply })?.map_err(SendError::Refused)
    }

    /// Measures the round trip to a member with one ping, without effect on its state.
    ///
    /// # Errors
    ///
    /// [`SendError`], with the reason; [`SendError::TimedOut`] when nothing came back.
    pub fn ping(&self, to: &str, timeout: Duration) -> Result<Duration, PingError> {
        let to = Self::member_name(to)?;
        match self.operate(|reply| Command::Ping { to, reply }, timeout)? {
            Some(Outcome::Pong { rtt }) => Ok(rtt),
            outcome => Err(send_failure(outcome)),
        }
    }

    /// The counters of this member.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver does not take the question.
    pub fn stats(&self) -> Result<Stats, CommandError> {
        self.ask(|reply| Command::Stats { reply })
    }

    pub(crate) fn member_name(name: &str) -> Result<MemberName, SendError> {
        MemberName::try_from(name).map_err(|error| SendError::Refused(error.to_string()))
    }

    pub(crate) fn send_command(&self, command: Command) -> Result<(), CommandError> {
        self.inner.sender.send(Message::Node(self.inner.id, command))
    }

    /// A command that is answered in the same turn.
    pub(crate) fn ask<T>(
        &self,
        command: impl FnOnce(Sender<T>) -> Command,
    ) -> Result<T, CommandError> {
        let (reply, receiver) = bounded(1);
        self.send_command(command(reply))?;
        answer(&receiver, LOCAL_ANSWER)?.ok_or(CommandError::Busy)
    }

    /// A command that ends when its operation does. `None`: not in time.
    fn operate(
        &self,
        command: impl FnOnce(Sender<Outcome>) -> Command,
        timeout: Duration,
    ) -> Result<Option<Outcome>, CommandError> {
        let (reply, receiver) = bounded(1);
        self.send_command(command(reply))?;
        answer(&receiver, timeout.saturating_add(REPORT_MARGIN))
    }
}

/// One address of a join, under way.
struct JoinAttempt {
    text: String,
    tries: Result<Vec<Receiver<Outcome>>, String>,
}

impl JoinAttempt {
    /// `None` when one of its addresses was joined, else why not.
    fn wait(&self, deadline: Instant) -> Result<Option<String>, CommandError> {
        let tries = match &self.tries {
            Ok(tries) => tries,
            Err(error) => return Ok(Some(error.clone())),
        };
        let mut last_error = String::new();
        for outcome in tries {
            match outcome.recv_deadline(deadline) {
                Ok(Outcome::Joined) => return Ok(None),
                Ok(Outcome::Failed(error)) => last_error = error.to_string(),
                Ok(other) => last_error = format!("unexpected outcome {other:?}"),
                Err(error) if error.is_timeout() => {
                    last_error = "no answer in time; it will not be tried again".to_owned();
                }
                Err(_) => return Err(CommandError::Closed),
            }
        }
        Ok(Some(last_error))
    }
}

fn send_failure(outcome: Option<Outcome>) -> SendError {
    match outcome {
        None | Some(Outcome::Failed(OperationError::TimedOut)) => SendError::TimedOut,
        Some(Outcome::Failed(error)) => SendError::Failed(error.to_string()),
        Some(other) => SendError::Failed(format!("unexpected outcome {other:?}")),
    }
}

#[expect(clippy::disallowed_methods, reason = "a caller's timeout starts when the caller calls")]
pub(crate) fn deadline_after(timeout: Duration) -> Instant {
    let now = Instant::now();
    // A timeout beyond what the clock can hold means: as long as it takes.
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(86_400 * 365))
}

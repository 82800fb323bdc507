//! The calls of a [`Cluster`] that concern membership: join, leave, metadata, encryption keys.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use swim_core::{Outcome, SecretKey};

use super::{Cluster, misplaced};
use crate::address::JoinAddress;
use crate::command::{Command, KeyChange};
use crate::deadline::deadline_after;
use crate::error::{
    AdvertiseError, CommandError, JoinError, JoinFailure, JoinFailureReason, KeysError, LeaveError,
    ResolveError, SetMetaError,
};

/// What a join achieved.
#[derive(Clone, Debug)]
pub struct JoinReport {
    /// How many addresses answered as members.
    pub joined: usize,
    /// The addresses that did not, and why.
    pub failed: Vec<JoinFailure>,
}

/// What a leave achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaveReport {
    /// How many distinct peers acknowledged the leave.
    pub told: usize,
    /// How many were to: as many as an update is retransmitted to, or all peers that were held
    /// alive or suspect, if they were fewer.
    pub wanted: usize,
}

impl LeaveReport {
    /// How many peers did not acknowledge it. They may have heard it all the same; those that did
    /// not declare this member dead after a while.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.wanted.saturating_sub(self.told)
    }
}

/// # Joining, leaving, and what all members see
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::{Cluster, JoinError};
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// match cluster.join(["10.0.0.2:7946", "seed.example"], Duration::from_secs(10)) {
///     Ok(report) => println!("{} answered, {} did not", report.joined, report.failed.len()),
///     Err(JoinError::NobodyAnswered(failures)) => {
///         failures.iter().for_each(|failure| eprintln!("{}: {}", failure.address, failure.reason))
///     }
///     Err(other) => return Err(other.into()),
/// }
/// cluster.set_meta("role=db")?;
/// let report = cluster.leave(Duration::from_secs(5))?;
/// println!("{} of {} peers acknowledged it", report.told, report.wanted);
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// Exchanges state with every address (`[name/]host[:port]`) at once. Addresses that answer
    /// become standing seeds, until the member that answered leaves or is forgotten.
    ///
    /// # Errors
    ///
    /// [`JoinError::Address`] when one is malformed (nothing is tried then), and
    /// [`JoinError::NobodyAnswered`] when none answered within `timeout`, with the reason for
    /// each.
    pub fn join<A: AsRef<str>>(
        &self,
        addresses: impl IntoIterator<Item = A>,
        timeout: Duration,
    ) -> Result<JoinReport, JoinError> {
        let addresses = addresses
            .into_iter()
            .map(|address| address.as_ref().parse::<JoinAddress>())
            .collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(JoinError::NoAddress);
        }
        let deadline = deadline_after(timeout);
        let attempts = self.begin_joins(addresses, deadline)?;
        let mut report = JoinReport { joined: 0, failed: Vec::new() };
        for attempt in attempts {
            match attempt.wait(deadline)? {
                Ok(()) => report.joined += 1,
                Err(reason) => {
                    report.failed.push(JoinFailure { address: attempt.text, reason });
                }
            }
        }
        if report.joined == 0 {
            return Err(JoinError::NobodyAnswered(report.failed.into()));
        }
        Ok(report)
    }

    /// Resolves all addresses at once and begins a join of each as soon as it is resolved.
    fn begin_joins(
        &self,
        addresses: Vec<JoinAddress>,
        deadline: Instant,
    ) -> Result<Vec<JoinAttempt>, CommandError> {
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
                Err(error) => JoinAttempt::unresolved(answer.address.text, error),
            };
            attempts.push(attempt);
        }
        attempts.extend(pending.into_iter().map(|address| {
            let error = ResolveError::TimedOut(address.text.clone());
            JoinAttempt::unresolved(address.text, error)
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

    /// Tells the cluster that this member leaves. Returns when enough distinct peers have
    /// acknowledged it (the smaller of the live others and the retransmit limit), or when the
    /// others stay silent: the report says how many did. The member then answers for one second
    /// more, closes its connections, and stays as a non-member until it is dropped.
    ///
    /// # Errors
    ///
    /// [`LeaveError::TimedOut`] when that took longer than `timeout`.
    pub fn leave(&self, timeout: Duration) -> Result<LeaveReport, LeaveError> {
        match self.operate(|reply| Command::Leave { reply }, timeout)? {
            Some(Outcome::Left { told, wanted }) => Ok(LeaveReport { told, wanted }),
            Some(Outcome::Failed(error)) => Err(error.into()),
            Some(other) => Err(misplaced(&other).into()),
            None => Err(LeaveError::TimedOut),
        }
    }

    /// Announces another address from here on: this machine, or what stands before it, has got
    /// one. Others take it as a move ([`Event::Moved`](crate::Event::Moved)) once nobody answers at
    /// the old one, within seconds. The socket stays bound as it is.
    ///
    /// # Errors
    ///
    /// [`AdvertiseError`] when nobody can dial the address, or this member has left.
    pub fn set_advertise(&self, address: SocketAddr) -> Result<(), AdvertiseError> {
        Ok(self.ask(|reply| Command::SetAdvertise { address, reply })??)
    }

    /// Replaces this member's metadata, at most 512 bytes, and gossips it.
    ///
    /// # Errors
    ///
    /// [`SetMetaError`] when it is too long or this member has left.
    pub fn set_meta(&self, meta: impl Into<Vec<u8>>) -> Result<(), SetMetaError> {
        let meta = meta.into();
        Ok(self.ask(|reply| Command::SetMeta { meta, reply })??)
    }
}

/// # Encryption keys
///
/// To replace a key without losing a message, take each step at all members before the next.
/// No call tells other members of a key.
///
/// ```no_run
/// # use swim_quic::{Cluster, SecretKey};
/// # fn example(cluster: &Cluster, old: &SecretKey) -> Result<(), Box<dyn std::error::Error>> {
/// let new = SecretKey::try_from(&[7; 32][..])?;
/// cluster.add_key(&new)?; // opens what others encrypt with it
/// cluster.use_key(&new)?; // once all members have it: encrypts with it
/// cluster.remove_key(old)?; // once all members use the new one
/// assert_eq!(cluster.keys()?, [new]);
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// Adds a key that decrypts what others encrypt with it, from here on; at most 64. The first
    /// key of an empty ring encrypts too: from then on, plain text is refused unless
    /// [`verify_incoming`](swim_core::Config::verify_incoming) is off. A key that is there stays.
    ///
    /// # Errors
    ///
    /// [`KeysError::Full`] when the ring holds 64 keys.
    pub fn add_key(&self, key: &SecretKey) -> Result<(), KeysError> {
        self.change_keys(KeyChange::Add, key)
    }

    /// Encrypts everything with this key of the ring from here on.
    ///
    /// # Errors
    ///
    /// [`KeysError::UnknownKey`] when it is not in the ring.
    pub fn use_key(&self, key: &SecretKey) -> Result<(), KeysError> {
        self.change_keys(KeyChange::Use, key)
    }

    /// Removes a key: what is encrypted with it is refused from here on. Removing a key that is
    /// not there succeeds.
    ///
    /// # Errors
    ///
    /// [`KeysError::InUse`] when it is the one that encrypts.
    pub fn remove_key(&self, key: &SecretKey) -> Result<(), KeysError> {
        self.change_keys(KeyChange::Remove, key)
    }

    /// The keys of the ring, the one that encrypts first.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver thread does not take or answer the question.
    pub fn keys(&self) -> Result<Vec<SecretKey>, CommandError> {
        self.ask(|reply| Command::Keys { reply })
    }

    fn change_keys(&self, change: KeyChange, key: &SecretKey) -> Result<(), KeysError> {
        let key = key.clone();
        Ok(self.ask(|reply| Command::ChangeKeys { change, key, reply })??)
    }
}

/// One address of a join, under way.
struct JoinAttempt {
    /// The address as given.
    text: String,
    /// One exchange for each socket address behind it.
    tries: Result<Vec<Receiver<Outcome>>, ResolveError>,
}

impl JoinAttempt {
    fn unresolved(text: String, error: ResolveError) -> Self {
        Self { text, tries: Err(error) }
    }

    /// Waits until one of its addresses was joined, or until all have failed; then the last
    /// failure is the reason.
    fn wait(&self, deadline: Instant) -> Result<Result<(), JoinFailureReason>, CommandError> {
        let tries = match &self.tries {
            Ok(tries) => tries,
            Err(error) => return Ok(Err(error.clone().into())),
        };
        let mut last = JoinFailureReason::TimedOut;
        for outcome in tries {
            last = match outcome.recv_deadline(deadline) {
                Ok(Outcome::Joined) => return Ok(Ok(())),
                Ok(Outcome::Failed(error)) => error.into(),
                Ok(other) => return Err(misplaced(&other)),
                Err(error) if error.is_timeout() => JoinFailureReason::TimedOut,
                Err(_) => return Err(CommandError::Closed),
            };
        }
        Ok(Err(last))
    }
}

//! The calls of a [`Cluster`] that concern membership: join, leave, metadata, encryption keys.

use std::time::Duration;

use swim_core::{Outcome, SecretKey};

use super::{Cluster, misplaced, wait};
use crate::address::JoinAddress;
use crate::address_watch::AddressSource;
use crate::advertise::Advertise;
use crate::command::Command;
use crate::deadline::{deadline_after, may_wait, time_until};
use crate::error::{
    AdvertiseError, CommandError, KeysError, LeaveError, SeedsError, SetMetaError,
    SetUserStateError,
};
use crate::host::ThisHost;
use crate::settings_command::{KeyChange, SettingsCommand};
use crate::standing_seeds::parse_seeds;

/// What a leave achieved.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let report = cluster.leave(Duration::from_secs(5))?;
    /// if report.unconfirmed() > 0 {
    ///     println!("{} peers may find this member dead", report.unconfirmed());
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
    /// Tells the cluster that this member leaves. Returns when enough distinct peers have
    /// acknowledged it (the smaller of the live others and the retransmit limit), or when the
    /// others stay silent: the report says how many did. The member then answers for one second
    /// more, closes its connections, and stays as a non-member until it is dropped.
    ///
    /// # Errors
    ///
    /// [`LeaveError::TimedOut`] when that took longer than `timeout`.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, LeaveError};
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// match cluster.leave(Duration::from_secs(5)) {
    ///     Ok(report) => println!("{} of {} know", report.told, report.wanted),
    ///     Err(LeaveError::TimedOut) => println!("too slow"),
    ///     Err(other) => return Err(other.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn leave(&self, timeout: Duration) -> Result<LeaveReport, LeaveError> {
        may_wait()?;
        let leaving = self.begin(|reply| Command::Leave { reply })?;
        left(wait(leaving, timeout)?)
    }

    /// Leaves and closes: the end of a service. Waits at most `timeout`, and half a second for each
    /// of the two if the driver thread is late. The member is closed in any case; subscriptions end
    /// with [`Event::Stopped`](crate::Event::Stopped).
    ///
    /// To shut a service down: take no more work, finish what is under way, then call this. Tasks
    /// and threads that wait at a receiver, or for a call, see its end.
    ///
    /// # Errors
    ///
    /// [`LeaveError`] when the leave did not succeed: peers may find the member dead instead.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let report = cluster.shutdown(Duration::from_secs(5))?;
    /// println!("{} peers know that this member left", report.told);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(&self, timeout: Duration) -> Result<LeaveReport, LeaveError> {
        let deadline = deadline_after(timeout);
        let left = self.leave(timeout);
        self.close(time_until(deadline));
        left
    }

    /// Announces another address from here on: this machine, or what stands before it, has got
    /// one. Others take it as a move ([`Event::Moved`](crate::Event::Moved)) once nobody answers at
    /// the old one, within seconds. The socket stays bound as it is. An address without a port, a
    /// network and an interface go with the port that is announced already.
    ///
    /// # Errors
    ///
    /// [`AdvertiseError`] when nobody can dial the address, this machine has none there, or this
    /// member has left.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.set_advertise("203.0.113.7:7946")?; // what the NAT forwards now
    /// cluster.set_advertise("wg0")?; // the address of that interface
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_advertise(&self, what: impl Into<Advertise>) -> Result<(), AdvertiseError> {
        let (what, bind) = (what.into(), self.inner.bound);
        let found = what.resolve(bind, &ThisHost::new());
        let mut address = match (found, what.address()) {
            (Ok(found), _) => found,
            (Err(_), Some(wildcard)) => return Err(AdvertiseError::NotDialable(wildcard)),
            (Err(error), None) => return Err(error.into()),
        };
        if address.port() == 0 && !what.has_port() {
            address.set_port(self.address().port());
        }
        let source = AddressSource::of(bind, Some(&what), Vec::new());
        self.settings(|reply| SettingsCommand::Advertise { address, source, reply })?
            .map_err(AdvertiseError::from_refusal)
    }

    /// Tries a seed no more, whether the builder gave it or [`set_seeds`](Self::set_seeds); a
    /// member expected there (`name/host`) makes no difference. Returns whether it was one. Members
    /// stay members.
    ///
    /// # Errors
    ///
    /// [`SeedsError`] when the address is malformed.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// if cluster.forget_seed("10.0.0.2:7946")? {
    ///     println!("10.0.0.2 is tried no more");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn forget_seed(&self, seed: &str) -> Result<bool, SeedsError> {
        let seed = seed.parse::<JoinAddress>()?;
        Ok(self.settings(|reply| SettingsCommand::ForgetSeed { seed, reply })?)
    }

    /// Takes these seeds in place of all others, as [`Builder::seeds`](crate::Builder::seeds) does
    /// at the start, and tries them at once. An empty list forgets all.
    ///
    /// # Errors
    ///
    /// [`SeedsError`] when one is malformed, or there are more than 64; nothing is changed then.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.set_seeds(["seed-a.example", "seed-b.example:7000"])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_seeds<A: AsRef<str>>(
        &self,
        seeds: impl IntoIterator<Item = A>,
    ) -> Result<(), SeedsError> {
        let seeds = parse_seeds(seeds)?;
        Ok(self.settings(|reply| SettingsCommand::SetSeeds { seeds, reply })?)
    }

    /// Replaces this member's metadata, at most 512 bytes, and gossips it.
    ///
    /// # Errors
    ///
    /// [`SetMetaError`] when it is too long or this member has left.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.set_meta("role=db;shard=7")?;
    /// let meta = cluster.members().get("ada").map(|ada| ada.meta().to_vec());
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_meta(&self, meta: impl Into<Vec<u8>>) -> Result<(), SetMetaError> {
        let meta = meta.into();
        self.settings(|reply| SettingsCommand::Meta { meta, reply })?
            .map_err(SetMetaError::from_refusal)
    }

    /// Replaces what this member's application adds to the states that it exchanges with others in
    /// joins and from time to time, at most 10 MiB: Go's `LocalState`. Its peers get it with
    /// [`Event::RemoteState`](crate::Event::RemoteState), in each exchange, and with
    /// [`Hooks::merge_remote_state`](crate::Hooks::merge_remote_state). Nothing is sent at once.
    /// [`Hooks::local_state`](crate::Hooks::local_state) takes the place of it.
    ///
    /// # Errors
    ///
    /// [`SetUserStateError`] when it is too long.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, Event};
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.set_user_state(r#"{"jobs": 12}"#)?;
    /// for event in cluster.subscribe() {
    ///     if let Event::RemoteState { address, state, .. } = event {
    ///         println!("{address} sent {} bytes of state", state.len());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_user_state(&self, state: impl Into<Vec<u8>>) -> Result<(), SetUserStateError> {
        let state = state.into();
        self.settings(|reply| SettingsCommand::UserState { state, reply })?
            .map_err(SetUserStateError::from_refusal)
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
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, SecretKey};
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let key = SecretKey::try_from(&[7; 32][..])?;
    /// cluster.add_key(&key)?;
    /// assert!(cluster.keys()?.contains(&key));
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_key(&self, key: &SecretKey) -> Result<(), KeysError> {
        self.change_keys(KeyChange::Add, key)
    }

    /// Encrypts everything with this key of the ring from here on.
    ///
    /// # Errors
    ///
    /// [`KeysError::UnknownKey`] when it is not in the ring.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, KeysError, SecretKey};
    /// # fn example(cluster: &Cluster, new: &SecretKey) -> Result<(), Box<dyn std::error::Error>> {
    /// match cluster.use_key(new) {
    ///     Ok(()) => println!("encrypts with the new key"),
    ///     Err(KeysError::UnknownKey) => cluster.add_key(new)?,
    ///     Err(other) => return Err(other.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn use_key(&self, key: &SecretKey) -> Result<(), KeysError> {
        self.change_keys(KeyChange::Use, key)
    }

    /// Removes a key: what is encrypted with it is refused from here on. Removing a key that is
    /// not there succeeds.
    ///
    /// # Errors
    ///
    /// [`KeysError::InUse`] when it is the one that encrypts.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, SecretKey};
    /// # fn example(cluster: &Cluster, old: &SecretKey) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.remove_key(old)?;
    /// assert!(!cluster.keys()?.contains(old));
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_key(&self, key: &SecretKey) -> Result<(), KeysError> {
        self.change_keys(KeyChange::Remove, key)
    }

    /// The keys of the ring, the one that encrypts first.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver thread does not take or answer the question.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{} keys can decrypt", cluster.keys()?.len());
    /// # Ok(())
    /// # }
    /// ```
    pub fn keys(&self) -> Result<Vec<SecretKey>, CommandError> {
        self.settings(|reply| SettingsCommand::Keys { reply })
    }

    fn change_keys(&self, change: KeyChange, key: &SecretKey) -> Result<(), KeysError> {
        let key = key.clone();
        self.settings(|reply| SettingsCommand::ChangeKeys { change, key, reply })?
            .map_err(KeysError::from_refusal)
    }
}

/// What a leave ended in; `None`: not in time.
pub(super) fn left(outcome: Option<Outcome>) -> Result<LeaveReport, LeaveError> {
    match outcome {
        Some(Outcome::Left { told, wanted }) => Ok(LeaveReport { told, wanted }),
        Some(Outcome::Failed(error)) => Err(LeaveError::from_operation(error)),
        Some(other) => Err(misplaced(&other).into()),
        None => Err(LeaveError::TimedOut),
    }
}

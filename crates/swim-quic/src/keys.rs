//! The ring of encryption keys, changed while the member runs.
//!
//! Hands each change to the machine. Decides nothing, and never tells other members of a key:
//! whoever rotates keys does so at every member, step by step.

use swim_core::SecretKey;

use crate::cluster::Cluster;
use crate::command::{Command, KeyChange};
use crate::error::{CommandError, KeysError};

/// To replace a key without losing a message, take each step at all members before the next:
/// [`add_key`](Self::add_key) the new one, [`use_key`](Self::use_key) it,
/// [`remove_key`](Self::remove_key) the old one.
impl Cluster {
    /// Adds a key that opens what others seal with it, from here on; at most 64. The first key of
    /// an empty ring seals too: from then on, whatever is not sealed is refused unless
    /// [`verify_incoming`](swim_core::Config::verify_incoming) is off. A key that is there stays.
    ///
    /// # Errors
    ///
    /// [`KeysError::Refused`] when the ring is full.
    pub fn add_key(&self, key: &SecretKey) -> Result<(), KeysError> {
        self.change_keys(KeyChange::Add, key)
    }

    /// Seals everything with this key of the ring from here on.
    ///
    /// # Errors
    ///
    /// [`KeysError::Refused`] when it is not in the ring.
    pub fn use_key(&self, key: &SecretKey) -> Result<(), KeysError> {
        self.change_keys(KeyChange::Use, key)
    }

    /// Removes a key: what is sealed with it is refused from here on. A key that is not there is
    /// removed already.
    ///
    /// # Errors
    ///
    /// [`KeysError::Refused`] when it is the one that seals.
    pub fn remove_key(&self, key: &SecretKey) -> Result<(), KeysError> {
        self.change_keys(KeyChange::Remove, key)
    }

    /// The keys of the ring, the one that seals first.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver does not take the question.
    pub fn keys(&self) -> Result<Vec<SecretKey>, CommandError> {
        self.ask(|reply| Command::Keys { reply })
    }

    fn change_keys(&self, change: KeyChange, key: &SecretKey) -> Result<(), KeysError> {
        let key = key.clone();
        self.ask(|reply| Command::ChangeKeys { change, key, reply })?.map_err(KeysError::Refused)
    }
}

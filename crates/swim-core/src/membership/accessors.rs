//! What a driver may look at; what it learns of a path or a peer, and settings, which all take
//! effect without an output.

use std::net::SocketAddr;

use super::Membership;
use super::commands::canonical;
use crate::error::PayloadTooLarge;
use crate::features::Features;
use crate::hooks::Hooks;
use crate::member::Member;
use crate::member_name::MemberName;
use crate::output::StreamId;
use crate::secret_key::SecretKey;
use crate::stats::MembershipStats;
use crate::time::Time;
use crate::wire::{KeyError, MAX_META};

impl Membership {
    /// The largest payload that still fits one datagram to `peer` is `limit` bytes from here on.
    pub fn handle_packet_limit(&mut self, peer: SocketAddr, limit: usize, now: Time) {
        self.effects.begin(now);
        self.dissemination.set_packet_limit(peer, limit);
    }

    /// What the peer at an address speaks beyond memberlist's wire, or that it speaks nothing else
    /// or is not connected; and the start number of its process, by which restarts are noticed.
    pub fn handle_peer_features(
        &mut self,
        peer: SocketAddr,
        (features, start): (Option<Features>, Option<u64>),
        now: Time,
    ) {
        self.effects.begin(now);
        self.dissemination.set_features(peer, features);
        self.processes.greet(peer, start, &self.members);
    }

    /// What the peer at an address speaks beyond memberlist's wire; `None` without a connection
    /// to it, and if it speaks nothing else. Frames and keys of a feature go only to a peer that
    /// has listed it.
    #[must_use]
    pub fn peer_features(&self, peer: SocketAddr) -> Option<Features> {
        self.dissemination.features(peer)
    }

    /// Every member remembered, ourselves included, ordered by name: also the dead and those that
    /// left, until they are purged.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.members.iter().map(|(_, member)| member.clone())
    }

    /// A number that is another one whenever [`members`](Self::members) may show something else:
    /// whoever keeps a copy need not compare.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.members.generation()
    }

    /// The names of the members of whom [`members`](Self::members) shows something else since the
    /// last call, or whom it shows no more: in order, each once. `None` if they are not known one
    /// by one: at the first call, and where more than a thousand changes lie between two. Whoever
    /// keeps a copy then copies all.
    pub fn take_changed_names(&mut self) -> Option<Vec<MemberName>> {
        self.members.take_changed_names()
    }

    /// The member of that name, if remembered.
    #[must_use]
    pub fn member(&self, name: &MemberName) -> Option<Member> {
        self.members.find(name.as_bytes()).map(|index| self.members.get(index).clone())
    }

    /// Ourselves.
    #[must_use]
    pub fn local(&self) -> Member {
        self.members.me().clone()
    }

    /// Local health: 0 is good, larger means that we ourselves seem slow.
    #[must_use]
    pub fn health(&self) -> u8 {
        self.detector.health()
    }

    /// Whether the first member that we exchanged states with knew us already: we have been here
    /// before, and others may still talk to the process that was.
    #[must_use]
    pub fn is_returning(&self) -> bool {
        self.lifecycle.is_returning()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); may lie in the past.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.effects.next_deadline()
    }

    /// Counters and lengths.
    #[must_use]
    pub fn stats(&self) -> MembershipStats {
        let mut stats = MembershipStats::of_members(|state| self.members.count(state));
        stats.heard = self.processes.heard();
        (stats.health, stats.doubts_unheard) = self.detector.doubts(self.effects.now());
        stats.queued_updates = self.dissemination.queued_updates();
        stats.queued_broadcasts = self.dissemination.queued_broadcasts();
        stats.streams = self.exchanges.len() + self.reliable.streams();
        stats.counters = *self.effects.counters();
        stats
    }

    /// Whether our leave has finished.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.lifecycle.has_left()
    }

    /// Whether the machine still waits for something on this stream.
    #[must_use]
    pub fn wants_stream(&self, id: StreamId) -> bool {
        self.exchanges.contains(id) || self.reliable.has_stream(id)
    }

    /// Whether a member that is alive or suspect announces this address.
    #[must_use]
    pub fn has_live_member_at(&self, address: SocketAddr) -> bool {
        self.members.is_live_at(address)
    }

    /// The address of a [`join`](Self::join) is no seed any more, unless it was
    /// [set](Self::set_seeds) as one: for an application that wants only those to be tried again.
    pub fn forget_joined(&mut self, address: SocketAddr) {
        self.bootstrap.forget_joined(canonical(address));
    }

    /// Sets the application's vetoes, replacing those set before.
    pub fn set_hooks(&mut self, hooks: Box<dyn Hooks + Send>) {
        self.hooks = Some(hooks);
    }

    /// What our acks of pings carry from here on; the other side gets it with
    /// [`ProbeAnswered`](crate::MembershipEvent::ProbeAnswered).
    ///
    /// # Errors
    /// Above 512 bytes.
    pub fn set_ack_payload(&mut self, payload: Vec<u8>) -> Result<(), PayloadTooLarge> {
        if payload.len() > MAX_META {
            return Err(PayloadTooLarge { len: payload.len(), limit: MAX_META });
        }
        self.detector.set_ack_payload(payload);
        Ok(())
    }

    /// The keys of the ring, the one that encrypts first.
    #[must_use]
    pub fn keys(&self) -> Vec<SecretKey> {
        let keys = self.effects.encoder().settings().keyring.keys();
        // Every key of the ring has a good length: it was added as one.
        keys.filter_map(|key| SecretKey::try_from(key).ok()).collect()
    }

    /// Adds a key that decrypts; the first key of an empty ring also encrypts.
    ///
    /// # Errors
    /// When there are 64 already.
    pub fn add_key(&mut self, key: &SecretKey) -> Result<(), KeyError> {
        self.effects.encoder_mut().keyring_mut().add(key.as_bytes())
    }

    /// Makes a key of the ring the one that encrypts.
    ///
    /// # Errors
    /// When it is not in the ring.
    pub fn use_key(&mut self, key: &SecretKey) -> Result<(), KeyError> {
        self.effects.encoder_mut().keyring_mut().use_key(key.as_bytes())
    }

    /// Removes a key; one that is not in the ring is removed already.
    ///
    /// # Errors
    /// When it is the one that encrypts.
    pub fn remove_key(&mut self, key: &SecretKey) -> Result<(), KeyError> {
        self.effects.encoder_mut().keyring_mut().remove(key.as_bytes())
    }
}

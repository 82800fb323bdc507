//! What the application asks for.
//!
//! Decides what is refused before anything is sent, each refusal with an error of its own.
//! Commands never wait: what takes time is an operation, which finishes as an output.

use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use super::exchange::Purpose;
use super::packets::Expected;
use super::seeding::plain;
use super::streams::Role;
use crate::config::{MAX_META, SecretKey};
use crate::delegate::Hooks;
use crate::error::{BroadcastRefusal, MetaRefusal, OperationError, PayloadTooLarge, SendRefusal};
use crate::member::{MemberName, MemberState};
use crate::output::{Destination, Event, OperationId, Outcome};
use crate::roster::Slot;
use crate::time::Time;
use crate::wire::{
    KeyError, MAX_PACKET, MAX_USER_MESSAGE, MAX_USER_STATE, Message, StreamTooLong, encode_user,
};

/// The most operations under way: pings, reliable messages and joins together.
pub(crate) const MAX_OPERATIONS: usize = 1024;

impl Membership {
    /// Sets the application's vetoes, replacing those set before.
    pub fn set_hooks(&mut self, hooks: Box<dyn Hooks + Send>) {
        self.hooks = Some(hooks);
    }

    /// Joins the cluster of whoever is at `address`, and of `name` there if given, by one full
    /// exchange. Ends in [`Outcome::Joined`] or [`Outcome::Failed`]; on success the address
    /// becomes a standing seed too.
    pub fn join(
        &mut self,
        address: SocketAddr,
        name: Option<MemberName>,
        now: Time,
    ) -> OperationId {
        self.begin(now);
        let operation = self.new_operation();
        let address = plain(address);
        let refusal = if self.is_leaving() {
            OperationError::HasLeft
        } else if address == self.me().address() {
            OperationError::OwnAddress(address)
        } else if self.operations > MAX_OPERATIONS {
            OperationError::TooManyOperations { limit: MAX_OPERATIONS }
        } else {
            self.begin_exchange(Destination { address, name }, Purpose::Join(operation));
            return operation;
        };
        self.finish(operation, Outcome::Failed(refusal));
        operation
    }

    /// Changes what others shall know of us, and gossips it.
    ///
    /// # Errors
    /// When there is too much of it, or we have left.
    pub fn set_meta(&mut self, meta: Vec<u8>, now: Time) -> Result<(), MetaRefusal> {
        self.begin(now);
        if self.is_leaving() {
            return Err(MetaRefusal::HasLeft);
        }
        if meta.len() > MAX_META {
            return Err(MetaRefusal::TooLarge { len: meta.len(), limit: MAX_META });
        }
        let changed = self.me().meta() != meta;
        self.roster.update(Slot::ME, |me| {
            me.incarnation = me.incarnation.saturating_add(1).min(u32::MAX - 1);
            me.meta = (!meta.is_empty()).then(|| meta.into());
        });
        self.gossip_about_me();
        if changed {
            self.emit(Event::Updated(self.local()));
        }
        Ok(())
    }

    /// Sends `payload` once, best effort, to every other member that is alive.
    ///
    /// # Errors
    /// When it does not fit one packet, too many are under way, or we have left.
    pub fn broadcast(&mut self, payload: Vec<u8>, now: Time) -> Result<(), BroadcastRefusal> {
        self.begin(now);
        if self.is_leaving() {
            return Err(BroadcastRefusal::HasLeft);
        }
        let limit = self.broadcast_limit();
        if payload.len() > limit {
            return Err(BroadcastRefusal::TooLarge { len: payload.len(), limit });
        }
        let limit = self.config.max_user_broadcasts;
        if self.user_broadcasts.len() >= limit {
            return Err(BroadcastRefusal::QueueFull { limit });
        }
        let message = Message::User(&payload).to_vec().into();
        let alive = |(slot, member): (Slot, &crate::Member)| {
            (slot != Slot::ME && member.state() == MemberState::Alive).then_some(slot)
        };
        self.user_broadcasts.push(message, self.roster.iter().filter_map(alive));
        self.schedule_gossip();
        Ok(())
    }

    /// Sends `payload` to one member, best effort, in one packet.
    ///
    /// # Errors
    /// When the member is not there, or the payload does not fit 65,535 bytes with its layers.
    pub fn send(&mut self, to: &MemberName, payload: &[u8], now: Time) -> Result<(), SendRefusal> {
        self.begin(now);
        let slot = self.reachable(to)?;
        let overhead = self.codec.packet_overhead() + super::codec::CRC_LENGTH + 1;
        check_length(payload, MAX_PACKET - overhead)?;
        let plain = Message::User(payload).to_vec();
        let checks = self.checks_crc(slot);
        self.send_plain(self.destination(slot), plain, checks);
        Ok(())
    }

    /// Sends `payload` to one member on a stream. Ends in [`Outcome::Delivered`] once the member
    /// has taken it, or in [`Outcome::Failed`], after `timeout` at the latest.
    ///
    /// # Errors
    /// When the member is not there, the payload exceeds 20 MiB less its layers, or too many
    /// operations are under way.
    pub fn send_reliable(
        &mut self,
        to: &MemberName,
        payload: &[u8],
        timeout: Duration,
        now: Time,
    ) -> Result<OperationId, SendRefusal> {
        self.begin(now);
        let slot = self.reachable(to)?;
        // An envelope must not exceed 20 MiB, and incompressible bytes grow by half when
        // compressed; only then is there less room.
        let limit = if self.codec.layers.encrypts() && self.config.compression {
            MAX_USER_MESSAGE / 2
        } else {
            MAX_USER_MESSAGE - 128
        };
        check_length(payload, limit)?;
        let operation = self.admit_operation()?;
        let mut plain = Vec::with_capacity(payload.len() + 32);
        encode_user(payload, &mut plain);
        let to = self.destination(slot);
        let role = Role::Message { operation };
        if let Err(StreamTooLong { length: len, limit }) =
            self.open_stream(to, &plain, now + timeout, role)
        {
            self.operations -= 1;
            return Err(SendRefusal::TooLarge { len, limit });
        }
        Ok(operation)
    }

    /// Pings one member. Ends in [`Outcome::Pong`] or [`Outcome::Failed`] and says nothing about
    /// its state.
    ///
    /// # Errors
    /// When the member is not known, or too many operations are under way.
    pub fn ping(&mut self, to: &MemberName, now: Time) -> Result<OperationId, SendRefusal> {
        self.begin(now);
        let slot = self.known(to)?;
        let operation = self.admit_operation()?;
        let to = self.destination(slot);
        let target = self.roster.get(slot).name().clone();
        let expected =
            Expected::User { operation, target: target.clone(), address: to.address, sent: now };
        self.expect_ack_from(to, &target, expected);
        Ok(operation)
    }

    /// What our acks of pings carry from here on: see [`Event::ProbeAnswered`].
    ///
    /// # Errors
    /// Above 512 bytes.
    pub fn set_ack_payload(&mut self, payload: Vec<u8>) -> Result<(), PayloadTooLarge> {
        if payload.len() > MAX_META {
            return Err(PayloadTooLarge { len: payload.len(), limit: MAX_META });
        }
        self.ack_payload = payload;
        Ok(())
    }

    /// What we send along in full exchanges from here on: see [`Event::RemoteState`].
    ///
    /// # Errors
    /// Above 10 MiB: an exchange carries at most 20 MiB, members included.
    pub fn set_user_state(&mut self, state: Vec<u8>) -> Result<(), PayloadTooLarge> {
        let limit = MAX_USER_STATE / 2;
        if state.len() > limit {
            return Err(PayloadTooLarge { len: state.len(), limit });
        }
        self.user_state = state;
        Ok(())
    }

    /// The keys of the ring, the one that encrypts first.
    #[must_use]
    pub fn keys(&self) -> Vec<SecretKey> {
        let keys = self.codec.layers.keyring.keys();
        // Every key of the ring has a good length: it was added as one.
        keys.filter_map(|key| SecretKey::try_from(key).ok()).collect()
    }

    /// Adds a key that decrypts; the first key of an empty ring also encrypts.
    ///
    /// # Errors
    /// When there are 64 already.
    pub fn add_key(&mut self, key: &SecretKey) -> Result<(), KeyError> {
        self.codec.layers.keyring.add(key.as_bytes())
    }

    /// Makes a key of the ring the one that encrypts.
    ///
    /// # Errors
    /// When it is not in the ring.
    pub fn use_key(&mut self, key: &SecretKey) -> Result<(), KeyError> {
        self.codec.layers.keyring.use_key(key.as_bytes())
    }

    /// Removes a key; one that is not in the ring is removed already.
    ///
    /// # Errors
    /// When it is the one that encrypts.
    pub fn remove_key(&mut self, key: &SecretKey) -> Result<(), KeyError> {
        self.codec.layers.keyring.remove(key.as_bytes())
    }

    fn known(&self, name: &MemberName) -> Result<Slot, SendRefusal> {
        self.roster.find(name.as_bytes()).ok_or_else(|| SendRefusal::UnknownMember(name.clone()))
    }

    fn reachable(&self, name: &MemberName) -> Result<Slot, SendRefusal> {
        if self.is_leaving() {
            return Err(SendRefusal::HasLeft);
        }
        let slot = self.known(name)?;
        if self.roster.get(slot).state().is_live() {
            Ok(slot)
        } else {
            Err(SendRefusal::NotAlive(name.clone()))
        }
    }

    fn admit_operation(&mut self) -> Result<OperationId, SendRefusal> {
        if self.operations < MAX_OPERATIONS {
            Ok(self.new_operation())
        } else {
            Err(SendRefusal::TooManyOperations { limit: MAX_OPERATIONS })
        }
    }
}

fn check_length(payload: &[u8], limit: usize) -> Result<(), SendRefusal> {
    if payload.len() > limit {
        return Err(SendRefusal::TooLarge { len: payload.len(), limit });
    }
    Ok(())
}

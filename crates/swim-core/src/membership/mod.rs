//! The SWIM machine of one member: what it believes, whom it probes, what it gossips.
//!
//! Decides everything; performs nothing. Bytes, time and randomness come in as arguments,
//! [`Output`]s go out.

mod errors;

use std::net::SocketAddr;
use std::time::Duration;

pub use errors::{BroadcastError, KeyError, MetaError, SendError};

use crate::config::{Config, ConfigError, SecretKey};
use crate::delegate::Hooks;
use crate::member::{LocalMember, Member, MemberName, Peer};
use crate::output::{OperationId, Output, StreamFailure, StreamId};
use crate::seed::Seed;
use crate::stats::MembershipStats;
use crate::time::Time;

/// One member's view of its cluster.
///
/// Methods come in four kinds:
///
/// - `handle_*`: something arrived from the network, or a deadline passed;
/// - commands (`join`, `leave`, `broadcast`, ...): the application wants something;
/// - `poll_*`: what must now leave the machine;
/// - getters, taking `&self`.
///
/// After each `handle_*` or command, call [`poll_output`](Self::poll_output) until it returns
/// `None`; then sleep until [`poll_timeout`](Self::poll_timeout). `now` must never decrease.
/// Debug builds assert both.
pub struct Membership {}

#[expect(unused_variables, reason = "signatures first")]
impl Membership {
    /// A machine that knows only itself.
    ///
    /// # Errors
    /// When a setting would not work, our name is not UTF-8, or our metadata is too long.
    pub fn new(
        config: Config,
        me: LocalMember,
        seed: Seed,
        now: Time,
    ) -> Result<Self, ConfigError> {
        todo!()
    }
    /// Sets the application's vetoes.
    pub fn set_hooks(&mut self, hooks: Box<dyn Hooks + Send>) {
        todo!()
    }
    /// One packet arrived.
    pub fn handle_packet(&mut self, from: &Peer, bytes: &[u8], now: Time) {
        todo!()
    }
    /// The remote opened a stream.
    pub fn handle_stream_opened(&mut self, id: StreamId, from: &Peer, now: Time) {
        todo!()
    }
    /// Bytes arrived on a stream.
    pub fn handle_stream_data(&mut self, id: StreamId, bytes: &[u8], fin: bool, now: Time) {
        todo!()
    }
    /// A stream failed.
    pub fn handle_stream_failed(&mut self, id: StreamId, reason: StreamFailure, now: Time) {
        todo!()
    }
    /// A packet could not be sent.
    pub fn handle_send_failed(&mut self, to: SocketAddr, now: Time) {
        todo!()
    }
    /// The largest payload that still fits one datagram to that peer.
    pub fn handle_packet_limit(&mut self, peer: SocketAddr, limit: usize, now: Time) {
        todo!()
    }
    /// A deadline passed.
    pub fn handle_timeout(&mut self, now: Time) {
        todo!()
    }
    /// Sets the standing seeds.
    pub fn set_seeds(&mut self, seeds: Vec<SocketAddr>, now: Time) {
        todo!()
    }
    /// Joins through one address.
    pub fn join(
        &mut self,
        address: SocketAddr,
        name: Option<MemberName>,
        now: Time,
    ) -> OperationId {
        todo!()
    }
    /// Leaves the cluster.
    pub fn leave(&mut self, now: Time) -> OperationId {
        todo!()
    }
    /// Changes our metadata.
    ///
    /// # Errors
    /// See [`MetaError`].
    pub fn set_meta(&mut self, meta: Vec<u8>, now: Time) -> Result<(), MetaError> {
        todo!()
    }
    /// Sends to everybody.
    ///
    /// # Errors
    /// See [`BroadcastError`].
    pub fn broadcast(&mut self, payload: Vec<u8>, now: Time) -> Result<(), BroadcastError> {
        todo!()
    }
    /// Sends best effort.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(&mut self, to: &MemberName, payload: &[u8], now: Time) -> Result<(), SendError> {
        todo!()
    }
    /// Sends on a stream.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send_reliable(
        &mut self,
        to: &MemberName,
        payload: &[u8],
        timeout: Duration,
        now: Time,
    ) -> Result<OperationId, SendError> {
        todo!()
    }
    /// Pings one member.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn ping(&mut self, to: &MemberName, now: Time) -> Result<OperationId, SendError> {
        todo!()
    }
    /// What we put into our acks from here on.
    pub fn set_ack_payload(&mut self, payload: Vec<u8>) {
        todo!()
    }
    /// What we send along in full exchanges from here on.
    pub fn set_user_state(&mut self, state: Vec<u8>) {
        todo!()
    }
    /// Adds a key that decrypts.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn add_key(&mut self, key: &SecretKey) -> Result<(), KeyError> {
        todo!()
    }
    /// Makes a key of the ring the one that encrypts.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn use_key(&mut self, key: &SecretKey) -> Result<(), KeyError> {
        todo!()
    }
    /// Removes a key.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn remove_key(&mut self, key: &SecretKey) -> Result<(), KeyError> {
        todo!()
    }
    /// The next thing that must leave the machine.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }
    /// When to call `handle_timeout`.
    pub fn poll_timeout(&self) -> Option<Time> {
        todo!()
    }
    /// All members.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        std::iter::empty()
    }
    /// One member.
    pub fn member(&self, name: &MemberName) -> Option<Member> {
        todo!()
    }
    /// Ourselves.
    pub fn local(&self) -> Member {
        todo!()
    }
    /// Local health: 0 is good.
    pub fn health(&self) -> u8 {
        todo!()
    }
    /// Counters.
    pub fn stats(&self) -> MembershipStats {
        todo!()
    }
    /// Whether we have left.
    pub fn has_left(&self) -> bool {
        todo!()
    }
}

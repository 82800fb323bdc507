//! Full exchanges: our whole view against a peer's, both ways.
//!
//! The side that is asked answers before it merges, and neither waits for the end of the stream.

use std::net::SocketAddr;

use super::Membership;
use super::claims::versions_of;
use super::streams::{Role, error_text};
use crate::error::{OperationError, UnacceptableAnswer};
use crate::member::{Advertised, Member, MemberName, MemberState, Peer, ProtocolVersions, Record};
use crate::output::{Destination, Event, OperationId, Outcome, StreamId, WarningKind};
use crate::push_pull::{self, Versioned};
use crate::roster::Slot;
use crate::timers::Timer;
use crate::wire::{Alive, Dead, NodeState, PushPull, StreamMessage, Suspect};
use crate::wire::{StreamTooLong, encode_push_pull};

/// Why we began an exchange.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    Join(OperationId),
    Seed,
    Periodic,
}

impl Membership {
    pub(super) fn push_pull_tick(&mut self) {
        let interval = push_pull::interval(self.config.push_pull_interval, self.roster.len());
        self.timers.set(Timer::PushPull, self.now + interval);
        let partner = self.roster.draw(1, &mut self.dice, |slot, member| {
            slot != Slot::ME && member.state() == MemberState::Alive
        });
        if let [slot] = partner[..] {
            self.begin_exchange(self.destination(slot), Purpose::Periodic);
        }
    }

    pub(super) fn begin_exchange(&mut self, to: Destination, purpose: Purpose) {
        let join = match purpose {
            Purpose::Join(_) | Purpose::Seed => true,
            Purpose::Periodic => false,
        };
        let plain = self.encode_state(join);
        let deadline = self.now + self.config.stream_timeout;
        let role = Role::Exchange { to: to.clone(), purpose: purpose.clone() };
        if let Err(too_long) = self.open_stream(to.clone(), &plain, deadline, role) {
            let StreamTooLong { length: len, limit } = too_long;
            self.exchange_failed(to.address, &purpose, OperationError::TooLarge { len, limit });
        }
    }

    /// Everything we believe. A member that announced no versions is left out: it would make the
    /// receiver refuse the whole exchange.
    fn encode_state(&self, join: bool) -> Vec<u8> {
        let members: Vec<(&Member, [u8; 6])> = self
            .roster
            .iter()
            .filter(|(_, member)| member.versions().is_some())
            .map(|(_, member)| (member, versions_of(member)))
            .collect();
        let nodes = members.iter().map(|(member, versions)| {
            let record = member.record();
            NodeState {
                name: record.name.as_bytes(),
                addr: Some(record.advertised.ip_bytes()),
                port: record.advertised.port,
                meta: record.meta.as_deref(),
                incarnation: record.incarnation,
                state: state_number(record.state),
                vsn: Some(versions),
            }
        });
        let mut plain = Vec::new();
        encode_push_pull(join, nodes, &self.user_state, &mut plain);
        plain
    }

    pub(super) fn answer_exchange(&mut self, id: StreamId, from: &Peer, theirs: &PushPull<'_>) {
        if !theirs.nodes.clone().any(|node| from.speaks_for_bytes(node.name)) {
            self.counters.refused_impostor += 1;
            self.counters.exchanges_failed += 1;
            let detail = format!("{:?} sent a state in which it does not occur", from.names);
            self.warn(WarningKind::Impostor, from.address, detail);
            return;
        }
        let answer = self.encode_state(theirs.join);
        self.answer_stream(id, &answer);
        match self.merge(theirs, from.address) {
            Ok(()) => self.counters.exchanges_answered += 1,
            Err(_) => self.counters.exchanges_failed += 1,
        }
    }

    pub(super) fn receive_exchange_answer(
        &mut self,
        to: &Destination,
        purpose: Purpose,
        message: StreamMessage<'_>,
    ) {
        let merged = match message {
            StreamMessage::PushPull(theirs) => {
                if self.counters.exchanges_started + self.counters.exchanges_answered == 0 {
                    // Answers are written before our own state is merged into them.
                    let me = self.me().name().as_bytes();
                    self.is_returning = theirs.nodes.clone().any(|node| node.name == me);
                }
                let occurs = |name: &&MemberName| {
                    theirs.nodes.clone().any(|node| node.name == name.as_bytes())
                };
                match to.name.as_ref().filter(|name| !occurs(name)) {
                    None => self.merge(&theirs, to.address),
                    Some(name) => Err(OperationError::UnacceptableAnswer(
                        UnacceptableAnswer::WrongMember(name.clone()),
                    )),
                }
            }
            StreamMessage::Error(error) => Err(OperationError::PeerRefused(error_text(&error))),
            StreamMessage::Ping(_) | StreamMessage::Ack(_) | StreamMessage::User(_) => {
                Err(OperationError::UnacceptableAnswer(UnacceptableAnswer::UnexpectedMessage))
            }
        };
        match merged {
            Ok(()) => self.exchange_succeeded(to.address, purpose),
            Err(error) => self.exchange_failed(to.address, &purpose, error),
        }
    }

    fn exchange_succeeded(&mut self, address: SocketAddr, purpose: Purpose) {
        self.counters.exchanges_started += 1;
        match purpose {
            Purpose::Join(operation) => {
                self.seeds.add_joined(address);
                self.finish(operation, Outcome::Joined);
            }
            Purpose::Seed => {
                self.seeds.tried(address);
                self.emit(Event::SeedTried { address, error: None });
            }
            Purpose::Periodic => {}
        }
    }

    pub(super) fn exchange_failed(
        &mut self,
        address: SocketAddr,
        purpose: &Purpose,
        error: OperationError,
    ) {
        self.counters.exchanges_failed += 1;
        log::debug!("exchange with {address} failed: {error}");
        match purpose {
            Purpose::Join(operation) => self.finish(*operation, Outcome::Failed(error)),
            Purpose::Seed => {
                self.seeds.tried(address);
                self.emit(Event::SeedTried { address, error: Some(error) });
            }
            Purpose::Periodic => {}
        }
    }

    /// All or nothing as far as versions and vetoes go; then entry by entry, by the usual rules.
    fn merge(&mut self, theirs: &PushPull<'_>, address: SocketAddr) -> Result<(), OperationError> {
        self.check_versions(theirs, address)?;
        if theirs.join {
            self.check_veto(theirs, address)?;
        }
        for node in theirs.nodes.clone() {
            self.merge_entry(&node, address);
        }
        if !theirs.user_state.is_empty() {
            let state = theirs.user_state.to_vec();
            self.emit(Event::RemoteState { address, join: theirs.join, state });
        }
        Ok(())
    }

    fn merge_entry(&mut self, node: &NodeState<'_>, address: SocketAddr) {
        let me = self.me().name().clone();
        let incarnation = node.incarnation;
        match state_of(node.state) {
            Some(MemberState::Alive) => self.claim_alive(
                &Alive {
                    incarnation,
                    node: node.name,
                    addr: node.addr,
                    port: node.port,
                    meta: node.meta,
                    vsn: node.vsn,
                },
                address,
            ),
            // Hearsay of a death is a suspicion of our own: the accused may still object.
            Some(MemberState::Suspect | MemberState::Dead) => {
                self.claim_suspect(&Suspect { incarnation, node: node.name, from: me.as_bytes() });
            }
            Some(MemberState::Left) => {
                self.claim_dead(&Dead { incarnation, node: node.name, from: node.name });
            }
            None => self.counters.refused_claim += 1,
        }
    }

    fn check_versions(
        &mut self,
        theirs: &PushPull<'_>,
        address: SocketAddr,
    ) -> Result<(), OperationError> {
        let remote = theirs.nodes.clone().map(|node| Versioned {
            name: node.name,
            alive: state_of(node.state) == Some(MemberState::Alive),
            versions: versions_in(node.vsn),
        });
        let local = self.roster.iter().filter(|(_, member)| member.versions().is_some());
        let local = local.map(|(_, member)| Versioned {
            name: member.name().as_bytes(),
            alive: member.state() == MemberState::Alive,
            versions: member.versions(),
        });
        let Err(mismatch) = push_pull::verify(remote.chain(local)) else { return Ok(()) };
        self.counters.refused_version += 1;
        self.warn(WarningKind::VersionRefused, address, mismatch.to_string());
        Err(OperationError::UnacceptableAnswer(mismatch.into()))
    }

    fn check_veto(
        &mut self,
        theirs: &PushPull<'_>,
        address: SocketAddr,
    ) -> Result<(), OperationError> {
        let Some(mut hooks) = self.hooks.take() else { return Ok(()) };
        let members: Vec<Member> =
            theirs.nodes.clone().filter_map(|node| self.claimed_member(&node)).collect();
        let verdict = hooks.admit_merge(&members);
        self.hooks = Some(hooks);
        let Err(reason) = verdict else { return Ok(()) };
        self.counters.refused_admission += 1;
        self.warn(WarningKind::NotAdmitted, address, reason.clone());
        Err(OperationError::MergeRefused(reason))
    }

    fn claimed_member(&self, node: &NodeState<'_>) -> Option<Member> {
        Some(Member::new(Record {
            name: MemberName::try_from(node.name).ok()?,
            meta: node.meta.map(Into::into),
            changed: self.now,
            incarnation: node.incarnation,
            advertised: Advertised::from_wire(node.addr?, node.port)?,
            versions: versions_in(node.vsn),
            state: state_of(node.state)?,
        }))
    }
}

fn versions_in(vsn: Option<&[u8]>) -> Option<ProtocolVersions> {
    vsn.and_then(|vsn| vsn.first_chunk()).copied().map(ProtocolVersions::from_bytes)
}

fn state_number(state: MemberState) -> i64 {
    match state {
        MemberState::Alive => 0,
        MemberState::Suspect => 1,
        MemberState::Dead => 2,
        MemberState::Left => 3,
    }
}

fn state_of(number: i64) -> Option<MemberState> {
    Some(match number {
        0 => MemberState::Alive,
        1 => MemberState::Suspect,
        2 => MemberState::Dead,
        3 => MemberState::Left,
        _ => return None,
    })
}

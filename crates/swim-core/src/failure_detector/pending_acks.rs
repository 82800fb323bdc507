//! Pings whose acks are waited for, beside the probe round's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;
use crate::member_name::MemberName;
use crate::output::{Destination, OperationId};
use crate::payer::Payer;
use crate::time::Time;
use crate::wire::Dead;

/// The most pings under way for others; further requests are dropped and counted.
pub(super) const MAX_RELAYS: usize = 1024;
/// The most of them for one member. A member probes one other at a time, so it has a few under way.
const MAX_RELAYS_OF_ONE: usize = 64;

/// The most members that are asked at once whether they are gone, as somebody says. Further such
/// claims are dropped; they come again, with gossip or in an exchange.
const MAX_ASKED: usize = 256;

/// What the ack of one of our pings is for.
#[derive(Debug)]
pub(crate) enum PendingAck {
    /// Somebody asked us to ping `target` for it.
    Relay {
        target: MemberName,
        sequence: u32,
        reply_to: Destination,
        wants_nack: bool,
        payer: Payer,
    },
    /// The application asked.
    User { operation: OperationId, target: MemberName, address: SocketAddr, sent: Time },
    /// A member was told that we leave.
    Leave { target: MemberName },
    /// Whether `target` is at an address where somebody places it.
    Place { target: MemberName, address: SocketAddr },
    /// Whether a member is gone, as somebody says.
    Gone(GoneClaim),
}

/// A claim that a member is dead or has left, by somebody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoneClaim {
    pub(crate) target: MemberName,
    pub(crate) incarnation: u32,
    /// Who declared it dead; the member itself if it left.
    pub(crate) from: MemberName,
}

impl GoneClaim {
    pub(crate) fn as_dead(&self) -> Dead<'_> {
        let (node, from) = (self.target.as_bytes(), self.from.as_bytes());
        Dead { incarnation: self.incarnation, node, from }
    }
}

impl PendingAck {
    pub(super) fn target(&self) -> &MemberName {
        match self {
            Self::Relay { target, .. }
            | Self::User { target, .. }
            | Self::Leave { target }
            | Self::Gone(GoneClaim { target, .. })
            | Self::Place { target, .. } => target,
        }
    }

    /// How long its ack is waited for.
    pub(super) fn timeout(&self, config: &Config) -> Duration {
        match self {
            Self::Relay { wants_nack: true, .. } => config.nack_timeout(),
            Self::Relay { wants_nack: false, .. }
            | Self::User { .. }
            | Self::Leave { .. }
            | Self::Gone(_)
            | Self::Place { .. } => config.ack_timeout(),
        }
    }

    /// For whom it is under way, if it is a relay.
    fn payer(&self) -> Option<&Payer> {
        match self {
            Self::Relay { payer, .. } => Some(payer),
            Self::User { .. } | Self::Leave { .. } | Self::Place { .. } | Self::Gone(_) => None,
        }
    }
}

/// By the sequence number of the ping.
#[derive(Debug, Default)]
pub(super) struct PendingAcks {
    sequence: u32,
    by_sequence: BTreeMap<u32, PendingAck>,
    relays: usize,
    relays_of: BTreeMap<Payer, usize>,
}

impl PendingAcks {
    /// Skips numbers that are still waited for, should the counter ever wrap around.
    pub(super) fn next_sequence(&mut self) -> u32 {
        loop {
            self.sequence = self.sequence.wrapping_add(1);
            if !self.by_sequence.contains_key(&self.sequence) {
                return self.sequence;
            }
        }
    }

    pub(super) fn has_room_for_relay(&self, payer: &Payer) -> bool {
        let theirs = self.relays_of.get(payer).copied().unwrap_or(0);
        self.relays < MAX_RELAYS && theirs < MAX_RELAYS_OF_ONE * payer.shares()
    }

    /// Whether this member is not being asked already whether it is gone, nor too many others.
    pub(super) fn can_ask(&self, name: &MemberName) -> bool {
        !self.is_asked(name) && self.asked().count() < MAX_ASKED
    }

    /// Whether this member is being asked whether it is gone.
    pub(super) fn is_asked(&self, name: &MemberName) -> bool {
        self.asked().any(|asked| asked == name)
    }

    fn asked(&self) -> impl Iterator<Item = &MemberName> {
        self.by_sequence.values().filter_map(asked_by)
    }

    /// Nobody asks this member any more whether it is gone.
    pub(super) fn forget_asked(&mut self, name: &MemberName) {
        self.by_sequence.retain(|_, pending| asked_by(pending) != Some(name));
    }

    fn count(&mut self, pending: &PendingAck, is_new: bool) {
        let Some(payer) = pending.payer() else { return };
        let theirs = self.relays_of.entry(payer.clone()).or_default();
        if is_new {
            self.relays += 1;
            *theirs += 1;
            return;
        }
        self.relays -= 1;
        *theirs -= 1;
        if *theirs == 0 {
            self.relays_of.remove(payer);
        }
    }

    pub(super) fn insert(&mut self, sequence: u32, pending: PendingAck) {
        self.count(&pending, true);
        let before = self.by_sequence.insert(sequence, pending);
        debug_assert!(before.is_none(), "sequence number {sequence} is in use");
    }

    pub(super) fn get(&self, sequence: u32) -> Option<&PendingAck> {
        self.by_sequence.get(&sequence)
    }

    pub(super) fn remove(&mut self, sequence: u32) -> Option<PendingAck> {
        let pending = self.by_sequence.remove(&sequence)?;
        self.count(&pending, false);
        Some(pending)
    }

    /// The pings to this member that we wait for.
    pub(super) fn waiting_for(
        &mut self,
        target: &MemberName,
    ) -> impl Iterator<Item = &mut PendingAck> {
        self.by_sequence.values_mut().filter(move |pending| pending.target() == target)
    }

    /// Removes the questions whether this member is gone: sequence number and claim of each.
    pub(super) fn take_asked(&mut self, target: &MemberName) -> Vec<(u32, GoneClaim)> {
        let mut taken = Vec::new();
        self.by_sequence.retain(|sequence, pending| match pending {
            PendingAck::Gone(claim) if claim.target == *target => {
                taken.push((*sequence, claim.clone()));
                false
            }
            PendingAck::Gone(_)
            | PendingAck::User { .. }
            | PendingAck::Relay { .. }
            | PendingAck::Leave { .. }
            | PendingAck::Place { .. } => true,
        });
        taken
    }

    /// Removes the application's pings to this address: sequence number and operation of each.
    pub(super) fn take_user_pings(&mut self, to: SocketAddr) -> Vec<(u32, OperationId)> {
        let mut taken = Vec::new();
        self.by_sequence.retain(|sequence, pending| match pending {
            PendingAck::User { operation, address, .. } if *address == to => {
                taken.push((*sequence, *operation));
                false
            }
            PendingAck::User { .. }
            | PendingAck::Relay { .. }
            | PendingAck::Leave { .. }
            | PendingAck::Gone(_)
            | PendingAck::Place { .. } => true,
        });
        taken
    }
}

/// The member that is asked whether it is gone, if that is what the ping is for.
fn asked_by(pending: &PendingAck) -> Option<&MemberName> {
    match pending {
        PendingAck::Gone(claim) => Some(&claim.target),
        PendingAck::Relay { .. }
        | PendingAck::User { .. }
        | PendingAck::Leave { .. }
        | PendingAck::Place { .. } => None,
    }
}

//! Pings whose acks are waited for, beside the probe round's own.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::member_name::MemberName;
use crate::output::{Destination, OperationId};
use crate::time::Time;

/// The most pings under way for others; further requests are dropped and counted.
pub(super) const MAX_RELAYS: usize = 1024;

/// What the ack of one of our pings is for.
#[derive(Debug)]
pub(crate) enum PendingAck {
    /// Somebody asked us to ping `target` for it.
    Relay { target: MemberName, sequence: u32, reply_to: Destination, wants_nack: bool },
    /// The application asked.
    User { operation: OperationId, target: MemberName, address: SocketAddr, sent: Time },
    /// A member was told that we leave.
    Leave { target: MemberName },
    /// Whether `target` is at an address where somebody places it.
    Place { target: MemberName, address: SocketAddr },
}

impl PendingAck {
    pub(super) fn target(&self) -> &MemberName {
        match self {
            Self::Relay { target, .. }
            | Self::User { target, .. }
            | Self::Leave { target }
            | Self::Place { target, .. } => target,
        }
    }

    fn is_relay(&self) -> bool {
        match self {
            Self::Relay { .. } => true,
            Self::User { .. } | Self::Leave { .. } | Self::Place { .. } => false,
        }
    }
}

/// By the sequence number of the ping.
#[derive(Debug, Default)]
pub(super) struct PendingAcks {
    sequence: u32,
    by_sequence: BTreeMap<u32, PendingAck>,
    relays: usize,
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

    pub(super) fn has_room_for_relay(&self) -> bool {
        self.relays < MAX_RELAYS
    }

    pub(super) fn insert(&mut self, sequence: u32, pending: PendingAck) {
        self.relays += usize::from(pending.is_relay());
        let before = self.by_sequence.insert(sequence, pending);
        debug_assert!(before.is_none(), "sequence number {sequence} is in use");
    }

    pub(super) fn get(&self, sequence: u32) -> Option<&PendingAck> {
        self.by_sequence.get(&sequence)
    }

    pub(super) fn remove(&mut self, sequence: u32) -> Option<PendingAck> {
        let pending = self.by_sequence.remove(&sequence)?;
        self.relays -= usize::from(pending.is_relay());
        Some(pending)
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
            | PendingAck::Place { .. } => true,
        });
        taken
    }
}

//! The address that an alive message announces, and how it compares with the one held.

use std::time::Duration;

use crate::member::{Advertised, MemberRecord, MemberState};
use crate::time::Time;
use crate::verdict::AddressMatch;
use crate::wire::{Alive, MAX_META};

/// The address in an alive message; `None` if the message cannot be used. Port 0 stands for the
/// receiver's own.
pub(crate) fn advertised_in(alive: &Alive<'_>, my_port: u16) -> Option<Advertised> {
    if let Some([min, max, _, ..]) = alive.vsn
        && (*min == 0 || *max == 0 || min > max)
    {
        return None;
    }
    if alive.meta.is_some_and(|meta| meta.len() > MAX_META) {
        return None;
    }
    stated_address(alive.addr, alive.port, my_port)
}

/// An address as messages and states give it; port 0 stands for the receiver's own. `None` if there
/// is none, or the IP address has another length than 4 and 16 bytes.
pub(crate) fn stated_address(ip: Option<&[u8]>, port: u16, my_port: u16) -> Option<Advertised> {
    Advertised::from_wire(ip?, if port == 0 { my_port } else { port })
}

/// How an address compares with the one held of a member; `reclaim` is
/// [`Config::dead_node_reclaim_time`](crate::Config::dead_node_reclaim_time).
pub(crate) fn match_address(
    record: &MemberRecord,
    is_me: bool,
    advertised: Advertised,
    reclaim: Duration,
    now: Time,
) -> AddressMatch {
    if record.advertised == advertised {
        return AddressMatch::Same;
    }
    let free = match record.state {
        MemberState::Left => !is_me,
        MemberState::Dead => !reclaim.is_zero() && now - record.changed > reclaim,
        MemberState::Alive | MemberState::Suspect => false,
    };
    if free { AddressMatch::MovedToFreeName } else { AddressMatch::Moved }
}

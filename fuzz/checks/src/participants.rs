//! Who occurs in a fuzzed story, and what they may say.
//!
//! Names, addresses and incarnations come from a few participants most of the time, so that claims
//! meet and contradict each other; a rare choice takes them from the input as they are.

use std::net::SocketAddr;
use std::sync::Arc;

use swim_core::wire::{Ack, Alive, Dead, IndirectPing, Message, Nack, NodeState, Ping, Suspect};
use swim_core::{MemberName, Peer};

use crate::draw::Draw;

/// The first one is the machine itself.
pub(crate) const NAMES: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];

/// Everybody's port.
pub(crate) const PORT: u16 = 7946;

const ADDRESSES: [[u8; 4]; 6] =
    [[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3], [10, 0, 0, 4], [10, 0, 0, 5], [10, 1, 0, 6]];

const MAPPED: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 3];

const VERSIONS: &[u8] = &[1, 5, 2, 0, 0, 0];

pub(crate) fn name(index: usize) -> MemberName {
    MemberName::try_from(NAMES[index % NAMES.len()]).expect("a name of three letters")
}

pub(crate) fn address(index: usize) -> SocketAddr {
    SocketAddr::from((ADDRESSES[index % ADDRESSES.len()], PORT))
}

/// A peer: anybody of the participants, at its own place or another's, proven or not.
pub(crate) fn peer(draw: &mut Draw<'_>) -> Peer {
    let choice = usize::from(draw.byte());
    let who = choice % NAMES.len();
    let place = address(if choice & 0x40 == 0 { who } else { who + 1 });
    if choice & 0x80 == 0 {
        return Peer::unverified(place);
    }
    Peer { address: place, names: Arc::new([name(who)]) }
}

/// A member's name in a message.
pub(crate) fn name_bytes<'a>(draw: &mut Draw<'a>) -> &'a [u8] {
    match NAMES.get(draw.below(NAMES.len() + 1)) {
        Some(name) => name.as_bytes(),
        None => draw.slice(),
    }
}

/// A member's address in a message; Go's nil, wrong lengths and IPv4-mapped ones included.
fn ip_bytes<'a>(draw: &mut Draw<'a>) -> Option<&'a [u8]> {
    const { assert!(ADDRESSES.len() == 6) };
    match draw.below(8) {
        at @ 0..6 => Some(&ADDRESSES[at]),
        6 => Some(&MAPPED),
        _ => draw.optional_slice(),
    }
}

fn port(draw: &mut Draw<'_>) -> u16 {
    match draw.byte() {
        0..0xf0 => PORT,
        0xf0..0xf8 => 0,
        0xf8.. => draw.u16(),
    }
}

/// Mostly small, so that stale, equal and newer ones all occur.
fn incarnation(draw: &mut Draw<'_>) -> u32 {
    match draw.byte() {
        small @ 0..0xf0 => (small % 16).into(),
        near_the_end @ 0xf0..0xf8 => u32::MAX - u32::from(near_the_end & 7),
        0xf8.. => draw.u32(),
    }
}

fn versions<'a>(draw: &mut Draw<'a>) -> Option<&'a [u8]> {
    match draw.byte() {
        0..0xf0 => Some(VERSIONS),
        0xf0.. => draw.optional_slice(),
    }
}

/// One message of a story. `number` chooses the sequence numbers of acks and nacks.
pub(crate) fn message<'a>(
    draw: &mut Draw<'a>,
    number: &mut dyn FnMut(&mut Draw<'a>) -> u32,
) -> Message<'a> {
    match draw.below(11) {
        0 => Message::Ping(ping(draw)),
        1 => Message::IndirectPing(IndirectPing {
            seq_no: draw.byte().into(),
            target: ip_bytes(draw),
            port: port(draw),
            node: name_bytes(draw),
            nack: draw.flag(),
            source_addr: ip_bytes(draw).unwrap_or_default(),
            source_port: port(draw),
            source_node: name_bytes(draw),
        }),
        2 => Message::Ack(Ack {
            seq_no: number(draw),
            payload: draw.optional_slice(),
            digest: draw.slice(),
            wait: number(draw),
        }),
        3 => Message::Nack(Nack { seq_no: number(draw), refused: draw.flag() }),
        4 | 5 => Message::Suspect(Suspect {
            incarnation: incarnation(draw),
            node: name_bytes(draw),
            from: name_bytes(draw),
        }),
        6 => Message::Dead(Dead {
            incarnation: incarnation(draw),
            node: name_bytes(draw),
            from: name_bytes(draw),
        }),
        7 => Message::User(draw.slice()),
        _ => Message::Alive(alive(draw)),
    }
}

fn alive<'a>(draw: &mut Draw<'a>) -> Alive<'a> {
    let who = draw.below(2 * NAMES.len());
    let (node, addr) = match NAMES.get(who) {
        Some(name) => (name.as_bytes(), Some(ADDRESSES[who].as_slice())),
        None => (name_bytes(draw), ip_bytes(draw)),
    };
    Alive {
        incarnation: incarnation(draw),
        node,
        addr,
        port: port(draw),
        meta: draw.optional_slice(),
        vsn: versions(draw),
    }
}

pub(crate) fn ping<'a>(draw: &mut Draw<'a>) -> Ping<'a> {
    Ping {
        seq_no: draw.byte().into(),
        node: if draw.flag() { name_bytes(draw) } else { NAMES[0].as_bytes() },
        source_addr: ip_bytes(draw).unwrap_or_default(),
        source_port: port(draw),
        source_node: name_bytes(draw),
        digest: draw.slice(),
        observer: draw.flag(),
    }
}

/// One entry of a push-pull.
pub(crate) fn node_state<'a>(draw: &mut Draw<'a>) -> NodeState<'a> {
    let Alive { incarnation, node, addr, port, meta, vsn } = alive(draw);
    NodeState {
        name: node,
        addr,
        port,
        meta,
        incarnation,
        state: draw.choice([0, 0, 1, 2, 3, 4, -1]),
        vsn,
    }
}

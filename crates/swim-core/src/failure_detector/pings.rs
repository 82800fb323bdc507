//! Pings and requests to ping, and where they are answered to.

use crate::member::{Advertised, MemberRecord, Peer};
use crate::member_name::MemberName;
use crate::output::Destination;
use crate::wire::{IndirectPing, Ping};

/// A ping from us to the member of that name.
pub(crate) fn ping_to<'a>(target: &'a MemberName, me: &'a MemberRecord, sequence: u32) -> Ping<'a> {
    Ping {
        seq_no: sequence,
        node: target.as_bytes(),
        source_addr: me.advertised.ip_bytes(),
        source_port: me.advertised.port,
        source_node: me.name.as_bytes(),
    }
}

/// A request to ping the target for us.
pub(crate) fn indirect_ping<'a>(
    target: &'a MemberRecord,
    me: &'a MemberRecord,
    sequence: u32,
    nack: bool,
) -> IndirectPing<'a> {
    IndirectPing {
        seq_no: sequence,
        target: Some(target.advertised.ip_bytes()),
        port: target.advertised.port,
        node: target.name.as_bytes(),
        nack,
        source_addr: me.advertised.ip_bytes(),
        source_port: me.advertised.port,
        source_node: me.name.as_bytes(),
    }
}

/// Go answers to where the message says it comes from, else to where it came from.
pub(crate) fn reply_destination(from: &Peer, ip: &[u8], port: u16, name: &[u8]) -> Destination {
    let stated = Advertised::from_wire(ip, port).filter(|_| port != 0);
    Destination {
        address: stated.map_or(from.address, Advertised::to_socket),
        name: MemberName::try_from(name).ok(),
    }
}

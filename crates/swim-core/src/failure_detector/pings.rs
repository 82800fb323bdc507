//! Pings and requests to ping, and where they are answered to.

use crate::effects::Effects;
use crate::member::{MemberRecord, MemberState, Peer};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::output::Destination;
use crate::wire::{IndirectPing, Ping};

/// From this protocol version on, members send nacks.
const SENDS_NACKS: u8 = 4;

/// Who is asked to ping the target for us, and whether it sends nacks.
pub(super) fn draw_relays(
    target: MemberIndex,
    count: usize,
    members: &MemberTable,
    effects: &mut Effects,
) -> Vec<(MemberIndex, bool)> {
    let drawn = members.draw(count, effects.rng(), |index, member| {
        index != MemberIndex::ME && index != target && member.state() == MemberState::Alive
    });
    let nacks = |index: &MemberIndex| members.get(*index).record().understands(SENDS_NACKS);
    drawn.into_iter().map(|index| (index, nacks(&index))).collect()
}

/// A ping from us to the member of that name.
pub(crate) fn ping_to<'a>(target: &'a MemberName, me: &'a MemberRecord, sequence: u32) -> Ping<'a> {
    Ping {
        seq_no: sequence,
        node: target.as_bytes(),
        source_addr: me.advertised.ip_bytes(),
        source_port: me.advertised.port,
        source_node: me.name.as_bytes(),
        digest: &[],
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

/// Where a ping is answered to: the connection that it came by. Go answers to the address that the
/// message states; whoever asks could so make us dial any address.
pub(crate) fn reply_destination(from: &Peer, name: &[u8]) -> Destination {
    Destination { address: from.address, name: MemberName::try_from(name).ok() }
}

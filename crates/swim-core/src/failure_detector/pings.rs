//! Pings and requests to ping, and where they are answered to.

use crate::config::Config;
use crate::effects::Effects;
use crate::member::{MemberRecord, MemberState, Peer};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::output::Destination;
use crate::peer_processes::PeerProcesses;
use crate::wire::{IndirectPing, Ping};

/// How many members are asked to ping one whose host refuses us. If a firewall refuses half of the
/// members, one in 65,536 probes asks only those.
const WITNESSES_ASKED: usize = 16;
/// With fewer others of our kind, those that are usually asked are.
const LEAST_WITNESSES: usize = 2;

/// From this protocol version on, members send nacks.
const SENDS_NACKS: u8 = 4;

/// Who is asked to ping the target for us, and whether each sends nacks; `near` are those that
/// watch it beside us, where few do.
pub(super) fn draw_for(
    near: Option<Vec<MemberIndex>>,
    (target, refused): (MemberIndex, bool),
    (members, processes, config): (&MemberTable, &PeerProcesses, &Config),
    effects: &mut Effects,
) -> Vec<(MemberIndex, bool)> {
    let relays = match refused {
        true => draw_witnesses(target, (members, processes), config, effects),
        false => draw_relays(target, members, config, effects),
    };
    match near {
        Some(mut near) => {
            // A Go member that dials an address at which nobody is does nothing else for seconds.
            // Of most members we have heard nothing yet.
            let may_ask = |index| processes.speaks_ours(index) || !processes.was_heard(index);
            near.retain(|index| !refused || may_ask(*index));
            draw_near(near, refused, relays, (members, config), effects)
        }
        None => relays,
    }
}

/// Who is asked to ping the target for us, and whether it sends nacks.
fn draw_relays(
    target: MemberIndex,
    members: &MemberTable,
    config: &Config,
    effects: &mut Effects,
) -> Vec<(MemberIndex, bool)> {
    let drawn = members.draw(config.indirect_checks, effects.rng(), |index, member| {
        index != MemberIndex::ME && index != target && member.state() == MemberState::Alive
    });
    let nacks = |index: &MemberIndex| members.get(*index).record().understands(SENDS_NACKS);
    drawn.into_iter().map(|index| (index, nacks(&index))).collect()
}

/// Who is asked to ping a target whose host refuses us: many more, as a firewall may refuse some of
/// us alone. Members that run Go only where there are too few others: one that dials an address at
/// which nobody is does nothing else for seconds.
fn draw_witnesses(
    target: MemberIndex,
    (members, processes): (&MemberTable, &PeerProcesses),
    config: &Config,
    effects: &mut Effects,
) -> Vec<(MemberIndex, bool)> {
    let count = config.indirect_checks.max(WITNESSES_ASKED);
    let drawn = members.draw(count, effects.rng(), |index, member| {
        index != MemberIndex::ME
            && index != target
            && member.state() == MemberState::Alive
            && processes.speaks_ours(index)
    });
    if drawn.len() < LEAST_WITNESSES {
        return draw_relays(target, members, config, effects);
    }
    drawn.into_iter().map(|index| (index, true)).collect()
}

/// Who is asked where few watch the target: of those who do, as their connections to it are open,
/// and others only where they are too few. All of them if its host refuses us.
fn draw_near(
    mut near: Vec<MemberIndex>,
    refused: bool,
    others: Vec<(MemberIndex, bool)>,
    (members, config): (&MemberTable, &Config),
    effects: &mut Effects,
) -> Vec<(MemberIndex, bool)> {
    let nacks = |index: &MemberIndex| members.get(*index).record().understands(SENDS_NACKS);
    effects.rng().shuffle(&mut near);
    let count = if refused { near.len() } else { config.indirect_checks };
    near.truncate(count);
    let mut drawn: Vec<_> = near.iter().map(|index| (*index, nacks(index))).collect();
    let missing = config.indirect_checks.saturating_sub(drawn.len());
    drawn.extend(others.into_iter().filter(|(index, _)| !near.contains(index)).take(missing));
    drawn
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
        observer: false,
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

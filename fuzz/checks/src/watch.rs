//! What must hold of a machine after every step, whatever came in.
//!
//! Looks only at what any user of a machine can see: its outputs and its getters. It compares the
//! view with the one before and with what the events have told since the beginning.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use swim_core::wire::{
    EXTENSION_BYTE, Message, Packet, PacketDecoder, RELIABLE_KIND, ReliableFrame, Side,
    StreamDecoder, WireSettings,
};
use swim_core::{
    Config, Destination, Member, MemberName, MemberState, Membership, MembershipEvent, OperationId,
    Output, StreamId, Time,
};

/// Outgoing pings that are remembered, so that they can be answered.
const MOST_ASKED: usize = 16;
/// The machine's own bounds of streams and operations, as its documentation states them.
const MOST_STREAMS: usize = 512 + 512 + 1024 + 1024 + 1024 + 128;
/// Frames of answers to reliable messages have types from here on; memberlist's are lower.
const FIRST_ANSWER: u8 = 0x80;
/// A view whose machine counted no change is compared with the one before all the same, each so
/// many steps.
const SELDOM: u32 = 8;
/// The longest packet that any transport carries.
const LONGEST_PACKET: usize = 65_535;

thread_local! {
    /// Reads what every machine sends: its table of codes is expensive to make for each story. That
    /// a used table reads as a new one does is what `packet` and `stream` check.
    static DECODER: RefCell<PacketDecoder> = RefCell::default();
}

/// Follows one machine.
pub(crate) struct Watch {
    max_members: usize,
    max_broadcasts: usize,
    awareness_max: u8,
    /// Opens whatever the machine sends.
    layers: WireSettings,
    view: BTreeMap<MemberName, Member>,
    /// The states that the events amount to.
    told: BTreeMap<MemberName, MemberState>,
    /// Names that a step gave to another address, or forgot and may have learnt again.
    reborn: BTreeSet<MemberName>,
    operations: BTreeSet<OperationId>,
    incoming: BTreeSet<StreamId>,
    outgoing: BTreeMap<StreamId, (Destination, Time)>,
    asked: VecDeque<(Destination, u32)>,
    has_left: bool,
    events: usize,
    /// The machine's count of changes when its view was compared last.
    compared: Option<u64>,
    /// The count of events at the end of the last turn.
    compared_events: usize,
    /// Steps since then.
    unchanged: u32,
}

impl Watch {
    /// Begins with a new machine, whose first outputs are still to come.
    pub(crate) fn new(config: &Config, layers: WireSettings) -> Self {
        Self {
            max_members: config.max_members,
            max_broadcasts: config.max_broadcasts,
            awareness_max: config.awareness_max_multiplier,
            layers,
            view: BTreeMap::new(),
            told: BTreeMap::new(),
            reborn: BTreeSet::new(),
            operations: BTreeSet::new(),
            incoming: BTreeSet::new(),
            outgoing: BTreeMap::new(),
            asked: VecDeque::new(),
            has_left: false,
            events: 0,
            compared: None,
            compared_events: 0,
            unchanged: 0,
        }
    }

    /// A command returned this operation.
    pub(crate) fn issued(&mut self, operation: OperationId) {
        assert!(self.operations.insert(operation), "{operation:?} was given out twice");
    }

    /// The remote opened this stream.
    pub(crate) fn opened(&mut self, id: StreamId) {
        self.incoming.insert(id);
    }

    /// The transport reported this stream as failed; the machine owes no more words about it.
    pub(crate) fn failed(&mut self, id: StreamId) {
        self.incoming.remove(&id);
        self.outgoing.remove(&id);
    }

    /// Operations without an outcome.
    pub(crate) fn pending(&self) -> usize {
        self.operations.len()
    }

    pub(crate) fn asked(&self, index: usize) -> Option<&(Destination, u32)> {
        self.asked.get(index.checked_rem(self.asked.len())?)
    }

    pub(crate) fn outgoing(&self, index: usize) -> Option<(StreamId, &Destination)> {
        let (id, (to, _)) = self.outgoing.iter().nth(index.checked_rem(self.outgoing.len())?)?;
        Some((*id, to))
    }

    /// The stream that the machine opened whose deadline comes first, with the deadline: the
    /// transport reports it as overdue then.
    pub(crate) fn first_deadline(&self) -> Option<(Time, StreamId)> {
        self.outgoing.iter().map(|(id, (_, deadline))| (*deadline, *id)).min()
    }

    pub(crate) fn incoming(&self, index: usize) -> Option<StreamId> {
        self.incoming.iter().nth(index.checked_rem(self.incoming.len())?).copied()
    }

    /// Members seen beside the machine itself.
    pub(crate) fn others(&self) -> usize {
        self.view.len().saturating_sub(1)
    }

    /// Events so far.
    pub(crate) fn events(&self) -> usize {
        self.events
    }

    /// Takes the outputs of one step and checks everything.
    pub(crate) fn step(&mut self, machine: &mut Membership) -> Vec<Output> {
        let mut outputs = Vec::new();
        while let Some(output) = machine.poll_output() {
            self.output(&output);
            outputs.push(output);
        }
        self.after_turn(machine);
        outputs
    }

    /// All outputs of a turn have been seen: checks what the machine shows of itself.
    pub(crate) fn after_turn(&mut self, machine: &Membership) {
        self.unchanged += 1;
        let told = self.events != std::mem::replace(&mut self.compared_events, self.events);
        let changed = self.compared.replace(machine.generation()) != Some(machine.generation());
        if changed || told || self.unchanged >= SELDOM {
            self.unchanged = 0;
            self.members(machine);
        }
        self.lengths(machine);
        assert!(machine.has_left() || !self.has_left, "nobody returns from a leave");
        self.has_left = machine.has_left();
    }

    /// After a deadline was handled, none is left that lies in the past.
    pub(crate) fn timeout(&self, machine: &Membership, now: Time) {
        let next = machine.poll_timeout();
        assert!(next.is_none_or(|next| next > now), "at {now}, {next:?} is still to be handled");
    }

    /// The machine wants this.
    pub(crate) fn output(&mut self, output: &Output) {
        match output {
            Output::Packet { to, bytes } => self.packet(to, bytes),
            Output::OpenStream { id, to, bytes, finish, deadline } => {
                assert!(!self.has_left, "a stream is opened after the leave");
                assert!(!id.is_incoming());
                is_dialable(to.address);
                match bytes.strip_prefix(&[EXTENSION_BYTE, RELIABLE_KIND]) {
                    Some(_) => assert!(*finish, "a large message is alone on its stream"),
                    None if bytes.is_empty() => assert!(!*finish, "{id:?} is of no use"),
                    None => self.is_one_message(bytes, Side::Opener),
                }
                let before = self.outgoing.insert(*id, (to.clone(), *deadline));
                assert!(before.is_none(), "{id:?} is used twice");
            }
            Output::WriteStream { id, bytes, finish } => {
                let is_open = self.incoming.contains(id) || self.outgoing.contains_key(id);
                assert!(is_open, "a write on {id:?}");
                match bytes.strip_prefix(&[EXTENSION_BYTE, RELIABLE_KIND]).unwrap_or(bytes) {
                    [] => {}
                    [kind, ..] if *kind >= FIRST_ANSWER || !id.is_incoming() => are_frames(bytes),
                    [..] => {
                        assert!(*finish, "an answer does not end {id:?}");
                        self.is_one_message(bytes, Side::Answerer);
                    }
                }
            }
            Output::CloseStream { id } | Output::ResetStream { id } => {
                let was_open = self.incoming.remove(id) || self.outgoing.remove(id).is_some();
                assert!(was_open, "{id:?} is closed twice");
            }
            Output::ForgetPeer { address } => self.forgets(*address),
            Output::ResolveSeeds => assert!(!self.has_left, "seeds are wanted after the leave"),
            Output::Finished { operation, .. } => {
                assert!(self.operations.remove(operation), "{operation:?} has ended before");
            }
            Output::Event(event) => {
                self.events += 1;
                self.event(event);
            }
        }
    }

    /// A purge forgets incarnations too; the end of a probe round may bring one in the middle of
    /// a packet that goes on to name the same member.
    fn forgets(&mut self, address: SocketAddr) {
        is_dialable(address);
        let is_gone = |name: &MemberName| self.told.get(name).is_some_and(|state| !state.is_live());
        let gone =
            self.view.iter().filter(|(name, member)| member.address() == address && is_gone(name));
        self.reborn.extend(gone.map(|(name, _)| name.clone()));
    }

    /// What the machine sends, its peers can read.
    fn packet(&mut self, to: &Destination, bytes: &[u8]) {
        is_dialable(to.address);
        assert!(bytes.len() <= LONGEST_PACKET, "a packet of {} bytes", bytes.len());
        DECODER.with_borrow_mut(|decoder| {
            let packet = decoder.decode(bytes, &self.layers).expect("our own packet");
            self.messages(to, &packet);
        });
    }

    fn messages(&mut self, to: &Destination, packet: &Packet<'_>) {
        assert!(!packet.messages.is_empty(), "a packet without a message");
        assert_eq!((packet.truncated, packet.unknown, packet.empty), (0, 0, 0));
        for message in &packet.messages {
            let number = match message {
                Message::Ping(ping) => ping.seq_no,
                Message::IndirectPing(request) => request.seq_no,
                Message::Ack(_)
                | Message::Nack(_)
                | Message::Suspect(_)
                | Message::Alive(_)
                | Message::Dead(_)
                | Message::User(_) => continue,
            };
            if self.asked.len() == MOST_ASKED {
                self.asked.pop_front();
            }
            self.asked.push_back((to.clone(), number));
        }
    }

    fn is_one_message(&self, bytes: &[u8], side: Side) {
        DECODER.with_borrow_mut(|packets| {
            let mut decoder = StreamDecoder::new(side);
            let message = decoder.push_with(bytes, true, &self.layers, packets);
            assert!(message.expect("our own stream").is_some(), "our own stream is not whole");
            assert_eq!(decoder.trailing(), 0);
        });
    }

    /// Events tell every change of state, in an order that makes sense.
    fn event(&mut self, event: &MembershipEvent) {
        use MemberState::{Alive, Dead, Left, Suspect};
        let (member, state, before): (_, _, &[_]) = match event {
            MembershipEvent::Joined(member) => (member, Alive, &[None, Some(Dead), Some(Left)]),
            MembershipEvent::Updated(member) | MembershipEvent::Moved { member, .. } => {
                (member, Alive, &[Some(Alive)])
            }
            MembershipEvent::Left(member) => (member, Left, &[Some(Alive), Some(Suspect)]),
            MembershipEvent::Failed { member, .. } => (member, Dead, &[Some(Alive), Some(Suspect)]),
            MembershipEvent::Suspected { member, .. } => (member, Suspect, &[Some(Alive)]),
            MembershipEvent::Cleared { member, .. } => (member, Alive, &[Some(Suspect)]),
            MembershipEvent::Conflict { .. }
            | MembershipEvent::Restarted(_)
            | MembershipEvent::Message { .. }
            | MembershipEvent::RemoteState { .. }
            | MembershipEvent::Removed { .. }
            | MembershipEvent::ProbeAnswered { .. }
            | MembershipEvent::SeedTried { .. }
            | MembershipEvent::StableView(_)
            | MembershipEvent::Resumed { .. }
            | MembershipEvent::Warning { .. } => return,
        };
        let told = self.told.insert(member.name().clone(), state);
        assert!(before.contains(&told), "{event:?} after {told:?}");
        assert_eq!(member.state(), state, "{event:?}");
        let known = self.view.get(member.name());
        if known.is_some_and(|known| place(known) != place(member)) {
            self.reborn.insert(member.name().clone());
        }
    }

    fn members(&mut self, machine: &Membership) {
        let members: Vec<Member> = machine.members().collect();
        assert!(members.len() <= self.max_members.max(1), "{} members", members.len());
        assert!(members.is_sorted_by(|a, b| a.name() < b.name()), "names in disorder");
        assert!(members.contains(&machine.local()));
        let mut view = BTreeMap::new();
        for member in members {
            let name = member.name().clone();
            assert!((1..u32::MAX).contains(&member.incarnation()), "{member:?}");
            assert_eq!(self.told.get(&name), Some(&member.state()), "{name} changed in silence");
            if let Some(before) = self.view.get(&name).filter(|_| !self.reborn.contains(&name)) {
                succeeds(before, &member);
            }
            view.insert(name, member);
        }
        self.told.retain(|name, state| {
            let is_known = view.contains_key(name);
            assert!(is_known || !state.is_live(), "{name} vanished alive");
            is_known
        });
        self.reborn.clear();
        self.view = view;
    }

    fn lengths(&self, machine: &Membership) {
        let stats = machine.stats();
        let count = |state| self.view.values().filter(|member| member.state() == state).count();
        assert_eq!(stats.alive, count(MemberState::Alive));
        assert_eq!(stats.suspect, count(MemberState::Suspect));
        assert_eq!(stats.dead, count(MemberState::Dead));
        assert_eq!(stats.left, count(MemberState::Left));
        let told = machine.agreement();
        let heard = told.agreeing.len() + told.behind.len() + told.differing.len();
        let others = count(MemberState::Alive) + count(MemberState::Suspect)
            - usize::from(machine.local().state().is_live());
        assert_eq!(heard + told.unheard.len(), others, "{told:?}");
        assert!(stats.queued_updates <= self.view.len(), "more updates than members");
        assert!(stats.queued_broadcasts <= self.max_broadcasts);
        assert!(stats.streams <= MOST_STREAMS);
        assert_eq!(stats.streams, self.incoming.len() + self.outgoing.len(), "streams left over");
        assert!(machine.health() < self.awareness_max.max(1));
    }
}

/// A member's record only moves forward, unless somebody else bears the name.
fn succeeds(before: &Member, after: &Member) {
    use MemberState::{Alive, Dead, Left, Suspect};
    assert_eq!(place(before), place(after), "moved without an event");
    assert!(after.incarnation() >= before.incarnation(), "{before:?} fell back to {after:?}");
    let needs_more = match (before.state(), after.state()) {
        (Alive, _) | (Suspect, Suspect | Dead | Left) | (Dead, Dead) | (Left, Left) => false,
        (Suspect, Alive) | (Dead, Alive | Suspect | Left) | (Left, Alive | Suspect | Dead) => true,
    };
    assert!(
        !needs_more || after.incarnation() > before.incarnation(),
        "{before:?} turned into {after:?} without a higher incarnation"
    );
}

fn place(member: &Member) -> (&[u8], SocketAddr) {
    (member.advertised(), member.address())
}

fn is_dialable(address: SocketAddr) {
    assert_eq!(address.ip(), address.ip().to_canonical(), "an IPv4-mapped address goes out");
    assert_ne!(address.port(), 0, "port 0 goes out");
}

/// Bytes of ours on a stream of reliable messages are whole frames.
fn are_frames(bytes: &[u8]) {
    let mut rest = bytes.strip_prefix(&[EXTENSION_BYTE, RELIABLE_KIND]).unwrap_or(bytes);
    while !rest.is_empty() {
        let frame = ReliableFrame::decode(rest).expect("our own frame");
        let (_, length) = frame.expect("our own frame is whole");
        rest = &rest[length..];
    }
}

#[cfg(test)]
mod tests {
    use swim_core::wire::Suspect;
    use swim_core::{LocalMember, Peer, RngSeed};

    use super::*;
    use crate::participants;

    fn machine() -> Membership {
        let me = LocalMember {
            name: participants::name(0),
            address: participants::address(0),
            meta: Vec::new(),
        };
        Membership::new(Config::lan(), me, RngSeed([1; 32]), Time::ZERO).unwrap()
    }

    fn hear(machine: &mut Membership, message: &Message<'_>) {
        let peer = Peer::unverified(participants::address(2));
        machine.handle_packet(&peer, &message.to_vec(), Time::ZERO);
    }

    /// A machine that has heard of bob, and what it told of that.
    fn machine_with_bob(incarnation: u32, suspected: bool) -> (Membership, Watch) {
        let mut machine = machine();
        let mut watch = Watch::new(&Config::lan(), WireSettings::default());
        watch.step(&mut machine);
        let alive = swim_core::wire::Alive {
            incarnation,
            node: b"bob",
            addr: Some(&[10, 0, 0, 2]),
            port: participants::PORT,
            ..Default::default()
        };
        hear(&mut machine, &Message::Alive(alive));
        watch.step(&mut machine);
        if suspected {
            hear(
                &mut machine,
                &Message::Suspect(Suspect { incarnation, node: b"bob", from: b"x" }),
            );
            watch.step(&mut machine);
        }
        (machine, watch)
    }

    fn bob(incarnation: u32, suspected: bool) -> Member {
        machine_with_bob(incarnation, suspected).0.member(&participants::name(1)).unwrap()
    }

    #[test]
    fn a_member_may_move_forward() {
        succeeds(&bob(5, false), &bob(5, true));
        succeeds(&bob(5, true), &bob(6, false));
        succeeds(&bob(5, true), &bob(5, true));
    }

    #[test]
    #[should_panic(expected = "fell back")]
    fn an_incarnation_that_falls_is_found() {
        succeeds(&bob(5, false), &bob(4, false));
    }

    #[test]
    #[should_panic(expected = "without a higher incarnation")]
    fn a_resurrection_is_found() {
        succeeds(&bob(5, true), &bob(5, false));
    }

    #[test]
    #[should_panic(expected = "changed in silence")]
    fn a_change_without_an_event_is_found() {
        let (mut machine, mut watch) = machine_with_bob(5, false);
        let suspect = Suspect { incarnation: 5, node: b"bob", from: b"x" };
        hear(&mut machine, &Message::Suspect(suspect));
        while machine.poll_output().is_some() {}
        watch.step(&mut machine);
    }

    #[test]
    #[should_panic(expected = "still to be handled")]
    fn a_deadline_that_was_not_handled_is_found() {
        let (machine, watch) = machine_with_bob(5, true);
        watch.timeout(&machine, Time::from_micros(3_600_000_000));
    }
}

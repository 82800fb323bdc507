//! Arbitrary input neither panics nor changes anything it should not.

use std::sync::Arc;

use proptest::prelude::*;
use swim_core::{
    Config, LocalMember, Member, MemberState, Membership, Outcome, Output, Peer, RngSeed,
    StreamFailure, StreamId, Time,
};

use crate::harness::{millis, name};

fn machine(config: Config) -> Membership {
    let address = "10.0.0.1:7946".parse().unwrap();
    let me = LocalMember { name: name("ada"), address, meta: Vec::new() };
    let mut machine = Membership::new(config, me, RngSeed([1; 32]), Time::ZERO).unwrap();
    drain(&mut machine);
    machine
}

fn drain(machine: &mut Membership) {
    while machine.poll_output().is_some() {}
}

fn bob() -> Peer {
    Peer { address: "10.0.0.2:7946".parse().unwrap(), names: Arc::new([name("bob")]) }
}

fn alive_bob() -> Vec<u8> {
    let vsn = [1, 5, 2, 0, 0, 0];
    swim_core::wire::Message::Alive(swim_core::wire::Alive {
        incarnation: 1,
        node: b"bob",
        addr: Some(&[10, 0, 0, 2]),
        port: 7946,
        meta: None,
        vsn: Some(&vsn),
    })
    .to_vec()
}

#[derive(Clone, Debug)]
enum Step {
    Packet(Vec<u8>),
    Open(u64),
    Data(u64, Vec<u8>, bool),
    Fail(u64),
    SendFailed,
    Wait(u64),
    Leave,
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        // Nearly right: a valid message with one byte changed.
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| {
            let mut packet = alive_bob();
            let at = at.index(packet.len());
            packet[at] = byte;
            packet
        }),
        (0..14u8, prop::collection::vec(any::<u8>(), 0..60)).prop_map(|(kind, mut body)| {
            body.insert(0, kind);
            body
        }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => bytes().prop_map(Step::Packet),
        2 => (0..4u64).prop_map(Step::Open),
        4 => (0..4u64, bytes(), any::<bool>())
            .prop_map(|(id, data, fin)| Step::Data(id, data, fin)),
        1 => (0..4u64).prop_map(Step::Fail),
        1 => Just(Step::SendFailed),
        3 => (0..3000u64).prop_map(Step::Wait),
        1 => Just(Step::Leave),
    ]
}

fn take(machine: &mut Membership, step: &Step, now: &mut Time) {
    match step {
        Step::Packet(bytes) => machine.handle_packet(&bob(), bytes, *now),
        Step::Open(id) => machine.handle_stream_opened(StreamId::incoming(*id), &bob(), *now),
        Step::Data(id, bytes, fin) => {
            machine.handle_stream_data(StreamId::incoming(*id), bytes, *fin, *now);
        }
        Step::Fail(id) => {
            let reason = StreamFailure::Reset;
            machine.handle_stream_failed(StreamId::incoming(*id), reason, *now);
        }
        Step::SendFailed => {
            machine.handle_send_failed(bob().address, StreamFailure::Closed, *now);
        }
        Step::Wait(span) => {
            *now += millis(*span);
            machine.handle_timeout(*now);
        }
        Step::Leave => {
            machine.leave(*now);
        }
    }
    drain(machine);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_sequence_of_inputs_makes_it_panic(steps in prop::collection::vec(step(), 1..60)) {
        let mut machine = machine(Config::lan());
        let mut now = Time::ZERO;
        take(&mut machine, &Step::Packet(alive_bob()), &mut now);
        let mut incarnation = machine.local().incarnation();
        for step in &steps {
            take(&mut machine, step, &mut now);
            let me = machine.local();
            prop_assert!(me.incarnation() >= incarnation, "our incarnation fell");
            incarnation = me.incarnation();
            prop_assert!(me.state() == MemberState::Alive || me.state() == MemberState::Left);
            prop_assert!(machine.stats().streams <= 512 + 8);
        }
    }

    #[test]
    fn bytes_that_are_no_message_change_no_member(
        noise in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20),
    ) {
        let mut config = Config::lan();
        config.label = b"a label that noise does not hit".to_vec();
        let mut machine = machine(config);
        let before: Vec<Member> = machine.members().collect();
        for (index, bytes) in noise.iter().enumerate() {
            machine.handle_packet(&bob(), bytes, Time::ZERO);
            drain(&mut machine);
            let id = StreamId::incoming(index as u64);
            machine.handle_stream_opened(id, &bob(), Time::ZERO);
            drain(&mut machine);
            machine.handle_stream_data(id, bytes, true, Time::ZERO);
            drain(&mut machine);
        }
        prop_assert_eq!(machine.members().collect::<Vec<_>>(), before);
        prop_assert_eq!(machine.stats().streams, 0);
    }
}

/// A reliable message's stream: its kind, its length, and `length` bytes.
fn user_message(length: usize) -> Vec<u8> {
    let mut stream = b"\x08\x81\xaaUserMsgLen\xce".to_vec();
    stream.extend(u32::try_from(length).unwrap().to_be_bytes());
    stream.extend(std::iter::repeat_n(7, length));
    stream
}

/// Whether ada takes a message of which `part` bytes arrive in every `pause`.
fn takes_in_parts(message: &[u8], part: usize, pause: std::time::Duration) -> bool {
    let mut machine = machine(Config::lan());
    let (id, mut now) = (StreamId::incoming(1), Time::ZERO);
    machine.handle_stream_opened(id, &bob(), now);
    for part in message.chunks(part) {
        now += pause;
        machine.handle_timeout(now);
        drain(&mut machine);
        if !machine.wants_stream(id) {
            return false;
        }
        machine.handle_stream_data(id, part, false, now);
        drain(&mut machine);
    }
    machine.stats().counters.user_messages_in == 1
}

/// The first stream that a machine opens, or writes an answer on: its bytes, and until when the
/// transport keeps it.
fn stream_bytes(machine: &mut Membership) -> (StreamId, Vec<u8>, Option<Time>) {
    while let Some(output) = machine.poll_output() {
        match output {
            Output::OpenStream { id, bytes, deadline, .. } => return (id, bytes, Some(deadline)),
            Output::WriteStream { id, bytes, .. } => return (id, bytes, None),
            _ => {}
        }
    }
    panic!("nothing is sent on a stream");
}

/// Whether a join ends well to which a state of 200 kB is answered, of which `part` bytes arrive in
/// every `pause`.
fn joins_in_parts(part: usize, pause: std::time::Duration) -> bool {
    let mut config = Config::lan();
    config.compression = false;
    let address = bob().address;
    let me = LocalMember { name: name("bob"), address, meta: Vec::new() };
    let mut peer = Membership::new(config.clone(), me, RngSeed([2; 32]), Time::ZERO).unwrap();
    peer.set_user_state(vec![7; 200_000]).unwrap();
    drain(&mut peer);
    let mut machine = machine(config);
    let join = machine.join(address, None, Time::ZERO);
    let (id, request, deadline) = stream_bytes(&mut machine);
    let ada = Peer { address: "10.0.0.1:7946".parse().unwrap(), names: Arc::new([name("ada")]) };
    peer.handle_stream_opened(StreamId::incoming(1), &ada, Time::ZERO);
    peer.handle_stream_data(StreamId::incoming(1), &request, true, Time::ZERO);
    let (_, answer, _) = stream_bytes(&mut peer);
    assert!(answer.len() > 200_000);
    let (mut now, mut outcome) = (Time::ZERO, None);
    let parts = answer.chunks(part).count();
    let mut finished = |machine: &mut Membership| {
        while let Some(output) = machine.poll_output() {
            match output {
                Output::Finished { operation, outcome: end } if operation == join => {
                    outcome = Some(end);
                }
                _ => {}
            }
        }
    };
    finished(&mut machine);
    for (number, part) in answer.chunks(part).enumerate() {
        now += pause;
        machine.handle_timeout(now);
        finished(&mut machine);
        if machine.wants_stream(id) && now <= deadline.unwrap() {
            machine.handle_stream_data(id, part, number + 1 == parts, now);
            finished(&mut machine);
        }
    }
    outcome == Some(Outcome::Joined)
}

#[test]
fn the_answer_to_a_join_has_time_as_long_as_it_gets_on() {
    let timeout = Config::lan().stream_timeout;
    assert!(joins_in_parts(17_000, timeout - millis(1)));
    assert!(!joins_in_parts(8_000, timeout - millis(1)), "too slow");
    assert!(!joins_in_parts(300_000, timeout), "nothing in time");
}

#[test]
fn a_long_message_has_time_as_long_as_it_gets_on() {
    let timeout = Config::lan().stream_timeout;
    // 20 MB over a link of 32 kB/s.
    let longest = user_message(20_000_000);
    assert!(takes_in_parts(&longest, 32_000, millis(1_000)));
    let message = user_message(200_000);
    assert!(takes_in_parts(&message, 17_000, timeout - millis(1)));
    assert!(!takes_in_parts(&message, 8_000, timeout - millis(1)), "too slow");
    assert!(!takes_in_parts(&message, 1, millis(1_000)), "byte by byte");
    assert!(!takes_in_parts(&message, 200_000, timeout), "nothing in time");
    let long = user_message(10_000_000);
    assert!(!takes_in_parts(&long, 20_000, millis(9_000)), "longer than any stream may last");
}

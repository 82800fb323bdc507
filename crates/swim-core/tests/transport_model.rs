//! Machines on the modelled transport, and what the model promises them.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at the events of its story only"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use swim_core::model::{EndpointId, Journey, Links, ModelLimits, StreamFaults, TransportModel};
use swim_core::wire::{NodeState, encode_push_pull};
use swim_core::{
    Config, Destination, DialFailure, Features, LocalMember, MemberName, Membership, Peer, RngSeed,
    StreamFailure, StreamGone, StreamId, StreamRead, Time, Transport, TransportAdapter,
    TransportEvent,
};

const ADA: EndpointId = EndpointId(0);
const BOB: EndpointId = EndpointId(1);

fn name(text: &str) -> MemberName {
    MemberName::try_from(text).unwrap()
}

fn address(id: u32) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(id + 1).unwrap()], 7946))
}

/// Everything takes a millisecond, and nothing is lost except between those that are cut.
#[derive(Default)]
struct Wire {
    cut: BTreeSet<(EndpointId, EndpointId)>,
    faults: StreamFaults,
}

impl Links for Wire {
    fn endpoint_at(&self, at: SocketAddr) -> Option<EndpointId> {
        (0..2).find(|id| address(*id) == at).map(EndpointId)
    }

    fn connects(&self, from: EndpointId, to: EndpointId) -> bool {
        !self.cut.contains(&(from, to))
    }

    fn datagram(&mut self, from: EndpointId, to: EndpointId, _: &mut [u8]) -> Journey {
        match self.connects(from, to) {
            true => Journey::Arrives { after: Duration::from_millis(1), again: None },
            false => Journey::Lost,
        }
    }

    fn stream_delay(&mut self, _: EndpointId, _: EndpointId) -> Duration {
        Duration::from_millis(1)
    }

    fn stream_faults(&mut self) -> StreamFaults {
        self.faults
    }
}

struct Pair {
    model: TransportModel,
    wire: Wire,
    now: Time,
    seen: Vec<(EndpointId, TransportEvent)>,
}

impl Pair {
    fn new() -> Self {
        let mut model = TransportModel::new(ModelLimits::default());
        for (id, who) in [(0, "ada"), (1, "bob")] {
            let peer = Peer { address: address(id), names: [name(who)].into() };
            let endpoint = model.add(peer.clone());
            model.start(endpoint, peer);
        }
        Self { model, wire: Wire::default(), now: Time::ZERO, seen: Vec::new() }
    }

    fn with<T>(&mut self, who: EndpointId, act: impl FnOnce(&mut dyn Transport, Time) -> T) -> T {
        let now = self.now;
        let result = act(&mut self.model.handle(who, &mut self.wire, now), now);
        self.drain();
        result
    }

    fn drain(&mut self) {
        self.seen.extend(std::iter::from_fn(|| self.model.poll_event()));
    }

    fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.model.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.model.advance(self.now, &mut self.wire);
            self.drain();
        }
        self.now = end;
    }

    fn open(&mut self, n: u64, to: &str, seconds: u64) -> StreamId {
        // A machine numbers its own streams; even raw numbers are outgoing ones.
        let id = StreamId::outgoing(n);
        let to = Destination { address: address(1), name: Some(name(to)) };
        self.with(ADA, |ada, now| {
            ada.open_stream(id, &to, now + Duration::from_secs(seconds), now)
        });
        id
    }

    fn write(&mut self, who: EndpointId, id: StreamId, bytes: &[u8], finish: bool) -> usize {
        self.with(who, |end, _| end.write(id, bytes, finish)).unwrap()
    }

    fn read(&mut self, who: EndpointId, id: StreamId) -> Result<(Vec<u8>, bool), StreamFailure> {
        let mut all = Vec::new();
        let mut buffer = [0; 1000];
        loop {
            let StreamRead { bytes, fin } = self.with(who, |end, _| end.read(id, &mut buffer))?;
            all.extend_from_slice(&buffer[..bytes]);
            if fin || bytes == 0 {
                return Ok((all, fin));
            }
        }
    }

    /// What the acceptor calls the one stream it has heard of.
    fn accepted(&self) -> StreamId {
        let opened = self.seen.iter().find_map(|(_, event)| match event {
            TransportEvent::StreamOpened { id, .. } => Some(*id),
            _ => None,
        });
        opened.expect("a stream was opened")
    }

    fn failures(&self, who: EndpointId) -> Vec<StreamFailure> {
        let failed = |(at, event): &(EndpointId, TransportEvent)| match event {
            TransportEvent::StreamFailed { reason, .. } if *at == who => Some(*reason),
            _ => None,
        };
        self.seen.iter().filter_map(failed).collect()
    }
}

#[test]
fn a_request_and_its_answer_arrive_whole_and_end() {
    let mut pair = Pair::new();
    let id = pair.open(1, "bob", 10);
    assert_eq!(pair.write(ADA, id, b"request", true), 7);
    pair.run(Duration::from_millis(10));
    let theirs = pair.accepted();
    assert_eq!(pair.read(BOB, theirs).unwrap(), (b"request".to_vec(), true));
    pair.write(BOB, theirs, b"answer", true);
    pair.with(BOB, |bob, _| bob.stop(theirs));
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.read(ADA, id).unwrap(), (b"answer".to_vec(), true));
    pair.with(ADA, |ada, _| ada.stop(id));
    pair.run(Duration::from_secs(20));
    assert_eq!((pair.failures(ADA), pair.failures(BOB)), (vec![], vec![]));
}

#[test]
fn a_slow_reader_stops_its_sender_until_it_reads() {
    let mut pair = Pair::new();
    let id = pair.open(1, "bob", 100);
    let long = vec![7; 1_000_000];
    let first = pair.write(ADA, id, &long, true);
    assert_eq!(first, ModelLimits::default().stream_buffer);
    pair.run(Duration::from_secs(5));
    let theirs = pair.accepted();
    let writable = |pair: &Pair| {
        pair.seen
            .iter()
            .filter(|seen| **seen == (ADA, TransportEvent::StreamWritable { id }))
            .count()
    };
    assert_eq!(writable(&pair), 1, "only that it opened");
    let (mut received, mut sent) = (0, first);
    while received < long.len() {
        let (bytes, _) = pair.read(BOB, theirs).unwrap();
        received += bytes.len();
        pair.run(Duration::from_millis(5));
        if writable(&pair) > 1 && sent < long.len() {
            sent += pair.write(ADA, id, &long[sent..], true);
        }
    }
    assert_eq!(pair.read(BOB, theirs).unwrap(), (vec![], true));
}

#[test]
fn an_overdue_stream_fails_at_both_ends() {
    let mut pair = Pair::new();
    let id = pair.open(1, "bob", 2);
    pair.write(ADA, id, b"request", true);
    pair.run(Duration::from_secs(3));
    let theirs = pair.accepted();
    assert_eq!(pair.failures(ADA), [StreamFailure::TimedOut]);
    assert_eq!(pair.read(BOB, theirs).unwrap(), (b"request".to_vec(), true));
    assert_eq!(pair.with(BOB, |bob, _| bob.write(theirs, b"answer", true)), Err(StreamGone));
}

#[test]
fn whoever_is_somebody_else_gets_nothing() {
    let mut pair = Pair::new();
    let id = pair.open(1, "cyd", 10);
    pair.write(ADA, id, b"request", true);
    let to = Destination { address: address(1), name: Some(name("cyd")) };
    pair.with(ADA, |ada, now| ada.send_packet(&to, b"ping", now));
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.failures(ADA), [StreamFailure::PeerMismatch]);
    let reason = StreamFailure::PeerMismatch;
    assert!(pair.seen.contains(&(ADA, TransportEvent::SendFailed { to: address(1), reason })));
    assert!(!pair.seen.iter().any(|(at, event)| {
        let is_of_the_connection = matches!(
            event,
            TransportEvent::PacketLimit { .. } | TransportEvent::PeerFeatures { .. }
        );
        *at == BOB && !is_of_the_connection
    }));
}

#[test]
fn a_silent_address_fails_at_the_dial_s_deadline() {
    let mut pair = Pair::new();
    pair.wire.cut.insert((ADA, BOB));
    let to = Destination { address: address(1), name: None };
    pair.with(ADA, |ada, now| ada.send_packet(&to, b"ping", now));
    pair.open(1, "bob", 10);
    pair.run(Duration::from_millis(2_900));
    assert_eq!(pair.seen, []);
    pair.run(Duration::from_millis(200));
    assert_eq!(pair.failures(ADA), [StreamFailure::NotConnected(DialFailure::NoAnswer)]);
    let reason = StreamFailure::NotConnected(DialFailure::NoAnswer);
    assert!(pair.seen.contains(&(ADA, TransportEvent::SendFailed { to: address(1), reason })));
}

#[test]
fn who_restarted_resets_the_connections_of_its_former_life() {
    let mut pair = Pair::new();
    let id = pair.open(1, "bob", 60);
    pair.write(ADA, id, b"request", false);
    pair.run(Duration::from_millis(10));
    let bob = Peer { address: address(1), names: [name("bob")].into() };
    pair.model.start(BOB, bob);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.failures(ADA), [], "nothing was sent since");
    let to = Destination { address: address(1), name: Some(name("bob")) };
    pair.with(ADA, |ada, now| ada.send_packet(&to, b"ping", now));
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.failures(ADA), [StreamFailure::Closed]);
    pair.with(ADA, |ada, now| ada.send_packet(&to, b"ping", now));
    pair.run(Duration::from_millis(10));
    let got = pair
        .seen
        .iter()
        .filter(|(at, event)| *at == BOB && matches!(event, TransportEvent::Packet { .. }));
    assert_eq!(got.count(), 1);
}

#[test]
fn a_reset_under_way_reaches_both_ends() {
    let mut pair = Pair::new();
    pair.wire.faults.reset_after = Some(1);
    let id = pair.open(1, "bob", 60);
    pair.write(ADA, id, b"one", false);
    pair.run(Duration::from_millis(10));
    pair.write(ADA, id, b"two", true);
    pair.run(Duration::from_millis(10));
    assert_eq!(pair.failures(ADA), [StreamFailure::Reset]);
    assert_eq!(pair.failures(BOB), [StreamFailure::Reset]);
}

#[test]
fn features_are_told_with_a_connection_and_withdrawn_with_it() {
    let (ada, bob) = (Features::from_bits(1), Features::from_bits(6));
    for (hers, his) in [(Some(ada), Some(bob)), (Some(ada), None), (None, Some(bob))] {
        let mut pair = Pair::new();
        pair.model.set_features(ADA, hers);
        pair.model.set_features(BOB, his);
        let to = Destination { address: address(1), name: Some(name("bob")) };
        pair.with(ADA, |ada, now| ada.send_packet(&to, b"ping", now));
        pair.run(Duration::from_secs(1));
        let both_extended = hers.is_some() && his.is_some();
        let told = |pair: &Pair, who| {
            let told = pair.seen.iter().filter_map(|(at, event)| match event {
                TransportEvent::PeerFeatures { to, features, .. } if *at == who => {
                    Some((*to, *features))
                }
                _ => None,
            });
            Vec::from_iter(told)
        };
        let expected = |to, features| match both_extended {
            true => vec![(address(to), features)],
            false => vec![],
        };
        assert_eq!(told(&pair, ADA), expected(1, his));
        assert_eq!(told(&pair, BOB), expected(0, hers));
        pair.with(ADA, |ada, now| ada.close_peer(address(1), now));
        pair.run(Duration::from_secs(1));
        for (who, other) in [(ADA, 1), (BOB, 0)] {
            let withdrawn = both_extended.then_some((address(other), None));
            assert_eq!(told(&pair, who).get(1).copied(), withdrawn);
        }
    }
}

/// Takes nothing that is written, and brings the same request on each stream.
struct TakesNothing {
    request: Vec<u8>,
    reset: Vec<StreamId>,
}

impl Transport for TakesNothing {
    fn send_packet(&mut self, _: &Destination, _: &[u8], _: Time) {}

    fn open_stream(&mut self, _: StreamId, _: &Destination, _: Time, _: Time) {}

    fn write(&mut self, _: StreamId, _: &[u8], _: bool) -> Result<usize, StreamGone> {
        Ok(0)
    }

    fn read(&mut self, _: StreamId, buffer: &mut [u8]) -> Result<StreamRead, StreamFailure> {
        buffer[..self.request.len()].copy_from_slice(&self.request);
        Ok(StreamRead { bytes: self.request.len(), fin: true })
    }

    fn stop(&mut self, _: StreamId) {}

    fn reset(&mut self, id: StreamId) {
        self.reset.push(id);
    }

    fn peer_departed(&mut self, _: SocketAddr) {}

    fn close_peer(&mut self, _: SocketAddr, _: Time) {}
}

#[test]
fn a_peer_that_takes_no_answers_has_a_share_of_those_that_wait() {
    let me = LocalMember { name: name("ada"), address: address(0), meta: Vec::new() };
    let mut ada = Membership::new(Config::lan(), me, RngSeed([1; 32]), Time::ZERO).unwrap();
    while ada.poll_output().is_some() {}
    let mut adapter = TransportAdapter::default();
    let mut ask = |transport: &mut TakesNothing, number: u64, who: u32, as_whom: &str| {
        let (addr, vsn) = ([10, 0, 0, u8::try_from(who + 1).unwrap()], [1, 5, 2, 0, 0, 0]);
        let node = NodeState {
            name: as_whom.as_bytes(),
            addr: Some(&addr),
            port: 7946,
            incarnation: 1,
            vsn: Some(&vsn),
            ..NodeState::default()
        };
        transport.request.clear();
        encode_push_pull(false, [node].into_iter(), &[], &mut transport.request);
        let from = Peer { address: address(who), names: [name(as_whom)].into() };
        let id = StreamId::incoming(number);
        for event in
            [TransportEvent::StreamOpened { id, from }, TransportEvent::StreamReadable { id }]
        {
            adapter.handle_event(event, &mut ada, transport, Time::ZERO);
        }
    };
    let mut transport = TakesNothing { request: Vec::new(), reset: Vec::new() };
    for number in 1..=200 {
        ask(&mut transport, number, 1, "bob");
    }
    assert_eq!(transport.reset.len(), 200 - 64, "bob's share");
    ask(&mut transport, 201, 2, "cyd");
    assert_eq!(transport.reset.len(), 200 - 64, "cyd has hers");
}

//! What members tell each other about third ones, message by message.

use swim_core::wire::encode_user;
use swim_core::wire::{Alive, Dead, Message, PacketDecoder, Ping, Suspect, WireSettings, compound};
use swim_core::{Config, MemberState, MembershipEvent, Output, Peer, StreamId};

use crate::harness::{Cluster, millis, name, seconds};

const VSN: [u8; 6] = [1, 5, 2, 0, 0, 0];

/// Nobody speaks unless spoken to.
fn silent() -> Config {
    let mut config = Config::lan();
    config.probe_interval = seconds(0);
    config.gossip_interval = seconds(0);
    config.push_pull_interval = seconds(0);
    config
}

fn zoe_lives() -> Vec<u8> {
    let zoe = Alive {
        incarnation: 1,
        node: b"zoe",
        addr: Some(&[10, 0, 0, 9]),
        port: 7946,
        meta: None,
        vsn: Some(&VSN),
    };
    Message::Alive(zoe).to_vec()
}

fn zoe_died(from: &[u8]) -> Vec<u8> {
    Message::Dead(Dead { incarnation: 1, node: b"zoe", from }).to_vec()
}

fn zoe_is_suspected(from: &[u8]) -> Vec<u8> {
    Message::Suspect(Suspect { incarnation: 1, node: b"zoe", from }).to_vec()
}

/// The messages that `from` sent, in order.
fn sent(cluster: &Cluster, from: &str) -> Vec<String> {
    let mut decoder = PacketDecoder::default();
    let mut messages = Vec::new();
    for (_, _, bytes) in cluster.wire.log.iter().filter(|(who, _, _)| *who == from) {
        let packet = decoder.decode(bytes, &WireSettings::default()).unwrap();
        messages.extend(packet.messages.iter().map(|message| match message {
            Message::Ack(ack) => format!("ack {}", ack.seq_no),
            Message::Alive(alive) => format!("alive {}", String::from_utf8_lossy(alive.node)),
            other => format!("{other:?}"),
        }));
    }
    messages
}

#[test]
fn each_ping_of_a_compound_is_answered() {
    let mut cluster = Cluster::with_config(&["ada", "bob"], &silent());
    let pings: Vec<Vec<u8>> = [1, 2, 3]
        .map(|seq_no| Message::Ping(Ping { seq_no, node: b"ada", ..Ping::default() }).to_vec())
        .into();
    cluster.inject("bob", "ada", compound::join(&pings).unwrap().remove(0));
    cluster.run_for(seconds(1));
    let acks: Vec<String> =
        sent(&cluster, "ada").into_iter().filter(|message| message.starts_with("ack")).collect();
    assert_eq!(acks, ["ack 1", "ack 2", "ack 3"]);
}

#[test]
fn an_ack_brings_updates_along() {
    let mut cluster = Cluster::with_config(&["ada", "bob", "cyd"], &silent());
    cluster.inject("cyd", "ada", zoe_lives());
    let ping = Ping { seq_no: 1, node: b"ada", ..Ping::default() };
    cluster.inject("bob", "ada", Message::Ping(ping).to_vec());
    cluster.run_for(seconds(1));
    let messages = sent(&cluster, "ada");
    assert!(messages.contains(&"ack 1".into()), "{messages:?}");
    assert!(messages.contains(&"alive zoe".into()), "{messages:?}");
}

#[test]
fn a_death_told_in_a_push_pull_is_only_a_suspicion() {
    let mut cluster = Cluster::with_config(&["ada", "bob"], &silent());
    for to in ["ada", "bob"] {
        cluster.inject("bob", to, zoe_lives());
    }
    cluster.inject("ada", "bob", zoe_died(b"ada"));
    cluster.run_for(seconds(1));
    assert_eq!(cluster.state("bob", "zoe"), Some(MemberState::Dead));
    cluster.join("ada", "bob");
    cluster.run_for(seconds(1));
    assert_eq!(cluster.state("ada", "zoe"), Some(MemberState::Suspect));
    // It is bob's word: ada has found nothing out herself.
    assert!(cluster.events("ada").any(|event| matches!(
        event,
        MembershipEvent::Suspected { by, .. } if *by == name("bob")
    )));
}

#[test]
fn a_leave_told_in_a_push_pull_is_believed_at_once() {
    let mut cluster = Cluster::with_config(&["ada", "bob"], &silent());
    for to in ["ada", "bob"] {
        cluster.inject("bob", to, zoe_lives());
    }
    cluster.inject("ada", "bob", zoe_died(b"zoe"));
    cluster.run_for(seconds(1));
    cluster.join("ada", "bob");
    cluster.run_for(seconds(1));
    assert_eq!(cluster.state("ada", "zoe"), Some(MemberState::Left));
}

#[test]
fn a_death_told_twice_is_one_event() {
    let mut cluster = Cluster::with_config(&["ada", "bob"], &silent());
    cluster.inject("bob", "ada", zoe_lives());
    cluster.inject("bob", "ada", zoe_died(b"bob"));
    cluster.inject("bob", "ada", zoe_died(b"bob"));
    // She is asked, in vain.
    cluster.run_for(seconds(2));
    cluster.inject("bob", "ada", zoe_died(b"bob"));
    // Nor does a death turn into a departure afterwards.
    cluster.inject("bob", "ada", zoe_died(b"zoe"));
    cluster.run_for(seconds(1));
    assert_eq!(cluster.state("ada", "zoe"), Some(MemberState::Dead));
    let ends = cluster
        .events("ada")
        .filter(|event| matches!(event, MembershipEvent::Failed { .. } | MembershipEvent::Left(_)));
    assert_eq!(ends.count(), 1);
}

#[test]
fn a_second_suspicion_by_the_same_member_is_not_passed_on() {
    let mut cluster = Cluster::with_config(&["ada", "bob"], &silent());
    let told = |cluster: &mut Cluster, from: &[u8]| {
        cluster.inject("bob", "ada", zoe_is_suspected(from));
        cluster.run_for(seconds(1) / 10);
        cluster.machine("ada").stats().counters.suspicions
    };
    cluster.inject("bob", "ada", zoe_lives());
    assert_eq!(told(&mut cluster, b"bob"), 1);
    let deadline = cluster.machine("ada").poll_timeout();
    assert_eq!((told(&mut cluster, b"bob"), cluster.machine("ada").poll_timeout()), (1, deadline));
    assert_eq!(cluster.state("ada", "zoe"), Some(MemberState::Suspect));
}

fn stranger(host: u64) -> Peer {
    let host = u8::try_from(host).unwrap();
    Peer::unverified(([10, 0, 9, host], 7946).into())
}

#[test]
fn streams_that_stay_are_bounded_in_number_in_all_and_for_each_peer() {
    let mut cluster = Cluster::with_config(&["ada"], &silent());
    let refused = |cluster: &Cluster| cluster.machine("ada").stats().counters.refused_streams_full;
    let (most, share) = (512, 64);
    for number in 1..=most + share {
        let (id, from) = (StreamId::incoming(number), stranger((number - 1) / share));
        cluster.tell("ada", |machine, now| machine.handle_stream_opened(id, &from, now));
        if number == share {
            let one_more = StreamId::incoming(10_000);
            cluster.tell("ada", |machine, now| machine.handle_stream_opened(one_more, &from, now));
            assert_eq!(refused(&cluster), 1, "its share is used up");
        }
    }
    assert_eq!(cluster.machine("ada").stats().streams, 512);
    assert_eq!(refused(&cluster), 1 + share);
    // Whoever says nothing makes room again.
    cluster.run_for(Config::lan().stream_timeout + seconds(1));
    assert_eq!(cluster.machine("ada").stats().streams, 0);
}

#[test]
fn streams_that_stay_are_bounded_in_bytes_in_all_and_for_each_peer() {
    const LONG: usize = 20 * 1024 * 1024;
    let mut cluster = Cluster::with_config(&["ada"], &silent());
    let mut message = Vec::new();
    encode_user(&vec![0; LONG], &mut message);
    let unfinished = &message[..LONG];
    // One such message fits a peer's 24 MiB, two the 48 MiB of all.
    for (number, from, fits) in [(1, 1, true), (2, 1, false), (3, 2, true), (4, 3, false)] {
        let (id, from) = (StreamId::incoming(number), stranger(from));
        let mut machine = cluster.nodes.get_mut("ada").unwrap().machine.take().unwrap();
        machine.handle_stream_opened(id, &from, cluster.now);
        machine.handle_stream_data(id, unfinished, false, cluster.now);
        let refused = std::iter::from_fn(|| machine.poll_output())
            .any(|output| matches!(output, Output::ResetStream { id: refused } if refused == id));
        assert_eq!(refused, !fits, "stream {number}");
        cluster.nodes.get_mut("ada").unwrap().machine = Some(machine);
    }
    assert_eq!(cluster.machine("ada").stats().streams, 2);
}

#[test]
fn whom_others_found_dead_is_probed_soon_though_it_is_one_of_many_that_nobody_heard() {
    let mut untried = 0;
    for n in 0..10_u8 {
        let mut cluster = Cluster::joined(&["ada", "bob", "eve"]);
        cluster.run_for(millis(137 * u64::from(n)));
        let eve = cluster.address("eve");
        let std::net::IpAddr::V4(ip) = eve.ip() else { unreachable!("hosts have IPv4 addresses") };
        let alive = |node: &[u8], incarnation| {
            let (addr, port) = (Some(&ip.octets()[..]), eve.port());
            let vsn = Some(&[1, 5, 2, 0, 0, 0][..]);
            Message::Alive(Alive { incarnation, node, addr, port, meta: None, vsn }).to_vec()
        };
        // Zoe has crashed; eve says that she is where eve is, at an incarnation that she never had.
        cluster.inject("eve", "bob", alive(b"zoe", 1_000));
        for n in 0..60 {
            cluster.inject("eve", "bob", alive(format!("invented-{n:02}").as_bytes(), 1));
        }
        cluster.run_for(seconds(6));
        // In some runs it was her turn by chance.
        untried += u8::from(cluster.state("bob", "zoe") == Some(MemberState::Alive));
        let dead = Message::Dead(Dead { incarnation: 5, node: b"zoe", from: b"ada" });
        cluster.inject("ada", "bob", dead.to_vec());
        cluster.run_for(seconds(4));
        assert_eq!(cluster.state("bob", "zoe"), Some(MemberState::Suspect), "run {n}");
    }
    assert!(untried >= 6, "in {untried} of 10 runs others have their turns");
}

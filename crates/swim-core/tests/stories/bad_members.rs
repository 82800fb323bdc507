//! A member that is hostile: what it makes others do is bounded, and nobody else pays.

use swim_core::wire::{IndirectPing, Message, PacketDecoder, Ping, WireSettings};
use swim_core::{Config, MemberState};

use crate::harness::{Cluster, seconds};

/// Nobody probes or exchanges; news travel by gossip.
fn quiet() -> Config {
    let mut config = Config::lan();
    config.probe_interval = seconds(0);
    config.push_pull_interval = seconds(0);
    config
}

/// The addresses that a member has sent packets to, without those of the members named.
fn strangers(cluster: &Cluster, from: &str, known: &[&str]) -> Vec<String> {
    let known: Vec<_> = known.iter().map(|who| cluster.address(who)).collect();
    let sent = cluster.wire.log.iter().filter(|(who, to, _)| *who == from && !known.contains(to));
    sent.map(|(_, to, _)| to.to_string()).collect()
}

fn count(cluster: &Cluster, from: &str, is_wanted: fn(&Message<'_>) -> bool) -> usize {
    let mut decoder = PacketDecoder::default();
    let mut count = 0;
    for (_, _, bytes) in cluster.wire.log.iter().filter(|(who, _, _)| *who == from) {
        let packet = decoder.decode(bytes, &WireSettings::default()).unwrap();
        count += packet.messages.iter().filter(|message| is_wanted(message)).count();
    }
    count
}

#[test]
fn a_ping_that_states_another_address_is_answered_where_it_came_from() {
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &quiet());
    cluster.wire.log.clear();
    for port in 1..=50 {
        let (source_addr, source_port) = (&[10, 9, 9, 9][..], 1_000 + port);
        let ping = Ping { seq_no: 7, node: b"ada", source_addr, source_port, source_node: b"bob" };
        cluster.inject("bob", "ada", Message::Ping(ping).to_vec());
    }
    cluster.run_for(seconds(1));
    assert_eq!(strangers(&cluster, "ada", &["bob"]), Vec::<String>::new());
    assert_eq!(count(&cluster, "ada", |message| matches!(message, Message::Ack(_))), 50);
}

#[test]
fn nobody_is_pinged_for_others_but_members_where_they_are() {
    let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd"], &quiet());
    cluster.wire.log.clear();
    for (node, port) in [(b"zoe", 7), (b"cyd", 8)] {
        let request = IndirectPing {
            seq_no: 7,
            target: Some(&[10, 9, 9, 9]),
            port,
            node,
            nack: true,
            source_addr: &[],
            source_port: 0,
            source_node: b"bob",
        };
        cluster.inject("bob", "ada", Message::IndirectPing(request).to_vec());
    }
    cluster.run_for(seconds(2));
    assert_eq!(strangers(&cluster, "ada", &["bob", "cyd"]), Vec::<String>::new());
    // For whom nobody knows it says at once that it does not reach it.
    assert_eq!(count(&cluster, "ada", |message| matches!(message, Message::Nack(_))), 1);
    assert_eq!(count(&cluster, "ada", |message| matches!(message, Message::Ping(_))), 1);
    assert_eq!(cluster.machine("ada").stats().counters.refused_relay_unknown, 1);
}

#[test]
fn whoever_asks_for_many_pings_leaves_room_for_others() {
    let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd", "dan"], &quiet());
    cluster.crash("dan");
    let request = |source_node| IndirectPing {
        seq_no: 7,
        target: Some(&[10, 0, 0, 4]),
        port: 7946,
        node: b"dan",
        nack: false,
        source_addr: &[],
        source_port: 0,
        source_node,
    };
    for _ in 0..2_000 {
        cluster.inject("bob", "ada", Message::IndirectPing(request(b"bob")).to_vec());
    }
    cluster.inject("cyd", "ada", Message::IndirectPing(request(b"cyd")).to_vec());
    cluster.wire.log.clear();
    cluster.run_for(seconds(1) / 10);
    let pings = count(&cluster, "ada", |message| matches!(message, Message::Ping(_)));
    assert_eq!(pings, 64 + 1, "bob's share and cyd's one");
    assert_eq!(cluster.state("ada", "dan"), Some(MemberState::Alive));
}

//! Packets stay within what the transport carries best.

use swim_core::wire::{Message, PacketDecoder, WireSettings};
use swim_core::{Config, SecretKey};

use crate::harness::{Cluster, seconds};

const CAST: [&str; 5] = ["ada", "bob", "cyd", "dan", "eve"];

fn churn(cluster: &mut Cluster) {
    for round in 0..10u8 {
        for who in &CAST {
            cluster.tell(who, |machine, now| machine.set_meta(vec![round; 300], now)).unwrap();
        }
        cluster.run_for(seconds(1));
    }
}

#[test]
fn gossip_fills_packets_but_never_beyond_the_budget() {
    for keyed in [false, true] {
        let mut config = Config::lan();
        config.compression = false;
        config.label = b"blue".to_vec();
        if keyed {
            config.keys = vec![SecretKey::try_from([1; 32].as_slice()).unwrap()];
        }
        let mut cluster = Cluster::joined_with(&CAST, &config);
        churn(&mut cluster);
        let longest = cluster.wire.log.iter().map(|(_, _, bytes)| bytes.len()).max().unwrap();
        assert!((1000..=1407).contains(&longest), "keyed {keyed}: {longest}");
    }
}

#[test]
fn a_peers_datagram_limit_is_kept() {
    let mut config = Config::lan();
    config.compression = false;
    let mut cluster = Cluster::joined_with(&CAST, &config);
    let bob = cluster.address("bob");
    cluster.tell("ada", |machine, now| machine.handle_packet_limit(bob, 900, now));
    cluster.wire.log.clear();
    churn(&mut cluster);
    let longest = |to| {
        let packets = cluster.wire.log.iter().filter(|(from, at, _)| *from == "ada" && *at == to);
        packets.map(|(_, _, bytes)| bytes.len()).max().unwrap()
    };
    assert!(longest(bob) <= 900, "{}", longest(bob));
    assert!(longest(cluster.address("cyd")) > 900);
}

#[test]
fn updates_too_long_for_any_datagram_are_told_all_the_same() {
    let mut config = Config::lan();
    config.compression = false;
    config.push_pull_interval = seconds(0);
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    let bob = cluster.address("bob");
    cluster.tell("ada", |machine, now| machine.handle_packet_limit(bob, 300, now));
    cluster.tell("ada", |machine, now| machine.set_meta(vec![7; 500], now)).unwrap();
    cluster.run_for(seconds(3));
    assert_eq!(cluster.view("bob", "ada").unwrap().meta(), [7; 500]);
    assert_eq!(cluster.machine("ada").stats().queued_updates, 0, "nothing is left to say");
}

#[test]
fn what_we_say_of_ourselves_carries_six_version_bytes_and_four_address_bytes() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.tell("ada", |machine, now| machine.set_meta(b"x".to_vec(), now)).unwrap();
    cluster.run_for(seconds(1));
    let mut decoder = PacketDecoder::default();
    let mut seen = 0;
    for (_, _, bytes) in &cluster.wire.log {
        let packet = decoder.decode(bytes, &WireSettings::default()).unwrap();
        for message in packet.messages {
            if let Message::Alive(alive) = message {
                assert_eq!(alive.vsn, Some([1, 5, 2, 0, 0, 0].as_slice()));
                assert_eq!(alive.addr.map(<[u8]>::len), Some(4));
                assert!(alive.incarnation >= 1);
                seen += 1;
            }
        }
    }
    assert!(seen > 0);
}

#[test]
fn the_same_seed_and_inputs_give_the_same_bytes() {
    let run = || {
        let mut cluster = Cluster::joined(&CAST);
        churn(&mut cluster);
        cluster.crash("eve");
        cluster.run_for(seconds(30));
        cluster.wire.log
    };
    let (first, second) = (run(), run());
    assert!(first.len() > 500);
    assert_eq!(first, second);
}

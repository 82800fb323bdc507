//! A member that is hostile: what it makes others do is bounded, and nobody else pays.

use swim_core::wire::compress::compress_message;
use swim_core::wire::{
    Alive, Dead, IndirectPing, Message, NodeState, PacketDecoder, Ping, Suspect, WireSettings,
    encode_push_pull, encode_user,
};
use swim_core::{Config, MemberState, MembershipEvent, Peer, StreamId};

use crate::harness::{Cluster, millis, name, seconds};

/// Nobody probes or exchanges; updates travel by gossip.
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
        let ping = Ping {
            seq_no: 7,
            node: b"ada",
            source_addr,
            source_port,
            source_node: b"bob",
            ..Ping::default()
        };
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
    // It says at once that it does not reach whom it knows nowhere, or elsewhere.
    assert_eq!(count(&cluster, "ada", |message| matches!(message, Message::Nack(_))), 2);
    assert_eq!(count(&cluster, "ada", |message| matches!(message, Message::Ping(_))), 0);
    assert_eq!(cluster.machine("ada").stats().counters.refused_relay_unknown, 2);
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

fn suspect(node: &'static str, incarnation: u32, from: &'static str) -> Vec<u8> {
    let (node, from) = (node.as_bytes(), from.as_bytes());
    Message::Suspect(Suspect { incarnation, node, from }).to_vec()
}

fn dead(node: &'static str, incarnation: u32, from: &'static str) -> Vec<u8> {
    let (node, from) = (node.as_bytes(), from.as_bytes());
    Message::Dead(Dead { incarnation, node, from }).to_vec()
}

const FIVE: [&str; 5] = ["ada", "bob", "cyd", "dan", "eve"];
const OTHERS: [&str; 3] = ["ada", "cyd", "dan"];

/// Every event about bob that says that he is gone, at members that are honest.
fn harm(cluster: &Cluster) -> Vec<String> {
    let is_harm = |event: &&MembershipEvent| match event {
        MembershipEvent::Failed { member, .. } | MembershipEvent::Left(member) => {
            member.name().to_string() == "bob"
        }
        _ => false,
    };
    let all = OTHERS.iter().flat_map(|who| cluster.events(who).filter(is_harm));
    all.map(|event| format!("{event:?}")).collect()
}

#[test]
fn claims_far_above_what_is_held_are_not_believed() {
    let mut cluster = Cluster::joined(&FIVE);
    // Each has exchanged its view with others since it started.
    cluster.run_for(seconds(70));
    let forged = [65_538, 1 << 31, u32::MAX - 2, u32::MAX - 1];
    for incarnation in forged {
        for who in ["ada", "bob", "cyd", "dan"] {
            cluster.inject("eve", who, suspect("bob", incarnation, "eve"));
            cluster.inject("eve", who, dead("bob", incarnation, "eve"));
            cluster.inject("eve", who, dead("bob", incarnation, "bob"));
        }
    }
    cluster.run_for(seconds(20));
    assert_eq!(harm(&cluster), Vec::<String>::new());
    for who in OTHERS {
        assert!(cluster.incarnation(who, "bob") < 10, "{}", cluster.incarnation(who, "bob"));
    }
    // Nobody is immortal for that.
    cluster.crash("bob");
    cluster.run_until(seconds(60), |cluster| {
        OTHERS.iter().all(|who| cluster.state(who, "bob") == Some(MemberState::Dead))
    });
}

#[test]
fn who_is_said_to_be_gone_and_answers_stays_and_refutes() {
    let mut cluster = Cluster::joined(&FIVE);
    for round in 0..10 {
        let incarnation = cluster.incarnation("ada", "bob");
        for who in OTHERS {
            cluster.inject("eve", who, dead("bob", incarnation, "bob"));
            cluster.inject("eve", who, dead("bob", incarnation, "eve"));
        }
        cluster.run_for(seconds(1));
        assert_eq!(harm(&cluster), Vec::<String>::new(), "round {round}");
    }
    let asked = |who: &&str| cluster.machine(who).stats().counters.refused_gone > 0;
    assert!(OTHERS.iter().all(asked), "a claim was not examined");
    // Whoever leaves in earnest has left, and whoever dies is dead.
    cluster.tell("dan", |machine, now| machine.leave(now));
    cluster.run_until(seconds(5), |cluster| {
        ["ada", "bob", "cyd"].iter().all(|who| cluster.state(who, "dan") == Some(MemberState::Left))
    });
}

#[test]
fn suspicions_by_members_that_nobody_knows_expedite_no_death() {
    let mut cluster = Cluster::joined_with(&FIVE, &quiet());
    // He cannot refute, and nobody but eve says that he is in trouble.
    cluster.crash("bob");
    let incarnation = cluster.incarnation("ada", "bob");
    cluster.inject("eve", "ada", suspect("bob", incarnation, "eve"));
    for invented in ["mallory", "trent", "oscar", "peggy"] {
        cluster.inject("eve", "ada", suspect("bob", incarnation, invented));
    }
    // Two confirmations would end the suspicion after 4 s, none does after 24.
    cluster.run_for(seconds(8));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Suspect));
    cluster.inject("eve", "ada", suspect("bob", incarnation, "cyd"));
    cluster.inject("eve", "ada", suspect("bob", incarnation, "dan"));
    cluster.run_for(seconds(2));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Dead));
}

#[test]
fn forged_suspicions_of_oneself_cost_hardly_any_health() {
    let mut cluster = Cluster::joined(&FIVE);
    let mut worst = 0;
    for _ in 0..60 {
        let incarnation = cluster.machine("bob").local().incarnation();
        for by in ["eve", "ada", "cyd", "mallory"] {
            cluster.inject("eve", "bob", suspect("bob", incarnation, by));
        }
        cluster.run_for(seconds(1) / 2);
        worst = worst.max(cluster.machine("bob").stats().health);
    }
    assert!(worst <= 1, "local health {worst}");
    assert_eq!(harm(&cluster), Vec::<String>::new());
}

#[test]
fn who_was_not_heard_yet_is_asked_as_well_before_it_is_taken_for_gone() {
    let mut silent = quiet();
    silent.gossip_interval = seconds(0);
    let mut cluster = Cluster::with_config(&["ada", "bob", "cyd", "eve"], &silent);
    for who in ["bob", "eve", "ada"] {
        cluster.join(who, "cyd");
        cluster.run_for(seconds(1));
    }
    // Ada knows bob from cyd alone.
    for incarnation in [1, 2, 3, 1 << 31] {
        cluster.inject("eve", "ada", dead("bob", incarnation, "bob"));
        cluster.inject("eve", "ada", dead("bob", incarnation, "ada"));
    }
    cluster.run_for(seconds(2));
    assert!(cluster.state("ada", "bob").is_some_and(MemberState::is_live), "{:?}", harm(&cluster));
    // In vain it is asked in the name of whoever said so.
    cluster.crash("bob");
    let incarnation = cluster.incarnation("ada", "bob");
    cluster.inject("eve", "ada", dead("bob", incarnation, "ada"));
    cluster.run_for(seconds(3));
    let declared_by = cluster.events("ada").find_map(|event| match event {
        MembershipEvent::Failed { declared_by, .. } => Some(declared_by.to_string()),
        _ => None,
    });
    assert_eq!(declared_by.as_deref(), Some("eve"));
}

/// Eve invents so many members, each at an address of its own, and tells everybody of them.
fn invent(cluster: &mut Cluster, count: u8) {
    for number in 0..count {
        let node = format!("invented-{number:03}");
        let (addr, vsn) = ([10, 66, 0, number], [1, 5, 2, 0, 0, 0]);
        let alive = Alive {
            incarnation: 1,
            node: node.as_bytes(),
            addr: Some(&addr),
            port: 7946,
            meta: None,
            vsn: Some(&vsn),
        };
        for who in ["ada", "bob", "cyd", "dan"] {
            cluster.inject("eve", who, Message::Alive(alive).to_vec());
        }
    }
}

#[test]
fn invented_members_delay_neither_updates_nor_the_detection_of_a_crash() {
    let mut cluster = Cluster::joined(&FIVE);
    cluster.run_for(seconds(10));
    for round in 0..6 {
        invent(&mut cluster, 100);
        let meta = vec![round; 100];
        cluster.tell("bob", |machine, now| machine.set_meta(meta.clone(), now)).unwrap();
        let took = cluster.run_until(seconds(5), |cluster| {
            OTHERS.iter().all(|who| cluster.view(who, "bob").unwrap().meta() == meta)
        });
        assert!(took <= seconds(1), "an update took {took:?}");
        cluster.run_for(seconds(2));
    }
    for who in OTHERS {
        assert_eq!(cluster.machine(who).stats().health, 0, "{who}");
    }
    cluster.crash("bob");
    let took = cluster.run_until(seconds(60), |cluster| {
        OTHERS.iter().all(|who| cluster.state(who, "bob") == Some(MemberState::Dead))
    });
    // Without invented members it takes 5 to 6 s.
    assert!(took <= seconds(9), "a crash was known after {took:?}");
}

/// A packet that decompresses to almost a megabyte.
fn long_packet() -> Vec<u8> {
    compress_message(&Message::User(&vec![0; (1 << 20) - 1]).to_vec())
}

#[test]
fn whoever_sends_much_that_is_compressed_leaves_time_for_others() {
    let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd"], &quiet());
    let packet = long_packet();
    assert!(packet.len() < 4_000, "{}", packet.len());
    let taken = |cluster: &mut Cluster, from: &'static str, count: usize| {
        let before = cluster.machine("ada").stats().counters;
        for _ in 0..count {
            cluster.inject(from, "ada", packet.clone());
        }
        cluster.run_for(seconds(1) / 10);
        let after = cluster.machine("ada").stats().counters;
        let messages = after.user_messages_in - before.user_messages_in;
        (messages, after.refused_expansion - before.refused_expansion)
    };
    assert_eq!(taken(&mut cluster, "bob", 100), (64, 36), "64 MiB of a second");
    assert_eq!(taken(&mut cluster, "cyd", 10), (10, 0));
    cluster.run_for(seconds(1));
    assert_eq!(taken(&mut cluster, "bob", 64), (64, 0), "a second later");
    // What is not compressed costs nothing.
    let plain = Message::User(b"plain").to_vec();
    taken(&mut cluster, "bob", 10);
    cluster.inject("bob", "ada", plain);
    let before = cluster.machine("ada").stats().counters.user_messages_in;
    cluster.run_for(seconds(1) / 10);
    assert_eq!(cluster.machine("ada").stats().counters.user_messages_in, before + 1);
}

#[test]
fn a_long_exchange_finds_time_directly_after_another_one() {
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &quiet());
    let mut message = Vec::new();
    encode_user(&vec![0; 20 << 20], &mut message);
    let message = compress_message(&message);
    let from = Peer::unverified(([10, 0, 9, 1], 7946).into());
    let mut send = |number| {
        let id = StreamId::incoming(number);
        let before = cluster.machine("ada").stats().counters;
        cluster.tell("ada", |machine, now| machine.handle_stream_opened(id, &from, now));
        cluster.tell("ada", |machine, now| machine.handle_stream_data(id, &message, true, now));
        let after = cluster.machine("ada").stats().counters;
        let messages = after.user_messages_in - before.user_messages_in;
        (messages, after.refused_expansion - before.refused_expansion)
    };
    // 20 MiB each: the fourth one begins with 60 MiB of 64 spent.
    let taken: Vec<(u64, u64)> = (100..105).map(&mut send).collect();
    assert_eq!(taken, [(1, 0), (1, 0), (1, 0), (1, 0), (0, 1)]);
}

#[test]
fn whoever_asks_for_our_state_again_and_again_leaves_time_for_others() {
    let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd"], &quiet());
    let mut streams = 0;
    let mut ask = |cluster: &mut Cluster, from: &'static str, times: u64| {
        let (peer, vsn) = (cluster.peer(from), [1, 5, 2, 0, 0, 0]);
        let own = NodeState {
            name: from.as_bytes(),
            addr: Some(&[10, 0, 0, 2]),
            port: 7946,
            meta: None,
            incarnation: 1,
            state: 0,
            vsn: Some(&vsn),
        };
        let mut bytes = Vec::new();
        encode_push_pull(false, [own].into_iter(), b"", &mut bytes);
        let before = cluster.machine("ada").stats().counters;
        for _ in 0..times {
            streams += 1;
            let id = StreamId::incoming(1 << 40 | streams);
            cluster.tell("ada", |machine, now| {
                machine.handle_stream_opened(id, &peer, now);
                machine.handle_stream_data(id, &bytes, true, now);
            });
        }
        let after = cluster.machine("ada").stats().counters;
        let answered = after.exchanges_answered - before.exchanges_answered;
        (answered, after.refused_exchanges - before.refused_exchanges)
    };
    cluster.run_for(seconds(30));
    assert_eq!(ask(&mut cluster, "bob", 600), (512, 88), "a mebibyte");
    assert_eq!(ask(&mut cluster, "cyd", 10), (10, 0));
    cluster.run_for(seconds(1));
    assert_eq!(ask(&mut cluster, "bob", 100), (64, 36), "128 KiB of a second");
    // A long state can be had more often than members ask each other.
    cluster.tell("ada", |machine, _| machine.set_user_state(vec![7; 8 << 20])).unwrap();
    for _ in 0..6 {
        cluster.run_for(seconds(10));
        assert_eq!(ask(&mut cluster, "cyd", 1), (1, 0));
    }
}

/// Each restart that is noticed costs an exchange, an event and a line in the log.
#[test]
fn whoever_says_that_it_restarts_all_the_time_has_a_share_of_exchanges_and_events() {
    let mut cluster = Cluster::joined_with(&["ada", "bob", "mal"], &quiet());
    let begun = cluster.machine("ada").stats().counters.exchanges_started;
    for start in 100..700 {
        cluster.break_connections("mal");
        cluster.claim_start("mal", start);
        cluster.tell("mal", |machine, now| machine.ping(&name("ada"), now)).unwrap();
        cluster.run_for(millis(100));
    }
    let restarts = |cluster: &Cluster| {
        let is_restart = |event: &&MembershipEvent| matches!(event, MembershipEvent::Restarted(_));
        cluster.events("ada").filter(is_restart).count()
    };
    let noticed = restarts(&cluster);
    assert!((12..=17).contains(&noticed), "four at once and twelve a minute, not {noticed}");
    let exchanges = cluster.machine("ada").stats().counters.exchanges_started - begun;
    assert!(exchanges <= 17, "{exchanges} exchanges");
    // The last one shows as soon as there is a share again.
    cluster.run_for(seconds(10));
    cluster.tell("mal", |machine, now| machine.ping(&name("ada"), now)).unwrap();
    cluster.run_for(seconds(1));
    assert_eq!(restarts(&cluster), noticed + 1);
}

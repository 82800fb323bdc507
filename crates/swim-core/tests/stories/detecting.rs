//! Failures are detected, and members that are alive refute suspicions.

use std::time::Duration;

use swim_core::wire::{Dead, Message, Ping, Suspect};
use swim_core::{Config, MemberState, MembershipEvent, WarningKind};

use crate::harness::{Cluster, millis, name, seconds};

fn failures(cluster: &Cluster, who: &str) -> Vec<MembershipEvent> {
    cluster
        .events(who)
        .filter(|event| matches!(event, MembershipEvent::Failed { .. }))
        .cloned()
        .collect()
}

#[test]
fn a_crash_is_detected_by_everybody() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.crash("cyd");
    cluster.run_until(seconds(60), |cluster| {
        ["ada", "bob"].iter().all(|who| cluster.state(who, "cyd") == Some(MemberState::Dead))
    });
    for who in ["ada", "bob"] {
        let [MembershipEvent::Failed { member, suspected_by, after, .. }] =
            &failures(&cluster, who)[..]
        else {
            panic!("{who} should have seen one failure");
        };
        assert_eq!(*member.name(), name("cyd"));
        assert!([name("ada"), name("bob")].contains(suspected_by));
        assert!(*after >= seconds(3), "suspected for {after:?} only");
        assert_eq!(cluster.state(who, "ada").unwrap(), MemberState::Alive);
    }
}

#[test]
fn a_small_cluster_decides_within_the_minimum() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.crash("bob");
    let took = cluster.run_until(seconds(10), |cluster| !failures(cluster, "ada").is_empty());
    // At most a round until probed, an interval until suspected, four until dead.
    assert!(took <= seconds(1) + seconds(1) + seconds(4) + millis(10), "{took:?}");
}

#[test]
fn the_dead_are_purged_and_their_peers_forgotten() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.crash("cyd");
    cluster
        .run_until(seconds(60), |cluster| cluster.state("ada", "cyd") == Some(MemberState::Dead));
    let took = cluster.run_until(seconds(60), |cluster| cluster.state("ada", "cyd").is_none());
    assert!(took >= seconds(29), "purged after {took:?}");
    assert_eq!(cluster.nodes["ada"].forgotten, [cluster.address("cyd")]);
    assert_eq!(cluster.machine("ada").stats().dead, 0);
}

#[test]
fn others_answer_for_a_member_that_only_one_cannot_reach() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.wire.isolate("ada", &["bob"]);
    cluster.run_for(seconds(30));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Alive));
    assert_eq!(cluster.state("bob", "ada"), Some(MemberState::Alive));
    let counters = cluster.machine("ada").stats().counters;
    assert!(counters.probes_indirect > 5, "{counters:?}");
    assert_eq!((counters.probes_failed, counters.suspicions), (0, 0));
    assert_eq!(cluster.machine("ada").health(), 0);
}

/// Two of five relays are silent: they cannot reach bob either, or do not care to.
#[test]
fn relays_that_do_not_pass_pings_on_make_nobody_suspect() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd", "dan", "eve", "fay", "gus"]);
    for who in ["ada", "eve", "fay"] {
        cluster.wire.isolate(who, &["bob"]);
    }
    cluster.run_for(seconds(120));
    let counters = cluster.machine("ada").stats().counters;
    assert!(counters.probes_indirect > 10, "{counters:?}");
    assert_eq!((counters.probes_failed, counters.suspicions), (0, 0));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Alive));
}

#[test]
fn a_stream_saves_whom_no_packet_reaches() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.wire.block_packets("ada", "bob");
    cluster.run_for(seconds(20));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Alive));
    let counters = cluster.machine("ada").stats().counters;
    assert!(counters.probes_saved_by_stream > 5);
    assert_eq!(counters.suspicions, 0);
    assert!(cluster.events("ada").any(|event| matches!(
        event,
        MembershipEvent::Warning { kind: WarningKind::PacketsBlocked, .. }
    )));
}

#[test]
fn a_few_probes_saved_by_stream_are_no_reason_to_warn() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    for _ in 0..5 {
        cluster.wire.block_packets("ada", "bob");
        cluster.run_for(seconds(3));
        cluster.wire.heal();
        cluster.run_for(seconds(3));
    }
    assert!(cluster.machine("ada").stats().counters.probes_saved_by_stream >= 5);
    assert!(!cluster.events("ada").any(|event| matches!(
        event,
        MembershipEvent::Warning { kind: WarningKind::PacketsBlocked, .. }
    )));
}

#[test]
fn without_the_fallback_such_a_member_is_lost() {
    let mut config = Config::lan();
    config.stream_fallback = false;
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    cluster.wire.block_packets("ada", "bob");
    cluster
        .run_until(seconds(20), |cluster| cluster.state("ada", "bob") == Some(MemberState::Dead));
}

#[test]
fn members_of_old_protocols_are_asked_for_neither_streams_nor_nacks() {
    let understanding = |protocol_max| {
        let mut config = Config::lan();
        config.versions.protocol_max = protocol_max;
        config
    };
    // From version 3 they answer stream pings, from 4 they send nacks.
    for (version, saved, doubts) in [(2, false, true), (3, true, true), (4, true, false)] {
        let config = understanding(version);
        let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd"], &config);
        cluster.wire.block_packets("bob", "ada");
        cluster.wire.block_packets("bob", "cyd");
        cluster.run_for(seconds(15));
        let counters = cluster.machine("ada").stats().counters;
        assert_eq!(counters.probes_saved_by_stream > 0, saved, "version {version}");
        assert_eq!(counters.suspicions == 0, saved, "version {version}");

        let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd"], &config);
        cluster.crash("bob");
        let mut health = 0;
        // The next probe that succeeds takes the point away again, within milliseconds.
        for _ in 0..10_000 {
            cluster.run_for(millis(1));
            health = health.max(cluster.machine("ada").health());
        }
        assert_eq!(health > 0, doubts, "version {version}");
    }
}

#[test]
fn a_suspect_refutes_with_a_higher_incarnation() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    let before = cluster.incarnation("ada", "bob");
    cluster.wire.isolate("bob", &["ada", "cyd"]);
    cluster.run_until(seconds(10), |cluster| {
        cluster.state("ada", "bob") == Some(MemberState::Suspect)
    });
    cluster.wire.heal();
    cluster.run_until(seconds(10), |cluster| {
        ["ada", "cyd"].iter().all(|who| cluster.state(who, "bob") == Some(MemberState::Alive))
    });
    cluster.run_for(seconds(20));

    assert!(cluster.incarnation("ada", "bob") > before);
    assert!(failures(&cluster, "ada").is_empty() && failures(&cluster, "cyd").is_empty());
    assert!(cluster.events("ada").any(|event| match event {
        MembershipEvent::Cleared { member, by } =>
            *member.name() == name("bob") && [name("ada"), name("cyd")].contains(by),
        _ => false,
    }));
    assert!(cluster.machine("bob").stats().counters.refutes >= 1);
}

/// Gossip about it is used up: only the ping itself can tell the suspect.
#[test]
fn the_buddy_system_tells_the_suspect_with_the_next_ping() {
    for buddy in [true, false] {
        let mut config = Config::lan();
        config.buddy = buddy;
        config.local_health_probe = false;
        config.stream_fallback = false;
        let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
        cluster.wire.isolate("bob", &["ada"]);
        cluster.run_until(seconds(5), |cluster| {
            cluster.state("ada", "bob") == Some(MemberState::Suspect)
        });
        // Gossip about bob is used up while nobody hears it.
        cluster.run_for(millis(2500));
        cluster.wire.heal();
        cluster.run_for(seconds(4));
        let cleared =
            cluster.events("ada").any(|event| matches!(event, MembershipEvent::Cleared { .. }));
        assert_eq!(cleared, buddy);
    }
}

#[test]
fn missing_nacks_raise_the_score_of_local_health() {
    let mut config = Config::lan();
    config.stream_fallback = false;
    let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd", "dan"], &config);
    cluster.wire.isolate("ada", &["bob", "cyd", "dan"]);
    cluster.run_until(seconds(10), |cluster| cluster.machine("ada").health() >= 3);
}

#[test]
fn nacks_tell_that_the_fault_is_not_ours() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd", "dan"]);
    cluster.crash("dan");
    cluster
        .run_until(seconds(60), |cluster| cluster.state("ada", "dan") == Some(MemberState::Dead));
    for who in ["ada", "bob", "cyd"] {
        assert_eq!(cluster.machine(who).health(), 0, "{who}");
    }
}

#[test]
fn poor_health_slows_probing_down() {
    let sent = |local_health_probe| {
        let mut config = Config::lan();
        config.local_health_probe = local_health_probe;
        config.stream_fallback = false;
        config.suspicion_multiplier = 60;
        let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd"], &config);
        cluster.wire.isolate("ada", &["bob", "cyd"]);
        let before = cluster.machine("ada").stats().counters.probes;
        cluster.run_for(seconds(40));
        assert_eq!(cluster.machine("ada").health(), 7);
        cluster.machine("ada").stats().counters.probes - before
    };
    let (adaptive, plain) = (sent(true), sent(false));
    assert!(plain >= 39 && adaptive <= 12, "adaptive {adaptive}, plain {plain}");
}

#[test]
fn a_failed_send_moves_the_probe_on_at_once() {
    let mut config = Config::lan();
    config.probe_timeout = millis(900);
    let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd"], &config);
    cluster.crash("bob");
    cluster.fail_dials_to("bob");
    let asked = |cluster: &Cluster| cluster.machine("ada").stats().counters.probes_indirect;
    let before = (asked(&cluster), cluster.machine("ada").stats().counters.probes);
    cluster.run_until(seconds(5), |cluster| asked(cluster) > before.0);
    let last_probe = cluster.nodes["ada"].packets_sent;
    assert!(last_probe > 0);
    // The relays' second comes within the interval: the direct wait was cut short.
    cluster
        .run_until(seconds(2), |cluster| cluster.state("ada", "bob") == Some(MemberState::Suspect));
    assert!(cluster.machine("ada").stats().counters.sends_failed > 0);
}

#[test]
fn confirmations_shorten_a_suspicion() {
    let after = |local_health_suspicion| -> Duration {
        let mut config = Config::lan();
        config.local_health_suspicion = local_health_suspicion;
        let cast = ["ada", "bob", "cyd", "dan", "eve", "fay"];
        let mut cluster = Cluster::joined_with(&cast, &config);
        cluster.crash("fay");
        cluster.run_until(seconds(60), |cluster| !failures(cluster, "ada").is_empty());
        let [MembershipEvent::Failed { after, .. }] = failures(&cluster, "ada")[..] else {
            panic!()
        };
        after
    };
    // Without Lifeguard four intervals; with it, twenty-four unless two others confirm.
    assert!((millis(3500)..=millis(4100)).contains(&after(false)));
    assert!((millis(3500)..seconds(24)).contains(&after(true)));
}

#[test]
fn a_partition_of_the_network_heals_by_gossip_to_the_dead() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd", "dan"]);
    for one in ["ada", "bob"] {
        cluster.wire.isolate(one, &["cyd", "dan"]);
    }
    cluster.run_until(seconds(60), |cluster| {
        cluster.machine("ada").stats().dead == 2 && cluster.machine("cyd").stats().dead == 2
    });
    cluster.wire.heal();
    cluster.run_until(seconds(60), |cluster| {
        ["ada", "bob", "cyd", "dan"].iter().all(|who| cluster.machine(who).stats().alive == 4)
    });
}

/// The suspect's own packets arrive, and so do the others': only what it sent while it was cut off
/// is lost, its refutation among it.
#[test]
fn who_could_not_send_for_a_while_is_not_buried_afterwards() {
    for cast in [&["ada", "bob", "cyd"][..], &["ada", "bob", "cyd", "dan", "eve", "fay"][..]] {
        let mut cluster = Cluster::joined(cast);
        for other in cast.iter().filter(|other| **other != "bob") {
            cluster.wire.cut_one_way("bob", other);
        }
        cluster.run_for(seconds(3));
        cluster.wire.heal();
        cluster.run_for(seconds(40));
        for who in cast {
            assert!(failures(&cluster, who).is_empty(), "{who} of {}", cast.len());
            assert_eq!(cluster.state(who, "bob"), Some(MemberState::Alive));
        }
    }
}

#[test]
fn a_member_held_dead_is_told_so_when_it_is_heard_and_refutes_at_once() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    let dead = Dead { incarnation: 1, node: b"bob", from: b"cyd" };
    let hears_no_gossip = |cluster: &mut Cluster| {
        cluster.wire.block_packets("ada", "bob");
        cluster.wire.block_packets("cyd", "bob");
    };
    hears_no_gossip(&mut cluster);
    cluster.inject("cyd", "ada", Message::Dead(dead).to_vec());
    cluster.run_for(seconds(2));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Dead));
    cluster.wire.heal();
    let ping = Ping { seq_no: 4_000_000_000, node: b"ada", ..Ping::default() };
    cluster.inject("bob", "ada", Message::Ping(ping).to_vec());
    // There and back: the ping, what is held, and the alive message.
    cluster.run_for(millis(4));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Alive));
    assert_eq!(cluster.machine("ada").stats().counters.heard_notified, 1);
}

#[test]
fn whoever_is_heard_often_is_told_once_in_a_probe_interval() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    let before = cluster.machine("ada").stats().counters.heard_notified;
    // Bob hears nothing, so that he cannot refute.
    for other in ["ada", "cyd"] {
        cluster.wire.cut_one_way(other, "bob");
    }
    let dead = Dead { incarnation: 1, node: b"bob", from: b"cyd" };
    cluster.inject("cyd", "ada", Message::Dead(dead).to_vec());
    cluster.run_for(millis(10));
    for _ in 0..30 {
        let ping = Ping { seq_no: 4_000_000_000, node: b"ada", ..Ping::default() };
        cluster.inject("bob", "ada", Message::Ping(ping).to_vec());
        cluster.run_for(millis(100));
    }
    let told = cluster.machine("ada").stats().counters.heard_notified - before;
    assert!((2..=4).contains(&told), "{told} times in 3 s");
}

#[test]
fn a_stale_suspicion_of_ourselves_is_answered_to_its_bearer_once_in_a_probe_interval() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.tell("ada", |machine, now| machine.set_meta(b"new".to_vec(), now)).unwrap();
    cluster.run_for(seconds(5));
    let own = cluster.incarnation("ada", "ada");
    let repeated = |cluster: &Cluster| cluster.machine("ada").stats().counters.alive_repeated;
    let before = repeated(&cluster);
    for _ in 0..20 {
        let stale = Suspect { incarnation: own - 1, node: b"ada", from: b"cyd" };
        cluster.inject("bob", "ada", Message::Suspect(stale).to_vec());
        let stale = Dead { incarnation: own - 1, node: b"ada", from: b"cyd" };
        cluster.inject("bob", "ada", Message::Dead(stale).to_vec());
        cluster.run_for(millis(20));
    }
    assert_eq!(repeated(&cluster) - before, 1);
    let to_bob = cluster.address("bob");
    let last = cluster.wire.log.iter().rev().find(|(from, to, bytes)| {
        *from == "ada" && *to == to_bob && bytes.windows(3).any(|part| part == b"new")
    });
    assert!(last.is_some());
    assert_eq!(cluster.incarnation("ada", "ada"), own, "a stale suspicion raises nothing");
    assert_eq!(cluster.machine("ada").stats().counters.refutes, 0);
    cluster.run_for(seconds(1));
    let stale = Suspect { incarnation: own - 1, node: b"ada", from: b"cyd" };
    cluster.inject("bob", "ada", Message::Suspect(stale).to_vec());
    cluster.run_for(millis(20));
    assert_eq!(repeated(&cluster) - before, 2);
}

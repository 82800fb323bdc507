//! Members find each other, or refuse to.

use swim_core::wire::{Alive, Message};
use swim_core::{
    Config, DialFailure, Hooks, Member, MemberState, MembershipEvent, OperationError, Outcome,
    ProtocolVersions, SecretKey, StreamFailure, UnacceptableAnswer, WarningKind,
};

use crate::harness::{Cluster, millis, name, seconds};

#[test]
fn a_join_makes_two_members_of_each_other() {
    let mut cluster = Cluster::of(&["ada", "bob"]);
    let operation = cluster.join("bob", "ada");
    cluster.run_for(seconds(1));

    assert_eq!(cluster.outcome("bob", operation), Some(&Outcome::Joined));
    for (viewer, seen) in [("ada", "bob"), ("bob", "ada")] {
        assert_eq!(cluster.state(viewer, seen), Some(MemberState::Alive));
        let joined = cluster.events(viewer).filter(|event| match event {
            MembershipEvent::Joined(member) => *member.name() == name(seen),
            _ => false,
        });
        assert_eq!(joined.count(), 1, "{viewer} heard of {seen}");
    }
}

#[test]
fn a_chain_of_joins_converges_by_gossip() {
    let cast = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];
    let mut cluster = Cluster::of(&cast);
    for pair in cast.windows(2) {
        cluster.join(pair[1], pair[0]);
    }
    cluster.run_until(seconds(10), |cluster| {
        cast.iter().all(|viewer| cluster.machine(viewer).stats().alive == cast.len())
    });
}

#[test]
fn a_join_to_nobody_fails_with_the_dial() {
    let mut cluster = Cluster::of(&["ada"]);
    let nobody = "10.9.9.9:7946".parse().unwrap();
    let operation = cluster.tell("ada", |machine, now| machine.join(nobody, None, now));
    cluster.run_for(seconds(2));
    assert_eq!(cluster.outcome("ada", operation), None);
    cluster.run_for(seconds(2));
    let no_answer = StreamFailure::NotConnected(DialFailure::NoAnswer);
    let unreachable = Outcome::Failed(OperationError::Unreachable(no_answer));
    assert_eq!(cluster.outcome("ada", operation), Some(&unreachable));
}

#[test]
fn a_join_whose_answer_never_comes_times_out() {
    let mut cluster = Cluster::of(&["ada", "bob"]);
    let operation = cluster.join("ada", "bob");
    cluster.run_for(millis(3));
    // The connection stands and the request is under way.
    cluster.wire.isolate("bob", &["ada"]);
    cluster.run_for(seconds(9));
    assert_eq!(cluster.outcome("ada", operation), None);
    cluster.run_for(seconds(2));
    let timed_out = Outcome::Failed(OperationError::TimedOut);
    assert_eq!(cluster.outcome("ada", operation), Some(&timed_out));
}

#[test]
fn a_join_to_ourselves_is_refused() {
    let mut cluster = Cluster::of(&["ada"]);
    let operation = cluster.join("ada", "ada");
    assert!(matches!(
        cluster.outcome("ada", operation),
        Some(Outcome::Failed(OperationError::OwnAddress(_)))
    ));
}

#[test]
fn a_member_whose_versions_do_not_fit_is_refused() {
    let mut cluster = Cluster::of(&["ada"]);
    let mut future = Config::lan();
    future.versions = ProtocolVersions::from_bytes([3, 5, 4, 0, 0, 0]);
    cluster.start("bob", future);
    cluster.start("cyd", Config::lan());
    cluster.join("cyd", "ada");
    cluster.run_for(seconds(1));

    let operation = cluster.join("bob", "ada");
    cluster.run_for(seconds(5));

    assert!(matches!(
        cluster.outcome("bob", operation),
        Some(Outcome::Failed(OperationError::UnacceptableAnswer(UnacceptableAnswer::Versions(_))))
    ));
    assert_eq!((cluster.state("ada", "bob"), cluster.state("bob", "ada")), (None, None));
    for who in ["ada", "bob"] {
        assert_eq!(cluster.machine(who).stats().counters.refused_version, 1);
    }
}

/// An application's protocol that moves on, one member after the other, and one that goes too far.
#[test]
fn a_member_of_another_version_stops_nobody_else() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.crash("cyd");
    let mut next = Config::lan();
    next.versions.delegate_min = 1;
    next.versions.delegate_max = 1;
    next.versions.delegate_current = 1;
    cluster.start("cyd", next);
    let refused = cluster.join("cyd", "ada");
    cluster.run_for(seconds(5));
    assert!(matches!(cluster.outcome("cyd", refused), Some(Outcome::Failed(_))));
    // Nor does what it says of itself, or what somebody says of nobody.
    let vsn = Some(&[1, 5, 200, 0, 0, 0][..]);
    let (addr, node) = (Some(&[10, 0, 0, 9][..]), &b"zoe"[..]);
    let zoe = Alive { incarnation: 1, node, addr, port: 7946, meta: None, vsn };
    for who in ["ada", "bob"] {
        cluster.inject("ada", who, Message::Alive(zoe).to_vec());
    }
    cluster.run_for(seconds(1));
    assert_eq!(cluster.state("bob", "zoe"), None);
    cluster.start("dan", Config::lan());
    let joined = cluster.join("dan", "bob");
    cluster.run_for(seconds(5));
    assert_eq!(cluster.outcome("dan", joined), Some(&Outcome::Joined));
    assert_eq!(cluster.state("ada", "dan"), Some(MemberState::Alive));
    let exchanges = |cluster: &Cluster| {
        let of = |who: &&str| cluster.machine(who).stats().counters.exchanges_started;
        ["ada", "bob", "dan"].iter().map(of).sum::<u64>()
    };
    let before = exchanges(&cluster);
    cluster.run_for(seconds(61));
    // Each begins two in this time; those with cyd, who is still there, are refused.
    assert!(exchanges(&cluster) >= before + 3, "{before} and {}", exchanges(&cluster));
}

#[test]
fn every_two_protocol_versions_from_one_to_five_can_join() {
    for (one, other) in (1..=5).flat_map(|one| (1..=5).map(move |other| (one, other))) {
        let speaking = |protocol_current| {
            let mut config = Config::lan();
            config.versions.protocol_current = protocol_current;
            config
        };
        let mut cluster = Cluster::with_config(&["ada"], &speaking(one));
        cluster.start("bob", speaking(other));
        let operation = cluster.join("bob", "ada");
        cluster.run_for(seconds(1));
        assert_eq!(cluster.outcome("bob", operation), Some(&Outcome::Joined), "{one}, {other}");
        assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Alive));
    }
}

#[test]
fn members_with_ipv6_addresses_find_each_other() {
    let mut cluster = Cluster::of(&[]);
    for (who, address) in [("ada", "[fd00::1]:7946"), ("bob", "[fd00::2]:7946")] {
        cluster.start_at(who, address.parse().unwrap(), Config::lan());
    }
    cluster.join("bob", "ada");
    cluster.run_for(seconds(10));
    assert_eq!(cluster.view("ada", "bob").unwrap().address(), cluster.address("bob"));
    let counters = cluster.machine("ada").stats().counters;
    assert!(counters.probes > 5 && counters.probes_indirect == 0, "{counters:?}");
}

#[test]
fn another_label_keeps_clusters_apart_and_says_so() {
    let mut cluster = Cluster::of(&["ada"]);
    let mut labelled = Config::lan();
    labelled.label = b"blue".to_vec();
    cluster.start("bob", labelled.clone());
    cluster.start("cyd", labelled);
    cluster.join("bob", "ada");
    let operation = cluster.join("cyd", "bob");
    cluster.run_for(seconds(3));

    assert_eq!(cluster.state("ada", "bob"), None);
    assert!(cluster.events("ada").any(|event| matches!(
        event,
        MembershipEvent::Warning { kind: WarningKind::WrongLabel, .. }
    )));
    assert_eq!(cluster.outcome("cyd", operation), Some(&Outcome::Joined));
}

#[test]
fn another_key_keeps_out_and_names_the_reason() {
    let config = |byte: u8| {
        let mut config = Config::lan();
        config.keys = vec![SecretKey::try_from([byte; 32].as_slice()).unwrap()];
        config
    };
    let mut cluster = Cluster::with_config(&["ada", "bob"], &config(1));
    cluster.start("eve", config(2));
    let bob = cluster.join("bob", "ada");
    let eve = cluster.join("eve", "ada");
    cluster.run_for(seconds(3));

    assert_eq!(cluster.outcome("bob", bob), Some(&Outcome::Joined));
    assert!(matches!(cluster.outcome("eve", eve), Some(Outcome::Failed(_))));
    assert_eq!(cluster.state("ada", "eve"), None);
    assert!(cluster.machine("ada").stats().counters.refused_key > 0);
    assert!(cluster.events("ada").any(|event| matches!(
        event,
        MembershipEvent::Warning { kind: WarningKind::WrongKey, .. }
    )));
}

#[test]
fn a_key_ring_can_be_turned_over_while_running() {
    let [old, new] = [1, 2].map(|byte: u8| SecretKey::try_from([byte; 16].as_slice()).unwrap());
    let mut config = Config::lan();
    config.keys = vec![old.clone()];
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    for who in ["ada", "bob"] {
        cluster.tell(who, |machine, _| machine.add_key(&new)).unwrap();
    }
    cluster.tell("ada", |machine, _| machine.use_key(&new)).unwrap();
    cluster.run_for(seconds(5));
    cluster.tell("bob", |machine, _| machine.use_key(&new)).unwrap();
    for who in ["ada", "bob"] {
        cluster.tell(who, |machine, _| machine.remove_key(&old)).unwrap();
    }
    cluster.run_for(seconds(20));
    for who in ["ada", "bob"] {
        let stats = cluster.machine(who).stats();
        assert_eq!((stats.alive, stats.counters.refused_key), (2, 0));
        assert!(cluster.tell(who, |machine, _| machine.use_key(&old)).is_err());
    }
}

struct Choosy;

impl Hooks for Choosy {
    fn admit_merge(&mut self, members: &[Member]) -> Result<(), String> {
        let stranger = members.iter().any(|member| *member.name() == name("ada"));
        if stranger { Err("no ada here".into()) } else { Ok(()) }
    }
}

#[test]
fn a_veto_refuses_a_join_on_its_own_side() {
    let mut cluster = Cluster::of(&["ada", "eve"]);
    cluster.tell("eve", |machine, _| machine.set_hooks(Box::new(Choosy)));
    let operation = cluster.join("eve", "ada");
    cluster.run_until(seconds(1), |cluster| cluster.outcome("eve", operation).is_some());
    assert_eq!(
        cluster.outcome("eve", operation),
        Some(&Outcome::Failed(OperationError::MergeRefused("no ada here".into())))
    );
    assert_eq!(cluster.state("eve", "ada"), None);
}

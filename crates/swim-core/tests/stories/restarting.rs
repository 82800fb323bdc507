//! Members come back without remembering who they were.

use swim_core::{Config, MemberState, MembershipEvent};

use crate::harness::{Cluster, name, seconds};

#[test]
fn a_restarted_member_learns_of_its_death_and_refutes_it() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.crash("bob");
    cluster.run_until(seconds(60), |cluster| {
        ["ada", "cyd"].iter().all(|who| cluster.state(who, "bob") == Some(MemberState::Dead))
    });
    cluster.start("bob", Config::lan());
    let joined = cluster.join("bob", "ada");
    // Somebody may tell him before his join does.
    cluster.run_until(seconds(2), |cluster| {
        cluster.outcome("bob", joined).is_some()
            && ["ada", "cyd"]
                .iter()
                .all(|who| cluster.state(who, "bob") == Some(MemberState::Alive))
    });
    assert_eq!(cluster.incarnation("ada", "bob"), 2);
    assert!(cluster.machine("bob").is_returning());
    assert!(!cluster.machine("cyd").is_returning(), "nobody knew cyd when it came");
    let came_back = cluster.events("ada").filter(|event| match event {
        MembershipEvent::Joined(member) => *member.name() == name("bob"),
        _ => false,
    });
    assert_eq!(came_back.count(), 2);
}

#[test]
fn a_member_that_left_comes_back_at_the_same_address() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.tell("bob", |machine, now| machine.set_meta(b"one".to_vec(), now)).unwrap();
    cluster.run_for(seconds(1));
    cluster.tell("bob", |machine, now| machine.leave(now));
    cluster.run_for(seconds(2));
    cluster.start("bob", Config::lan());
    cluster.join("bob", "ada");
    cluster
        .run_until(seconds(2), |cluster| cluster.state("ada", "bob") == Some(MemberState::Alive));
    assert_eq!(cluster.incarnation("ada", "bob"), 3);
}

/// No exchange tells bob: only the answer to its stale gossip does.
#[test]
fn gossip_alone_tells_a_restarted_member_that_it_is_held_dead() {
    let mut config = Config::lan();
    config.push_pull_interval = seconds(0);
    let mut cluster = Cluster::joined_with(&["ada", "bob", "cyd"], &config);
    cluster.crash("bob");
    cluster.run_until(seconds(60), |cluster| {
        ["ada", "cyd"].iter().all(|who| cluster.state(who, "bob") == Some(MemberState::Dead))
    });
    cluster.start("bob", config);
    let alive = {
        let bob = cluster.machine("bob").local();
        swim_core::wire::Message::Alive(swim_core::wire::Alive {
            incarnation: bob.incarnation(),
            node: bob.name().as_bytes(),
            addr: Some(bob.advertised()),
            port: bob.address().port(),
            meta: None,
            vsn: Some(&[1, 5, 2, 0, 0, 0]),
        })
        .to_vec()
    };
    for _ in 0..5 {
        cluster.inject("bob", "ada", alive.clone());
    }
    cluster.run_until(seconds(3), |cluster| cluster.machine("bob").local().incarnation() == 2);
    assert_eq!(cluster.machine("ada").stats().counters.stale_alive_notified, 1);
}

/// Nobody is a seed of bob: the members that notice bring him into the cluster.
#[test]
fn a_restart_that_nobody_missed_is_reported_and_its_metadata_known_at_once() {
    let all = ["ada", "bob", "cyd", "dan", "eve"];
    let mut cluster = Cluster::joined(&all);
    cluster.run_for(seconds(60));
    cluster.crash("bob");
    cluster.start("bob", Config::lan());
    cluster.tell("bob", |machine, now| machine.set_meta(b"new".to_vec(), now)).unwrap();
    let others = ["ada", "cyd", "dan", "eve"];
    let took = cluster.run_until(seconds(5), |cluster| {
        others.iter().all(|who| cluster.view(who, "bob").unwrap().meta() == b"new")
    });
    println!("known everywhere after {took:?}");
    cluster.run_for(seconds(60));
    for who in others {
        let restarts = cluster.events(who).filter(|event| match event {
            MembershipEvent::Restarted(member) => *member.name() == name("bob"),
            MembershipEvent::Failed { .. } | MembershipEvent::Left(_) => panic!("{event:?}"),
            _ => false,
        });
        assert_eq!(restarts.count(), 1, "at {who}");
    }
}

#[test]
fn who_has_left_begins_nothing_with_a_member_that_restarts() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.tell("ada", |machine, now| machine.leave(now));
    cluster.run_for(seconds(2));
    assert!(cluster.machine("ada").has_left());
    let begun = cluster.machine("ada").stats().counters.exchanges_started;
    cluster.crash("bob");
    cluster.start("bob", Config::lan());
    cluster.join("bob", "ada");
    cluster.run_for(seconds(5));
    let is_restart = |event: &MembershipEvent| matches!(event, MembershipEvent::Restarted(_));
    assert!(cluster.events("ada").any(is_restart));
    assert_eq!(cluster.machine("ada").stats().counters.exchanges_started, begun);
}

/// New connections to the same process are none.
#[test]
fn a_lost_connection_is_no_restart() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    for _ in 0..3 {
        cluster.fail_dials_to("bob");
        cluster.run_for(seconds(5));
    }
    for who in ["ada", "bob", "cyd"] {
        let is_restart = |event: &MembershipEvent| matches!(event, MembershipEvent::Restarted(_));
        assert!(!cluster.events(who).any(is_restart), "at {who}");
    }
}

#[test]
fn suspicions_replayed_to_us_are_refuted_once() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let suspicion = swim_core::wire::Message::Suspect(swim_core::wire::Suspect {
        incarnation: 1,
        node: b"bob",
        from: b"ada",
    })
    .to_vec();
    for _ in 0..50 {
        cluster.inject("ada", "bob", suspicion.clone());
    }
    cluster.run_for(seconds(3));
    assert_eq!(cluster.machine("bob").stats().counters.refutes, 1);
    assert_eq!(cluster.machine("bob").local().incarnation(), 2);
}

#[test]
fn a_conflicting_claim_of_a_name_is_refused_and_reported_once() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let claim = swim_core::wire::Message::Alive(swim_core::wire::Alive {
        incarnation: 9,
        node: b"bob",
        addr: Some(&[10, 0, 0, 66]),
        port: 7946,
        meta: None,
        vsn: Some(&[1, 5, 2, 0, 0, 0]),
    })
    .to_vec();
    for _ in 0..3 {
        cluster.inject("bob", "ada", claim.clone());
    }
    cluster.run_for(seconds(1));
    let conflicts: Vec<&MembershipEvent> = cluster
        .events("ada")
        .filter(|event| matches!(event, MembershipEvent::Conflict { .. }))
        .collect();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(cluster.view("ada", "bob").unwrap().address(), cluster.address("bob"));
    assert_eq!(cluster.machine("ada").stats().counters.refused_conflict, 1);
}

/// Where certificates prove no names.
#[test]
fn a_dead_name_moves_only_after_the_reclaim_time() {
    let mut config = Config::lan();
    config.dead_node_reclaim_time = seconds(8);
    let mut cluster = Cluster::with_config(&["ada", "bob", "cyd"], &config);
    cluster.wire.unverified = true;
    for who in ["ada", "bob", "cyd"] {
        cluster.start(who, config.clone());
    }
    for who in ["bob", "cyd"] {
        cluster.join(who, "ada");
    }
    cluster.run_until(seconds(5), |cluster| cluster.state("ada", "bob").is_some());
    cluster.crash("bob");
    cluster.run_until(seconds(60), |cluster| {
        ["ada", "cyd"].iter().all(|who| cluster.state(who, "bob") == Some(MemberState::Dead))
    });
    let claim = swim_core::wire::Message::Alive(swim_core::wire::Alive {
        incarnation: 9,
        node: b"bob",
        addr: Some(&[10, 0, 0, 77]),
        port: 7946,
        meta: None,
        vsn: Some(&[1, 5, 2, 0, 0, 0]),
    })
    .to_vec();
    cluster.inject("cyd", "ada", claim.clone());
    cluster.run_for(seconds(1));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Dead));
    cluster.run_for(seconds(8));
    cluster.inject("cyd", "ada", claim);
    cluster.run_until(seconds(2), |cluster| {
        cluster.view("ada", "bob").unwrap().address() == "10.0.0.77:7946".parse().unwrap()
    });
}

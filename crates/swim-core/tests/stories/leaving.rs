//! Members leave on purpose, and everybody can tell that from a crash.

use swim_core::wire::{Dead, Message, Suspect};
use swim_core::{Config, MemberState, MembershipEvent, OperationError, Outcome, SendRefusal};

use crate::admission::alive;
use crate::harness::{Cluster, millis, name, seconds};

#[test]
fn a_leave_is_heard_by_enough_others_and_told_apart_from_a_death() {
    let cast = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus"];
    let mut cluster = Cluster::joined(&cast);
    let operation = cluster.tell("gus", |machine, now| machine.leave(now));
    let took = cluster.run_until(seconds(2), |cluster| cluster.outcome("gus", operation).is_some());
    assert_eq!(cluster.outcome("gus", operation), Some(&Outcome::Left { told: 4, wanted: 4 }));
    assert!(took < seconds(1), "{took:?}");
    assert!(cluster.machine("gus").has_left());

    cluster.run_until(seconds(5), |cluster| {
        cast[..6].iter().all(|who| cluster.state(who, "gus") == Some(MemberState::Left))
    });
    for who in &cast[..6] {
        assert!(cluster.events(who).any(|event| matches!(event, MembershipEvent::Left(_))));
        assert!(!cluster.events(who).any(|event| matches!(event, MembershipEvent::Failed { .. })));
        assert_eq!(cluster.nodes[who].forgotten, [cluster.address("gus")]);
    }
}

#[test]
fn alone_a_leave_is_over_at_once() {
    let mut cluster = Cluster::of(&["ada"]);
    let operation = cluster.tell("ada", |machine, now| machine.leave(now));
    assert_eq!(cluster.outcome("ada", operation), Some(&Outcome::Left { told: 0, wanted: 0 }));
    let again = cluster.tell("ada", |machine, now| machine.leave(now));
    assert_eq!(cluster.outcome("ada", again), Some(&Outcome::Left { told: 0, wanted: 0 }));
}

#[test]
fn a_leave_that_nobody_acknowledges_ends_all_the_same() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.crash("bob");
    let operation = cluster.tell("ada", |machine, now| machine.leave(now));
    cluster.run_until(seconds(3), |cluster| cluster.outcome("ada", operation).is_some());
    assert_eq!(cluster.outcome("ada", operation), Some(&Outcome::Left { told: 0, wanted: 1 }));
}

#[test]
fn who_has_left_still_answers_but_is_no_member() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.tell("bob", |machine, now| machine.leave(now));
    cluster.run_for(seconds(2));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Left));

    let ping = cluster.tell("ada", |machine, now| machine.ping(&name("bob"), now)).unwrap();
    let probes = cluster.machine("bob").stats().counters.probes;
    cluster.run_for(seconds(5));
    assert!(matches!(cluster.outcome("ada", ping), Some(Outcome::Pong { .. })));
    assert_eq!(cluster.machine("bob").stats().counters.probes, probes);

    let join = cluster.join("bob", "ada");
    assert_eq!(cluster.outcome("bob", join), Some(&Outcome::Failed(OperationError::HasLeft)));
    assert_eq!(
        cluster.tell("bob", |machine, now| machine.send(&name("ada"), b"x", now)),
        Err(SendRefusal::HasLeft)
    );
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Left));
    assert_eq!(cluster.machine("bob").stats().counters.refutes, 0);
}

#[test]
fn a_join_under_way_ends_with_the_leave() {
    let mut cluster = Cluster::of(&["ada"]);
    let nobody = "10.9.9.9:7946".parse().unwrap();
    let join = cluster.tell("ada", |machine, now| machine.join(nobody, None, now));
    cluster.tell("ada", |machine, now| machine.leave(now));
    assert_eq!(cluster.outcome("ada", join), Some(&Outcome::Failed(OperationError::HasLeft)));
}

#[test]
fn the_name_of_somebody_who_left_is_free_at_once() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.tell("bob", |machine, now| machine.leave(now));
    cluster.run_for(seconds(2));
    cluster.start_at("bob", "10.0.0.77:7946".parse().unwrap(), Config::lan());
    cluster.join("bob", "ada");
    cluster.run_until(seconds(2), |cluster| {
        cluster.view("ada", "bob").is_some_and(|bob| {
            bob.state() == MemberState::Alive && bob.address() == cluster.address("bob")
        })
    });
}

#[test]
fn who_leaves_in_the_middle_of_joining_is_not_taken_for_dead() {
    let mut cluster = Cluster::of(&["ada", "bob"]);
    cluster.join("bob", "ada");
    cluster
        .run_until(seconds(1), |cluster| cluster.state("ada", "bob") == Some(MemberState::Alive));
    assert_eq!(cluster.state("bob", "ada"), None, "ada's answer is still on its way");
    cluster.tell("bob", |machine, now| machine.leave(now));
    cluster.run_until(seconds(1), |cluster| cluster.state("ada", "bob") == Some(MemberState::Left));
    assert!(!cluster.events("ada").any(|event| matches!(event, MembershipEvent::Failed { .. })));
}

/// Ada slept through zoe's return. Were she to raise the leave to the incarnation that zoe is
/// suspected at, the next exchange would make everybody believe that zoe left once more.
#[test]
fn a_suspicion_of_one_who_came_back_does_not_raise_its_leave() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let zoe = |incarnation| Message::Alive(alive(b"zoe", incarnation, &[10, 0, 0, 9])).to_vec();
    cluster.inject("bob", "ada", zoe(1));
    let left = Dead { incarnation: 1, node: b"zoe", from: b"zoe" };
    cluster.inject("bob", "ada", Message::Dead(left).to_vec());
    // She is asked in vain.
    cluster.run_for(seconds(2));
    let suspect = Suspect { incarnation: 7, node: b"zoe", from: b"bob" };
    cluster.inject("bob", "ada", Message::Suspect(suspect).to_vec());
    cluster.run_for(millis(20));
    assert_eq!(cluster.state("ada", "zoe"), Some(MemberState::Left));
    assert_eq!(cluster.incarnation("ada", "zoe"), 1);

    cluster.inject("ada", "bob", zoe(7));
    cluster.join("ada", "bob");
    cluster.run_for(seconds(1));
    assert!(cluster.state("bob", "zoe").is_some_and(MemberState::is_live));
    assert!(!cluster.events("bob").any(|event| matches!(event, MembershipEvent::Left(_))));
    assert!(cluster.state("ada", "zoe").is_some_and(MemberState::is_live), "bob told her");
}

#[test]
fn a_leave_while_cut_off_says_that_nobody_acknowledged_it() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.wire.isolate("ada", &["bob", "cyd"]);
    let operation = cluster.tell("ada", |machine, now| machine.leave(now));
    cluster.run_until(seconds(5), |cluster| cluster.outcome("ada", operation).is_some());
    let outcome = cluster.outcome("ada", operation);
    assert_eq!(outcome, Some(&Outcome::Left { told: 0, wanted: 2 }));
}

#[test]
fn a_joined_address_is_forgotten_with_its_member() {
    for leaves in [true, false] {
        let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
        cluster.join("ada", "cyd");
        cluster.run_for(seconds(1));
        if leaves {
            cluster.tell("cyd", |machine, now| machine.leave(now));
            cluster.run_for(seconds(2));
        }
        cluster.crash("cyd");
        cluster.run_until(seconds(200), |cluster| {
            ["ada", "bob"].iter().all(|who| cluster.state(who, "cyd").is_none())
        });
        // Another cluster, which has nothing to do with this one, at the address that cyd had.
        let address = cluster.address("cyd");
        cluster.start_at("eve", address, Config::lan());
        cluster.run_for(seconds(300));
        assert_eq!(cluster.state("ada", "eve"), None, "leaves: {leaves}");
        assert_eq!(cluster.state("eve", "ada"), None, "leaves: {leaves}");
    }
}

//! Members that were lost find their cluster again through seeds, without an operator.

use swim_core::{Config, MemberState, MembershipEvent};

use crate::harness::{Cluster, seconds};

#[test]
fn seeds_are_tried_until_somebody_is_there() {
    let mut cluster = Cluster::of(&["ada", "bob"]);
    let ada = cluster.address("ada");
    cluster.crash("ada");
    cluster.fail_dials_to("ada");
    cluster.tell("bob", |machine, now| machine.set_seeds(vec![ada], now));
    cluster.run_for(seconds(20));
    let tries = cluster
        .events("bob")
        .filter(|event| matches!(event, MembershipEvent::SeedTried { error: Some(_), .. }));
    let tries = tries.count();
    assert!((4..=6).contains(&tries), "{tries} tries");
    assert_eq!(cluster.nodes["bob"].resolutions, tries - 1);

    cluster.start("ada", Config::lan());
    cluster
        .run_until(seconds(60), |cluster| cluster.state("ada", "bob") == Some(MemberState::Alive));
    cluster.run_for(seconds(1));
    let done = cluster
        .events("bob")
        .filter(|event| matches!(event, MembershipEvent::SeedTried { error: None, .. }));
    assert_eq!(done.count(), 1);
    let content = cluster.nodes["bob"].resolutions;
    cluster.run_for(seconds(120));
    assert_eq!(cluster.nodes["bob"].resolutions, content);
}

#[test]
fn our_own_address_is_no_seed() {
    let mut cluster = Cluster::of(&["ada"]);
    let ada = cluster.address("ada");
    cluster.tell("ada", |machine, now| machine.set_seeds(vec![ada], now));
    cluster.run_for(seconds(10));
    assert!(!cluster.events("ada").any(|event| matches!(event, MembershipEvent::SeedTried { .. })));
}

#[test]
fn an_empty_list_keeps_asking_for_addresses_while_alone() {
    let mut cluster = Cluster::of(&["ada"]);
    cluster.tell("ada", |machine, now| machine.set_seeds(Vec::new(), now));
    cluster.run_for(seconds(10));
    assert!(cluster.nodes["ada"].resolutions >= 2);
}

#[test]
fn a_partition_that_outlasts_every_purge_is_healed_by_a_seed() {
    let cast = ["ada", "bob", "cyd", "dan"];
    let mut cluster = Cluster::joined(&cast);
    let seeds = vec![cluster.address("ada")];
    for who in &cast {
        let seeds = seeds.clone();
        cluster.tell(who, |machine, now| machine.set_seeds(seeds, now));
    }
    for one in ["ada", "bob"] {
        cluster.wire.isolate(one, &["cyd", "dan"]);
    }
    cluster.run_until(seconds(200), |cluster| {
        cluster.state("ada", "cyd").is_none()
            && cluster.state("cyd", "ada").is_none()
            && cluster.state("bob", "dan").is_none()
            && cluster.state("dan", "bob").is_none()
    });
    cluster.wire.heal();
    cluster.run_until(seconds(90), |cluster| {
        cast.iter().all(|who| cluster.machine(who).stats().alive == 4)
    });
}

#[test]
fn a_joined_address_becomes_a_seed() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.crash("ada");
    cluster.run_until(seconds(100), |cluster| cluster.state("bob", "ada").is_none());
    cluster.start("ada", Config::lan());
    cluster.run_until(seconds(90), |cluster| {
        cluster.state("ada", "bob") == Some(MemberState::Alive)
            && cluster.state("bob", "ada") == Some(MemberState::Alive)
    });
}

#[test]
fn a_leave_ends_the_attempts() {
    let mut cluster = Cluster::of(&["ada", "bob"]);
    let bob = cluster.address("bob");
    cluster.crash("bob");
    cluster.tell("ada", |machine, now| machine.set_seeds(vec![bob], now));
    cluster.run_for(seconds(1));
    cluster.tell("ada", |machine, now| machine.leave(now));
    let before = cluster.nodes["ada"].resolutions;
    cluster.run_for(seconds(60));
    assert_eq!(cluster.nodes["ada"].resolutions, before);
}

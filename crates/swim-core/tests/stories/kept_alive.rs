//! Nobody is immortal: members that say again and again that one is alive which has crashed.

use std::time::Duration;

use swim_core::wire::{Alive, Message};
use swim_core::{Config, MemberState, MembershipEvent};

use crate::harness::{Cluster, seconds};

const SIX: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];
/// All but bob, who crashes, and eve, who is hostile.
const OTHERS: [&str; 4] = ["ada", "cyd", "dan", "fay"];

/// Eve tells everybody that bob is alive at an incarnation above all that is held of him.
fn keep_alive(cluster: &mut Cluster) {
    let held = |who: &&str| cluster.view(who, "bob").map_or(0, |bob| bob.incarnation());
    let incarnation = OTHERS.iter().map(held).max().unwrap_or(0) + 1;
    let address = cluster.address("bob");
    let std::net::IpAddr::V4(ip) = address.ip() else { return };
    let message = Message::Alive(Alive {
        incarnation,
        node: b"bob",
        addr: Some(&ip.octets()),
        port: address.port(),
        meta: None,
        vsn: Some(&[1, 5, 2, 0, 0, 0]),
    });
    for who in OTHERS {
        cluster.inject("eve", who, message.to_vec());
    }
}

/// How often each of the others has seen bob come back.
fn returns(cluster: &Cluster) -> Vec<usize> {
    let is_return = |event: &&MembershipEvent| match event {
        MembershipEvent::Joined(member) => member.name().to_string() == "bob",
        _ => false,
    };
    OTHERS.iter().map(|who| cluster.events(who).filter(is_return).count()).collect()
}

#[test]
fn whoever_has_crashed_is_dead_in_time_though_one_says_that_it_is_alive() {
    for every in [100, 500, 1_000, 2_500] {
        let mut cluster = Cluster::joined_with(&SIX, &Config::lan());
        cluster.run_for(seconds(10));
        cluster.crash("bob");
        let joined = returns(&cluster);
        let (mut took, mut live) = (None, Duration::ZERO);
        let step = Duration::from_millis(every);
        for round in 0..(seconds(120).as_millis() / step.as_millis()) {
            keep_alive(&mut cluster);
            cluster.run_for(step);
            let lives = |who: &str| cluster.state(who, "bob").is_some_and(MemberState::is_live);
            if !OTHERS.iter().any(|who| lives(who)) {
                took.get_or_insert(step * (u32::try_from(round).unwrap() + 1));
            } else if took.is_some() {
                live += step;
            }
        }
        let back: Vec<usize> =
            returns(&cluster).iter().zip(joined).map(|(now, before)| now - before).collect();
        println!("every {every} ms: dead after {took:?}, then live for {live:?}, back {back:?}");
        // Where nobody says so it takes 5 to 6 s; here each finds it out by itself.
        assert!(took.is_some_and(|took| took <= seconds(12) + step), "known after {took:?}");
        // For so long some member holds him as live: after each return it takes as long again.
        assert!(live <= seconds(70), "live for {live:?} of two minutes");
        // Who has forgotten bob after 30 s hears of him as of a new member.
        assert!(back.iter().all(|times| *times <= 4), "came back {back:?} times");
    }
}

#[test]
fn a_member_that_never_exchanges_states_resumes_all_the_same() {
    let mut config = Config::lan();
    config.push_pull_interval = Duration::ZERO;
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    let started = |cluster: &Cluster| cluster.machine("ada").stats().counters.exchanges_started;
    let before = started(&cluster);
    cluster.tell("ada", |machine, now| machine.handle_resumed(seconds(60), now));
    cluster.run_for(seconds(5));
    assert_eq!(started(&cluster), before + 1);
}

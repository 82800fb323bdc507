//! Members come back at another address, and two members claim one name.

use std::net::SocketAddr;
use std::time::Duration;

use swim_core::wire::{Alive, Dead, Message};
use swim_core::{
    AdvertiseRefusal, Config, MemberState, MembershipEvent, OperationError, Outcome, WarningKind,
};

use crate::harness::{Cluster, name, seconds};

const FIVE: [&str; 5] = ["ada", "bob", "cyd", "dan", "eve"];

fn place(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 77], port))
}

fn is_alive_at(cluster: &Cluster, viewer: &str, address: SocketAddr) -> bool {
    cluster
        .view(viewer, "bob")
        .is_some_and(|bob| bob.state() == MemberState::Alive && bob.address() == address)
}

/// Runs until everybody holds bob alive at that address.
fn until_all_hold_bob_at(
    cluster: &mut Cluster,
    viewers: &[&str],
    address: SocketAddr,
    bound: Duration,
) -> Duration {
    cluster.run_until(bound, |cluster| {
        viewers.iter().all(|viewer| is_alive_at(cluster, viewer, address))
    })
}

/// Who joined, left, failed or moved, as `viewer` was told since the `from`th event.
fn changes(cluster: &Cluster, viewer: &str, from: usize) -> Vec<&'static str> {
    let kind = |event: &MembershipEvent| match event {
        MembershipEvent::Joined(_) => Some("joined"),
        MembershipEvent::Left(_) => Some("left"),
        MembershipEvent::Failed { .. } => Some("failed"),
        MembershipEvent::Moved { .. } => Some("moved"),
        MembershipEvent::Conflict { .. } => Some("conflict"),
        _ => None,
    };
    cluster.events(viewer).skip(from).filter_map(kind).collect()
}

fn event_counts(cluster: &Cluster) -> Vec<(&'static str, usize)> {
    FIVE.iter()
        .filter(|who| **who != "bob")
        .map(|who| (*who, cluster.events(who).count()))
        .collect()
}

fn alive_at(node: &str, address: SocketAddr, incarnation: u32) -> Vec<u8> {
    let SocketAddr::V4(at) = address else { unreachable!("the stories use IPv4") };
    Message::Alive(Alive {
        incarnation,
        node: node.as_bytes(),
        addr: Some(&at.ip().octets()),
        port: at.port(),
        meta: None,
        vsn: Some(&[1, 5, 2, 0, 0, 0]),
    })
    .to_vec()
}

#[test]
fn a_member_that_comes_back_elsewhere_is_alive_everywhere_within_seconds() {
    let mut cluster = Cluster::joined(&FIVE);
    let before = event_counts(&cluster);
    cluster.crash("bob");
    cluster.run_for(Duration::from_millis(300));
    let old = cluster.address("bob");
    cluster.start_at("bob", place(7946), Config::lan());
    let join = cluster.join("bob", "ada");
    let took = until_all_hold_bob_at(
        &mut cluster,
        &["ada", "bob", "cyd", "dan", "eve"],
        place(7946),
        seconds(5),
    );
    println!("alive everywhere after {took:?}");
    assert_eq!(cluster.outcome("bob", join), Some(&Outcome::Joined));
    cluster.run_for(seconds(60));
    for (viewer, from) in before {
        assert_eq!(changes(&cluster, viewer, from), ["moved"], "at {viewer}");
        let moved = cluster.events(viewer).find_map(|event| match event {
            MembershipEvent::Moved { member, from } => Some((member.clone(), *from)),
            _ => None,
        });
        let (member, from) = moved.unwrap();
        assert_eq!((member.name(), member.address(), from), (&name("bob"), place(7946), old));
    }
}

/// It knows its new address at once, or after 2 s, when others suspect it.
#[test]
fn a_member_whose_address_changes_says_so_and_nobody_misses_it() {
    for after in [Duration::ZERO, seconds(2)] {
        let mut cluster = Cluster::joined(&FIVE);
        let before = event_counts(&cluster);
        cluster.move_host("bob", place(7946));
        cluster.run_for(after);
        cluster.tell("bob", |machine, now| machine.set_advertise(place(7946), now)).unwrap();
        let took = until_all_hold_bob_at(&mut cluster, &FIVE, place(7946), seconds(5));
        println!("after {after:?}: known everywhere {took:?} later");
        cluster.run_for(seconds(60));
        for (viewer, from) in before {
            assert_eq!(changes(&cluster, viewer, from), ["moved"], "at {viewer}");
        }
        let own: Vec<_> = cluster.events("bob").filter(|event| is_move(event)).collect();
        assert_eq!(own.len(), 1);
    }
}

fn is_move(event: &MembershipEvent) -> bool {
    matches!(event, MembershipEvent::Moved { .. })
}

#[test]
fn an_address_that_nobody_can_dial_is_not_announced() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    for address in ["0.0.0.0:7946", "[::]:7946", "10.0.0.9:0"] {
        let address: SocketAddr = address.parse().unwrap();
        let refused = cluster.tell("bob", |machine, now| machine.set_advertise(address, now));
        assert_eq!(refused, Err(AdvertiseRefusal::NotDialable(address)));
    }
    let own = cluster.address("bob");
    cluster.tell("bob", |machine, now| machine.set_advertise(own, now)).unwrap();
    assert!(!cluster.events("bob").any(is_move), "it was there before");
    cluster.tell("bob", |machine, now| machine.leave(now));
    let refused = cluster.tell("bob", |machine, now| machine.set_advertise(place(1), now));
    assert_eq!(refused, Err(AdvertiseRefusal::HasLeft));
}

/// Killed, and back elsewhere after 0.3 s, while it is suspected, and when it is held dead.
#[test]
fn among_a_hundred_a_member_that_comes_back_elsewhere_is_known_within_ten_seconds() {
    let mut names: Vec<&'static str> = FIVE.to_vec();
    names.extend((5..100).map(|number| &*format!("member-{number:02}").leak()));
    let elsewhere = SocketAddr::from(([10, 0, 0, 200], 7946));
    for away in [Duration::from_millis(300), seconds(3), seconds(40)] {
        let mut cluster = Cluster::joined(&names);
        cluster.crash("bob");
        cluster.run_for(away);
        let held = cluster.state("ada", "bob");
        cluster.start_at("bob", elsewhere, Config::lan());
        cluster.join("bob", "ada");
        let took = until_all_hold_bob_at(&mut cluster, &names, elsewhere, seconds(10));
        println!("after {away:?}, held {held:?} at ada: alive everywhere after {took:?}");
        cluster.run_for(seconds(20));
        assert!(names.iter().all(|viewer| is_alive_at(&cluster, viewer, elsewhere)));
    }
}

#[test]
fn the_join_of_a_member_that_moved_ends_only_when_it_is_listed() {
    let mut cluster = Cluster::joined(&FIVE);
    cluster.crash("bob");
    cluster.start_at("bob", place(7946), Config::lan());
    let join = cluster.join("bob", "ada");
    cluster.run_until(seconds(5), |cluster| cluster.outcome("bob", join).is_some());
    assert_eq!(cluster.outcome("bob", join), Some(&Outcome::Joined));
    assert!(is_alive_at(&cluster, "ada", place(7946)));
}

#[test]
fn a_member_held_dead_or_left_takes_its_name_elsewhere_at_once() {
    for leaves in [false, true] {
        let mut cluster = Cluster::joined(&FIVE);
        if leaves {
            cluster.tell("bob", |machine, now| machine.leave(now));
            cluster.run_for(seconds(2));
        }
        cluster.crash("bob");
        let gone = if leaves { MemberState::Left } else { MemberState::Dead };
        cluster.run_until(seconds(60), |cluster| {
            ["ada", "cyd", "dan", "eve"].iter().all(|who| cluster.state(who, "bob") == Some(gone))
        });
        cluster.start_at("bob", place(7946), Config::lan());
        let join = cluster.join("bob", "ada");
        cluster.run_until(Duration::from_millis(200), |cluster| {
            cluster.outcome("bob", join) == Some(&Outcome::Joined)
        });
        assert!(is_alive_at(&cluster, "ada", place(7946)));
        let all = ["ada", "bob", "cyd", "dan", "eve"];
        until_all_hold_bob_at(&mut cluster, &all, place(7946), seconds(5));
        assert!(cluster.incarnation("ada", "bob") > 1);
    }
}

#[test]
fn of_two_live_claimants_both_are_told_and_the_older_stays() {
    let mut cluster = Cluster::joined(&FIVE);
    let before = event_counts(&cluster);
    let old = cluster.address("bob");
    cluster.start_at("bob/2", place(7946), Config::lan());
    let join = cluster.join("bob/2", "ada");
    cluster.run_until(seconds(5), |cluster| cluster.outcome("bob/2", join).is_some());
    assert_eq!(
        cluster.outcome("bob/2", join),
        Some(&Outcome::Failed(OperationError::NameTaken {
            name: name("bob"),
            holder: old,
            ours: place(7946),
        }))
    );
    cluster.run_for(seconds(60));
    for viewer in ["ada", "cyd", "dan", "eve"] {
        assert!(is_alive_at(&cluster, viewer, old), "at {viewer}");
    }
    for (viewer, from) in before {
        let changes = changes(&cluster, viewer, from);
        assert!(changes.iter().all(|change| *change == "conflict"), "{changes:?} at {viewer}");
    }
    let conflict = |who: &str, other: SocketAddr| {
        let is_it = |event: &&MembershipEvent| match event {
            MembershipEvent::Conflict { member, other: at } => {
                *member.name() == name("bob") && *at == other
            }
            _ => false,
        };
        cluster.events(who).filter(is_it).count()
    };
    assert_eq!((conflict("bob", place(7946)), conflict("bob/2", old)), (1, 1));
}

/// The newcomer cannot reach the older one, but the member that it joins through can.
#[test]
fn a_claimant_that_cannot_reach_the_older_one_is_refused_with_both_addresses() {
    let mut cluster = Cluster::joined(&FIVE);
    let old = cluster.address("bob");
    cluster.start_at("bob/2", place(7946), Config::lan());
    cluster.wire.isolate("bob/2", &["bob"]);
    let join = cluster.join("bob/2", "ada");
    cluster.run_until(seconds(5), |cluster| cluster.outcome("bob/2", join).is_some());
    let Some(Outcome::Failed(OperationError::PeerRefused(text))) = cluster.outcome("bob/2", join)
    else {
        panic!("{:?}", cluster.outcome("bob/2", join));
    };
    assert!(text.contains(&old.to_string()) && text.contains(&place(7946).to_string()), "{text}");
    assert!(is_alive_at(&cluster, "ada", old));
}

#[test]
fn a_member_that_has_just_moved_does_not_move_again_while_it_is_there() {
    let mut cluster = Cluster::joined(&FIVE);
    cluster.crash("bob");
    cluster.start_at("bob", place(7946), Config::lan());
    cluster.join("bob", "ada");
    let others = ["ada", "cyd", "dan", "eve"];
    until_all_hold_bob_at(&mut cluster, &others, place(7946), seconds(5));
    cluster.start_at("bob/2", place(9999), Config::lan());
    let join = cluster.join("bob/2", "ada");
    cluster.run_until(seconds(5), |cluster| cluster.outcome("bob/2", join).is_some());
    assert!(matches!(cluster.outcome("bob/2", join), Some(Outcome::Failed(_))));
    // Dead, the name is free again.
    cluster.crash("bob");
    cluster.crash("bob/2");
    cluster.run_until(seconds(30), |cluster| {
        others.iter().all(|viewer| cluster.state(viewer, "bob") == Some(MemberState::Dead))
    });
    cluster.start_at("bob", place(5555), Config::lan());
    cluster.join("bob", "ada");
    until_all_hold_bob_at(&mut cluster, &others, place(5555), seconds(5));
}

/// A forged leave, then an alive message that leads the name to the forger.
#[test]
fn hearsay_leads_no_name_to_an_address_whose_certificate_does_not_prove_it() {
    let mut cluster = Cluster::joined(&FIVE);
    let (old, forger) = (cluster.address("bob"), cluster.address("eve"));
    for incarnation in [1, 40] {
        let leave = Message::Dead(Dead { incarnation, node: b"bob", from: b"bob" }).to_vec();
        for victim in ["ada", "cyd", "dan"] {
            cluster.inject("eve", victim, leave.clone());
            cluster.inject("eve", victim, alive_at("bob", forger, incarnation + 1));
        }
        cluster.run_for(seconds(1));
        for viewer in ["ada", "cyd", "dan"] {
            assert_eq!(cluster.view(viewer, "bob").unwrap().address(), old, "at {viewer}");
        }
    }
    until_all_hold_bob_at(&mut cluster, &["ada", "cyd", "dan"], old, seconds(10));
}

#[test]
fn a_name_heard_of_elsewhere_is_claimed_back_where_nobody_answers() {
    let mut cluster = Cluster::joined(&FIVE);
    let held = cluster.incarnation("ada", "bob");
    for _ in 0..5 {
        cluster.inject("ada", "bob", alive_at("bob", place(1), held + 7));
        cluster.run_for(seconds(2));
    }
    // Once, not five times.
    assert_eq!(cluster.incarnation("bob", "bob"), held + 9);
    let old = cluster.address("bob");
    until_all_hold_bob_at(&mut cluster, &["ada", "cyd", "dan", "eve"], old, seconds(5));
    assert_eq!(cluster.incarnation("ada", "bob"), held + 9);
}

#[test]
fn who_announces_the_address_of_another_one_is_warned_of_with_both_names() {
    let mut cluster = Cluster::joined(&FIVE);
    let warnings = |cluster: &Cluster| -> Vec<String> {
        let detail = |event: &MembershipEvent| match event {
            MembershipEvent::Warning { kind: WarningKind::SharedAddress, detail, .. } => {
                Some(detail.clone())
            }
            _ => None,
        };
        cluster.events("ada").filter_map(detail).collect()
    };
    assert_eq!(warnings(&cluster), [""; 0]);
    let cyds = cluster.address("cyd");
    for _ in 0..3 {
        cluster.inject("bob", "ada", alive_at("zed", cyds, 1));
        cluster.run_for(seconds(1));
    }
    let said = warnings(&cluster);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("zed announces") && said[0].contains("is cyd's address"), "{said:?}");
    assert_eq!(cluster.state("ada", "cyd"), Some(MemberState::Alive));
}

//! Members tell each other of their views, and tell the application of those that stood still.

use std::time::Duration;

use swim_core::wire::{Message, Ping};
use swim_core::{Agreement, Config, Hooks, Member, MemberState, MembershipEvent, StableView, Time};

use crate::harness::{Cluster, millis, name, seconds};

const FIVE: [&str; 5] = ["ada", "bob", "cyd", "dan", "eve"];

fn agreement(cluster: &Cluster, who: &str) -> Agreement {
    cluster.machine(who).agreement()
}

fn all_agree(cluster: &Cluster, members: &[&str]) -> bool {
    let others = members.len() - 1;
    members.iter().all(|who| {
        let agreement = agreement(cluster, who);
        agreement.is_complete() && agreement.agreeing.len() == others
    })
}

fn views<'a>(cluster: &'a Cluster, who: &str) -> impl Iterator<Item = (Time, &'a StableView)> {
    cluster.nodes[who].events.iter().filter_map(|(at, event)| match event {
        MembershipEvent::StableView(view) => Some((*at, &**view)),
        _ => None,
    })
}

fn names(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| member.name().to_string()).collect()
}

/// Joined, left, failed.
fn changes(view: &StableView) -> [Vec<String>; 3] {
    [&view.joined, &view.left, &view.failed].map(|members| names(members))
}

fn listed(members: &[&str]) -> Vec<String> {
    members.iter().map(|who| (*who).to_owned()).collect()
}

#[test]
fn members_see_that_they_agree_and_that_they_do_not_yet() {
    let mut cluster = Cluster::joined(&FIVE);
    cluster.run_until(seconds(10), |cluster| all_agree(cluster, &FIVE));
    cluster.tell("bob", |bob, now| bob.set_meta(b"x".to_vec(), now)).unwrap();
    let differing = agreement(&cluster, "bob").differing;
    assert_eq!(differing.len(), 4, "nobody has told bob that it has heard");
    assert!(differing.iter().all(|difference| !difference.in_members), "{differing:?}");
    cluster.run_until(seconds(10), |cluster| all_agree(cluster, &FIVE));

    cluster.start("fay", Config::lan());
    cluster.join("fay", "ada");
    cluster.run_for(millis(100));
    let behind = agreement(&cluster, "ada").behind;
    assert!(!behind.is_empty(), "ada has heard of fay, and of nobody who knows it");
    cluster.run_until(seconds(10), |cluster| {
        all_agree(cluster, &["ada", "bob", "cyd", "dan", "eve", "fay"])
    });
}

#[test]
fn both_sides_of_a_partition_agree_among_themselves_and_then_all_again() {
    let mut cluster = Cluster::joined(&FIVE);
    cluster.run_for(seconds(5));
    let (many, few) = (["ada", "bob", "cyd"], ["dan", "eve"]);
    for who in few {
        cluster.wire.isolate(who, &many);
    }
    cluster.run_for(seconds(20));
    assert!(all_agree(&cluster, &many) && all_agree(&cluster, &few));
    let last = |cluster: &Cluster, who| views(cluster, who).last().unwrap().1.clone();
    for who in many {
        assert_eq!(changes(&last(&cluster, who)), [vec![], vec![], listed(&few)], "{who}");
    }
    assert_eq!(last(&cluster, "ada").id, last(&cluster, "cyd").id);
    assert_ne!(last(&cluster, "ada").id, last(&cluster, "dan").id);

    cluster.wire.heal();
    cluster.join("dan", "ada");
    cluster.run_until(seconds(30), |cluster| all_agree(cluster, &FIVE));
    cluster.run_for(seconds(5));
    for who in FIVE {
        let view = last(&cluster, who);
        assert_eq!(names(&view.members), listed(&FIVE), "{who}");
        assert_eq!(view.id, last(&cluster, "ada").id, "{who}");
    }
    assert_eq!(changes(&last(&cluster, "ada")), [listed(&few), vec![], vec![]]);
}

/// Rapid's experiment: the many that crash at once go in one or two steps, not one by one.
#[test]
fn many_crashes_are_one_stable_view_or_two() {
    let all = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"];
    let (crash, stay) = all.split_at(5);
    let mut cluster = Cluster::joined(&all);
    cluster.run_for(seconds(5));
    let before = cluster.now;
    for who in crash {
        cluster.crash(who);
    }
    cluster.run_for(seconds(60));
    for who in stay {
        let cuts: Vec<_> = views(&cluster, who).filter(|(at, _)| *at > before).collect();
        let failed: Vec<String> = cuts.iter().flat_map(|(_, view)| names(&view.failed)).collect();
        assert!(cuts.len() <= 2, "{who}: {cuts:?}");
        assert_eq!(failed.len(), crash.len(), "{who}: {failed:?}");
        assert_eq!(names(&cuts.last().unwrap().1.members), listed(stay), "{who}");
    }
}

#[test]
fn who_is_back_before_the_view_stood_still_is_not_told() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.run_for(seconds(5));
    let before = views(&cluster, "ada").count();
    cluster.tell("cyd", |cyd, now| cyd.leave(now));
    cluster.run_for(millis(500));
    assert_eq!(cluster.state("ada", "cyd"), Some(MemberState::Left));
    cluster.crash("cyd");
    cluster.start("cyd", Config::lan());
    cluster.join("cyd", "ada");
    cluster.run_for(seconds(10));
    assert_eq!(cluster.state("ada", "cyd"), Some(MemberState::Alive));
    assert_eq!(views(&cluster, "ada").count(), before);
}

#[test]
fn a_view_that_never_stands_still_is_told_after_a_while() {
    let mut config = Config::lan();
    config.stable_view_age = seconds(4);
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    cluster.run_for(seconds(5));
    let before = cluster.now;
    // The view stands still after 2 × 200 ms × 4 at the earliest.
    for (who, port) in [("c", 1), ("d", 2), ("e", 3), ("f", 4), ("g", 5), ("h", 6)] {
        cluster.start_at(who, ([10, 0, 1, 1], port).into(), config.clone());
        cluster.join(who, "ada");
        cluster.run_for(millis(900));
    }
    let (at, view) = views(&cluster, "ada").find(|(at, _)| *at > before).unwrap();
    let late = at - before;
    assert!(seconds(4) <= late && late < millis(4_200), "{late:?}");
    assert_eq!(changes(view)[0], listed(&["c", "d", "e", "f", "g"]));
    cluster.run_for(seconds(5));
    let last = views(&cluster, "ada").last().unwrap().1;
    assert_eq!(changes(last)[0], listed(&["h"]));
}

/// A Go member is sent no byte that Go does not know, and is nobody that agrees.
#[test]
fn go_members_get_no_digests_and_are_unheard() {
    let mut cluster = Cluster::of(&["ada", "bob", "go"]);
    cluster.speak_as_go("go");
    for who in ["bob", "go"] {
        cluster.join(who, "ada");
    }
    cluster.run_for(seconds(20));
    for who in ["ada", "bob"] {
        assert_eq!(agreement(&cluster, who).unheard, [name("go")], "{who}");
        assert_eq!(agreement(&cluster, who).agreeing.len(), 1, "{who}");
    }
    let go = cluster.address("go");
    let told = |bytes: &[u8]| bytes.windows(6).any(|window| window == b"Digest");
    let digests = |to_go: bool| {
        let sent = cluster.wire.log.iter().filter(|(_, to, _)| (*to == go) == to_go);
        sent.filter(|(_, _, bytes)| told(bytes)).count()
    };
    assert_eq!(digests(true), 0);
    assert!(digests(false) > 20);
}

/// What everybody missed while nothing got through is told when the views have differed for a
/// while, and not half a minute later with the next periodic exchange.
#[test]
fn updates_that_gossip_has_missed_are_repaired_within_seconds() {
    let mut with = Config::lan();
    with.push_pull_interval = seconds(600);
    let mut without = with.clone();
    without.view_digests = false;
    for (config, is_repaired) in [(with, true), (without, false)] {
        let mut cluster = Cluster::joined_with(&FIVE, &config);
        cluster.run_for(seconds(20));
        for other in ["ada", "bob", "cyd", "dan"] {
            cluster.wire.block_packets("eve", other);
        }
        cluster.tell("bob", |bob, now| bob.set_meta(b"new".to_vec(), now)).unwrap();
        cluster.run_for(millis(2_500));
        cluster.wire.heal();
        cluster.run_for(seconds(6));
        let heard = cluster.view("eve", "bob").unwrap().meta() == b"new";
        assert_eq!(heard, is_repaired);
        let repairs = |who| cluster.machine(who).stats().counters.repairs_started;
        let begun: u64 = FIVE.into_iter().map(repairs).sum();
        assert!(begun <= 2 && (begun > 0) == is_repaired, "{begun} exchanges");
    }
}

/// Ada admits nobody called eve, and so never agrees with the others.
#[test]
fn differences_that_last_cost_ever_fewer_exchanges() {
    let mut cluster = Cluster::of(&FIVE);
    cluster.tell("ada", |ada, _| ada.set_hooks(Box::new(WithoutEve)));
    for who in ["bob", "cyd", "dan", "eve"] {
        cluster.join(who, if who == "bob" { "ada" } else { "bob" });
    }
    cluster.run_for(seconds(60));
    assert_eq!(agreement(&cluster, "ada").differing.len(), 3);
    let begun = |cluster: &Cluster| -> u64 {
        let repairs = |who| cluster.machine(who).stats().counters.repairs_started;
        FIVE.into_iter().map(repairs).sum()
    };
    let before = begun(&cluster);
    cluster.run_for(seconds(3_600));
    // With each of three others one in five minutes at last.
    let begun = begun(&cluster) - before;
    assert!((30..=54).contains(&begun), "{begun} in an hour");
}

/// Eve tells another view with each ping, an old one: few exchanges come of it.
#[test]
fn a_member_that_lies_about_its_view_costs_few_exchanges() {
    let mut cluster = Cluster::joined(&FIVE);
    cluster.run_for(seconds(20));
    let exchanges = |cluster: &Cluster| cluster.machine("ada").stats().counters.repairs_started;
    let before = exchanges(&cluster);
    for number in 0..3_000_u64 {
        let digest = [&number.to_be_bytes()[..], &[255]].concat();
        let (node, source_node) = (&b"ada"[..], &b"eve"[..]);
        let ping = Ping { seq_no: 1, node, source_node, digest: &digest, ..Ping::default() };
        cluster.inject("eve", "ada", Message::Ping(ping).to_vec());
        cluster.run_for(millis(200));
    }
    let begun = exchanges(&cluster) - before;
    // After 0, 5, 15, 35, 75, 155, 315 and 600 s.
    assert!((6..=9).contains(&begun), "{begun} in ten minutes");
}

struct WithoutEve;

impl Hooks for WithoutEve {
    fn admit_member(&mut self, member: &Member) -> Result<(), String> {
        if *member.name() == name("eve") { Err("not here".to_owned()) } else { Ok(()) }
    }
}

#[test]
fn without_digests_nobody_is_heard_and_without_an_age_no_view_is_told() {
    let mut config = Config::lan();
    config.view_digests = false;
    config.stable_view_age = Duration::ZERO;
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    cluster.run_for(seconds(20));
    assert_eq!(agreement(&cluster, "ada").unheard, [name("bob")]);
    assert_eq!(views(&cluster, "ada").count(), 0);
}

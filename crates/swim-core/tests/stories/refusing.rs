//! Hosts and firewalls that refuse packets: what is a hint, and what is evidence.

use std::time::Duration;

use swim_core::wire::{Message, PacketDecoder, WireSettings};
use swim_core::{
    Config, Evidence, FailureEvidence, Hint, MemberState, MembershipEvent, SendRefusal,
};

use crate::harness::{Cluster, millis, name, seconds};

const ALL: [&str; 5] = ["ada", "bob", "cyd", "dan", "eve"];
const OTHERS: [&str; 4] = ["ada", "cyd", "dan", "eve"];

fn settings(evidence: Evidence) -> Config {
    let mut config = Config::lan();
    config.evidence = evidence;
    config
}

/// All have lately heard from all.
fn acquainted(names: &[&'static str], evidence: Evidence) -> Cluster {
    let mut cluster = Cluster::joined_with(names, &settings(evidence));
    cluster.run_for(seconds(30));
    cluster
}

fn is_dead_at(cluster: &Cluster, who: &str) -> bool {
    cluster.state(who, "bob") == Some(MemberState::Dead)
}

/// How long it takes until all others hold bob dead.
fn crash(evidence: Evidence, host_lives: bool) -> (Cluster, Duration) {
    let mut cluster = acquainted(&ALL, evidence);
    if host_lives {
        cluster.wire.let_refuse("bob");
    }
    cluster.crash("bob");
    let everywhere = |cluster: &Cluster| OTHERS.iter().all(|who| is_dead_at(cluster, who));
    let took = cluster.run_until(seconds(60), everywhere);
    (cluster, took)
}

/// What each death of bob was concluded from, and the hint before it.
fn grounds(cluster: &Cluster, who: &str) -> Vec<(FailureEvidence, Option<Hint>)> {
    let of = |event: &MembershipEvent| match event {
        MembershipEvent::Failed { member, evidence, hint, .. } if *member.name() == name("bob") => {
            Some((*evidence, *hint))
        }
        _ => None,
    };
    cluster.events(who).filter_map(of).collect()
}

#[test]
fn a_process_that_crashes_is_dead_at_once_where_refusals_are_a_verdict() {
    let (cluster, took) = crash(Evidence::Verdict, true);
    // A probe reaches it after four periods at the latest among five, nearly always after two.
    assert!(took <= millis(4_300), "{took:?}");
    for who in OTHERS {
        let hint = Some(Hint::Refused);
        assert_eq!(grounds(&cluster, who), [(FailureEvidence::Refused, hint)], "{who}");
    }
    let (_, silent) = crash(Evidence::Verdict, false);
    assert!(silent >= millis(4_000), "a host that says nothing: {silent:?}");
}

#[test]
fn refusals_shorten_a_suspicion_at_most_as_far_as_the_setting_allows() {
    for (evidence, least, most) in
        [(Evidence::Hint, 4_000, 12_000), (Evidence::Floor, 4_000, 8_300)]
    {
        let (cluster, took) = crash(evidence, true);
        assert!((millis(least)..=millis(most)).contains(&took), "{evidence:?}: {took:?}");
        assert_eq!(grounds(&cluster, "ada")[0].1, Some(Hint::Refused));
    }
}

/// One firewall in the way of one member says nothing of the other.
#[test]
fn who_is_reached_by_anybody_stays_whatever_firewalls_refuse() {
    for rejected in [&["ada"][..], &["ada", "cyd"], &["ada", "cyd", "dan"]] {
        for evidence in [Evidence::Hint, Evidence::Floor, Evidence::Verdict] {
            let mut cluster = acquainted(&ALL, evidence);
            for who in rejected {
                cluster.wire.reject(who, "bob");
            }
            cluster.run_for(seconds(120));
            for who in OTHERS {
                assert_eq!(grounds(&cluster, who), [], "{evidence:?}, {rejected:?}, at {who}");
            }
        }
    }
}

/// Between two members nobody else can confirm anything.
#[test]
fn two_members_conclude_nothing_from_refusals() {
    let mut cluster = acquainted(&["ada", "bob"], Evidence::Verdict);
    cluster.wire.let_refuse("bob");
    cluster.crash("bob");
    cluster.run_for(seconds(4));
    assert!(!is_dead_at(&cluster, "ada"));
    cluster.run_for(seconds(30));
    assert_eq!(grounds(&cluster, "ada"), [(FailureEvidence::Silence, Some(Hint::Refused))]);
}

#[test]
fn a_restart_within_the_time_between_two_probes_is_no_death() {
    let mut cluster = acquainted(&ALL, Evidence::Verdict);
    cluster.wire.let_refuse("bob");
    for _ in 0..20 {
        cluster.crash("bob");
        cluster.tell("ada", |machine, now| machine.doubt(&name("bob"), now)).unwrap();
        cluster.run_for(millis(200));
        cluster.start("bob", settings(Evidence::Verdict));
        cluster.join("bob", "cyd");
        cluster.run_for(seconds(20));
    }
    for who in OTHERS {
        assert_eq!(grounds(&cluster, who), [], "{who}");
    }
}

#[test]
fn a_doubted_member_is_probed_at_once_and_nothing_else_follows() {
    let mut config = Config::lan();
    config.probe_interval = seconds(30);
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    cluster.run_for(seconds(1));
    let probes = |cluster: &Cluster| cluster.machine("ada").stats().counters.probes;
    let before = probes(&cluster);
    for _ in 0..10 {
        cluster.tell("ada", |machine, now| machine.doubt(&name("bob"), now)).unwrap();
        cluster.run_for(millis(50));
    }
    assert_eq!(probes(&cluster), before + 1, "at most once in a second");
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Alive));
    let refused = |cluster: &mut Cluster, who| {
        cluster.tell("ada", |machine, now| machine.doubt(&name(who), now))
    };
    assert_eq!(refused(&mut cluster, "zoe"), Err(SendRefusal::UnknownMember(name("zoe"))));
    assert_eq!(refused(&mut cluster, "ada"), Ok(()));
    cluster.tell("ada", |machine, now| machine.leave(now));
    cluster.run_for(seconds(3));
    assert_eq!(refused(&mut cluster, "bob"), Err(SendRefusal::HasLeft));
}

/// All but eve run this library; bob has just crashed and nothing was sent since.
fn with_a_go_member(evidence: Evidence) -> Cluster {
    let mut cluster = Cluster::with_config(&ALL, &settings(evidence));
    cluster.speak_as_go("eve");
    for who in &ALL[1..] {
        cluster.join(who, "ada");
    }
    cluster.run_for(seconds(30));
    cluster.wire.let_refuse("bob");
    cluster.crash("bob");
    cluster.wire.log.clear();
    cluster
}

#[test]
fn go_members_are_told_nothing_of_refusals() {
    let mut cluster = with_a_go_member(Evidence::Verdict);
    cluster.run_for(seconds(20));
    let eve = cluster.address("eve");
    let key = b"Refused";
    let holds = |bytes: &[u8]| bytes.windows(key.len()).any(|window| window == key);
    assert!(cluster.wire.log.iter().any(|(_, to, bytes)| *to != eve && holds(bytes)));
    assert!(!cluster.wire.log.iter().any(|(_, to, bytes)| *to == eve && holds(bytes)));
    assert!(is_dead_at(&cluster, "eve"));
}

/// Each is asked about the other, and cannot answer.
#[test]
fn two_that_crash_together_are_dead_at_once_too() {
    let mut cluster = acquainted(&ALL, Evidence::Verdict);
    for who in ["bob", "cyd"] {
        cluster.wire.let_refuse(who);
        cluster.crash(who);
    }
    let took = cluster.run_until(seconds(60), |cluster| {
        ["ada", "dan", "eve"].iter().all(|who| {
            is_dead_at(cluster, who) && cluster.state(who, "cyd") == Some(MemberState::Dead)
        })
    });
    assert!(took <= millis(5_000), "{took:?}");
}

/// A Go member that dials an address at which nobody is does nothing else for seconds.
#[test]
fn go_members_are_not_asked_whether_they_reach_whose_host_refuses_us() {
    let mut cluster = with_a_go_member(Evidence::Hint);
    cluster.tell("ada", |machine, now| machine.doubt(&name("bob"), now)).unwrap();
    cluster.run_for(millis(300));
    let asked = |who: &str| {
        let to = cluster.address(who);
        let mut decoder = PacketDecoder::default();
        cluster.wire.log.iter().filter(|(from, at, _)| *from == "ada" && *at == to).any(
            |(_, _, bytes)| {
                let packet = decoder.decode(bytes, &WireSettings::default()).unwrap();
                packet.messages.iter().any(|it| matches!(it, Message::IndirectPing(_)))
            },
        )
    };
    assert_eq!(["cyd", "dan", "eve"].map(asked), [true, true, false]);
}

/// Silent members are no refusals that nobody confirms.
#[test]
fn hosts_that_are_lost_take_nothing_from_a_verdict() {
    let names = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus", "hal"];
    let mut cluster = acquainted(&names, Evidence::Verdict);
    for who in ["fay", "gus", "hal"] {
        cluster.crash(who);
    }
    cluster.run_for(seconds(30));
    cluster.wire.let_refuse("bob");
    cluster.crash("bob");
    cluster.run_until(seconds(60), |cluster| OTHERS.iter().all(|who| is_dead_at(cluster, who)));
    assert_eq!(grounds(&cluster, "ada")[0].0, FailureEvidence::Refused);
}

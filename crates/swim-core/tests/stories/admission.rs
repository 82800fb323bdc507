//! Who may enter, and who may say what.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use swim_core::wire::{Ack, Alive, Dead, Message, Ping, Suspect};
use swim_core::{Config, Hooks, Member, MemberState, MembershipEvent, WarningKind};

use crate::harness::{Cluster, name, seconds};

const VSN: [u8; 6] = [1, 5, 2, 0, 0, 0];

pub(crate) fn alive<'a>(node: &'a [u8], incarnation: u32, addr: &'a [u8]) -> Alive<'a> {
    Alive { incarnation, node, addr: Some(addr), port: 7946, meta: None, vsn: Some(&VSN) }
}

fn known(cluster: &Cluster, who: &str) -> usize {
    cluster.machine(who).members().count()
}

#[test]
fn impossible_claims_are_dropped_and_counted() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let long = [b'x'; 256];
    let claims = [
        alive(b"zoe", 0, &[10, 0, 0, 9]),
        alive(b"zoe", u32::MAX, &[10, 0, 0, 9]),
        alive(b"zoe", 1, &[10, 0, 9]),
        alive(b"", 1, &[10, 0, 0, 9]),
        alive(&long, 1, &[10, 0, 0, 9]),
        Alive { vsn: Some(&[0, 5, 2, 0, 0, 0]), ..alive(b"zoe", 1, &[10, 0, 0, 9]) },
        Alive { vsn: Some(&[3, 2, 2, 0, 0, 0]), ..alive(b"zoe", 1, &[10, 0, 0, 9]) },
        Alive { addr: None, ..alive(b"zoe", 1, &[10, 0, 0, 9]) },
        Alive { meta: Some(&[0; 4097]), ..alive(b"zoe", 1, &[10, 0, 0, 9]) },
    ];
    for claim in claims {
        cluster.inject("bob", "ada", Message::Alive(claim).to_vec());
    }
    cluster.run_for(seconds(1));
    let counters = cluster.machine("ada").stats().counters;
    assert_eq!(
        (known(&cluster, "ada"), counters.refused_incarnation, counters.refused_claim),
        (2, 2, 7)
    );
}

#[test]
fn the_last_incarnation_cannot_silence_a_member() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let last = u32::MAX;
    let suspect = Suspect { incarnation: last, node: b"bob", from: b"eve" };
    let dead = Dead { incarnation: last, node: b"bob", from: b"eve" };
    for to in ["ada", "bob"] {
        cluster.inject("ada", to, Message::Suspect(suspect).to_vec());
        cluster.inject("ada", to, Message::Dead(dead).to_vec());
    }
    cluster.run_for(seconds(3));
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Alive));
    assert_eq!(cluster.machine("bob").local().incarnation(), 1);

    // Who has just started is told how high it once was, up to half of all incarnations.
    let (mut cluster, half) = (Cluster::joined(&["ada", "bob"]), 1 << 31);
    for (incarnation, then) in [(last - 2, 1), (half - 1, half), (last - 2, half)] {
        let high = Suspect { incarnation, node: b"bob", from: b"eve" };
        cluster.inject("ada", "bob", Message::Suspect(high).to_vec());
        cluster.run_for(seconds(1));
        assert_eq!(cluster.machine("bob").local().incarnation(), then);
        assert_eq!(cluster.incarnation("ada", "bob"), then);
    }
}

#[test]
fn the_highest_incarnation_of_the_dead_is_remembered() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let zoe = |incarnation| Message::Alive(alive(b"zoe", incarnation, &[10, 0, 0, 9])).to_vec();
    cluster.inject("bob", "ada", zoe(1));
    for incarnation in [1, 7] {
        let dead = Dead { incarnation, node: b"zoe", from: b"bob" };
        cluster.inject("bob", "ada", Message::Dead(dead).to_vec());
        // Zoe is asked, in vain.
        cluster.run_for(seconds(2));
    }
    cluster.inject("bob", "ada", zoe(5));
    cluster.run_for(seconds(1));
    assert_eq!(cluster.state("ada", "zoe"), Some(MemberState::Dead));
    assert_eq!(cluster.incarnation("ada", "zoe"), 7);
    cluster.inject("bob", "ada", zoe(8));
    cluster.run_for(seconds(1));
    assert_eq!(cluster.state("ada", "zoe"), Some(MemberState::Alive));
}

#[test]
fn a_ping_in_somebody_elses_name_gets_no_answer() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    let ping = |source: &'static [u8]| {
        Message::Ping(Ping {
            seq_no: 1_000_000,
            node: b"ada",
            source_addr: &[10, 0, 0, 2],
            source_port: 7946,
            source_node: source,
            ..Ping::default()
        })
        .to_vec()
    };
    cluster.inject("bob", "ada", ping(b"cyd"));
    cluster.run_for(seconds(1));
    assert_eq!(cluster.machine("ada").stats().counters.refused_impostor, 1);
    assert!(cluster.events("ada").any(|event| matches!(
        event,
        MembershipEvent::Warning { kind: WarningKind::Impostor, .. }
    )));
    let unasked = cluster.machine("bob").stats().counters.refused_ack;
    cluster.inject("bob", "ada", ping(b"bob"));
    cluster.run_for(seconds(1));
    assert_eq!(cluster.machine("bob").stats().counters.refused_ack, unasked + 1);
}

#[test]
fn a_bystander_cannot_acknowledge_for_the_dead() {
    let mut config = Config::lan();
    config.indirect_checks = 0;
    config.stream_fallback = false;
    let mut cluster = Cluster::joined_with(&["ada", "bob", "eve"], &config);
    cluster.crash("bob");
    // Eve guesses every sequence number there could be.
    for _ in 0..100 {
        for seq_no in 0..100 {
            cluster.inject(
                "eve",
                "ada",
                Message::Ack(Ack { seq_no, payload: None, ..Ack::default() }).to_vec(),
            );
        }
        cluster.run_for(seconds(1) / 10);
    }
    assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Dead));
}

#[test]
fn a_ping_for_somebody_else_gets_no_answer() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let ping = Ping { seq_no: 1, node: b"zoe", ..Ping::default() };
    let sent = cluster.nodes["ada"].packets_sent;
    cluster.inject("bob", "ada", Message::Ping(ping).to_vec());
    cluster.run_for(seconds(1) / 100);
    assert_eq!(cluster.nodes["ada"].packets_sent, sent);
    assert_eq!(cluster.machine("ada").stats().counters.refused_wrong_target, 1);
}

#[test]
fn addresses_outside_the_allowed_networks_stay_outside() {
    let mut config = Config::lan();
    config.allowed_networks = vec!["10.0.0.0/24".parse().unwrap()];
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    cluster.inject("bob", "ada", Message::Alive(alive(b"zoe", 1, &[192, 168, 0, 1])).to_vec());
    cluster.inject("bob", "ada", Message::Alive(alive(b"yan", 1, &[10, 0, 0, 200])).to_vec());
    cluster.run_for(seconds(1));
    assert_eq!((cluster.state("ada", "zoe"), known(&cluster, "ada")), (None, 3));
    assert_eq!(cluster.machine("ada").stats().counters.refused_admission, 1);
}

#[test]
fn the_table_of_members_is_bounded() {
    let mut config = Config::lan();
    config.max_members = 3;
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    for host in 10..20 {
        let node = [b'n', host];
        let addr = [10, 0, 0, host];
        cluster.inject("bob", "ada", Message::Alive(alive(&node, 1, &addr)).to_vec());
    }
    cluster.run_for(seconds(1));
    assert_eq!(known(&cluster, "ada"), 3);
    assert!(cluster.machine("ada").stats().counters.refused_members_full >= 9);
}

struct NoZoe;

impl Hooks for NoZoe {
    fn admit_member(&mut self, candidate: &Member) -> Result<(), String> {
        if *candidate.name() == name("zoe") { Err("not her".into()) } else { Ok(()) }
    }
}

#[test]
fn a_veto_keeps_a_member_out() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.tell("ada", |machine, _| machine.set_hooks(Box::new(NoZoe)));
    for node in [b"zoe", b"yan"] {
        cluster.inject("bob", "ada", Message::Alive(alive(node, 1, &[10, 0, 0, 9])).to_vec());
    }
    cluster.run_for(seconds(1) / 10);
    assert_eq!(cluster.state("ada", "zoe"), None);
    assert_eq!(cluster.state("ada", "yan"), Some(MemberState::Alive));
}

/// Refuses bob for as long as it is told to.
struct Revocable(Arc<AtomicBool>);

impl Hooks for Revocable {
    fn admit_member(&mut self, candidate: &Member) -> Result<(), String> {
        let refuses = self.0.load(Ordering::Relaxed) && *candidate.name() == name("bob");
        if refuses { Err("not him".into()) } else { Ok(()) }
    }
}

#[test]
fn who_is_refused_when_asked_again_is_forgotten_and_nobody_is_told() {
    // At other moments of a probe round each time.
    for offset in 0..12 {
        let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
        let refuses = Arc::new(AtomicBool::new(false));
        let hooks = Box::new(Revocable(Arc::clone(&refuses)));
        cluster.tell("ada", |machine, _| machine.set_hooks(hooks));
        cluster.wire.block_packets("bob", "ada");
        cluster.run_for(seconds(offset) / 4);
        let review = |cluster: &mut Cluster| {
            cluster.tell("ada", |machine, now| machine.review_member(&name("bob"), now));
        };
        review(&mut cluster);
        assert!(cluster.state("ada", "bob").is_some_and(MemberState::is_live), "{offset}");
        refuses.store(true, Ordering::Relaxed);
        review(&mut cluster);
        cluster.wire.heal();
        assert_eq!(cluster.state("ada", "bob"), None);
        let removed = cluster.events("ada").filter(|event| {
            matches!(event, MembershipEvent::Removed { member, reason }
                if *member.name() == name("bob") && reason == "not him")
        });
        assert_eq!(removed.count(), 1);
        let suspected = |cluster: &Cluster| {
            let is_it = |event: &&MembershipEvent| {
                matches!(event, MembershipEvent::Suspected { .. } | MembershipEvent::Failed { .. })
            };
            cluster.events("cyd").filter(is_it).count()
        };
        let before = suspected(&cluster);
        cluster.run_for(seconds(60));
        assert_eq!(cluster.state("ada", "bob"), None, "gossip does not bring it back");
        assert_eq!(cluster.state("cyd", "bob"), Some(MemberState::Alive));
        assert_eq!(cluster.state("bob", "ada"), Some(MemberState::Alive));
        assert_eq!(suspected(&cluster), before, "nobody suspects it because of the refusal");
        refuses.store(false, Ordering::Relaxed);
        cluster.run_for(seconds(60));
        assert_eq!(cluster.state("ada", "bob"), Some(MemberState::Alive), "it may come back");
    }
}

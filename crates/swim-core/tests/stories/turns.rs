//! Members that watch each other by turns, and many of which each is watched by few.

use swim_core::wire::{Ack, Message, PacketDecoder, Ping, WireSettings};
use swim_core::{Config, MemberState, Time};

use crate::harness::{Cluster, millis, name, seconds};

const FIVE: [&str; 5] = ["ada", "bob", "cyd", "dan", "eve"];

fn settings() -> Config {
    let mut config = Config::lan();
    config.observers = 10;
    config
}

/// Members that have long known each other.
fn acquainted(names: &[&'static str]) -> Cluster {
    let mut cluster = Cluster::joined_with(names, &settings());
    cluster.run_for(seconds(60));
    cluster
}

/// What a member has sent to another one since the log was cleared.
fn sent<T>(
    cluster: &Cluster,
    from: &str,
    to: &str,
    read: impl Fn(&Message<'_>) -> Option<T>,
) -> Vec<T> {
    let (mut decoder, to) = (PacketDecoder::default(), cluster.address(to));
    let mut found = Vec::new();
    for (_, _, bytes) in cluster.wire.log.iter().filter(|(who, at, _)| *who == from && *at == to) {
        let packet = decoder.decode(bytes, &WireSettings::default()).unwrap();
        found.extend(packet.messages.iter().filter_map(&read));
    }
    found
}

fn waits(cluster: &Cluster, from: &str, to: &str) -> Vec<u32> {
    sent(cluster, from, to, |message| match message {
        Message::Ack(ack) => Some(ack.wait),
        _ => None,
    })
}

/// Whether each of the pings says that its sender watches.
fn pings(cluster: &Cluster, from: &str, to: &str) -> Vec<bool> {
    sent(cluster, from, to, |message| match message {
        Message::Ping(ping) => Some(ping.observer),
        _ => None,
    })
}

/// One probe in each period by somebody, and none soon after another.
#[test]
fn a_member_is_probed_at_even_distances() {
    let mut cluster = acquainted(&FIVE);
    cluster.wire.log.clear();
    let mut probed: Vec<Time> = Vec::new();
    for _ in 0..2_000 {
        let before: usize = FIVE.iter().map(|who| pings(&cluster, who, "bob").len()).sum();
        cluster.run_for(millis(50));
        let after: usize = FIVE.iter().map(|who| pings(&cluster, who, "bob").len()).sum();
        probed.extend((before..after).map(|_| cluster.now));
    }
    assert!((95..=105).contains(&probed.len()), "{} probes in 100 s", probed.len());
    let gaps = probed.windows(2).map(|pair| pair[1] - pair[0]);
    let (shortest, longest) = (gaps.clone().min().unwrap(), gaps.max().unwrap());
    assert!(shortest >= millis(850) && longest <= millis(1_150), "{shortest:?} to {longest:?}");
}

/// Eve is known to speak, and comes again and again; nobody else waits for longer.
#[test]
fn who_comes_before_its_turn_is_told_the_same_turn() {
    let mut cluster = acquainted(&FIVE);
    cluster.wire.log.clear();
    for _ in 0..100 {
        let ping = Ping {
            seq_no: 4_000_000_000,
            node: b"ada",
            source_node: b"eve",
            observer: true,
            ..Ping::default()
        };
        cluster.inject("eve", "ada", Message::Ping(ping).to_vec());
        cluster.run_for(millis(100));
    }
    let longest = |who| waits(&cluster, "ada", who).into_iter().max().unwrap();
    // Four observers a period apart, each two to eight periods from now.
    assert!(longest("eve") <= 8_000, "{}", longest("eve"));
    for who in ["bob", "cyd", "dan"] {
        assert!((2_000..=5_000).contains(&longest(who)), "{who}: {}", longest(who));
    }
}

/// How many pings ada sends to eve in a minute, if each ack tells it this wait: another program has
/// taken eve's place.
fn pings_with_waits_of(wait: u32) -> usize {
    let mut cluster = acquainted(&["ada", "eve"]);
    cluster.crash("eve");
    cluster.wire.log.clear();
    let mut answered = 0;
    for _ in 0..1_200 {
        let numbers = sent(&cluster, "ada", "eve", |message| match message {
            Message::Ping(ping) => Some(ping.seq_no),
            _ => None,
        });
        for seq_no in &numbers[answered..] {
            let ack = Ack { seq_no: *seq_no, wait, ..Ack::default() };
            cluster.inject("eve", "ada", Message::Ack(ack).to_vec());
        }
        answered = numbers.len();
        cluster.run_for(millis(50));
    }
    assert_eq!(cluster.state("ada", "eve"), Some(MemberState::Alive));
    answered
}

/// Twice as long as it would wait without a word is the most that it can ask of an observer.
#[test]
fn no_member_puts_its_observers_off_for_long() {
    let count = pings_with_waits_of(u32::MAX);
    assert!((29..=31).contains(&count), "{count} probes in 60 s");
}

/// An observer is not kept busy: it comes twice in a period at most.
#[test]
fn no_member_makes_its_observers_come_all_the_time() {
    let count = pings_with_waits_of(1);
    assert!((100..=121).contains(&count), "{count} probes in 60 s");
}

#[test]
fn members_that_speak_memberlists_wire_alone_are_told_nothing_of_turns() {
    let mut cluster = Cluster::with_config(&["ada", "bob"], &settings());
    cluster.speak_as_go("bob");
    cluster.join("bob", "ada");
    cluster.run_for(seconds(30));
    let told = pings(&cluster, "ada", "bob");
    assert!(told.len() > 20 && told.iter().all(|told| !told), "{told:?}");
    assert!(waits(&cluster, "ada", "bob").iter().all(|wait| *wait == 0));
}

/// Without the end of a probe order, at which the dead are forgotten otherwise.
#[test]
fn the_dead_are_forgotten_in_time() {
    let mut cluster = acquainted(&FIVE);
    cluster.crash("eve");
    let is = |cluster: &Cluster, state| cluster.state("ada", "eve") == state;
    cluster.run_until(seconds(20), |cluster| is(cluster, Some(MemberState::Dead)));
    let took = cluster.run_until(seconds(60), |cluster| is(cluster, None));
    assert!((seconds(30)..=seconds(32)).contains(&took), "{took:?}");
    assert!(cluster.machine("ada").members().all(|member| *member.name() != name("eve")));
}

#[test]
fn an_impossible_number_of_observers_is_refused_and_none_is_changed_later() {
    for (count, is_possible) in
        [(0, true), (1, false), (2, false), (3, true), (64, true), (65, false)]
    {
        let mut config = Config::lan();
        config.observers = count;
        assert_eq!(config.validate().is_ok(), is_possible, "{count}");
    }
    let mut cluster = acquainted(&["ada", "bob"]);
    let refused = cluster.tell("ada", |ada, now| ada.reconfigure(Config::lan(), now));
    assert!(refused.unwrap_err().to_string().contains("observers"));
}

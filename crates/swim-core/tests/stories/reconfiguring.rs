//! Settings that change while members run.

use std::time::Duration;

use swim_core::{Config, MemberState, Outcome, ReconfigureRefusal};

use crate::harness::{Cluster, seconds};

/// Nothing happens by itself, but for what is changed.
fn quiet(except: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::lan();
    config.probe_interval = Duration::ZERO;
    config.gossip_interval = Duration::ZERO;
    config.push_pull_interval = Duration::ZERO;
    except(&mut config);
    config
}

fn change(cluster: &mut Cluster, who: &'static str, except: impl FnOnce(&mut Config)) {
    let to = quiet(except);
    cluster.tell(who, |machine, now| machine.reconfigure(to, now)).unwrap();
}

/// Two members that know each other, and do nothing.
fn two_quiet_ones() -> Cluster {
    let mut cluster = Cluster::with_config(&["ada", "bob"], &quiet(|_| {}));
    let operation = cluster.join("bob", "ada");
    cluster.run_for(seconds(10));
    assert_eq!(cluster.outcome("bob", operation), Some(&Outcome::Joined));
    cluster
}

#[test]
fn probing_begins_and_ends_with_its_interval() {
    let mut cluster = two_quiet_ones();
    let probes = |cluster: &Cluster| cluster.machine("ada").stats().counters.probes;
    cluster.run_for(seconds(60));
    assert_eq!(probes(&cluster), 0);
    change(&mut cluster, "ada", |config| config.probe_interval = seconds(1));
    cluster.run_for(seconds(60));
    assert!((58..=61).contains(&probes(&cluster)), "{}", probes(&cluster));
    // In the middle of a round.
    cluster.crash("bob");
    cluster.run_for(seconds(1));
    change(&mut cluster, "ada", |_| {});
    let before = probes(&cluster);
    cluster.run_for(seconds(60));
    assert_eq!(probes(&cluster), before);
    assert!(cluster.state("ada", "bob").is_some_and(MemberState::is_live), "nobody asks it");
    change(&mut cluster, "ada", |config| config.probe_interval = seconds(1));
    cluster
        .run_until(seconds(60), |cluster| cluster.state("ada", "bob") == Some(MemberState::Dead));
}

#[test]
fn gossip_and_exchanges_begin_and_end_with_their_intervals() {
    let mut cluster = two_quiet_ones();
    let announce = |cluster: &mut Cluster, meta: &str| {
        let meta = meta.as_bytes().to_vec();
        cluster.tell("ada", |machine, now| machine.set_meta(meta, now)).unwrap();
    };
    let seen = |cluster: &Cluster| cluster.view("bob", "ada").unwrap().meta().to_vec();
    announce(&mut cluster, "one");
    // The phase of the rounds was drawn within ten years.
    change(&mut cluster, "ada", |config| config.gossip_interval = seconds(10 * 365 * 86_400));
    cluster.run_for(seconds(60));
    assert_eq!(seen(&cluster), b"");
    change(&mut cluster, "ada", |config| config.gossip_interval = seconds(1) / 5);
    cluster.run_for(seconds(2));
    assert_eq!(seen(&cluster), b"one");

    change(&mut cluster, "ada", |_| {});
    announce(&mut cluster, "two");
    cluster.run_for(seconds(60));
    assert_eq!(seen(&cluster), b"one");
    change(&mut cluster, "ada", |config| config.push_pull_interval = seconds(5));
    cluster.run_for(seconds(11));
    assert_eq!(seen(&cluster), b"two");
    change(&mut cluster, "ada", |_| {});
    let exchanges = |cluster: &Cluster| cluster.machine("ada").stats().counters.exchanges_started;
    let before = exchanges(&cluster);
    cluster.run_for(seconds(60));
    assert_eq!(exchanges(&cluster), before);
}

#[test]
fn what_may_not_change_is_refused_and_nothing_is_changed() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let mut to = Config::lan();
    (to.label, to.probe_interval) = (b"green".to_vec(), seconds(7));
    let refused = cluster.tell("ada", |machine, now| machine.reconfigure(to, now)).unwrap_err();
    let text =
        "label = \"green\" does not work: leave it as it is: it can be set at the start only";
    assert_eq!(refused.to_string(), text);
    assert_eq!(cluster.machine("ada").config().probe_interval, seconds(1));
    cluster.tell("ada", |machine, now| machine.leave(now));
    cluster.run_for(seconds(5));
    let refused = cluster.tell("ada", |machine, now| machine.reconfigure(Config::wan(), now));
    assert_eq!(refused, Err(ReconfigureRefusal::HasLeft));
}

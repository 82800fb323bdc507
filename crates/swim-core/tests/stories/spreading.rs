//! How soon updates reach everybody, and what they cost.

use std::time::Duration;

use crate::harness::{Cluster, millis, seconds};

fn hundred() -> Vec<&'static str> {
    (0..100).map(|n| &*Box::leak(format!("member-{n:02}").into_boxed_str())).collect()
}

fn set_meta(cluster: &mut Cluster, who: &'static str, meta: u8) {
    cluster.tell(who, |machine, now| machine.set_meta(vec![meta], now)).unwrap();
}

/// How many others have seen it.
fn have_seen(cluster: &Cluster, names: &[&str], who: &str, meta: u8) -> usize {
    let has = |viewer: &&&str| cluster.view(viewer, who).is_some_and(|seen| seen.meta() == [meta]);
    names.iter().filter(has).count()
}

#[test]
fn a_change_is_known_to_a_hundred_members_within_a_quarter_of_a_second() {
    let names = hundred();
    let mut cluster = Cluster::joined(&names);
    cluster.run_for(seconds(30));
    for meta in 1..=10 {
        set_meta(&mut cluster, "member-07", meta);
        let all = |cluster: &Cluster| have_seen(cluster, &names, "member-07", meta) == names.len();
        let took = cluster.run_until(seconds(5), all);
        println!("change {meta} is known to all after {took:?}");
        assert!(took <= millis(250), "change {meta} is known after {took:?}");
        cluster.run_for(seconds(1));
    }
}

#[test]
fn who_is_cut_off_for_a_moment_hears_of_it_in_a_regular_round() {
    let names = ["ada", "bob", "cyd", "dan"];
    let mut missed = 0;
    for meta in 1..=40 {
        let mut cluster = Cluster::joined(&names);
        cluster.run_for(seconds(5) + millis(u64::from(meta) * 17));
        cluster.wire.isolate("dan", &["ada", "bob", "cyd"]);
        set_meta(&mut cluster, "ada", meta);
        cluster.run_for(millis(150));
        cluster.wire.heal();
        cluster.run_for(millis(900));
        missed += usize::from(have_seen(&cluster, &["dan"], "ada", meta) == 0);
    }
    assert!(missed == 0, "{missed} of 40 changes were missed");
}

#[test]
fn changes_without_end_are_sent_every_twenty_milliseconds_at_most() {
    let names = ["ada", "bob", "cyd", "dan", "eve", "fay"];
    let mut cluster = Cluster::joined(&names);
    cluster.run_for(seconds(30));
    let sent = |cluster: &Cluster| cluster.machine("ada").stats().counters.packets_out;
    let before = sent(&cluster);
    for change in 0..1_000u32 {
        set_meta(&mut cluster, "ada", u8::try_from(change % 251).unwrap());
        cluster.run_for(Duration::from_millis(1));
    }
    let packets = sent(&cluster) - before;
    // A round is three packets: 50 rounds at once, 5 regular ones, and some for probes.
    assert!((100..=180).contains(&packets), "{packets} packets in a second");
}

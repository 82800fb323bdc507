//! Broadcasts reach everybody once, whatever else is going on.

use swim_core::{BroadcastRefusal, Config};

use crate::harness::{Cluster, seconds};

const CAST: [&str; 7] = ["ada", "bob", "cyd", "dan", "eve", "fay", "gus"];

#[test]
fn everybody_gets_each_broadcast_exactly_once() {
    let mut cluster = Cluster::joined(&CAST);
    let sent: Vec<Vec<u8>> = (0..100u32).map(|n| n.to_be_bytes().to_vec()).collect();
    for payload in sent.clone() {
        cluster.tell("ada", |machine, now| machine.broadcast(payload, now)).unwrap();
    }
    cluster.run_for(seconds(5));
    for who in &CAST[1..] {
        assert_eq!(cluster.messages(who), sent, "{who}");
    }
    assert!(cluster.messages("ada").is_empty());
    assert_eq!(cluster.machine("ada").stats().queued_broadcasts, 0);
}

#[test]
fn churn_does_not_starve_broadcasts() {
    let mut cluster = Cluster::joined(&CAST);
    let long = vec![9; 1300];
    for round in 0..40 {
        for who in &CAST {
            let meta = vec![u8::try_from(round).unwrap(); 512];
            cluster.tell(who, |machine, now| machine.set_meta(meta, now)).unwrap();
        }
        let payload = long.clone();
        cluster.tell("ada", |machine, now| machine.broadcast(payload, now)).unwrap();
        cluster.run_for(seconds(1));
        for who in &CAST[1..] {
            assert_eq!(cluster.messages(who).len(), round + 1, "{who} in round {round}");
        }
    }
}

#[test]
fn what_does_not_fit_a_packet_is_refused_with_the_limit() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let refused = cluster.tell("ada", |machine, now| machine.broadcast(vec![0; 2000], now));
    let Err(BroadcastRefusal::TooLarge { len: 2000, limit }) = refused else { panic!() };
    cluster.tell("ada", |machine, now| machine.broadcast(vec![1; limit], now)).unwrap();
    cluster.run_for(seconds(1));
    assert_eq!(cluster.messages("bob"), [vec![1; limit]]);
}

#[test]
fn the_queue_is_bounded() {
    let mut config = Config::lan();
    config.max_broadcasts = 3;
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &config);
    let broadcast =
        |cluster: &mut Cluster| cluster.tell("ada", |machine, now| machine.broadcast(vec![1], now));
    for _ in 0..3 {
        broadcast(&mut cluster).unwrap();
    }
    assert_eq!(broadcast(&mut cluster), Err(BroadcastRefusal::QueueFull { limit: 3 }));
}

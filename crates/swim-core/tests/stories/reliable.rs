//! Reliable messages between members of this library: acknowledged, in order, each once.

use swim_core::{
    Config, DeliveryReport, DeliveryStatus, OperationError, OperationId, Outcome, SecretKey,
};

use crate::harness::{Cluster, millis, name, seconds};

const ACKNOWLEDGED: Outcome = Outcome::Delivered(DeliveryReport::Acknowledged);

fn send(cluster: &mut Cluster, payload: &[u8], timeout: u64) -> OperationId {
    let (to, timeout) = (name("bob"), seconds(timeout));
    cluster.tell("ada", |machine, now| machine.send_reliable(&to, payload, timeout, now)).unwrap()
}

/// A payload of that length which begins with its number.
fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(len.max(4), 0xa5);
    payload
}

fn numbers(cluster: &Cluster, who: &str) -> Vec<u32> {
    let number = |payload: Vec<u8>| u32::from_be_bytes(*payload.first_chunk().unwrap());
    cluster.messages(who).into_iter().map(number).collect()
}

#[test]
fn messages_of_all_sizes_arrive_in_order_and_are_acknowledged() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    // Large ones travel on streams of their own, and small ones behind them arrive first.
    let sizes = [4, 65_536, 65_537, 10, 1_000_000, 20, 30, 2_000_000, 100_000, 70_000, 4];
    let sent: Vec<Vec<u8>> = (0..).zip(sizes).map(|(n, len)| numbered(n, len)).collect();
    let operations: Vec<OperationId> =
        sent.iter().map(|payload| send(&mut cluster, payload, 60)).collect();
    cluster.run_for(seconds(20));
    assert!(cluster.messages("bob") == sent, "got {:?}", numbers(&cluster, "bob"));
    for operation in operations {
        assert_eq!(cluster.outcome("ada", operation), Some(&ACKNOWLEDGED));
    }
}

#[test]
fn an_empty_message_is_delivered_like_any_other() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let operation = send(&mut cluster, b"", 5);
    cluster.run_for(seconds(1));
    assert_eq!(cluster.outcome("ada", operation), Some(&ACKNOWLEDGED));
    assert_eq!(cluster.messages("bob"), [Vec::<u8>::new()]);
}

#[test]
fn what_the_application_does_not_take_is_not_acknowledged() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let cases = [
        (DeliveryStatus::Busy, Outcome::Failed(OperationError::Busy)),
        (DeliveryStatus::NoReceiver, Outcome::Failed(OperationError::NoReceiver)),
        (DeliveryStatus::Taken, ACKNOWLEDGED),
    ];
    for (number, (status, outcome)) in (0..).zip(cases) {
        cluster.nodes.get_mut("bob").unwrap().disposes = Some(status);
        let operation = send(&mut cluster, &numbered(number, 100), 5);
        cluster.run_for(seconds(1));
        assert_eq!(cluster.outcome("ada", operation), Some(&outcome));
    }
    assert_eq!(numbers(&cluster, "bob"), [2]);
}

#[test]
fn no_answer_is_given_before_the_application_has_the_message() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.nodes.get_mut("bob").unwrap().disposes = None;
    let operation = send(&mut cluster, b"one", 60);
    cluster.run_for(seconds(2));
    assert_eq!(cluster.outcome("ada", operation), None);
    let owed = cluster.nodes.get_mut("bob").unwrap().owed.pop().unwrap();
    cluster.tell("bob", |machine, now| machine.acknowledge(owed, DeliveryStatus::Busy, now));
    cluster.run_for(seconds(1));
    let busy = Outcome::Failed(OperationError::Busy);
    assert_eq!(cluster.outcome("ada", operation), Some(&busy));
}

#[test]
fn messages_of_a_lost_connection_are_sent_again_and_delivered_once() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let mut operations = Vec::new();
    for number in 0..200 {
        let len = if number % 20 == 7 { 100_000 } else { 50 };
        operations.push(send(&mut cluster, &numbered(number, len), 60));
        cluster.run_for(millis(3));
        if number % 25 == 12 {
            cluster.break_connections("bob");
        }
    }
    cluster.run_for(seconds(30));
    assert_eq!(numbers(&cluster, "bob"), (0..200).collect::<Vec<_>>());
    for operation in operations {
        assert_eq!(cluster.outcome("ada", operation), Some(&ACKNOWLEDGED));
    }
    let again = cluster.machine("ada").stats().counters.reliable_sent_again;
    assert!(again > 0, "no connection was lost under a message");
}

#[test]
fn an_answer_that_was_lost_is_given_again_as_it_was() {
    for (status, outcome) in [
        (DeliveryStatus::Taken, ACKNOWLEDGED),
        (DeliveryStatus::Busy, Outcome::Failed(OperationError::Busy)),
    ] {
        let mut cluster = Cluster::joined(&["ada", "bob"]);
        // So that the receiver is known before.
        send(&mut cluster, b"before", 5);
        cluster.run_for(seconds(1));
        cluster.nodes.get_mut("bob").unwrap().disposes = Some(status);
        let operation = send(&mut cluster, b"once", 30);
        // The message is on its way; from now on nothing gets back.
        cluster.wire.cut_one_way("bob", "ada");
        cluster.run_for(seconds(1));
        cluster.wire.heal();
        cluster.break_connections("bob");
        // What bob would say now is not what became of the message.
        cluster.nodes.get_mut("bob").unwrap().disposes = Some(DeliveryStatus::NoReceiver);
        cluster.run_for(seconds(10));
        assert_eq!(cluster.outcome("ada", operation), Some(&outcome));
        let taken = usize::from(status == DeliveryStatus::Taken);
        assert_eq!(cluster.messages("bob").len(), 1 + taken);
        assert_eq!(cluster.machine("bob").stats().counters.reliable_repeated, 1);
    }
}

#[test]
fn a_receiver_that_restarted_gets_nothing_again() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    send(&mut cluster, b"before", 5);
    cluster.run_for(seconds(1));
    let operation = send(&mut cluster, b"while it dies", 30);
    cluster.crash("bob");
    cluster.run_for(millis(200));
    cluster.start("bob", Config::lan());
    cluster.run_for(seconds(10));
    let unknown = Outcome::Failed(OperationError::Unknown);
    assert_eq!(cluster.outcome("ada", operation), Some(&unknown));
    assert!(cluster.messages("bob").is_empty());
    let operation = send(&mut cluster, b"after", 5);
    cluster.run_for(seconds(1));
    assert_eq!(cluster.outcome("ada", operation), Some(&ACKNOWLEDGED));
}

/// Its start number tells the restart, since no answer ever did.
#[test]
fn a_receiver_that_restarted_before_its_first_answer_gets_nothing_again() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.run_for(seconds(1));
    cluster.wire.cut_one_way("bob", "ada");
    let operation = send(&mut cluster, b"once", 30);
    cluster.run_for(seconds(1));
    assert_eq!(cluster.messages("bob").len(), 1);
    // With the process its answer is gone, which the network would else bring when it is whole.
    cluster.break_connections("bob");
    cluster.crash("bob");
    cluster.wire.heal();
    cluster.start("bob", Config::lan());
    cluster.run_for(seconds(20));
    let unknown = Outcome::Failed(OperationError::Unknown);
    assert_eq!(cluster.outcome("ada", operation), Some(&unknown));
    assert!(cluster.messages("bob").is_empty());
}

#[test]
fn what_was_not_written_in_time_is_withdrawn_and_the_rest_is_unknown() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    send(&mut cluster, b"before", 5);
    cluster.run_for(seconds(1));
    cluster.wire.isolate("bob", &["ada"]);
    // As much as may be without an answer, and one more.
    let first = send(&mut cluster, b"written", 2);
    let large: Vec<_> = (0..3).map(|n| send(&mut cluster, &numbered(n, 100_000), 3)).collect();
    cluster.run_for(seconds(4));
    let unknown = Outcome::Failed(OperationError::Unknown);
    let withdrawn = Outcome::Failed(OperationError::TimedOut);
    assert_eq!(cluster.outcome("ada", first), Some(&unknown));
    assert_eq!(cluster.outcome("ada", large[1]), Some(&unknown));
    assert_eq!(cluster.outcome("ada", large[2]), Some(&withdrawn));
    cluster.wire.heal();
    let last = send(&mut cluster, b"last", 30);
    cluster.run_for(seconds(30));
    assert_eq!(cluster.outcome("ada", last), Some(&ACKNOWLEDGED));
    assert_eq!(cluster.messages("bob").last(), Some(&b"last".to_vec()));
    let withdrawn = cluster.messages("bob").into_iter().filter(|p| *p == numbered(2, 100_000));
    assert_eq!(withdrawn.count(), 0);
}

#[test]
fn a_peer_that_was_never_reached_is_reported_at_once() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.crash("bob");
    cluster.fail_dials_to("bob");
    let operation = send(&mut cluster, b"hello", 60);
    cluster.run_for(seconds(1));
    let outcome = cluster.outcome("ada", operation);
    let failed = matches!(outcome, Some(Outcome::Failed(OperationError::Unreachable(_))));
    assert!(failed, "{outcome:?}");
}

#[test]
fn more_than_may_be_without_an_answer_waits_for_the_receiver() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.nodes.get_mut("bob").unwrap().disposes = None;
    let operations: Vec<_> =
        (0..1_024).map(|n| send(&mut cluster, &numbered(n, 4_096), 60)).collect();
    cluster.run_for(seconds(2));
    // 1 MiB of them is under way.
    assert_eq!(cluster.nodes["bob"].owed.len(), 256);
    let owed = std::mem::take(&mut cluster.nodes.get_mut("bob").unwrap().owed);
    cluster.nodes.get_mut("bob").unwrap().disposes = Some(DeliveryStatus::Taken);
    for id in owed {
        cluster.tell("bob", |machine, now| machine.acknowledge(id, DeliveryStatus::Taken, now));
    }
    cluster.run_for(seconds(10));
    assert_eq!(numbers(&cluster, "bob"), (256..1_024).collect::<Vec<_>>());
    for operation in operations {
        assert_eq!(cluster.outcome("ada", operation), Some(&ACKNOWLEDGED));
    }
}

#[test]
fn with_a_key_messages_are_sealed_and_others_are_refused() {
    let key = |byte: u8| SecretKey::try_from(&[byte; 32][..]).unwrap();
    let mut keyed = Config::lan();
    keyed.keys = vec![key(1)];
    let mut cluster = Cluster::joined_with(&["ada", "bob"], &keyed);
    let operation = send(&mut cluster, b"secret", 5);
    let large = send(&mut cluster, &numbered(1, 100_000), 5);
    cluster.run_for(seconds(1));
    assert_eq!(cluster.outcome("ada", operation), Some(&ACKNOWLEDGED));
    assert_eq!(cluster.outcome("ada", large), Some(&ACKNOWLEDGED));
    assert_eq!(cluster.messages("bob"), [b"secret".to_vec(), numbered(1, 100_000)]);

    // Ada turns to a key that bob does not have.
    cluster.tell("ada", |machine, _| {
        machine.add_key(&key(2)).unwrap();
        machine.use_key(&key(2)).unwrap();
    });
    let operation = send(&mut cluster, b"unreadable", 5);
    cluster.run_for(seconds(1));
    let outcome = cluster.outcome("ada", operation);
    let refused = matches!(outcome, Some(Outcome::Failed(OperationError::PeerRefused(_))));
    assert!(refused, "{outcome:?}");
    assert_eq!(cluster.messages("bob").len(), 2);
}

#[test]
fn a_leave_withdraws_what_was_not_written() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.nodes.get_mut("bob").unwrap().disposes = None;
    let written = send(&mut cluster, b"written", 30);
    let large: Vec<_> = (0..3).map(|n| send(&mut cluster, &numbered(n, 100_000), 30)).collect();
    cluster.run_for(millis(500));
    cluster.tell("ada", |machine, now| machine.leave(now));
    let left = Outcome::Failed(OperationError::HasLeft);
    assert_eq!(cluster.outcome("ada", large[2]), Some(&left));
    assert_eq!(cluster.outcome("ada", written), None);
    let owed = std::mem::take(&mut cluster.nodes.get_mut("bob").unwrap().owed);
    for id in owed {
        cluster.tell("bob", |machine, now| machine.acknowledge(id, DeliveryStatus::Taken, now));
    }
    cluster.run_for(millis(500));
    assert_eq!(cluster.outcome("ada", written), Some(&ACKNOWLEDGED));
}

#[test]
fn streams_without_traffic_are_finished() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    send(&mut cluster, b"one", 5);
    send(&mut cluster, &numbered(1, 100_000), 5);
    cluster.run_for(seconds(1));
    let streams = |cluster: &Cluster, who| cluster.machine(who).stats().streams;
    assert_eq!((streams(&cluster, "ada"), streams(&cluster, "bob")), (1, 1));
    cluster.run_for(seconds(6));
    assert_eq!((streams(&cluster, "ada"), streams(&cluster, "bob")), (0, 0));
}

//! Calls that queue and return: their receipts, and what is carried out without them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/silence.rs"]
mod silence;

use std::time::Duration;

use common::{PATIENCE, Participants, alive, eventually, hear};
use silence::silence;
use swim_quic::{
    BroadcastError, Cluster, CommandError, DeliveryReport, Event, SendDatagramError, SendError,
    Subscription,
};

const SECOND: Duration = Duration::from_secs(1);

fn pair() -> (Cluster, Cluster) {
    let mut members = Participants::new().cluster(&["ada", "bob"]);
    let bob = members.pop().unwrap();
    (members.pop().unwrap(), bob)
}

fn hear_message(events: &Subscription) -> Vec<u8> {
    hear("a message", events, |event| {
        if let Event::Message { payload, .. } = event { Some(payload.to_vec()) } else { None }
    })
}

#[test]
fn one_thread_has_many_messages_under_way_and_they_arrive_in_order() {
    let (ada, bob) = pair();
    let events = bob.subscribe();
    let receipts: Vec<_> = (0..100_u8)
        .map(|number| ada.queue_reliable("bob", vec![number; 1_000], PATIENCE))
        .collect();
    for number in 0..100 {
        assert_eq!(hear_message(&events), vec![number; 1_000]);
    }
    for mut receipt in receipts {
        assert_eq!(receipt.wait(PATIENCE), Some(Ok(DeliveryReport::Acknowledged)));
        assert_eq!(receipt.wait(PATIENCE), None, "it was handed out");
    }
}

#[test]
fn what_was_queued_is_carried_out_without_its_receipt() {
    let (ada, bob) = pair();
    let events = bob.subscribe();
    let datagrams = bob.listen_datagrams("note").unwrap();
    drop(ada.queue_reliable("bob", "reliable", PATIENCE));
    assert_eq!(hear_message(&events), b"reliable");
    drop(ada.queue_send("bob", "sent"));
    assert_eq!(hear_message(&events), b"sent");
    drop(ada.queue_broadcast("to all"));
    assert_eq!(hear_message(&events), b"to all");
    drop(ada.queue_datagram("bob", "note", "datagram"));
    assert_eq!(datagrams.recv_timeout(PATIENCE).unwrap().payload, b"datagram");
    eventually("no receipt is waited for", || ada.stats().unwrap().pending_calls == 0);
}

#[test]
fn a_receipt_says_why_not() {
    let (ada, bob) = pair();
    let name = |error: SendError| matches!(error, SendError::UnknownMember(_));
    assert!(ada.queue_send("cyd", "x").wait(PATIENCE).unwrap().is_err_and(name));
    assert!(ada.queue_reliable("cyd", "x", SECOND).wait(PATIENCE).unwrap().is_err_and(name));
    let refused = ada.queue_reliable("bob", "x", SECOND).wait(PATIENCE);
    assert_eq!(refused, Some(Err(SendError::NoReceiver)));
    let refused = ada.queue_broadcast(vec![0; 70_000]).wait(PATIENCE).unwrap();
    assert!(matches!(refused, Err(BroadcastError::TooLarge { .. })), "{refused:?}");
    let refused = ada.queue_datagram("bob", "", "x").wait(PATIENCE);
    assert_eq!(refused, Some(Err(SendDatagramError::Protocol)));
    bob.close(SECOND);
    let refused = bob.queue_send("ada", "x").wait(PATIENCE);
    assert_eq!(refused, Some(Err(SendError::Command(CommandError::Closed))));
}

#[test]
fn a_receipt_that_is_not_there_yet_can_be_waited_for_again() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("they meet", || [&ada, &bob].iter().all(|one| alive(one).len() == 2));
    // Nobody answers there, so that the message is withdrawn at its timeout.
    let _silent = silence(bob);
    ada.disconnect("bob").unwrap();
    let mut receipt = ada.queue_reliable("bob", "x", SECOND);
    assert_eq!(receipt.wait(Duration::from_millis(50)), None);
    let ended = receipt.wait(PATIENCE).expect("its timeout passes");
    assert!(ended.is_err(), "{ended:?}");
}

/// More bytes one after the other than may be under way at once.
#[test]
fn what_has_been_delivered_makes_room() {
    const LONG: usize = 19 << 20;
    let (ada, bob) = pair();
    let events = bob.subscribe();
    for _ in 0..8 {
        let mut receipt = ada.queue_reliable("bob", vec![7; LONG], PATIENCE);
        assert_eq!(hear_message(&events).len(), LONG);
        assert_eq!(receipt.wait(PATIENCE), Some(Ok(DeliveryReport::Acknowledged)));
    }
}

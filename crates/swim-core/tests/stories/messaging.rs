//! What applications say to each other.

use std::sync::{Arc, Mutex};

use swim_core::{
    DeliveryReport, Hooks, MemberName, MembershipEvent, OperationError, Outcome, SendRefusal,
    StateSender, WarningKind,
};

use crate::harness::{Cluster, name, seconds};

const ACKNOWLEDGED: Outcome = Outcome::Delivered(DeliveryReport::Acknowledged);

#[test]
fn messages_arrive_in_the_order_they_were_sent_with_their_sender() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    for text in ["one", "two", "three"] {
        cluster
            .tell("ada", |machine, now| machine.send(&name("bob"), text.as_bytes(), now))
            .unwrap();
    }
    cluster.run_for(seconds(1));
    assert_eq!(cluster.messages("bob"), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
    assert!(cluster.events("bob").any(|event| matches!(
        event,
        MembershipEvent::Message { from: Some(from), reliable: false, .. } if *from == name("ada")
    )));
}

#[test]
fn an_unverified_sender_is_named_by_its_address() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    cluster.wire.unverified = true;
    cluster.tell("ada", |machine, now| machine.send(&name("bob"), b"hello", now)).unwrap();
    cluster.run_for(seconds(1));
    assert!(cluster.events("bob").any(|event| matches!(
        event,
        MembershipEvent::Message { from: Some(from), .. } if *from == name("ada")
    )));
}

#[test]
fn a_reliable_message_is_delivered_or_known_not_to_be() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let long = vec![7; 300_000];
    let send = |cluster: &mut Cluster| {
        let (to, long) = (name("bob"), long.clone());
        cluster
            .tell("ada", |machine, now| machine.send_reliable(&to, &long, seconds(2), now).unwrap())
    };
    let operation = send(&mut cluster);
    cluster.run_for(seconds(1));
    assert_eq!(cluster.outcome("ada", operation), Some(&ACKNOWLEDGED));
    assert_eq!(cluster.messages("bob"), std::slice::from_ref(&long));

    cluster.crash("bob");
    let operation = send(&mut cluster);
    cluster.run_for(seconds(3));
    // It was written on a connection whose other end is gone.
    let unknown = Outcome::Failed(OperationError::Unknown);
    assert_eq!(cluster.outcome("ada", operation), Some(&unknown));
}

#[test]
fn impossible_sends_are_refused() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let send = |cluster: &mut Cluster, to: &str, len: usize| {
        cluster.tell("ada", |machine, now| machine.send(&name(to), &vec![0; len], now))
    };
    assert_eq!(send(&mut cluster, "zoe", 1), Err(SendRefusal::UnknownMember(name("zoe"))));
    assert!(matches!(send(&mut cluster, "bob", 70_000), Err(SendRefusal::TooLarge { .. })));
    assert_eq!(send(&mut cluster, "bob", 65_000), Ok(()));
    cluster.tell("bob", |machine, now| machine.leave(now));
    cluster.run_for(seconds(1));
    assert_eq!(send(&mut cluster, "bob", 1), Err(SendRefusal::NotAlive(name("bob"))));
}

#[test]
fn a_ping_measures_the_way_there_and_back() {
    let mut cluster = Cluster::joined(&["ada", "bob"]);
    let operation = cluster.tell("ada", |machine, now| machine.ping(&name("bob"), now)).unwrap();
    cluster.run_for(seconds(1));
    let Some(Outcome::Pong { rtt }) = cluster.outcome("ada", operation) else { panic!() };
    assert_eq!(rtt.as_millis(), 2);
    cluster.crash("bob");
    let operation = cluster.tell("ada", |machine, now| machine.ping(&name("bob"), now)).unwrap();
    cluster.run_for(seconds(1));
    assert_eq!(cluster.outcome("ada", operation), Some(&Outcome::Failed(OperationError::TimedOut)));
}

#[test]
fn metadata_spread_and_too_much_of_it_is_refused() {
    let mut cluster = Cluster::joined(&["ada", "bob", "cyd"]);
    cluster.tell("bob", |machine, now| machine.set_meta(b"role=db".to_vec(), now)).unwrap();
    cluster.run_until(seconds(3), |cluster| {
        ["ada", "cyd"].iter().all(|who| cluster.view(who, "bob").unwrap().meta() == b"role=db")
    });
    assert_eq!(cluster.incarnation("ada", "bob"), 2);
    assert!(cluster.events("ada").any(|event| matches!(event, MembershipEvent::Updated(_))));
    assert!(cluster.tell("bob", |machine, now| machine.set_meta(vec![0; 513], now)).is_err());
}

#[test]
fn acks_and_exchanges_carry_the_applications_bytes() {
    let mut cluster = Cluster::of(&["ada", "bob"]);
    cluster.tell("ada", |machine, _| machine.set_ack_payload(b"load=3".to_vec())).unwrap();
    cluster.tell("ada", |machine, _| machine.set_user_state(b"state".to_vec())).unwrap();
    cluster.join("bob", "ada");
    cluster.run_for(seconds(5));
    assert!(cluster.events("bob").any(|event| matches!(
        event,
        MembershipEvent::ProbeAnswered { payload, .. } if payload == b"load=3"
    )));
    assert!(cluster.events("bob").any(|event| matches!(
        event,
        MembershipEvent::RemoteState { state, join: true, .. } if state == b"state"
    )));
    assert!(cluster.tell("ada", |machine, _| machine.set_ack_payload(vec![0; 513])).is_err());
}

/// Who sent a state, whether in a join, and the state.
type Merged = (Option<MemberName>, bool, Vec<u8>);

/// Numbers the states that it gives, and keeps those that it gets.
#[derive(Clone, Default)]
struct Numbering {
    given: Arc<Mutex<usize>>,
    merged: Arc<Mutex<Vec<Merged>>>,
}

impl Hooks for Numbering {
    fn local_state(&mut self, join: bool) -> Option<Vec<u8>> {
        let mut given = self.given.lock().unwrap();
        *given += 1;
        Some(format!("{given}, join {join}").into_bytes())
    }

    fn merge_remote_state(&mut self, state: &[u8], join: bool, from: StateSender<'_>) {
        let merged = (from.name.cloned(), join, state.to_vec());
        self.merged.lock().unwrap().push(merged);
    }
}

#[test]
fn the_application_is_asked_for_each_state_and_gets_the_peers() {
    let mut cluster = Cluster::of(&["ada", "bob"]);
    let (ada, bob) = (Numbering::default(), Numbering::default());
    for (who, hooks) in [("ada", &ada), ("bob", &bob)] {
        let hooks = Box::new(hooks.clone());
        cluster.tell(who, |machine, _| machine.set_hooks(hooks));
    }
    cluster.join("bob", "ada");
    cluster.run_for(seconds(60));
    let of_join = |who: &Numbering| who.merged.lock().unwrap()[0].clone();
    let state = |text: &str| text.as_bytes().to_vec();
    assert_eq!(of_join(&ada), (Some(name("bob")), true, state("1, join true")));
    assert_eq!(of_join(&bob), (Some(name("ada")), true, state("1, join true")));
    let later = bob.merged.lock().unwrap()[1].clone();
    assert_eq!(later, (Some(name("ada")), false, state("2, join false")));
}

/// Gives more than a push-pull carries.
struct Oversized;

impl Hooks for Oversized {
    fn local_state(&mut self, _: bool) -> Option<Vec<u8>> {
        Some(vec![1; 10 * 1024 * 1024 + 1])
    }
}

#[test]
fn a_state_that_is_too_long_is_left_out_and_said() {
    let mut cluster = Cluster::of(&["ada", "bob"]);
    cluster.tell("ada", |machine, _| machine.set_hooks(Box::new(Oversized)));
    let operation = cluster.join("bob", "ada");
    cluster.run_for(seconds(1));
    assert_eq!(cluster.outcome("bob", operation), Some(&Outcome::Joined));
    let is_state = |event: &MembershipEvent| matches!(event, MembershipEvent::RemoteState { .. });
    assert!(!cluster.events("bob").any(is_state));
    assert!(cluster.events("ada").any(|event| matches!(
        event,
        MembershipEvent::Warning { kind: WarningKind::Overload, detail, .. }
            if detail.contains("10485761") && detail.contains("local_state")
    )));
    let long = vec![1; 10 * 1024 * 1024 + 1];
    assert!(cluster.tell("bob", |machine, _| machine.set_user_state(long)).is_err());
}

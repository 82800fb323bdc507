//! Which addresses a member tries, for how long, and which one it announces.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{PATIENCE, Participants, alive, eventually, hear};
use swim_quic::{Event, Subscription};

/// An address at which nobody is.
fn free_address() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Whether a seed is tried within so long; of those that were tried before nothing is left.
fn is_tried_within(events: &Subscription, time: Duration) -> bool {
    events.try_iter().for_each(drop);
    let rest = std::iter::from_fn(|| events.recv_timeout(time).ok());
    rest.into_iter().any(|event| matches!(event, Event::Seed { .. }))
}

#[test]
fn a_join_is_tried_until_somebody_is_there_and_its_address_is_forgotten() {
    let participants = Participants::new();
    let ada = participants.cluster(&["ada"]).remove(0);
    let events = ada.subscribe();
    let address = free_address();
    let joining = std::thread::spawn({
        let (ada, address) = (ada.clone(), address.clone());
        move || ada.join([address], PATIENCE)
    });
    eventually("a first try has failed", || {
        ada.stats().unwrap().membership.counters.exchanges_failed > 0
    });
    let bob = participants.member("bob").bind(address).start().unwrap();
    assert_eq!(joining.join().unwrap().unwrap().joined, 1);
    eventually("ada sees bob", || alive(&ada) == ["ada", "bob"]);
    drop(bob);
    hear("bob is missed", &events, |event| match event {
        Event::Failed { .. } => Some(()),
        _ => None,
    });
    assert!(!is_tried_within(&events, Duration::from_secs(3)), "only seeds are tried again");
}

#[test]
fn seeds_are_tried_until_they_are_forgotten_or_replaced() {
    let participants = Participants::new();
    let bob = participants.member("bob").start().unwrap();
    let nobody = free_address();
    let ada = participants.member("ada").seeds([nobody.clone()]).start().unwrap();
    let events = ada.subscribe();
    assert!(is_tried_within(&events, PATIENCE));
    assert!(ada.forget_seed(&format!("whoever/{nobody}")).unwrap());
    assert!(!ada.forget_seed(&nobody).unwrap(), "it is forgotten already");
    // What is under way ends within the deadline of a dial.
    is_tried_within(&events, Duration::from_secs(4));
    assert!(!is_tried_within(&events, Duration::from_secs(4)));
    ada.set_seeds([bob.address().to_string()]).unwrap();
    eventually("ada joins bob", || alive(&ada) == ["ada", "bob"]);
}

#[test]
fn the_address_to_announce_is_found_in_a_network_or_at_an_interface() {
    let participants = Participants::new();
    let ada = participants.member("ada").bind("0.0.0.0:0").advertise("127.0.0.0/8");
    let ada = ada.start().unwrap();
    let own = ada.address();
    assert!(own.ip().is_loopback() && own.port() != 0, "{own}");
    ada.set_advertise("192.0.2.7").unwrap();
    eventually("another one is announced", || {
        ada.address().to_string() == format!("192.0.2.7:{}", own.port())
    });
    // Nothing replaces an address that was given.
    let events = ada.subscribe();
    let warned = std::iter::from_fn(|| events.recv_timeout(Duration::from_secs(3)).ok())
        .any(|event| matches!(event, Event::Warning { what, .. } if what == "address changed"));
    assert!(!warned);
    ada.set_advertise("lo").unwrap();
    eventually("the interface's is announced", || ada.address() == own);
}

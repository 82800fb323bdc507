//! What the Go transport package gets wrong under measurement, and ours must not: each story is
//! one of its faults, with real members over real sockets. docs/ARCHITECTURE.md lists them all.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

mod common;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use common::{Participants, alive, eventually, hear};
use swim_quic::{Event, Identity};

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_member_that_restarts_at_once_is_reached_at_once() {
    let participants = Participants::new();
    let mut members = participants.cluster(&["ada", "bob"]);
    let bob = members.pop().unwrap();
    let ada = members.pop().unwrap();
    let (address, seed) = (bob.address().to_string(), ada.address().to_string());
    let events = ada.subscribe();
    ada.ping("bob", SECOND).unwrap();
    drop(bob);
    let mut bob = None;
    eventually("the port is free again", || {
        bob = participants.member("bob").bind(address.clone()).seeds([seed.clone()]).start().ok();
        bob.is_some()
    });
    let restarted = now();
    eventually("bob answers", || ada.ping("bob", Duration::from_millis(200)).is_ok());
    let deaf = restarted.elapsed();
    assert!(deaf < 5 * SECOND, "bob was out of reach for {deaf:?}");
    eventually("both see both", || alive(&ada) == ["ada", "bob"]);
    let failed = events.try_iter().any(|event| matches!(event, Event::Failed { .. }));
    assert!(!failed || deaf > SECOND, "bob was declared dead though he was back at once");
}

#[test]
fn two_thousand_exchanges_leak_no_stream_credit() {
    let members = Participants::new().cluster(&["ada", "bob"]);
    let events = members[1].subscribe();
    let before = members[0].stats().unwrap().transport;
    for number in 0..2_000_u32 {
        // Long enough for a stream of its own.
        members[0].send_reliable("bob", vec![7; 65_537], 10 * SECOND).unwrap();
        let heard = events.try_iter().filter(|event| matches!(event, Event::Message { .. }));
        assert_eq!(heard.count(), 1, "message {number}");
    }
    let after = members[0].stats().unwrap().transport;
    assert_eq!((after.dials, after.credit_replacements), (before.dials, 0));
}

#[test]
fn an_unreachable_member_delays_nobody() {
    let mut members = Participants::new().cluster(&["ada", "bob", "cyd"]);
    drop(members.pop());
    let [ada, bob] = &members[..] else { panic!("two are left") };
    let events = ada.subscribe();
    let (begin, mut slowest_send, mut slowest_ping) = (now(), Duration::ZERO, Duration::ZERO);
    let mut dead = false;
    // Bob is asked to ping cyd for ada meanwhile, and answers ada all the same.
    while !dead || begin.elapsed() < 2 * SECOND {
        for _ in 0..4 {
            let asked = now();
            // Refused once cyd is known to be dead.
            let _ = ada.send("cyd", "are you there?");
            slowest_send = slowest_send.max(asked.elapsed());
        }
        for (from, to) in [(ada, "bob"), (bob, "ada")] {
            slowest_ping = slowest_ping.max(from.ping(to, 5 * SECOND).unwrap());
        }
        dead |= events.try_iter().any(|event| matches!(event, Event::Failed { .. }));
        assert!(begin.elapsed() < 30 * SECOND, "cyd is never declared dead");
    }
    assert!(slowest_send < SECOND, "a send took {slowest_send:?}");
    assert!(slowest_ping < SECOND, "a ping took {slowest_ping:?}");
}

#[test]
fn certificates_need_no_address_to_join_by_address() {
    let participants = Participants::new();
    let nameless = |name: &str| {
        let issued = participants.authority.issue(name, &[], 30 * 24 * 3_600 * SECOND).unwrap();
        Identity::from_pem(
            participants.authority.certificate_pem().as_bytes(),
            issued.certificate_pem.as_bytes(),
            issued.key_pem.as_bytes(),
        )
        .unwrap()
    };
    let ada = participants.member("ada").identity(nameless("ada")).start().unwrap();
    let bob = participants.member("bob").identity(nameless("bob")).start().unwrap();
    assert_eq!(bob.join([ada.address().to_string()], 10 * SECOND).unwrap().joined, 1);
    eventually("both see both", || alive(&ada) == ["ada", "bob"] && alive(&bob) == alive(&ada));
}

#[test]
fn a_certificate_speaks_for_its_own_name_only() {
    let participants = Participants::new();
    let members = participants.cluster(&["ada", "bob"]);
    let events = members[0].subscribe();
    // Mallory has a certificate of the cluster, and a program that does not check its own name.
    let mallory = participants
        .member("bobby")
        .identity(participants.identity("mallory"))
        .name_policy(swim_quic::NamePolicy::Any)
        .start()
        .unwrap();
    assert!(mallory.join([members[0].address().to_string()], 2 * SECOND).is_err());
    assert_eq!(alive(&members[0]), ["ada", "bob"]);
    assert!(!events.try_iter().any(|event| matches!(event, Event::Joined(_))));
}

#[test]
fn the_socket_goes_with_the_last_handle() {
    let participants = Participants::new();
    for closed in [true, false] {
        let members = participants.cluster(&["ada", "bob"]);
        let events = members[1].subscribe();
        let address = members[0].address();
        UdpSocket::bind(address).unwrap_err();
        if closed {
            members[0].leave(5 * SECOND).unwrap();
            members[0].close(SECOND);
            hear("bob hears of the leave", &events, |event| match event {
                Event::Left(_) => Some(()),
                _ => None,
            });
        }
        drop(members);
        eventually("the port is free", || UdpSocket::bind(address).is_ok());
    }
}

//! The pool as a service sees it: connections looked at, warmed up and cut, its bounds, and raw
//! datagrams on the same port.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

mod common;

use std::time::Duration;

use common::{PATIENCE, Participants, alive, eventually, hear};
use swim_quic::{ConnectError, ConnectionError, Event, Limits, MemberName, RawDatagram, RawError};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_connection_is_looked_at_cut_and_dialed_anew() {
    let members = Participants::new().cluster(&["ada", "bob"]);
    let [ada, bob] = members.as_slice() else { panic!("a cluster of two") };
    let first = ada.connect("bob", 5 * SECOND).unwrap();
    assert_eq!((first.address, first.names.as_slice()), (bob.address(), &[name("bob")][..]));
    assert_eq!(first.protocol, "swim-quic/1");
    assert!(first.preferred);
    eventually("it ages", || ada.connection("bob").unwrap().unwrap().age > SECOND / 5);

    assert!(ada.disconnect("bob").unwrap() >= 1);
    let again = ada.connect("bob", 5 * SECOND).unwrap();
    assert!(again.age < SECOND / 5, "{:?} is no new connection", again.age);
    assert_eq!(ada.connection("bob").unwrap().unwrap().address, bob.address());
    assert_eq!(alive(ada), ["ada", "bob"], "a cut connection is nobody's death");
}

#[test]
fn whoever_cannot_be_connected_to_is_an_error_in_time() {
    let mut members = Participants::new().cluster(&["ada", "bob"]);
    let bob = members.pop().unwrap();
    let ada = members.pop().unwrap();
    let error = ada.connect("cyd", SECOND).unwrap_err();
    assert_eq!(error, ConnectError::UnknownMember(name("cyd")));
    let unknown = ConnectionError::UnknownMember(name("cyd"));
    assert_eq!(ada.connection("cyd").unwrap_err(), unknown);
    assert_eq!(ada.disconnect("cyd").unwrap_err(), unknown);
    assert_eq!(ada.connect("ada", SECOND).unwrap_err(), ConnectError::OwnName(name("ada")));

    drop(bob);
    ada.disconnect("bob").unwrap();
    let error = ada.connect("bob", 10 * SECOND).unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)), "{error}");
}

#[test]
fn limits_hold_and_those_that_cannot_work_are_refused_at_the_start() {
    let participants = Participants::new();
    let mut limits = Limits::default();
    limits.connections = 0;
    let error = participants.member("ada").limits(limits).start().unwrap_err().to_string();
    assert!(error.contains("connections = 0 does not work"), "{error}");

    let mut limits = Limits::default();
    limits.max_idle_connections = 0;
    limits.sweep_interval = SECOND / 10;
    let mut quiet = common::quick();
    quiet.probe_interval = Duration::ZERO;
    let ada = participants.member("ada").limits(limits).config(quiet).start().unwrap();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("they meet", || alive(&ada).len() == 2 && alive(&bob).len() == 2);
    bob.close(SECOND);
    let dan = participants.member("dan").start().unwrap();
    ada.join([dan.address().to_string()], 5 * SECOND).unwrap();
    drop(dan);
    eventually("idle connections go", || ada.stats().unwrap().transport.idle_limit_closed > 0);
}

/// Two members that know only each other's address open a way for QUIC with raw datagrams.
#[test]
fn raw_datagrams_pass_on_the_port_that_quic_dials_from() {
    let participants = Participants::new();
    let [ada, bob] = ["ada", "bob"].map(|name| participants.member(name).start().unwrap());
    let [adas, bobs] = [&ada, &bob].map(|member| member.raw_socket().unwrap());

    adas.send_to(b"\x00punch", bob.address()).unwrap();
    let received = bobs.incoming().recv_timeout(PATIENCE).unwrap();
    assert_eq!(received, RawDatagram { from: ada.address(), payload: b"\x00punch".to_vec() });
    bobs.send_to(b"\x01back", received.from).unwrap();
    assert_eq!(adas.incoming().recv_timeout(PATIENCE).unwrap().payload, b"\x01back");

    let events = bob.subscribe();
    ada.join([bob.address().to_string()], 5 * SECOND).unwrap();
    hear("they are one cluster", &events, |event| match event {
        Event::Joined(member) if member.name().as_bytes() == b"ada" => Some(()),
        _ => None,
    });

    let cyd = participants.member("cyd").start().unwrap();
    adas.send_to(b"\x00nobody listens", cyd.address()).unwrap();
    eventually("it is counted", || cyd.stats().unwrap().raw_datagrams_dropped == 1);

    assert_eq!(adas.send_to(b"", bob.address()), Err(RawError::FirstByte));
    assert_eq!(adas.send_to(b"\x40quic", bob.address()), Err(RawError::FirstByte));
    assert_eq!(
        adas.send_to(&[0; 1_201], bob.address()),
        Err(RawError::TooLarge { len: 1_201, limit: 1_200 })
    );
    adas.send_to(&[0; 1_200], bob.address()).unwrap();
    assert_eq!(bobs.incoming().recv_timeout(PATIENCE).unwrap().payload.len(), 1_200);
}

fn name(name: &str) -> MemberName {
    MemberName::try_from(name).unwrap()
}

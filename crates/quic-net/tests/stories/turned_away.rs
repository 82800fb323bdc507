//! Whoever does not belong gets nowhere, and both sides learn which rule it was.

use std::time::{Duration, SystemTime};

use crate::world::{World, authority, config, identity, now};
use boring::ssl::{SslContextBuilder, SslMethod, SslVerifyMode, SslVersion};
use certs::{Authority, Identity};
use quic_net::{CloseReason, Endpoint, EndpointEvent, Refusal, SendFailure, StreamError};

const ADA: usize = 0;
const EVE: usize = 1;
const DAY: Duration = Duration::from_secs(86_400);

/// Eve dials Ada and is turned away; the kinds of refusal that both were told.
fn turned_away(world: &mut World) -> (Refusal, Refusal) {
    world.send(EVE, ADA, b"let me in");
    world.run_until("a refusal on both sides", |world| {
        world.actors.iter().all(|actor| refusal(&actor.events).is_some())
    });
    assert!(world.actors[ADA].packets().is_empty());
    let connected = |event: &EndpointEvent| matches!(event, EndpointEvent::Connected { .. });
    let failed = |event: &EndpointEvent| matches!(event, EndpointEvent::SendFailed { .. });
    assert_eq!(world.actors[ADA].count(connected) + world.actors[EVE].count(connected), 0);
    assert_eq!(world.actors[EVE].count(failed), 1, "{}", world.story());
    let told = |actor: usize| refusal(&world.actors[actor].events).unwrap();
    for actor in [ADA, EVE] {
        let stats = world.actors[actor].endpoint.stats();
        assert_eq!(stats.refusals.get(&told(actor)), Some(&1), "counted under its name");
        assert_eq!(stats.connections, 0);
    }
    (told(ADA), told(EVE))
}

fn refusal(events: &[EndpointEvent]) -> Option<Refusal> {
    events.iter().find_map(|event| match event {
        EndpointEvent::Refused { what, .. } => Some(*what),
        _ => None,
    })
}

fn detail(world: &World, actor: usize) -> &str {
    world.actors[actor]
        .events
        .iter()
        .find_map(|event| match event {
            EndpointEvent::Refused { detail, .. } => Some(detail.as_str()),
            _ => None,
        })
        .unwrap()
}

/// Ada's world with an Eve of another kind.
fn with_eve(eve: &Identity) -> World {
    let mut world = World::new(&["ada"]);
    world.add("eve", config(eve, "eve"), eve);
    world
}

#[test]
fn client_without_certificate() {
    let mut world = World::new(&["ada", "eve"]);
    let mut bare = SslContextBuilder::new(SslMethod::tls()).unwrap();
    bare.set_min_proto_version(Some(SslVersion::TLS1_3)).unwrap();
    bare.set_verify(SslVerifyMode::NONE);
    world.actors[EVE].endpoint.replace_tls(bare, unnamed(), now()).unwrap();
    assert_eq!(turned_away(&mut world), (Refusal::NoCertificate, Refusal::NoCertificate));
    assert!(detail(&world, ADA).starts_with("we refused the peer"), "{}", detail(&world, ADA));
    assert!(detail(&world, EVE).starts_with("the peer refused us"), "{}", detail(&world, EVE));
}

#[test]
fn certificate_of_another_authority() {
    let other = Authority::generate("elsewhere", DAY).unwrap();
    let mut world = with_eve(&identity(&other, "eve"));
    assert_eq!(turned_away(&mut world), (Refusal::UnknownAuthority, Refusal::UnknownAuthority));
    // Eve is the dialer and sees Ada's certificate first.
    assert!(detail(&world, EVE).starts_with("we refused the peer"));
}

#[test]
fn forger_who_trusts_everybody_is_still_refused() {
    let other = Authority::generate("elsewhere", DAY).unwrap();
    let eve = identity(&other, "eve");
    let mut world = with_eve(&eve);
    let mut tls = certs::tls_context(&eve, &eve.trust()).unwrap();
    tls.set_verify(SslVerifyMode::NONE);
    world.actors[EVE].endpoint.replace_tls(tls, unnamed(), now()).unwrap();
    assert_eq!(turned_away(&mut world), (Refusal::UnknownAuthority, Refusal::UnknownAuthority));
    assert!(detail(&world, ADA).starts_with("we refused the peer"));
}

#[test]
fn expired_certificate() {
    let then = SystemTime::UNIX_EPOCH + 19_000 * DAY;
    let issued = authority_then(then).issue_at("eve", &[], DAY, then).unwrap();
    let eve = Identity::from_pem_at(
        authority_then(then).certificate_pem().as_bytes(),
        issued.certificate_pem.as_bytes(),
        issued.key_pem.as_bytes(),
        then,
    )
    .unwrap();
    let mut world = World::empty();
    world.add("ada", config(&trusting_old(), "ada"), &trusting_old());
    world.add("eve", config(&eve, "eve"), &eve);
    assert_eq!(turned_away(&mut world), (Refusal::Expired, Refusal::Expired));
    assert!(detail(&world, ADA).contains("expired"));
}

#[test]
fn certificate_of_tomorrow() {
    let tomorrow = SystemTime::UNIX_EPOCH + 60_000 * DAY;
    let authority =
        Authority::generate_at("patient", 80_000 * DAY, tomorrow - 50_000 * DAY).unwrap();
    let issued = authority.issue_at("eve", &[], DAY, tomorrow).unwrap();
    let eve = Identity::from_pem_at(
        authority.certificate_pem().as_bytes(),
        issued.certificate_pem.as_bytes(),
        issued.key_pem.as_bytes(),
        tomorrow,
    )
    .unwrap();
    let ada = identity(&authority, "ada");
    let mut world = World::empty();
    world.add("ada", config(&ada, "ada"), &ada);
    world.add("eve", config(&eve, "eve"), &eve);
    assert_eq!(turned_away(&mut world), (Refusal::Expired, Refusal::Expired));
    assert!(detail(&world, ADA).contains("not yet valid"), "{}", detail(&world, ADA));
}

#[test]
fn no_common_protocol() {
    let mut world = World::new(&["ada"]);
    let eve = identity(authority(), "eve");
    let mut foreign = config(&eve, "eve");
    foreign.extended_protocol = b"h3".to_vec();
    foreign.classic_protocol = b"h2".to_vec();
    world.add("eve", foreign, &eve);
    assert_eq!(turned_away(&mut world), (Refusal::ProtocolMismatch, Refusal::ProtocolMismatch));
}

#[test]
fn other_label() {
    let eve = identity(authority(), "eve");
    let mut labelled = config(&eve, "eve");
    labelled.label = b"staging".to_vec();
    let mut world = World::new(&["ada"]);
    world.add("eve", labelled, &eve);
    assert_eq!(turned_away(&mut world), (Refusal::LabelMismatch, Refusal::LabelMismatch));
}

#[test]
fn right_certificate_under_another_name_is_not_whom_we_meant() {
    let mut world = World::new(&["ada", "bob"]);
    let bob = world.address(1);
    let ada = &mut world.actors[0].endpoint;
    ada.send_packet(bob, Some(b"cyd"), b"for cyd only", now());
    let stream = world.open_at(0, bob, Some(b"cyd"));
    world.actors[0].endpoint.send_packet(bob, Some(b"bob"), b"for bob", now());
    world.run_until("bob's packet", |world| world.actors[1].packets() == [b"for bob"]);
    let packet = EndpointEvent::SendFailed { to: bob, reason: SendFailure::NameMismatch };
    let opened = EndpointEvent::StreamFailed { stream, reason: StreamError::NameMismatch };
    for expected in [packet, opened] {
        assert_eq!(world.actors[0].count(|event| *event == expected), 1, "{}", world.story());
    }
    world.actors[0].endpoint.send_packet(bob, Some(b"cyd"), b"again", now());
    world.run_until("the second failure", |world| {
        let mismatch = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::SendFailed { reason: SendFailure::NameMismatch, .. })
        };
        world.actors[0].count(mismatch) == 2
    });
}

#[test]
fn reserved_first_bytes_stay_off_the_classic_protocol() {
    let mut world = World::new(&["ada"]);
    let go = identity(authority(), "go");
    let mut classic = config(&go, "go");
    classic.extended_protocol = b"unknown/1".to_vec();
    world.add("go", classic, &go);
    let go = world.address(1);
    world.actors[0].endpoint.send_packet(go, None, b"\xF5\x02hi", now());
    world.actors[0].endpoint.send_packet(go, None, b"plain", now());
    world.run_until("the plain packet", |world| world.actors[1].packets() == [b"plain"]);
    let refused = EndpointEvent::SendFailed { to: go, reason: SendFailure::ClassicPeer };
    assert_eq!(world.actors[0].count(|event| *event == refused), 1);

    let stream = world.open(0, 1);
    world.actors[0].endpoint.write(stream, b"\xF5\x02hi", true).unwrap();
    world.carry();
    let refused = EndpointEvent::StreamFailed { stream, reason: StreamError::ClassicPeer };
    assert_eq!(world.actors[0].count(|event| *event == refused), 1);
    assert!(world.actors[1].opened().is_empty());
}

#[test]
fn application_bytes_are_told_apart_on_the_extended_protocol() {
    let mut world = World::new(&["ada", "bob"]);
    world.send(0, 1, b"\xF5\x02hi");
    world.send(0, 1, b"\xF6\x09unknown");
    let stream = world.open(0, 1);
    world.actors[0].endpoint.write(stream, b"\xF5\x02hi", true).unwrap();
    world.run_until("packet and stream", |world| {
        let packet = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::ApplicationPacket { bytes, .. }
                if bytes == b"\xF5\x02hi")
        };
        let opened = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::StreamOpened { application: true, .. })
        };
        world.actors[1].count(packet) == 1 && world.actors[1].count(opened) == 1
    });
    assert!(world.actors[1].packets().is_empty());
    assert_eq!(world.actors[1].endpoint.stats().unknown_extensions, 1);
}

#[test]
fn revoked_peer_is_closed_and_cannot_come_back() {
    let ada = identity(authority(), "ada");
    let eve = identity(authority(), "eve");
    let trust = ada.trust();
    let mut world = World::empty();
    let tls = certs::tls_context(&ada, &trust).unwrap();
    world.add("ada", config(&ada, "ada"), &ada);
    world.actors[ADA].endpoint = Endpoint::new(config(&ada, "ada"), tls, now()).unwrap();
    world.add("eve", config(&eve, "eve"), &eve);
    world.send(EVE, ADA, b"hello");
    world.run_until("hello", |world| world.actors[ADA].packets() == [b"hello"]);

    trust.revoke(eve.fingerprint()).unwrap();
    let revoked = |peer: &quic_net::PeerIdentity| trust.is_revoked(&peer.fingerprint.into());
    world.actors[ADA].endpoint.close_where(CloseReason::Revoked, now(), revoked);
    world.run_until("eve is told", |world| {
        let closed = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::Closed { reason: CloseReason::Revoked, .. })
        };
        world.actors[EVE].count(closed) == 1
    });
    world.send(EVE, ADA, b"again");
    world.run_until("the refusal", |world| refusal(&world.actors[ADA].events).is_some());
    assert_eq!(refusal(&world.actors[ADA].events), Some(Refusal::Revoked));
}

/// An authority that was there already when the expired certificate was issued.
fn authority_then(then: SystemTime) -> &'static Authority {
    static OLD: std::sync::OnceLock<Authority> = std::sync::OnceLock::new();
    OLD.get_or_init(|| Authority::generate_at("old", 40_000 * DAY, then - DAY).unwrap())
}

fn trusting_old() -> Identity {
    static ADA: std::sync::OnceLock<Identity> = std::sync::OnceLock::new();
    let old = authority_then(SystemTime::UNIX_EPOCH + 19_000 * DAY);
    ADA.get_or_init(|| identity(old, "ada")).clone()
}

#[test]
fn a_name_in_hello_that_the_certificate_does_not_hold_is_refused() {
    let mut world = World::empty();
    for (certified, called) in [("ada", "ada"), ("bob", "eve")] {
        let identity = identity(authority(), certified);
        world.add(called, config(&identity, called), &identity);
    }
    assert_eq!(turned_away(&mut world), (Refusal::WrongName, Refusal::WrongName));
    assert!(world.actors[0].packets().is_empty(), "{}", world.story());
}

/// Names are not enforced.
fn unnamed() -> quic_net::Identify {
    std::sync::Arc::new(|_| Vec::new())
}

//! Ada's certificate is renewed while she talks to Bob, and certificates end.

use std::time::{Duration, SystemTime};

use certs::Identity;
use quic_net::{CloseReason, EndpointEvent, Refusal, StreamError, StreamToken};

use crate::world::{World, authority, identity, limits, now};

const ADA: usize = 0;
const BOB: usize = 1;
const GRACE: Duration = Duration::from_millis(200);
/// From when on a connection is made anew.
const YOUNG: Duration = Duration::from_millis(300);

fn ada_and_bob() -> World {
    let adjust = limits(|limits| {
        limits.duplicate_grace = GRACE;
        limits.dial_timeout = YOUNG;
    });
    World::with(&["ada", "bob"], adjust)
}

fn renew(world: &mut World, actor: usize) -> Identity {
    let fresh = identity(authority(), &world.actors[actor].name);
    let trust = fresh.trust();
    let tls = certs::tls_context(&fresh, &trust).unwrap();
    let identify = std::sync::Arc::new(move |leaf: &[u8]| trust.binding_names(leaf));
    world.actors[actor].endpoint.replace_tls(tls, identify, now()).unwrap();
    fresh
}

/// Sends a numbered packet each way.
fn exchange(world: &mut World, number: u32) {
    for (from, to) in [(ADA, BOB), (BOB, ADA)] {
        world.send(from, to, &number.to_be_bytes());
    }
    world.run_for(Duration::from_millis(5));
}

fn preferred_fingerprint(world: &World, actor: usize, of: usize) -> Option<[u8; 32]> {
    let address = world.address(of);
    world.actors[actor].endpoint.connection(address).map(|held| held.peer.fingerprint)
}

fn open_stream(world: &mut World, from: usize, to: usize) -> (StreamToken, StreamToken) {
    let stream = world.open(from, to);
    world.actors[from].endpoint.set_deadline(stream, None);
    world.actors[from].endpoint.write(stream, b"\xF5first ", false).unwrap();
    world.run_until("the stream", |world| !world.actors[to].opened().is_empty());
    (stream, world.actors[to].opened()[0])
}

#[test]
fn renewals_lose_no_packet_and_reset_no_stream() {
    let mut world = ada_and_bob();
    let (to_bob, at_bob) = open_stream(&mut world, ADA, BOB);
    let (to_ada, at_ada) = open_stream(&mut world, BOB, ADA);
    let mut number = 0;
    // Ada, Bob, and both at once.
    for who in [&[ADA][..], &[BOB], &[ADA, BOB]] {
        let fresh: Vec<_> = who.iter().map(|actor| renew(&mut world, *actor)).collect();
        let begun = now();
        loop {
            exchange(&mut world, number);
            number += 1;
            let is_renewed = who.iter().zip(&fresh).all(|(actor, fresh)| {
                preferred_fingerprint(&world, 1 - actor, *actor) == Some(fresh.fingerprint().into())
            });
            if is_renewed && begun.elapsed() > YOUNG + 3 * GRACE {
                break;
            }
            assert!(begun.elapsed() < crate::world::PATIENCE, "{}", world.story());
        }
    }
    for actor in [ADA, BOB] {
        let heard: Vec<_> = world.actors[actor].packets();
        let expected: Vec<_> = (0..number).map(|number| number.to_be_bytes().to_vec()).collect();
        assert_eq!(heard, expected);
    }
    for (from, stream, to, accepted) in [(ADA, to_bob, BOB, at_bob), (BOB, to_ada, ADA, at_ada)] {
        world.actors[from].endpoint.write(stream, b"last", true).unwrap();
        let mut read = Vec::new();
        world.run_until("the whole stream", |world| world.read_all(to, accepted, &mut read));
        assert_eq!(read, b"\xF5first last");
    }
}

#[test]
fn a_connection_whose_peer_cannot_be_dialed_stays_in_use() {
    let mut world = ada_and_bob();
    world.send(BOB, ADA, b"first");
    world.run_until("the first", |world| world.actors[ADA].packets() == [b"first"]);
    // Whatever Ada dials is lost: her long headers.
    world.lose = Box::new(|from, _, bytes| from == ADA && bytes[0] & 0x80 != 0);
    renew(&mut world, ADA);
    world.run_for(2 * YOUNG + 2 * GRACE);
    assert!(world.actors[ADA].endpoint.stats().dials_failed > 0);
    world.send(ADA, BOB, b"still here");
    world.run_until("a packet", |world| world.actors[BOB].packets() == [b"still here"]);
    let failed = |event: &EndpointEvent| matches!(event, EndpointEvent::SendFailed { .. });
    assert_eq!(world.actors[ADA].count(failed), 0, "{}", world.story());
}

#[test]
fn connections_end_with_the_certificate_they_were_made_with() {
    let mut world = ada_and_bob();
    let stream = world.open(ADA, BOB);
    world.actors[ADA].endpoint.write(stream, b"\xF5", false).unwrap();
    world.run_until("the stream", |world| !world.actors[BOB].opened().is_empty());
    let address = world.address(BOB);
    let end = world.actors[ADA].endpoint.connection(address).unwrap().peer.expires.unwrap();
    let (before, at) = (end - Duration::from_secs(1), end);
    assert_eq!(world.actors[ADA].endpoint.close_expired(before, now()), 0);
    assert_eq!(world.actors[ADA].endpoint.close_expired(at, now()), 1);
    world.run_until("both sides know", |world| {
        let closed = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::Closed { reason: CloseReason::Expired, .. })
        };
        let failed = |event: &EndpointEvent| {
            let expected = StreamError::Refused(Refusal::Expired);
            matches!(event, EndpointEvent::StreamFailed { reason, .. } if *reason == expected)
        };
        world.actors.iter().all(|actor| actor.count(closed) == 1 && actor.count(failed) == 1)
    });
    assert!(end > wall_clock());
}

#[expect(clippy::disallowed_methods, reason = "certificates end by the wall clock")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

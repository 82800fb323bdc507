//! A NAT between two endpoints gives the one that dialed another address.

use std::net::SocketAddr;
use std::time::Duration;

use crate::world::{World, limits, now};
use quic_net::EndpointEvent;

const ADA: usize = 0;
const BOB: usize = 1;

/// Bob's NAT forgets the port that it sent from, and takes another one.
fn rebind(world: &mut World, port: u16) {
    world.outside.insert(BOB, SocketAddr::from(([192, 0, 2, 1], port)));
}

fn behind_nat() -> World {
    let mut world = World::with(
        &["ada", "bob"],
        limits(|limits| limits.duplicate_grace = Duration::from_millis(100)),
    );
    rebind(&mut world, 40_000);
    world
}

/// A question and its answer, which goes where Ada's layer above knows Bob to be.
fn ask(world: &mut World) {
    let heard = world.actors[ADA].packets().len();
    world.send(BOB, ADA, b"question");
    world.run_until("the question", |world| world.actors[ADA].packets().len() > heard);
    let answers = world.actors[BOB].packets().len();
    let from = world.actors[ADA].events.iter().rev().find_map(|event| match event {
        EndpointEvent::Packet { peer, .. } => Some(peer.address),
        _ => None,
    });
    world.actors[ADA].endpoint.send_packet(from.unwrap(), Some(b"bob"), b"answer", now());
    world.run_until("the answer", |world| world.actors[BOB].packets().len() > answers);
}

#[test]
fn connection_follows_a_peer_whose_nat_takes_another_port() {
    let mut world = behind_nat();
    ask(&mut world);
    let stream = world.open(BOB, ADA);
    world.actors[BOB].endpoint.write(stream, b"begun", false).unwrap();
    world.run_until("the stream", |world| world.actors[ADA].opened().len() == 1);
    rebind(&mut world, 40_001);
    let moved = now();
    ask(&mut world);
    assert!(now() - moved < Duration::from_secs(1), "{:?}", now() - moved);
    world.actors[BOB].endpoint.write(stream, b" and done", true).unwrap();
    let (adas, mut received) = (world.actors[ADA].opened()[0], Vec::new());
    world.run_until("its end", |world| world.read_all(ADA, adas, &mut received));
    assert_eq!(received, b"begun and done");
    let [ada, bob] = [ADA, BOB].map(|actor| world.actors[actor].endpoint.stats());
    assert_eq!((ada.migrations, ada.moved_peers, ada.dials, bob.dials), (1, 0, 0, 1));
}

#[test]
fn peer_that_moves_again_and_again_is_followed() {
    let mut world = behind_nat();
    ask(&mut world);
    for port in 40_001..40_010 {
        rebind(&mut world, port);
        let moved = now();
        ask(&mut world);
        assert!(now() - moved < Duration::from_secs(1), "{:?}", now() - moved);
        // Longer than a connection stays that makes way for another one.
        world.run_for(Duration::from_millis(150));
    }
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!(stats.connections, 1, "{}", world.story());
    assert!(stats.recycled > 0, "quiche follows three changes and no further one");
}

/// Whoever copies packets and sends them on from elsewhere takes over nothing: the peer answers
/// from where it is, the other one cannot answer.
#[test]
fn packets_sent_on_from_elsewhere_lead_nobody_astray() {
    let mut world = behind_nat();
    ask(&mut world);
    let here = world.outside[&BOB];
    // The address exists, and nobody answers there.
    rebind(&mut world, 6_666);
    world.send(BOB, ADA, b"copied");
    world.carry_one_way(BOB);
    rebind(&mut world, here.port());
    ask(&mut world);
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!((stats.migrations, stats.connections), (0, 1), "{}", world.story());
    let astray = world.undelivered.values().sum::<usize>();
    assert!(astray <= 3 * 1_200, "{astray} bytes went to an address that never answered");
}

#[test]
fn address_that_was_dialed_does_not_change() {
    let mut world = behind_nat();
    ask(&mut world);
    world.outside.insert(ADA, SocketAddr::from(([192, 0, 2, 2], 1)));
    world.send(BOB, ADA, b"question");
    world.carry();
    assert!(world.actors[BOB].endpoint.stats().moved_peers > 0);
    assert_eq!(world.actors[BOB].endpoint.stats().migrations, 0);
}

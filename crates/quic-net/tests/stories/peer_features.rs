//! What peers tell each other of their features.

use std::net::SocketAddr;

use crate::world::{Actor, World, authority, config, identity, now};
use quic_net::{CloseReason, EndpointEvent};

#[test]
fn features_are_told_with_the_connection_and_withdrawn_with_the_last_one() {
    let mut world = World::with(&["ada", "bob"], |config| {
        config.features = config.name.clone();
    });
    world.send(0, 1, b"\x08hello");
    world.run_until("bob has the packet", |world| world.actors[1].packets() == [b"\x08hello"]);
    world.run_until("ada knows", |world| !features(&world.actors[0]).is_empty());
    let (ada, bob) = (world.address(0), world.address(1));
    assert_eq!(features(&world.actors[0]), [(bob, Some(b"bob".to_vec()))]);
    assert_eq!(features(&world.actors[1]), [(ada, Some(b"ada".to_vec()))]);
    let position = |world: &World, matches: fn(&EndpointEvent) -> bool| {
        world.actors[1].events.iter().position(matches).unwrap()
    };
    assert!(
        position(&world, |event| matches!(event, EndpointEvent::PeerFeatures { .. }))
            < position(&world, |event| matches!(event, EndpointEvent::Packet { .. }))
    );
    world.actors[0].endpoint.close(bob, CloseReason::Requested, now());
    world.run_until("bob's connection is gone", |world| features(&world.actors[1]).len() == 2);
    assert_eq!(features(&world.actors[0]).last(), Some(&(bob, None)));
    assert_eq!(features(&world.actors[1]).last(), Some(&(ada, None)));
}

#[test]
fn a_classic_peer_has_no_features() {
    let mut world = World::empty();
    for name in ["ada", "bob"] {
        let identity = identity(authority(), name);
        let mut config = config(&identity, name);
        if name == "bob" {
            config.extended_protocol = b"unheard/1".to_vec();
        }
        config.features = b"x".to_vec();
        world.add(name, config, &identity);
    }
    world.send(0, 1, b"\x08hello");
    world.run_until("bob has the packet", |world| world.actors[1].packets() == [b"\x08hello"]);
    world.send(1, 0, b"\x08answer");
    world.run_until("ada has the answer", |world| world.actors[0].packets() == [b"\x08answer"]);
    for actor in &world.actors {
        assert!(features(actor).iter().all(|(_, features)| features.is_none()));
    }
}

/// Every report of a peer's features, in order.
fn features(actor: &Actor) -> Vec<(SocketAddr, Option<Vec<u8>>)> {
    let told = actor.events.iter().filter_map(|event| match event {
        EndpointEvent::PeerFeatures { to, features } => {
            Some((*to, features.as_ref().map(|features| features.to_vec())))
        }
        _ => None,
    });
    told.collect()
}

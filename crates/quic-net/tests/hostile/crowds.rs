//! Many strangers at once: what they are given is apart from what peers need.

use std::net::SocketAddr;
use std::time::Duration;

use crate::mallory::{ADA, Mallory, world_with};
use crate::world::{CLASSIC, World, authority, config, identity, now};
use quic_net::{CloseReason, EndpointEvent, Refusal};

const BOB: usize = 1;
const CYD: usize = 2;

/// The first datagram of a client that will never speak again.
fn initial(world: &World) -> Vec<u8> {
    let mut mallory = Mallory::dial(world, CLASSIC, |_| {});
    let mut bytes = vec![0; 1500];
    let (length, _) = mallory.quic.send(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

fn stranger(network: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 6, network, 6], port))
}

/// So many strangers begin handshakes with ada.
fn begin_handshakes(world: &mut World, network: u8, count: u16) {
    let initial = initial(world);
    for port in 1..=count {
        let mut bytes = initial.clone();
        let endpoint = &mut world.actors[ADA].endpoint;
        endpoint.handle_udp(stranger(network, port), None, &mut bytes, now());
    }
}

#[test]
fn whoever_has_proved_nothing_takes_nobodys_place() {
    let mut world = World::with(
        &["ada", "bob"],
        crate::world::limits(|limits| {
            limits.connections = 1;
            limits.max_idle_connections = 1;
            limits.sweep_interval = Duration::from_millis(50);
        }),
    );
    world.send(BOB, ADA, b"ping");
    world.run_until("ping", |world| world.actors[ADA].packets() == [b"ping"]);
    // Longer than a connection counts as busy.
    world.run_for(Duration::from_millis(2_100));
    begin_handshakes(&mut world, 0, 30);
    world.run_for(Duration::from_millis(200));
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!((stats.evicted, stats.idle_limit_closed), (0, 0), "{stats:?}");
    assert!(stats.accepted > 10, "they were let in as far as handshakes go");
    let peers = world.actors[ADA].endpoint.connections();
    assert_eq!(peers.len(), 1, "bob is there: {peers:?}");
}

#[test]
fn whoever_has_proved_nothing_stands_in_the_way_of_no_dial() {
    let mut world =
        World::with(&["ada", "bob", "cyd"], crate::world::limits(|limits| limits.connections = 2));
    world.send(BOB, ADA, b"ping");
    world.run_until("ping", |world| world.actors[ADA].packets() == [b"ping"]);
    // Longer than a connection counts as busy.
    world.run_for(Duration::from_millis(1_100));
    begin_handshakes(&mut world, 0, 30);
    world.send(ADA, CYD, b"ping");
    world.run_until("ada's ping", |world| world.actors[CYD].packets() == [b"ping"]);
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!((stats.evicted, stats.dials), (0, 1), "{stats:?}");
    assert_eq!(world.actors[ADA].endpoint.connections().len(), 2, "bob and cyd");
}

#[test]
fn peers_that_come_at_once_leave_no_more_connections_than_there_may_be() {
    let names = ["ada", "bob", "cyd", "dan", "eve"];
    let mut world = World::with(&names, crate::world::limits(|limits| limits.connections = 2));
    for peer in 1..names.len() {
        world.send(peer, ADA, b"ping");
    }
    world.run_until("two pings", |world| {
        let stats = world.actors[ADA].endpoint.stats();
        stats.confirmed + stats.refusals.get(&Refusal::TooMany).unwrap_or(&0) >= 4
    });
    let ada = &world.actors[ADA].endpoint;
    assert!(ada.connections().len() <= 2, "{:?}", ada.connections());
    // Nobody was idle, so that nobody had to go.
    assert_eq!(ada.stats().evicted, 0);
}

#[test]
fn one_network_leaves_places_for_others_and_is_reported_once() {
    let mut world = world_with(|limits| {
        limits.handshakes = 16;
        limits.half_open = 16;
    });
    begin_handshakes(&mut world, 0, 100);
    assert_eq!(world.actors[ADA].endpoint.stats().accepted, 8);
    begin_handshakes(&mut world, 1, 3);
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!(stats.accepted, 8 + 3);
    assert_eq!(stats.refusals.get(&Refusal::TooMany), Some(&92));
    let reported = std::iter::from_fn(|| world.actors[ADA].endpoint.poll_event())
        .filter(|event| matches!(event, EndpointEvent::Refused { what: Refusal::TooMany, .. }));
    assert_eq!(reported.count(), 1);
}

#[test]
fn early_packets_of_strangers_take_nothing_of_what_peers_have() {
    let mut world = World::with(
        &["ada", "bob"],
        crate::world::limits(|limits| limits.endpoint_buffer = 1 << 20),
    );
    world.send(BOB, ADA, b"ping");
    world.run_until("ping", |world| world.actors[ADA].packets() == [b"ping"]);
    begin_handshakes(&mut world, 0, 20);
    let answers = answers(&mut world);
    assert!(answers.len() >= 20, "{} answers", answers.len());
    for (from, id) in &answers {
        send_early(&mut world, *from, id, 60_000);
    }
    world.send(BOB, ADA, &[7; 1_000]);
    world.run_until("bob's packet", |world| world.actors[ADA].packets().len() == 2);
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!((stats.endpoint_buffer_drops, stats.undecryptable_drops), (0, 8 * 20));
}

#[test]
fn early_packets_have_a_total_of_their_own() {
    let mut world = world_with(|limits| limits.undecryptable_buffer = 64 << 10);
    begin_handshakes(&mut world, 0, 20);
    let answers = answers(&mut world);
    for (from, id) in &answers {
        send_early(&mut world, *from, id, 1_200);
    }
    // 64 KiB are 54.6 of them.
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!(stats.undecryptable_drops, 8 * 20 - 54);
    // What is given up gives back its bytes.
    world.run_until("the handshakes are over", |world| {
        world.actors[ADA].endpoint.stats().connections == 0
    });
    begin_handshakes(&mut world, 1, 6);
    let answers = self::answers(&mut world);
    for (from, id) in answers.iter().filter(|(from, _)| from.ip() == stranger(1, 1).ip()) {
        send_early(&mut world, *from, id, 1_200);
    }
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!(stats.undecryptable_drops, 8 * 20 - 54);
}

#[test]
fn datagrams_that_are_not_quic_take_nothing_of_what_peers_have() {
    let mut world = World::with(
        &["ada", "bob"],
        crate::world::limits(|limits| limits.endpoint_buffer = 1 << 20),
    );
    world.send(BOB, ADA, b"ping");
    world.run_until("ping", |world| world.actors[ADA].packets() == [b"ping"]);
    world.send(BOB, ADA, &[7; 1_000]);
    let endpoint = &mut world.actors[ADA].endpoint;
    for length in [60_000, 1_000] {
        for _ in 0..100 {
            endpoint.handle_udp(stranger(0, 1), None, &mut vec![1; length], now());
        }
    }
    world.carry_one_way(BOB);
    world.run_until("bob's packet", |world| world.actors[ADA].packets().len() == 2);
    let stats = world.actors[ADA].endpoint.stats();
    // 1 MiB are 17 of the long and 25 of the short ones, with what an event takes.
    assert_eq!((stats.endpoint_buffer_drops, stats.raw_datagram_drops), (0, 200 - 17 - 25));
}

/// What ada answers to strangers: where to, and the id that she wants to be addressed with.
fn answers(world: &mut World) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut answers = Vec::new();
    let mut buffer = vec![0; 16 * 1500];
    let endpoint = &mut world.actors[ADA].endpoint;
    while let Some(transmit) = endpoint.poll_transmit(&mut buffer, now()) {
        if let Ok(header) = quiche::Header::from_slice(&mut buffer[..transmit.len], 8) {
            answers.push((transmit.to, header.scid.to_vec()));
        }
    }
    answers
}

/// Eight packets that overtake the rest of a handshake.
fn send_early(world: &mut World, from: SocketAddr, id: &[u8], length: usize) {
    for _ in 0..8 {
        let mut early = vec![0x40; length];
        early[1..=id.len()].copy_from_slice(id);
        world.actors[ADA].endpoint.handle_udp(from, None, &mut early, now());
    }
}

#[test]
fn a_handshake_that_sends_without_end_is_given_up() {
    let mut world = world_with(|_| {});
    let initial = initial(&world);
    let endpoint = &mut world.actors[ADA].endpoint;
    for round in 1..=14 {
        endpoint.handle_udp(stranger(0, 1), None, &mut initial.clone(), now());
        // 16 KiB are 13.7 datagrams of 1,200 bytes.
        assert_eq!(endpoint.stats().connections, usize::from(round < 14), "datagram {round}");
    }
    assert_eq!(endpoint.stats().handshakes_too_long, 1);
}

#[test]
fn many_handshakes_bring_no_more_than_is_taken_of_all_together() {
    // 32 KiB together, of which each may bring 8 whatever the others do.
    let mut world = world_with(|limits| limits.half_open = 4);
    let initial = initial(&world);
    let endpoint = &mut world.actors[ADA].endpoint;
    let mut send = |network: u8, count: usize| {
        for _ in 0..count {
            endpoint.handle_udp(stranger(network, 1), None, &mut initial.clone(), now());
        }
        (endpoint.stats().connections, endpoint.stats().handshakes_too_long)
    };
    assert_eq!(send(1, 13), (1, 0), "15.2 KiB are within its own bound");
    assert_eq!(send(2, 13), (2, 0), "30.5 KiB are within that of all");
    assert_eq!(send(3, 6), (3, 0), "7 KiB are certain");
    assert_eq!(send(3, 1), (2, 1), "more are not, for they would be 37.5");
    assert_eq!(send(2, 1), (1, 2));
    assert_eq!(send(4, 7), (2, 2), "there is room again");
}

#[test]
fn junk_leaves_resets_for_the_peers_of_a_former_process() {
    let mut world = world_with(|_| {});
    let endpoint = &mut world.actors[ADA].endpoint;
    for port in 1..2_000 {
        endpoint.handle_udp(stranger(0, port), None, &mut junk(port), now());
    }
    let before = endpoint.stats().resets_sent;
    endpoint.handle_udp(([10, 0, 0, 2], 7_946).into(), None, &mut junk(1), now());
    assert_eq!(endpoint.stats().resets_sent, before + 1);
}

#[test]
fn junk_from_everywhere_leaves_resets_for_the_peers_of_a_former_process() {
    let names = ["ada", "bob"];
    let mut world = World::with(&names, |config| config.reset_secret = [7; 32]);
    world.send(BOB, ADA, b"ping");
    world.run_until("ping", |world| world.actors[ADA].packets() == [b"ping"]);
    let identity = identity(authority(), "ada");
    let mut config = config(&identity, "ada");
    config.reset_secret = [7; 32];
    let begin = now();
    world.actors[ADA].endpoint = crate::world::endpoint(config, &identity);
    // From bob's network and from all others, from his address, and from ports that have begun a
    // handshake.
    begin_handshakes(&mut world, 0, 30);
    let bob = world.address(BOB);
    let endpoint = &mut world.actors[ADA].endpoint;
    for number in 0..2_000u16 {
        let [high, low] = number.to_be_bytes();
        for from in [
            SocketAddr::from(([10, 0, 0, low], number)),
            SocketAddr::from(([11, high, low, 1], 7_946)),
            stranger(0, 1 + number % 30),
        ] {
            endpoint.handle_udp(from, None, &mut junk(number), now());
        }
    }
    endpoint.handle_udp(bob, None, &mut junk(1), now());
    let seconds = 1 + (now() - begin).as_secs();
    assert!(endpoint.stats().resets_sent <= 50 * seconds, "{:?}", endpoint.stats());
    world.send(BOB, ADA, b"lost");
    world.carry();
    assert_eq!(world.actors[BOB].endpoint.stats().resets_received, 1, "for his first packet");
}

#[test]
fn peers_of_late_are_told_that_their_connection_is_gone() {
    let mut world = World::new(&["ada", "bob"]);
    world.send(BOB, ADA, b"ping");
    world.run_until("ping", |world| world.actors[ADA].packets() == [b"ping"]);
    let bob = world.address(BOB);
    world.lose = Box::new(|from, _, _| from == ADA);
    world.actors[ADA].endpoint.close(bob, CloseReason::Requested, now());
    world.carry();
    world.lose = Box::new(|_, _, _| false);
    let endpoint = &mut world.actors[ADA].endpoint;
    for number in 0..2_000u16 {
        let [high, low] = number.to_be_bytes();
        let from = SocketAddr::from(([11, high, low, 1], 7_946));
        endpoint.handle_udp(from, None, &mut junk(number), now());
    }
    // Even where his id does not show it.
    let before = endpoint.stats().resets_sent;
    endpoint.handle_udp(bob, None, &mut junk(1), now());
    assert_eq!(endpoint.stats().resets_sent, before + 1);
}

fn junk(number: u16) -> Vec<u8> {
    let mut packet = vec![0x55; 100];
    packet[0] = 0x40;
    packet[1..3].copy_from_slice(&number.to_be_bytes());
    packet
}

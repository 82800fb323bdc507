//! The path carries less than it did: packets and streams get through all the same, and soon.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::world::{World, limits, now};
use quic_net::EndpointEvent;

const ADA: usize = 0;
const BOB: usize = 1;
/// Longest packet that travels as one datagram in 1452 and in 1200 bytes of UDP payload.
const WIDE: usize = 1420;
const LEAST: usize = 1168;

/// Two peers that know that the path carries 1452 bytes, and what it carries from now on.
fn world(raise: Duration) -> (World, Rc<Cell<usize>>) {
    let mut world = World::with(
        &["ada", "bob"],
        limits(|limits| {
            limits.path_mtu_raise_interval = raise;
            limits.sweep_interval = Duration::from_millis(50);
            limits.duplicate_grace = Duration::from_millis(50);
        }),
    );
    let widest = Rc::new(Cell::new(usize::MAX));
    let passes = Rc::clone(&widest);
    world.lose = Box::new(move |_, _, bytes| bytes.len() > passes.get());
    world.send(ADA, BOB, b"hello");
    world.run_until("both know the path", |world| {
        [ADA, BOB].iter().all(|actor| packet_limits(world, *actor).last() == Some(&WIDE))
    });
    (world, widest)
}

/// The packet limits that an actor was told, in order.
fn packet_limits(world: &World, actor: usize) -> Vec<usize> {
    let limit = |event: &EndpointEvent| match event {
        EndpointEvent::PacketLimit { limit, .. } => Some(*limit),
        _ => None,
    };
    world.actors[actor].events.iter().filter_map(limit).collect()
}

const NEVER: Duration = Duration::from_secs(3_600);

#[test]
fn large_packets_get_through_after_a_few_were_lost_and_the_limit_is_reported() {
    let (mut world, widest) = world(NEVER);
    widest.set(1300);
    let before = world.actors[BOB].packets().len();
    let mut sent = 0;
    while world.actors[BOB].packets().len() == before {
        assert!(sent < 20, "none of {sent} large packets came\n{}", world.story());
        world.send(ADA, BOB, &[1; 1350]);
        sent += 1;
        world.run_for(Duration::from_millis(100));
    }
    let told = packet_limits(&world, ADA);
    assert!(told[told.len() - 2..].contains(&LEAST), "{told:?}");
    world.run_until("what it carries now", |world| {
        let told = packet_limits(world, ADA);
        told.last().is_some_and(|limit| (LEAST..=1268).contains(limit))
    });
    let before = world.actors[BOB].packets().len();
    world.send(ADA, BOB, &[2; 1350]);
    world.send(ADA, BOB, &[3; LEAST]);
    world.run_until("both", |world| world.actors[BOB].packets().len() == before + 2);
    assert_eq!(world.actors[ADA].endpoint.stats().path_mtu_lowered, 1);
}

#[test]
fn a_stream_goes_on_within_a_few_round_trips() {
    let (mut world, widest) = world(NEVER);
    widest.set(1200);
    let stream = world.open(ADA, BOB);
    let begin = now();
    let sent = world.actors[ADA].endpoint.write(stream, &[b'e'; 100_000], true);
    assert_eq!(sent, Ok(100_000));
    world.run_until("the stream", |world| world.actors[BOB].opened().len() == 1);
    let accepted = world.actors[BOB].opened()[0];
    let mut received = Vec::new();
    world.run_until("all of it", |world| world.read_all(BOB, accepted, &mut received));
    assert_eq!(received.len(), 100_000);
    assert!(now() - begin < Duration::from_secs(5), "{:?}", now() - begin);
    world.run_until("the limit", |world| packet_limits(world, ADA).last() == Some(&LEAST));
}

#[test]
fn when_the_path_is_as_wide_as_before_a_new_connection_finds_out() {
    let (mut world, widest) = world(Duration::from_millis(500));
    widest.set(1300);
    world.run_until("the lower limit", |world| {
        world.send(ADA, BOB, &[1; 1350]);
        packet_limits(world, ADA).last() == Some(&LEAST)
    });
    widest.set(usize::MAX);
    world.run_until("the limit before", |world| {
        world.send(ADA, BOB, b"small");
        packet_limits(world, ADA).last() == Some(&WIDE)
    });
}

#[test]
fn after_an_outage_the_limit_is_soon_what_it_was() {
    let (mut world, widest) = world(NEVER);
    widest.set(0);
    for _ in 0..10 {
        world.send(ADA, BOB, &[1; 1350]);
        world.run_for(Duration::from_millis(100));
    }
    widest.set(usize::MAX);
    let before = world.actors[BOB].packets().len();
    world.run_until("a packet", |world| {
        world.send(ADA, BOB, b"small");
        world.actors[BOB].packets().len() > before
    });
    world.run_until("a large one, as a datagram", |world| {
        let by_stream = world.actors[ADA].endpoint.stats().packets_sent_by_stream;
        world.send(ADA, BOB, &[1; 1350]);
        packet_limits(world, ADA).last() == Some(&WIDE)
            && world.actors[ADA].endpoint.stats().packets_sent_by_stream == by_stream
    });
}

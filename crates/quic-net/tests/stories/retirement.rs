//! A connection that makes way for another one keeps its streams: after crossed dials, for its
//! age, after a silence, for the packets that it has carried.

use std::time::Duration;

use crate::world::{World, limits};
use quic_net::{EndpointEvent, Limits, StreamToken};

const ADA: usize = 0;
const BOB: usize = 1;
const STALL: Duration = Duration::from_millis(1500);

/// Two peers whose retired connections close soon.
fn hasty(adjust: impl Fn(&mut Limits)) -> World {
    World::with(
        &["ada", "bob"],
        limits(move |limits| {
            limits.duplicate_grace = Duration::from_millis(50);
            limits.sweep_interval = Duration::from_millis(50);
            limits.stream_stall_timeout = STALL;
            adjust(limits);
        }),
    )
}

/// Opens an application's stream; returns both of its ends.
fn open(world: &mut World, from: usize, to: usize) -> (StreamToken, StreamToken) {
    let before = world.actors[to].opened().len();
    let stream = world.open(from, to);
    world.actors[from].endpoint.write(stream, &[0xF5], false).unwrap();
    world.run_until("the stream", |world| world.actors[to].opened().len() > before);
    let accepted = world.actors[to].opened()[before];
    let mut first = Vec::new();
    world.run_until("its first byte", |world| {
        world.read_all(to, accepted, &mut first);
        first.len() == 1
    });
    world.actors[from].endpoint.set_deadline(stream, None);
    (stream, accepted)
}

/// One byte goes one way on the stream.
fn talk(world: &mut World, from: (usize, StreamToken), to: (usize, StreamToken)) {
    world.actors[from.0].endpoint.write(from.1, b"!", false).unwrap();
    let mut heard = Vec::new();
    world.run_until("a byte", |world| {
        world.read_all(to.0, to.1, &mut heard);
        heard.len() == 1
    });
}

fn connections(world: &World, actor: usize) -> usize {
    world.actors[actor].endpoint.connections().len()
}

/// Talks on a stream for longer than a retired connection lasts, and ends it.
fn outlives_retirement(world: &mut World, stream: StreamToken, accepted: StreamToken) {
    for _ in 0..8 {
        world.run_for(STALL / 5);
        talk(world, (ADA, stream), (BOB, accepted));
        talk(world, (BOB, accepted), (ADA, stream));
    }
}

fn end(world: &mut World, stream: StreamToken, accepted: StreamToken) {
    world.actors[ADA].endpoint.stop(stream);
    world.actors[BOB].endpoint.stop(accepted);
}

#[test]
fn streams_on_both_of_two_crossed_dials_go_on() {
    let mut world = hasty(|_| {});
    let ends = [(ADA, BOB), (BOB, ADA)].map(|(from, to)| {
        let stream = world.open(from, to);
        world.actors[from].endpoint.write(stream, &[0xF5], false).unwrap();
        stream
    });
    world.run_until("both streams", |world| {
        world.actors.iter().all(|actor| actor.opened().len() == 1)
    });
    assert_eq!(connections(&world, ADA), 2, "the dials crossed\n{}", world.story());
    for actor in [ADA, BOB] {
        world.actors[actor].endpoint.set_deadline(ends[actor], None);
        let accepted = world.actors[actor].opened()[0];
        world.run_until("its first byte", |world| {
            let mut first = Vec::new();
            world.read_all(actor, accepted, &mut first);
            !first.is_empty()
        });
    }
    let accepted = [BOB, ADA].map(|actor| world.actors[actor].opened()[0]);
    for _ in 0..8 {
        world.run_for(STALL / 5);
        talk(&mut world, (ADA, ends[0]), (BOB, accepted[0]));
        talk(&mut world, (BOB, ends[1]), (ADA, accepted[1]));
    }
    let (stream, other) = open(&mut world, ADA, BOB);
    let used = world.actors[ADA].endpoint.connections();
    let preferred = used.iter().find(|connection| connection.preferred).unwrap();
    assert_eq!(preferred.streams, 2, "a new stream uses the one that stays\n{used:?}");
    end(&mut world, stream, other);
    end(&mut world, ends[0], accepted[0]);
    end(&mut world, accepted[1], ends[1]);
    world.run_until("one connection", |world| {
        connections(world, ADA) == 1 && connections(world, BOB) == 1
    });
}

#[test]
fn a_stream_outlives_the_age_of_its_connection() {
    let mut world = hasty(|limits| limits.max_connection_age = Duration::from_millis(200));
    let (stream, accepted) = open(&mut world, ADA, BOB);
    outlives_retirement(&mut world, stream, accepted);
    assert!(world.actors[ADA].endpoint.stats().recycled > 0, "the connection was retired");
    end(&mut world, stream, accepted);
    world.run_until("the connection ends with its stream", |world| {
        connections(world, ADA) == 0 && connections(world, BOB) == 0
    });
}

#[test]
fn a_stream_on_a_retired_connection_that_carries_nothing_ends_at_both_sides() {
    let mut world = hasty(|limits| limits.max_connection_age = Duration::from_millis(200));
    let (stream, accepted) = open(&mut world, ADA, BOB);
    world.run_until("both sides know", |world| {
        let failed = |event: &EndpointEvent, token: StreamToken| {
            matches!(event, EndpointEvent::StreamFailed { stream, .. } if *stream == token)
        };
        world.actors[ADA].count(|event| failed(event, stream)) == 1
            && world.actors[BOB].count(|event| failed(event, accepted)) == 1
    });
}

#[test]
fn a_connection_is_replaced_when_it_has_carried_its_packets_and_not_at_the_next_sweep() {
    let mut world = hasty(|limits| {
        limits.max_connection_packets = 1_000;
        limits.sweep_interval = Duration::from_secs(3_600);
    });
    let (stream, accepted) = open(&mut world, ADA, BOB);
    let mut sent = 0;
    while world.actors[ADA].endpoint.stats().recycled == 0 {
        talk(&mut world, (ADA, stream), (BOB, accepted));
        sent += 1;
        assert!(sent < 1_100, "{:?}", world.actors[ADA].endpoint.connections());
    }
    talk(&mut world, (BOB, accepted), (ADA, stream));
    let (other, accepted_other) = open(&mut world, ADA, BOB);
    assert_eq!(connections(&world, ADA), 2, "the new stream has a new connection");
    talk(&mut world, (ADA, other), (BOB, accepted_other));
    talk(&mut world, (ADA, stream), (BOB, accepted));
}

#[test]
fn connections_that_make_way_and_keep_their_streams_are_bounded() {
    let mut world = hasty(|limits| limits.max_connection_age = Duration::from_millis(100));
    let mut streams = Vec::new();
    for _ in 0..12 {
        streams.push(open(&mut world, ADA, BOB));
        world.run_for(Duration::from_millis(160));
        for (stream, accepted) in &streams {
            // The oldest fail one by one; the others carry something both ways.
            let _ = world.actors[ADA].endpoint.write(*stream, b"!", false);
            let _ = world.actors[BOB].endpoint.write(*accepted, b"!", false);
        }
        world.carry();
        for (stream, accepted) in &streams {
            let _ = world.actors[ADA].endpoint.read(*stream, &mut [0; 8]);
            let _ = world.actors[BOB].endpoint.read(*accepted, &mut [0; 8]);
        }
        assert!(connections(&world, ADA) <= 9, "eight that make way, and one");
    }
    assert!(world.actors[ADA].endpoint.write(streams[11].0, b"!", false).is_ok());
}

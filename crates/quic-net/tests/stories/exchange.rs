//! Ada and Bob talk: packets of every size, streams, all on one connection.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::world::{PATIENCE, World, now};
use quic_net::{EndpointEvent, Protocol, StreamError};

const ADA: usize = 0;
const BOB: usize = 1;

#[test]
fn first_packet_dials_and_answer_comes_back_on_the_same_connection() {
    let mut world = World::new(&["ada", "bob"]);
    world.send(ADA, BOB, b"ping");
    world.run_until("ping", |world| world.actors[BOB].packets() == [b"ping"]);
    world.send(BOB, ADA, b"ack");
    world.run_until("ack", |world| world.actors[ADA].packets() == [b"ack"]);

    for actor in &world.actors {
        let stats = actor.endpoint.stats();
        assert_eq!(stats.connections, 1);
        assert_eq!(actor.count(|event| matches!(event, EndpointEvent::Connected { .. })), 1);
    }
    assert_eq!(world.actors[BOB].endpoint.stats().dials, 0);
    let connections = world.actors[ADA].endpoint.connections();
    assert_eq!(connections[0].peer.names, [Arc::from(&b"bob"[..])]);
    assert_eq!(connections[0].peer.protocol, Protocol::Extended);
    assert!(connections[0].peer.dialed && connections[0].preferred);
    let bob = world.address(BOB);
    assert_eq!(world.actors[ADA].endpoint.connection(bob).as_ref(), connections.first());
}

#[test]
fn packet_that_overtakes_the_end_of_the_handshake_is_not_lost() {
    let mut world = World::new(&["ada", "bob"]);
    let late = Rc::new(RefCell::new(Vec::new()));
    let (held, mut bob_has_answered) = (Rc::clone(&late), false);
    world.lose = Box::new(move |from, _, bytes| {
        bob_has_answered |= from == BOB;
        let ends_handshake = from == ADA && bob_has_answered && bytes[0] & 0x80 != 0;
        if ends_handshake {
            held.borrow_mut().push(bytes.to_vec());
        }
        ends_handshake
    });
    // Too long to share a datagram with the end of the handshake.
    let packet = vec![9; 1_100];
    world.send(ADA, BOB, &packet);
    world.carry();
    assert!(!late.borrow().is_empty());
    assert_eq!(world.actors[BOB].packets().len(), 0);

    world.lose = Box::new(|_, _, _| false);
    let (ada, bob) = (world.address(ADA), Some(world.address(BOB).ip()));
    for datagram in late.borrow_mut().iter_mut() {
        world.actors[BOB].endpoint.handle_udp(ada, bob, datagram, now());
    }
    world.run_until("the packet", |world| world.actors[BOB].packets() == [packet.as_slice()]);
}

#[test]
fn packet_that_fits_no_datagram_travels_as_a_stream() {
    let mut world = World::new(&["ada", "bob"]);
    let sizes = [1, 1_168, 1_169, 1_400, 3_000, 65_536];
    for size in sizes {
        world.send(ADA, BOB, &vec![7; size]);
    }
    let arrived = |world: &mut World| world.actors[BOB].packets().len() == sizes.len();
    world.run_until("all sizes", arrived);
    let mut lengths: Vec<usize> = world.actors[BOB].packets().iter().map(Vec::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths, sizes);
    let stats = world.actors[ADA].endpoint.stats();
    assert!(stats.packets_sent >= 2 && stats.packets_sent_by_stream >= 2, "{stats:?}");

    world.send(ADA, BOB, &vec![7; 65_537]);
    world.carry();
    let refused = |event: &EndpointEvent| matches!(event, EndpointEvent::SendFailed { .. });
    assert_eq!(world.actors[ADA].count(refused), 1);
}

#[test]
fn request_with_fin_is_answered_on_its_stream() {
    let mut world = World::new(&["ada", "bob"]);
    let asked = world.open(ADA, BOB);
    assert_eq!(world.actors[ADA].endpoint.write(asked, b"question", true), Ok(8));
    world.run_until("the stream at bob", |world| !world.actors[BOB].opened().is_empty());
    let answering = world.actors[BOB].opened()[0];
    let mut question = Vec::new();
    assert!(world.read_all(BOB, answering, &mut question), "FIN came with the last byte");
    assert_eq!(question, b"question");
    world.actors[BOB].endpoint.write(answering, b"answer", true).unwrap();
    world.actors[BOB].endpoint.stop(answering);
    let mut answer = Vec::new();
    world.run_until("the answer", |world| world.read_all(ADA, asked, &mut answer));
    assert_eq!(answer, b"answer");
    let connections = world.actors[ADA].endpoint.connections();
    assert_eq!(connections[0].streams, 0, "both ends forget a finished stream");
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "is in use"))]
fn token_that_names_a_stream_already_fails_the_new_stream_only() {
    let mut world = World::new(&["ada", "bob"]);
    let (stream, bob) = (world.open(ADA, BOB), world.address(BOB));
    world.actors[ADA].endpoint.open_stream(stream, bob, None, now() + PATIENCE, now());
    let refused = EndpointEvent::StreamFailed { stream, reason: StreamError::TokenInUse };
    assert_eq!(world.actors[ADA].endpoint.poll_event(), Some(refused));
    world.actors[ADA].endpoint.write(stream, b"question", true).unwrap();
    world.run_until("the first stream", |world| !world.actors[BOB].opened().is_empty());
}

#[test]
fn token_of_a_stopped_stream_may_name_another_one() {
    let mut world = World::new(&["ada", "bob"]);
    let (stream, bob) = (world.open(ADA, BOB), world.address(BOB));
    world.actors[ADA].endpoint.write(stream, b"first", false).unwrap();
    world.run_until("the first stream", |world| world.actors[BOB].opened().len() == 1);
    world.actors[ADA].endpoint.stop(stream);
    world.actors[ADA].endpoint.open_stream(stream, bob, None, now() + PATIENCE, now());
    world.actors[ADA].endpoint.write(stream, b"second", true).unwrap();
    world.run_until("the second stream", |world| world.actors[BOB].opened().len() == 2);
    let [first, second] = world.actors[BOB].opened()[..] else { panic!("{}", world.story()) };
    for (opened, sent) in [(first, &b"first"[..]), (second, b"second")] {
        let mut received = Vec::new();
        world.run_until("its end", |world| world.read_all(BOB, opened, &mut received));
        assert_eq!(received, sent);
        world.actors[BOB].endpoint.write(opened, b"done", true).unwrap();
    }
    let mut answer = Vec::new();
    world.run_until("the answer", |world| world.read_all(ADA, stream, &mut answer));
    assert_eq!(answer, b"done");
    assert_eq!(world.actors[ADA].endpoint.connections()[0].streams, 0);
}

#[test]
fn acceptor_opens_streams_on_the_connection_it_accepted() {
    let mut world = World::new(&["ada", "bob"]);
    world.send(ADA, BOB, b"hi");
    world.run_until("hi", |world| !world.actors[BOB].packets().is_empty());
    let stream = world.open(BOB, ADA);
    world.actors[BOB].endpoint.write(stream, b"state", true).unwrap();
    world.run_until("bob's stream", |world| world.actors[ADA].opened().len() == 1);
    assert_eq!(world.actors[BOB].endpoint.stats().dials, 0);
}

#[test]
fn ten_mebibytes_pass_through_bounded_buffers() {
    const TOTAL: usize = 10 << 20;
    let mut world = World::new(&["ada", "bob"]);
    let stream = world.open(ADA, BOB);
    let bytes: Vec<u8> = (0..=250).cycle().take(TOTAL).collect();
    let mut written = 0;
    let mut received = Vec::new();
    world.run_until("ten mebibytes", |world| {
        if written < TOTAL {
            let chunk = &bytes[written..];
            let taken = world.actors[ADA].endpoint.write(stream, chunk, true).unwrap();
            assert!(taken <= 1 << 20);
            written += taken;
        }
        let opened = world.actors[BOB].opened();
        opened.first().is_some_and(|stream| world.read_all(BOB, *stream, &mut received))
    });
    assert!(received == bytes, "what arrives is what was sent");
}

#[test]
fn reader_that_pauses_stops_the_writer() {
    let mut world = World::new(&["ada", "bob"]);
    let stream = world.open(ADA, BOB);
    let chunk = vec![1; 64 << 10];
    let mut written = 0;
    world.run_until("the writer is stopped", |world| {
        let taken = world.actors[ADA].endpoint.write(stream, &chunk, false).unwrap();
        written += taken;
        taken == 0
    });
    assert!(written <= (1 << 20) + (2 << 17), "{written} bytes were buffered");
    let reading = world.actors[BOB].opened()[0];
    let mut received = Vec::new();
    world.run_until("room again", |world| {
        world.read_all(BOB, reading, &mut received);
        let room = EndpointEvent::StreamWritable { stream };
        world.actors[ADA].count(|event| *event == room) >= 2
    });
}

#[test]
fn three_streams_that_nobody_reads_any_more_hold_up_no_fourth() {
    // Which windows are announced depends on how much was read before, and in which steps.
    for read_before in (0..12).map(|step| step * 90_000) {
        let mut world = World::new(&["ada", "bob"]);
        let slow = [(); 3].map(|()| world.open(ADA, BOB));
        let chunk = vec![1; 64 << 10];
        let mut received = Vec::new();
        world.run_until("the writers are stopped", |world| {
            let mut taken = 0;
            for stream in slow {
                taken += world.actors[ADA].endpoint.write(stream, &chunk, false).unwrap();
            }
            for stream in world.actors[BOB].opened() {
                if received.len() < read_before {
                    world.read_all(BOB, stream, &mut received);
                }
            }
            taken == 0
        });
        let fourth = world.open(ADA, BOB);
        world.actors[ADA].endpoint.write(fourth, b"quick", true).unwrap();
        let mut quick = Vec::new();
        world.run_until("the fourth is read", |world| {
            let opened = world.actors[BOB].opened();
            opened.get(3).is_some_and(|stream| world.read_all(BOB, *stream, &mut quick))
        });
        assert_eq!(quick, b"quick", "after {read_before} bytes");
    }
}

#[test]
fn loss_delays_streams_but_loses_nothing() {
    let mut world = World::new(&["ada", "bob"]);
    let mut turn = 0;
    world.lose = Box::new(move |_, _, _| {
        turn += 1;
        turn % 5 == 0
    });
    let stream = world.open(ADA, BOB);
    let sent = vec![9; 200_000];
    world.actors[ADA].endpoint.write(stream, &sent, true).unwrap();
    let mut received = Vec::new();
    world.run_until("everything", |world| {
        let opened = world.actors[BOB].opened();
        opened.first().is_some_and(|stream| world.read_all(BOB, *stream, &mut received))
    });
    assert_eq!(received, sent);
}

#[test]
fn packets_for_a_silent_address_fail_within_the_dial_deadline() {
    let quick = crate::world::limits(|limits| {
        limits.dial_timeout = std::time::Duration::from_millis(300);
        limits.dial_queue = 4;
    });
    let mut world = World::with(&["ada"], quick);
    let nobody = "10.9.9.9:1".parse().unwrap();
    for number in 0..10u8 {
        world.actors[ADA].endpoint.send_packet(nobody, None, &[number], now());
    }
    let stream = world.open_at(ADA, nobody, None);
    world.run_until("both failures", |world| {
        let packets = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::SendFailed { to, .. } if *to == nobody)
        };
        let streams = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::StreamFailed { stream: s, .. } if *s == stream)
        };
        world.actors[ADA].count(packets) == 1 && world.actors[ADA].count(streams) == 1
    });
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!((stats.dial_queue_drops, stats.dials_failed, stats.connections), (6, 1, 0));

    world.actors[ADA].endpoint.send_packet(nobody, None, b"again", now());
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!(stats.dials, 1, "the address is left alone for a moment");
}

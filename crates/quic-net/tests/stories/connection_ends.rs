//! Connections end and begin again: restarts, crossed dials, idleness, silence, shutdown.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::world::{PATIENCE, World, authority, config, endpoint, identity, limits, now};
use quic_net::{CloseReason, EndpointEvent, Limits};

const ADA: usize = 0;
const BOB: usize = 1;

/// Bob crashes without a word and is back at once, under the same name, address and secret.
fn restart(world: &mut World, actor: usize) {
    let name = world.actors[actor].name.clone();
    let identity = identity(authority(), &name);
    let mut config = config(&identity, &name);
    config.reset_secret = [7; 32];
    world.actors[actor].endpoint = endpoint(config, &identity);
    world.actors[actor].events.clear();
}

fn lasting_secret() -> World {
    World::with(&["ada", "bob"], |config| config.reset_secret = [7; 32])
}

fn talk(world: &mut World, from: usize, to: usize) {
    let before = world.actors[to].packets().len();
    world.send(from, to, b"hello");
    world.run_until("hello", |world| world.actors[to].packets().len() > before);
}

fn closed(world: &World, actor: usize, wanted: &CloseReason) -> bool {
    let matches = |event: &EndpointEvent| match event {
        EndpointEvent::Closed { reason, .. } => reason == wanted,
        _ => false,
    };
    world.actors[actor].count(matches) > 0
}

#[test]
fn first_stray_packet_to_a_restarted_acceptor_ends_the_stale_connection() {
    let mut world = lasting_secret();
    talk(&mut world, ADA, BOB);
    restart(&mut world, BOB);
    world.send(ADA, BOB, b"lost");
    world.carry();
    assert!(closed(&world, ADA, &CloseReason::Reset), "within a round trip\n{}", world.story());
    talk(&mut world, ADA, BOB);
}

#[test]
fn first_stray_packet_to_a_restarted_dialer_ends_the_stale_connection() {
    let mut world = lasting_secret();
    talk(&mut world, BOB, ADA);
    talk(&mut world, ADA, BOB);
    restart(&mut world, BOB);
    world.send(ADA, BOB, b"lost");
    world.carry();
    assert!(closed(&world, ADA, &CloseReason::Reset), "HELLO brought the token\n{}", world.story());
    talk(&mut world, ADA, BOB);
}

#[test]
fn forged_resets_end_nothing() {
    let mut world = lasting_secret();
    talk(&mut world, ADA, BOB);
    let bob = world.address(BOB);
    for fill in 0..=255 {
        let mut forged = [fill; 40];
        forged[0] = 0x40 | (fill & 0x3F);
        world.actors[ADA].endpoint.handle_udp(bob, None, &mut forged, now());
    }
    talk(&mut world, ADA, BOB);
    assert_eq!(world.actors[ADA].endpoint.stats().resets_received, 0);
    assert_eq!(world.actors[ADA].endpoint.stats().dials, 1);
}

#[test]
fn reset_counts_only_from_its_peer() {
    let mut world = lasting_secret();
    talk(&mut world, ADA, BOB);
    restart(&mut world, BOB);
    world.send(ADA, BOB, b"lost");
    let mut buffer = vec![0; 1500];
    let ada = &mut world.actors[ADA].endpoint;
    let sent = ada.poll_transmit(&mut buffer, now()).unwrap();
    let (from, bob) = (world.address(ADA), &mut world.actors[BOB].endpoint);
    bob.handle_udp(from, None, &mut buffer[..sent.len], now());
    let reset = bob.poll_transmit(&mut buffer, now()).unwrap();
    assert!(reset.len < sent.len);
    let stranger = "10.6.6.6:666".parse().unwrap();
    let ada = &mut world.actors[ADA].endpoint;
    ada.handle_udp(stranger, None, &mut buffer[..reset.len], now());
    assert_eq!(ada.stats().connections, 1);
    ada.handle_udp(sent.to, None, &mut buffer[..reset.len], now());
    assert_eq!(ada.stats().connections, 0);
}

#[test]
fn of_two_crossed_dials_the_lower_name_s_stays() {
    let mut world = World::with(
        &["ada", "bob"],
        limits(|limits| {
            limits.duplicate_grace = Duration::from_millis(100);
        }),
    );
    world.send(ADA, BOB, b"from ada");
    world.send(BOB, ADA, b"from bob");
    world.run_until("both packets", |world| {
        world.actors.iter().all(|actor| actor.packets().len() == 1)
    });
    for actor in &world.actors {
        assert_eq!(actor.endpoint.stats().dials, 1, "the dials crossed");
    }
    world.run_until("one connection each", |world| {
        world.actors.iter().all(|actor| actor.endpoint.stats().connections == 1)
    });
    assert!(world.actors[ADA].endpoint.connections()[0].peer.dialed, "ada is lower than bob");
    assert!(!world.actors[BOB].endpoint.connections()[0].peer.dialed);
    let dials = |world: &World| world.actors[ADA].endpoint.stats().dials;
    talk(&mut world, BOB, ADA);
    assert_eq!(dials(&world), 1);
}

#[test]
fn accepting_does_not_wait_for_a_dial_to_the_same_peer() {
    let mut world = World::new(&["ada", "bob"]);
    let heard = Rc::new(Cell::new(false));
    let open = Rc::clone(&heard);
    world.lose = Box::new(move |from, _, _| from == ADA && !open.get());
    world.send(ADA, BOB, b"into the void");
    world.carry();
    heard.set(true);
    world.send(BOB, ADA, b"hello");
    let begin = now();
    world.run_until("bob's packet", |world| world.actors[ADA].packets() == [b"hello"]);
    assert!(now() - begin < Limits::default().dial_timeout, "ada served her own dial first");
    assert_eq!(world.actors[ADA].endpoint.stats().dials, 1);
}

#[test]
fn restarted_peer_s_new_connection_supersedes_the_dead_one() {
    let quick = limits(|limits| limits.duplicate_grace = Duration::from_millis(100));
    let mut world = World::with(&["ada", "bob"], quick);
    talk(&mut world, BOB, ADA);
    // A new secret: Ada's packets are noise to Bob, and his resets are noise to Ada.
    let bob = identity(authority(), "bob");
    let mut fresh = config(&bob, "bob");
    fresh.reset_secret = [9; 32];
    world.actors[BOB].endpoint = endpoint(fresh, &bob);
    world.actors[BOB].events.clear();
    talk(&mut world, BOB, ADA);
    talk(&mut world, ADA, BOB);
    world.run_until("the dead one is gone", |world| closed(world, ADA, &CloseReason::Superseded));
    assert_eq!(world.actors[ADA].endpoint.stats().connections, 1);
}

#[test]
fn peer_that_fell_silent_is_dialed_anew_and_found_again() {
    let quick = limits(|limits| {
        limits.stall_timeout = Duration::from_millis(200);
        limits.dial_timeout = Duration::from_millis(300);
        limits.dial_backoff_max = Duration::from_millis(100);
    });
    let mut world = World::with(&["ada", "bob"], quick);
    talk(&mut world, ADA, BOB);
    world.lose = Box::new(|_, _, _| true);
    world.run_until("ada notices", |world| {
        world.send(ADA, BOB, b"into the hole");
        world.actors[ADA].endpoint.stats().stalled > 0
    });
    world.run_for(Duration::from_millis(400));
    world.lose = Box::new(|_, _, _| false);
    let healed = now();
    world.run_until("a way through", |world| {
        world.send(ADA, BOB, b"again");
        world.actors[BOB].packets().iter().any(|packet| packet == b"again")
    });
    assert!(now() - healed < Duration::from_secs(5), "no backed-off retransmission is waited for");
}

#[test]
fn connection_without_payload_is_closed() {
    let quick = limits(|limits| {
        limits.idle_timeout = Duration::from_millis(200);
        limits.sweep_interval = Duration::from_millis(50);
    });
    let mut world = World::with(&["ada", "bob"], quick);
    talk(&mut world, ADA, BOB);
    world.run_until("the end of an idle connection", |world| {
        world.actors.iter().all(|actor| actor.endpoint.stats().connections == 0)
    });
    let idle: u64 = world.actors.iter().map(|actor| actor.endpoint.stats().idle_closed).sum();
    assert!(idle >= 1);
    talk(&mut world, BOB, ADA);
}

/// Peers of our kind have their own time; those of another kind find every dial slow.
#[test]
fn only_connections_that_speak_the_extended_protocol_have_its_idle_timeout() {
    for (extended, left) in [(true, 0), (false, 1)] {
        let mut world = World::with(&["ada", "bob"], |config| {
            config.extended_idle_timeout = Some(Duration::from_millis(200));
            config.limits.sweep_interval = Duration::from_millis(50);
            if !extended && config.name == b"bob" {
                config.extended_protocol = b"of-another-kind/1".to_vec();
            }
        });
        talk(&mut world, ADA, BOB);
        world.run_for(Duration::from_millis(800));
        assert_eq!(world.actors[ADA].endpoint.stats().connections, left, "{}", world.story());
    }
}

#[test]
fn idle_connections_beyond_the_soft_target_are_closed_longest_unused_first() {
    let quick = limits(|limits| {
        limits.max_idle_connections = 2;
        limits.sweep_interval = Duration::from_millis(50);
    });
    let mut world = World::with(&["ada", "bob", "cyd", "dan"], |config| {
        if config.name == b"ada" {
            quick(config);
        }
    });
    for peer in 1..4 {
        talk(&mut world, ADA, peer);
    }
    assert_eq!(world.actors[ADA].endpoint.stats().connections, 3, "none is idle yet");
    let held = |world: &World| -> Vec<Vec<u8>> {
        let connections = world.actors[ADA].endpoint.connections();
        connections.iter().map(|connection| connection.peer.names[0].to_vec()).collect()
    };
    world.run_until("the third goes", |world| held(world).len() == 2);
    assert_eq!(held(&world), [b"cyd".to_vec(), b"dan".to_vec()]);
    world.run_for(Duration::from_millis(300));
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!((stats.connections, stats.idle_limit_closed, stats.evicted), (2, 1, 0));
    talk(&mut world, BOB, ADA);
}

#[test]
fn nobody_is_busy_while_nothing_happens() {
    let quick = limits(|limits| {
        limits.duplicate_grace = Duration::from_millis(1);
        limits.max_connection_age = Duration::from_millis(1);
        limits.sweep_interval = Duration::from_millis(400);
    });
    let mut world = World::with(&["ada", "bob", "go"], |config| {
        quick(config);
        if config.name == b"go" {
            config.extended_protocol = b"unknown/1".to_vec();
        }
    });
    talk(&mut world, ADA, BOB);
    // A stream that is never finished holds a retired connection open; a classic acceptor that
    // says nothing leaves its dialer unconfirmed.
    let stream = world.open(ADA, BOB);
    world.actors[ADA].endpoint.write(stream, b"pending", false).unwrap();
    talk(&mut world, ADA, 2);
    world.run_until("recycled", |world| world.actors[ADA].endpoint.stats().recycled > 0);
    let wakes = world.run_for(Duration::from_millis(1_500));
    assert!(wakes < 100, "{wakes} turns in a second and a half");
}

#[test]
fn keep_alives_outlive_the_negotiated_idle_timeout() {
    let quick = limits(|limits| {
        limits.max_idle_timeout = Duration::from_millis(300);
        limits.keep_alive_period = Duration::from_millis(100);
    });
    let mut world = World::with(&["ada", "bob"], quick);
    talk(&mut world, ADA, BOB);
    world.run_for(Duration::from_millis(900));
    assert_eq!(world.actors[ADA].endpoint.stats().connections, 1);

    let quick = limits(|limits| limits.max_idle_timeout = Duration::from_millis(300));
    let mut world = World::with(&["ada", "bob"], quick);
    talk(&mut world, ADA, BOB);
    world.run_until("the negotiated end", |world| closed(world, ADA, &CloseReason::TimedOut));
}

#[test]
fn aged_connection_is_replaced_without_losing_its_streams() {
    let quick = limits(|limits| {
        limits.max_connection_age = Duration::from_millis(300);
        limits.sweep_interval = Duration::from_millis(50);
        limits.duplicate_grace = Duration::from_millis(50);
    });
    let mut world = World::with(&["ada", "bob"], quick);
    let stream = world.open(ADA, BOB);
    world.actors[ADA].endpoint.write(stream, b"begun", false).unwrap();
    world.run_until("recycled", |world| world.actors[ADA].endpoint.stats().recycled > 0);
    talk(&mut world, ADA, BOB);
    assert_eq!(world.actors[ADA].endpoint.stats().dials, 2);
    world.actors[ADA].endpoint.write(stream, b" and done", true).unwrap();
    let bobs = world.actors[BOB].opened()[0];
    let mut received = Vec::new();
    world.run_until("the old stream's end", |world| world.read_all(BOB, bobs, &mut received));
    assert_eq!(received, b"begun and done");
}

#[test]
fn shutdown_sends_what_is_queued_and_says_goodbye() {
    let mut world = World::new(&["ada", "bob"]);
    talk(&mut world, ADA, BOB);
    let stream = world.open(ADA, BOB);
    world.actors[ADA].endpoint.write(stream, &vec![3; 200_000], true).unwrap();
    world.send(ADA, BOB, b"last words");
    world.actors[ADA].endpoint.stop(stream);
    world.actors[ADA].endpoint.shutdown(now() + PATIENCE, now());
    let mut received = Vec::new();
    let mut whole = false;
    world.run_until("the farewell", |world| {
        if let (false, Some(stream)) = (whole, world.actors[BOB].opened().first().copied()) {
            whole = world.read_all(BOB, stream, &mut received);
            if whole {
                world.actors[BOB].endpoint.stop(stream);
            }
        }
        world.actors[ADA].endpoint.is_shut_down()
    });
    assert!(world.actors[BOB].packets().contains(&b"last words".to_vec()));
    assert_eq!(received.len(), 200_000);
    let farewell = CloseReason::ByPeer { code: 0, reason: "transport shutdown".to_owned() };
    assert!(closed(&world, BOB, &farewell), "{}", world.story());
    world.send(ADA, BOB, b"too late");
    world.carry();
    let refused = |event: &EndpointEvent| matches!(event, EndpointEvent::SendFailed { .. });
    assert_eq!(world.actors[ADA].count(refused), 1);
}

#[test]
fn dropped_endpoint_sends_nothing() {
    let mut world = World::new(&["ada", "bob"]);
    talk(&mut world, ADA, BOB);
    restart(&mut world, ADA);
    let before = world.delivered;
    world.carry();
    assert_eq!(world.delivered, before);
    assert_eq!(world.actors[BOB].endpoint.stats().connections, 1);
}

#[test]
fn answer_that_arrived_before_the_close_can_still_be_read() {
    let mut world = World::new(&["ada", "bob"]);
    let asked = world.open(ADA, BOB);
    world.actors[ADA].endpoint.write(asked, b"question", true).unwrap();
    world.run_until("the question", |world| world.actors[BOB].opened().len() == 1);
    let answering = world.actors[BOB].opened()[0];
    let mut question = Vec::new();
    world.read_all(BOB, answering, &mut question);
    world.actors[BOB].endpoint.write(answering, b"answer", true).unwrap();
    world.carry();
    let ada = world.address(ADA);
    world.actors[BOB].endpoint.close(ada, CloseReason::Requested, now());
    world.carry();
    let mut answer = Vec::new();
    assert!(world.read_all(ADA, asked, &mut answer));
    assert_eq!(answer, b"answer");
}

#[test]
fn packets_find_a_peer_that_dialed_from_elsewhere_by_its_name() {
    let mut world = World::new(&["ada", "bob"]);
    talk(&mut world, BOB, ADA);
    let advertised = "10.77.0.1:7946".parse().unwrap();
    world.actors[ADA].endpoint.send_packet(advertised, Some(b"bob"), b"by name", now());
    world.run_until("bob is found", |world| !world.actors[BOB].packets().is_empty());
    assert_eq!(world.actors[ADA].endpoint.stats().dials, 0);
}

#[test]
fn raw_datagrams_share_the_port() {
    let mut world = World::new(&["ada", "bob"]);
    let bob = world.address(BOB);
    assert!(world.actors[ADA].endpoint.send_raw(bob, b"\x00\x01stun"));
    assert!(!world.actors[ADA].endpoint.send_raw(bob, b"\x40quic"));
    world.carry();
    let raw =
        EndpointEvent::RawDatagram { from: world.address(ADA), bytes: b"\x00\x01stun".to_vec() };
    assert_eq!(world.actors[BOB].count(|event| *event == raw), 1);
    assert_eq!(world.actors[BOB].endpoint.stats().connections, 0);
}

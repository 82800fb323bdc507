//! Strangers without any certificate: noise, floods, forgeries.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::mallory::{ADA, Mallory, world_with};
use crate::world::{CLASSIC, World, now};
use quic_net::{Limits, Refusal};

const BOB: usize = 1;

#[test]
fn flood_of_initials_meets_retry_and_then_nothing() {
    let few = |limits: &mut Limits| {
        limits.handshakes = 4;
        limits.half_open = 8;
    };
    let mut world = world_with(few);
    let mut buffer = [0; 1500];
    for number in 0..50u16 {
        let mut mallory = Mallory::dial(&world, CLASSIC, |_| {});
        mallory.address.set_port(1000 + number);
        let (length, _) = mallory.quic.send(&mut buffer).unwrap();
        let endpoint = &mut world.actors[ADA].endpoint;
        endpoint.handle_udp(mallory.address, None, &mut buffer[..length], now());
    }
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!((stats.accepted, stats.connections, stats.retries_sent), (4, 4, 46));
    assert_eq!(stats.confirmed, 0);

    // An honest client gets in by proving its address.
    let mut honest = Mallory::dial(&world, CLASSIC, |_| {});
    honest.run_until(&mut world, "the handshake", |honest, _| honest.quic.is_established());
    honest.quic.dgram_send(b"hello").unwrap();
    honest.run_until(&mut world, "hello", |_, world| world.actors[ADA].packets() == [b"hello"]);
    drop(honest.config);
}

#[test]
fn ten_thousand_spoofed_initials_a_second_stop_nobody() {
    const SPAN: Duration = Duration::from_secs(2);
    const PER_MILLISECOND: usize = 10;
    let mut world = World::new(&["ada", "bob"]);
    let initials: Vec<Vec<u8>> = (0..100).map(|_| initial(&world)).collect();
    let mut spoofed: BTreeMap<SocketAddr, usize> = BTreeMap::new();
    let begin = now();
    let (mut sent, mut pings, mut most) = (0, 0, 0);
    while now() < begin + SPAN {
        let due = usize::try_from((now() - begin).as_millis()).unwrap() * PER_MILLISECOND;
        while sent < due {
            let port = 1_024 + u16::try_from(sent % 64_000).unwrap();
            let from = SocketAddr::from(([10, 6, 6, 6], port));
            let mut bytes = initials[sent % initials.len()].clone();
            *spoofed.entry(from).or_default() += bytes.len();
            world.actors[ADA].endpoint.handle_udp(from, None, &mut bytes, now());
            sent += 1;
        }
        if sent > 100 && world.actors[ADA].packets().len() == pings {
            pings += 1;
            world.send(BOB, ADA, b"ping");
        }
        world.carry();
        most = most.max(world.actors[ADA].endpoint.stats().connections);
    }
    assert!(sent > 10_000, "only {sent} were sent");
    assert!(pings > 100, "only {pings} of bob's pings arrived");
    assert!(most <= 64 + 1, "{most} connections for strangers");
    assert_eq!(world.actors[BOB].endpoint.stats().dials_failed, 0);
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!(stats.accepted + stats.retries_sent, u64::try_from(sent + 2).unwrap());
    assert!(world.undelivered.len() > 10_000, "{} were answered", world.undelivered.len());
    for (to, bytes) in &world.undelivered {
        assert!(*bytes <= 3 * spoofed[to], "{bytes} bytes to {to}, who sent {}", spoofed[to]);
    }
}

/// The first datagram of a client that will never speak again.
fn initial(world: &World) -> Vec<u8> {
    let mut mallory = Mallory::dial(world, CLASSIC, |_| {});
    let mut bytes = vec![0; 1500];
    let (length, _) = mallory.quic.send(&mut bytes).unwrap();
    bytes.truncate(length);
    bytes
}

#[test]
fn unknown_version_is_answered_once_in_less_space_and_leaves_nothing() {
    let mut world = world_with(|_| {});
    let endpoint = &mut world.actors[ADA].endpoint;
    let from: SocketAddr = "10.6.6.6:666".parse().unwrap();
    let mut buffer = [0; 1500];
    let mut packet = vec![0; 1200];
    packet[..7].copy_from_slice(b"\xC0\x1A\x2A\x3A\x4A\x08x");
    packet[14] = 8;
    for _ in 0..5_000 {
        endpoint.handle_udp(from, None, &mut packet.clone(), now());
    }
    let mut answers = 0;
    while let Some(transmit) = endpoint.poll_transmit(&mut buffer, now()) {
        assert!(transmit.len < 100 && buffer[1..5] == [0; 4], "not a version negotiation");
        answers += 1;
    }
    assert_eq!(answers, 1024, "as many as may wait");
    // Too short, or itself a version negotiation: no answer.
    endpoint.handle_udp(from, None, &mut packet[..1199], now());
    packet[1..5].fill(0);
    endpoint.handle_udp(from, None, &mut packet, now());
    assert_eq!(endpoint.poll_transmit(&mut buffer, now()), None);
    let stats = endpoint.stats();
    assert_eq!(stats.refusals.get(&Refusal::VersionMismatch), Some(&5_000));
    assert_eq!((stats.connections, stats.accepted), (0, 0));
}

#[test]
fn packets_of_unknown_connections_get_few_and_shorter_answers() {
    let mut world = world_with(|_| {});
    let endpoint = &mut world.actors[ADA].endpoint;
    let mut buffer = [0; 1500];
    let begin = now();
    for number in 0..2_000u16 {
        let mut packet = vec![0x55; 9 + usize::from(number) % 1_191];
        packet[0] = 0x40;
        packet[1..3].copy_from_slice(&number.to_be_bytes());
        let from = SocketAddr::from(([10, 6, 6, 6], 1_024 + number));
        let length = packet.len();
        endpoint.handle_udp(from, None, &mut packet, now());
        while let Some(transmit) = endpoint.poll_transmit(&mut buffer, now()) {
            assert!(transmit.to == from && transmit.len < length, "{} for {length}", transmit.len);
        }
    }
    let stats = endpoint.stats();
    let seconds = 1 + (now() - begin).as_secs();
    assert!(stats.resets_sent > 0 && stats.resets_sent <= 100 * seconds, "{stats:?}");
    assert!(stats.resets_withheld > 1_000);
    assert_eq!((stats.stray_datagrams, stats.connections), (2_000, 0));
}

#[test]
fn truncated_and_altered_copies_of_real_packets_change_nothing() {
    let mut world = World::new(&["ada", "bob"]);
    let overheard = Rc::new(RefCell::new(Vec::new()));
    let ear = Rc::clone(&overheard);
    world.lose = Box::new(move |_, to, bytes| {
        if to == ADA {
            ear.borrow_mut().push(bytes.to_vec());
        }
        false
    });
    world.send(BOB, ADA, b"ping");
    world.run_until("ping", |world| world.actors[ADA].packets() == [b"ping"]);
    world.send(BOB, ADA, &[1; 5_000]);
    world.run_until("a long packet", |world| world.actors[ADA].packets().len() == 2);

    let overheard = overheard.take();
    assert!(overheard.len() >= 5, "{} datagrams overheard", overheard.len());
    let (bob, stranger) = (world.address(BOB), SocketAddr::from(([10, 6, 6, 6], 666)));
    let endpoint = &mut world.actors[ADA].endpoint;
    for packet in &overheard {
        for at in (0..packet.len()).step_by(7) {
            for from in [bob, stranger] {
                endpoint.handle_udp(from, None, &mut packet[..at].to_vec(), now());
                let mut altered = packet.clone();
                altered[at] ^= 0x10;
                endpoint.handle_udp(from, None, &mut altered, now());
            }
        }
    }
    world.run_until("strangers' handshakes are given up", |world| {
        world.actors[ADA].endpoint.stats().connections == 1
    });
    world.send(ADA, BOB, b"still there?");
    world.run_until("the question", |world| world.actors[BOB].packets() == [b"still there?"]);
    world.send(BOB, ADA, b"yes");
    world.run_until("the answer", |world| world.actors[ADA].packets().len() == 3);
    assert_eq!(world.actors[BOB].endpoint.stats().dials, 1);
    assert_eq!(world.actors[ADA].endpoint.stats().migrations, 0);
}

#[test]
fn noise_is_survived_and_counted() {
    let mut world = world_with(|_| {});
    let mut seed = 0x2545_F491_4F6C_DD1Du64;
    let from: SocketAddr = "10.6.6.6:666".parse().unwrap();
    for round in 0..20_000usize {
        let mut noise: Vec<u8> = (0..round % 1300)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed.to_be_bytes()[0]
            })
            .collect();
        if let (Some(first), true) = (noise.first_mut(), round % 2 == 0) {
            *first |= 0xC0;
        }
        let endpoint = &mut world.actors[ADA].endpoint;
        endpoint.handle_udp(from, None, &mut noise, now());
        while endpoint.poll_event().is_some() {}
    }
    let stats = world.actors[ADA].endpoint.stats();
    assert!(stats.stray_datagrams > 1000 && stats.resets_withheld > 0, "{stats:?}");
    assert!(stats.resets_sent <= 100 * 20 && stats.connections <= 64);
}

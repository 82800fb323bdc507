//! Streams that arrive in pieces with gaps between: each piece costs memory, and nobody can read
//! it. Who sends many is parted with; who only loses and reorders packets is not.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ring::{aead, hkdf};

use crate::mallory::{ADA, Mallory, world_with};
use crate::world::{CLASSIC, World, now};
use quic_net::{CloseReason, EndpointEvent};

const BOB: usize = 1;

/// A connection to Ada of which only the keys are left: its packets are made by hand.
struct Sealer {
    address: SocketAddr,
    id: Vec<u8>,
    key: aead::LessSafeKey,
    iv: [u8; 12],
    header_key: aead::quic::HeaderProtectionKey,
    number: u32,
    /// Stream frames sent.
    pieces: usize,
}

#[derive(Clone, Default)]
struct KeyLog(Arc<Mutex<Vec<u8>>>);

impl Write for KeyLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl KeyLog {
    /// The secret of what the client sends after the handshake.
    fn client_secret(&self) -> Vec<u8> {
        let log = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let line = log.lines().find(|line| line.starts_with("CLIENT_TRAFFIC_SECRET_0 ")).unwrap();
        let secret = line.rsplit(' ').next().unwrap();
        let byte = |at: usize| u8::from_str_radix(&secret[at..at + 2], 16).unwrap();
        (0..secret.len()).step_by(2).map(byte).collect()
    }
}

impl Sealer {
    /// Dials Ada and says hello; from then on only hand-made packets are sent.
    fn meets(world: &mut World) -> Self {
        let mut mallory = Mallory::dial(world, CLASSIC, quiche::Config::log_keys);
        let log = KeyLog::default();
        mallory.quic.set_keylog(Box::new(log.clone()));
        mallory.run_until(world, "the handshake", |mallory, _| mallory.quic.is_established());
        mallory.quic.dgram_send(b"hello").unwrap();
        mallory.run_until(world, "hello", |_, world| world.actors[ADA].packets() == [b"hello"]);
        let secret = log.client_secret();
        assert_eq!(secret.len(), 32, "TLS_AES_128_GCM_SHA256");
        let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &secret);
        let key = expand(&secret, "quic key", 16);
        let key = aead::UnboundKey::new(&aead::AES_128_GCM, &key).unwrap();
        let header_key = expand(&secret, "quic hp", 16);
        Self {
            address: mallory.address,
            id: mallory.quic.destination_id().to_vec(),
            key: aead::LessSafeKey::new(key),
            iv: expand(&secret, "quic iv", 12).try_into().unwrap(),
            header_key: aead::quic::HeaderProtectionKey::new(&aead::quic::AES_128, &header_key)
                .unwrap(),
            number: 1_000,
            pieces: 0,
        }
    }

    /// Sends one packet (RFC 9001 section 5).
    fn send(&mut self, world: &mut World, frames: &[u8]) {
        let number = self.number.to_be_bytes();
        self.number += 1;
        let header = [&[0x43], &self.id[..], &number].concat();
        let mut nonce = self.iv;
        for (nonce, number) in nonce[8..].iter_mut().zip(number) {
            *nonce ^= number;
        }
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let mut body = frames.to_vec();
        body.resize(body.len().max(4), 0);
        self.key.seal_in_place_append_tag(nonce, aead::Aad::from(&header), &mut body).unwrap();
        let mask = self.header_key.new_mask(&body[..16]).unwrap();
        let mut packet = [&header[..], &body].concat();
        packet[0] ^= mask[0] & 0x1F;
        let at = header.len() - 4;
        for (byte, mask) in packet[at..header.len()].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
        world.actors[ADA].endpoint.handle_udp(self.address, None, &mut packet, now());
        world.carry();
    }

    /// Sends every other byte of `streams` between the offsets, as packed as it can be.
    fn send_pieces(&mut self, world: &mut World, streams: &[u32], from: u32, to: u32) {
        let mut frames = Vec::new();
        for offset in (from..to).step_by(2) {
            for stream in streams {
                push_frame(&mut frames, *stream, offset, &[7]);
                self.pieces += 1;
                if frames.len() > 1_150 {
                    self.send(world, &frames);
                    frames.clear();
                }
            }
        }
        self.send(world, &frames);
    }

    /// Sends a packet as a whole stream, which is read at once.
    fn send_packet_stream(&mut self, world: &mut World, stream: u32, length: u32) {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.resize(bytes.len() + usize::try_from(length).unwrap(), 7);
        let mut offset = 0;
        for part in bytes.chunks(1_100) {
            let mut frames = Vec::new();
            push_frame(&mut frames, stream, offset, part);
            offset += u32::try_from(part.len()).unwrap();
            self.send(world, &frames);
        }
        let mut end = Vec::new();
        push_frame(&mut end, stream, offset, &[]);
        end[0] |= 1;
        self.send(world, &end);
    }
}

/// RFC 8446 section 7.1.
fn expand(secret: &hkdf::Prk, label: &str, length: usize) -> Vec<u8> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let label = format!("tls13 {label}");
    let long = u8::try_from(length).unwrap();
    let info = [&[0, long, u8::try_from(label.len()).unwrap()], label.as_bytes(), &[0]].concat();
    let mut bytes = vec![0; length];
    secret.expand(&[&info], Length(length)).unwrap().fill(&mut bytes).unwrap();
    bytes
}

/// A STREAM frame with offset and length (RFC 9000 section 19.8).
fn push_frame(frames: &mut Vec<u8>, stream: u32, offset: u32, bytes: &[u8]) {
    frames.push(0x0E);
    for number in [stream, offset, u32::try_from(bytes.len()).unwrap()] {
        match number {
            0..64 => frames.push(u8::try_from(number).unwrap()),
            64..16_384 => {
                frames.extend((0x4000 | u16::try_from(number).unwrap()).to_be_bytes());
            }
            _ => frames.extend((0x8000_0000 | number).to_be_bytes()),
        }
    }
    frames.extend_from_slice(bytes);
}

/// Unidirectional streams of the dialing side.
fn unidirectional(numbers: std::ops::Range<u32>) -> Vec<u32> {
    numbers.map(|number| 4 * number + 2).collect()
}

fn is_closed(world: &World) -> bool {
    let closed = |event: &EndpointEvent| {
        matches!(event, EndpointEvent::Closed { reason: CloseReason::TooManyPieces, .. })
    };
    let is_closed = world.actors[ADA].count(closed) == 1;
    let stats = world.actors[ADA].endpoint.stats();
    let seen = (stats.too_many_pieces, stats.connections == 0);
    assert_eq!(seen, (is_closed.into(), is_closed), "{}", world.story());
    is_closed
}

/// Sends pieces until the connection ends; how many it took.
fn send_until_closed(mut send: impl FnMut(&mut World, &mut Sealer, u32)) -> usize {
    let mut world = world_with(|_| {});
    let mut mallory = Sealer::meets(&mut world);
    for round in 0..1_000 {
        send(&mut world, &mut mallory, round);
        if is_closed(&world) {
            return mallory.pieces;
        }
    }
    panic!("{:?}", world.actors[ADA].endpoint.stats());
}

#[test]
fn pieces_of_many_streams_end_the_connection() {
    let streams = unidirectional(0..32);
    let pieces = send_until_closed(|world, mallory, round| {
        mallory.send_pieces(world, &streams, 2 + 64 * round, 66 + 64 * round);
    });
    assert!((65_537..67_000).contains(&pieces), "{pieces}");
}

#[test]
fn pieces_that_come_little_by_little_beside_streams_that_are_read_end_the_connection() {
    let pieces = send_until_closed(|world, mallory, round| {
        // On streams of which nothing can be read.
        let at = 2 + round * 1_024;
        mallory.send_pieces(world, &unidirectional(0..8), at, at + 1_024);
        mallory.send_packet_stream(world, 4 * (100 + round) + 2, 6_000);
        world.run_for(Duration::from_millis(20));
    });
    assert!((65_500..71_000).contains(&pieces), "{pieces}");
}

#[test]
fn pieces_without_gaps_that_nobody_reads_end_the_connection() {
    let pieces = send_until_closed(|world, mallory, round| {
        let mut frames = Vec::new();
        for offset in round * 150..(round + 1) * 150 {
            // Ours is an application's stream, which is not read here.
            push_frame(&mut frames, 0, offset, &[7]);
            mallory.pieces += 1;
        }
        mallory.send(world, &frames);
    });
    assert!(pieces > 65_536, "{pieces}");
}

#[test]
fn pieces_of_one_stream_are_bounded_by_its_window() {
    let mut world = world_with(|limits| limits.stream_pieces = 60_000);
    let mut mallory = Sealer::meets(&mut world);
    mallory.send_pieces(&mut world, &[2], 2, 100 << 10);
    assert!(!is_closed(&world));
    mallory.send_pieces(&mut world, &[2], 100 << 10, 128 << 10);
    assert!(is_closed(&world));
}

#[test]
fn pieces_whose_streams_end_are_forgiven() {
    let mut world = world_with(|_| {});
    let mut mallory = Sealer::meets(&mut world);
    for round in 0..16 {
        let streams = unidirectional(8 * round..8 * round + 8);
        mallory.send_pieces(&mut world, &streams, 1, 1 << 13);
        // RESET_STREAM at the size that was reached (RFC 9000 section 19.4).
        for stream in streams {
            let mut reset = Vec::new();
            push_frame(&mut reset, stream, 0, &[]);
            let id = reset[1..reset.len() - 2].to_vec();
            mallory.send(&mut world, &[&[4], &id[..], &[0, 0x60, 0]].concat());
        }
    }
    assert!(mallory.pieces > 500_000, "{}", mallory.pieces);
    assert!(!is_closed(&world));
}

/// Loses one in ten, by a generator of its own.
fn lossy() -> crate::world::Lose {
    let mut state = 1_u64;
    Box::new(move |_, _, _| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33).is_multiple_of(10)
    })
}

/// Bob sends long streams to Ada at once, and she reads them.
fn send_long_streams(world: &mut World, streams: usize, length: usize) {
    let streams: Vec<_> = (0..streams).map(|_| world.open(BOB, ADA)).collect();
    let mut unsent: Vec<_> = streams.iter().map(|stream| (*stream, length)).collect();
    let (mut opened, mut read) = (Vec::new(), vec![0; streams.len()]);
    let chunk = vec![7; 64 << 10];
    let end = now() + Duration::from_secs(300);
    while read.iter().sum::<usize>() < length * streams.len() {
        assert!(now() < end, "{read:?} of {length}\n{:?}", world.actors[ADA].endpoint.stats());
        for (stream, unsent) in unsent.iter_mut().filter(|(_, unsent)| *unsent > 0) {
            let part = &chunk[..chunk.len().min(*unsent)];
            let endpoint = &mut world.actors[BOB].endpoint;
            *unsent -= endpoint.write(*stream, part, part.len() == *unsent).unwrap();
        }
        world.carry();
        for event in std::mem::take(&mut world.actors[ADA].events) {
            if let EndpointEvent::StreamOpened { stream, .. } = event {
                opened.push(stream);
            }
        }
        world.actors[BOB].events.clear();
        for (stream, read) in opened.iter().zip(&mut read).filter(|(_, read)| **read < length) {
            let mut bytes = Vec::new();
            world.read_all(ADA, *stream, &mut bytes);
            *read += bytes.len();
        }
        let due = world.actors.iter().filter_map(|actor| actor.endpoint.poll_timeout()).min();
        world.sleep.wait(due).unwrap();
    }
    for actor in &world.actors {
        let stats = actor.endpoint.stats();
        assert_eq!((stats.too_many_pieces, stats.recycled), (0, 0), "{}: {stats:?}", actor.name);
    }
}

#[test]
fn a_long_stream_of_which_one_packet_in_ten_is_lost_arrives() {
    let mut world = World::new(&["ada", "bob"]);
    world.lose = lossy();
    send_long_streams(&mut world, 1, 20 << 20);
}

#[test]
fn streams_whose_packets_are_lost_and_overtake_each_other_arrive() {
    let mut world = World::new(&["ada", "bob"]);
    world.lose = lossy();
    world.reverse = true;
    send_long_streams(&mut world, 8, 2 << 20);
}

/// Bob opens a stream that Ada reads and that nothing follows on.
fn open_idle_stream(world: &mut World) {
    let idle = world.open(BOB, ADA);
    world.actors[BOB].endpoint.write(idle, b"a request", false).unwrap();
    world.run_until("the stream", |world| {
        world.actors[ADA].count(|event| matches!(event, EndpointEvent::StreamOpened { .. })) == 1
    });
    for event in std::mem::take(&mut world.actors[ADA].events) {
        if let EndpointEvent::StreamOpened { stream, .. } = event {
            world.read_all(ADA, stream, &mut Vec::new());
        }
    }
}

#[test]
fn a_million_packets_beside_a_stream_that_stays_open_change_nothing() {
    let mut world = World::new(&["ada", "bob"]);
    open_idle_stream(&mut world);
    for round in 0..20_000 {
        for _ in 0..50 {
            world.send(BOB, ADA, &[7; 30]);
        }
        world.carry();
        world.actors[ADA].events.clear();
        if round % 100 == 0 {
            // Bob's acknowledgements, and the looks that time brings.
            world.run_for(Duration::from_millis(120));
        }
    }
    let stats = world.actors[ADA].endpoint.stats();
    assert!(stats.packets_received > 900_000, "{stats:?}");
    assert_eq!((stats.too_many_pieces, stats.recycled), (0, 0), "{stats:?}");
}

#[test]
fn a_long_stream_beside_one_that_stays_open_arrives() {
    let mut world = World::new(&["ada", "bob"]);
    open_idle_stream(&mut world);
    send_long_streams(&mut world, 1, 128 << 20);
}

#[test]
fn lossy_streams_beside_one_that_stays_open_arrive() {
    let mut world = World::new(&["ada", "bob"]);
    open_idle_stream(&mut world);
    world.lose = lossy();
    world.reverse = true;
    send_long_streams(&mut world, 8, 2 << 20);
}

//! Peers that break the rules: a hand-driven QUIC connection against one endpoint. Whatever it
//! does, the endpoint keeps within its bounds and serves others.

use std::net::SocketAddr;
use std::time::Duration;

use crate::world::{CLASSIC, EXTENDED, PATIENCE, World, authority, identity, limits, now};
use quic_net::{CloseReason, EndpointConfig, Event, Limits};
use quiche::ConnectionId;

const ADA: usize = 0;
const LOCAL: &str = "0.0.0.0:0";

/// Mallory, with a valid certificate and a mind of her own.
struct Mallory {
    quic: quiche::Connection,
    address: SocketAddr,
    ada: SocketAddr,
    config: quiche::Config,
}

impl Mallory {
    fn dial(world: &World, protocol: &[u8], adjust: impl Fn(&mut quiche::Config)) -> Self {
        let mut config = Self::config(protocol);
        adjust(&mut config);
        let ada = world.address(ADA);
        let id = ConnectionId::from_ref(b"mallory!");
        let quic = quiche::connect(None, &id, LOCAL.parse().unwrap(), ada, &mut config).unwrap();
        Self { quic, address: "10.6.6.6:666".parse().unwrap(), ada, config }
    }

    fn config(protocol: &[u8]) -> quiche::Config {
        let identity = identity(authority(), "mallory");
        let tls = certs::tls_context(&identity, &identity.trust()).unwrap();
        let version = quiche::PROTOCOL_VERSION;
        let mut config = quiche::Config::with_boring_ssl_ctx_builder(version, tls).unwrap();
        config.set_application_protos(&[protocol]).unwrap();
        config.enable_dgram(true, 100, 100);
        config.set_initial_max_data(1 << 20);
        config.set_initial_max_stream_data_bidi_local(1 << 20);
        config.set_initial_max_stream_data_bidi_remote(1 << 20);
        config.set_initial_max_stream_data_uni(1 << 20);
        config.set_initial_max_streams_bidi(100);
        config.set_initial_max_streams_uni(100);
        config
    }

    /// Carries everything between Mallory and Ada until both are silent.
    fn carry(&mut self, world: &mut World) {
        let mut buffer = vec![0; 16 * 1500];
        for _ in 0..10_000 {
            let mut quiet = true;
            let endpoint = &mut world.actors[ADA].endpoint;
            while let Ok((length, _)) = self.quic.send(&mut buffer) {
                quiet = false;
                endpoint.handle_udp(self.address, None, &mut buffer[..length], now());
            }
            endpoint.handle_timeout(now());
            while let Some(transmit) = endpoint.poll_transmit(&mut buffer, now()) {
                quiet = false;
                let segment = transmit.segment.unwrap_or(transmit.len);
                for datagram in buffer[..transmit.len].chunks_mut(segment) {
                    let to = LOCAL.parse().unwrap();
                    let info = quiche::RecvInfo { from: self.ada, to };
                    if let Err(error) = self.quic.recv(datagram, info) {
                        assert!(self.quic.local_error().is_some(), "{error:?}");
                    }
                }
            }
            self.quic.on_timeout();
            let ada = &mut world.actors[ADA];
            ada.events.extend(std::iter::from_fn(|| ada.endpoint.poll_event()));
            if quiet {
                return;
            }
        }
        panic!("never silent");
    }

    fn run_until(
        &mut self,
        world: &mut World,
        what: &str,
        mut done: impl FnMut(&mut Self, &World) -> bool,
    ) {
        let end = now() + PATIENCE;
        loop {
            self.carry(world);
            if done(self, world) {
                return;
            }
            assert!(now() < end, "never came: {what}\n{}", world.story());
            let due = [self.quic.timeout_instant(), world.actors[ADA].endpoint.poll_timeout()];
            let due = due.into_iter().flatten().min().unwrap_or(end).min(end);
            world.sleep.wait(Some(due)).unwrap();
        }
    }

    fn close_reason(&self) -> Option<String> {
        let error = self.quic.peer_error()?;
        Some(String::from_utf8_lossy(&error.reason).into_owned())
    }
}

fn world_with(adjust: impl Fn(&mut Limits)) -> World {
    World::with(&["ada"], limits(adjust))
}

#[test]
fn reserved_first_bytes_on_the_classic_protocol_are_dropped_and_counted() {
    let mut world = world_with(|_| {});
    let mut mallory = Mallory::dial(&world, CLASSIC, |_| {});
    mallory.run_until(&mut world, "the handshake", |mallory, _| mallory.quic.is_established());
    mallory.quic.dgram_send(b"\xF5\x02hi").unwrap();
    mallory.quic.dgram_send(b"\xF6\x00").unwrap();
    mallory.quic.stream_send(2, b"\0\0\0\x02\xF6\x00", true).unwrap();
    mallory.quic.stream_send(0, b"\xF5\x02hi", true).unwrap();
    mallory.quic.dgram_send(b"plain").unwrap();
    mallory.run_until(&mut world, "the plain packet", |_, world| {
        world.actors[ADA].packets() == [b"plain"]
            && world.actors[ADA].endpoint.stats().reserved_first_bytes == 4
    });
    assert!(world.actors[ADA].opened().is_empty());
}

#[test]
fn nothing_counts_on_the_extended_protocol_before_hello() {
    let mut world = world_with(|limits| limits.dial_timeout = Duration::from_millis(400));
    let mut mallory = Mallory::dial(&world, EXTENDED, |_| {});
    mallory.run_until(&mut world, "the handshake", |mallory, _| mallory.quic.is_established());
    mallory.quic.dgram_send(b"unlabelled").unwrap();
    mallory.quic.stream_send(0, b"unlabelled", true).unwrap();
    mallory.run_until(&mut world, "the end", |mallory, _| mallory.close_reason().is_some());
    assert!(world.actors[ADA].packets().is_empty() && world.actors[ADA].opened().is_empty());
    assert_eq!(world.actors[ADA].endpoint.stats().connections, 0);
}

#[test]
fn half_sent_packet_streams_are_given_up_at_their_deadline() {
    let short = |limits: &mut Limits| limits.packet_stream_timeout = Duration::from_millis(200);
    let mut world = world_with(short);
    let mut mallory = Mallory::dial(&world, CLASSIC, |_| {});
    mallory.run_until(&mut world, "the handshake", |mallory, _| mallory.quic.is_established());
    for number in 0..200u64 {
        mallory.quic.stream_send(2 + 4 * number, b"\0\0\x01\0half", false).unwrap();
        mallory.carry(&mut world);
    }
    mallory.run_until(&mut world, "all given up", |_, world| {
        world.actors[ADA].endpoint.stats().bad_packet_streams == 200
    });
    mallory.quic.dgram_send(b"still served").unwrap();
    mallory.run_until(&mut world, "a packet", |_, world| world.actors[ADA].packets().len() == 1);
}

#[test]
fn packet_stream_that_announces_too_much_is_refused() {
    let mut world = world_with(|_| {});
    let mut mallory = Mallory::dial(&world, CLASSIC, |_| {});
    mallory.run_until(&mut world, "the handshake", |mallory, _| mallory.quic.is_established());
    mallory.quic.stream_send(2, b"\x00\x01\x00\x01", false).unwrap();
    mallory.quic.stream_send(6, b"\xFF\xFF\xFF\xFF", true).unwrap();
    mallory.quic.stream_send(10, b"\x00\x00", true).unwrap();
    mallory.quic.stream_send(14, b"\x00\x00\x00\x00", true).unwrap();
    mallory.quic.stream_send(18, b"\x00\x00\x00\x02ok and more", true).unwrap();
    mallory.run_until(&mut world, "the good one", |_, world| {
        world.actors[ADA].packets() == [b"ok"]
            && world.actors[ADA].endpoint.stats().bad_packet_streams == 4
    });
}

#[test]
fn unread_streams_never_hold_more_than_the_window() {
    let mut world = world_with(|_| {});
    let mut mallory = Mallory::dial(&world, CLASSIC, |_| {});
    mallory.run_until(&mut world, "the handshake", |mallory, _| mallory.quic.is_established());
    let flood = vec![1; 64 << 10];
    let mut sent = 0;
    for number in 0..200u64 {
        sent += mallory.quic.stream_send(4 * number, &flood, false).unwrap_or(0);
        mallory.carry(&mut world);
    }
    assert!(sent <= 2 * (128 << 10), "{sent} bytes were taken unread");
    assert!(world.actors[ADA].opened().len() <= 256);
}

#[test]
fn stream_without_credit_moves_to_a_new_connection() {
    // Mallory grants two streams and no more, and never answers a second dial.
    let mut world = world_with(|limits| limits.dial_timeout = Duration::from_millis(400));
    let mut mallory =
        Mallory::dial(&world, CLASSIC, |config| config.set_initial_max_streams_bidi(2));
    mallory.run_until(&mut world, "the handshake", |mallory, _| mallory.quic.is_established());
    mallory.quic.dgram_send(b"hello").unwrap();
    mallory.carry(&mut world);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let deadline = now() + PATIENCE;
        let endpoint = &mut world.actors[ADA].endpoint;
        let stream = endpoint.open_stream(mallory.address, None, deadline, now());
        endpoint.write(stream, b"question", true).unwrap();
        streams.push(stream);
    }
    mallory.run_until(&mut world, "a second dial", |_, world| {
        world.actors[ADA].endpoint.stats().dials == 1
    });
    assert_eq!(world.actors[ADA].endpoint.stats().credit_replacements, 1);
    mallory.run_until(&mut world, "the third stream fails with the dial", |_, world| {
        let failed = |event: &Event| {
            matches!(event, Event::StreamFailed { stream, .. } if *stream == streams[2])
        };
        world.actors[ADA].count(failed) == 1
    });
}

#[test]
fn blocked_writer_does_not_storm() {
    let mut world = world_with(|_| {});
    let mut mallory = Mallory::dial(&world, CLASSIC, |config| config.set_initial_max_data(50_000));
    mallory.run_until(&mut world, "the handshake", |mallory, _| mallory.quic.is_established());
    mallory.quic.dgram_send(b"hello").unwrap();
    mallory.carry(&mut world);
    let endpoint = &mut world.actors[ADA].endpoint;
    let stream = endpoint.open_stream(mallory.address, None, now() + PATIENCE, now());
    endpoint.write(stream, &vec![0; 500_000], true).unwrap();
    mallory.carry(&mut world);
    let before = world.actors[ADA].endpoint.stats().udp_sent;
    for _ in 0..10 {
        mallory.quic.send_ack_eliciting().unwrap();
        mallory.carry(&mut world);
    }
    let spent = world.actors[ADA].endpoint.stats().udp_sent - before;
    assert!(spent <= 30, "{spent} packets for ten pings");
}

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

    // An honest client gets in by proving its address.
    let mut honest = Mallory::dial(&world, CLASSIC, |_| {});
    honest.run_until(&mut world, "the handshake", |honest, _| honest.quic.is_established());
    honest.quic.dgram_send(b"hello").unwrap();
    honest.run_until(&mut world, "hello", |_, world| world.actors[ADA].packets() == [b"hello"]);
    drop(honest.config);
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

#[test]
fn full_pool_evicts_the_idle_and_keeps_the_busy() {
    let small = |config: &mut EndpointConfig| config.limits.connections = 2;
    let mut world = World::with(&["ada", "bob", "cyd", "dan"], small);
    world.send(1, ADA, b"from bob");
    world.run_until("bob", |world| world.actors[ADA].packets().len() == 1);
    let stream = world.open(ADA, 1);
    world.actors[ADA].endpoint.write(stream, b"long talk", false).unwrap();
    world.send(2, ADA, b"from cyd");
    world.run_until("cyd", |world| world.actors[ADA].packets().len() == 2);
    world.send(3, ADA, b"too early");
    world.run_for(Duration::from_millis(1_200));
    world.run_until("dan gets in once cyd is idle", |world| {
        if world.actors[3].endpoint.stats().connections == 0 {
            world.send(3, ADA, b"from dan");
        }
        world.actors[ADA].packets().len() >= 3
    });
    let evicted =
        |event: &Event| matches!(event, Event::Closed { reason: CloseReason::Evicted, .. });
    assert_eq!(world.actors[ADA].count(evicted), 1);
    let names: Vec<_> =
        world.actors[ADA].endpoint.connections().iter().map(|c| c.peer.names[0].clone()).collect();
    assert!(names.contains(&b"bob".to_vec()) && !names.contains(&b"cyd".to_vec()));
}

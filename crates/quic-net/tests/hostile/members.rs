//! Members with a valid certificate who break the rules: they get no more than their share, and
//! others are served.

use std::net::SocketAddr;
use std::time::Duration;

use crate::mallory::{ADA, Mallory, world_with};
use crate::world::{CLASSIC, EXTENDED, World, now};
use quic_net::{
    CloseReason, EndpointConfig, EndpointEvent, Limits, ReadError, Refusal, SendFailure,
    StreamError,
};
use quiche::Shutdown;

const BOB: usize = 1;

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
    let window = Limits::default().receive_window;
    assert!(window <= 1 << 20);
    let mut world = world_with(|_| {});
    let mut mallory = Mallory::dial(&world, CLASSIC, |_| {});
    mallory.run_until(&mut world, "the handshake", |mallory, _| mallory.quic.is_established());
    let flood = vec![1; 64 << 10];
    let mut sent = 0;
    for number in 0..200u64 {
        let taken = mallory.quic.stream_send(4 * number, &flood, false).unwrap_or(0);
        sent += u64::try_from(taken).unwrap();
        mallory.carry(&mut world);
    }
    assert!(sent <= window, "{sent} bytes were taken unread");
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
        let stream = world.open_at(ADA, mallory.address, None);
        let endpoint = &mut world.actors[ADA].endpoint;
        endpoint.write(stream, b"question", true).unwrap();
        streams.push(stream);
    }
    mallory.run_until(&mut world, "a second dial", |_, world| {
        world.actors[ADA].endpoint.stats().dials == 1
    });
    assert_eq!(world.actors[ADA].endpoint.stats().credit_replacements, 1);
    mallory.run_until(&mut world, "the third stream fails with the dial", |_, world| {
        let failed = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::StreamFailed { stream, .. } if *stream == streams[2])
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
    let stream = world.open_at(ADA, mallory.address, None);
    let endpoint = &mut world.actors[ADA].endpoint;
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
fn one_certificate_holds_sixteen_connections_however_many_it_opens() {
    let mut world = World::new(&["ada", "bob"]);
    world.send(BOB, ADA, b"first");
    world.run_until("bob", |world| world.actors[ADA].packets().len() == 1);
    let mut mallory = Mallory::dial(&world, CLASSIC, |_| {});
    let mut older = Vec::new();
    for number in 0..1_000 {
        older.push(mallory.dial_again(1_000 + number));
        let established = |mallory: &mut Mallory, _: &World| mallory.quic.is_established();
        mallory.run_until(&mut world, "a handshake", established);
        mallory.carry(&mut world);
        assert!(world.actors[ADA].endpoint.stats().connections <= 17);
    }
    let stats = world.actors[ADA].endpoint.stats();
    assert_eq!((stats.accepted, stats.certificate_limit_closed), (1_001, 984));
    world.send(BOB, ADA, b"second");
    world.run_until("bob again", |world| world.actors[ADA].packets().len() == 2);
    assert_eq!(world.actors[BOB].endpoint.stats().dials, 1, "bob kept his connection");
    assert_eq!((stats.evicted, older.len()), (0, 1_000));
}

#[test]
fn streams_held_open_for_ever_are_bounded_and_end_at_their_deadlines() {
    let mut world = world_with(|_| {});
    let mut mallory = Mallory::meets(&mut world, |_| {});
    let mut begun = 0;
    while mallory.quic.stream_send(4 * begun, b"?", false).is_ok() {
        begun += 1;
    }
    mallory.carry(&mut world);
    assert_eq!((begun, world.actors[ADA].opened().len()), (256, 256));
    for stream in world.actors[ADA].opened() {
        let soon = now() + Duration::from_millis(100);
        world.actors[ADA].endpoint.set_deadline(stream, Some(soon));
    }
    mallory.run_until(&mut world, "all given up", |_, world| {
        let late = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::StreamFailed { reason: StreamError::TimedOut, .. })
        };
        world.actors[ADA].count(late) == 256
    });
    assert_eq!(world.actors[ADA].endpoint.connections()[0].streams, 0);
    mallory.quic.dgram_send(b"still served").unwrap();
    mallory.run_until(&mut world, "a packet", |_, world| world.actors[ADA].packets().len() == 2);
}

#[test]
fn packets_whose_streams_never_end_are_delivered_and_cost_only_their_sender() {
    let short = |limits: &mut Limits| limits.packet_stream_timeout = Duration::from_millis(50);
    let mut world = world_with(short);
    let mut mallory = Mallory::meets(&mut world, |_| {});
    let mut sent = 0;
    while mallory.quic.stream_send(2 + 4 * sent, b"\0\0\0\x02ok", false).is_ok() {
        sent += 1;
        mallory.carry(&mut world);
    }
    assert_eq!((sent, world.actors[ADA].packets().len()), (256, 257), "all her credit is gone");
    // The streams end late, and the credit comes back.
    for number in 0..256 {
        let end: &[u8] = if number % 2 == 0 { b"" } else { b"more than announced" };
        mallory.quic.stream_send(2 + 4 * number, end, true).unwrap();
        mallory.carry(&mut world);
    }
    mallory.quic.stream_send(2 + 4 * sent, b"\0\0\0\x02ok", true).unwrap();
    mallory.run_until(&mut world, "one more", |_, world| world.actors[ADA].packets().len() == 258);
    assert_eq!(world.actors[ADA].endpoint.stats().bad_packet_streams, 0);
}

#[test]
fn peer_that_resets_everything_leaves_nothing_behind() {
    const ROUNDS: u64 = 40;
    const PART: usize = 10;
    let mut world = world_with(|_| {});
    let many = |config: &mut quiche::Config| config.set_initial_max_streams_bidi(1_000);
    let mut mallory = Mallory::meets(&mut world, many);
    let (mut bidirectional, mut unidirectional) = (0, 2);
    for _ in 0..ROUNDS {
        let mut ours = Vec::new();
        for _ in 0..PART {
            let stream = world.open_at(ADA, mallory.address, None);
            let endpoint = &mut world.actors[ADA].endpoint;
            endpoint.write(stream, b"question", false).unwrap();
            ours.push(stream);
            mallory.quic.stream_send(bidirectional, b"?", false).unwrap();
            mallory.quic.stream_send(unidirectional, b"\0\0\x01\0half", false).unwrap();
            mallory.carry(&mut world);
            for next in [&mut bidirectional, &mut unidirectional] {
                mallory.quic.stream_shutdown(*next, Shutdown::Write, 7).unwrap();
                *next += 4;
            }
        }
        let answered = mallory.quic.readable().filter(|id| id % 4 == 1);
        for id in answered {
            mallory.quic.stream_shutdown(id, Shutdown::Read, 7).unwrap();
            mallory.quic.stream_shutdown(id, Shutdown::Write, 7).unwrap();
        }
        mallory.carry(&mut world);
        let opened = world.actors[ADA].opened();
        for stream in ours.iter().chain(&opened[opened.len() - PART..]) {
            let read = world.actors[ADA].endpoint.read(*stream, &mut [0; 8]);
            assert_eq!(read, Err(ReadError::Reset(7)));
        }
        mallory.carry(&mut world);
    }
    let endpoint = &world.actors[ADA].endpoint;
    let stats = endpoint.stats();
    assert_eq!(endpoint.connections()[0].streams, 0);
    assert_eq!((stats.connections, stats.credit_replacements), (1, 0));
    assert_eq!(stats.bad_packet_streams, ROUNDS * 10);
    assert!(bidirectional / 4 > 256, "more streams than may be open at once");
}

#[test]
fn large_packets_without_any_stream_credit_are_bounded_and_fail_at_their_deadline() {
    let short = |limits: &mut Limits| limits.packet_stream_timeout = Duration::from_millis(200);
    let mut world = world_with(short);
    let mut mallory = Mallory::meets(&mut world, |config| config.set_initial_max_streams_uni(0));
    for _ in 0..300 {
        let endpoint = &mut world.actors[ADA].endpoint;
        endpoint.send_packet(mallory.address, None, &[1; 5_000], now());
    }
    let dropped = world.actors[ADA].endpoint.stats().send_queue_drops;
    assert!(dropped >= 300 - (1 << 20) / 5_000, "{dropped} dropped");
    mallory.run_until(&mut world, "the others fail", |_, world| {
        let failed = |event: &EndpointEvent| {
            matches!(event, EndpointEvent::SendFailed { reason: SendFailure::Unreachable, .. })
        };
        u64::try_from(world.actors[ADA].count(failed)).unwrap() >= 300 - dropped
    });
    // Their deadlines fall into different turns, but there was one connection to replace.
    assert_eq!(world.actors[ADA].endpoint.stats().credit_replacements, 1, "Ada dials anew");
}

#[test]
fn packets_that_nobody_looks_at_fill_no_more_than_the_buffer() {
    let mut world = world_with(|limits| limits.endpoint_buffer = 64 << 10);
    let mut mallory = Mallory::meets(&mut world, |_| {});
    for _ in 0..2_000 {
        mallory.quic.dgram_send(&[1; 1_000]).unwrap();
        mallory.exchange(&mut world);
    }
    let stats = world.actors[ADA].endpoint.stats();
    mallory.carry(&mut world);
    let seen = world.actors[ADA].packets().len();
    assert!((50..=65).contains(&seen), "{seen} packets were kept");
    assert_eq!(stats.packets_received, 2_001);
    assert_eq!(stats.endpoint_buffer_drops, 2_002 - u64::try_from(seen).unwrap() - 1);
}

#[test]
fn packets_for_peers_that_never_answer_wait_within_the_endpoints_bound() {
    let mut world = World::with(&["ada"], |config| {
        config.limits.endpoint_buffer = 1 << 20;
        config.limits.dial_timeout = Duration::from_millis(300);
    });
    let ada = &mut world.actors[ADA].endpoint;
    // Sixteen packets of 64 KiB fit, for whomever they are.
    for peer in 0..4u16 {
        let nobody = SocketAddr::from(([127, 0, 0, 9], 1_000 + peer));
        for _ in 0..8 {
            ada.send_packet(nobody, None, &[1; 65_536], now());
        }
    }
    assert_eq!(ada.stats().endpoint_buffer_drops, 16);
    world.run_until("the dials fail", |world| world.actors[ADA].endpoint.stats().dials_failed == 4);
    let nobody = SocketAddr::from(([127, 0, 0, 9], 2_000));
    for _ in 0..8 {
        world.actors[ADA].endpoint.send_packet(nobody, None, &[1; 65_536], now());
    }
    assert_eq!(world.actors[ADA].endpoint.stats().endpoint_buffer_drops, 16, "there is room again");
}

#[test]
fn greeting_that_cannot_be_read_ends_the_connection() {
    let mut world = world_with(|_| {});
    let mut mallory = Mallory::dial(&world, EXTENDED, |_| {});
    mallory.run_until(&mut world, "the handshake", |mallory, _| mallory.quic.is_established());
    mallory.quic.stream_send(2, b"\0\0\0\x05\xF6\0\xFF\xFF\xC1", true).unwrap();
    mallory.run_until(&mut world, "the refusal", |_, world| {
        world.actors[ADA].endpoint.stats().refusals.get(&Refusal::Handshake) == Some(&1)
    });
    assert_eq!(world.actors[ADA].endpoint.stats().connections, 0);
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
    let evicted = |event: &EndpointEvent| {
        matches!(event, EndpointEvent::Closed { reason: CloseReason::Evicted, .. })
    };
    assert_eq!(world.actors[ADA].count(evicted), 1);
    let names: Vec<_> =
        world.actors[ADA].endpoint.connections().iter().map(|c| c.peer.names[0].to_vec()).collect();
    assert!(names.contains(&b"bob".to_vec()) && !names.contains(&b"cyd".to_vec()));
}

#[test]
fn a_packet_that_gets_on_has_time_and_one_that_does_not_is_given_up() {
    let timeout = Duration::from_secs(1);
    let mut world = world_with(|limits| limits.packet_stream_timeout = timeout);
    let mut mallory = Mallory::meets(&mut world, |_| {});
    let pause = |mallory: &mut Mallory, world: &mut World| {
        let end = now() + timeout / 2;
        mallory.carry(world);
        while now() < end {
            world.sleep.wait(Some(end)).unwrap();
        }
        mallory.carry(world);
    };
    mallory.quic.stream_send(2, &20_000_u32.to_be_bytes(), false).unwrap();
    mallory.quic.stream_send(6, &[&20_000_u32.to_be_bytes()[..], &[7]].concat(), false).unwrap();
    for part in 1..=4 {
        mallory.quic.stream_send(2, &[7; 5_000], part == 4).unwrap();
        mallory.quic.stream_send(6, &[7; 50], false).unwrap();
        pause(&mut mallory, &mut world);
    }
    assert_eq!(world.actors[ADA].packets().last(), Some(&vec![7; 20_000]));
    assert_eq!(world.actors[ADA].endpoint.stats().bad_packet_streams, 1, "too slow");
}

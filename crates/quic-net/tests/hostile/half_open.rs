//! Handshakes that strangers begin with a proven address, and leave: newcomers get in.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::mallory::{ADA, Mallory};
use crate::world::{CLASSIC, World, limits, now};
use quic_net::{EndpointEvent, Limits, Refusal};

/// Newcomers that dial at once.
const NEWCOMERS: usize = 20;
/// Handshakes that strangers begin in a second.
const PER_SECOND: u128 = 1_000;

/// How long a datagram travels, at the least.
const ONE_WAY: Duration = Duration::from_millis(5);

/// Ada and the newcomers. Ada asks everybody for a proof of the address.
fn world() -> World {
    let names: Vec<String> = (0..=NEWCOMERS).map(|number| format!("member{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let adjust = |limits: &mut Limits| {
        limits.handshakes = 0;
        // Twice the usual, for a busy machine.
        limits.dial_timeout = Duration::from_secs(6);
    };
    World::with(&names, limits(adjust))
}

/// Initials with the tokens that Ada gave to strangers at these addresses.
fn tokens(
    world: &mut World,
    strangers: impl Iterator<Item = SocketAddr>,
) -> VecDeque<(SocketAddr, Vec<u8>)> {
    let mut mallory = Mallory::dial(world, CLASSIC, |_| {});
    let mut buffer = vec![0; 16 * 1500];
    let mut initials = VecDeque::new();
    for from in strangers {
        mallory.dial_again(1);
        let (length, _) = mallory.quic.send(&mut buffer).unwrap();
        let endpoint = &mut world.actors[ADA].endpoint;
        endpoint.handle_udp(from, None, &mut buffer[..length], now());
        let retry = endpoint.poll_transmit(&mut buffer, now()).unwrap();
        let info = quiche::RecvInfo { from: world.address(ADA), to: "0.0.0.0:0".parse().unwrap() };
        mallory.quic.recv(&mut buffer[..retry.len], info).unwrap();
        let (length, _) = mallory.quic.send(&mut buffer).unwrap();
        initials.push_back((from, buffer[..length].to_vec()));
    }
    initials
}

/// Lets strangers begin handshakes and leave them, first as many as there are places and then so
/// many in a second, while the newcomers dial until all are connected.
fn besiege(world: &mut World, mut initials: VecDeque<(SocketAddr, Vec<u8>)>) {
    let begin = now();
    let mut begun: u128 = 0;
    let mut dialed = false;
    while begun < 300 || world.actors[ADA].endpoint.connections().len() < NEWCOMERS {
        let due = 300 + (now() - begin).as_millis() * PER_SECOND / 1_000;
        while begun < due {
            let (from, mut initial) = initials.pop_front().expect("newcomers get in before");
            world.actors[ADA].endpoint.handle_udp(from, None, &mut initial, now());
            begun += 1;
        }
        for newcomer in (1..=NEWCOMERS).filter(|_| !dialed) {
            world.send(newcomer, ADA, b"ping");
        }
        dialed = true;
        for actor in 0..=NEWCOMERS {
            world.carry_one_way(actor);
        }
        world.sleep.wait(Some(now() + ONE_WAY)).unwrap();
    }
    for newcomer in 1..=NEWCOMERS {
        let stats = world.actors[newcomer].endpoint.stats();
        assert_eq!((stats.dials, stats.dials_failed), (1, 0), "{newcomer}: {stats:?}");
    }
    let stats = world.actors[ADA].endpoint.stats();
    assert!(stats.handshakes_displaced > 0, "{stats:?}");
    assert!(stats.handshakes <= 256, "{stats:?}");
    let reports = world.actors[ADA]
        .count(|event| matches!(event, EndpointEvent::Refused { what: Refusal::TooMany, .. }));
    assert_eq!(reports, 1, "one report in ten seconds");
}

#[test]
fn newcomers_get_in_however_many_networks_begin_handshakes() {
    let mut world = world();
    let strangers = (0..4_300u16).map(|number| {
        let network = u8::try_from(number % 7).unwrap();
        SocketAddr::from(([10, 6, network, 6], 1_000 + number))
    });
    let initials = tokens(&mut world, strangers);
    besiege(&mut world, initials);
}

#[test]
fn newcomers_get_in_although_their_own_network_and_host_begins_handshakes() {
    let mut world = world();
    let strangers = (0..4_300u16).map(|number| {
        // Two of three from the host of the first newcomer.
        let host = if number % 3 == 0 { 200 } else { 2 };
        SocketAddr::from(([10, 0, 0, host], 10_000 + number))
    });
    let initials = tokens(&mut world, strangers);
    besiege(&mut world, initials);
}

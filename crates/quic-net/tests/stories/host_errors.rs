//! What the kernel says of peers whose process is gone, on real loopback sockets.

use std::net::SocketAddr;

use crate::sockets::Driver;
use crate::world::now;
use quic_net::{EndpointEvent, HostError, ReportedError};

fn host_errors(driver: &Driver, member: usize) -> Vec<(SocketAddr, HostError)> {
    let of = |event: &EndpointEvent| match event {
        EndpointEvent::HostError { to, what } => Some((*to, *what)),
        _ => None,
    };
    driver.members[member].3.iter().filter_map(of).collect()
}

/// Ada knows bob and cyd, and bob's process is gone without a word.
fn bob_is_gone(binds: [&str; 3]) -> (Driver, SocketAddr, SocketAddr) {
    let mut driver = Driver::new(&binds);
    let at = |driver: &Driver, member: usize| {
        SocketAddr::from(([127, 0, 0, 1], driver.members[member].1.port()))
    };
    let (bob, cyd) = (at(&driver, 1), at(&driver, 2));
    driver.members[0].2.send_packet(bob, Some(b"member-1"), b"ping", now());
    driver.members[0].2.send_packet(cyd, Some(b"member-2"), b"ping", now());
    driver.run_until("two pings", |driver| driver.packets(1) + driver.packets(2) == 2);
    let socket = driver.members[1].0;
    driver.sockets.remove(socket);
    (driver, bob, cyd)
}

#[test]
fn a_host_that_refuses_packets_of_a_connection_is_reported_with_its_address() {
    for binds in [["127.0.0.1:0"; 3], ["[::]:0", "127.0.0.1:0", "127.0.0.1:0"]] {
        let (mut driver, bob, _) = bob_is_gone(binds);
        driver.members[0].2.send_packet(bob, Some(b"member-1"), b"are you there", now());
        driver.run_until("a refusal", |driver| !host_errors(driver, 0).is_empty());
        let refused = host_errors(&driver, 0);
        assert!(refused.iter().all(|it| *it == (bob, HostError::PortUnreachable)), "{refused:?}");
    }
}

/// As long as an error waits in the socket, a send to anybody fails with it.
#[test]
fn refusals_of_one_peer_lose_no_packets_to_others() {
    const PACKETS: usize = 1_000;
    let (mut driver, bob, cyd) = bob_is_gone(["127.0.0.1:0"; 3]);
    let arrived = driver.packets(2);
    let mut sent = 0;
    driver.run_until("all packets", |driver| {
        // In small portions: a socket's buffer holds so many.
        for _ in 0..10 {
            if sent < PACKETS && driver.packets(2) + 50 > arrived + sent {
                driver.members[0].2.send_packet(bob, Some(b"member-1"), b"x", now());
                driver.members[0].2.send_packet(cyd, Some(b"member-2"), b"x", now());
                sent += 1;
            }
        }
        driver.packets(2) == arrived + PACKETS
    });
    let is_error = |event: &EndpointEvent| matches!(event, EndpointEvent::SendError { .. });
    assert!(!driver.members[0].3.iter().any(is_error), "{:?}", driver.members[0].2.stats());
    assert!(!host_errors(&driver, 0).is_empty());
}

#[test]
fn a_refused_dial_is_reported_too() {
    let mut driver = Driver::new(&["127.0.0.1:0", "127.0.0.1:0"]);
    let bob = driver.members[1].1;
    let socket = driver.members[1].0;
    driver.sockets.remove(socket);
    driver.members[0].2.send_packet(bob, Some(b"member-1"), b"ping", now());
    driver.run_until("a refusal", |driver| !host_errors(driver, 0).is_empty());
    assert_eq!(host_errors(&driver, 0)[0], (bob, HostError::PortUnreachable));
}

/// Whoever is not on the path does not know the connection ids, and is not the host.
#[test]
fn errors_that_somebody_else_has_made_up_are_ignored() {
    let mut driver = Driver::new(&["127.0.0.1:0", "127.0.0.1:0"]);
    let bob = driver.members[1].1;
    driver.members[0].2.send_packet(bob, Some(b"member-1"), b"ping", now());
    driver.run_until("a ping", |driver| driver.packets(1) == 1);
    let long = [&[0xC0, 0, 0, 0, 1, 8][..], &[7; 8], &[8], &[9; 8], &[0; 40]].concat();
    for quote in [vec![], vec![0x40], vec![0x40; 64], vec![0xFF; 64], long] {
        for by in [Some(bob.ip()), Some([10, 9, 9, 9].into()), None] {
            for what in [HostError::PortUnreachable, HostError::HostUnreachable] {
                let error = ReportedError { to: bob, what, by, quote: quote.clone() };
                driver.members[0].2.handle_host_error(&error, now());
            }
        }
    }
    driver.members[0].2.send_packet(bob, Some(b"member-1"), b"ping", now());
    driver.run_until("another ping", |driver| driver.packets(1) == 2);
    assert_eq!(host_errors(&driver, 0), []);
}

//! Ada and Bob on real loopback sockets, both on one event loop.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::world::{PATIENCE, authority, config, endpoint, identity, now};
use quic_net::{
    Endpoint, EndpointEvent, EventLoop, KernelRefusal, SendFailure, SocketId, StreamError,
    StreamToken,
};

pub(crate) struct Driver {
    pub(crate) sockets: EventLoop,
    pub(crate) members: Vec<(SocketId, SocketAddr, Endpoint, Vec<EndpointEvent>)>,
}

impl Driver {
    pub(crate) fn new(binds: &[&str]) -> Self {
        let mut sockets = EventLoop::new().unwrap();
        let mut members = Vec::new();
        for (number, bind) in binds.iter().enumerate() {
            let name = format!("member-{number}");
            let identity = identity(authority(), &name);
            let endpoint = endpoint(config(&identity, &name), &identity);
            let (socket, address) = sockets.bind(bind.parse().unwrap()).unwrap();
            members.push((socket, address, endpoint, Vec::new()));
        }
        Self { sockets, members }
    }

    pub(crate) fn run_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = now() + PATIENCE;
        while !done(self) {
            assert!(now() < end, "never came: {what}: {:?}", self.members);
            for (socket, _, endpoint, events) in &mut self.members {
                self.sockets.flush(*socket, endpoint, now()).unwrap();
                events.extend(std::iter::from_fn(|| endpoint.poll_event()));
            }
            let due = self.members.iter().filter_map(|member| member.2.poll_timeout()).min();
            let now = self.sockets.wait(Some(due.unwrap_or(end).min(end))).unwrap();
            for (socket, _, endpoint, events) in &mut self.members {
                self.sockets.receive(*socket, endpoint, now).unwrap();
                endpoint.handle_timeout(now);
                events.extend(std::iter::from_fn(|| endpoint.poll_event()));
            }
        }
    }

    pub(crate) fn packets(&self, member: usize) -> usize {
        let packet = |event: &&EndpointEvent| matches!(event, EndpointEvent::Packet { .. });
        self.members[member].3.iter().filter(packet).count()
    }
}

#[test]
fn packets_cross_real_sockets_in_both_directions() {
    let mut driver = Driver::new(&["127.0.0.1:0", "127.0.0.1:0"]);
    let (ada, bob) = (driver.members[0].1, driver.members[1].1);
    driver.members[0].2.send_packet(bob, Some(b"member-1"), b"ping", now());
    driver.run_until("ping", |driver| driver.packets(1) == 1);
    driver.members[1].2.send_packet(ada, Some(b"member-0"), b"ack", now());
    driver.run_until("ack", |driver| driver.packets(0) == 1);
    assert_eq!(driver.members[1].2.stats().dials, 0, "bob answers from the socket ada dialed");
}

#[test]
fn dual_stack_wildcard_answers_an_ipv4_peer_from_the_address_it_asked() {
    let mut driver = Driver::new(&["[::]:0", "127.0.0.1:0"]);
    let wildcard = SocketAddr::from(([127, 0, 0, 1], driver.members[0].1.port()));
    driver.members[1].2.send_packet(wildcard, Some(b"member-0"), b"ping", now());
    driver.run_until("ping", |driver| driver.packets(0) == 1);
    let bob = driver.members[1].1;
    driver.members[0].2.send_packet(bob, None, b"ack", now());
    driver.run_until("ack", |driver| driver.packets(1) == 1);
    assert_eq!(driver.members[0].2.stats().dials, 0, "the mapped address is unmapped");
}

#[test]
fn bulk_stream_leaves_room_for_small_packets() {
    const TOTAL: usize = 16 << 20;
    let mut driver = Driver::new(&["127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"]);
    let (bob, cyd) = (driver.members[1].1, driver.members[2].1);
    driver.members[0].2.send_packet(cyd, None, b"warm up", now());
    driver.run_until("a connection to cyd", |driver| driver.packets(2) == 1);
    let stream = StreamToken::from_caller(0);
    driver.members[0].2.open_stream(stream, bob, None, now() + PATIENCE, now());
    let chunk = vec![5; 1 << 20];
    let (mut written, mut received, mut pings) = (0, 0, 0);
    let mut slowest = Duration::ZERO;
    let mut sent = None;
    let mut buffer = vec![0; 256 << 10];
    driver.run_until("the bulk", |driver| {
        let ada = &mut driver.members[0].2;
        if written < TOTAL {
            let rest = (TOTAL - written).min(chunk.len());
            written += ada.write(stream, &chunk[..rest], rest == TOTAL - written).unwrap();
        }
        if driver.packets(2) > pings {
            pings = driver.packets(2);
            slowest = sent.take().map_or(slowest, |at| slowest.max(now() - at));
            driver.members[0].2.send_packet(cyd, None, b"probe", now());
            sent = Some(now());
        }
        let opened = driver.members[1].3.iter().find_map(|event| match event {
            EndpointEvent::StreamOpened { stream, .. } => Some(*stream),
            _ => None,
        });
        let Some(reading) = opened else { return false };
        while let Ok(read) = driver.members[1].2.read(reading, &mut buffer)
            && read.bytes > 0
        {
            received += read.bytes;
        }
        received == TOTAL
    });
    println!("{pings} probes during the bulk, the slowest took {slowest:?}");
    assert!(pings > 20, "{pings} probes got through");
    assert!(slowest < Duration::from_secs(1), "the slowest probe took {slowest:?}");
}

#[test]
fn flood_of_datagrams_on_one_connection_leaves_the_others_their_latency() {
    const PINGS: usize = 200;
    let mut driver = Driver::new(&["127.0.0.1:0", "127.0.0.1:0"]);
    let (ada, bob) = (driver.members[0].1, driver.members[1].1);
    let stop = AtomicBool::new(false);
    let (mut answered, mut flooded, mut slowest) = (0, 0, Duration::ZERO);
    let mut asked = None;
    thread::scope(|scope| {
        scope.spawn(|| flood(ada, &stop));
        driver.run_until("the flood and all pings", |driver| {
            for event in std::mem::take(&mut driver.members[0].3) {
                match event {
                    EndpointEvent::Packet { peer, .. } if peer.address == bob => {
                        driver.members[0].2.send_packet(bob, None, b"ack", now());
                    }
                    EndpointEvent::Packet { .. } => flooded += 1,
                    _ => {}
                }
            }
            if driver.packets(1) > answered {
                answered += 1;
                slowest = asked.take().map_or(slowest, |at| slowest.max(now() - at));
            }
            if flooded > 0 && asked.is_none() {
                driver.members[1].2.send_packet(ada, None, b"ping", now());
                asked = Some(now());
            }
            answered >= PINGS && flooded > 10_000
        });
        stop.store(true, Ordering::Relaxed);
    });
    println!("{answered} pings beside {flooded} packets, the slowest took {slowest:?}");
    assert!(slowest < Duration::from_secs(1), "the slowest ping took {slowest:?}");
}

/// Sends packets to `to` as fast as they go, until told to stop.
fn flood(to: SocketAddr, stop: &AtomicBool) {
    let identity = identity(authority(), "mallory");
    let mut mallory = endpoint(config(&identity, "mallory"), &identity);
    let mut sockets = EventLoop::new().unwrap();
    let (socket, _) = sockets.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let end = now() + PATIENCE;
    while !stop.load(Ordering::Relaxed) && now() < end {
        for _ in 0..64 {
            mallory.send_packet(to, None, &[6; 1_000], now());
        }
        sockets.flush(socket, &mut mallory, now()).unwrap();
        let now = sockets.wait(Some(now())).unwrap();
        sockets.receive(socket, &mut mallory, now).unwrap();
        mallory.handle_timeout(now);
        while mallory.poll_event().is_some() {}
    }
}

#[test]
fn waker_ends_a_wait_without_a_deadline() {
    let mut sockets = EventLoop::new().unwrap();
    let waker = sockets.waker();
    thread::scope(|scope| {
        scope.spawn(move || waker.wake().unwrap());
        sockets.wait(None).unwrap();
    });
}

#[test]
fn what_the_kernel_refuses_to_send_fails_at_once_and_is_counted() {
    // The kernel refuses broadcasts of sockets that did not ask for them.
    for (to, refusal) in [
        ("255.255.255.255:7946", KernelRefusal::NotPermitted),
        ("[2001:db8::1]:7946", KernelRefusal::AddressFamily),
    ] {
        let mut driver = Driver::new(&["127.0.0.1:0", "127.0.0.1:0"]);
        let (to, bob) = (to.parse().unwrap(), driver.members[1].1);
        let begun = now();
        let ada = &mut driver.members[0].2;
        ada.send_packet(to, None, b"ping", begun);
        ada.open_stream(StreamToken::from_caller(1), to, None, begun + PATIENCE, begun);
        ada.send_packet(bob, None, b"for bob", begun);
        let told = [
            EndpointEvent::SendError { to, reason: refusal },
            EndpointEvent::SendFailed { to, reason: SendFailure::Kernel(refusal) },
            EndpointEvent::StreamFailed {
                stream: StreamToken::from_caller(1),
                reason: StreamError::Kernel(refusal),
            },
        ];
        driver.run_until("the refusal", |driver| {
            told.iter().all(|event| driver.members[0].3.contains(event))
        });
        assert!(begun.elapsed() < Duration::from_secs(2), "the dial's deadline was not awaited");
        driver.run_until("others are served", |driver| driver.packets(1) == 1);
        let stats = driver.members[0].2.stats();
        assert!(stats.send_errors[&(refusal, to)] >= 1, "{stats:?}");
        assert_eq!(stats.dials_failed, 1);
    }
}

#[test]
fn a_silent_peer_is_no_unfinished_handshake() {
    let mut driver = Driver::new(&["127.0.0.1:0"]);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = silent.local_addr().unwrap();
    driver.members[0].2.send_packet(to, None, b"ping", now());
    let failed = EndpointEvent::SendFailed { to, reason: SendFailure::DialTimedOut };
    driver.run_until("the dial's deadline", |driver| driver.members[0].3.contains(&failed));
}

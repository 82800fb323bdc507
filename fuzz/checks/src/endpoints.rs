//! Endpoints with certificates, and what travels between them.
//!
//! TLS draws from the operating system's random numbers and quiche reads the clock, so that two
//! runs of an input send different bytes; what must hold is the same.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Instant;

use certs::Identity;
use quic_net::{Endpoint, EndpointConfig, EndpointEvent, Limits};

/// Room for what [`Endpoint::poll_transmit`] puts together.
const BUFFER: usize = 16 * 1500;
/// More turns than any exchange takes.
const MOST_TURNS: usize = 1_000;

/// An endpoint of the member `name`.
pub(crate) fn endpoint(name: &str, limits: Limits) -> Endpoint {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    let identity =
        IDENTITY.get_or_init(|| Identity::development("anybody").expect("certificates are made"));
    let tls = certs::tls_context(identity, &identity.trust()).expect("they can be used");
    let mut config = EndpointConfig::new("extended/1", "classic/1", [7; 32]);
    config.name = name.as_bytes().to_vec();
    config.limits = limits;
    Endpoint::new(config, tls, now()).expect("the settings work")
}

/// What quiche takes as well, which reads the clock by itself.
#[expect(clippy::disallowed_methods, reason = "the check drives the endpoints")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The address of the host with this number.
pub(crate) fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], 7946))
}

/// The datagrams that an endpoint has to send, and where to.
pub(crate) fn sent_by(endpoint: &mut Endpoint) -> Vec<(SocketAddr, Vec<u8>)> {
    let mut buffer = vec![0; BUFFER];
    let mut datagrams = Vec::new();
    while let Some(transmit) = endpoint.poll_transmit(&mut buffer, now()) {
        let segment = transmit.segment.unwrap_or(transmit.len);
        let parts = buffer[..transmit.len].chunks(segment.max(1));
        datagrams.extend(parts.map(|part| (transmit.to, part.to_vec())));
    }
    datagrams
}

/// Two endpoints that are connected, with what each has reported.
pub(crate) struct Pair {
    pub(crate) ends: [(SocketAddr, Endpoint); 2],
    pub(crate) events: [Vec<EndpointEvent>; 2],
}

impl Pair {
    pub(crate) fn connected() -> Self {
        let end = |host, name| (address(host), endpoint(name, Limits::default()));
        let mut pair =
            Self { ends: [end(1, "ada"), end(2, "bob")], events: [Vec::new(), Vec::new()] };
        let ada = pair.ends[0].0;
        pair.ends[1].1.send_packet(ada, None, b"\x08hello", now());
        pair.carry();
        let is_there = |event: &EndpointEvent| matches!(event, EndpointEvent::Packet { .. });
        assert!(pair.events[0].iter().any(is_there), "they do not connect: {:?}", pair.events);
        pair
    }

    /// Carries everything until both are silent.
    pub(crate) fn carry(&mut self) {
        for _ in 0..MOST_TURNS {
            let quiet = [0, 1].map(|from| {
                let datagrams = sent_by(&mut self.ends[from].1);
                let quiet = datagrams.is_empty();
                for (to, mut datagram) in datagrams {
                    if to == self.ends[1 - from].0 {
                        self.deliver(1 - from, self.ends[from].0, &mut datagram);
                    }
                }
                quiet
            });
            if quiet == [true, true] {
                return;
            }
        }
        panic!("the endpoints never fall silent");
    }

    /// A datagram arrives, from whoever says so.
    pub(crate) fn deliver(&mut self, at: usize, from: SocketAddr, datagram: &mut [u8]) {
        let (address, endpoint) = &mut self.ends[at];
        endpoint.handle_udp(from, Some(address.ip()), datagram, now());
        while let Some(event) = endpoint.poll_event() {
            self.events[at].push(event);
        }
    }

    /// Lets both do what is due.
    pub(crate) fn tick(&mut self) {
        for (_, endpoint) in &mut self.ends {
            endpoint.handle_timeout(now());
        }
    }
}

//! The real world: endpoints with QUIC between them, on a network in memory.
//!
//! Time is the real one, since quiche reads the clock by itself.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use certs::{Authority, Identity, NamePolicy};
use quic_net::{Endpoint, EndpointConfig, EventLoop, Limits};
use swim_core::{Time, Transport, TransportEvent};

use super::{DIAL_TIMEOUT, PARTICIPANTS, World, address, features};
use crate::protocol::{CLASSIC_PROTOCOL, EXTENDED_PROTOCOL};
use crate::transport::{Clock, EndpointTransport, Peers};

const DAY: Duration = Duration::from_secs(86_400);

pub(super) struct RealWorld {
    actors: Vec<Actor>,
    sleep: EventLoop,
    clock: Clock,
    cut: BTreeSet<(usize, usize)>,
    longest: usize,
}

struct Actor {
    endpoint: Endpoint,
    peers: Peers,
    events: Vec<TransportEvent>,
}

#[expect(clippy::disallowed_methods, reason = "quiche reads the real clock, so this world does")]
fn now() -> Instant {
    Instant::now()
}

fn identity(who: usize) -> Identity {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    let authority = AUTHORITY.get_or_init(|| Authority::generate("conformance", 30 * DAY).unwrap());
    let issued = authority.issue(PARTICIPANTS[who], &[address(who).ip()], 30 * DAY).unwrap();
    Identity::from_pem(
        authority.certificate_pem().as_bytes(),
        issued.certificate_pem.as_bytes(),
        issued.key_pem.as_bytes(),
    )
    .unwrap()
}

impl Actor {
    fn new(who: usize) -> Self {
        let identity = identity(who);
        let trust = identity.trust().with_policy(NamePolicy::Match);
        let tls = certs::tls_context(&identity, &trust).unwrap();
        // It survives restarts, so that peers believe the resets of the process that follows.
        let secret = [u8::try_from(who).unwrap(); 32];
        let mut config = EndpointConfig::new(EXTENDED_PROTOCOL, CLASSIC_PROTOCOL, secret);
        config.features = features(who).to_bytes();
        config.name = PARTICIPANTS[who].as_bytes().to_vec();
        config.identify = Arc::new(move |leaf| trust.binding_names(leaf));
        let mut limits = Limits::default();
        limits.dial_timeout = DIAL_TIMEOUT;
        config.limits = limits;
        let endpoint = Endpoint::new(config, tls, now()).unwrap();
        Self { endpoint, peers: Peers::default(), events: Vec::new() }
    }
}

impl RealWorld {
    pub(super) fn new() -> Self {
        Self {
            actors: (0..PARTICIPANTS.len()).map(Actor::new).collect(),
            sleep: EventLoop::new().unwrap(),
            clock: Clock::starting_at(now()),
            cut: BTreeSet::new(),
            longest: usize::MAX,
        }
    }

    /// Carries datagrams until nobody has any more to send at the moment.
    fn carry(&mut self) {
        while (0..self.actors.len()).any(|from| self.carry_from(from)) {}
    }

    fn carry_from(&mut self, from: usize) -> bool {
        let mut buffer = vec![0; 16 * 1500];
        let mut any = false;
        let endpoint = &mut self.actors[from].endpoint;
        if endpoint.poll_timeout().is_some_and(|due| due <= now()) {
            endpoint.handle_timeout(now());
        }
        while let Some(transmit) = self.actors[from].endpoint.poll_transmit(&mut buffer, now()) {
            any = true;
            let to = (0..self.actors.len()).find(|to| address(*to) == transmit.to);
            let Some(to) = to.filter(|to| !self.cut.contains(&(from, *to))) else { continue };
            let segment = transmit.segment.unwrap_or(transmit.len);
            for datagram in buffer[..transmit.len].chunks_mut(segment) {
                if datagram.len() > self.longest {
                    continue;
                }
                let local = Some(address(to).ip());
                self.actors[to].endpoint.handle_udp(address(from), local, datagram, now());
            }
        }
        for actor in &mut self.actors {
            while let Some(event) = actor.endpoint.poll_event() {
                actor.events.extend(actor.peers.translate(event).ok());
            }
        }
        any
    }
}

impl World for RealWorld {
    fn act(&mut self, who: usize, act: &mut dyn FnMut(&mut dyn Transport, Time)) {
        let time = self.clock.time(now());
        act(&mut EndpointTransport::new(&mut self.actors[who].endpoint, self.clock), time);
    }

    fn pass(&mut self, span: Duration) {
        let end = now() + span;
        while now() < end {
            self.carry();
            let due = self.actors.iter().filter_map(|actor| actor.endpoint.poll_timeout()).min();
            self.sleep.wait(Some(due.unwrap_or(end).min(end))).unwrap();
        }
        self.carry();
    }

    fn take_events(&mut self, who: usize) -> Vec<TransportEvent> {
        std::mem::take(&mut self.actors[who].events)
    }

    fn cut(&mut self, from: usize, to: usize, is_cut: bool) {
        if is_cut {
            self.cut.insert((from, to));
        } else {
            self.cut.remove(&(from, to));
        }
    }

    fn narrow(&mut self, longest: usize) {
        self.longest = longest;
    }

    fn restart(&mut self, who: usize) {
        self.actors[who] = Actor::new(who);
    }
}

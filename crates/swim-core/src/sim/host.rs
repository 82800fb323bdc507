//! One host: a name, an address, a clock, and while it is up one real machine.
//!
//! Keeps what a driver would keep; the simulation moves everything in and out.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::config::Config;
use crate::error::StreamFailure;
use crate::member::{MemberName, Peer};
use crate::membership::Membership;
use crate::output::{Output, StreamId};
use crate::sim::fault::{HostId, Stall};
use crate::time::Time;

/// What a stalled host can hold of arriving packets: the usual receive buffer of a UDP socket on
/// Linux (`net.core.rmem_default`).
const RECEIVE_BUFFER: usize = 212_992;
/// What the kernel counts for a datagram beside its bytes.
const DATAGRAM_OVERHEAD: usize = 768;

/// The port of every simulated member.
const PORT: u16 = 7946;

/// Where a host can be: a number within 10.0.0.0/8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(pub(crate) u32);

impl Place {
    pub(crate) fn address(self) -> SocketAddr {
        let [_, b, c, d] = self.0.to_be_bytes();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, b, c, d)), PORT)
    }

    /// The place of an address, if it is one of ours.
    pub(crate) fn of(address: SocketAddr) -> Option<Self> {
        match address.ip() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                (a == 10 && address.port() == PORT).then(|| Self(u32::from_be_bytes([0, b, c, d])))
            }
            IpAddr::V6(_) => None,
        }
    }

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One host.
pub(crate) struct Host {
    pub(crate) name: MemberName,
    pub(crate) place: Place,
    /// How others see it: with its name if certificates are matched with names.
    pub(crate) peer: Peer,
    pub(crate) config: Config,
    pub(crate) meta: Vec<u8>,
    pub(crate) seeds: Vec<SocketAddr>,
    pub(crate) clock: Clock,
    /// How often it was started.
    pub(crate) lives: u32,
    pub(crate) life: Option<Life>,
    /// The stall cycle it is in, if any.
    pub(crate) cycle: Option<Cycle>,
}

/// One run of one host, from start to crash.
pub(crate) struct Life {
    pub(crate) machine: Membership,
    /// Which of the host's lives this is, from 1.
    pub(crate) number: u32,
    /// When the machine is to be woken, by global time.
    pub(crate) wake: Option<Time>,
    pub(crate) held: Option<Held>,
}

/// Being blocked and running by turns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cycle {
    pub(crate) number: u32,
    pub(crate) how: Stall,
    pub(crate) blocked: Duration,
    pub(crate) running: Duration,
}

/// What a stalled host holds back.
pub(crate) struct Held {
    pub(crate) how: Stall,
    /// Not even timers run any more.
    pub(crate) stuck: bool,
    pub(crate) arrivals: VecDeque<Arrival>,
    pub(crate) outputs: Vec<Output>,
    buffered: usize,
}

/// Something on its way into a machine.
#[derive(Debug)]
pub(crate) enum Arrival {
    Packet { from: HostId, bytes: Vec<u8> },
    StreamOpened { id: StreamId, from: HostId },
    StreamData { id: StreamId, bytes: Vec<u8>, fin: bool },
    StreamFailed { id: StreamId, reason: StreamFailure },
    SendFailed { to: SocketAddr },
    PacketLimit { to: SocketAddr, limit: usize },
    Order(Order),
}

/// What the application of a host asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Seeds(Vec<SocketAddr>),
    Join(SocketAddr),
    Leave,
    Meta(Vec<u8>),
    Broadcast(Vec<u8>),
    Send(MemberName, Vec<u8>),
    SendReliable(MemberName, Vec<u8>, Duration),
    Ping(MemberName),
}

impl Held {
    pub(crate) fn new(how: Stall) -> Self {
        Self {
            how,
            stuck: how == Stall::Driver,
            arrivals: VecDeque::new(),
            outputs: Vec::new(),
            buffered: 0,
        }
    }

    /// Keeps an arrival for later; false when the receive buffer is full.
    pub(crate) fn keep(&mut self, arrival: Arrival) -> bool {
        if let Arrival::Packet { bytes, .. } = &arrival {
            let size = bytes.len() + DATAGRAM_OVERHEAD;
            if self.buffered + size > RECEIVE_BUFFER {
                return false;
            }
            self.buffered += size;
        }
        self.arrivals.push_back(arrival);
        true
    }
}

/// A host's clock: may run fast or slow, never backwards.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    global: Time,
    local: Time,
    /// Local microseconds in a global second.
    rate: u64,
}

const SECOND: u64 = 1_000_000;

impl Clock {
    pub(crate) fn new(global: Time, local: Time) -> Self {
        Self { global, local, rate: SECOND }
    }

    pub(crate) fn set_rate(&mut self, rate: u64, now: Time) {
        self.local = self.local(now);
        self.global = now;
        self.rate = rate;
    }

    pub(crate) fn local(&self, now: Time) -> Time {
        let passed = now.as_micros() - self.global.as_micros();
        if self.rate == SECOND {
            return Time::from_micros(self.local.as_micros() + passed);
        }
        let passed = u128::from(passed) * u128::from(self.rate) / u128::from(SECOND);
        Time::from_micros(self.local.as_micros() + u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The first global moment at which the clock shows `local` or later.
    pub(crate) fn global(&self, local: Time) -> Time {
        let left = local.as_micros().saturating_sub(self.local.as_micros());
        if self.rate == SECOND {
            return Time::from_micros(self.global.as_micros().saturating_add(left));
        }
        let left = (u128::from(left) * u128::from(SECOND)).div_ceil(u128::from(self.rate));
        let left = u64::try_from(left).unwrap_or(u64::MAX);
        Time::from_micros(self.global.as_micros().saturating_add(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_places_translate_back_and_forth() {
        for place in [0, 7, 300, 70_000].map(Place) {
            assert_eq!(Place::of(place.address()), Some(place));
        }
        assert_eq!(Place::of("192.168.0.1:7946".parse().unwrap()), None);
    }

    #[test]
    fn a_drifting_clock_reaches_every_deadline_and_not_before() {
        let mut clock = Clock::new(Time::from_micros(500), Time::ZERO);
        clock.set_rate(SECOND + 30_011, Time::from_micros(1_000));
        for local in [501, 777, 123_456_789] {
            let local = Time::from_micros(local);
            let global = clock.global(local);
            assert!(clock.local(global) >= local);
            assert!(clock.local(Time::from_micros(global.as_micros() - 1)) < local);
        }
    }

    #[test]
    fn a_stalled_host_keeps_what_its_receive_buffer_holds() {
        let mut held = Held::new(Stall::Network);
        let packet = || Arrival::Packet { from: HostId(0), bytes: vec![0; 1400] };
        let kept = (0..1000).filter(|_| held.keep(packet())).count();
        assert_eq!(kept, RECEIVE_BUFFER / (1400 + DATAGRAM_OVERHEAD));
        assert!(held.keep(Arrival::Order(Order::Leave)));
    }
}

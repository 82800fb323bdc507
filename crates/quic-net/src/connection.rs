//! One QUIC connection: its handshake, its identity, and when it is over.
//!
//! Decides when a peer counts as authenticated and confirmed, and says what happened; which of
//! several connections to a peer is used is decided elsewhere. Its beginning
//! and end are in [`handshake`], streams in [`streams`], packets in [`packets`], the sum of what
//! waits in [`queues`].

mod handshake;
mod packets;
mod queues;
mod streams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection_id::{Id, ResetToken};
use crate::connection_key::ConnectionKey;
use crate::error::{SendFailure, StreamError};
use crate::event::{EndpointEvent, PeerIdentity, Protocol};
use crate::reason::{CloseReason, Refusal};
use crate::shared::Shared;
use crate::stream::{IncomingPacket, OutgoingPacket, Stream};
use crate::stream_token::StreamToken;

pub(crate) struct Connection {
    quic: quiche::Connection,
    pub(crate) key: ConnectionKey,
    pub(crate) address: SocketAddr,
    /// The local address that the peer last used.
    pub(crate) source: Option<IpAddr>,
    pub(crate) dialed: bool,
    pub(crate) born: Instant,
    pub(crate) phase: Phase,
    pub(crate) peer: Option<Arc<PeerIdentity>>,
    /// The name in the peer's HELLO.
    pub(crate) hello_name: Option<Vec<u8>>,
    /// Place in the order in which connections were authenticated.
    pub(crate) authenticated: u64,
    pub(crate) retired: Option<Retirement>,
    /// Somebody waits for its confirmation.
    pub(crate) awaited: bool,
    pub(crate) ids: Vec<Id>,
    pub(crate) tokens: Vec<ResetToken>,
    pub(crate) last_payload: Instant,
    /// Since when nothing has arrived although something was sent.
    pub(crate) unanswered_since: Option<Instant>,
    pub(crate) armed: Option<Instant>,
    pub(crate) in_send_queue: bool,
    pub(crate) turn: u64,
    pub(crate) turn_packets: usize,
    handshake_deadline: Instant,
    /// Bytes that may still be sent to an address that has proved nothing; none once it has.
    budget: Option<usize>,
    /// UDP datagrams that overtook the handshake.
    early: Vec<Vec<u8>>,
    /// Packets waiting for the handshake, with the name expected of their receiver.
    queue: VecDeque<(Option<Vec<u8>>, Vec<u8>)>,
    /// Packets that arrived before the peer was confirmed.
    held: VecDeque<Vec<u8>>,
    /// Streams of the peer that became readable before it was confirmed.
    held_streams: BTreeSet<u64>,
    packets_out: VecDeque<OutgoingPacket>,
    packets_in: BTreeMap<u64, IncomingPacket>,
    streams: BTreeMap<StreamToken, Stream>,
    handles: BTreeMap<u64, StreamToken>,
    /// Streams of ours that are not open yet, oldest first.
    waiting: VecDeque<StreamToken>,
    /// Streams with something for quiche to take.
    writing: BTreeSet<StreamToken>,
    /// Bytes in the `outgoing` queues of all streams.
    buffered: usize,
    /// What of our queues the endpoint's total already counts.
    accounted: usize,
    next_bidirectional: u64,
    next_unidirectional: u64,
    packet_limit: Option<usize>,
    next_keep_alive: Option<Instant>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Handshaking,
    /// We have verified the peer. A dialed peer may still refuse us: TLS 1.3 lets the dialer
    /// finish first.
    Established,
    /// The peer is known to have accepted us, and its label is ours.
    Confirmed,
}

/// A connection that is not used for sending any more.
#[derive(Clone, Debug)]
pub(crate) struct Retirement {
    pub(crate) reason: CloseReason,
    pub(crate) close_at: Instant,
}

/// How a connection came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    HandshakeTimedOut,
    Closed(CloseReason),
}

/// What [`Connection::advance`] found; the endpoint updates its tables.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) ended: Option<Ending>,
    pub(crate) established: bool,
    pub(crate) confirmed: bool,
    pub(crate) new_ids: Vec<Id>,
    pub(crate) retired_ids: Vec<Id>,
    pub(crate) new_tokens: Vec<ResetToken>,
    /// The peer grants no stream in time.
    pub(crate) starved: bool,
}

impl Connection {
    pub(crate) fn new(
        quic: quiche::Connection,
        key: ConnectionKey,
        address: SocketAddr,
        id: Id,
        dialed: bool,
        now: Instant,
        handshake_deadline: Instant,
    ) -> Self {
        // RFC 9000 section 2.1: the low bit is the opener, the next one the kind.
        let opener = u64::from(!dialed);
        Self {
            quic,
            key,
            address,
            source: None,
            dialed,
            born: now,
            phase: Phase::Handshaking,
            peer: None,
            hello_name: None,
            authenticated: 0,
            retired: None,
            awaited: false,
            ids: vec![id],
            tokens: Vec::new(),
            last_payload: now,
            unanswered_since: None,
            armed: None,
            in_send_queue: false,
            turn: 0,
            turn_packets: 0,
            handshake_deadline,
            budget: None,
            early: Vec::new(),
            queue: VecDeque::new(),
            held: VecDeque::new(),
            held_streams: BTreeSet::new(),
            packets_out: VecDeque::new(),
            packets_in: BTreeMap::new(),
            streams: BTreeMap::new(),
            handles: BTreeMap::new(),
            waiting: VecDeque::new(),
            writing: BTreeSet::new(),
            buffered: 0,
            accounted: 0,
            next_bidirectional: opener,
            next_unidirectional: opener + 2,
            packet_limit: None,
            next_keep_alive: None,
        }
    }

    pub(crate) fn on_timeout(&mut self, now: Instant) {
        if self.quic.timeout_instant().is_some_and(|due| due <= now) {
            self.quic.on_timeout();
        }
    }

    /// Does what has become possible or due.
    pub(crate) fn advance(&mut self, shared: &mut Shared, now: Instant) -> Changes {
        let mut changes = Changes::default();
        if self.phase == Phase::Handshaking && self.quic.is_established() {
            self.establish(shared, now, &mut changes);
        }
        self.collect_retired_ids(&mut changes);
        while self.quic.path_event_next().is_some() {}
        if self.phase != Phase::Handshaking {
            self.receive_streams(shared, now, &mut changes);
            self.confirm_if_due(shared, &changes);
            if self.phase == Phase::Confirmed {
                changes.confirmed = self.release_held(shared, now);
                self.receive_datagrams(shared, now);
            }
        }
        if changes.ended.is_none() {
            changes.ended = self.ending().or_else(|| self.overdue(now));
        }
        if changes.ended.is_none() && self.phase != Phase::Handshaking {
            self.expire(shared, now, &mut changes);
            // Packets are short, and a HELLO behind a long stream might wait for a peer that
            // reads nothing before it.
            self.write_packets();
            self.open_waiting(shared);
            self.write_streams(shared);
            self.note_packet_limit(shared);
            self.keep_alive(shared, now);
        }
        if self.phase == Phase::Handshaking {
            self.expire(shared, now, &mut changes);
        }
        self.account(shared);
        changes
    }

    /// The next moment at which [`on_timeout`](Self::on_timeout) and [`advance`](Self::advance)
    /// have something to do.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let handshake = self.awaits_handshake().then_some(self.handshake_deadline);
        let retired = self.retired.as_ref().map(|retired| match now < retired.close_at {
            true => retired.close_at,
            false => retired.close_at + DRAIN,
        });
        let streams = self.streams.values().filter_map(Stream::due).min();
        let out = self.packets_out.front().map(|packet| packet.deadline);
        let into = self.packets_in.values().filter_map(|packet| packet.deadline).min();
        [self.quic.timeout_instant(), handshake, retired, streams, out, into, self.next_keep_alive]
            .into_iter()
            .flatten()
            .min()
    }

    /// Writes QUIC packets to `buffer`: the bytes written, the size of the datagrams in it if
    /// they are several, how many, and whether more may follow at once.
    pub(crate) fn emit(&mut self, buffer: &mut [u8], allowance: usize) -> Emission {
        let mut emission = Emission::default();
        let mut room = buffer.len().min(LARGEST_DATAGRAM);
        while emission.packets < allowance {
            let Some(space) = buffer.get_mut(emission.length..emission.length + room) else {
                emission.more = true;
                break;
            };
            match self.send_within_budget(space) {
                Ok(written) => {
                    emission.length += written;
                    emission.packets += 1;
                    let first = *emission.segment.get_or_insert(written);
                    // Only full packets are batched: quiche leaves a queued datagram behind
                    // that would not fit into a shorter space.
                    if written < first || first < BATCHED || !self.quic.is_established() {
                        emission.more = true;
                        break;
                    }
                    room = first;
                }
                Err(quiche::Error::Done) => {
                    emission.more = emission.packets > 0;
                    break;
                }
                Err(error) => {
                    log::debug!("{}: cannot send: {error:?}", self.address);
                    break;
                }
            }
        }
        emission.more |= emission.packets == allowance;
        emission.segment = emission.segment.filter(|_| emission.packets > 1);
        emission
    }

    /// Closes at once and returns the last packets to send.
    pub(crate) fn close(&mut self, reason: &CloseReason) -> Vec<Vec<u8>> {
        if self.quic.is_closed() || self.quic.is_draining() {
            return Vec::new();
        }
        if let Err(error) = self.quic.close(true, reason.code(), reason.to_string().as_bytes()) {
            log::trace!("{}: was closing already: {error:?}", self.address);
        }
        let mut packets = Vec::new();
        let mut buffer = [0; LARGEST_DATAGRAM];
        while packets.len() < LAST_PACKETS
            && let Ok(length) = self.send_within_budget(&mut buffer)
        {
            packets.push(buffer[..length].to_vec());
        }
        packets
    }

    /// Fails everything that waits here.
    pub(crate) fn fail_all(&mut self, shared: &mut Shared, ending: &Ending) {
        let (stream_error, send_failure) = ending.failures(self.phase);
        self.bury_streams(shared, stream_error);
        let lost = self.dialed && self.phase == Phase::Established && self.last_payload > self.born;
        let awaited = self.awaited && self.phase != Phase::Confirmed;
        if !self.queue.is_empty() || !self.packets_out.is_empty() || lost || awaited {
            shared.emit(EndpointEvent::SendFailed { to: self.address, reason: send_failure });
        }
        self.queue.clear();
        self.packets_out.clear();
        self.early.clear();
        self.held.clear();
        self.packets_in.clear();
        self.account(shared);
    }

    /// Whether the peer at the other end is the one that we dialed or has shown its certificate.
    pub(crate) fn is_trustworthy(&self) -> bool {
        self.dialed || self.phase != Phase::Handshaking
    }

    /// Whether no stream and no packet is under way.
    pub(crate) fn is_quiet(&self) -> bool {
        self.streams.is_empty()
            && self.packets_out.is_empty()
            && self.packets_in.values().all(|packet| packet.settled)
            && self.queue.is_empty()
            && self.quic.dgram_send_queue_len() == 0
    }

    /// How long after its last payload a connection may be closed without cutting it off: a
    /// lost packet is noticed and sent again in that time.
    pub(crate) fn settling_time(&self) -> Duration {
        let rtt = self.path().map_or(Duration::ZERO, |path| path.rtt);
        rtt.saturating_mul(3).clamp(Duration::from_millis(20), Duration::from_millis(500))
    }

    pub(crate) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    pub(crate) fn packet_limit(&self) -> Option<usize> {
        self.packet_limit
    }

    pub(crate) fn stats(&self) -> quiche::Stats {
        self.quic.stats()
    }

    /// Packets in both directions, which wear out the keys.
    pub(crate) fn packet_count(&self) -> usize {
        let stats = self.quic.stats();
        stats.sent.max(stats.recv)
    }

    pub(crate) fn path(&self) -> Option<quiche::PathStats> {
        self.quic.path_stats().find(|path| path.active)
    }

    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.peer.as_ref().map(|peer| peer.protocol)
    }

    fn keep_alive(&mut self, shared: &Shared, now: Instant) {
        let period = shared.config.limits.keep_alive_period;
        if period.is_zero() || self.next_keep_alive.is_some_and(|next| now < next) {
            return;
        }
        if self.next_keep_alive.replace(now + period).is_some()
            && let Err(error) = self.quic.send_ack_eliciting()
        {
            log::trace!("{}: no keep-alive: {error:?}", self.address);
        }
    }
}

impl Ending {
    /// What this end means for streams and packets that were under way.
    fn failures(&self, phase: Phase) -> (StreamError, SendFailure) {
        match self {
            Self::HandshakeTimedOut => (StreamError::Unreachable, SendFailure::DialTimedOut),
            Self::Closed(CloseReason::Refused(refusal)) => {
                (StreamError::Refused(*refusal), SendFailure::Refused(*refusal))
            }
            Self::Closed(CloseReason::LabelMismatch) => (
                StreamError::Refused(Refusal::LabelMismatch),
                SendFailure::Refused(Refusal::LabelMismatch),
            ),
            Self::Closed(_) if phase == Phase::Handshaking => {
                (StreamError::Unreachable, SendFailure::Unreachable)
            }
            Self::Closed(_) => (StreamError::Closed, SendFailure::Unreachable),
        }
    }
}

/// What [`Connection::emit`] wrote.
#[derive(Debug, Default)]
pub(crate) struct Emission {
    pub(crate) length: usize,
    pub(crate) segment: Option<usize>,
    pub(crate) packets: usize,
    pub(crate) more: bool,
}

/// The local address that quiche is told: a dialer drops packets from a pair that it does not
/// know, so that the real one, which may vary, stays out of its sight.
pub(crate) const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Room for any packet of ours.
const LARGEST_DATAGRAM: usize = 1500;
/// Least size of packets that are sent in one batch.
const BATCHED: usize = 1200;
/// Packets of a closing connection: one for each encryption level.
const LAST_PACKETS: usize = 3;
/// How long open streams keep a retired connection alive after its time.
const DRAIN: Duration = Duration::from_secs(30);

//! UDP datagrams in and out of one connection.
//!
//! Incoming ones wait for the keys if they have overtaken the handshake. Outgoing ones keep within
//! the anti-amplification limit of RFC 9000 section 8.1, and those of equal size are written side
//! by side, so that one call can send them.

mod coalesced;
mod stream_frames;
mod stream_pieces;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::handshake::ConnectionPhase;
use super::handshake_share::HandshakeShare;
use super::path_mtu::LEAST_UDP_PAYLOAD;
use super::undecryptable::UndecryptableDatagrams;
use crate::endpoint_context::EndpointContext;
use crate::long_header::is_short;
use crate::reason::CloseReason;
use coalesced::split_first;
use stream_pieces::StreamPieces;

/// The addresses of a connection, and what stands between it and the socket.
#[derive(Debug)]
pub(crate) struct Datagrams {
    /// The peer's when the connection began. The endpoint's tables know it by this one.
    address: SocketAddr,
    /// The peer's at present, which differs once a NAT on the way has chosen another one.
    path: SocketAddr,
    /// How many addresses the peer has had.
    paths: usize,
    /// The local address that the peer last used.
    source: Option<IpAddr>,
    undecryptable: UndecryptableDatagrams,
    handshake: HandshakeShare,
    pieces: StreamPieces,
    has_too_many_pieces: bool,
    /// Whether we dialed; else the peer did.
    dialed: bool,
    /// Bytes that may still be sent to an address that has not been validated; `None` once it has.
    anti_amplification_limit: Option<usize>,
}

/// What [`Datagrams::emit`] wrote.
#[derive(Debug, Default)]
pub(crate) struct Emission {
    /// Bytes.
    pub(crate) length: usize,
    /// The size of each datagram but the last, if there are several.
    pub(crate) segment: Option<usize>,
    pub(crate) packets: usize,
    /// More may follow at once.
    pub(crate) more: bool,
    /// Where to, if anything was written.
    pub(crate) to: Option<SocketAddr>,
}

impl Datagrams {
    pub(crate) fn new(address: SocketAddr, dialed: bool) -> Self {
        Self {
            address,
            path: address,
            paths: 1,
            source: None,
            undecryptable: UndecryptableDatagrams::default(),
            handshake: HandshakeShare::default(),
            pieces: StreamPieces::default(),
            has_too_many_pieces: false,
            dialed,
            anti_amplification_limit: None,
        }
    }

    /// The peer's address when the connection began.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The peer's address at present.
    pub(crate) fn path(&self) -> SocketAddr {
        self.path
    }

    /// Whether the peer has had so many addresses that quiche may soon take no further one.
    pub(crate) fn has_moved_too_often(&self) -> bool {
        self.paths >= MOST_PATHS
    }

    /// Notes where the peer is now: where it has answered (RFC 9000 section 9.3). True if that is
    /// elsewhere than before.
    pub(crate) fn follow(&mut self, quic: &mut quiche::Connection) -> bool {
        let before = self.path;
        while let Some(event) = quic.path_event_next() {
            if let quiche::PathEvent::New(..) = event {
                self.paths += 1;
            } else if let quiche::PathEvent::PeerMigrated(_, peer) = event {
                self.path = peer;
            }
        }
        self.path != before
    }

    /// The local address to send from, once the peer has used one.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.source
    }

    /// Why the peer has sent too much for its handshake, or too many pieces, if it has.
    pub(crate) fn excess(&self, phase: ConnectionPhase) -> Option<CloseReason> {
        if phase == ConnectionPhase::Handshaking && self.handshake.is_exceeded() {
            return Some(CloseReason::Violation(CRYPTO_BUFFER_EXCEEDED));
        }
        self.has_too_many_pieces.then_some(CloseReason::TooManyPieces)
    }

    /// The peer dialed, and its address may be forged: it may be the victim of a flood that is to
    /// be amplified. quiche keeps a limit too, but does not count what it pads its datagrams with.
    pub(crate) fn require_address_validation(&mut self) {
        self.anti_amplification_limit = Some(0);
    }

    /// Whether what is sent to the peer's address is known to reach it.
    pub(crate) fn is_address_validated(&self) -> bool {
        self.anti_amplification_limit.is_none()
    }

    /// The handshake has shown that the peer receives at its address.
    pub(crate) fn note_validated(&mut self, context: &mut EndpointContext) {
        self.anti_amplification_limit = None;
        self.handshake.release(context);
    }

    /// Hands one datagram, which was sent to the local address `to`, to quiche.
    pub(crate) fn receive(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        bytes: &mut [u8],
        from: SocketAddr,
        to: Option<IpAddr>,
    ) {
        self.source = to.or(self.source);
        if let Some(limit) = &mut self.anti_amplification_limit {
            *limit = limit.saturating_add(AMPLIFICATION * bytes.len());
        }
        if !is_short(bytes) && !quic.is_established() {
            let is_validated = self.is_address_validated();
            if !self.handshake.admit(context, bytes.len(), self.dialed, is_validated) {
                return;
            }
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (packet, others) = split_first(rest);
            if is_short(packet) && !quic.is_established() {
                self.undecryptable.keep(context, packet);
            } else {
                self.decrypt(quic, context, packet, from);
            }
            rest = others;
        }
        if !self.undecryptable.is_empty() && quic.is_established() {
            for mut bytes in self.undecryptable.take(context) {
                self.decrypt(quic, context, &mut bytes, self.address);
            }
        }
    }

    fn decrypt(
        &mut self,
        quic: &mut quiche::Connection,
        context: &mut EndpointContext,
        bytes: &mut [u8],
        from: SocketAddr,
    ) {
        let info = quiche::RecvInfo { from, to: LOCAL };
        let before = quic.stats().recv;
        // An error closes the connection, which is noticed when it advances.
        if let Err(error) = quic.recv(bytes, info) {
            log::trace!("{from}: packet refused: {error:?}");
        } else if is_short(bytes) && quic.stats().recv > before {
            // It was decrypted, and is no duplicate.
            self.pieces.note_packet(bytes);
            if self.pieces.exceed(context.limits().stream_pieces, quic)
                && !std::mem::replace(&mut self.has_too_many_pieces, true)
            {
                context.count().too_many_pieces += 1;
            }
        }
    }

    /// Writes at most `allowance` datagrams to `buffer`, none above 1200 bytes if they are to be
    /// `short`.
    pub(crate) fn emit(
        &mut self,
        quic: &mut quiche::Connection,
        buffer: &mut [u8],
        allowance: usize,
        short: bool,
    ) -> Emission {
        let mut emission = Emission::default();
        let largest = if short { LEAST_UDP_PAYLOAD } else { LARGEST_DATAGRAM };
        let mut room = buffer.len().min(largest);
        while emission.packets < allowance {
            let Some(space) = buffer.get_mut(emission.length..emission.length + room) else {
                emission.more = true;
                break;
            };
            match self.send(quic, space, emission.to) {
                Ok((written, to)) => {
                    emission.to = Some(to);
                    emission.length += written;
                    emission.packets += 1;
                    let first = *emission.segment.get_or_insert(written);
                    // Only full packets are batched: quiche leaves a queued datagram behind
                    // that would not fit into a shorter space.
                    if written < first || first < BATCHED || !quic.is_established() {
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
                    log::debug!("{}: cannot send: {error:?}", self.path);
                    break;
                }
            }
        }
        emission.more |= emission.packets == allowance;
        emission.segment = emission.segment.filter(|_| emission.packets > 1);
        emission
    }

    /// The last datagrams of a connection that was just closed, and where they go.
    pub(crate) fn emit_last(
        &mut self,
        quic: &mut quiche::Connection,
    ) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut datagrams = Vec::new();
        let mut buffer = [0; LARGEST_DATAGRAM];
        while datagrams.len() < LAST_DATAGRAMS
            && let Ok((length, to)) = self.send(quic, &mut buffer, None)
        {
            datagrams.push((to, buffer.get(..length).unwrap_or_default().to_vec()));
        }
        datagrams
    }

    /// One datagram, as long as the anti-amplification limit allows: to one address `only`, or to
    /// any that the peer may have. Its length, and where it goes.
    fn send(
        &mut self,
        quic: &mut quiche::Connection,
        space: &mut [u8],
        only: Option<SocketAddr>,
    ) -> Result<(usize, SocketAddr), quiche::Error> {
        let room = self.anti_amplification_limit.map_or(space.len(), |room| room.min(space.len()));
        match space.get_mut(..room) {
            None | Some([]) => Err(quiche::Error::Done),
            Some(space) => {
                let (written, info) = quic.send_on_path(space, None, only)?;
                if let Some(limit) = &mut self.anti_amplification_limit {
                    *limit = limit.saturating_sub(written);
                }
                Ok((written, info.to))
            }
        }
    }

    /// The connection is over.
    pub(crate) fn clear(&mut self, context: &mut EndpointContext) {
        self.undecryptable.take(context);
        self.handshake.release(context);
    }
}

/// The local address that quiche is told: a dialer drops packets from a pair that it does not
/// know, so that the real one, which may vary, stays out of its sight.
pub(crate) const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// After so many addresses of a peer the connection is replaced; quiche takes one more and then, in
/// silence, no further one.
const MOST_PATHS: usize = 3;
/// How many times as many bytes as it sent an address gets before it is validated.
const AMPLIFICATION: usize = 3;
/// The peer sends more for its handshake than we take (RFC 9000 section 20.1).
const CRYPTO_BUFFER_EXCEEDED: u64 = 0x0d;
/// Room for any datagram of ours, in bytes: no path that we probe carries more.
const LARGEST_DATAGRAM: usize = 1500;
/// Least size of datagrams that are sent in one batch, in bytes.
const BATCHED: usize = 1200;
/// Datagrams of a closing connection: one for each encryption level.
const LAST_DATAGRAMS: usize = 3;

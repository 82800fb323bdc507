//! How a connection begins and how it ends: identity, HELLO, confirmation, refusals.
//!
//! Decides when the peer is authenticated, when it is known to have accepted us, and what an
//! end means. It never chooses between connections.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::{Changes, Connection, DRAIN, Ending, LOCAL, Phase};
use crate::connection_id::{Id, ResetToken};
use crate::event::{EndpointEvent, PeerIdentity, Protocol};
use crate::hello::Hello;
use crate::reason::{CloseReason, LABEL_MISMATCH, Refusal};
use crate::shared::Shared;
use crate::stream::OutgoingPacket;
use crate::tls;

impl Connection {
    /// Takes one UDP datagram.
    pub(crate) fn receive(&mut self, bytes: &mut [u8], to: Option<IpAddr>) {
        self.source = to.or(self.source);
        self.unanswered_since = None;
        if let Some(budget) = &mut self.budget {
            *budget += AMPLIFICATION * bytes.len();
        }
        if self.retired.as_ref().is_some_and(|retired| retired.reason == CloseReason::TimedOut) {
            self.retired = None;
        }
        let is_short = bytes.first().is_some_and(|first| first & LONG_HEADER == 0);
        if is_short && !self.quic.is_established() {
            // quiche would drop it for want of keys, and nobody sends a datagram twice.
            if self.early.len() < MAX_EARLY {
                self.early.push(bytes.to_vec());
            }
            return;
        }
        self.take(bytes);
        if !self.early.is_empty() && self.quic.is_established() {
            for mut bytes in std::mem::take(&mut self.early) {
                self.take(&mut bytes);
            }
        }
    }

    /// The address of a peer that dialed has proved nothing: it may be the victim of a flood
    /// that is to be amplified (RFC 9000 section 8.1). quiche keeps that limit too, but does not
    /// count what it pads its datagrams with.
    pub(crate) fn distrust_address(&mut self) {
        self.budget = Some(0);
    }

    /// One UDP datagram, as long as the budget allows.
    pub(super) fn send_within_budget(&mut self, space: &mut [u8]) -> Result<usize, quiche::Error> {
        let room = self.budget.map_or(space.len(), |budget| budget.min(space.len()));
        match space.get_mut(..room) {
            None | Some([]) => Err(quiche::Error::Done),
            Some(space) => {
                let (written, _) = self.quic.send(space)?;
                self.budget = self.budget.map(|budget| budget.saturating_sub(written));
                Ok(written)
            }
        }
    }

    fn take(&mut self, bytes: &mut [u8]) {
        let info = quiche::RecvInfo { from: self.address, to: LOCAL };
        // An error closes the connection; `advance` finds that out.
        if let Err(error) = self.quic.recv(bytes, info) {
            log::trace!("{}: packet refused: {error:?}", self.address);
        }
    }

    /// Why the handshake failed, with the words of the certificate check where it was ours.
    pub(crate) fn refusal_detail(&mut self, refusal: Refusal) -> String {
        if self.quic.peer_error().is_some() {
            return format!("the peer refused us: {refusal}");
        }
        let ssl: &mut boring::ssl::SslRef = self.quic.as_mut();
        match ssl.verify_result() {
            Err(error) => format!("we refused the peer: {refusal} ({error})"),
            Ok(()) => format!("we refused the peer: {refusal}"),
        }
    }

    pub(super) fn establish(&mut self, shared: &mut Shared, now: Instant, changes: &mut Changes) {
        let refused = |refusal| Some(Ending::Closed(CloseReason::Refused(refusal)));
        let Some(leaf) = self.quic.peer_cert() else {
            changes.ended = refused(Refusal::NoCertificate);
            return;
        };
        let protocol = match self.quic.application_proto() {
            chosen if chosen == shared.config.extended_protocol => Protocol::Extended,
            chosen if chosen == shared.config.classic_protocol => Protocol::Classic,
            _ => {
                changes.ended = refused(Refusal::ProtocolMismatch);
                return;
            }
        };
        let digest = ring::digest::digest(&ring::digest::SHA256, leaf);
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(digest.as_ref());
        self.peer = Some(Arc::new(PeerIdentity {
            address: self.address,
            names: (shared.config.identify)(leaf),
            fingerprint,
            protocol,
            dialed: self.dialed,
        }));
        self.phase = Phase::Established;
        self.budget = None;
        changes.established = true;
        self.exchange_tokens(shared, now, protocol, changes);
        self.release_queue(shared, now);
        self.check_expected_names(shared);
    }

    /// Makes sure that each side can tell the other's resets from noise.
    fn exchange_tokens(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        protocol: Protocol,
        changes: &mut Changes,
    ) {
        if self.dialed {
            // A client's first id carries no token; with these ids the peer has some that do.
            while self.quic.scids_left() > 0 {
                let id = shared.secrets.fresh_id();
                let token = u128::from_be_bytes(shared.secrets.reset_token(&id));
                if self.quic.new_scid(&quiche::ConnectionId::from_ref(&id), token, false).is_err() {
                    break;
                }
                self.ids.push(id);
                changes.new_ids.push(id);
            }
            let token = self.quic.peer_transport_params().and_then(|p| p.stateless_reset_token);
            self.watch(token.map(u128::to_be_bytes), changes);
        }
        if protocol == Protocol::Extended {
            let hello = Hello {
                name: shared.config.name.clone(),
                label: shared.config.label.clone(),
                reset_token: self.ids.first().map(|id| shared.secrets.reset_token(id)),
            };
            let deadline = now + shared.config.limits.packet_stream_timeout;
            self.packets_out.push_front(OutgoingPacket::new(&hello.encode(), deadline));
            self.write_packets();
        }
    }

    fn watch(&mut self, token: Option<ResetToken>, changes: &mut Changes) {
        if let Some(token) = token
            && !self.tokens.contains(&token)
        {
            self.tokens.push(token);
            changes.new_tokens.push(token);
        }
    }

    /// The peer's HELLO arrived.
    pub(super) fn greet(&mut self, shared: &Shared, bytes: &[u8], changes: &mut Changes) {
        let Some(hello) = Hello::decode(bytes) else {
            changes.ended = Some(Ending::Closed(CloseReason::Refused(Refusal::Handshake)));
            return;
        };
        if hello.label != shared.config.label {
            changes.ended = Some(Ending::Closed(CloseReason::LabelMismatch));
            return;
        }
        if self.hello_name.is_none() {
            self.hello_name = Some(hello.name);
            self.watch(hello.reset_token, changes);
        }
    }

    pub(super) fn confirm_if_due(&mut self, shared: &mut Shared, changes: &Changes) {
        if self.phase != Phase::Established || changes.ended.is_some() {
            return;
        }
        let confirmed = match self.protocol() {
            Some(Protocol::Extended) => self.hello_name.is_some(),
            Some(Protocol::Classic) => {
                !self.dialed
                    || !changes.retired_ids.is_empty()
                    || !self.held.is_empty()
                    || !self.held_streams.is_empty()
                    || self.quic.dgram_recv_queue_len() > 0
            }
            None => false,
        };
        if confirmed && let Some(peer) = &self.peer {
            self.phase = Phase::Confirmed;
            shared.emit(EndpointEvent::Connected { peer: Arc::clone(peer) });
        }
    }

    pub(super) fn collect_retired_ids(&mut self, changes: &mut Changes) {
        while let Some(id) = self.quic.retired_scid_next() {
            if let Ok(id) = Id::try_from(id.as_ref()) {
                self.ids.retain(|held| *held != id);
                changes.retired_ids.push(id);
            }
        }
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        let reason = if let Some(error) = self.quic.peer_error() {
            match (error.is_app, tls::refusal(error.error_code)) {
                (true, _) if error.error_code == LABEL_MISMATCH => CloseReason::LabelMismatch,
                (false, Some(refusal)) => CloseReason::Refused(refusal),
                (false, None) if error.error_code != 0 && error.error_code != APPLICATION_ERROR => {
                    CloseReason::Violation(error.error_code)
                }
                (true | false, _) => CloseReason::ByPeer {
                    code: error.error_code,
                    reason: String::from_utf8_lossy(&error.reason).into_owned(),
                },
            }
        } else if let Some(error) = self.quic.local_error() {
            match tls::refusal(error.error_code).filter(|_| !error.is_app) {
                Some(refusal) => CloseReason::Refused(refusal),
                None => CloseReason::Violation(error.error_code),
            }
        } else if self.quic.is_timed_out() {
            CloseReason::TimedOut
        } else if self.quic.is_closed() || self.quic.is_draining() {
            CloseReason::Reset
        } else {
            return None;
        };
        Some(Ending::Closed(reason))
    }

    /// Whether the peer owes the end of the handshake or a HELLO. A classic peer that says
    /// nothing more cannot be told from one that is content.
    pub(super) fn awaits_handshake(&self) -> bool {
        match self.phase {
            Phase::Handshaking => true,
            Phase::Established => self.protocol() == Some(Protocol::Extended),
            Phase::Confirmed => false,
        }
    }

    /// The end that our own deadlines set.
    pub(super) fn overdue(&self, now: Instant) -> Option<Ending> {
        if self.awaits_handshake() && now >= self.handshake_deadline {
            return Some(Ending::HandshakeTimedOut);
        }
        let retired = self.retired.as_ref().filter(|retired| now >= retired.close_at)?;
        let patient = now < retired.close_at + DRAIN && !self.streams.is_empty();
        (!patient).then(|| Ending::Closed(retired.reason.clone()))
    }
}

/// How many times as much as it sent an address gets before it has proved to be the sender's.
const AMPLIFICATION: usize = 3;
/// Set in the first byte of all packets of a handshake (RFC 9000 section 17.2).
const LONG_HEADER: u8 = 0x80;
/// UDP datagrams kept until the handshake is done; further ones are dropped. RFC 9001 section 5.7
/// allows it: their keys come with a packet that they have overtaken.
const MAX_EARLY: usize = 8;
/// RFC 9000 section 20.1, APPLICATION_ERROR: an application close during the handshake.
const APPLICATION_ERROR: u64 = 0x0C;

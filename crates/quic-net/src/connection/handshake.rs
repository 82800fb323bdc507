//! How a connection begins: identity, HELLO, confirmation.
//!
//! A connection is *established* once TLS is done and we have verified the peer, and *confirmed*
//! once the peer is known to have verified us, which a dialer learns later. Packets and streams
//! are handed on from the confirmation on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use boring::x509::X509VerifyError;

use super::certificates::Certificates;
use crate::config::{DescribeNames, EndpointConfig};
use crate::connection_id::{Id, ResetToken, Secrets};
use crate::event::{PeerIdentity, Protocol};
use crate::hello::Hello;
use crate::reason::{CloseReason, Refusal};

/// What a connection knows of its peer, and the ids under which the peer addresses it.
pub(crate) struct Handshake {
    /// Whether we dialed; else the peer did.
    dialed: bool,
    phase: ConnectionPhase,
    /// When the peer must be done.
    deadline: Instant,
    /// Known from the establishment on.
    peer: Option<Arc<PeerIdentity>>,
    /// The name in the peer's HELLO.
    hello_name: Option<Vec<u8>>,
    /// The features in the peer's HELLO.
    features: Option<Arc<[u8]>>,
    /// Our connection ids.
    ids: Vec<Id>,
    /// Tokens that end a stateless reset from the peer.
    reset_tokens: Vec<ResetToken>,
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ConnectionPhase {
    /// TLS is not done.
    Handshaking,
    /// We have verified the peer. A dialed peer may still refuse us: TLS 1.3 lets the dialer
    /// finish first.
    Established,
    /// The peer is known to have accepted us, and its label is ours.
    Confirmed,
}

impl Handshake {
    pub(crate) fn new(dialed: bool, id: Id, deadline: Instant) -> Self {
        Self {
            dialed,
            phase: ConnectionPhase::Handshaking,
            deadline,
            peer: None,
            hello_name: None,
            features: None,
            ids: vec![id],
            reset_tokens: Vec::new(),
        }
    }

    pub(crate) fn dialed(&self) -> bool {
        self.dialed
    }

    pub(crate) fn phase(&self) -> ConnectionPhase {
        self.phase
    }

    pub(crate) fn peer(&self) -> Option<&Arc<PeerIdentity>> {
        self.peer.as_ref()
    }

    pub(crate) fn protocol(&self) -> Option<Protocol> {
        self.peer.as_ref().map(|peer| peer.protocol)
    }

    pub(crate) fn hello_name(&self) -> Option<&[u8]> {
        self.hello_name.as_deref()
    }

    pub(crate) fn features(&self) -> Option<&Arc<[u8]>> {
        self.features.as_ref()
    }

    pub(crate) fn ids(&self) -> &[Id] {
        &self.ids
    }

    pub(crate) fn reset_tokens(&self) -> &[ResetToken] {
        &self.reset_tokens
    }

    /// TLS is done, with a peer at `address`: who is it?
    ///
    /// # Errors
    /// The peer shows no certificate or speaks neither of our protocols; the connection must
    /// close.
    pub(crate) fn establish(
        &mut self,
        quic: &mut quiche::Connection,
        config: &EndpointConfig,
        address: SocketAddr,
    ) -> Result<Arc<PeerIdentity>, CloseReason> {
        let shown = Certificates::of(quic).ok_or(CloseReason::Refused(Refusal::NoCertificate))?;
        let protocol = match quic.application_proto() {
            chosen if chosen == config.extended_protocol => Protocol::Extended,
            chosen if chosen == config.classic_protocol => Protocol::Classic,
            _ => return Err(CloseReason::Refused(Refusal::ProtocolMismatch)),
        };
        let names = (config.identify)(&shown.leaf);
        let only = match &names[..] {
            [only] => Some(Arc::clone(only)),
            _ => None,
        };
        let peer = Arc::new(PeerIdentity {
            address,
            names,
            name: only,
            fingerprint: shown.fingerprint,
            issuers: shown.issuers,
            expires: shown.expires,
            protocol,
            dialed: self.dialed,
        });
        self.peer = Some(Arc::clone(&peer));
        self.phase = ConnectionPhase::Established;
        Ok(peer)
    }

    /// Where we dialed: gives the peer ids with reset tokens, since a client's first id carries
    /// none. Returns the new ids.
    pub(crate) fn issue_ids(
        &mut self,
        quic: &mut quiche::Connection,
        secrets: &mut Secrets,
    ) -> Vec<Id> {
        let mut issued = Vec::new();
        let Some(address) = self.peer.as_ref().map(|peer| peer.address) else { return issued };
        while self.dialed && quic.scids_left() > 0 {
            let id = secrets.fresh_id(address);
            let token = u128::from_be_bytes(secrets.reset_token(&id));
            if quic.new_scid(&quiche::ConnectionId::from_ref(&id), token, false).is_err() {
                break;
            }
            issued.push(id);
        }
        self.ids.extend(&issued);
        issued
    }

    /// Where we dialed: notes the reset token in the peer's transport parameters, if it is new.
    pub(crate) fn note_transport_token(&mut self, quic: &quiche::Connection) -> Option<ResetToken> {
        let parameters = quic.peer_transport_params().filter(|_| self.dialed)?;
        self.note_reset_token(parameters.stateless_reset_token.map(u128::to_be_bytes))
    }

    fn note_reset_token(&mut self, token: Option<ResetToken>) -> Option<ResetToken> {
        let token = token.filter(|token| !self.reset_tokens.contains(token))?;
        self.reset_tokens.push(token);
        Some(token)
    }

    /// Our HELLO. Its reset token is for the peer's side of a connection that it accepted: quiche
    /// ignores those that come with new connection ids.
    pub(crate) fn hello(&self, config: &EndpointConfig, secrets: &Secrets) -> Hello {
        Hello {
            name: config.name.clone(),
            label: config.label.clone(),
            features: config.features.clone(),
            reset_token: self.ids.first().map(|id| secrets.reset_token(id)),
        }
    }

    /// The peer's HELLO arrived, without first byte and kind. Returns its reset token if that is
    /// new. Only the first HELLO counts.
    ///
    /// # Errors
    /// It is malformed, carries another label, or a name that is not in the certificate; the
    /// connection must close.
    pub(crate) fn handle_hello(
        &mut self,
        bytes: &[u8],
        label: &[u8],
    ) -> Result<Option<ResetToken>, CloseReason> {
        let hello = Hello::decode(bytes).ok_or(CloseReason::Refused(Refusal::Handshake))?;
        if hello.label != label {
            return Err(CloseReason::LabelMismatch);
        }
        if self.hello_name.is_some() {
            return Ok(None);
        }
        if self.peer.as_ref().is_some_and(|peer| !peer.names.is_empty())
            && !self.set_name(&hello.name)
        {
            return Err(CloseReason::Refused(Refusal::WrongName));
        }
        self.hello_name = Some(hello.name);
        self.features = Some(hello.features.into());
        Ok(self.note_reset_token(hello.reset_token))
    }

    /// The connection belongs to `name`, if that is open and the certificate holds it. Whether the
    /// connection belongs to it now.
    pub(crate) fn set_name(&mut self, name: &[u8]) -> bool {
        let Some(peer) = &mut self.peer else { return false };
        let held = peer.possible_names().iter().find(|held| ***held == *name).cloned();
        if held.is_some() && held != peer.name {
            *peer = Arc::new(PeerIdentity { name: held.clone(), ..PeerIdentity::clone(peer) });
        }
        held.is_some()
    }

    /// Confirms the peer if it has shown that it accepted us: by its HELLO or, on the classic
    /// protocol, by anything that it `has_sent` under the final keys. Returns the peer if it was
    /// confirmed just now.
    pub(crate) fn confirm(&mut self, has_sent: bool) -> Option<Arc<PeerIdentity>> {
        if self.phase != ConnectionPhase::Established {
            return None;
        }
        let accepted = match self.protocol()? {
            Protocol::Extended => self.hello_name.is_some(),
            Protocol::Classic => !self.dialed || has_sent,
        };
        let peer = self.peer.clone().filter(|_| accepted)?;
        self.phase = ConnectionPhase::Confirmed;
        Some(peer)
    }

    /// The ids that the peer uses no more. Go retires our first id once it has accepted our
    /// certificate, which is the only sign it gives.
    pub(crate) fn collect_retired_ids(&mut self, quic: &mut quiche::Connection) -> Vec<Id> {
        let mut retired = Vec::new();
        while let Some(id) = quic.retired_scid_next() {
            if let Ok(id) = Id::try_from(id.as_ref()) {
                self.ids.retain(|kept| *kept != id);
                retired.push(id);
            }
        }
        retired
    }

    /// When the peer must have finished the handshake and sent its HELLO, while it has not. A
    /// classic peer that says nothing more cannot be told from one that is content.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let is_waiting = match self.phase {
            ConnectionPhase::Handshaking => true,
            ConnectionPhase::Established => self.protocol() == Some(Protocol::Extended),
            ConnectionPhase::Confirmed => false,
        };
        is_waiting.then_some(self.deadline)
    }
}

/// Which side refused the other and why, with the words of the certificate check where it was
/// ours, and with what is in the certificate where that does not prove a name.
pub(crate) fn refusal_detail(
    quic: &mut quiche::Connection,
    refusal: Refusal,
    describe_names: &DescribeNames,
) -> String {
    if quic.peer_error().is_some() {
        return format!("the peer refused us: {refusal}");
    }
    let ssl: &mut boring::ssl::SslRef = quic.as_mut();
    let verdict = ssl.verify_result().err();
    if refusal == Refusal::WrongName || verdict == Some(X509VerifyError::HOSTNAME_MISMATCH) {
        let leaf = ssl.peer_certificate().and_then(|leaf| leaf.to_der().ok());
        let names = leaf.map(|leaf| describe_names(&leaf)).unwrap_or_default();
        let refusal = if refusal == Refusal::WrongName {
            refusal.to_string()
        } else {
            String::from("the certificate proves no name")
        };
        return match names.is_empty() {
            true => format!("we refused the peer: {refusal}"),
            false => format!("we refused the peer: {refusal} ({names})"),
        };
    }
    match verdict {
        Some(error) => format!("we refused the peer: {refusal} ({error})"),
        None => format!("we refused the peer: {refusal}"),
    }
}

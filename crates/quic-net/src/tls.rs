//! From a TLS context to a QUIC configuration, and from TLS alerts to refusals.
//!
//! Sets every transport parameter. Certificates, trust and verification come finished inside the
//! context and are never touched here: quiche's own `verify_peer` would silently drop the demand
//! for a client certificate.

use boring::ssl::SslContextBuilder;

use crate::config::EndpointConfig;
use crate::error::{EndpointError, QuicError};
use crate::reason::Refusal;
use crate::stream_limits::receive_window;

/// The configuration of connections made with `tls`.
pub(crate) fn quic_config(
    config: &EndpointConfig,
    tls: SslContextBuilder,
) -> Result<quiche::Config, EndpointError> {
    let limits = &config.limits;
    let mut quic = quiche::Config::with_boring_ssl_ctx_builder(quiche::PROTOCOL_VERSION, tls)
        .map_err(|error| EndpointError::Tls(QuicError::of(error)))?;
    quic.set_application_protos(&[&config.extended_protocol, &config.classic_protocol])
        .map_err(|error| EndpointError::Tls(QuicError::of(error)))?;
    quic.set_max_idle_timeout(
        u64::try_from(limits.max_idle_timeout.as_millis()).unwrap_or(u64::MAX >> 2),
    );
    quic.set_initial_rtt(INITIAL_RTT);
    quic.set_max_recv_udp_payload_size(MAX_RECEIVE);
    quic.set_max_send_udp_payload_size(limits.max_udp_payload);
    quic.discover_pmtu(true);
    quic.enable_pacing(false);
    quic.enable_dgram(true, limits.datagrams, limits.datagrams);
    quic.set_initial_max_data(limits.receive_window);
    // Windows do not grow: quiche would only keep the connection's at 1.5 times the largest
    // stream's, which one stream can use up.
    let stream_window = receive_window(limits);
    quic.set_initial_max_stream_data_bidi_local(stream_window);
    quic.set_initial_max_stream_data_bidi_remote(stream_window);
    quic.set_initial_max_stream_data_uni(stream_window);
    quic.set_max_connection_window(limits.receive_window);
    quic.set_max_stream_window(stream_window);
    quic.set_initial_max_streams_bidi(limits.streams);
    quic.set_initial_max_streams_uni(limits.streams);
    quic.set_active_connection_id_limit(CONNECTION_IDS);
    quic.set_disable_active_migration(true);
    Ok(quic)
}

/// The refusal behind a transport error code, if it is one: a TLS alert is `0x100 + alert`
/// (RFC 9001 section 4.8), `CONNECTION_REFUSED` is 2.
pub(crate) fn refusal(code: u64) -> Option<Refusal> {
    let alert = match code {
        2 => return Some(Refusal::TooMany),
        0x100..=0x1FF => code - 0x100,
        _ => return None,
    };
    Some(match alert {
        42 | 43 | 46 | 49 | 51 => Refusal::BadCertificate,
        44 => Refusal::Revoked,
        45 => Refusal::Expired,
        48 => Refusal::UnknownAuthority,
        70 | 109 => Refusal::VersionMismatch,
        116 => Refusal::NoCertificate,
        120 => Refusal::ProtocolMismatch,
        _ => Refusal::Handshake,
    })
}

/// The first retransmission of an Initial comes after three times this, instead of after the
/// second that quiche's default gives.
const INITIAL_RTT: std::time::Duration = std::time::Duration::from_millis(100);
/// Largest UDP payload taken from a peer, in bytes: what a slot of the receive buffer surely holds.
const MAX_RECEIVE: usize = 65_527;
/// Connection ids that each side may hold for the other.
const CONNECTION_IDS: u64 = 4;

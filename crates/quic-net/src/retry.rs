//! Retry (RFC 9000 section 8.1.2): how a client proves that it receives what is sent to its
//! address, before anything is stored for it.
//!
//! A Retry is sent for an Initial without a valid token while as many incoming handshakes as
//! [`Limits::handshakes`] are under way; [`is_needed`] says so, and `endpoint/receive.rs` sends it.
//! A token lasts [`VALIDITY`] and is good for one address. Nothing is remembered between the two.

use std::net::SocketAddr;
use std::time::Duration;

use quiche::{ConnectionId, Header};

use crate::connection_id::{Id, Secrets};
use crate::limits::Limits;

/// Whether a client must prove its address while `half_open` handshakes of incoming connections are
/// under way. Even where no place is left: whoever has proved it may displace another one.
pub(crate) fn is_needed(limits: &Limits, half_open: usize, is_validated: bool) -> bool {
    half_open >= limits.handshakes && !is_validated
}

/// The Retry for a client at `from` that sent an Initial with this header. It is to go on under
/// the id `retry_id`; `uptime` is the endpoint's age.
pub(crate) fn packet(
    secrets: &Secrets,
    from: SocketAddr,
    header: &Header<'_>,
    retry_id: &Id,
    uptime: Duration,
) -> Result<Vec<u8>, quiche::Error> {
    let token = mint(secrets, from, &header.dcid, retry_id, uptime);
    let mut packet = vec![0; LONGEST];
    let retry_id = ConnectionId::from_ref(retry_id);
    let length =
        quiche::retry(&header.scid, &header.dcid, &retry_id, &token, header.version, &mut packet)?;
    packet.truncate(length);
    Ok(packet)
}

/// The token for a client at `from` whose first Initial carried `client_id`. It is to come back
/// in an Initial for `retry_id`; `uptime` is the endpoint's age.
fn mint(
    secrets: &Secrets,
    from: SocketAddr,
    client_id: &[u8],
    retry_id: &Id,
    uptime: Duration,
) -> Vec<u8> {
    let time = uptime.as_secs().to_be_bytes();
    let proof = secrets.retry_proof(from, &[&time, retry_id, client_id]);
    [&proof[..], &time, client_id].concat()
}

/// The id of the client's first Initial, if the token was minted for this client at most
/// [`VALIDITY`] ago.
pub(crate) fn check<'a>(
    secrets: &Secrets,
    from: SocketAddr,
    token: &'a [u8],
    retry_id: &[u8],
    uptime: Duration,
) -> Option<&'a [u8]> {
    let (proof, rest) = token.split_at_checked(16)?;
    let (time, client_id) = rest.split_first_chunk::<8>()?;
    let minted = Duration::from_secs(u64::from_be_bytes(*time));
    let age = uptime.checked_sub(minted)?;
    // A forged proof only gains the forger what a client without a token gets, so that the
    // comparison needs no constant time.
    let genuine = secrets.retry_proof(from, &[time, retry_id, client_id])[..] == *proof;
    (genuine && age <= VALIDITY && !client_id.is_empty()).then_some(client_id)
}

/// A client answers a Retry at once; this leaves time for a lost packet or two.
const VALIDITY: Duration = Duration::from_secs(10);
/// Room for a Retry: no client needs to take a longer datagram (RFC 9000 section 14), in bytes.
const LONGEST: usize = 1200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_counts_only_for_its_client_its_id_and_its_time() {
        let secrets = Secrets::new(&[1; 32]).unwrap();
        let from = "10.0.0.1:1000".parse().unwrap();
        let elsewhere = "10.0.0.1:1001".parse().unwrap();
        let at = Duration::from_secs(100);
        let token = mint(&secrets, from, b"client-id", b"retry-id", at);
        let id = check(&secrets, from, &token, b"retry-id", at);
        assert_eq!(id, Some(&b"client-id"[..]));
        assert_eq!(check(&secrets, elsewhere, &token, b"retry-id", at), None);
        assert_eq!(check(&secrets, from, &token, b"retry-ID", at), None);
        assert_eq!(check(&secrets, from, &token, b"retry-id", at + VALIDITY * 2), None);
        for length in 0..token.len() {
            assert_eq!(check(&secrets, from, &token[..length], b"retry-id", at), None);
        }
    }

    #[test]
    fn crowded_endpoint_asks_for_a_proof() {
        let limits = Limits::default();
        for (half_open, is_asked) in [
            (0, false),
            (limits.handshakes - 1, false),
            (limits.handshakes, true),
            (limits.half_open, true),
        ] {
            assert_eq!(is_needed(&limits, half_open, false), is_asked, "{half_open}");
            assert!(!is_needed(&limits, half_open, true));
        }
    }
}

//! How connection ids, tokens and random numbers are derived from the endpoint's secrets.
//!
//! What must survive a restart comes from the reset secret, what must not repeat from a seed that
//! is drawn once at the start.
//!
//! The second half of an id proves, to whoever has the reset secret, that it was made for a peer at
//! one address. Without the secret, ids can neither be made nor guessed.

use std::net::SocketAddr;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// Length of our connection ids in bytes. Longer ones overflow quiche's transport-parameter buffer
/// when Retry, reset token and large windows come together.
pub(crate) const ID_LENGTH: usize = 8;

/// A connection id of ours.
pub(crate) type Id = [u8; ID_LENGTH];

/// A stateless reset token (RFC 9000 section 10.3).
pub(crate) type ResetToken = [u8; 16];

/// The keys of an endpoint.
pub(crate) struct Secrets {
    lasting: hmac::Key,
    fleeting: hmac::Key,
    drawn: u64,
}

impl Secrets {
    /// Fails if the operating system gives no random bytes.
    pub(crate) fn new(reset_secret: &[u8; 32]) -> Result<Self, ring::error::Unspecified> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed)?;
        Ok(Self {
            lasting: hmac::Key::new(hmac::HMAC_SHA256, reset_secret),
            fleeting: hmac::Key::new(hmac::HMAC_SHA256, &seed),
            drawn: 0,
        })
    }

    /// The id of a connection that a client at `from` opened with `client_id`: repeated Initials
    /// lead to the same id without a table.
    pub(crate) fn accepted_id(&self, from: SocketAddr, client_id: &[u8]) -> Id {
        let unique = prefix(&self.tag(b"accept", &[&address_bytes(from), client_id]));
        self.id_for(from, unique)
    }

    /// Whether an id was made for a peer at an address, by us or by a process before us.
    pub(crate) fn is_id_for(&self, address: SocketAddr, id: &Id) -> bool {
        id.first_chunk().is_some_and(|unique| self.id_for(address, *unique) == *id)
    }

    fn id_for(&self, address: SocketAddr, unique: [u8; UNIQUE]) -> Id {
        let proof = self.tag(b"id", &[&address_bytes(address), &unique]);
        let mut id = [0; ID_LENGTH];
        for (byte, value) in id.iter_mut().zip(unique.iter().chain(&proof)) {
            *byte = *value;
        }
        id
    }

    /// The token that ends the connections known under `id`.
    pub(crate) fn reset_token(&self, id: &[u8]) -> ResetToken {
        prefix(&self.tag(b"reset", &[id]))
    }

    /// The proof inside a Retry token.
    pub(crate) fn retry_proof(&self, from: SocketAddr, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.fleeting);
        context.update(b"retry");
        context.update(&address_bytes(from));
        for part in parts {
            context.update(part);
        }
        prefix(context.sign().as_ref())
    }

    /// Fresh unpredictable bytes.
    pub(crate) fn draw(&mut self) -> [u8; 32] {
        self.drawn += 1;
        let mut context = hmac::Context::with_key(&self.fleeting);
        context.update(b"draw");
        context.update(&self.drawn.to_be_bytes());
        prefix(context.sign().as_ref())
    }

    /// A fresh id for a connection to `address` that we dial.
    pub(crate) fn fresh_id(&mut self, address: SocketAddr) -> Id {
        let unique = prefix(&self.draw());
        self.id_for(address, unique)
    }

    /// A fresh number below 2^32.
    pub(crate) fn fresh_number(&mut self) -> u32 {
        u32::from_be_bytes(prefix(&self.draw()))
    }

    fn tag(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.lasting);
        context.update(purpose);
        for part in parts {
            context.update(part);
        }
        prefix(context.sign().as_ref())
    }
}

/// Bytes of an id that tell it from others for the same address; the rest is proof.
const UNIQUE: usize = 4;

/// The first `N` bytes of `bytes`, which is at least that long.
fn prefix<const N: usize>(bytes: &[u8]) -> [u8; N] {
    std::array::from_fn(|index| bytes.get(index).copied().unwrap_or_default())
}

fn address_bytes(address: SocketAddr) -> [u8; 18] {
    let mut bytes = [0; 18];
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        std::net::IpAddr::V6(ip) => ip,
    };
    bytes[..16].copy_from_slice(&ip.octets());
    bytes[16..].copy_from_slice(&address.port().to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarted_endpoint_knows_its_old_tokens_but_draws_new_ids() {
        let mut before = Secrets::new(&[7; 32]).unwrap();
        let mut after = Secrets::new(&[7; 32]).unwrap();
        let from = "10.0.0.1:7946".parse().unwrap();
        assert_eq!(before.reset_token(b"12345678"), after.reset_token(b"12345678"));
        assert_eq!(before.accepted_id(from, b"client"), after.accepted_id(from, b"client"));
        assert_ne!(before.fresh_id(from), after.fresh_id(from));
        assert_ne!(before.fresh_id(from), before.fresh_id(from));
        let other = Secrets::new(&[8; 32]).unwrap();
        assert_ne!(before.reset_token(b"12345678"), other.reset_token(b"12345678"));
    }

    #[test]
    fn restarted_endpoint_knows_for_whom_an_id_was_made() {
        let mut before = Secrets::new(&[7; 32]).unwrap();
        let after = Secrets::new(&[7; 32]).unwrap();
        let other = Secrets::new(&[8; 32]).unwrap();
        let peer = "10.0.0.1:7946".parse().unwrap();
        let elsewhere = "10.0.0.1:7947".parse().unwrap();
        for id in [before.fresh_id(peer), before.accepted_id(peer, b"client")] {
            assert!(after.is_id_for(peer, &id));
            assert!(!after.is_id_for(elsewhere, &id) && !other.is_id_for(peer, &id));
            for byte in 0..ID_LENGTH {
                let mut forged = id;
                forged[byte] ^= 1;
                assert!(!after.is_id_for(peer, &forged));
            }
        }
    }
}

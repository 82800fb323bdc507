//! Certificates and keys in PEM, arbitrary or damaged.

use std::time::{Duration, SystemTime};

use certs::{Identity, NameFields, Trust, tls_context, with_sources};

use crate::draw::Draw;

/// Authority, certificate and key of one member each: EC, Ed25519, RSA, below an intermediate.
const MATERIAL: [[&[u8]; 3]; 4] = [
    [data!("go-ca.pem"), data!("go.pem"), data!("go.key")],
    [data!("ed25519-ca.pem"), data!("ed25519.pem"), data!("ed25519.key")],
    [data!("rsa-ca.pem"), data!("rsa.pem"), data!("rsa-pkcs1.key")],
    [data!("ec-ca.pem"), data!("below-chain.pem"), data!("below.key")],
];

/// The bytes of one of the files that the tests of `certs` use.
macro_rules! data {
    ($file:literal) => {
        include_bytes!(concat!("../../../crates/certs/tests/data/", $file))
    };
}
use data;

/// In 2026, when all of them are valid.
const NOW: Duration = Duration::from_secs(1_780_000_000);

/// Whatever is loaded can be used; what is refused is told on one line.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    let parts = match draw.below(8) {
        0 => [draw.slice(), draw.slice(), draw.clone().rest()].map(<[u8]>::to_vec),
        _ => damaged(&mut draw),
    };
    let [authority, certificate, key] = &parts;
    let now = SystemTime::UNIX_EPOCH + NOW;
    if let Err(error) = Trust::from_pem(authority) {
        is_told(&error);
    }
    let identity = match Identity::from_pem_at(authority, certificate, key, now) {
        Ok(identity) => identity,
        Err(error) => {
            is_told(&error);
            return false;
        }
    };
    let trust = identity.trust();
    if let Err(error) = tls_context(&identity, &trust) {
        is_told(&error);
    }
    let fields = NameFields::default();
    let _ = (identity.names(), identity.read_names(&fields), identity.fingerprint());
    assert_eq!(identity.reset_secret("ada", 1), identity.reset_secret("ada", 1));
    true
}

/// One member's files, with some bytes changed, left out, repeated or put in.
fn damaged(draw: &mut Draw<'_>) -> [Vec<u8>; 3] {
    let mut files = draw.choice(MATERIAL).map(<[u8]>::to_vec);
    for _ in 0..draw.below(6) {
        let file = draw.below(3);
        if draw.below(16) == 0 {
            files[file] = draw.choice(MATERIAL)[draw.below(3)].to_vec();
            continue;
        }
        let bytes = &mut files[file];
        let at = usize::from(draw.u16()).checked_rem(bytes.len()).unwrap_or(0);
        let end = (at + usize::from(draw.byte())).min(bytes.len());
        match draw.below(4) {
            0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (end % 8)),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let copy = bytes[at..end].to_vec();
                bytes.splice(end..end, copy);
            }
            _ => drop(bytes.splice(at..at, draw.slice().iter().copied())),
        }
    }
    files
}

fn is_told(error: &(dyn std::error::Error + 'static)) {
    let text = with_sources(error).to_string();
    assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
}

//! Mallory hands over bytes; whatever they are, the answer is a refusal and never a panic.

use std::fs;

use certs::{Authority, Identity, NameFields, NameReading, Trust, peer_names};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::participants::{data, day_one};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_refused(bytes in vec(any::<u8>(), 0..2048)) {
        prop_assert!(Identity::from_pem_at(&bytes, &bytes, &bytes, day_one()).is_err());
        prop_assert!(Authority::from_pem(&bytes, &bytes).is_err());
        prop_assert!(Trust::from_pem(&bytes).is_err());
        prop_assert!(peer_names(&bytes).is_err());
    }

    #[test]
    fn random_bytes_in_armour_are_refused(
        bytes in vec(any::<u8>(), 0..600),
        split in 1..80_usize,
    ) {
        let certificate = armour("CERTIFICATE", &bytes, split);
        let go = |file| fs::read(data(file)).unwrap();
        prop_assert!(Trust::from_pem(&certificate).is_err());
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            let key = armour(label, &bytes, split);
            let loaded = Identity::from_pem_at(&go("go-ca.pem"), &go("go.pem"), &key, day_one());
            prop_assert!(loaded.is_err());
        }
    }

    #[test]
    fn a_flipped_bit_changes_nothing_or_is_refused(
        position in any::<prop::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let texts = ["go-ca.pem", "go.pem", "go.key"].map(|file| fs::read(data(file)).unwrap());
        let whole = load(&texts).unwrap();
        let total: usize = texts.iter().map(Vec::len).sum();
        let mut position = position.index(total);
        let mut flipped = texts.clone();
        for text in &mut flipped {
            if let Some(byte) = text.get_mut(position) {
                *byte ^= 1 << bit;
                break;
            }
            position -= text.len();
        }
        if let Ok(loaded) = load(&flipped) {
            prop_assert_eq!(loaded.fingerprint(), whole.fingerprint());
            prop_assert_eq!(loaded.names(), whole.names());
        }
    }

    #[test]
    fn a_bent_leaf_never_gains_a_name(
        position in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let pem = fs::read(data("sec1.pem")).unwrap();
        let mut leaf = boring::x509::X509::from_pem(&pem).unwrap().to_der().unwrap();
        let position = position.index(leaf.len());
        leaf[position] = byte;
        let pattern = "spiffe://example.org/ns/{name}/ada-spiffe".parse().unwrap();
        let fields = NameFields::spiffe(pattern);
        if let Ok(reading) = NameReading::from_der(&leaf, &fields) {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
            prop_assert!(reading.proven().iter().all(|name| name.bytes().all(fits)));
            prop_assert!(!reading.to_string().contains(char::is_control));
        }
        if let Ok(names) = peer_names(&leaf) {
            // The common name and the DNS name are equal until one of them is bent.
            prop_assert!(names.len() <= 3);
            prop_assert!(names.iter().all(|name| !name.is_empty() && !name.contains('\0')));
        }
    }
}

fn load(texts: &[Vec<u8>; 3]) -> Result<Identity, certs::IdentityError> {
    let [authority, certificate, key] = texts;
    Identity::from_pem_at(authority, certificate, key, day_one())
}

fn armour(label: &str, bytes: &[u8], split: usize) -> Vec<u8> {
    let encoded = boring::base64::encode_block(bytes);
    let mut text = format!("-----BEGIN {label}-----\n").into_bytes();
    for line in encoded.as_bytes().chunks(split) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    text
}

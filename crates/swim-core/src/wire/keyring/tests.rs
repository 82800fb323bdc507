use super::*;

const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const NONCE: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const PLAIN: &[u8] = b"\x08hello";

fn encrypted(keyring: &Keyring, version: EncryptionVersion, associated: &[u8]) -> Vec<u8> {
    let mut out = [[0; 13].as_slice(), PLAIN].concat();
    keyring.encrypt_in_place(version, NONCE, associated, &mut out, 0);
    assert_eq!(out.len(), version.encrypted_length(PLAIN.len()));
    out
}

fn decrypted(
    keyring: &Keyring,
    encrypted: &[u8],
    associated: &[u8],
) -> Result<Vec<u8>, DecryptError> {
    let mut encrypted = encrypted.to_vec();
    let plain = keyring.decrypt_in_place(&mut encrypted, associated)?;
    Ok(encrypted[plain].to_vec())
}

#[test]
fn known_answers_of_both_versions() {
    let ring = Keyring::with_primary(&KEY).unwrap();
    let plain = encrypted(&ring, EncryptionVersion::Plain, b"lab");
    assert_eq!(plain[..13], [&[1], NONCE.as_slice()].concat());
    assert_eq!(plain[13..19], *b"\x9b\x04\xc2\xa2\x0a\x74");
    assert_eq!(plain[19..], *b"\x59\x01\x36\x32\x00\x5e\x35\xe8\x47\x27\xd5\x1b\xe9\x9a\x7e\xe2");
    let padded = encrypted(&ring, EncryptionVersion::Padded, b"");
    assert_eq!(padded[13..23], *b"\x9b\x04\xc2\xa2\x0a\x74\xfd\x5e\x41\xd8");
    assert_eq!(padded.len(), 45);
    for (encrypted, associated) in [(&plain, b"lab".as_slice()), (&padded, b"")] {
        assert_eq!(decrypted(&ring, encrypted, associated).unwrap(), PLAIN);
        assert_eq!(decrypted(&ring, encrypted, b"other"), Err(DecryptError::NoKey));
    }
}

#[test]
fn rotation_goes_add_use_remove() {
    let (old, new) = ([1; 16], [2; 32]);
    let mut ring = Keyring::with_primary(&old).unwrap();
    let before = encrypted(&ring, EncryptionVersion::Plain, b"");

    ring.add(&new).unwrap();
    ring.add(&new).unwrap();
    assert_eq!(ring.keys().collect::<Vec<_>>(), [old.as_slice(), &new]);
    ring.use_key(&new).unwrap();
    let after = encrypted(&ring, EncryptionVersion::Plain, b"");
    assert_ne!(before, after);
    assert_eq!(decrypted(&ring, &before, b"").unwrap(), PLAIN);
    assert_eq!(decrypted(&ring, &after, b"").unwrap(), PLAIN);

    assert_eq!(ring.remove(&new), Err(KeyError::Primary));
    ring.remove(&old).unwrap();
    assert_eq!(decrypted(&ring, &before, b""), Err(DecryptError::NoKey));
    assert_eq!(ring.use_key(&old), Err(KeyError::Unknown));
    assert_eq!(ring.remove(&old), Ok(()));
}

#[test]
fn rings_take_64_keys_of_three_lengths() {
    let mut ring = Keyring::default();
    assert!(ring.is_empty());
    for length in [0, 15, 17, 33] {
        assert_eq!(ring.add(&vec![0; length]), Err(KeyError::Length { length }));
    }
    for (n, length) in (0..64).zip([16, 24, 32].into_iter().cycle()) {
        ring.add(&vec![n; length]).unwrap();
    }
    assert_eq!(ring.add(&[99; 16]), Err(KeyError::Full));
    assert_eq!(ring.add(&[0; 16]), Ok(()));
}

#[test]
fn debug_output_shows_no_key() {
    let shown = format!("{:?}", Keyring::with_primary(&[0xab; 16]).unwrap());
    assert_eq!(shown, "Keyring { keys: [Key(16 bytes)] }");
}

#[test]
fn impossible_encrypted_messages_are_refused() {
    let ring = Keyring::with_primary(&KEY).unwrap();
    assert_eq!(decrypted(&ring, b"", b""), Err(DecryptError::TooShort { length: 0 }));
    assert_eq!(decrypted(&ring, b"\x02", b""), Err(DecryptError::Version { found: 2 }));
    assert_eq!(decrypted(&ring, &[1; 28], b""), Err(DecryptError::TooShort { length: 28 }));
    assert_eq!(decrypted(&ring, &[0; 44], b""), Err(DecryptError::TooShort { length: 44 }));
    assert_eq!(decrypted(&ring, &[1; 29], b""), Err(DecryptError::NoKey));

    // A member that pads with something else than 1..=16 holds our key, and is still refused.
    for last in [0, 17, 255] {
        let mut encrypted = [[0; 13].as_slice(), &[last; 16]].concat();
        ring.encrypt_in_place(EncryptionVersion::Plain, NONCE, b"", &mut encrypted, 0);
        encrypted[0] = 0;
        assert_eq!(decrypted(&ring, &encrypted, b""), Err(DecryptError::Padding));
    }
}

//! Layers around packets and streams, chosen by one byte.
//!
//! 0 means none of them: the bytes of a plain message, behind a 0, are an input for it.

use swim_core::wire::{EncryptionVersion, Keyring, Label, NONCE_LENGTH, WireSettings};

/// Encode the rest of the input first, so that what is inside the layers is reached.
pub(crate) const ENCODE: u8 = 0x80;

/// Every input uses the same one; nothing here is secret.
pub(crate) const NONCE: [u8; NONCE_LENGTH] = *b"not a secret";

/// The keys that inputs choose among.
pub(crate) const KEYS: [&[u8]; 3] =
    [b"sixteen byte key", b"a key of 24 bytes length", b"a key whose length is 32 bytes!!"];

/// The label of those inputs that have one.
pub(crate) const LABEL: &[u8] = b"blue";

/// What the bits of `flags` choose: 0 label, 1 and 2 keys, 3 plain text taken too, 4 labels taken
/// off by somebody else, 5 no compression, 6 padding.
pub(crate) fn chosen(flags: u8) -> WireSettings {
    let has = |bit: u8| flags >> bit & 1 == 1;
    WireSettings {
        label: Label::new(if has(0) { LABEL } else { &[] }).unwrap_or_default(),
        keyring: keyring(usize::from(flags >> 1 & 3)),
        encryption_version: match has(6) {
            true => EncryptionVersion::Padded,
            false => EncryptionVersion::Plain,
        },
        verify_incoming: !has(3),
        verify_outgoing: true,
        skip_inbound_label_check: has(4),
        compression: !has(5),
    }
}

fn keyring(keys: usize) -> Keyring {
    let mut ring = Keyring::default();
    for key in KEYS.iter().take(keys) {
        ring.add(key).expect("keys of 16, 24 and 32 bytes are keys");
    }
    ring
}

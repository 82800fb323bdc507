//! HELLO, the first packet of the extended protocol: any bytes are read or refused, what was read
//! is written and read again, and what a later version may add changes nothing.
//!
//! The first byte chooses where the bytes are cut and which key is added; the rest is a message
//! from its length on, as it arrives behind its kind.

use codec::{Hello, MAX_FEATURES, MAX_TEXT};

/// The transport's own file: the rest of its crate, with BoringSSL, would take minutes to build
/// for a fuzzer.
#[expect(clippy::redundant_pub_crate, reason = "it is a module of another crate")]
#[path = "../../../crates/quic-net/src/hello.rs"]
mod codec;

/// What that file imports.
mod connection_id {
    pub(super) type ResetToken = [u8; 16];
}

/// What that file imports.
mod first_byte {
    pub(super) const EXTENSION_BYTE: u8 = 0xF6;
    pub(super) const HELLO_KIND: u8 = 0;
}

/// Bytes in front of the length.
const KIND: usize = 2;

/// Checks one input. Returns whether a message was read.
///
/// # Panics
/// On a finding.
pub fn check(input: &[u8]) -> bool {
    let Some((choice, message)) = input.split_first() else { return false };
    let Some(hello) = Hello::decode(message) else { return false };
    assert!(hello.name.len() <= MAX_TEXT && hello.label.len() <= MAX_TEXT);
    assert!(hello.features.len() <= MAX_FEATURES);

    let written = hello.encode();
    let written = &written[KIND..];
    assert_eq!(Hello::decode(written).as_ref(), Some(&hello), "what we read, we write");
    let part = &written[..usize::from(*choice) * 3 % written.len()];
    assert_eq!(Hello::decode(part), None, "a part of a message");

    // A later version adds a key, and bytes behind the message.
    let later = with_key(written, *choice);
    assert_eq!(Hello::decode(&later), Some(hello), "a key that is not known");
    true
}

/// The message with one key more, whose value is the key's length as a number, and bytes behind it.
fn with_key(message: &[u8], length: u8) -> Vec<u8> {
    let map = &message[2..];
    let entries = map[0] & 0x0F;
    let key = vec![b'z'; usize::from(length % 32)];
    let mut later = vec![0x80 | (entries + 1)];
    later.extend_from_slice(&map[1..]);
    later.push(0xA0 | (length % 32));
    later.extend_from_slice(&key);
    later.push(length % 0x80);
    let announced = u16::try_from(later.len()).expect("ours has at most 610 bytes");
    [&announced.to_be_bytes()[..], &later, &key].concat()
}

//! HELLO, the first packet on every connection of the extended protocol.
//!
//! Its bytes are `f6 00 | length u16 BE | msgpack map {Label, Name, ResetToken}`. Decoding is
//! total: unknown keys are skipped, anything malformed is `None`.

use crate::connection_id::ResetToken;
use crate::first_byte::{EXTENSION_BYTE, HELLO_KIND};

/// What a peer says of itself: name and label, each at most 65,535 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) name: Vec<u8>,
    pub(crate) label: Vec<u8>,
    /// Ends the connection id under which the receiver addresses the sender.
    pub(crate) reset_token: Option<ResetToken>,
}

impl Hello {
    /// The whole message. Name and label are at most 255 bytes, which the configuration checks.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut map = vec![0x83];
        for (key, value) in [
            (&b"Label"[..], &self.label[..]),
            (b"Name", &self.name),
            (b"ResetToken", self.reset_token.as_ref().map_or(&[], |token| &token[..])),
        ] {
            map.push(FIXSTR | byte(key.len()));
            map.extend_from_slice(key);
            map.extend_from_slice(&[BIN8, byte(value.len())]);
            map.extend_from_slice(&value[..usize::from(byte(value.len()))]);
        }
        let length = u16::try_from(map.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[EXTENSION_BYTE, HELLO_KIND][..], &length, &map].concat()
    }

    /// Reads a message, starting after its kind byte. Bytes after the announced length are
    /// left for later versions.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let map = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
        let (head, mut rest) = map.split_first()?;
        if head & 0xF0 != FIXMAP {
            return None;
        }
        let mut hello = Self { name: Vec::new(), label: Vec::new(), reset_token: None };
        for _ in 0..head & 0x0F {
            let (key, after) = text(rest)?;
            let (value, after) = text(after)?;
            rest = after;
            match key {
                b"Name" => hello.name = value.to_vec(),
                b"Label" => hello.label = value.to_vec(),
                b"ResetToken" => hello.reset_token = value.try_into().ok(),
                _ => {}
            }
        }
        Some(hello)
    }
}

/// A string or binary of at most 65,535 bytes, and what follows it.
fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&head, rest) = bytes.split_first()?;
    match head {
        0xA0..=0xBF => rest.split_at_checked(usize::from(head & 0x1F)),
        BIN8 | STR8 => {
            let (&length, rest) = rest.split_first()?;
            rest.split_at_checked(usize::from(length))
        }
        BIN16 | STR16 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        }
        _ => None,
    }
}

fn byte(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

const FIXMAP: u8 = 0x80;
const FIXSTR: u8 = 0xA0;
const BIN8: u8 = 0xC4;
const BIN16: u8 = 0xC5;
const STR8: u8 = 0xD9;
const STR16: u8 = 0xDA;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hello_survives_the_wire_and_no_prefix_of_it_does() {
        let hello =
            Hello { name: b"ada".to_vec(), label: vec![0xFF; 255], reset_token: Some([9; 16]) };
        let bytes = hello.encode();
        assert_eq!(bytes[..2], [EXTENSION_BYTE, HELLO_KIND]);
        assert_eq!(Hello::decode(&bytes[2..]), Some(hello));
        for length in 2..bytes.len() {
            assert_eq!(Hello::decode(&bytes[2..length]), None, "{length}");
        }
    }

    #[test]
    fn unknown_keys_are_skipped_and_unknown_types_refused() {
        let later = [&[0u8, 14, 0x82][..], b"\xA3New\xA1x\xA4Name\xA1b"].concat();
        assert_eq!(Hello::decode(&later).map(|hello| hello.name), Some(b"b".to_vec()));
        let nested = [&[0u8, 6, 0x81][..], b"\xA3New\x80"].concat();
        assert_eq!(Hello::decode(&nested), None);
    }
}

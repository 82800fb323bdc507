//! HELLO, the first packet on every connection of the extended protocol.
//!
//! Its bytes are `f6 00 | length u16 BE | msgpack map {Label, Name, ResetToken, Features}`, every
//! value a string or binary: the first versions of this crate close the connection on anything
//! else. Decoding is total: unknown keys are skipped, anything malformed is `None`.

use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

use super::connection_id::ResetToken;
use super::first_byte::{EXTENSION_BYTE, HELLO_KIND};

/// What a peer says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// At most [`MAX_TEXT`] bytes, as the label.
    pub(crate) name: Vec<u8>,
    pub(crate) label: Vec<u8>,
    /// Ends the connection id under which the receiver addresses the sender.
    pub(crate) reset_token: Option<ResetToken>,
    /// What the layer above speaks, at most [`MAX_FEATURES`] bytes; empty from peers that do not
    /// say.
    pub(crate) features: Vec<u8>,
}

/// The map as it is written.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SentFields<'a> {
    label: &'a Bytes,
    name: &'a Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    reset_token: Option<&'a Bytes>,
    features: &'a Bytes,
}

/// The map as it is read: every key may be missing.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct ReadFields {
    label: ByteBuf,
    name: ByteBuf,
    reset_token: ByteBuf,
    features: ByteBuf,
}

impl Hello {
    /// The whole message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let fields = SentFields {
            label: Bytes::new(&self.label),
            name: Bytes::new(&self.name),
            reset_token: self.reset_token.as_ref().map(|token| Bytes::new(&token[..])),
            features: Bytes::new(&self.features),
        };
        let map = rmp_serde::to_vec_named(&fields).unwrap_or_default();
        debug_assert!((1..=MAX_LENGTH).contains(&map.len()), "the configuration bounds its parts");
        let length = u16::try_from(map.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[EXTENSION_BYTE, HELLO_KIND][..], &length, &map].concat()
    }

    /// Reads a message, starting after its kind byte. Bytes after the announced length are
    /// left for later versions.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let map = rest.get(..length).filter(|map| map.len() <= MAX_LENGTH)?;
        // serde would read the fields out of an array as well.
        if !matches!(map.first()?, 0x80..=0x8F | 0xDE | 0xDF) {
            return None;
        }
        let mut reader = rmp_serde::Deserializer::new(map);
        reader.set_max_depth(MAX_DEPTH);
        let fields = ReadFields::deserialize(&mut reader).ok()?;
        let is_valid = reader.into_inner().is_empty()
            && fields.name.len() <= MAX_TEXT
            && fields.label.len() <= MAX_TEXT
            && fields.features.len() <= MAX_FEATURES;
        is_valid.then(|| Self {
            name: fields.name.into_vec(),
            label: fields.label.into_vec(),
            reset_token: fields.reset_token[..].try_into().ok(),
            features: fields.features.into_vec(),
        })
    }
}

/// Longest name or label in bytes.
pub(crate) const MAX_TEXT: usize = 255;
/// Longest features in bytes: 256 bits.
pub(crate) const MAX_FEATURES: usize = 32;
/// Longest map in bytes. Ours has at most 610; the rest is for the keys of later versions.
const MAX_LENGTH: usize = 4096;
/// How deep values of unknown keys may be nested, the map itself included.
const MAX_DEPTH: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            name: b"ada".to_vec(),
            label: vec![0xFF; 255],
            reset_token: Some([9; 16]),
            features: vec![0b1000],
        }
    }

    /// A message with this map.
    fn message(map: &[u8]) -> Vec<u8> {
        [&u16::try_from(map.len()).unwrap().to_be_bytes()[..], map].concat()
    }

    #[test]
    fn hello_survives_the_wire_and_no_prefix_of_it_does() {
        let hello = hello();
        let bytes = hello.encode();
        assert_eq!(bytes[..2], [EXTENSION_BYTE, HELLO_KIND]);
        assert_eq!(Hello::decode(&bytes[2..]), Some(hello));
        for length in 2..bytes.len() {
            assert_eq!(Hello::decode(&bytes[2..length]), None, "{length}");
        }
    }

    #[test]
    fn unknown_keys_are_skipped_whatever_their_value() {
        let values: [&[u8]; 10] = [
            b"\xA1x",
            b"\xC0",
            b"\xC3",
            b"\xCB\x40\x09\x21\xFB\x54\x44\x2D\x18",
            b"\xD3\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            b"\xC4\x02ab",
            b"\x92\x01\x91\xC0",
            b"\x81\xA1k\x81\x07\x90",
            b"\xD4\x05\x00",
            b"\xC7\x03\x05abc",
        ];
        for value in values {
            let map = [&b"\x82\xA3New"[..], value, b"\xA4Name\xA1b"].concat();
            let decoded = Hello::decode(&message(&map));
            assert_eq!(decoded.map(|hello| hello.name), Some(b"b".to_vec()), "{value:x?}");
        }
    }

    #[test]
    fn what_is_too_long_too_deep_or_not_all_is_refused() {
        let nested = |depth: usize| {
            let mut map = b"\x81\xA3New".to_vec();
            map.extend(vec![0x91; depth - 1]);
            map.push(0xC0);
            message(&map)
        };
        assert!(Hello::decode(&nested(MAX_DEPTH - 1)).is_some());
        assert_eq!(Hello::decode(&nested(MAX_DEPTH + 1)), None);
        assert_eq!(Hello::decode(&message(b"\x81\xA4Name\xA1bx")), None, "trailing byte");
        assert_eq!(Hello::decode(&message(b"\x94\xA1l\xA1n\xA1t\xA1f")), None, "an array");
        assert_eq!(Hello::decode(&message(b"\x81\xA4Name\x07")), None, "a number as name");
        let long = |key: &[u8], length: usize| {
            let length_bytes = u16::try_from(length).unwrap().to_be_bytes();
            let map = [&[0x81][..], key, b"\xC5", &length_bytes, &vec![1; length]].concat();
            Hello::decode(&message(&map))
        };
        assert!(long(b"\xA8Features", MAX_FEATURES).is_some());
        assert_eq!(long(b"\xA8Features", MAX_FEATURES + 1), None);
        assert!(long(b"\xA4Name", MAX_TEXT).is_some());
        assert_eq!(long(b"\xA4Name", MAX_TEXT + 1), None);
        assert!(long(b"\xA3New", MAX_LENGTH - 8).is_some());
        assert_eq!(long(b"\xA3New", MAX_LENGTH), None);
    }

    /// What the first versions of this crate send.
    const FIRST_HELLO: &[u8] = b"\xF6\x00\x00\x34\x83\xA5Label\xC4\x04prod\xA4Name\xC4\x03ada\
        \xAAResetToken\xC4\x10\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0A\x0B\x0C\x0D\x0E\x0F";

    #[test]
    fn the_hello_of_the_first_versions_is_understood() {
        let decoded = Hello::decode(&FIRST_HELLO[2..]).unwrap();
        assert_eq!((&decoded.name[..], &decoded.label[..]), (&b"ada"[..], &b"prod"[..]));
        assert_eq!(decoded.reset_token.map(|token| token[15]), Some(15));
        assert_eq!(decoded.features, b"");
    }

    #[test]
    fn the_first_versions_understand_our_hello() {
        assert_eq!(read_as_the_first_versions_do(&FIRST_HELLO[2..]).map(|found| found.0), Some(3));
        for reset_token in [None, Some([7; 16])] {
            for features in [vec![], vec![0xFF; MAX_FEATURES]] {
                let hello = Hello { reset_token, features, ..hello() };
                let (_, name, label, token) =
                    read_as_the_first_versions_do(&hello.encode()[2..]).unwrap();
                assert_eq!((name, label), (hello.name, hello.label));
                assert_eq!(token.try_into().ok(), reset_token);
            }
        }
    }

    /// The keys counted, the name, the label and the reset token.
    type FirstHello = (u8, Vec<u8>, Vec<u8>, Vec<u8>);

    /// What the first versions read, by their rules: a short map whose keys and values are strings
    /// or binaries.
    fn read_as_the_first_versions_do(bytes: &[u8]) -> Option<FirstHello> {
        fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
            let (&head, rest) = bytes.split_first()?;
            match head {
                0xA0..=0xBF => rest.split_at_checked(usize::from(head & 0x1F)),
                0xC4 | 0xD9 => {
                    let (&length, rest) = rest.split_first()?;
                    rest.split_at_checked(usize::from(length))
                }
                0xC5 | 0xDA => {
                    let (length, rest) = rest.split_first_chunk::<2>()?;
                    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
                }
                _ => None,
            }
        }
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let map = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
        let (head, mut rest) = map.split_first()?;
        if head & 0xF0 != 0x80 {
            return None;
        }
        let mut found = (head & 0x0F, Vec::new(), Vec::new(), Vec::new());
        for _ in 0..found.0 {
            let (key, after) = text(rest)?;
            let (value, after) = text(after)?;
            rest = after;
            match key {
                b"Name" => found.1 = value.to_vec(),
                b"Label" => found.2 = value.to_vec(),
                b"ResetToken" => found.3 = value.to_vec(),
                _ => {}
            }
        }
        Some(found)
    }
}

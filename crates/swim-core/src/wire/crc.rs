//! The checksum header of packets: `0c | crc32 u32 | rest`.
//!
//! The checksum is CRC-32/ISO-HDLC (zlib's) over the rest. It may only be outermost, after
//! decryption. Receivers always check it. Go sends it to members whose highest protocol version
//! is at least 5.

use super::message_type::MessageType;

/// Length of the header in bytes.
pub const HEADER_LENGTH: usize = 5;

/// What a checksum header says, and whether it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checksum<'a> {
    /// The bytes behind the header.
    pub rest: &'a [u8],
    /// The checksum in the header.
    pub announced: u32,
    /// The checksum of the rest.
    pub computed: u32,
}

impl Checksum<'_> {
    /// Whether the rest arrived as it was sent.
    pub fn is_ok(&self) -> bool {
        self.announced == self.computed
    }
}

/// Reads the header; `None` if there is none (a lone type byte below 5 bytes is none, as in Go).
pub fn split_header(bytes: &[u8]) -> Option<Checksum<'_>> {
    let (&announced, rest) =
        bytes.strip_prefix(&[MessageType::HasCrc.to_byte()])?.split_first_chunk()?;
    Some(Checksum {
        rest,
        announced: u32::from_be_bytes(announced),
        computed: crc32fast::hash(rest),
    })
}

/// The header to be put before `rest`.
pub fn header(rest: &[u8]) -> [u8; HEADER_LENGTH] {
    let [a, b, c, d] = crc32fast::hash(rest).to_be_bytes();
    [MessageType::HasCrc.to_byte(), a, b, c, d]
}

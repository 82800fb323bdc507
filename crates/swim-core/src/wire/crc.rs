//! The checksum header of packets: `0c | crc32 u32 | rest`.
//!
//! The checksum is CRC-32/ISO-HDLC (zlib's) over the rest. It may only stand outermost, after
//! decryption. Whoever receives it checks it; whether to send it is the caller's decision.

use super::MessageType;

/// Length of the header in bytes.
pub const HEADER_LENGTH: usize = 5;

/// What a checksum header says, and whether it is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked<'a> {
    /// The bytes behind the header.
    pub rest: &'a [u8],
    /// The checksum in the header.
    pub announced: u32,
    /// The checksum of the rest.
    pub computed: u32,
}

impl Checked<'_> {
    /// Whether the rest arrived as it was sent.
    pub fn is_ok(&self) -> bool {
        self.announced == self.computed
    }
}

/// Reads the header; `None` if there is none (a lone type byte below 5 bytes is none, as in Go).
pub fn split_header(bytes: &[u8]) -> Option<Checked<'_>> {
    let (&announced, rest) =
        bytes.strip_prefix(&[MessageType::HasCrc.to_byte()])?.split_first_chunk()?;
    Some(Checked {
        rest,
        announced: u32::from_be_bytes(announced),
        computed: crc32fast::hash(rest),
    })
}

/// `rest` with a header before it.
pub fn with_header(rest: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LENGTH + rest.len());
    out.push(MessageType::HasCrc.to_byte());
    out.extend(crc32fast::hash(rest).to_be_bytes());
    out.extend_from_slice(rest);
    out
}

//! What the first byte of a packet or of a bidirectional stream says about the rest.
//!
//! The classic protocol uses neither `0xF5` nor `0xF6`. The extended one gives them a meaning, so
//! that application protocols and later extensions share a connection with the layer above.

use crate::event::Protocol;

/// First byte of the packets and streams of an application protocol.
pub const APPLICATION_BYTE: u8 = 0xF5;
/// First byte of an extension; its kind follows.
pub(crate) const EXTENSION_BYTE: u8 = 0xF6;
/// The kind of the extension HELLO.
pub(crate) const HELLO_KIND: u8 = 0;

/// Whom a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PacketKind {
    /// The layer above, which knows the message types.
    Plain,
    /// An application protocol.
    Application,
    /// The handshake.
    Hello,
    /// A later version of this crate.
    UnknownExtension,
    /// Nobody: the classic protocol does not have this first byte.
    Reserved,
}

/// Whether a packet or a stream with this first byte needs a peer that speaks the extended
/// protocol.
pub(crate) fn needs_extended(first: Option<&u8>) -> bool {
    matches!(first, Some(&(APPLICATION_BYTE | EXTENSION_BYTE)))
}

/// Whom a packet that arrived is for.
pub(crate) fn classify(bytes: &[u8], protocol: Protocol) -> PacketKind {
    match (bytes, protocol) {
        ([APPLICATION_BYTE | EXTENSION_BYTE, ..], Protocol::Classic) => PacketKind::Reserved,
        ([EXTENSION_BYTE, HELLO_KIND, ..], Protocol::Extended) => PacketKind::Hello,
        ([EXTENSION_BYTE, ..], Protocol::Extended) => PacketKind::UnknownExtension,
        ([APPLICATION_BYTE, ..], Protocol::Extended) => PacketKind::Application,
        (_, Protocol::Classic | Protocol::Extended) => PacketKind::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_first_bytes_mean_something_on_the_extended_protocol_only() {
        let kinds = [
            (&b"\xF5app"[..], PacketKind::Application),
            (b"\xF6\x00hello", PacketKind::Hello),
            (b"\xF6\x01later", PacketKind::UnknownExtension),
            (b"\xF6", PacketKind::UnknownExtension),
        ];
        for (bytes, kind) in kinds {
            assert_eq!(classify(bytes, Protocol::Extended), kind);
            assert_eq!(classify(bytes, Protocol::Classic), PacketKind::Reserved);
            assert!(needs_extended(bytes.first()));
        }
        for bytes in [&b""[..], b"\x00ping"] {
            for protocol in [Protocol::Extended, Protocol::Classic] {
                assert_eq!(classify(bytes, protocol), PacketKind::Plain);
            }
            assert!(!needs_extended(bytes.first()));
        }
    }
}

//! What goes around messages: the settings that both directions share, and the sender's work.
//!
//! Order of sending: compression, checksum, encryption, label.

use crate::wire::label::Label;
use crate::wire::seal::{EncryptionVersion, Keyring, NONCE_LENGTH};
use crate::wire::{compress, crc};

/// What is put around messages, and demanded around those that come in.
#[derive(Clone, Debug)]
pub struct Layers {
    /// The cluster's label; empty means none.
    pub label: Label,
    /// The cluster's keys; empty means no encryption.
    pub keyring: Keyring,
    /// How to fill envelopes.
    pub encryption_version: EncryptionVersion,
    /// Whether to refuse what is not encrypted, given keys (default: yes).
    pub verify_incoming: bool,
    /// Whether to encrypt, given keys (default: yes).
    pub verify_outgoing: bool,
    /// Whether something before us checks labels and takes them off (default: no).
    pub skip_inbound_label_check: bool,
    /// Whether to compress (default: yes). What comes in compressed is always taken.
    pub compression: bool,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            label: Label::default(),
            keyring: Keyring::default(),
            encryption_version: EncryptionVersion::default(),
            verify_incoming: true,
            verify_outgoing: true,
            skip_inbound_label_check: false,
            compression: true,
        }
    }
}

impl Layers {
    /// Bytes that label and encryption add to a packet at most: what the budget for messages must
    /// leave free. The checksum and the compound's head are not in it.
    pub fn packet_overhead(&self) -> usize {
        let encryption = if self.encrypts() { self.encryption_version.overhead() } else { 0 };
        self.label.header_length() + encryption
    }

    /// Whether what goes out is encrypted.
    pub fn encrypts(&self) -> bool {
        self.verify_outgoing && !self.keyring.is_empty()
    }
}

/// Puts all layers around one message (or compound) and makes it a packet.
///
/// Compressed only where that is shorter; `checksum` adds the CRC header, which Go does towards
/// members whose protocol maximum is at least 5. The nonce is only used where there are keys.
pub fn seal_packet(
    message: &[u8],
    layers: &Layers,
    checksum: bool,
    nonce: [u8; NONCE_LENGTH],
) -> Vec<u8> {
    let shorter = layers.compression.then(|| compress::compress_shorter(message)).flatten();
    let message = shorter.as_deref().unwrap_or(message);
    let checked = checksum.then(|| crc::with_header(message));
    let message = checked.as_deref().unwrap_or(message);

    let mut out = Vec::with_capacity(layers.packet_overhead() + message.len());
    layers.label.put_header(&mut out);
    if layers.encrypts() {
        let label = layers.label.as_bytes();
        layers.keyring.seal(layers.encryption_version, nonce, label, message, &mut out);
    } else {
        out.extend_from_slice(message);
    }
    out
}

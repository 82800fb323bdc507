//! What a cluster configures of its wire format.

use super::encryption::EncryptionVersion;
use super::keyring::Keyring;
use super::label::Label;

/// The layers that are added to outgoing bytes and demanded of incoming ones. The same for all
/// members of a cluster, but for the time in which it changes over.
#[derive(Clone, Debug)]
pub struct WireSettings {
    /// The cluster's label; empty means none.
    pub label: Label,
    /// The cluster's keys; empty means no encryption.
    pub keyring: Keyring,
    /// Which encryption version is written. Both are read.
    pub encryption_version: EncryptionVersion,
    /// Whether to refuse what is not encrypted, given keys (default: yes).
    pub verify_incoming: bool,
    /// Whether to encrypt, given keys (default: yes).
    pub verify_outgoing: bool,
    /// Whether a proxy in front of this member checks labels and removes them (default: no).
    pub skip_inbound_label_check: bool,
    /// Whether to compress (default: yes). Compressed messages are read whatever it says.
    pub compression: bool,
}

impl Default for WireSettings {
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

impl WireSettings {
    /// Most bytes that label and encryption add to a packet: what a budget for messages must leave
    /// free. The checksum ([`crc::HEADER_LENGTH`](super::crc::HEADER_LENGTH)) and the header of a
    /// compound ([`compound::header_length`](super::compound::header_length)) come on top.
    pub fn packet_overhead(&self) -> usize {
        let encryption = if self.encrypts() { self.encryption_version.overhead() } else { 0 };
        self.label.header_length() + encryption
    }

    /// Whether outgoing bytes are encrypted.
    pub fn encrypts(&self) -> bool {
        self.verify_outgoing && !self.keyring.is_empty()
    }
}

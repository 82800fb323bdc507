//! The layers around messages, with the nonces they need.
//!
//! Packet decoding borrows from the packet, so the decoder is lent out while a packet is handled.

use crate::config::{Config, ConfigError};
use crate::seed::{Nonces, Seed};
use crate::wire::{
    EncryptionVersion, Keyring, Label, PacketDecoder, Side, WireSettings, crc, encode_packet,
    encode_stream,
};
use crate::wire::{StreamDecodeError, StreamDecoder, StreamMessage, StreamTooLong};

/// What a checksum adds to a packet.
pub(super) const CRC_LENGTH: usize = crc::HEADER_LENGTH;

/// Seals what goes out; holds what opens what comes in.
pub(super) struct Codec {
    pub(super) layers: WireSettings,
    nonces: Nonces,
    decoder: PacketDecoder,
}

impl Codec {
    pub(super) fn new(config: &Config, seed: Seed) -> Result<Self, ConfigError> {
        let mut keyring = Keyring::default();
        for key in &config.keys {
            // A `SecretKey` has a valid length: what is left to refuse is one key too many.
            keyring.add(key.as_bytes()).map_err(|_| ConfigError {
                field: "keys",
                value: format!("{} keys", config.keys.len()),
                remedy: "use at most 64 keys",
            })?;
        }
        let label = Label::new(config.label.clone()).map_err(|_| ConfigError {
            field: "label",
            value: format!("{} bytes", config.label.len()),
            remedy: "shorten it to at most 255 bytes",
        })?;
        let layers = WireSettings {
            label,
            keyring,
            encryption_version: if config.versions.protocol_current == 1 {
                EncryptionVersion::Padded
            } else {
                EncryptionVersion::Plain
            },
            verify_incoming: config.verify_incoming,
            verify_outgoing: config.verify_outgoing,
            skip_inbound_label_check: config.skip_inbound_label_check,
            compression: config.compression,
        };
        Ok(Self { layers, nonces: Nonces::new(seed), decoder: PacketDecoder::default() })
    }

    pub(super) fn packet_overhead(&self) -> usize {
        self.layers.packet_overhead()
    }

    pub(super) fn seal_packet(&mut self, plain: &[u8], checksum: bool) -> Vec<u8> {
        let nonce = self.nonce();
        encode_packet(plain, &self.layers, checksum, nonce)
    }

    pub(super) fn seal_stream(
        &mut self,
        plain: &[u8],
        side: Side,
    ) -> Result<Vec<u8>, StreamTooLong> {
        let nonce = self.nonce();
        encode_stream(plain, &self.layers, side, nonce)
    }

    /// Hands bytes to the decoder of one stream.
    pub(super) fn push<'a>(
        &mut self,
        stream: &'a mut StreamDecoder,
        bytes: &[u8],
        fin: bool,
    ) -> Result<Option<StreamMessage<'a>>, StreamDecodeError> {
        stream.push_with(bytes, fin, &self.layers, &mut self.decoder)
    }

    pub(super) fn lend_decoder(&mut self) -> PacketDecoder {
        std::mem::take(&mut self.decoder)
    }

    pub(super) fn take_back(&mut self, decoder: PacketDecoder) {
        self.decoder = decoder;
    }

    fn nonce(&mut self) -> [u8; 12] {
        if self.layers.encrypts() { self.nonces.next() } else { [0; 12] }
    }
}

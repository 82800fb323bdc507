//! The layers around outgoing packets and streams, with the nonces they need.

use crate::config::Config;
use crate::config_error::ConfigError;
use crate::rng::{Nonces, RngSeed};
use crate::wire::{
    DecryptError, EncryptionVersion, Keyring, Label, PacketBuilder, PayloadPlace, Side,
    StreamTooLong, WireSettings, encode_stream, open_payload, seal_payload,
};

/// Encodes what goes out. Its settings are also those by which incoming bytes are decoded.
pub(crate) struct Encoder {
    settings: WireSettings,
    epoch: u64,
    nonces: Nonces,
}

impl Encoder {
    /// # Errors
    /// When a label or the keys of the configuration cannot be used.
    pub(crate) fn new(config: &Config, seed: RngSeed) -> Result<Self, ConfigError> {
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
        let settings = WireSettings {
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
        let mut nonces = Nonces::new(seed);
        Ok(Self { settings, epoch: nonces.epoch(), nonces })
    }

    pub(crate) fn settings(&self) -> &WireSettings {
        &self.settings
    }

    /// Names this process in reliable messages: chosen at random at the start, never 0.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// For keys that come and go.
    pub(crate) fn keyring_mut(&mut self) -> &mut Keyring {
        &mut self.settings.keyring
    }

    /// Most bytes that label and encryption add to a packet.
    pub(crate) fn packet_overhead(&self) -> usize {
        self.settings.packet_overhead()
    }

    pub(crate) fn finish_packet(&mut self, packet: PacketBuilder) -> Vec<u8> {
        let nonce = self.nonce();
        packet.finish(&self.settings, nonce)
    }

    /// # Errors
    /// When peers would refuse the message for its length.
    pub(crate) fn encode_stream(
        &mut self,
        message: &[u8],
        side: Side,
    ) -> Result<Vec<u8>, StreamTooLong> {
        let nonce = self.nonce();
        encode_stream(message, &self.settings, side, nonce)
    }

    /// The payload of a reliable message as it travels, and whether it is sealed.
    pub(crate) fn seal(&mut self, payload: &[u8], place: PayloadPlace) -> (Vec<u8>, bool) {
        let nonce = self.nonce();
        seal_payload(payload, place, &self.settings, nonce)
    }

    /// The payload of a reliable message as its sender's application wrote it.
    ///
    /// # Errors
    /// When no key opens it, or when it is not sealed although our settings demand it.
    pub(crate) fn open(
        &self,
        payload: Vec<u8>,
        sealed: bool,
        place: PayloadPlace,
    ) -> Result<Vec<u8>, DecryptError> {
        open_payload(payload, sealed, place, &self.settings)
    }

    /// Without encryption no nonce is used, and none is drawn.
    fn nonce(&mut self) -> [u8; 12] {
        if self.settings.encrypts() { self.nonces.next() } else { [0; 12] }
    }
}

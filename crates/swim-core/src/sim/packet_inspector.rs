//! Decodes packets on their way, with the settings that all members share.

use crate::config::Config;
use crate::wire::{Keyring, Label, Packet, PacketDecodeError, PacketDecoder, WireSettings};

/// A decoder and the cluster's label and keys.
pub(crate) struct PacketInspector {
    settings: WireSettings,
    decoder: PacketDecoder,
}

impl PacketInspector {
    pub(crate) fn new(config: &Config) -> Self {
        Self { settings: wire_settings(config), decoder: PacketDecoder::default() }
    }

    pub(crate) fn settings(&self) -> &WireSettings {
        &self.settings
    }

    pub(crate) fn decode<'a>(
        &'a mut self,
        bytes: &'a [u8],
    ) -> Result<Packet<'a>, PacketDecodeError> {
        self.decoder.decode(bytes, &self.settings)
    }
}

/// What the members of a configuration put around their messages.
pub(crate) fn wire_settings(config: &Config) -> WireSettings {
    let mut keyring = Keyring::default();
    for key in &config.keys {
        let added = keyring.add(key.as_bytes());
        debug_assert!(added.is_ok(), "members refuse a configuration with such a key");
    }
    WireSettings {
        label: Label::new(config.label.clone()).unwrap_or_default(),
        keyring,
        verify_incoming: config.verify_incoming,
        verify_outgoing: config.verify_outgoing,
        ..WireSettings::default()
    }
}

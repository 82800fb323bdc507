//! Seals and opens the payloads of reliable messages, where a cluster has keys.

use super::encryption::{DecryptError, ENCRYPTION_HEADER, NONCE_LENGTH};
use super::reliable_frame::sealed_header;
use super::wire_settings::WireSettings;

/// Which message a payload belongs to: authenticated with it, so that no payload can be put into
/// another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadPlace {
    /// Whether it travels on a stream of its own.
    pub is_large: bool,
    /// The sender's epoch.
    pub epoch: u64,
    /// Its sequence number.
    pub sequence: u64,
}

impl PayloadPlace {
    fn associated(self, settings: &WireSettings) -> Vec<u8> {
        let mut associated = sealed_header(self.is_large, self.epoch, self.sequence);
        associated.extend_from_slice(settings.label.as_bytes());
        associated
    }
}

/// The payload as it travels, and whether it is sealed: as [`WireSettings::encrypts`] says. Under
/// one key, no nonce may be used twice.
pub fn seal_payload(
    payload: &[u8],
    place: PayloadPlace,
    settings: &WireSettings,
    nonce: [u8; NONCE_LENGTH],
) -> (Vec<u8>, bool) {
    if !settings.encrypts() {
        return (payload.to_vec(), false);
    }
    let version = settings.encryption_version;
    let mut sealed = Vec::with_capacity(version.encrypted_length(payload.len()));
    sealed.resize(ENCRYPTION_HEADER, 0);
    sealed.extend_from_slice(payload);
    let associated = place.associated(settings);
    settings.keyring.encrypt_in_place(version, nonce, &associated, &mut sealed, 0);
    (sealed, true)
}

/// The payload as its sender's application wrote it.
///
/// # Errors
/// [`DecryptError::NoKey`] for a payload that no key opens, or that is not sealed although this
/// side demands it; another [`DecryptError`] for one that cannot have been sealed.
pub fn open_payload(
    mut payload: Vec<u8>,
    sealed: bool,
    place: PayloadPlace,
    settings: &WireSettings,
) -> Result<Vec<u8>, DecryptError> {
    if !sealed {
        let demanded = settings.verify_incoming && !settings.keyring.is_empty();
        return if demanded { Err(DecryptError::NoKey) } else { Ok(payload) };
    }
    let plain = settings.keyring.decrypt_in_place(&mut payload, &place.associated(settings))?;
    payload.truncate(plain.end);
    payload.drain(..plain.start);
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Keyring, Label};

    const PLACE: PayloadPlace = PayloadPlace { is_large: false, epoch: 5, sequence: 6 };

    fn settings(key: Option<u8>, label: &str) -> WireSettings {
        let keyring = key.map(|byte| Keyring::with_primary(&[byte; 32]).unwrap());
        let label = Label::new(label.as_bytes().to_vec()).unwrap();
        WireSettings { label, keyring: keyring.unwrap_or_default(), ..WireSettings::default() }
    }

    #[test]
    fn a_sealed_payload_opens_in_its_place_with_its_key_and_label_only() {
        let own = settings(Some(1), "prod");
        let (bytes, sealed) = seal_payload(b"hello", PLACE, &own, [3; 12]);
        assert!(sealed && !bytes.windows(5).any(|window| window == b"hello"));
        assert_eq!(open_payload(bytes.clone(), true, PLACE, &own), Ok(b"hello".to_vec()));
        let elsewhere = [
            PayloadPlace { is_large: true, ..PLACE },
            PayloadPlace { epoch: 6, ..PLACE },
            PayloadPlace { sequence: 7, ..PLACE },
        ];
        for place in elsewhere {
            assert!(open_payload(bytes.clone(), true, place, &own).is_err());
        }
        for other in [settings(Some(2), "prod"), settings(Some(1), "test"), settings(None, "prod")]
        {
            assert!(open_payload(bytes.clone(), true, PLACE, &other).is_err());
        }
    }

    #[test]
    fn plain_payloads_are_refused_where_keys_are_set() {
        let (bytes, sealed) = seal_payload(b"hello", PLACE, &settings(None, ""), [3; 12]);
        assert!(!sealed);
        assert_eq!(open_payload(bytes.clone(), false, PLACE, &settings(None, "")), Ok(bytes));
        let keyed = settings(Some(1), "");
        let refused = open_payload(b"hello".to_vec(), false, PLACE, &keyed);
        assert_eq!(refused, Err(DecryptError::NoKey));
        let lenient = WireSettings { verify_incoming: false, ..keyed };
        assert!(open_payload(b"hello".to_vec(), false, PLACE, &lenient).is_ok());
    }
}

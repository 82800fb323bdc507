//! The keys of a cluster. The first one encrypts, all of them decrypt.
//!
//! Keys change without a pause: add the new key everywhere, use it everywhere, remove the old one.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

use super::encryption::{
    Cipher, DecryptError, EncryptionVersion, NONCE_LENGTH, decrypt_in_place, encrypt_in_place,
};
use super::wire_limits::MAX_KEYS;

/// The keys of a cluster, the primary one first. Empty means no encryption.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: Vec<RingKey>,
}

impl Keyring {
    /// A ring with one key of 16, 24 or 32 bytes (AES-128, AES-192, AES-256).
    ///
    /// # Errors
    /// [`KeyError::Length`].
    pub fn with_primary(key: &[u8]) -> Result<Self, KeyError> {
        Ok(Self { keys: vec![RingKey::new(key)?] })
    }

    /// Adds a key that only decrypts, unless the ring was empty. A known key stays where it is.
    ///
    /// # Errors
    /// [`KeyError::Length`], or [`KeyError::Full`] at 64 keys.
    pub fn add(&mut self, key: &[u8]) -> Result<(), KeyError> {
        let new = RingKey::new(key)?;
        if self.position(key).is_some() {
            return Ok(());
        }
        if self.keys.len() == MAX_KEYS {
            return Err(KeyError::Full);
        }
        self.keys.push(new);
        Ok(())
    }

    /// Makes a key of the ring the primary one, which encrypts.
    ///
    /// # Errors
    /// [`KeyError::Unknown`].
    pub fn use_key(&mut self, key: &[u8]) -> Result<(), KeyError> {
        let position = self.position(key).ok_or(KeyError::Unknown)?;
        let primary = self.keys.remove(position);
        self.keys.insert(0, primary);
        Ok(())
    }

    /// Removes a key; removing one that the ring does not hold succeeds.
    ///
    /// # Errors
    /// [`KeyError::Primary`]: the primary key cannot be removed.
    pub fn remove(&mut self, key: &[u8]) -> Result<(), KeyError> {
        match self.position(key) {
            Some(0) => Err(KeyError::Primary),
            Some(position) => {
                self.keys.remove(position);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys' bytes, the primary one first.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.keys.iter().map(|key| key.bytes.as_slice())
    }

    /// Encrypts the end of `buffer` where it is, with the primary key.
    ///
    /// From `start` on the buffer holds 13 bytes of room (version and nonce) and then the plain
    /// bytes. `associated` is authenticated but not written. Under one key, no nonce may be used
    /// twice. The ring must not be empty: without a key the bytes from `start` on are removed.
    pub fn encrypt_in_place(
        &self,
        version: EncryptionVersion,
        nonce: [u8; NONCE_LENGTH],
        associated: &[u8],
        buffer: &mut Vec<u8>,
        start: usize,
    ) {
        let Some(primary) = self.keys.first() else {
            debug_assert!(false, "encryption without a key");
            buffer.truncate(start);
            return;
        };
        encrypt_in_place(&primary.cipher, version, nonce, associated, buffer, start);
    }

    /// Decrypts an encrypted message where it is and returns where in it the plain bytes are. What
    /// no key decrypts is left as it was.
    ///
    /// # Errors
    /// Too short, a version above 1, bad padding, or no key of the ring decrypts it.
    pub fn decrypt_in_place(
        &self,
        encrypted: &mut [u8],
        associated: &[u8],
    ) -> Result<Range<usize>, DecryptError> {
        decrypt_in_place(self.keys.iter().map(|key| &key.cipher), associated, encrypted)
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        self.keys.iter().position(|known| known.bytes == key)
    }
}

#[derive(Clone)]
struct RingKey {
    bytes: Vec<u8>,
    cipher: Cipher,
}

impl RingKey {
    fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        let cipher = Cipher::new(bytes).ok_or(KeyError::Length { length: bytes.len() })?;
        Ok(Self { bytes: bytes.to_vec(), cipher })
    }
}

// Keys must not reach logs.
impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.bytes.len())
    }
}

/// Why a keyring refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// Not the length of an AES key.
    #[error("key of {length} bytes; give one of 16, 24 or 32 bytes")]
    Length {
        /// The key's length in bytes.
        length: usize,
    },
    /// The ring holds [`MAX_KEYS`].
    #[error("ring of {MAX_KEYS} keys is full; remove old keys first")]
    Full,
    /// The ring does not hold the key.
    #[error("key is not in the ring; add it first")]
    Unknown,
    /// The key is the one that encrypts.
    #[error("key is in use; switch to another key first")]
    Primary,
}

#[cfg(test)]
mod tests;

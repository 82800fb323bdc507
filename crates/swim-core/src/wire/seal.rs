//! Encryption: AES-GCM envelopes and the ring of keys that open them.
//!
//! `version u8 | nonce 12 | ciphertext | tag 16`. Version 1 encrypts the plain bytes, version 0
//! pads them to 16 first (PKCS#7). The first key of the ring seals, all of them open. Nonces are
//! arguments: under one key, no nonce may ever be used twice.

use std::fmt;
use std::ops::Range;

use aes_gcm::aead::{AeadInOut, KeyInit, Nonce, Tag, consts::U12};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};

/// Length of a nonce in bytes.
pub const NONCE_LENGTH: usize = 12;

/// Most keys in a ring. Go has no limit; a rotation needs two.
pub const MAX_KEYS: usize = 64;

const TAG_LENGTH: usize = 16;
const HEAD_LENGTH: usize = 1 + NONCE_LENGTH;
const BLOCK: usize = 16;

/// How the plain bytes are put into an envelope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionVersion {
    /// Version 0: padded to a multiple of 16, for peers that speak protocol version 1.
    Padded,
    /// Version 1: as they are.
    #[default]
    Plain,
}

impl EncryptionVersion {
    /// The byte on the wire.
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Padded => 0,
            Self::Plain => 1,
        }
    }

    /// Most bytes that an envelope is longer than its content (Go's `encryptOverhead`).
    pub const fn overhead(self) -> usize {
        match self {
            Self::Padded => HEAD_LENGTH + TAG_LENGTH + BLOCK,
            Self::Plain => HEAD_LENGTH + TAG_LENGTH,
        }
    }

    /// Length of the envelope around `plain` bytes.
    pub const fn sealed_length(self, plain: usize) -> usize {
        let padding = match self {
            Self::Padded => BLOCK - plain % BLOCK,
            Self::Plain => 0,
        };
        HEAD_LENGTH + plain + padding + TAG_LENGTH
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Padded),
            1 => Some(Self::Plain),
            _ => None,
        }
    }
}

/// The keys of a cluster, the primary one first. Empty means no encryption.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    keys: Vec<Key>,
}

impl Keyring {
    /// A ring with one key of 16, 24 or 32 bytes (AES-128, AES-192, AES-256).
    ///
    /// # Errors
    /// [`KeyError::Length`].
    pub fn with_primary(key: &[u8]) -> Result<Self, KeyError> {
        Ok(Self { keys: vec![Key::new(key)?] })
    }

    /// Adds a key that opens but does not seal yet, unless the ring was empty. A known key is
    /// left where it is.
    ///
    /// # Errors
    /// [`KeyError::Length`], or [`KeyError::Full`] at 64 keys.
    pub fn add(&mut self, key: &[u8]) -> Result<(), KeyError> {
        let new = Key::new(key)?;
        if self.position(key).is_some() {
            return Ok(());
        }
        if self.keys.len() == MAX_KEYS {
            return Err(KeyError::Full);
        }
        self.keys.push(new);
        Ok(())
    }

    /// Makes a key of the ring the one that seals.
    ///
    /// # Errors
    /// [`KeyError::Unknown`].
    pub fn use_key(&mut self, key: &[u8]) -> Result<(), KeyError> {
        let position = self.position(key).ok_or(KeyError::Unknown)?;
        let primary = self.keys.remove(position);
        self.keys.insert(0, primary);
        Ok(())
    }

    /// Forgets a key; one that the ring does not hold is forgotten already.
    ///
    /// # Errors
    /// [`KeyError::Primary`]: the key that seals cannot be removed.
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

    /// Appends the envelope around `plain`, sealed with the primary key. Without a key nothing is
    /// appended.
    ///
    /// `associated` is authenticated with it but not written.
    pub fn seal(
        &self,
        version: EncryptionVersion,
        nonce: [u8; NONCE_LENGTH],
        associated: &[u8],
        plain: &[u8],
        out: &mut Vec<u8>,
    ) {
        let Some(primary) = self.keys.first() else {
            return;
        };
        out.push(version.to_byte());
        out.extend(nonce);
        let start = out.len();
        out.extend_from_slice(plain);
        if version == EncryptionVersion::Padded {
            let [.., padding] = (BLOCK - plain.len() % BLOCK).to_be_bytes();
            out.resize(out.len() + usize::from(padding), padding);
        }
        let content = out.get_mut(start..).unwrap_or_default();
        let tag = primary.cipher.seal(nonce, associated, content);
        out.extend(tag);
    }

    /// Decrypts an envelope where it lies and says where in it the plain bytes are. What no key
    /// opens is left as it was.
    ///
    /// # Errors
    /// Too short, a version above 1, bad padding, or no key of the ring opens it.
    pub fn open(&self, envelope: &mut [u8], associated: &[u8]) -> Result<Range<usize>, OpenError> {
        let length = envelope.len();
        let Some(&version) = envelope.first() else {
            return Err(OpenError::TooShort { length });
        };
        let version =
            EncryptionVersion::from_byte(version).ok_or(OpenError::Version { found: version })?;
        if length < version.overhead() {
            return Err(OpenError::TooShort { length });
        }
        let Some(([_, nonce @ ..], rest)) = envelope.split_first_chunk_mut::<HEAD_LENGTH>() else {
            return Err(OpenError::TooShort { length });
        };
        let Some((content, tag)) = rest.split_last_chunk_mut::<TAG_LENGTH>() else {
            return Err(OpenError::TooShort { length });
        };
        if !self.keys.iter().any(|key| key.cipher.open(*nonce, associated, content, *tag)) {
            return Err(OpenError::NoKey);
        }
        let padding = match version {
            EncryptionVersion::Plain => 0,
            EncryptionVersion::Padded => match content.last() {
                Some(&padding @ 1..=16) if usize::from(padding) <= content.len() => padding.into(),
                Some(_) | None => return Err(OpenError::Padding),
            },
        };
        Ok(HEAD_LENGTH..HEAD_LENGTH + content.len() - padding)
    }

    fn position(&self, key: &[u8]) -> Option<usize> {
        self.keys.iter().position(|known| known.bytes == key)
    }
}

#[derive(Clone)]
struct Key {
    bytes: Vec<u8>,
    cipher: Cipher,
}

impl Key {
    fn new(bytes: &[u8]) -> Result<Self, KeyError> {
        let wrong_length = |_| KeyError::Length { length: bytes.len() };
        let cipher = match bytes.len() {
            16 => Cipher::Aes128(Box::new(Aes128Gcm::new_from_slice(bytes).map_err(wrong_length)?)),
            24 => Cipher::Aes192(Box::new(Aes192Gcm::new_from_slice(bytes).map_err(wrong_length)?)),
            32 => Cipher::Aes256(Box::new(Aes256Gcm::new_from_slice(bytes).map_err(wrong_length)?)),
            length => return Err(KeyError::Length { length }),
        };
        Ok(Self { bytes: bytes.to_vec(), cipher })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.bytes.len())
    }
}

type Aes192Gcm = AesGcm<Aes192, U12>;

#[derive(Clone)]
enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<Aes192Gcm>),
    Aes256(Box<Aes256Gcm>),
}

impl Cipher {
    fn seal(
        &self,
        nonce: [u8; NONCE_LENGTH],
        associated: &[u8],
        content: &mut [u8],
    ) -> [u8; TAG_LENGTH] {
        let nonce: Nonce<Aes128Gcm> = nonce.into();
        let content = content.into();
        let tag = match self {
            Self::Aes128(cipher) => cipher.encrypt_inout_detached(&nonce, associated, content),
            Self::Aes192(cipher) => cipher.encrypt_inout_detached(&nonce, associated, content),
            Self::Aes256(cipher) => cipher.encrypt_inout_detached(&nonce, associated, content),
        };
        tag.expect("AES-GCM takes up to 64 GiB").into()
    }

    fn open(
        &self,
        nonce: [u8; NONCE_LENGTH],
        associated: &[u8],
        content: &mut [u8],
        tag: [u8; TAG_LENGTH],
    ) -> bool {
        let nonce: Nonce<Aes128Gcm> = nonce.into();
        let tag: Tag<Aes128Gcm> = tag.into();
        let content = content.into();
        match self {
            Self::Aes128(c) => c.decrypt_inout_detached(&nonce, associated, content, &tag),
            Self::Aes192(c) => c.decrypt_inout_detached(&nonce, associated, content, &tag),
            Self::Aes256(c) => c.decrypt_inout_detached(&nonce, associated, content, &tag),
        }
        .is_ok()
    }
}

/// Why a ring of keys refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// Not a length that AES knows.
    Length {
        /// The key's length in bytes.
        length: usize,
    },
    /// The ring holds 64 keys.
    Full,
    /// The ring does not hold the key.
    Unknown,
    /// The key is the one that seals.
    Primary,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { length } => {
                write!(f, "key of {length} bytes; give one of 16, 24 or 32 bytes")
            }
            Self::Full => write!(f, "ring of {MAX_KEYS} keys is full; remove old keys first"),
            Self::Unknown => f.write_str("key is not in the ring; add it first"),
            Self::Primary => f.write_str("key is in use; switch to another key first"),
        }
    }
}

impl std::error::Error for KeyError {}

/// Why an envelope stays shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Shorter than any envelope.
    TooShort {
        /// Its length in bytes.
        length: usize,
    },
    /// An encryption version above 1.
    Version {
        /// The version byte.
        found: u8,
    },
    /// No key opens it: another key, another label, or damage.
    NoKey,
    /// Its padding is impossible.
    Padding,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { length } => {
                write!(f, "{length} bytes are too few to be encrypted; does the peer encrypt?")
            }
            Self::Version { found } => {
                write!(f, "unknown encryption version {found}; does the peer encrypt?")
            }
            Self::NoKey => f.write_str("no key opens it; give both sides a common key and label"),
            Self::Padding => f.write_str("bad padding"),
        }
    }
}

impl std::error::Error for OpenError {}

#[cfg(test)]
mod tests;

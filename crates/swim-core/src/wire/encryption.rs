//! AES-GCM encryption of one message.
//!
//! An encrypted message is `version u8 | nonce 12 | ciphertext | tag 16`. Version 1 encrypts the
//! plain bytes as they are, version 0 pads them to a multiple of 16 first (PKCS#7). The associated
//! data is authenticated but not part of the encrypted message.

use std::ops::Range;

use aes_gcm::aead::{AeadInOut, KeyInit, Nonce, Tag, consts::U12};
use aes_gcm::aes::Aes192;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use thiserror::Error;

/// Length of a nonce in bytes.
pub const NONCE_LENGTH: usize = 12;

/// Version and nonce: what stands before the ciphertext.
pub(super) const ENCRYPTION_HEADER: usize = 1 + NONCE_LENGTH;

const TAG_LENGTH: usize = 16;
const BLOCK: usize = 16;

/// How plain bytes are prepared for encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncryptionVersion {
    /// Version 0: padded to a multiple of 16 bytes, for peers that speak protocol version 1.
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

    /// Most bytes by which an encrypted message is longer than the plain one (Go's
    /// `encryptOverhead`).
    pub const fn overhead(self) -> usize {
        match self {
            Self::Padded => ENCRYPTION_HEADER + TAG_LENGTH + BLOCK,
            Self::Plain => ENCRYPTION_HEADER + TAG_LENGTH,
        }
    }

    /// Length of the encrypted message for `plain` bytes (Go's `encryptedLength`).
    pub const fn encrypted_length(self, plain: usize) -> usize {
        ENCRYPTION_HEADER + plain + self.padding(plain) + TAG_LENGTH
    }

    /// PKCS#7 pads 1 to 16 bytes, so that the last byte always tells how many.
    const fn padding(self, plain: usize) -> usize {
        match self {
            Self::Padded => BLOCK - plain % BLOCK,
            Self::Plain => 0,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Padded),
            1 => Some(Self::Plain),
            _ => None,
        }
    }
}

type Aes192Gcm = AesGcm<Aes192, U12>;

/// AES-GCM with one key. The variants are boxed: an expanded key takes up to a kilobyte.
#[derive(Clone)]
pub(super) enum Cipher {
    Aes128(Box<Aes128Gcm>),
    Aes192(Box<Aes192Gcm>),
    Aes256(Box<Aes256Gcm>),
}

impl Cipher {
    /// `None` for a key of another length than 16, 24 or 32 bytes.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Some(Self::Aes128(Box::new(Aes128Gcm::new_from_slice(key).ok()?))),
            24 => Some(Self::Aes192(Box::new(Aes192Gcm::new_from_slice(key).ok()?))),
            32 => Some(Self::Aes256(Box::new(Aes256Gcm::new_from_slice(key).ok()?))),
            _ => None,
        }
    }

    fn encrypt(
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

    /// Whether the tag is right; only then is the content decrypted.
    fn decrypt(
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

/// Encrypts the end of `buffer` where it is.
///
/// From `start` on the buffer holds [`ENCRYPTION_HEADER`] bytes of room and then the plain bytes.
/// The header is written into the room; padding and tag are appended.
pub(super) fn encrypt_in_place(
    cipher: &Cipher,
    version: EncryptionVersion,
    nonce: [u8; NONCE_LENGTH],
    associated: &[u8],
    buffer: &mut Vec<u8>,
    start: usize,
) {
    let plain = buffer.len().saturating_sub(start + ENCRYPTION_HEADER);
    let padding = version.padding(plain);
    let [.., padding_byte] = padding.to_be_bytes();
    buffer.resize(buffer.len() + padding, padding_byte);

    let tail = buffer.get_mut(start..).unwrap_or_default();
    let Some((header, content)) = tail.split_first_chunk_mut::<ENCRYPTION_HEADER>() else {
        debug_assert!(false, "no room was left for the encryption header");
        // Nothing may leave in the clear where encryption is demanded.
        buffer.clear();
        return;
    };
    let [version_byte, nonce_bytes @ ..] = header;
    *version_byte = version.to_byte();
    *nonce_bytes = nonce;
    let tag = cipher.encrypt(nonce, associated, content);
    buffer.extend_from_slice(&tag);
}

/// Decrypts an encrypted message where it is and returns where in it the plain bytes are. What no
/// cipher decrypts is left as it was.
pub(super) fn decrypt_in_place<'c>(
    mut ciphers: impl Iterator<Item = &'c Cipher>,
    associated: &[u8],
    encrypted: &mut [u8],
) -> Result<Range<usize>, DecryptError> {
    let length = encrypted.len();
    let Some(&version) = encrypted.first() else {
        return Err(DecryptError::TooShort { length });
    };
    let version =
        EncryptionVersion::from_byte(version).ok_or(DecryptError::Version { found: version })?;
    if length < version.overhead() {
        return Err(DecryptError::TooShort { length });
    }
    let Some(([_, nonce @ ..], rest)) = encrypted.split_first_chunk_mut::<ENCRYPTION_HEADER>()
    else {
        return Err(DecryptError::TooShort { length });
    };
    let Some((content, tag)) = rest.split_last_chunk_mut::<TAG_LENGTH>() else {
        return Err(DecryptError::TooShort { length });
    };
    if !ciphers.any(|cipher| cipher.decrypt(*nonce, associated, content, *tag)) {
        return Err(DecryptError::NoKey);
    }
    let padding = match version {
        EncryptionVersion::Plain => 0,
        EncryptionVersion::Padded => match content.last() {
            Some(&padding @ 1..=16) if usize::from(padding) <= content.len() => padding.into(),
            Some(_) | None => return Err(DecryptError::Padding),
        },
    };
    Ok(ENCRYPTION_HEADER..ENCRYPTION_HEADER + content.len() - padding)
}

/// Why a message cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecryptError {
    /// Shorter than any encrypted message.
    #[error("{length} bytes are too few to be encrypted; does the peer encrypt?")]
    TooShort {
        /// Its length in bytes.
        length: usize,
    },
    /// An encryption version above 1.
    #[error("unknown encryption version {found}; does the peer encrypt?")]
    Version {
        /// The version byte.
        found: u8,
    },
    /// No key decrypts it: another key, another label, or damage.
    #[error("no key opens it; give both sides a common key and label")]
    NoKey,
    /// The padding of version 0 is not 1 to 16 equal to its length.
    #[error("bad padding")]
    Padding,
}

//! Encryption keys.

use std::fmt;

use crate::config_error::ConfigError;

/// An AES key of 16, 24 or 32 bytes. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Vec<u8>);

impl SecretKey {
    /// The key's bytes.
    ///
    /// ```
    /// # use swim_core::{ConfigError, SecretKey};
    /// let key = SecretKey::try_from(&[7; 16][..])?;
    /// assert_eq!(key.as_bytes(), [7; 16]);
    /// # Ok::<(), ConfigError>(())
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for SecretKey {
    type Error = ConfigError;

    fn try_from(bytes: &[u8]) -> Result<Self, ConfigError> {
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(bytes.to_vec())),
            len => Err(ConfigError {
                field: "key",
                value: format!("{len} bytes"),
                remedy: "use 16, 24 or 32 bytes",
            }),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_aes_lengths_and_stay_secret() {
        assert!(SecretKey::try_from([1; 15].as_slice()).is_err());
        let key = SecretKey::try_from([1; 16].as_slice()).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(16 bytes)");
    }
}

//! How revocation and logs name a certificate.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The SHA-256 digest of a certificate's DER encoding: how revocation and logs name it.
///
/// As text it has 64 hexadecimal digits. In a text that is read, upper case counts as lower case,
/// and a colon may stand between two bytes, as openssl writes it.
///
/// ```
/// use certs::Fingerprint;
///
/// let fingerprint = Fingerprint::from([0xab; 32]);
/// assert_eq!(fingerprint.to_string(), "ab".repeat(32));
/// assert_eq!(["AB"; 32].join(":").parse(), Ok(fingerprint));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; Self::LEN]);

impl Fingerprint {
    /// The length of a fingerprint in bytes.
    pub const LEN: usize = 32;

    /// The digest.
    ///
    /// ```
    /// # use certs::Fingerprint;
    /// assert_eq!(Fingerprint::from([7; 32]).as_bytes(), &[7; 32]);
    /// ```
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl From<[u8; 32]> for Fingerprint {
    fn from(digest: [u8; 32]) -> Self {
        Self(digest)
    }
}

impl TryFrom<&[u8]> for Fingerprint {
    type Error = FingerprintError;

    fn try_from(digest: &[u8]) -> Result<Self, FingerprintError> {
        digest.try_into().map(Self).map_err(|_| FingerprintError)
    }
}

impl From<Fingerprint> for [u8; 32] {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl AsRef<[u8]> for Fingerprint {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// Why a text, or bytes, are no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "no fingerprint: give the SHA-256 digest of a certificate, 32 bytes or 64 hexadecimal digits"
)]
#[non_exhaustive]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, FingerprintError> {
        let mut digest = [0; Self::LEN];
        let mut rest = text;
        for (index, byte) in digest.iter_mut().enumerate() {
            if index > 0 {
                rest = rest.strip_prefix(':').unwrap_or(rest);
            }
            let (digits, behind) = rest.split_at_checked(2).ok_or(FingerprintError)?;
            // A sign is no digit, whatever the parser of numbers thinks.
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(FingerprintError);
            }
            *byte = u8::from_str_radix(digits, 16).map_err(|_| FingerprintError)?;
            rest = behind;
        }
        if rest.is_empty() { Ok(Self(digest)) } else { Err(FingerprintError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_it_is_written() {
        let mut digest = [0; 32];
        digest.iter_mut().zip(0_u8..).for_each(|(byte, number)| *byte = number * 8);
        let fingerprint = Fingerprint::from(digest);
        let text = fingerprint.to_string();
        assert_eq!((text.len(), text.parse()), (64, Ok(fingerprint)));
        assert_eq!(text.to_uppercase().parse(), Ok(fingerprint));
        assert_eq!(format!("{fingerprint:?}"), format!("Fingerprint({text})"));
        assert_eq!(<[u8; 32]>::from(fingerprint), digest);
        assert_eq!(Fingerprint::try_from(&digest[..]), Ok(fingerprint));
        assert_eq!(Fingerprint::try_from(&digest[1..]), Err(FingerprintError));
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let whole = "0f".repeat(32);
        for text in [
            String::new(),
            whole.replacen("0f", "0", 1),
            format!("{whole}00"),
            format!("{whole}:"),
            format!(":{whole}"),
            whole.replacen("0f", "+f", 1),
            whole.replacen("0f", "\u{e4}", 1),
            whole.replacen("0f0f", "0f::0f", 1),
            format!(" {whole}"),
        ] {
            assert_eq!(text.parse::<Fingerprint>(), Err(FingerprintError), "{text:?}");
        }
    }
}

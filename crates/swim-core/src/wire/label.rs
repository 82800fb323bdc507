//! The label header: which cluster a packet or stream belongs to.
//!
//! `f4 | length u8 (1..=255) | label`, before everything else, and only where a label is set. A
//! label protects against misconfiguration, not against an attacker: it is sent in the clear.
//! Where there is encryption, it is part of the associated data.

use thiserror::Error;

use super::message_type::MessageType;
use super::wire_limits::MAX_LABEL;

/// Type byte and length: the header without the label.
const FIXED_HEADER: usize = 2;

/// A cluster's label; empty by default, which means no header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label(Vec<u8>);

impl Label {
    /// A label of at most 255 bytes.
    ///
    /// # Errors
    /// [`LabelTooLong`] above that.
    pub fn new(label: impl Into<Vec<u8>>) -> Result<Self, LabelTooLong> {
        let label = label.into();
        if label.len() > MAX_LABEL {
            return Err(LabelTooLong { length: label.len() });
        }
        Ok(Self(label))
    }

    /// The label's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is no label.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Length of the header in bytes; 0 without a label.
    pub fn header_length(&self) -> usize {
        if self.is_empty() { 0 } else { FIXED_HEADER + self.0.len() }
    }

    /// Appends the header, if there is a label.
    pub fn put_header(&self, out: &mut Vec<u8>) {
        if let Ok(length @ 1..) = u8::try_from(self.0.len()) {
            out.extend_from_slice(&[MessageType::Label.to_byte(), length]);
            out.extend_from_slice(&self.0);
        }
    }

    /// Whether a header that came in (or its absence) is the one to expect.
    ///
    /// With `skip_check` a proxy removed the header; one more is an error.
    pub(crate) fn check(&self, found: Option<&[u8]>, skip_check: bool) -> Result<(), LabelError> {
        match found {
            Some(_) if skip_check => Err(LabelError::Double),
            None if skip_check => Ok(()),
            Some(label) if label == self.0 => Ok(()),
            None if self.is_empty() => Ok(()),
            Some(_) | None => {
                Err(LabelError::Mismatch { found: found.unwrap_or_default().to_vec() })
            }
        }
    }
}

/// Splits the label header off: the label, if there was one, and what follows.
///
/// # Errors
/// A header that ends early or whose length is 0.
pub fn split_header(bytes: &[u8]) -> Result<(Option<&[u8]>, &[u8]), LabelError> {
    let Some(header) = bytes.strip_prefix(&[MessageType::Label.to_byte()]) else {
        return Ok((None, bytes));
    };
    let Some((&length, rest)) = header.split_first() else {
        return Err(LabelError::Truncated { missing: 1 });
    };
    if length == 0 {
        return Err(LabelError::Empty);
    }
    match rest.split_at_checked(length.into()) {
        Some((label, rest)) => Ok((Some(label), rest)),
        None => Err(LabelError::Truncated { missing: usize::from(length) - rest.len() }),
    }
}

/// A label longer than its header can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("label of {length} bytes; shorten it to at most {MAX_LABEL}")]
pub struct LabelTooLong {
    /// How long it is, in bytes.
    pub length: usize,
}

/// Why a label header is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LabelError {
    /// The header ends early.
    #[error("label header is truncated")]
    Truncated {
        /// At least this many bytes are missing.
        missing: usize,
    },
    /// A header with a label of length 0.
    #[error("label header holds an empty label")]
    Empty,
    /// Another label than ours, or none where we have one.
    #[error("{}; give every member of the cluster the same label", describe(found))]
    Mismatch {
        /// The label that came; empty when there was no header.
        found: Vec<u8>,
    },
    /// A header although a proxy in front of this member is configured to remove it.
    #[error("unexpected second label header")]
    Double,
}

fn describe(found: &[u8]) -> String {
    match found {
        [] => "label is missing".to_owned(),
        label => format!("label is \"{}\"", label.escape_ascii()),
    }
}

//! How many bytes of reliable messages are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::SendError;

/// Bytes of reliable messages that one member has under way: as many as a receiver holds of those
/// that it cannot hand over yet. A longer message is taken when no other is under way.
const LIMIT: usize = 128 << 20;

/// The bytes of one member.
#[derive(Clone, Default)]
pub(crate) struct HeldBytes(Arc<AtomicUsize>);

/// The bytes of one message, until it is dropped.
pub(crate) struct Held {
    bytes: usize,
    of: HeldBytes,
}

impl HeldBytes {
    /// How many bytes are under way.
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn hold(&self, bytes: usize) -> Result<Held, SendError> {
        let before = self.0.fetch_add(bytes, Ordering::AcqRel);
        // Gives the bytes back if there is no room.
        let held = Held { bytes, of: self.clone() };
        if bytes > 0 && before > 0 && before + bytes > LIMIT {
            return Err(SendError::QueueFull { limit: LIMIT });
        }
        Ok(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.0.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_comes_back() {
        let member = HeldBytes::default();
        let longest = member.hold(LIMIT + 1).ok();
        assert!(longest.is_some(), "the first one always fits");
        assert!(matches!(member.hold(1), Err(SendError::QueueFull { limit: LIMIT })));
        assert!(member.hold(0).is_ok());
        drop(longest);
        let (first, second) = (member.hold(LIMIT - 1), member.hold(1));
        assert!(first.is_ok() && second.is_ok() && member.hold(1).is_err());
        drop((first, second));
        assert_eq!(member.0.load(Ordering::Acquire), 0);
    }
}

//! A running hash over everything that leaves the machines: equal runs have equal digests.
//!
//! Portable (fixed arithmetic, little-endian words) and quick; it resists accidents, not attacks.

use std::fmt;

/// The hash so far.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(0x6a09_e667_f3bc_c908)
    }

    pub(crate) fn word(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        let rest = chunks.remainder();
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(word));
        }
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// Hashes what is formatted, without building the text.
impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&[u8]]) -> u64 {
        let mut digest = Digest::new();
        for part in parts {
            digest.bytes(part);
        }
        digest.value()
    }

    #[test]
    fn a_changed_byte_and_a_moved_boundary_both_show() {
        assert_eq!(of(&[b"alive", b"bob"]), of(&[b"alive", b"bob"]));
        assert_ne!(of(&[b"alive", b"bob"]), of(&[b"alive", b"bop"]));
        assert_ne!(of(&[b"aliv", b"ebob"]), of(&[b"alive", b"bob"]));
        assert_ne!(of(&[b"bob", b"alive"]), of(&[b"alive", b"bob"]));
    }

    #[test]
    fn the_value_is_the_same_on_every_machine() {
        assert_eq!(of(&[b"the same on every machine"]), 179_441_387_581_504_341);
    }
}

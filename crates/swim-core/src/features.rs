//! What members of this library tell each other beyond memberlist's wire.

/// A set of features, one bit each: what a member speaks beyond memberlist's wire, or a peer has
/// said that it does.
///
/// In the first packet on a connection between members of this library they are bytes, bit `n`
/// being bit `n % 8` of byte `n / 8`. Bits beyond the first 64 belong to later versions and are
/// dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Features(u64);

impl Features {
    /// No feature at all.
    pub const NONE: Self = Self(0);

    /// Pings of those that watch a member say so, and its acks tell them when to come again.
    pub const PACE: Self = Self(1);

    /// Digests of views in pings and acks: see [`Agreement`](crate::Agreement).
    pub const DIGEST: Self = Self(1 << 1);

    /// Reliable messages that are acknowledged, on streams that begin with `f6 02`.
    pub const RELIABLE: Self = Self(1 << 3);

    /// Nacks say that the host of the member refused our packet: see [`Evidence`](crate::Evidence).
    pub const EVIDENCE: Self = Self(1 << 6);

    /// Every feature that this version speaks.
    pub const SUPPORTED: Self =
        Self::PACE.with(Self::DIGEST).with(Self::RELIABLE).with(Self::EVIDENCE);

    /// The features with these bits, feature `n` being bit `n`.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// One bit for each feature, feature `n` being bit `n`.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Reads features as they are sent. Any bytes are features.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let places = bytes.iter().zip((0..u64::BITS).step_by(8));
        Self(places.fold(0, |bits, (byte, shift)| bits | u64::from(*byte) << shift))
    }

    /// The features as they are sent: up to the last byte that is not zero, at most 8.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let bytes = self.0.to_le_bytes();
        let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.into_iter().take(length).collect()
    }

    /// The features as they are sent, with the number that our process drew at random when it
    /// started: 8 bytes each, so that it stands beyond the bits of any version.
    #[must_use]
    pub fn to_bytes_with_start(self, start: u64) -> Vec<u8> {
        [self.0.to_le_bytes(), start.to_le_bytes()].concat()
    }

    /// The start number in features as they are sent; `None` if there is none.
    #[must_use]
    pub fn start_in(bytes: &[u8]) -> Option<u64> {
        let (_, rest) = bytes.split_first_chunk::<8>()?;
        rest.first_chunk().map(|start| u64::from_le_bytes(*start))
    }

    /// Whether all of these are among them.
    #[must_use]
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The features of both sets.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_survive_the_wire_and_later_bits_are_dropped() {
        for (bits, bytes) in [
            (0, &[][..]),
            (0b1000, &[8]),
            (1 << 8, &[0, 1]),
            (1 << 63, &[0, 0, 0, 0, 0, 0, 0, 128]),
        ] {
            let features = Features::from_bits(bits);
            assert_eq!(features.to_bytes(), bytes);
            assert_eq!(Features::from_bytes(bytes), features);
        }
        assert_eq!(Features::from_bytes(&[1, 0, 0, 0, 0, 0, 0, 0, 255, 255]).bits(), 1);
    }

    #[test]
    fn a_start_number_stands_behind_the_features() {
        let bytes = Features::from_bits(9).to_bytes_with_start(0x0102_0304_0506_0708);
        assert_eq!(Features::from_bytes(&bytes), Features::from_bits(9));
        assert_eq!(Features::start_in(&bytes), Some(0x0102_0304_0506_0708));
        assert_eq!(Features::start_in(&Features::from_bits(9).to_bytes()), None);
    }

    #[test]
    fn a_set_contains_its_own_and_nothing_else() {
        let both = Features::from_bits(1).with(Features::from_bits(8));
        assert!(both.contains(Features::from_bits(8)) && both.contains(Features::NONE));
        assert!(!both.contains(Features::from_bits(12)));
    }
}

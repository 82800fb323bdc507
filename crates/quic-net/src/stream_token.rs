//! How the application and the endpoint name a stream to each other.

use std::fmt;

/// Names one bidirectional stream of one endpoint, chosen by whoever opens the stream.
///
/// The lowest bit tells who did. The application passes an even token of its choice to
/// [`Endpoint::open_stream`](crate::Endpoint::open_stream); the endpoint counts up odd ones for
/// the streams that peers open. So neither side needs a table from the other's names to its own.
///
/// A token is not the QUIC stream id of RFC 9000, which is known only once the stream is open and
/// is unique within one connection, not within an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamToken(u64);

impl StreamToken {
    /// The application's token number `n`, below 2^63: two tokens are equal if their numbers are.
    #[must_use]
    pub const fn from_caller(n: u64) -> Self {
        Self(n << 1)
    }

    /// The endpoint's token number `n`, below 2^63, for a stream that a peer opened.
    pub(crate) const fn from_peer(n: u64) -> Self {
        Self(n << 1 | 1)
    }

    /// The token with this number, as [`raw`](Self::raw) gave it.
    #[must_use]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The whole number: twice that of [`from_caller`](Self::from_caller), or an odd one.
    #[must_use]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// Whether a peer opened the stream; else the application did.
    #[must_use]
    pub const fn is_from_peer(self) -> bool {
        self.0 & 1 == 1
    }
}

impl fmt::Display for StreamToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_application_and_endpoint_never_meet() {
        for n in [0, 1, (1 << 63) - 1] {
            let ours = StreamToken::from_caller(n);
            let theirs = StreamToken::from_peer(n);
            assert!(!ours.is_from_peer() && theirs.is_from_peer());
            assert_eq!(StreamToken::from_raw(ours.raw()), ours);
            assert_eq!(ours.raw() + 1, theirs.raw());
        }
    }
}

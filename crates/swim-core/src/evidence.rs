//! What may be concluded from a host that refuses packets, and what was concluded.

use std::fmt;

/// Something that says that a member may be gone, before it has failed to answer a probe.
///
/// A hint proves nothing. It makes us probe the member at once, at most once in a second.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Hint {
    /// The host answered one of our packets with "port unreachable": no process has that port.
    Refused,
    /// A router, or our own kernel, said that the host cannot be reached.
    Unreachable,
    /// The peer no longer knows the connection: its process is another one.
    Reset,
    /// The peer closed the connection without having left.
    Closed,
    /// The application doubts that it is there: see [`doubt`](crate::Membership::doubt).
    Doubt,
}

impl Hint {
    /// A lower-case word: "refused", "unreachable", "reset", "closed" or "doubt".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Doubt => "doubt",
        }
    }
}

/// Its [`name`](Hint::name).
impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What refusals may shorten. A host whose process has died answers the very next packet with "port
/// unreachable"; a host that is gone, or a firewall that drops packets, says nothing.
///
/// Refusals count where we and two others that have lately heard from the member at its address
/// get them in one probe: all others where there are fewer than two, and nobody where there is
/// none. They count for nothing where certificates prove no names.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Evidence {
    /// Nothing: a refusal makes us probe the member at once, no more.
    #[default]
    Hint,
    /// The suspicion: it lasts as if everybody had confirmed it.
    Floor,
    /// The suspicion as well: who is refused in two probes, 250 ms apart or more, is dead at once.
    /// Only where nothing but the death of a process closes its port for that long.
    Verdict,
}

/// What a death was concluded from.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureEvidence {
    /// Nobody heard from it until its suspicion ended, or somebody else says that it is dead.
    Silence,
    /// Its host refused packets from us and from others: see [`Evidence`].
    Refused,
}

impl FailureEvidence {
    /// A lower-case word: "silence" or "refused".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Refused => "refused",
        }
    }
}

/// Its [`name`](FailureEvidence::name).
impl fmt::Display for FailureEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! The rules of a soak by name.

use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::soak) enum Rule {
    /// Nobody who lives is declared dead, nobody who is gone is listed alive, no state returns.
    Safety,
    /// All lists are the same and true.
    Agreement,
    /// Messages, pings, streams and commands.
    Service,
    /// Memory, descriptors, threads, connections, handshakes, processor time.
    Resources,
    /// Errors and unexplained warnings.
    Logs,
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Safety => "safety",
            Self::Agreement => "agreement",
            Self::Service => "service",
            Self::Resources => "resources",
            Self::Logs => "logs",
        })
    }
}

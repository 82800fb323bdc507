//! What a hostile member can be, and a name for each.

use super::line::{Line, Scene};
use crate::sim::sim_rng::SimRng;

/// One way to be hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StrategyKind {
    /// Says that honest members are suspect, dead or gone, at all kinds of incarnations.
    Forger,
    /// Says that honest members are alive at higher incarnations.
    Inflater,
    /// Claims the names and addresses of honest members.
    Squatter,
    /// Invents members, asks for relays, pings with foreign reply addresses.
    Flooder,
    /// States versions that overlap with nobody's.
    VersionLiar,
    /// Drops the indirect pings that it is to pass on.
    SilentRelay,
    /// Sends a nack for each of them at once.
    NackingRelay,
    /// Asks for exchanges and takes no answers.
    Drainer,
    /// Takes answers byte by byte.
    SlowReader,
    /// Suspects every honest member, in its own name.
    Slanderer,
    /// Greets members again and again as another process that speaks other things.
    CapabilityForger,
}

impl StrategyKind {
    /// All of them, in the order of a report.
    pub const ALL: &[Self] = &[
        Self::Forger,
        Self::Inflater,
        Self::Squatter,
        Self::Flooder,
        Self::VersionLiar,
        Self::SilentRelay,
        Self::NackingRelay,
        Self::Drainer,
        Self::SlowReader,
        Self::Slanderer,
        Self::CapabilityForger,
    ];

    /// What a report calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Forger => "forger",
            Self::Inflater => "inflater",
            Self::Squatter => "squatter",
            Self::Flooder => "flooder",
            Self::VersionLiar => "liar about versions",
            Self::SilentRelay => "silent relay",
            Self::NackingRelay => "relay that only nacks",
            Self::Drainer => "drainer",
            Self::SlowReader => "slow reader",
            Self::Slanderer => "slanderer",
            Self::CapabilityForger => "forger of capabilities",
        }
    }
}

/// What a hostile member adds to what its machine sends.
pub(crate) trait Strategy {
    /// Does something now, or nothing; says how many messages or streams it was.
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64;
}

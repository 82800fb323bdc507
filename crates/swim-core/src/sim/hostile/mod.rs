//! Members with a valid certificate that run the real machine and send what they should not.
//!
//! A [`Strategy`] is asked again and again what it does now. It sees what its host's member knows,
//! and sends through the same transport; all its random numbers come from the seed.

mod capability_forger;
mod drainer;
mod flooder;
mod forger;
mod hostile_members;
mod inflater;
mod inventions;
mod line;
pub(crate) mod silent_relays;
mod slanderer;
mod slow_reader;
mod squatter;
mod strategy;
mod version_liar;

pub(crate) use hostile_members::HostileMembers;
pub use strategy::StrategyKind;

use capability_forger::CapabilityForger;
use drainer::Drainer;
use flooder::Flooder;
use forger::Forger;
use inflater::Inflater;
use slanderer::Slanderer;
use slow_reader::SlowReader;
use squatter::Squatter;
use strategy::Strategy;
use version_liar::VersionLiar;

/// A strategy of that kind; `None` for those that only leave something out, which the simulation
/// does for them.
fn new(kind: StrategyKind) -> Option<Box<dyn Strategy>> {
    Some(match kind {
        StrategyKind::Forger => Box::new(Forger),
        StrategyKind::Inflater => Box::new(Inflater),
        StrategyKind::Squatter => Box::new(Squatter),
        StrategyKind::Flooder => Box::new(Flooder::default()),
        StrategyKind::VersionLiar => Box::new(VersionLiar::default()),
        StrategyKind::Drainer => Box::new(Drainer),
        StrategyKind::SlowReader => Box::new(SlowReader::default()),
        StrategyKind::Slanderer => Box::new(Slanderer),
        StrategyKind::CapabilityForger => Box::new(CapabilityForger),
        StrategyKind::SilentRelay | StrategyKind::NackingRelay => return None,
    })
}

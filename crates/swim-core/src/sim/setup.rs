//! What the caller of a simulation chooses; everything else is drawn from its seed.

use std::time::Duration;

use crate::config::Config;
use crate::sim::transport::Latency;

/// How closely a simulation is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Every view after every step that changed it.
    EveryStep,
    /// Every view at every multiple of this span of virtual time.
    Every(Duration),
    /// No view: the caller judges them itself, by rules of its own.
    Never,
}

/// The settings of a simulation.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The configuration of hosts added without one of their own.
    pub config: Config,
    /// How long packets travel.
    pub latency: Latency,
    /// Whether certificates prove the names of hosts to each other.
    pub verified_names: bool,
    /// How closely the rules are checked.
    pub watch: Watch,
    /// Also decodes every packet, to check that no suspicion or death in it is forgotten.
    pub tap: bool,
    /// Keeps every event for [`Simulation::events`](super::Simulation::events).
    pub keep_events: bool,
}

impl Setup {
    /// Members with this configuration on a network that suits it, checked after every step.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            latency: Latency::suiting(&config),
            config,
            verified_names: true,
            watch: Watch::EveryStep,
            tap: false,
            keep_events: false,
        }
    }
}

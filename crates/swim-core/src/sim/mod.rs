//! The simulator: many real members in virtual time over a modelled network.
//!
//! Runs [`Membership`](crate::Membership) as production does, through its public methods, and
//! checks after every step that no rule was broken. Everything is drawn from one seed, so every
//! run can be replayed.

mod application;
mod arrival;
mod campaign;
mod checker;
mod coverage;
mod digest;
mod event_queue;
mod fault;
mod fault_plan;
mod hostile;
mod hostile_campaign;
mod hostile_plan;
mod hosts;
mod introduction;
mod packet_inspector;
pub mod scenario;
mod setup;
mod sim_event;
mod sim_rng;
mod simulation;
mod stalls;
mod trace;
mod transport;
mod violation;

pub use campaign::{SeedReport, Verbosity, convergence_bound, run_seed};
pub use checker::agreement::Disagreement;
pub use coverage::{Counted, Coverage};
pub use fault::{Fault, FaultId, HostId, Stall};
pub use hostile::StrategyKind;
pub use hostile_campaign::{HostileReport, run_hostile_seed};
pub use setup::{Setup, Watch};
pub use simulation::Simulation;
pub use transport::Latency;
pub use violation::Violation;

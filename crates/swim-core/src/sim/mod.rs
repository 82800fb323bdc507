//! The simulator: many real machines in virtual time over a modelled network.
//!
//! Runs [`Membership`](crate::Membership) as production does, through its public methods. Decides
//! what the network delivers, what goes wrong and when, and checks after every step that no rule
//! was broken. Everything is drawn from one seed, so every run can be replayed.

mod agenda;
mod campaign;
mod checker;
mod coverage;
mod digest;
mod fault;
mod fault_plan;
mod host;
mod network;
pub mod scenario;
mod sim_rng;
mod simulation;
mod streams;
mod trace;

pub use campaign::{SeedReport, Verbosity, convergence_bound, run_seed};
pub use checker::Violation;
pub use coverage::{Counted, Coverage};
pub use fault::{Fault, FaultId, HostId, Stall};
pub use network::Latency;
pub use simulation::{Setup, Simulation, Watch};

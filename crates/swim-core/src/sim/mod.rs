//! The simulator: many real machines in virtual time over a modelled network.
//!
//! Runs [`Membership`](crate::Membership) as production does, through its public methods. Decides
//! what the network delivers, what goes wrong and when, and checks after every step that no rule
//! was broken. Everything is drawn from one seed, so every run can be replayed.

mod agenda;
mod campaign;
mod chance;
mod checker;
mod digest;
mod fault;
mod host;
mod network;
pub mod scenario;
mod simulation;
mod streams;
mod tally;
mod trace;
mod weather;

pub use campaign::{SeedReport, Telling, convergence_bound, run_seed};
pub use checker::Violation;
pub use fault::{Fault, FaultId, HostId, Stall};
pub use network::Latency;
pub use simulation::{Setup, Simulation, Watch};
pub use tally::{Counted, Tally};

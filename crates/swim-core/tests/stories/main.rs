//! Stories of small clusters in virtual time: real machines, real bytes, no sockets.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a story that finds something missing has failed, and each looks at few events"
)]

mod harness;

mod admission;
mod agreeing;
mod bad_members;
mod broadcasting;
mod detecting;
mod forged_claims;
mod hearsay;
mod hostile;
mod joining;
mod kept_alive;
mod leaving;
mod messaging;
mod moving;
mod reconfiguring;
mod refusing;
mod reliable;
mod restarting;
mod seeding;
mod sizes;
mod spreading;
mod turns;

//! Peers and strangers that break the rules. Whatever they do, the endpoint keeps within its
//! bounds, counts it, and serves the others.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "in a test, what is not expected may panic and what is not asked for may be skipped"
)]

mod crowds;
mod gaps;
mod half_open;
mod mallory;
mod members;
mod strangers;
#[path = "../stories/world.rs"]
mod world;

//! Stories of endpoints that meet, part, misbehave and come back.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "in a test, what is not expected may panic and what is not asked for may be skipped"
)]

mod coalescing;
mod connection_ends;
mod exchange;
mod host_errors;
mod nat;
mod path_mtu;
mod peer_features;
mod rebinding;
mod renewal;
mod retirement;
mod sockets;
mod stream_ends;
mod turned_away;
mod world;

//! Who is a member of a cluster: SWIM with Lifeguard, as a state machine that performs no IO.
//!
//! ```text
//!   packets, stream bytes, deadlines, commands
//!                      |
//!                 Membership  ----  roster, verdicts, probe, suspicion, broadcasts, exchanges
//!                      |
//!   Output: packets, stream orders, finished operations, events
//! ```
//!
//! [`Membership`] decides everything and performs nothing: time is an argument, randomness comes
//! from one seed, bytes go in and out. The same seed and the same inputs give the same bytes. The
//! wire is that of Go's memberlist: see [`wire`].

#![forbid(unsafe_code)]

mod awareness;
mod broadcast;
mod config;
mod delegate;
mod error;
mod member;
mod membership;
#[cfg(feature = "sim")]
pub mod model;
mod output;
mod probe;
mod push_pull;
mod roster;
mod seed;
mod seeds;
#[cfg(feature = "sim")]
pub mod sim;
mod stats;
mod suspicion;
mod time;
mod timers;
mod transport;
mod user_broadcast;
mod verdict;
pub mod wire;

pub use config::{Config, ConfigError, IpNetwork, MAX_META, SecretKey};
pub use delegate::Hooks;
pub use error::{
    BroadcastRefusal, MetaRefusal, OperationError, PayloadTooLarge, SendRefusal, StreamFailure,
    UnacceptableAnswer,
};
pub use member::{LocalMember, Member, MemberName, MemberState, NameError, Peer, ProtocolVersions};
pub use membership::Membership;
pub use output::{Destination, Event, OperationId, Outcome, Output, StreamId, WarningKind};
pub use push_pull::VersionMismatch;
pub use seed::Seed;
pub use stats::{Counters, MembershipStats};
pub use time::Time;
pub use transport::{StreamGone, StreamRead, Transport, TransportAdapter, TransportEvent};

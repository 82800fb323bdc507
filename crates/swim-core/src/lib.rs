//! Who is a member of a cluster: SWIM with Lifeguard, as a state machine that performs no IO.
//!
//! ```text
//!   packets, stream bytes, deadlines, commands
//!                      |
//!                 Membership  ----  member table, failure detector, dissemination, exchanges,
//!                      |            bootstrap, lifecycle, verdicts
//!   Output: packets, stream orders, finished operations, events
//! ```
//!
//! [`Membership`] gets the time as an argument, its randomness from one seed, and bytes as inputs:
//! the same seed and the same inputs give the same output bytes. The wire format is that of Go's
//! memberlist: see [`wire`].

#![forbid(unsafe_code)]

mod address_claims;
mod advertised_address;
mod answered_peers;
mod awareness;
mod backlog;
mod bearer;
mod bootstrap;
mod broadcast_queue;
#[cfg(feature = "serde")]
pub mod bytes_text;
mod claim_examiner;
mod config;
mod config_error;
mod dissemination;
mod effects;
mod encoder;
mod error;
mod evidence;
mod exchange_refusal;
mod exchange_role;
mod exchanges;
mod failure_detector;
mod features;
mod hearsay;
mod hooks;
mod immediate_updates;
mod ip_network;
mod lifecycle;
mod live_changes;
mod member;
mod member_index;
mod member_name;
mod member_table;
mod membership;
mod merge_admission;
#[cfg(test)]
mod merge_laws;
#[cfg(feature = "sim")]
pub mod model;
mod move_examiner;
mod observers;
mod output;
mod own_state;
mod payer;
mod payer_ledger;
mod peer_processes;
mod protocol_versions;
mod push_pull;
mod rechecks;
mod refuted_suspicions;
mod reliable;
mod relocation;
mod repairs;
mod rng;
mod secret_key;
#[cfg(feature = "serde")]
mod serialization;
mod shared_decoder;
#[cfg(feature = "sim")]
pub mod sim;
mod stats;
mod suspicion;
mod time;
mod timers;
mod transport;
mod undecodable;
mod update_queue;
mod verdict;
mod version_fit;
mod view_digest;
mod views;
pub mod wire;
mod with_sources;

pub use config::Config;
pub use config_error::ConfigError;
pub use error::{
    AdvertiseRefusal, BroadcastRefusal, DialFailure, MetaRefusal, OperationError, PayloadTooLarge,
    ReconfigureRefusal, SendRefusal, StreamFailure, UnacceptableAnswer,
};
pub use evidence::{Evidence, FailureEvidence, Hint};
pub use features::Features;
pub use hooks::{Hooks, StateSender};
pub use ip_network::IpNetwork;
pub use live_changes::StableView;
pub use member::{LocalMember, Member, MemberState, Peer};
pub use member_name::{MemberName, NameError};
pub use membership::Membership;
pub use output::{
    AcknowledgementId, DeliveryReport, Destination, MembershipEvent, OperationId, Outcome, Output,
    StreamId, WarningKind,
};
pub use protocol_versions::ProtocolVersions;
pub use rng::RngSeed;
pub use secret_key::SecretKey;
pub use stats::{Counters, MembershipStats};
pub use time::Time;
pub use transport::{StreamGone, StreamRead, Transport, TransportAdapter, TransportEvent};
pub use version_fit::VersionMismatch;
pub use views::{Agreement, Difference};
pub use wire::{DeliveryStatus, MAX_META};
pub use with_sources::with_sources;

//! Cluster membership in one object: who is here, who left, who died.
//!
//! ```text
//!                 Cluster (handle: Clone + Send + Sync)
//!                    |  commands            ^  snapshot, events
//!                    v                      |
//!   driver thread:  Node = Membership (swim-core) + Endpoint (quic-net)
//!                    |                      ^
//!                    +---- one UDP socket --+
//! ```
//!
//! Decides nothing about membership and nothing about connections: it starts the driver thread,
//! carries bytes between the two machines, and hands out what they say.
//!
//! ```no_run
//! use std::time::Duration;
//! use swim_quic::{Cluster, Event, Identity};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cluster = Cluster::builder("node-a")
//!     .bind("0.0.0.0:7946")
//!     .identity(Identity::from_pem_files("ca.pem", "node-a.pem", "node-a.key")?)
//!     .seeds(["10.0.0.2:7946"])
//!     .start()?;
//! for event in cluster.subscribe() {
//!     if let Event::Failed { member, .. } = event {
//!         println!("{} died", member.name());
//!         break;
//!     }
//! }
//! cluster.leave(Duration::from_secs(5))?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

/// The README, whose example must compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

mod address;
mod application;
mod builder;
mod cluster;
mod command;
#[cfg(test)]
mod conformance;
mod driver;
mod errands;
mod error;
mod event;
mod keys;
mod node;
mod pool;
mod raw;
mod resolve;
mod subscribers;
mod transport;
mod warnings;

pub use address::AddressError;
pub use application::{IncomingDatagram, IncomingStream, Stream};
pub use builder::Builder;
pub use certs::{Identity, IdentityError, NamePolicy, Trust};
pub use cluster::{Cluster, JoinReport, LeaveReport};
pub use driver::Driver;
pub use error::{
    CommandError, JoinError, JoinFailure, KeysError, LeaveError, OpenStreamError, PingError,
    SendError, SetMetaError, StartError,
};
pub use event::{Connection, Event, Stats};
pub use pool::ConnectError;
pub use quic_net::{EndpointStats, Limits, LimitsError};
pub use raw::{RawDatagram, RawError, RawSocket};
pub use swim_core::{
    Config, ConfigError, Member, MemberName, MemberState, MembershipStats, SecretKey,
};

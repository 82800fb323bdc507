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
//! [`Cluster::builder`] describes a member, and [`Builder::start`] runs it on a driver thread. This
//! thread passes bytes and reports between the membership machine, the QUIC endpoint and the
//! socket. The [`Cluster`] is the handle to it. Subscribe to [`Event`]s with
//! [`Builder::subscribe`], before the start, so that none is missed.
//!
//! ```no_run
//! use std::time::Duration;
//! use swim_quic::{Cluster, Event, Identity};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let builder = Cluster::builder("node-a")
//!     .bind("0.0.0.0:7946")
//!     .identity(Identity::from_pem_files("ca.pem", "node-a.pem", "node-a.key")?)
//!     .seeds(["10.0.0.2:7946"]);
//! let events = builder.subscribe();
//! let cluster = builder.start()?;
//! for event in &events {
//!     if let Event::Failed { member, .. } = event {
//!         println!("{} died", member.name());
//!         break;
//!     }
//! }
//! cluster.leave(Duration::from_secs(5))?;
//! # Ok(())
//! # }
//! ```
//!
//! On an async runtime the same is awaited, with no thread for it: `recv_async` and the calls that
//! end in `_async`, as the example `tokio_service` shows. With the feature `async` what arrives is
//! a `futures_core::Stream`, for its combinators.
//!
//! [`Cluster::metrics`] has what a member counts, as Prometheus scrapes it or, with the feature
//! `metrics`, for the facade of that name.
//!
//! With the feature `serde`, [`Config`], [`Limits`] and what else is set are read from files, with
//! durations like `500ms`; unknown keys are errors that name them. Events, members, counters and
//! reports can be written, one line of JSON each for example. Encryption keys are neither read nor
//! written: they belong where other secrets are.
//!
//! With the feature `testkit` there are clusters for tests, whose network fails on demand.
//!
//! Three members to try things out with, in one process and without a file:
//!
//! ```
//! use swim_quic::{Cluster, Identity};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut members: Vec<Cluster> = Vec::new();
//! for name in ["ada", "bob", "cyd"] {
//!     let member = Cluster::builder(name)
//!         .bind("127.0.0.1:0")
//!         .identity(Identity::development(name)?)
//!         .allow_development_identity()
//!         .seeds(members.first().map(|first| first.address().to_string()));
//!     members.push(member.start()?);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

/// The README, whose example must compile.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

mod address;
mod address_watch;
mod advertise;
mod announce;
mod answer;
mod application;
mod builder;
mod cluster;
mod cluster_event;
mod command;
mod command_queue;
#[cfg(test)]
mod conformance;
mod deadline;
mod delayed_tasks;
mod driver;
mod error;
mod expiry;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod held_bytes;
mod hook_link;
mod hook_runner;
mod hooks;
mod host;
mod host_watch;
mod identity_files;
mod live_identity;
mod member_runs;
mod members;
mod metrics;
mod node;
#[cfg(feature = "serde")]
mod output_serialization;
mod protocol;
mod reach;
mod receipt;
mod receiver;
mod resolve;
mod settings_command;
#[cfg(feature = "srv")]
mod srv;
mod standing_seeds;
mod start_checks;
mod subscribers;
mod suspension;
#[cfg(feature = "testkit")]
pub mod testkit;
mod to_member_name;
mod transport;
mod wait_any;
mod wakers;
mod warnings;

pub use address::AddressError;
pub use advertise::Advertise;
pub use application::{IncomingDatagram, IncomingStream, Stream};
pub use builder::Builder;
pub use certs::{
    Authority, AuthorityError, ContextError, DevelopmentError, EncodedCertificate, Existing,
    Fingerprint, FingerprintError, Identity, IdentityError, IdentityFiles, IssueError, Issued,
    MemberRequest, NameFields, NamePolicy, NameReading, Objection, ObjectionCause, PeerCertificate,
    RefusedBy, Remark, SaveError, SharedIoError, SpiffePattern, SpiffePatternError, Trust,
    Verification, with_sources,
};
pub use cluster::{Cluster, JoinReport, LeaveReport, RawSocket, View};
pub use cluster_event::{ConnectionInfo, Event, RawDatagram, Stats, StopReason};
pub use driver::Driver;
pub use error::{
    AdvertiseError, AnnounceError, BroadcastError, CommandError, ConnectError, ConnectionError,
    DoubtError, DriverError, IdentityFilesError, JoinError, JoinFailure, JoinFailureReason,
    JoinFailures, KeysError, LeaveError, ListenError, OpenStreamError, PingError, RawError,
    ReconfigureError, RecvError, RecvTimeoutError, ResolveError, RevokeError, RotateError,
    SeedsError, SendDatagramError, SendError, SetMetaError, SetUserStateError, StartError,
    StreamIoError, TryRecvError, WaitAnyError, WaitForError,
};
pub use hooks::Hooks;
pub use members::{Members, MembersIter};
pub use metrics::{Metrics, Sample, Series, SeriesKind, SeriesUnit};
pub use quic_net::{
    EndpointError, EndpointStats, KernelRefusal, Limits, LimitsError, ReadError, Refusal,
    SendFailure, StreamError, WriteError,
};
pub use receipt::Receipt;
pub use receiver::{Incoming, IncomingIntoIter, IncomingIter, IncomingTryIter};
pub use subscribers::{Subscription, SubscriptionLimits};
pub use swim_core::{
    Agreement, Config, ConfigError, DeliveryReport, DialFailure, Difference, Evidence,
    FailureEvidence, Hint, IpNetwork, Member, MemberName, MemberState, MembershipStats, NameError,
    ProtocolVersions, SecretKey, StableView, StateSender, StreamFailure, UnacceptableAnswer,
};
pub use to_member_name::ToMemberName;
pub use wait_any::{Receiver, wait_any};

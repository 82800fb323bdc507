//! A QUIC endpoint for peers that all know each other: one UDP socket that dials and accepts, a
//! bounded pool of mutually authenticated connections, packets and streams on each of them.
//!
//! [`Endpoint`] is the machine, without a socket; [`EventLoop`] gives it sockets and a place to
//! sleep. The endpoint chooses the connection that carries a packet or a stream; who is a peer, and
//! what the bytes mean, is for the application to say.
//!
//! A driver's turn:
//!
//! ```no_run
//! use quic_net::{Endpoint, EndpointEvent, EventLoop, SocketId};
//!
//! fn turn(
//!     sockets: &mut EventLoop,
//!     socket: SocketId,
//!     endpoint: &mut Endpoint,
//! ) -> std::io::Result<()> {
//!     let now = sockets.wait(endpoint.poll_timeout())?;
//!     sockets.receive(socket, endpoint, now)?;
//!     endpoint.handle_timeout(now);
//!     while let Some(event) = endpoint.poll_event() {
//!         if let EndpointEvent::Packet { peer, bytes } = event {
//!             endpoint.send_packet(peer.address, None, &bytes, now);
//!         }
//!     }
//!     sockets.flush(socket, endpoint, now)
//! }
//! ```
#![forbid(unsafe_code)]

mod backoff;
mod canonical_address;
mod config;
mod connection;
mod connection_id;
mod connection_key;
mod crowd;
mod endpoint;
mod endpoint_context;
mod error;
#[cfg_attr(not(any(target_os = "linux", target_os = "android")), path = "no_error_queue.rs")]
mod error_queue;
mod event;
mod event_loop;
mod event_queue;
mod first_byte;
mod half_open;
mod handshake_rates;
mod hello;
mod host_error;
mod kernel_refusal;
mod limits;
mod long_header;
mod past_peers;
mod pool;
mod quic_stream;
mod reason;
mod reset;
mod retry;
mod send_errors;
mod socket;
mod source_shares;
mod stats;
mod stream_directory;
mod stream_limits;
mod stream_slab;
mod stream_state;
mod stream_token;
mod tls;
mod unread_streams;

pub use config::{DescribeNames, EndpointConfig, Identify};
pub use endpoint::{Endpoint, FIRST_QUIC_BYTE, MAX_RAW_DATAGRAM, Transmit};
pub use error::{EndpointError, QuicError, ReadError, SendFailure, StreamError, WriteError};
pub use event::{EndpointEvent, PeerIdentity, Protocol, Read};
pub use event_loop::{EventLoop, LoopWaker, SocketId};
pub use first_byte::APPLICATION_BYTE;
pub use host_error::{HostError, ReportedError};
pub use kernel_refusal::KernelRefusal;
pub use limits::{Limits, LimitsError, MAX_PACKET};
pub use reason::{CloseReason, Refusal};
pub use stats::{ConnectionStats, EndpointStats};
pub use stream_token::StreamToken;

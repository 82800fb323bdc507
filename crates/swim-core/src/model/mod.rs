//! A model of the transport: what a QUIC endpoint promises to a machine, in virtual time.
//!
//! [`TransportModel`] plays the endpoints of any number of members. It has dials, connections,
//! packets, and streams with bounded buffers and flow control; it has no QUIC, no cryptography
//! and no socket. What the network between the members does is asked of [`Links`]. The
//! simulator, the stories and the fuzzed cluster run on it, and a conformance test of the facade
//! runs the same scripts on it and on real endpoints.
//!
//! Of two connections between the same two members the older one makes way and closes after a
//! moment, or, as long as streams on it get on, when they have ended, as the real endpoint does. A
//! path that turns out to carry less lowers a connection's packet limit for the rest of its life.
//! Not modelled: connections replaced for their age or for want of stream credit (what the older
//! one sees is the same), limits that rise again, the bounds of the pool. A peer that speaks
//! memberlist's wire only has no [`Features`](crate::Features).

mod connection_table;
mod links;
mod model_agenda;
mod model_handle;
mod packet_carrier;
mod refused_packets;
mod stream_calls;
mod stream_carrier;
mod stream_table;
mod transport_model;

pub use links::{EndpointId, Journey, LOWERED_PACKET_LIMIT, Links, ModelLimits, StreamFaults};
pub use model_handle::ModelHandle;
pub use transport_model::TransportModel;

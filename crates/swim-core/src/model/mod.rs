//! A model of the transport: what a QUIC endpoint promises to a machine, in virtual time.
//!
//! [`TransportModel`] plays the endpoints of any number of members. It has dials, connections,
//! packets, and streams with bounded buffers and flow control; it has no QUIC, no cryptography
//! and no socket. What the network between the members does is asked of [`Links`]. The
//! simulator, the stories and the fuzzed cluster run on it, and a conformance test of the facade
//! runs the same scripts on it and on real endpoints.
//!
//! Of two connections between the same two members the older one closes after a moment, with the
//! streams that are still on it, as the real endpoint does. Not modelled: connections replaced
//! for their age or for want of stream credit, the bounds of the pool. A peer that speaks
//! memberlist's wire only has no [`Features`](crate::Features).

mod connection_table;
mod links;
mod model_agenda;
mod model_handle;
mod packet_carrier;
mod stream_calls;
mod stream_carrier;
mod stream_table;
mod transport_model;

pub use links::{EndpointId, Journey, Links, ModelLimits, StreamFaults};
pub use model_handle::ModelHandle;
pub use transport_model::TransportModel;

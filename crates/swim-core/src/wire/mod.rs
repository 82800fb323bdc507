//! The wire format of Go's memberlist: bytes to messages and messages to bytes.
//!
//! Performs no IO, reads no clock and draws no nonce: nonces are arguments. Every decoder accepts
//! any input: it returns messages or an error, and allocates in proportion to the bytes that
//! arrived, never to a length that they announce. Encoders write the same bytes as Go for the
//! same values.
//!
//! - [`PacketBuilder`], [`encode_packet`] and [`PacketDecoder`] add and remove all layers of a
//!   packet: label, encryption, checksum, compression, compound.
//! - [`encode_stream`] and [`StreamDecoder`] do so for one direction of a stream: label,
//!   encryption, compression.
//! - [`ReliableFrame`] has the frames of reliable messages between members of this library.
//! - [`schema`] has the messages inside, and `msgpack` their encoding.
//! - [`wire_limits`] has the largest sizes, [`WireSettings`] what a cluster configures.

#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

pub mod compound;
pub mod compress;
pub mod crc;
mod decode_error;
mod encryption;
mod keyring;
pub mod label;
mod lzw_decoder;
mod lzw_encoder;
mod message_type;
mod msgpack;
mod packet_builder;
mod packet_decode_error;
mod packet_decoder;
mod reliable_frame;
mod reliable_seal;
pub mod schema;
mod stream_decode_error;
mod stream_decoder;
mod stream_encoder;
mod stream_message;
pub mod wire_limits;
mod wire_settings;

pub use decode_error::{DecodeError, DecodeErrorKind};
pub use encryption::{DecryptError, EncryptionVersion, NONCE_LENGTH};
pub use keyring::{KeyError, Keyring};
pub use label::Label;
pub use message_type::MessageType;
pub use packet_builder::{PacketBuilder, PartError, encode_packet};
pub use packet_decode_error::PacketDecodeError;
pub use packet_decoder::{Packet, PacketDecoder};
pub use reliable_frame::{
    DeliveryStatus, EXTENSION_BYTE, MAX_COMMON_MESSAGE, RELIABLE_KIND, ReliableFrame,
    ReliableFrameError,
};
pub use reliable_seal::{PayloadPlace, open_payload, seal_payload};
pub use schema::{
    Ack, Alive, Compress, Dead, ErrorMessage, IndirectPing, Message, Nack, NodeState, Ping,
    PushPullHeader, Suspect, UserHeader,
};
pub use stream_decode_error::{LimitedLength, StreamDecodeError};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::{StreamTooLong, encode_push_pull, encode_stream, encode_user};
pub use stream_message::{NodeStates, PushPull, Side, StreamMessage};
pub use wire_limits::{
    MAX_COMPOUND_PARTS, MAX_ENCRYPTED_STREAM, MAX_KEYS, MAX_LABEL, MAX_META, MAX_NESTING,
    MAX_PACKET, MAX_PACKET_EXPANSION, MAX_PACKET_MESSAGES, MAX_PART_LENGTH, MAX_PLAIN_STREAM,
    MAX_PUSH_PULL_NODES, MAX_STREAM_EXPANSION, MAX_USER_MESSAGE, MAX_USER_STATE,
};
pub use wire_settings::WireSettings;

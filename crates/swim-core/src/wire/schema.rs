//! The messages and their fields, named as in memberlist's `net.go` (in snake case).
//!
//! Messages borrow from the bytes they were read from. Member names are bytes, because Go allows
//! any. `addr` and `target` are kept as they came: Go compares addresses byte for byte, so that an
//! IPv4 address of 4 bytes differs from the same one in 16. A `None` byte field is Go's nil, which
//! on the wire differs from the empty slice.

use super::decode_error::DecodeError;
use super::message_type::MessageType;
use super::msgpack::{MsgpackStruct, Reader, rewrite_number_arrays};

mod fields;

/// A probe, to be answered with an [`Ack`]. (Type 0.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ping<'a> {
    /// The number that the ack repeats.
    pub seq_no: u32,
    /// The member that is probed. Another member ignores it; empty means any member.
    pub node: &'a [u8],
    /// The sender's IP, 4 or 16 bytes; not written when empty.
    pub source_addr: &'a [u8],
    /// The sender's port; not written when 0.
    pub source_port: u16,
    /// The sender's name; not written when empty.
    pub source_node: &'a [u8],
    /// The digest of the sender's view, which Go does not know; not written when empty.
    pub digest: &'a [u8],
    /// Whether the sender watches the member, and so is to be told when to probe again, which Go
    /// does not know; not written when false.
    pub observer: bool,
}

/// A request to ping `node` and to pass its ack on. (Type 1.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndirectPing<'a> {
    /// The number that ack and nack repeat.
    pub seq_no: u32,
    /// IP of the member to be pinged.
    pub target: Option<&'a [u8]>,
    /// Its port; 0 means the relay's own.
    pub port: u16,
    /// Its name.
    pub node: &'a [u8],
    /// Whether a nack is wanted when it does not answer.
    pub nack: bool,
    /// The sender's IP; not written when empty.
    pub source_addr: &'a [u8],
    /// The sender's port; not written when 0.
    pub source_port: u16,
    /// The sender's name; not written when empty.
    pub source_node: &'a [u8],
}

/// The answer to a [`Ping`]. (Type 2.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The ping's number.
    pub seq_no: u32,
    /// The application's ack payload.
    pub payload: Option<&'a [u8]>,
    /// As in [`Ping`].
    pub digest: &'a [u8],
    /// To one that watches the sender: after how many milliseconds it is to probe again, which Go
    /// does not know; not written when 0.
    pub wait: u32,
}

/// The target of an [`IndirectPing`] did not answer in time. (Type 11.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nack {
    /// The indirect ping's number.
    pub seq_no: u32,
    /// The target's host refused the packet, which Go does not know; not written when false.
    pub refused: bool,
}

/// `node` may have failed. (Type 3.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Suspect<'a> {
    /// The incarnation that is suspected.
    pub incarnation: u32,
    /// The suspected member.
    pub node: &'a [u8],
    /// The member that suspects it.
    pub from: &'a [u8],
}

/// `node` is alive. (Type 4.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Alive<'a> {
    /// Its incarnation, at least 1.
    pub incarnation: u32,
    /// Its name.
    pub node: &'a [u8],
    /// Its IP.
    pub addr: Option<&'a [u8]>,
    /// Its port; 0 means the receiver's own.
    pub port: u16,
    /// Its metadata.
    pub meta: Option<&'a [u8]>,
    /// Six version numbers: protocol minimum, maximum, current, then the delegate's.
    pub vsn: Option<&'a [u8]>,
}

/// `node` has failed, or has left when `from` is `node`. (Type 5.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dead<'a> {
    /// The incarnation that is dead.
    pub incarnation: u32,
    /// The dead member.
    pub node: &'a [u8],
    /// The member that declares it dead.
    pub from: &'a [u8],
}

/// The answer to a stream that was refused. (Type 13.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorMessage<'a> {
    /// The reason, usually UTF-8.
    pub error: &'a [u8],
}

/// One message, compressed. (Type 9.)
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compress<'a> {
    /// The algorithm; 0 is LZW and the only one.
    pub algo: u8,
    /// The compressed message, type byte included.
    pub buf: Option<&'a [u8]>,
}

/// What follows the type byte of a push-pull (type 6); then come the node states and the
/// application state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushPullHeader {
    /// How many node states follow.
    pub nodes: i64,
    /// How many bytes of application state follow those.
    pub user_state_len: i64,
    /// Whether the sender is joining.
    pub join: bool,
}

/// One member in a push-pull.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeState<'a> {
    /// The member's name.
    pub name: &'a [u8],
    /// Its IP.
    pub addr: Option<&'a [u8]>,
    /// Its port; 0 means the receiver's own.
    pub port: u16,
    /// Its metadata.
    pub meta: Option<&'a [u8]>,
    /// The incarnation at which its sender knows it.
    pub incarnation: u32,
    /// 0 alive, 1 suspect, 2 dead, 3 left; Go ignores an entry with any other number.
    pub state: i64,
    /// Six version numbers, as in [`Alive`].
    pub vsn: Option<&'a [u8]>,
}

/// What follows the type byte of a user message on a stream (type 8); then come its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserHeader {
    /// How many bytes follow.
    pub user_msg_len: i64,
}

/// A message that a packet can carry, all layers undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Type 0.
    Ping(Ping<'a>),
    /// Type 1.
    IndirectPing(IndirectPing<'a>),
    /// Type 2.
    Ack(Ack<'a>),
    /// Type 11.
    Nack(Nack),
    /// Type 3.
    Suspect(Suspect<'a>),
    /// Type 4.
    Alive(Alive<'a>),
    /// Type 5.
    Dead(Dead<'a>),
    /// Type 8: the application's bytes.
    User(&'a [u8]),
}

impl ErrorMessage<'_> {
    /// An error with this text, as bytes of its own.
    pub(crate) fn to_vec(error: &str) -> Vec<u8> {
        let mut out = Vec::new();
        ErrorMessage { error: error.as_bytes() }.encode(&mut out);
        out
    }
}

impl<'a> Message<'a> {
    /// The message's type.
    pub fn kind(&self) -> MessageType {
        match self {
            Self::Ping(_) => MessageType::Ping,
            Self::IndirectPing(_) => MessageType::IndirectPing,
            Self::Ack(_) => MessageType::Ack,
            Self::Nack(_) => MessageType::Nack,
            Self::Suspect(_) => MessageType::Suspect,
            Self::Alive(_) => MessageType::Alive,
            Self::Dead(_) => MessageType::Dead,
            Self::User(_) => MessageType::User,
        }
    }

    /// Appends the type byte and the body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Ping(ping) => ping.encode(out),
            Self::IndirectPing(request) => request.encode(out),
            Self::Ack(ack) => ack.encode(out),
            Self::Nack(nack) => nack.encode(out),
            Self::Suspect(suspect) => suspect.encode(out),
            Self::Alive(alive) => alive.encode(out),
            Self::Dead(dead) => dead.encode(out),
            Self::User(payload) => {
                out.push(MessageType::User.to_byte());
                out.extend_from_slice(payload);
            }
        }
    }

    /// The message as bytes of its own.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// Reads the body of a message of type `kind`; `None` if packets carry no such message.
    pub(crate) fn read(
        kind: MessageType,
        body: &'a [u8],
        reader: &mut Reader<'a>,
    ) -> Option<Result<Self, DecodeError>> {
        Some(match kind {
            MessageType::Ping => MsgpackStruct::read(reader).map(Self::Ping),
            MessageType::IndirectPing => MsgpackStruct::read(reader).map(Self::IndirectPing),
            MessageType::Ack => MsgpackStruct::read(reader).map(Self::Ack),
            MessageType::Nack => MsgpackStruct::read(reader).map(Self::Nack),
            MessageType::Suspect => MsgpackStruct::read(reader).map(Self::Suspect),
            MessageType::Alive => MsgpackStruct::read(reader).map(Self::Alive),
            MessageType::Dead => MsgpackStruct::read(reader).map(Self::Dead),
            MessageType::User => Ok(Self::User(body)),
            MessageType::PushPull
            | MessageType::Compound
            | MessageType::Compress
            | MessageType::Encrypt
            | MessageType::HasCrc
            | MessageType::Error
            | MessageType::Label => return None,
        })
    }
}

/// Reads one body without its type byte and says how many bytes it took; more may follow.
fn decode<'a, T: MsgpackStruct<'a>>(
    body: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Result<(T, usize), DecodeError> {
    let mut reader = Reader::new(body);
    let value = T::read(&mut reader)?;
    if !reader.has_number_array() {
        return Ok((value, reader.offset()));
    }
    scratch.clear();
    let consumed = rewrite_number_arrays(body, scratch)?;
    Ok((T::read(&mut Reader::new(scratch))?, consumed))
}

macro_rules! decoding {
    ($($message:ty),*) => {$(
        impl<'a> $message {
            /// Reads one msgpack value (no type byte) and says how many bytes it took.
            ///
            /// All forms that Go accepts are accepted. `scratch` is only used where a byte field
            /// came as an array of numbers, which cannot be borrowed.
            ///
            /// # Errors
            /// What Go refuses, with the offset in `body`.
            pub fn decode(
                body: &'a [u8],
                scratch: &'a mut Vec<u8>,
            ) -> Result<(Self, usize), DecodeError> {
                decode(body, scratch)
            }
        }
    )*};
}

macro_rules! encoding {
    ($($message:ty => $kind:ident),*) => {$(
        impl $message {
            /// Appends the type byte and the body, byte for byte as Go does.
            pub fn encode(&self, out: &mut Vec<u8>) {
                out.push(MessageType::$kind.to_byte());
                self.write(out);
            }
        }
    )*};
}

macro_rules! encoding_bare {
    ($($message:ty),*) => {$(
        impl $message {
            /// Appends the msgpack value, which has no type byte of its own.
            pub fn encode(&self, out: &mut Vec<u8>) {
                self.write(out);
            }
        }
    )*};
}

decoding!(Ping<'a>, IndirectPing<'a>, Ack<'a>, Suspect<'a>, Alive<'a>, Dead<'a>);
decoding!(ErrorMessage<'a>, Compress<'a>, NodeState<'a>);
encoding!(
    Ping<'_> => Ping, IndirectPing<'_> => IndirectPing, Ack<'_> => Ack, Nack => Nack,
    Suspect<'_> => Suspect, Alive<'_> => Alive, Dead<'_> => Dead,
    ErrorMessage<'_> => Error, Compress<'_> => Compress
);
encoding_bare!(PushPullHeader, NodeState<'_>, UserHeader);

macro_rules! decoding_owned {
    ($($message:ty),*) => {$(
        impl $message {
            /// Reads one msgpack value (no type byte) and says how many bytes it took.
            ///
            /// # Errors
            /// What Go refuses, with the offset in `body`.
            pub fn decode(body: &[u8]) -> Result<(Self, usize), DecodeError> {
                let mut reader = Reader::new(body);
                let value = MsgpackStruct::read(&mut reader)?;
                Ok((value, reader.offset()))
            }
        }
    )*};
}

decoding_owned!(Nack, PushPullHeader, UserHeader);

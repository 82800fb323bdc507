//! The first byte of a message.

use std::fmt;

/// The first byte of a message (memberlist's `messageType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MessageType {
    /// A probe, to be answered with an ack.
    Ping = 0,
    /// A request to ping a third member and to pass its ack on.
    IndirectPing = 1,
    /// The answer to a ping.
    Ack = 2,
    /// A member may have failed.
    Suspect = 3,
    /// A member is alive; also its address, metadata and versions.
    Alive = 4,
    /// A member has failed, or has left.
    Dead = 5,
    /// The full state, on streams.
    PushPull = 6,
    /// Several messages in one packet.
    Compound = 7,
    /// Application bytes.
    User = 8,
    /// One message, LZW-compressed.
    Compress = 9,
    /// An encrypted message, on streams. In packets nothing announces encryption.
    Encrypt = 10,
    /// The target of an indirect ping did not answer in time.
    Nack = 11,
    /// A checksum of the rest, on packets.
    HasCrc = 12,
    /// Why a stream was refused.
    Error = 13,
    /// The label header, before everything else.
    Label = 244,
}

impl MessageType {
    /// The type that a first byte stands for; `None` for a byte that Go does not know either.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Ping,
            1 => Self::IndirectPing,
            2 => Self::Ack,
            3 => Self::Suspect,
            4 => Self::Alive,
            5 => Self::Dead,
            6 => Self::PushPull,
            7 => Self::Compound,
            8 => Self::User,
            9 => Self::Compress,
            10 => Self::Encrypt,
            11 => Self::Nack,
            12 => Self::HasCrc,
            13 => Self::Error,
            244 => Self::Label,
            _ => return None,
        })
    }

    /// The byte on the wire.
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// The type's name in memberlist, as in `indirectPing`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::IndirectPing => "indirectPing",
            Self::Ack => "ack",
            Self::Suspect => "suspect",
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::PushPull => "pushPull",
            Self::Compound => "compound",
            Self::User => "user",
            Self::Compress => "compress",
            Self::Encrypt => "encrypt",
            Self::Nack => "nack",
            Self::HasCrc => "hasCrc",
            Self::Error => "err",
            Self::Label => "label",
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

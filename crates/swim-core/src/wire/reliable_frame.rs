//! The frames in which two members of this library exchange reliable messages.
//!
//! The header has a fixed binary form and not msgpack's, because it stands before every message:
//! 13 bytes, where named fields would take about 40. It has no optional fields; what a later
//! version adds gets a frame type and a capability bit of its own. All integers are big-endian.
//!
//! | type | frame | fields | travels |
//! |---:|---|---|---|
//! | `00` | begin | sender's epoch `u64`, receiver's epoch `u64` or 0 | sender's stream, first |
//! | `01` | message | sequence `u64`, length `u32`, payload | sender's stream |
//! | `02` | elsewhere | sequence `u64`, length `u32` | sender's stream |
//! | `03` | large | both epochs, sequence `u64`, length `u32`, payload | alone on its stream |
//! | `80` | receiver | receiver's epoch `u64` | first of the answers |
//! | `81` | answer | sequence `u64`, status `u8` | answers |
//!
//! `41` and `43` are `01` and `03` with a sealed payload.

use thiserror::Error;

use super::encryption::EncryptionVersion;
use super::wire_limits::MAX_USER_MESSAGE;

/// First byte of a stream of an extension.
pub const EXTENSION_BYTE: u8 = 0xF6;
/// The kind of the extension that carries reliable messages: the second byte of the stream.
pub const RELIABLE_KIND: u8 = 2;

/// The longest payload of a message on the common stream, in bytes; longer ones travel on a stream
/// of their own.
pub const MAX_COMMON_MESSAGE: usize = 64 * 1024;

/// The most that sealing adds to a payload: version, nonce, padding and tag.
const MAX_SEAL: usize = EncryptionVersion::Padded.overhead();

const BEGIN: u8 = 0x00;
const MESSAGE: u8 = 0x01;
const ELSEWHERE: u8 = 0x02;
const LARGE: u8 = 0x03;
const RECEIVER: u8 = 0x80;
const ANSWER: u8 = 0x81;
/// Marks a message or a large message whose payload is sealed.
const SEALED: u8 = 0x40;

/// How a receiver disposed of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Every subscription of the application has it.
    Taken,
    /// A subscription had no room; none of them has it.
    Busy,
    /// Nobody subscribed.
    NoReceiver,
    /// The member refused it before its application saw it: it was not sealed with a key of the
    /// receiver.
    Refused,
}

impl DeliveryStatus {
    const fn to_byte(self) -> u8 {
        match self {
            Self::Taken => 0,
            Self::Busy => 1,
            Self::NoReceiver => 2,
            Self::Refused => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Taken),
            1 => Some(Self::Busy),
            2 => Some(Self::NoReceiver),
            3 => Some(Self::Refused),
            _ => None,
        }
    }
}

/// One frame. Of a large message only what stands before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReliableFrame<'a> {
    /// A sender's stream begins.
    Begin {
        /// Chosen at random when the sender's process started; never 0.
        epoch: u64,
        /// The receiver that the sender has had answers of; 0 if none yet.
        receiver: u64,
    },
    /// A message, of at most [`MAX_COMMON_MESSAGE`] bytes, in its place in the order.
    Message {
        /// Higher than that of every message before it.
        sequence: u64,
        /// Whether the payload is sealed.
        sealed: bool,
        /// The bytes, at most [`MAX_COMMON_MESSAGE`] before sealing.
        payload: &'a [u8],
    },
    /// The place in the order of a message that travels on a stream of its own.
    Elsewhere {
        /// As that of a message.
        sequence: u64,
        /// Its length on the wire, in bytes.
        length: u32,
    },
    /// A message on a stream of its own: `length` bytes of payload and the end follow.
    Large {
        /// As in [`Begin`](Self::Begin).
        epoch: u64,
        /// As in [`Begin`](Self::Begin).
        receiver: u64,
        /// The same as in [`Elsewhere`](Self::Elsewhere).
        sequence: u64,
        /// Whether the payload is sealed.
        sealed: bool,
        /// How many bytes of payload follow.
        length: u32,
    },
    /// The answers begin.
    Receiver {
        /// Chosen at random when the receiver's process started; never 0.
        epoch: u64,
    },
    /// What became of every message up to this one that had no answer yet.
    Answer {
        /// The last of them.
        sequence: u64,
        /// The same for all of them.
        status: DeliveryStatus,
    },
}

impl<'a> ReliableFrame<'a> {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Begin { epoch, receiver } => {
                out.push(BEGIN);
                put_all(&[epoch, receiver], out);
            }
            Self::Message { sequence, sealed, payload } => {
                out.push(if sealed { MESSAGE | SEALED } else { MESSAGE });
                put_all(&[sequence], out);
                put_length(payload.len(), out);
                out.extend_from_slice(payload);
            }
            Self::Elsewhere { sequence, length } => {
                out.push(ELSEWHERE);
                put_all(&[sequence], out);
                out.extend_from_slice(&length.to_be_bytes());
            }
            Self::Large { epoch, receiver, sequence, sealed, length } => {
                out.push(if sealed { LARGE | SEALED } else { LARGE });
                put_all(&[epoch, receiver, sequence], out);
                out.extend_from_slice(&length.to_be_bytes());
            }
            Self::Receiver { epoch } => {
                out.push(RECEIVER);
                put_all(&[epoch], out);
            }
            Self::Answer { sequence, status } => {
                out.push(ANSWER);
                put_all(&[sequence], out);
                out.push(status.to_byte());
            }
        }
    }

    /// Reads the first frame and how many bytes it takes; `None` while it is not complete.
    ///
    /// # Errors
    /// When no bytes that follow could make a frame of these.
    pub fn decode(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, ReliableFrameError> {
        let mut rest = bytes;
        let Some(kind) = take::<1>(&mut rest).map(|[kind]| kind) else { return Ok(None) };
        let frame = match kind {
            BEGIN => Self::begin(&mut rest)?,
            MESSAGE => Self::message(false, &mut rest)?,
            SEALED_MESSAGE => Self::message(true, &mut rest)?,
            ELSEWHERE => Self::elsewhere(&mut rest)?,
            LARGE => Self::large(false, &mut rest)?,
            SEALED_LARGE => Self::large(true, &mut rest)?,
            RECEIVER => match number(&mut rest) {
                Some(0) => return Err(ReliableFrameError::NoEpoch),
                epoch => epoch.map(|epoch| Self::Receiver { epoch }),
            },
            ANSWER => Self::answer(&mut rest)?,
            found => return Err(ReliableFrameError::Type { found }),
        };
        Ok(frame.map(|frame| (frame, bytes.len() - rest.len())))
    }

    fn begin(rest: &mut &'a [u8]) -> Result<Option<Self>, ReliableFrameError> {
        let (Some(epoch), Some(receiver)) = (number(rest), number(rest)) else { return Ok(None) };
        if epoch == 0 {
            return Err(ReliableFrameError::NoEpoch);
        }
        Ok(Some(Self::Begin { epoch, receiver }))
    }

    fn message(sealed: bool, rest: &mut &'a [u8]) -> Result<Option<Self>, ReliableFrameError> {
        let (Some(sequence), Some(length)) = (number(rest), take::<4>(rest)) else {
            return Ok(None);
        };
        let length = check_length(u32::from_be_bytes(length), MAX_COMMON_MESSAGE + MAX_SEAL)?;
        let Some((payload, after)) = rest.split_at_checked(length) else { return Ok(None) };
        *rest = after;
        Ok(Some(Self::Message { sequence, sealed, payload }))
    }

    fn elsewhere(rest: &mut &'a [u8]) -> Result<Option<Self>, ReliableFrameError> {
        let (Some(sequence), Some(length)) = (number(rest), take::<4>(rest)) else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(length);
        check_length(length, MAX_USER_MESSAGE + MAX_SEAL)?;
        Ok(Some(Self::Elsewhere { sequence, length }))
    }

    fn large(sealed: bool, rest: &mut &'a [u8]) -> Result<Option<Self>, ReliableFrameError> {
        let Some(Self::Begin { epoch, receiver }) = Self::begin(rest)? else { return Ok(None) };
        let Some(Self::Elsewhere { sequence, length }) = Self::elsewhere(rest)? else {
            return Ok(None);
        };
        Ok(Some(Self::Large { epoch, receiver, sequence, sealed, length }))
    }

    fn answer(rest: &mut &'a [u8]) -> Result<Option<Self>, ReliableFrameError> {
        let (Some(sequence), Some([status])) = (number(rest), take::<1>(rest)) else {
            return Ok(None);
        };
        let status = DeliveryStatus::from_byte(status)
            .ok_or(ReliableFrameError::Status { found: status })?;
        Ok(Some(Self::Answer { sequence, status }))
    }
}

const SEALED_MESSAGE: u8 = MESSAGE | SEALED;
const SEALED_LARGE: u8 = LARGE | SEALED;

/// What is authenticated with a sealed payload beside the label: the extension, its kind, whether
/// the message is a large one, and its place in the order of its sender.
pub(super) fn sealed_header(is_large: bool, epoch: u64, sequence: u64) -> Vec<u8> {
    let kind = if is_large { SEALED_LARGE } else { SEALED_MESSAGE };
    let mut header = vec![EXTENSION_BYTE, RELIABLE_KIND, kind];
    put_all(&[epoch, sequence], &mut header);
    header
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReliableFrameError {
    /// No frame has this type.
    #[error("unknown frame type {found:#04x}")]
    Type {
        /// The type byte.
        found: u8,
    },
    /// The status of an answer is none.
    #[error("unknown status {found} of an answer")]
    Status {
        /// The status byte.
        found: u8,
    },
    /// More bytes than a sender may put there.
    #[error("a message of {length} bytes; at most {limit} are taken there")]
    TooLong {
        /// The announced length.
        length: usize,
        /// The longest that is taken.
        limit: usize,
    },
    /// An epoch is 0, which stands for none.
    #[error("an epoch is 0")]
    NoEpoch,
}

fn put_all(numbers: &[u64], out: &mut Vec<u8>) {
    for number in numbers {
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    debug_assert!(length < u32::MAX, "a message is longer than any receiver takes");
    out.extend_from_slice(&length.to_be_bytes());
}

fn check_length(length: u32, limit: usize) -> Result<usize, ReliableFrameError> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > limit {
        return Err(ReliableFrameError::TooLong { length, limit });
    }
    Ok(length)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*bytes)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    take::<8>(rest).map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: [ReliableFrame<'_>; 8] = [
        ReliableFrame::Begin { epoch: 7, receiver: 0 },
        ReliableFrame::Message { sequence: 1, sealed: false, payload: b"hello" },
        ReliableFrame::Message { sequence: 2, sealed: true, payload: b"" },
        ReliableFrame::Elsewhere { sequence: 3, length: 70_000 },
        ReliableFrame::Large { epoch: 7, receiver: 9, sequence: 3, sealed: false, length: 70_000 },
        ReliableFrame::Large { epoch: 7, receiver: 9, sequence: 3, sealed: true, length: 1 },
        ReliableFrame::Receiver { epoch: 9 },
        ReliableFrame::Answer { sequence: 3, status: DeliveryStatus::NoReceiver },
    ];

    #[test]
    fn frames_are_read_as_they_were_written_and_no_part_of_one_is_a_frame() {
        for frame in FRAMES {
            let mut bytes = Vec::new();
            frame.encode(&mut bytes);
            assert_eq!(ReliableFrame::decode(&bytes), Ok(Some((frame, bytes.len()))));
            for length in 0..bytes.len() {
                assert_eq!(ReliableFrame::decode(&bytes[..length]), Ok(None), "{frame:?}");
            }
        }
    }

    #[test]
    fn a_message_costs_thirteen_bytes() {
        let mut bytes = Vec::new();
        ReliableFrame::Message { sequence: 258, sealed: false, payload: b"ab" }.encode(&mut bytes);
        assert_eq!(bytes, b"\x01\0\0\0\0\0\0\x01\x02\0\0\0\x02ab");
    }

    #[test]
    fn impossible_frames_are_refused_before_their_payload_arrives() {
        let too_long = [&[MESSAGE][..], &[0; 8], &[0, 2, 0, 0]].concat();
        let error = ReliableFrame::decode(&too_long).unwrap_err();
        assert!(matches!(error, ReliableFrameError::TooLong { length: 131_072, .. }), "{error}");
        let too_large = [&[ELSEWHERE][..], &[0; 8], &[2, 0, 0, 0]].concat();
        assert!(ReliableFrame::decode(&too_large).is_err());
        assert!(ReliableFrame::decode(&[4]).is_err());
        assert!(ReliableFrame::decode(&[BEGIN; 17]).is_err());
        assert!(ReliableFrame::decode(&[&[ANSWER][..], &[0; 8], &[4]].concat()).is_err());
    }
}

//! Bytes that could not be decoded: how they are counted and reported.

use crate::effects::Effects;
use crate::member::Peer;
use crate::output::WarningKind;
use crate::wire::compress::DecompressError;
use crate::wire::{PacketDecodeError, StreamDecodeError};
use crate::with_sources::with_sources;

/// Counts and reports a packet.
pub(crate) fn refuse_packet(error: &PacketDecodeError, from: &Peer, effects: &mut Effects) {
    let kind = match error {
        PacketDecodeError::Label(_) => WarningKind::WrongLabel,
        PacketDecodeError::Decrypt { .. } => WarningKind::WrongKey,
        PacketDecodeError::Decompress { source: DecompressError::NoShareLeft, .. } => {
            WarningKind::Overload
        }
        PacketDecodeError::Empty
        | PacketDecodeError::Checksum { .. }
        | PacketDecodeError::Compound { .. }
        | PacketDecodeError::Decompress { .. }
        | PacketDecodeError::TooDeep { .. }
        | PacketDecodeError::TooManyMessages { .. }
        | PacketDecodeError::Malformed { .. } => WarningKind::Malformed,
    };
    count(kind, effects);
    effects.warn(kind, from.address, with_sources(error));
}

/// Counts a stream; returns the kind of warning that says what is wrong.
pub(crate) fn count_stream(error: &StreamDecodeError, effects: &mut Effects) -> WarningKind {
    let kind = match error {
        StreamDecodeError::Label(_) => WarningKind::WrongLabel,
        StreamDecodeError::Encrypted
        | StreamDecodeError::NotEncrypted
        | StreamDecodeError::Decrypt(_) => WarningKind::WrongKey,
        StreamDecodeError::Decompress(DecompressError::NoShareLeft) => WarningKind::Overload,
        StreamDecodeError::Decompress(_)
        | StreamDecodeError::Truncated { .. }
        | StreamDecodeError::UnexpectedType(_)
        | StreamDecodeError::Negative { .. }
        | StreamDecodeError::TooLong { .. }
        | StreamDecodeError::Malformed { .. } => WarningKind::Malformed,
    };
    count(kind, effects);
    kind
}

fn count(kind: WarningKind, effects: &mut Effects) {
    let counters = effects.count();
    match kind {
        WarningKind::WrongLabel => counters.refused_label += 1,
        WarningKind::WrongKey => counters.refused_key += 1,
        WarningKind::Malformed => counters.refused_malformed += 1,
        WarningKind::Overload => counters.refused_expansion += 1,
        WarningKind::VersionRefused
        | WarningKind::Impostor
        | WarningKind::NotAdmitted
        | WarningKind::PacketsBlocked
        | WarningKind::SharedAddress => {
            debug_assert!(false, "{kind} is about decoded bytes");
        }
    }
}

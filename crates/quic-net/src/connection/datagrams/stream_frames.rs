//! The stream frames of a packet that quiche has decrypted, which it does in place (RFC 9000
//! sections 12.4 and 19).

use octets::{BufferTooShortError, Octets};

use crate::connection_id::ID_LENGTH;

/// What a stream frame brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamFrame {
    pub(crate) stream: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Calls `note` for each stream frame of a packet with a short header, as far as it can be read:
/// quiche has read it before, and ended the connection if it could not.
pub(crate) fn for_each_stream_frame(packet: &[u8], mut note: impl FnMut(StreamFrame)) {
    let Some(first) = packet.first() else { return };
    let begin = 1 + ID_LENGTH + usize::from(first & NUMBER_LENGTH) + 1;
    let end = packet.len().saturating_sub(TAG);
    let mut frames = Octets::with_slice(packet.get(begin..end).unwrap_or_default());
    while frames.cap() > 0 {
        match next(&mut frames) {
            Ok(Some(frame)) => note(frame),
            Ok(None) => {}
            Err(BufferTooShortError) => return,
        }
    }
}

/// Reads one frame.
fn next(frames: &mut Octets<'_>) -> Result<Option<StreamFrame>, BufferTooShortError> {
    let kind = frames.get_varint()?;
    match kind {
        // PADDING, PING, HANDSHAKE_DONE.
        0x00 | 0x01 | 0x1e => {}
        // ACK.
        0x02 | 0x03 => {
            skip_varints(frames, 2)?;
            let ranges = frames.get_varint()?;
            skip_varints(frames, ranges.saturating_mul(2).saturating_add(1))?;
            skip_varints(frames, if kind == 0x03 { 3 } else { 0 })?;
        }
        // RESET_STREAM.
        0x04 => skip_varints(frames, 3)?,
        // STOP_SENDING, MAX_STREAM_DATA, STREAM_DATA_BLOCKED.
        0x05 | 0x11 | 0x15 => skip_varints(frames, 2)?,
        // CRYPTO.
        0x06 => {
            skip_varints(frames, 1)?;
            frames.get_bytes_with_varint_length()?;
        }
        // NEW_TOKEN.
        0x07 => {
            frames.get_bytes_with_varint_length()?;
        }
        0x08..=0x0f => return stream_frame(kind, frames).map(Some),
        // MAX_DATA, MAX_STREAMS, DATA_BLOCKED, STREAMS_BLOCKED, RETIRE_CONNECTION_ID.
        0x10 | 0x12..=0x14 | 0x16 | 0x17 | 0x19 => skip_varints(frames, 1)?,
        // NEW_CONNECTION_ID, with a token of 16 bytes.
        0x18 => {
            skip_varints(frames, 2)?;
            frames.get_bytes_with_u8_length()?;
            frames.get_bytes(16)?;
        }
        // PATH_CHALLENGE, PATH_RESPONSE.
        0x1a | 0x1b => {
            frames.get_bytes(8)?;
        }
        // CONNECTION_CLOSE.
        0x1c | 0x1d => {
            skip_varints(frames, if kind == 0x1c { 2 } else { 1 })?;
            frames.get_bytes_with_varint_length()?;
        }
        // DATAGRAM (RFC 9221).
        0x31 => {
            frames.get_bytes_with_varint_length()?;
        }
        // A datagram to the end of the packet, or none of ours.
        _ => {
            frames.get_bytes(frames.cap())?;
        }
    }
    Ok(None)
}

fn stream_frame(kind: u64, frames: &mut Octets<'_>) -> Result<StreamFrame, BufferTooShortError> {
    let stream = frames.get_varint()?;
    let offset = if kind & 0x04 == 0 { 0 } else { frames.get_varint()? };
    let length = match kind & 0x02 {
        0 => frames.cap(),
        _ => usize::try_from(frames.get_varint()?).map_err(|_| BufferTooShortError)?,
    };
    frames.get_bytes(length)?;
    Ok(StreamFrame { stream, offset, length: u64::try_from(length).unwrap_or(u64::MAX) })
}

fn skip_varints(frames: &mut Octets<'_>, count: u64) -> Result<(), BufferTooShortError> {
    for _ in 0..count {
        frames.get_varint()?;
    }
    Ok(())
}

/// The length of a packet's number, less one, in its first byte.
const NUMBER_LENGTH: u8 = 0x03;
/// Every cipher of TLS 1.3 that QUIC uses has a tag of 16 bytes (RFC 9001 section 5.3).
const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet with a number of two bytes and these frames.
    fn frames_of(frames: &[u8]) -> Vec<(u64, u64, u64)> {
        let packet = [&[0x41; 1 + ID_LENGTH + 2][..], frames, &[0; TAG]].concat();
        let mut found = Vec::new();
        for_each_stream_frame(&packet, |frame| {
            found.push((frame.stream, frame.offset, frame.length));
        });
        found
    }

    #[test]
    fn stream_frames_are_found_among_all_others() {
        let others: [&[u8]; 12] = [
            &[0, 0, 1, 0x1e],
            &[2, 9, 0, 1, 3, 2, 1],
            &[3, 9, 0, 0, 3, 1, 1, 1],
            &[4, 7, 1, 2],
            &[5, 7, 1, 0x11, 7, 1, 0x15, 7, 1],
            &[6, 0, 2, 8, 8],
            &[7, 2, 8, 8],
            &[0x10, 1, 0x12, 1, 0x13, 1, 0x14, 1, 0x16, 1, 0x17, 1, 0x19, 1],
            &[0x18, 1, 0, 2, 8, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            &[0x1a, 8, 8, 8, 8, 8, 8, 8, 8, 0x1b, 8, 8, 8, 8, 8, 8, 8, 8],
            &[0x31, 2, 8, 8],
            &[0x1c, 1, 6, 2, 8, 8, 0x1d, 1, 2, 8, 8],
        ];
        for other in others {
            let frames = [other, &[0x0e, 4, 9, 2, 8, 8], other, &[0x0b, 2, 1, 8, 8, 4, 8, 8]];
            let wanted = [(4, 9, 2), (2, 0, 1), (4, 0, 2)];
            assert_eq!(frames_of(&frames.concat()), wanted, "{other:?}");
        }
    }

    #[test]
    fn a_frame_without_a_length_takes_the_rest_and_what_is_cut_ends_it() {
        assert_eq!(frames_of(&[0x0c, 4, 9, 1, 2, 3]), [(4, 9, 3)]);
        assert_eq!(frames_of(&[0x0a, 4, 1, 8, 0x0e, 4, 9, 200, 1]), [(4, 0, 1)]);
        assert_eq!(frames_of(&[0x30, 0x0a, 4, 1, 8]), []);
        for_each_stream_frame(&[0x41; 20], |frame| unreachable!("{frame:?}"));
        for_each_stream_frame(&[], |frame| unreachable!("{frame:?}"));
    }
}

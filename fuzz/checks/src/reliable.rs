//! Frames of reliable messages: what was read is written again, a part of a frame is no frame, and
//! sealed payloads open in their place only.
//!
//! The first byte chooses the settings (see `layers`), the second where the bytes are cut. The rest
//! is a run of frames.

use swim_core::wire::{PayloadPlace, ReliableFrame, open_payload, seal_payload};

use crate::draw::Draw;
use crate::layers::{NONCE, chosen};

/// Checks one input. Returns whether a frame was read.
///
/// # Panics
/// On a finding.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    let (flags, cut) = (draw.byte(), usize::from(draw.byte()));
    let settings = chosen(flags);
    let mut rest = draw.rest();
    let mut frames = 0_u64;
    while let Ok(Some((frame, length))) = ReliableFrame::decode(rest) {
        let (bytes, after) = rest.split_at(length);
        let mut written = Vec::new();
        frame.encode(&mut written);
        assert_eq!(written, bytes, "what we read, we write");
        let part = &bytes[..cut % length];
        assert_eq!(ReliableFrame::decode(part), Ok(None), "a part of a frame");
        if let ReliableFrame::Message { sequence, sealed, payload } = frame {
            let place = PayloadPlace { is_large: false, epoch: 1 + frames, sequence };
            // Any payload may claim to be sealed.
            let _ = open_payload(payload.to_vec(), sealed, place, &settings);
            let (bytes, sealed) = seal_payload(payload, place, &settings, NONCE);
            let opened = open_payload(bytes.clone(), sealed, place, &settings);
            assert!(opened.is_err() || opened.as_deref() == Ok(payload), "sealed and opened");
            let other = PayloadPlace { is_large: true, ..place };
            assert!(!sealed || open_payload(bytes, sealed, other, &settings).is_err());
        }
        frames += 1;
        rest = after;
    }
    frames > 0
}

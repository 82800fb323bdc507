//! Lies about what it speaks and which process it is, and sends what it never listed.

use super::line::{Line, Scene};
use super::strategy::Strategy;
use crate::features::Features;
use crate::sim::sim_rng::SimRng;
use crate::view_digest::DIGEST_LENGTH;
use crate::wire::{EXTENSION_BYTE, Message, Ping, RELIABLE_KIND};

/// Remembers nothing: each greeting differs from the one before.
pub(crate) struct CapabilityForger;

impl Strategy for CapabilityForger {
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64 {
        let to = rng.pick(&scene.listeners());
        let features = match rng.below(4) {
            0 => None,
            1 => Some(Features::NONE),
            2 => Some(Features::from_bits(u64::MAX)),
            _ => Some(Features::SUPPORTED),
        };
        line.greet_anew(features, rng.rate(0, u32::MAX).into());
        let mut digest = [0; DIGEST_LENGTH];
        digest.fill_with(|| u8::try_from(rng.below(256)).unwrap_or(0));
        // One that waits for an answer, so that the start number is heard at once.
        let ping = Message::Ping(Ping {
            seq_no: rng.rate(0, 1 << 30),
            node: to.name.as_bytes(),
            digest: &digest[..rng.between(0, DIGEST_LENGTH)],
            ..Ping::default()
        });
        let kind = [0, 1, RELIABLE_KIND, 0x7F][rng.below(4)];
        let frame = [EXTENSION_BYTE, kind, digest[0], digest[1], digest[2]];
        let id = line.open(to);
        line.begin(id, &frame);
        line.tell(to, &[ping]) + 2
    }
}

//! Asks for exchanges and takes no answers; opens streams and leaves them.

use super::line::{Line, Scene};
use super::strategy::Strategy;
use crate::sim::sim_rng::SimRng;
use crate::wire::MessageType;

/// Up to so many streams at a time.
const TOGETHER: usize = 20;

/// Remembers nothing: no stream is ever read or ended.
pub(crate) struct Drainer;

impl Strategy for Drainer {
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64 {
        let to = rng.pick(&scene.listeners());
        let count = rng.between(1, TOGETHER);
        for _ in 0..count {
            if rng.below(2) == 0 {
                line.exchange(scene, to, None);
            } else {
                let id = line.open(to);
                line.begin(id, &[MessageType::PushPull.to_byte()]);
            }
        }
        count as u64
    }
}

//! Takes the answers to its exchanges byte by byte.

use super::line::{Line, Scene};
use super::strategy::Strategy;
use crate::output::StreamId;
use crate::sim::sim_rng::SimRng;

/// So many exchanges at once.
const MOST: usize = 64;

/// The answers that it is taking.
#[derive(Default)]
pub(crate) struct SlowReader {
    answers: Vec<StreamId>,
}

impl Strategy for SlowReader {
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64 {
        let to = rng.pick(&scene.listeners());
        if self.answers.len() < MOST {
            self.answers.extend(line.exchange(scene, to, None));
        }
        let mut taken = 0;
        self.answers.retain(|id| {
            let bytes = line.take(*id);
            taken += bytes.unwrap_or(0) as u64;
            bytes.is_some()
        });
        taken
    }
}

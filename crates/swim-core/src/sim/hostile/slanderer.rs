//! Suspects every honest member, in its own name, at the incarnation that it has.

use super::line::{Line, Scene};
use super::strategy::Strategy;
use crate::sim::sim_rng::SimRng;
use crate::wire::{Message, Suspect};

/// All of them together, to one listener at a time.
pub(crate) struct Slanderer;

impl Strategy for Slanderer {
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64 {
        let to = rng.pick(&scene.listeners());
        let suspicions: Vec<Message<'_>> = scene
            .honest
            .iter()
            .map(|known| {
                let (node, from) = (known.name.as_bytes(), scene.me.as_bytes());
                Message::Suspect(Suspect { incarnation: known.incarnation, node, from })
            })
            .collect();
        line.tell(to, &suspicions)
    }
}

//! Says that honest members are alive, at higher and higher incarnations.

use super::inventions::forged_incarnation;
use super::line::{Line, Scene, VERSIONS};
use super::strategy::Strategy;
use crate::sim::sim_rng::SimRng;
use crate::wire::{Alive, Message};

/// Where they are, so that only the incarnation is wrong.
pub(crate) struct Inflater;

impl Strategy for Inflater {
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64 {
        let to = rng.pick(&scene.listeners());
        let subject = &scene.honest[rng.below(scene.honest.len())];
        let ip = subject.ip();
        line.tell(
            to,
            &[Message::Alive(Alive {
                incarnation: forged_incarnation(subject.incarnation, rng),
                node: subject.name.as_bytes(),
                addr: Some(&ip),
                port: subject.address.port(),
                meta: None,
                vsn: Some(&VERSIONS),
            })],
        )
    }
}

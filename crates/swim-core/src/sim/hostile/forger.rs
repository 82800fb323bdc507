//! Says that honest members are suspect, dead or gone.

use super::inventions::{Invention, forged_incarnation};
use super::line::{Line, Scene, VERSIONS};
use super::strategy::Strategy;
use crate::sim::sim_rng::SimRng;
use crate::wire::{Dead, Message, NodeState, Suspect};

/// In real and invented names, in packets alone and together, and in exchanges.
pub(crate) struct Forger;

impl Strategy for Forger {
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64 {
        let listeners = scene.listeners();
        let (to, subject) = (rng.pick(&listeners), &scene.honest[rng.below(scene.honest.len())]);
        let witness = &scene.honest[rng.below(scene.honest.len())].name;
        let invented = Invention::numbered("forger", rng.rate(0, 9)).name;
        let node = subject.name.as_bytes();
        let from = match rng.below(4) {
            0 => scene.me.as_bytes(),
            1 => witness.as_bytes(),
            2 => invented.as_bytes(),
            // As if it had left.
            _ => node,
        };
        let incarnation = forged_incarnation(subject.incarnation, rng);
        let suspect = Message::Suspect(Suspect { incarnation, node, from });
        let dead = Message::Dead(Dead { incarnation, node, from });
        match rng.below(4) {
            0 => line.tell(to, &[suspect]),
            1 => line.tell(to, &[dead]),
            2 => line.tell(to, &[suspect, dead]),
            _ => {
                let ip = subject.ip();
                let entry = NodeState {
                    name: node,
                    addr: Some(&ip),
                    port: subject.address.port(),
                    meta: None,
                    incarnation,
                    state: [1, 2, 3][rng.below(3)],
                    vsn: Some(&VERSIONS),
                };
                u64::from(line.exchange(scene, to, Some(entry)).is_some())
            }
        }
    }
}

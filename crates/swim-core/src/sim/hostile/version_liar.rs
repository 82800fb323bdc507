//! States versions that overlap with nobody's, of members that exist and of invented ones.

use super::inventions::Invention;
use super::line::{Line, Scene};
use super::strategy::Strategy;
use crate::sim::sim_rng::SimRng;
use crate::wire::{Alive, Message, NodeState};

/// Protocols from 9 to 11, and the application's from 7 to 8.
const FOREIGN: [u8; 6] = [9, 11, 10, 7, 8, 7];

/// Knows how many members it has invented.
#[derive(Default)]
pub(crate) struct VersionLiar {
    invented: u32,
}

impl Strategy for VersionLiar {
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64 {
        let to = rng.pick(&scene.listeners());
        let subject = &scene.honest[rng.below(scene.honest.len())];
        // Few of them: each exchange must meet some again.
        self.invented = (self.invented + 1) % 20;
        let invention = Invention::numbered("liar", self.invented);
        let (name, ip, port, incarnation) = match rng.below(3) {
            0 => (invention.name.as_bytes(), invention.ip.to_vec(), 7946, 1),
            1 => (scene.me.as_bytes(), scene.my_ip(), scene.my_address.port(), 2),
            _ => {
                let incarnation = subject.incarnation.saturating_add(1);
                (subject.name.as_bytes(), subject.ip(), subject.address.port(), incarnation)
            }
        };
        let (addr, vsn) = (Some(ip.as_slice()), Some(&FOREIGN[..]));
        if rng.below(2) == 0 {
            let alive = Alive { incarnation, node: name, addr, port, meta: None, vsn };
            return line.tell(to, &[Message::Alive(alive)]);
        }
        let entry = NodeState { name, addr, port, meta: None, incarnation, state: 0, vsn };
        u64::from(line.exchange(scene, to, Some(entry)).is_some())
    }
}

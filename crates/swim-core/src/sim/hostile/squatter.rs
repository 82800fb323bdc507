//! Claims the names and addresses of honest members.

use super::inventions::{Invention, forged_incarnation};
use super::line::{Line, Scene, VERSIONS};
use super::strategy::Strategy;
use crate::sim::sim_rng::SimRng;
use crate::wire::{Alive, Message};

/// Honest names at its own address, and invented names at honest addresses.
pub(crate) struct Squatter;

impl Strategy for Squatter {
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64 {
        let to = rng.pick(&scene.listeners());
        let subject = &scene.honest[rng.below(scene.honest.len())];
        let invented = Invention::numbered("squatter", rng.rate(0, 99)).name;
        let incarnation = forged_incarnation(subject.incarnation, rng);
        let (node, ip, port) = if rng.below(2) == 0 {
            (subject.name.as_bytes(), scene.my_ip(), scene.my_address.port())
        } else {
            (invented.as_bytes(), subject.ip(), subject.address.port())
        };
        let vsn = Some(&VERSIONS[..]);
        let addr = Some(ip.as_slice());
        line.tell(to, &[Message::Alive(Alive { incarnation, node, addr, port, meta: None, vsn })])
    }
}

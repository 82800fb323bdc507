//! Invents members, and makes others send to addresses that nobody has.

use super::inventions::Invention;
use super::line::{Line, Scene, VERSIONS};
use super::strategy::Strategy;
use crate::sim::sim_rng::SimRng;
use crate::wire::{Alive, IndirectPing, Message, Ping};

/// Up to so many members in one packet: some hundreds a second.
const TOGETHER: usize = 40;

/// Knows how many it has invented.
#[derive(Default)]
pub(crate) struct Flooder {
    invented: u32,
}

impl Strategy for Flooder {
    fn act(&mut self, scene: &Scene, rng: &mut SimRng, line: &mut Line<'_, '_>) -> u64 {
        let to = rng.pick(&scene.listeners());
        let source_node = scene.me.as_bytes();
        let nobody = Invention::numbered(&scene.me, rng.rate(0, 1_000));
        let ping = Message::Ping(Ping {
            seq_no: rng.rate(0, 1 << 30),
            node: to.name.as_bytes(),
            source_addr: &nobody.ip,
            source_port: 7946,
            source_node,
            ..Ping::default()
        });
        let request = Message::IndirectPing(IndirectPing {
            seq_no: rng.rate(0, 1 << 30),
            target: Some(&nobody.ip),
            port: 7946,
            node: nobody.name.as_bytes(),
            nack: rng.below(2) == 0,
            source_addr: &nobody.ip,
            source_port: 7946,
            source_node,
        });
        let count = u32::try_from(rng.between(1, TOGETHER)).unwrap_or(1);
        let numbers = self.invented..self.invented + count;
        self.invented += count;
        let inventions: Vec<Invention> =
            numbers.map(|number| Invention::numbered(&scene.me, number)).collect();
        let claims: Vec<Message<'_>> = inventions.iter().map(alive).collect();
        line.tell(to, &[ping, request]) + line.tell(to, &claims)
    }
}

fn alive(invention: &Invention) -> Message<'_> {
    Message::Alive(Alive {
        incarnation: 1,
        node: invention.name.as_bytes(),
        addr: Some(&invention.ip),
        port: 7946,
        meta: None,
        vsn: Some(&VERSIONS),
    })
}

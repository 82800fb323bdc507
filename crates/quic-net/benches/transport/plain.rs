//! UDP alone: what any transport on it has to be compared with.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use crate::driver::Machine;

pub(crate) struct Plain {
    peer: Option<SocketAddr>,
    waiting: VecDeque<Vec<u8>>,
    arrived: u64,
}

impl Plain {
    /// Greets the peer, if there is one, so that both know each other.
    pub(crate) fn new(peer: Option<SocketAddr>) -> Self {
        let waiting = peer.iter().map(|_| b"hello".to_vec()).collect();
        Self { peer, waiting, arrived: 0 }
    }
}

impl Machine for Plain {
    fn receive(&mut self, from: SocketAddr, _bytes: &mut [u8], _now: Instant) {
        self.peer = Some(from);
        self.arrived += 1;
    }

    fn transmit(&mut self, buffer: &mut [u8]) -> Option<(SocketAddr, usize, Option<usize>)> {
        let bytes = self.waiting.pop_front()?;
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Some((self.peer.unwrap(), bytes.len(), None))
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn on_timeout(&mut self, _now: Instant) {}

    fn send(&mut self, bytes: &[u8]) {
        self.waiting.push_back(bytes.to_vec());
    }

    fn take(&mut self) -> u64 {
        std::mem::take(&mut self.arrived)
    }

    fn is_up(&self) -> bool {
        self.peer.is_some()
    }
}

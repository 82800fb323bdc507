//! How much waits in a connection's queues.
//!
//! Keeps the endpoint's total true; what happens when that is reached is decided by whoever
//! queues.

use super::Connection;
use crate::shared::Shared;

impl Connection {
    /// Brings the endpoint's total of queued bytes up to date with our queues.
    pub(super) fn account(&mut self, shared: &mut Shared) {
        let weight = self.weight();
        shared.buffered = (shared.buffered + weight).saturating_sub(self.accounted);
        self.accounted = weight;
    }

    /// What all queues of this connection hold, in bytes. What quiche holds is bounded by its
    /// windows and its own queues.
    fn weight(&self) -> usize {
        let early: usize = self.early.iter().map(Vec::len).sum();
        let queued: usize = self.queue.iter().map(|(_, bytes)| bytes.len()).sum();
        let held: usize = self.held.iter().map(Vec::len).sum();
        let arriving: usize = self.packets_in.values().map(|packet| packet.bytes.len()).sum();
        self.unwritten() + early + queued + held + arriving
    }

    /// How much waits for room in quiche: bytes, and ends of streams.
    pub(crate) fn unwritten(&self) -> usize {
        let packets: usize =
            self.packets_out.iter().map(|packet| packet.bytes.len() - packet.sent).sum();
        self.buffered + self.writing.len() + packets + self.packets_out.len()
    }
}

//! The decoder that all peers share, and how much each of them may have it decompress.
//!
//! A few kilobytes decompress to a megabyte in a packet, and to forty on a stream.

use std::collections::BTreeMap;

use crate::member::Peer;
use crate::payer::Payer;
use crate::time::Time;
use crate::wire::PacketDecoder;

/// What one member may have decompressed in a second, and in advance, in bytes. The longest message
/// takes 40 MiB, and the state of 100,000 members some 20: a peer's exchange finds room directly
/// after another one. To decompress as much takes some 40 ms of one core.
const EXPANSION: u64 = 64 * 1024 * 1024;
/// In a second.
const MILLISECONDS: u64 = 1_000;
/// The most payers that are remembered; while there is no room, others wait. Whoever has used
/// nothing for a moment is forgotten.
const MAX_REMEMBERED: usize = 4_096;

/// A decoder, and what its users have spent. A default one allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct SharedDecoder {
    decoder: PacketDecoder,
    spent: BTreeMap<Payer, Spent>,
}

/// What has been decompressed for a payer and is not made up for by time.
#[derive(Clone, Copy, Debug)]
struct Spent {
    bytes: u64,
    at: Time,
}

impl Spent {
    fn bytes_at(self, now: Time, payer: &Payer) -> u64 {
        let elapsed = u64::try_from((now - self.at).as_millis()).unwrap_or(u64::MAX);
        let regained = elapsed.saturating_mul(share(payer) / MILLISECONDS);
        self.bytes.saturating_sub(regained)
    }
}

impl SharedDecoder {
    /// The decoder, for what a peer has sent of its own accord. It decompresses nothing if the peer
    /// has no share left. [`charge`](Self::charge) follows.
    pub(crate) fn for_peer(&mut self, from: &Peer, now: Time) -> &mut PacketDecoder {
        let may_decompress = self.spent.is_empty() || self.has_share(&Payer::of(from), now);
        self.decoder.set_may_decompress(may_decompress);
        &mut self.decoder
    }

    /// The decoder, for an answer: how often we ask is for us to say.
    pub(crate) fn for_answer(&mut self) -> &mut PacketDecoder {
        self.decoder.set_may_decompress(true);
        &mut self.decoder
    }

    /// Has a peer pay for what has been decompressed since this was called last; nobody pays where
    /// it was an answer.
    pub(crate) fn charge(&mut self, from: Option<&Peer>, now: Time) {
        let bytes = self.decoder.take_decompressed();
        if bytes > 0
            && let Some(payer) = from.map(Payer::of)
        {
            let before = self.spent.get(&payer).map_or(0, |spent| spent.bytes_at(now, &payer));
            self.spent.insert(payer, Spent { bytes: before.saturating_add(bytes), at: now });
        }
    }

    fn has_share(&mut self, payer: &Payer, now: Time) -> bool {
        match self.spent.get(payer) {
            Some(spent) => spent.bytes_at(now, payer) < share(payer),
            None => self.has_room(now),
        }
    }

    /// Whether one more payer can be remembered.
    fn has_room(&mut self, now: Time) -> bool {
        if self.spent.len() >= MAX_REMEMBERED {
            self.spent.retain(|payer, spent| spent.bytes_at(now, payer) > 0);
        }
        self.spent.len() < MAX_REMEMBERED
    }
}

fn share(payer: &Payer) -> u64 {
    EXPANSION.saturating_mul(u64::try_from(payer.shares()).unwrap_or(u64::MAX))
}

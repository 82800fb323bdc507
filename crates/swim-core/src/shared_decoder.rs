//! The decoder that all peers share, and how much each of them may have it decompress.
//!
//! A few kilobytes decompress to a megabyte in a packet, and to forty on a stream.

use crate::member::Peer;
use crate::payer::Payer;
use crate::payer_ledger::{PayerLedger, Share};
use crate::time::Time;
use crate::wire::PacketDecoder;

/// What one member may have decompressed in a second, and in advance, in bytes. The longest message
/// takes 40 MiB, and the state of 100,000 members some 20: a peer's exchange finds room directly
/// after another one. To decompress as much takes some 40 ms of one core.
const EXPANSION: u64 = 64 * 1024 * 1024;
/// A decoder, and what its users have spent. A default one allocates nothing.
#[derive(Debug)]
pub(crate) struct SharedDecoder {
    decoder: PacketDecoder,
    decompressed: PayerLedger,
}

impl Default for SharedDecoder {
    fn default() -> Self {
        let share = Share { at_once: EXPANSION, a_second: EXPANSION };
        Self { decoder: PacketDecoder::default(), decompressed: PayerLedger::new(share) }
    }
}

impl SharedDecoder {
    /// The decoder, for what a peer has sent of its own accord. It decompresses nothing if the peer
    /// has no share left. [`charge`](Self::charge) follows.
    pub(crate) fn for_peer(&mut self, from: &Peer, now: Time) -> &mut PacketDecoder {
        let may_decompress =
            self.decompressed.is_empty() || self.decompressed.has_share(&Payer::of(from), now);
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
            self.decompressed.charge(payer, bytes, now);
        }
    }
}

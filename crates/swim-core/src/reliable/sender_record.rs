//! What a receiver knows of one sender's process: what of it was handed over, and how that ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::outgoing_peer::{MAX_UNANSWERED, MAX_UNANSWERED_BYTES};
use crate::member_name::MemberName;
use crate::output::{AcknowledgementId, StreamId};
use crate::time::Time;
use crate::wire::DeliveryStatus;

/// One process of a sender: the names that its certificate proves, and its epoch. Where nothing is
/// verified, the epoch alone, which nobody can guess.
pub(super) type SenderKey = (Arc<[MemberName]>, u64);

/// What was received of one process of a sender.
pub(super) struct SenderRecord {
    pub(super) last_used: Time,
    /// The common stream.
    pub(super) stream: Option<StreamId>,
    /// The highest number that was handed to the application or refused.
    highest: u64,
    /// Of the last messages, those that were not taken.
    not_taken: BTreeMap<u64, DeliveryStatus>,
    /// Handed over or refused, without an answer so far, in order.
    offers: VecDeque<Offer>,
    /// Behind the place of a large message that has not arrived, which is the first of them.
    early: VecDeque<Early>,
    early_bytes: usize,
    /// Large messages that are arriving, or that have arrived before their place in the order.
    large: BTreeMap<u64, LargeArrival>,
}

struct Offer {
    sequence: u64,
    acknowledgement: Option<AcknowledgementId>,
    status: Option<DeliveryStatus>,
}

/// A message that has to wait, or the place of a large one.
struct Early {
    sequence: u64,
    /// `None` for the place of a large one.
    content: Option<Content>,
}

/// A payload as it came.
pub(super) struct Content {
    pub(super) sealed: bool,
    pub(super) payload: Vec<u8>,
}

/// A large message.
enum LargeArrival {
    Arriving(StreamId),
    Whole(Content),
}

/// Large messages of one sender that are arriving at once: as many as a sender may have under way,
/// and as many of a stream that it has just given up.
const MAX_LARGE: usize = 4;

/// What is to be done with a message that arrived.
pub(super) enum Arrived {
    /// Nothing yet.
    Waits,
    /// It came before; this is what became of it, if that is known already.
    Again(Option<DeliveryStatus>),
    /// Its sender breaks the rules.
    Refused,
}

impl SenderRecord {
    pub(super) fn new(now: Time) -> Self {
        Self {
            last_used: now,
            stream: None,
            highest: 0,
            not_taken: BTreeMap::new(),
            offers: VecDeque::new(),
            early: VecDeque::new(),
            early_bytes: 0,
            large: BTreeMap::new(),
        }
    }

    /// A stream of the sender takes the place of the one before, which is returned. What waited on
    /// that one comes again.
    pub(super) fn begin(&mut self, stream: StreamId) -> Option<StreamId> {
        self.early.clear();
        self.early_bytes = 0;
        self.stream.replace(stream)
    }

    /// Bytes held back.
    pub(super) fn held(&self) -> usize {
        let whole = self.large.values().map(|arrival| match arrival {
            LargeArrival::Arriving(_) => 0,
            LargeArrival::Whole(content) => content.payload.len(),
        });
        self.early_bytes + whole.sum::<usize>()
    }

    /// A message, or the place of a large one, arrived in the order of the stream.
    pub(super) fn arrive(&mut self, sequence: u64, content: Option<Content>) -> Arrived {
        if sequence <= self.highest {
            if self.offers.iter().any(|offer| offer.sequence == sequence) {
                return Arrived::Again(None);
            }
            let status = self.not_taken.get(&sequence).copied();
            return Arrived::Again(Some(status.unwrap_or(DeliveryStatus::Taken)));
        }
        if self.early.back().is_some_and(|last| last.sequence >= sequence) {
            return Arrived::Refused;
        }
        // In the order of the stream, a large message before this one has no place any more.
        let early = &self.early;
        self.large.retain(|number, _| {
            *number >= sequence || early.iter().any(|waits| waits.sequence == *number)
        });
        self.early_bytes += content.as_ref().map_or(0, |content| content.payload.len());
        self.early.push_back(Early { sequence, content });
        let in_flight = self.early.len() + self.offers.len();
        // What may be handed over at once does not wait. Sealing adds to what the sender counted.
        let limit = MAX_UNANSWERED_BYTES + MAX_UNANSWERED * 64;
        if in_flight > MAX_UNANSWERED || (self.is_blocked() && self.early_bytes > limit) {
            return Arrived::Refused;
        }
        Arrived::Waits
    }

    /// Whether the next message is a large one that has not arrived.
    fn is_blocked(&self) -> bool {
        self.early.front().is_some_and(|first| {
            first.content.is_none()
                && !matches!(self.large.get(&first.sequence), Some(LargeArrival::Whole(_)))
        })
    }

    /// The next message in order, if it is here.
    pub(super) fn next_in_order(&mut self) -> Option<(u64, bool, Content)> {
        if self.is_blocked() {
            return None;
        }
        let Early { sequence, content } = self.early.pop_front()?;
        self.highest = sequence;
        match content {
            Some(content) => {
                self.early_bytes -= content.payload.len();
                Some((sequence, false, content))
            }
            None => match self.large.remove(&sequence) {
                Some(LargeArrival::Whole(content)) => Some((sequence, true, content)),
                Some(LargeArrival::Arriving(_)) | None => {
                    debug_assert!(false, "a large message was in order before it was whole");
                    None
                }
            },
        }
    }

    /// A message was handed to the application, or refused with a status.
    pub(super) fn offer(&mut self, sequence: u64, to: Result<AcknowledgementId, DeliveryStatus>) {
        self.offers.push_back(Offer { sequence, acknowledgement: to.ok(), status: to.err() });
    }

    /// The application disposed of a message.
    pub(super) fn acknowledge(&mut self, id: AcknowledgementId, status: DeliveryStatus) {
        if let Some(offer) = self.offers.iter_mut().find(|o| o.acknowledgement == Some(id)) {
            offer.status = Some(status);
        }
    }

    /// The next answer, in order.
    pub(super) fn next_answer(&mut self) -> Option<(u64, DeliveryStatus)> {
        let status = self.offers.front()?.status?;
        let sequence = self.offers.pop_front()?.sequence;
        if status != DeliveryStatus::Taken {
            self.not_taken.insert(sequence, status);
            if self.not_taken.len() > MAX_UNANSWERED {
                // A sender has no more messages without an answer.
                self.not_taken.pop_first();
            }
        }
        Some((sequence, status))
    }

    /// Whether a large message is wanted; its stream is `stream` then. The stream that it came on
    /// before is returned.
    pub(super) fn begin_large(
        &mut self,
        sequence: u64,
        stream: StreamId,
    ) -> Result<Option<StreamId>, LargeRefusal> {
        let is_here = matches!(self.large.get(&sequence), Some(LargeArrival::Whole(_)));
        if sequence <= self.highest || is_here {
            return Err(LargeRefusal::Known);
        }
        if self.large.len() >= MAX_LARGE && !self.large.contains_key(&sequence) {
            return Err(LargeRefusal::TooMany);
        }
        match self.large.insert(sequence, LargeArrival::Arriving(stream)) {
            Some(LargeArrival::Arriving(before)) => Ok(Some(before)),
            Some(LargeArrival::Whole(_)) | None => Ok(None),
        }
    }

    /// A large message has arrived whole.
    pub(super) fn complete_large(&mut self, sequence: u64, content: Content) {
        self.large.insert(sequence, LargeArrival::Whole(content));
    }

    /// The stream of a large message is gone.
    pub(super) fn lose_large(&mut self, sequence: u64, stream: StreamId) {
        if matches!(self.large.get(&sequence), Some(LargeArrival::Arriving(s)) if *s == stream) {
            self.large.remove(&sequence);
        }
    }

    /// The acknowledgements that the application still owes.
    pub(super) fn owed(&self) -> impl Iterator<Item = AcknowledgementId> + '_ {
        self.offers.iter().filter(|o| o.status.is_none()).filter_map(|o| o.acknowledgement)
    }

    /// Whether nothing of the sender is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.stream.is_none() && self.offers.is_empty()
    }
}

/// Why a large message is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LargeRefusal {
    /// It has been here.
    Known,
    /// The sender has too many under way.
    TooMany,
}

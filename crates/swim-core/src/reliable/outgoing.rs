//! The reliable messages that we send: to whom, over which stream, and how each ends.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::outgoing_peer::{Answer, Link, OutgoingMessage, OutgoingPeer, STREAM_LIFETIME};
use crate::effects::Effects;
use crate::error::{OperationError, StreamFailure};
use crate::member_name::MemberName;
use crate::output::{Destination, Outcome, Output, StreamId};
use crate::timers::Timer;

/// The messages that we send, by peer. A peer is kept while something is left to do for it, so
/// that there are no more than operations, and streams in their last seconds.
pub(crate) struct Outgoing {
    /// Of this process; never 0.
    epoch: u64,
    /// The number given to the last message; they count up over all peers.
    sequence: u64,
    peers: BTreeMap<u64, OutgoingPeer>,
    by_name: BTreeMap<MemberName, u64>,
    by_stream: BTreeMap<StreamId, u64>,
    last_peer: u64,
    last_stream: u64,
    /// We have left: no stream is opened any more.
    is_stopped: bool,
}

impl Outgoing {
    pub(crate) fn new(epoch: u64) -> Self {
        Self {
            epoch,
            sequence: 0,
            peers: BTreeMap::new(),
            by_name: BTreeMap::new(),
            by_stream: BTreeMap::new(),
            last_peer: 0,
            last_stream: 0,
            is_stopped: false,
        }
    }

    pub(crate) fn streams(&self) -> usize {
        self.by_stream.len()
    }

    pub(crate) fn has_stream(&self, id: StreamId) -> bool {
        self.by_stream.contains_key(&id)
    }

    /// Sends a message to a member, after those sent to it before.
    pub(crate) fn send(
        &mut self,
        to: Destination,
        name: &MemberName,
        message: OutgoingMessage,
        effects: &mut Effects,
    ) {
        let number = match self.by_name.get(name) {
            Some(number) => *number,
            None => {
                self.last_peer += 1;
                self.by_name.insert(name.clone(), self.last_peer);
                self.peers.insert(self.last_peer, OutgoingPeer::new(to.clone(), effects.now()));
                self.last_peer
            }
        };
        let Some(peer) = self.peers.get_mut(&number) else { return };
        if peer.to.address != to.address {
            // The member has moved: the stream leads to where it was.
            peer.to = to;
            self.restart(number, effects);
        }
        if let Some(peer) = self.peers.get_mut(&number) {
            peer.push(message);
        }
        self.advance(number, effects);
    }

    /// A stream of ours may be written. For the first time, that decides which way the messages go:
    /// where `speaks` is `None` the peer does not take them here, and they are returned, to be sent
    /// as Go's members would. Else it says which process is there, where that is known.
    pub(crate) fn opened(
        &mut self,
        id: StreamId,
        speaks: impl Fn(SocketAddr) -> Option<Option<u64>>,
        effects: &mut Effects,
    ) -> Vec<(Destination, OutgoingMessage)> {
        let peer = self.by_stream.get(&id).and_then(|number| self.peers.get(number));
        let Some(peer) = peer.filter(|peer| peer.link == Link::Opening(id)) else {
            return Vec::new();
        };
        let to = peer.to.clone();
        if let Some(process) = speaks(to.address) {
            self.begin(id, process, effects);
            return Vec::new();
        }
        let messages = self.release(id, effects).into_iter();
        messages.map(|message| (to.clone(), message)).collect()
    }

    /// The peer takes reliable messages: begins with what it has not answered, then what waits.
    fn begin(&mut self, id: StreamId, process: Option<u64>, effects: &mut Effects) {
        let Some(number) = self.by_stream.get(&id).copied() else { return };
        let Some(peer) = self.peers.get_mut(&number) else { return };
        if peer.note_process(process) {
            peer.give_up_unanswered(effects);
        }
        let again = peer.begin(id, self.epoch, effects);
        effects.count().reliable_sent_again += again.len() as u64;
        for place in again {
            self.write(number, place, effects);
        }
        self.advance(number, effects);
    }

    /// The peer does not take reliable messages: what waits for it, to be sent as Go's members
    /// would. What another process there was sent before has an unknown fate.
    fn release(&mut self, id: StreamId, effects: &mut Effects) -> Vec<OutgoingMessage> {
        let Some(number) = self.by_stream.get(&id).copied() else { return Vec::new() };
        self.reset_streams(number, effects);
        let Some(mut peer) = self.remove(number, effects) else { return Vec::new() };
        peer.give_up_unanswered(effects);
        peer.take_waiting().into()
    }

    /// Answers arrived on a stream of ours.
    pub(crate) fn receive(&mut self, id: StreamId, bytes: &[u8], fin: bool, effects: &mut Effects) {
        let Some(number) = self.by_stream.get(&id).copied() else { return };
        let Some(peer) = self.peers.get_mut(&number) else { return };
        effects.count().stream_bytes_in += bytes.len() as u64;
        if peer.link != Link::Open(id) {
            // The end of a large message's stream says nothing: its answer comes in order.
            return;
        }
        peer.receive(bytes, effects.now());
        while let Some(peer) = self.peers.get_mut(&number) {
            let is_valid = match peer.next_answer() {
                Ok(None) => break,
                Ok(Some(Answer::Receiver(epoch))) => {
                    if peer.note_receiver(epoch) {
                        peer.give_up_unanswered(effects);
                        self.restart(number, effects);
                        return self.advance(number, effects);
                    }
                    true
                }
                Ok(Some(Answer::Status(sequence, status))) => {
                    let streams = peer.settle(sequence, status, effects);
                    self.close(streams.as_deref().unwrap_or_default(), effects);
                    streams.is_some()
                }
                Err(()) => false,
            };
            if !is_valid {
                effects.count().refused_malformed += 1;
                self.lose_link(number, StreamFailure::Reset, effects);
                return self.advance(number, effects);
            }
        }
        if fin {
            self.lose_link(number, StreamFailure::Closed, effects);
        }
        self.advance(number, effects);
    }

    /// The transport gave a stream of ours up.
    pub(crate) fn fail(&mut self, id: StreamId, reason: StreamFailure, effects: &mut Effects) {
        let Some(number) = self.by_stream.remove(&id) else { return };
        self.lose_link(number, reason, effects);
        self.advance(number, effects);
    }

    /// Something is due for a peer.
    pub(crate) fn timed_out(&mut self, number: u64, effects: &mut Effects) {
        let now = effects.now();
        let Some(peer) = self.peers.get_mut(&number) else { return };
        let cuts_large = peer.expire(effects);
        if peer.is_overdue(now) {
            self.lose_link(number, StreamFailure::TimedOut, effects);
        } else if cuts_large {
            // The receiver holds what follows back until the whole of it has come.
            self.restart(number, effects);
        }
        let idle = self.peers.get(&number).and_then(|peer| peer.idle_stream(now));
        if let Some(id) = idle {
            effects.push(Output::WriteStream { id, bytes: Vec::new(), finish: true });
            self.close(&[id], effects);
            self.remove(number, effects);
        }
        self.advance(number, effects);
    }

    /// We leave: what was not written is refused, and no stream is opened from here on.
    pub(crate) fn stop(&mut self, effects: &mut Effects) {
        self.is_stopped = true;
        let numbers: Vec<u64> = self.peers.keys().copied().collect();
        for number in numbers {
            let Some(peer) = self.peers.get_mut(&number) else { continue };
            fail_all(peer, &OperationError::HasLeft, effects);
            if !matches!(peer.link, Link::Open(_)) {
                peer.give_up_unanswered(effects);
                self.reset_streams(number, effects);
                self.remove(number, effects);
            }
        }
    }

    /// Opens the stream, or writes what may be written; forgets a peer for which nothing is left.
    fn advance(&mut self, number: u64, effects: &mut Effects) {
        let Some(peer) = self.peers.get_mut(&number) else { return };
        if peer.wants_stream(effects.now()) && !self.is_stopped {
            let id = next_stream(&mut self.last_stream);
            peer.opening(id);
            self.by_stream.insert(id, number);
            let deadline = effects.now() + STREAM_LIFETIME;
            let (to, bytes) = (peer.to.clone(), Vec::new());
            effects.push(Output::OpenStream { id, to, bytes, finish: false, deadline });
        }
        if matches!(peer.link, Link::Open(_)) {
            while let Some(peer) = self.peers.get_mut(&number)
                && let Some(place) = peer.number_next(self.sequence + 1)
            {
                self.sequence += 1;
                self.write(number, place, effects);
            }
        }
        let Some(peer) = self.peers.get(&number) else { return };
        if peer.is_idle() {
            self.remove(number, effects);
        } else if let Some(due) = peer.next_due() {
            effects.set_timer(Timer::Reliable(number), due);
        }
    }

    fn write(&mut self, number: u64, place: usize, effects: &mut Effects) {
        let Some(peer) = self.peers.get_mut(&number) else { return };
        let last_stream = &mut self.last_stream;
        if let Some(id) = peer.write(place, self.epoch, || next_stream(last_stream), effects) {
            self.by_stream.insert(id, number);
        }
    }

    /// Begins anew on another stream, without a pause.
    fn restart(&mut self, number: u64, effects: &mut Effects) {
        self.reset_streams(number, effects);
        if let Some(peer) = self.peers.get_mut(&number) {
            peer.lose_link(effects.now());
            peer.retry_at_once();
        }
    }

    /// The streams to a peer are of no use any more.
    fn lose_link(&mut self, number: u64, reason: StreamFailure, effects: &mut Effects) {
        self.reset_streams(number, effects);
        let Some(peer) = self.peers.get_mut(&number) else { return };
        peer.lose_link(effects.now());
        if self.is_stopped {
            peer.give_up_unanswered(effects);
        }
        if reason == StreamFailure::PeerMismatch {
            // What the member was sent may have arrived; what waits will not.
            peer.give_up_unanswered(effects);
        }
        if peer.was_never_reached() || reason == StreamFailure::PeerMismatch {
            fail_all(peer, &reason.into(), effects);
        }
    }

    fn reset_streams(&mut self, number: u64, effects: &mut Effects) {
        let streams = self.peers.get(&number).map(OutgoingPeer::streams).unwrap_or_default();
        for id in streams {
            // One that the transport gave up is not there any more.
            if self.by_stream.remove(&id).is_some() {
                effects.push(Output::ResetStream { id });
            }
        }
    }

    fn close(&mut self, streams: &[StreamId], effects: &mut Effects) {
        for id in streams {
            if self.by_stream.remove(id).is_some() {
                effects.push(Output::CloseStream { id: *id });
            }
        }
    }

    fn remove(&mut self, number: u64, effects: &mut Effects) -> Option<OutgoingPeer> {
        effects.clear_timer(Timer::Reliable(number));
        let peer = self.peers.remove(&number)?;
        if let Some(name) = peer.name() {
            self.by_name.remove(name);
        }
        Some(peer)
    }
}

/// Ends what was not written.
fn fail_all(peer: &mut OutgoingPeer, error: &OperationError, effects: &mut Effects) {
    for message in peer.take_waiting() {
        effects.finish(message.operation, Outcome::Failed(error.clone()));
    }
}

/// Streams of ours begin far above those of exchanges, and far below those of applications (2⁶¹).
fn next_stream(last: &mut u64) -> StreamId {
    *last += 1;
    StreamId::outgoing(FIRST_STREAM + *last)
}

const FIRST_STREAM: u64 = 1 << 60;

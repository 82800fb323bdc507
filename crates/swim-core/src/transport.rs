//! The border between [`Membership`] and whatever carries its bytes.
//!
//! A [`Transport`] sends packets and carries streams; [`TransportAdapter`] performs on it what
//! the machine's outputs ask for, and hands the machine what the transport reports. The same
//! adapter serves the QUIC endpoint in production and the simulator's model, so that both see
//! the machine do the same things in the same order.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::backlog::{Backlog, exceeds_its_share};
use crate::error::StreamFailure;
use crate::evidence::Hint;
use crate::features::Features;
use crate::member::Peer;
use crate::membership::Membership;
use crate::output::{Destination, Output, StreamId};
use crate::payer::Payer;
use crate::time::Time;

/// Carries packets and streams for one [`Membership`].
///
/// No method waits. What becomes of a call is reported later as a [`TransportEvent`], which the
/// owner of the transport hands to [`TransportAdapter::handle_event`]. Calls about a stream that
/// the transport does not know, or no longer knows, do nothing.
pub trait Transport {
    /// Sends one packet, best effort, dialing the peer if there is no connection. When it is
    /// known not to have been sent, [`TransportEvent::SendFailed`] follows.
    fn send_packet(&mut self, to: &Destination, bytes: &[u8], now: Time);

    /// Opens a bidirectional stream, dialing the peer if there is no connection. Bytes may be
    /// written at once. A stream that is not over at `deadline` must be reported as
    /// [`TransportEvent::StreamFailed`] with [`StreamFailure::TimedOut`], also while it is
    /// still being dialed: the machine keeps no deadline of its own for it.
    fn open_stream(&mut self, id: StreamId, to: &Destination, deadline: Time, now: Time);

    /// Offers bytes to a stream and returns how many were taken. When they are fewer than
    /// offered, the rest is offered again after [`TransportEvent::StreamWritable`]. With
    /// `finish`, the end of the stream follows the last byte, once all were taken.
    ///
    /// # Errors
    /// [`StreamGone`] when the stream takes nothing any more; why is, or was, reported as
    /// [`TransportEvent::StreamFailed`].
    fn write(&mut self, id: StreamId, bytes: &[u8], finish: bool) -> Result<usize, StreamGone>;

    /// Reads what has arrived on a stream. Whoever does not read slows the sender down.
    ///
    /// # Errors
    /// Why nothing more will come. The stream is gone then.
    fn read(&mut self, id: StreamId, buffer: &mut [u8]) -> Result<StreamRead, StreamFailure>;

    /// The machine is done with a stream: what was written still goes out and our side is
    /// finished; what still arrives is discarded. Nothing more is reported about the stream.
    fn stop(&mut self, id: StreamId);

    /// Ends both directions of a stream at once: what was not sent yet never is, and the peer
    /// learns that the stream was given up. Nothing more is reported about it.
    fn reset(&mut self, id: StreamId);

    /// A peer left or was purged. [`close_peer`](Self::close_peer) follows in a moment, unless a
    /// live member announces the address again by then.
    fn peer_departed(&mut self, _address: SocketAddr) {}

    /// Closes every connection to the peer at `address`.
    fn close_peer(&mut self, address: SocketAddr, now: Time);
}

/// A stream takes no more bytes: it failed, was finished, or is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stream takes no more bytes: it failed or was finished before")]
pub struct StreamGone;

/// What [`Transport::read`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamRead {
    /// Bytes written to the buffer; 0 without `fin` means that nothing is there at present.
    pub bytes: usize,
    /// Whether the peer has finished its side and everything was read.
    pub fin: bool,
}

/// What a [`Transport`] reports to the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// A packet arrived.
    Packet {
        /// Who sent it.
        from: Peer,
        /// The whole packet.
        bytes: Vec<u8>,
    },
    /// The peer opened a stream; [`StreamReadable`](Self::StreamReadable) follows.
    StreamOpened {
        /// The stream, an [incoming](StreamId::incoming) one.
        id: StreamId,
        /// Who opened it.
        from: Peer,
    },
    /// There is something to read: bytes, the end of the peer's side, or a reset.
    StreamReadable {
        /// The stream.
        id: StreamId,
    },
    /// A stream that did not take everything takes more.
    StreamWritable {
        /// The stream.
        id: StreamId,
    },
    /// The stream is gone.
    StreamFailed {
        /// The stream.
        id: StreamId,
        /// Why.
        reason: StreamFailure,
    },
    /// At least one packet to this address was not sent.
    SendFailed {
        /// The address.
        to: SocketAddr,
        /// Why.
        reason: StreamFailure,
    },
    /// The peer at this address may be gone.
    Hint {
        /// The address.
        from: SocketAddr,
        /// Why.
        hint: Hint,
    },
    /// The largest packet that travels as one datagram to this address.
    PacketLimit {
        /// The address.
        to: SocketAddr,
        /// In bytes.
        limit: usize,
    },
    /// What the peer at this address speaks beyond memberlist's wire was learnt or has changed.
    /// It comes before anything else from the peer on that connection.
    PeerFeatures {
        /// The address.
        to: SocketAddr,
        /// Its features; `None` while there is no connection to it, and where it speaks
        /// memberlist's wire only.
        features: Option<Features>,
        /// A number that its process drew at random when it started; `None` if it does not say.
        start: Option<u64>,
    },
}

/// Performs a machine's outputs on a transport, and hands the transport's reports to the machine.
///
/// After every call, [`poll_output`](Self::poll_output) has what is left for the application:
/// events, finished operations and requests to resolve seeds. What a stream's buffers did not
/// take is kept here and offered again; it is bounded by the machine's own limits on streams and
/// on the length of messages, and for answers that peers do not take by a share of each peer.
#[derive(Debug, Default)]
pub struct TransportAdapter {
    backlogs: BTreeMap<StreamId, Backlog>,
    /// Peers that left or were purged, with the time at which their connections are closed;
    /// oldest first.
    departed: VecDeque<(Time, SocketAddr)>,
    /// Who opened the streams of others that the machine has not let go of.
    openers: BTreeMap<StreamId, Payer>,
    outputs: VecDeque<Output>,
}

/// How much of a stream is handed to the machine at a time, in bytes.
const READ_CHUNK: usize = 16 * 1024;

/// How long a peer that left keeps its connections: the acknowledgement of its leave, and
/// answers to what it still asks, travel on them.
const CLOSE_DEPARTED_AFTER: Duration = Duration::from_secs(2);

/// Departed peers whose connections wait to be closed. Beyond that the oldest are closed at once.
const MAX_DEPARTED: usize = 4_096;

impl TransportAdapter {
    /// The transport reports something.
    pub fn handle_event(
        &mut self,
        event: TransportEvent,
        membership: &mut Membership,
        transport: &mut impl Transport,
        now: Time,
    ) {
        match event {
            TransportEvent::Packet { from, bytes } => membership.handle_packet(&from, &bytes, now),
            TransportEvent::StreamOpened { id, from } => {
                self.openers.insert(id, Payer::of(&from));
                membership.handle_stream_opened(id, &from, now);
            }
            TransportEvent::StreamReadable { id } => self.read(id, membership, transport, now),
            TransportEvent::StreamWritable { id } => {
                self.resume(id, transport);
                membership.handle_stream_writable(id, now);
            }
            TransportEvent::StreamFailed { id, reason } => {
                self.forget(id);
                membership.handle_stream_failed(id, reason, now);
            }
            TransportEvent::SendFailed { to, reason } => {
                membership.handle_send_failed(to, reason, now);
            }
            TransportEvent::Hint { from, hint } => membership.handle_hint(from, hint, now),
            TransportEvent::PacketLimit { to, limit } => {
                membership.handle_packet_limit(to, limit, now);
            }
            TransportEvent::PeerFeatures { to, features, start } => {
                membership.handle_peer_features(to, (features, start), now);
            }
        }
        self.perform(membership, transport, now);
    }

    /// Performs everything that the machine wants. Call it after every command to the machine and
    /// after its `handle_timeout`.
    pub fn perform(
        &mut self,
        membership: &mut Membership,
        transport: &mut impl Transport,
        now: Time,
    ) {
        while let Some(output) = membership.poll_output() {
            match output {
                Output::Packet { to, bytes } => transport.send_packet(&to, &bytes, now),
                Output::OpenStream { id, to, bytes, finish, deadline } => {
                    transport.open_stream(id, &to, deadline, now);
                    if finish || !bytes.is_empty() {
                        self.write(id, bytes, finish, transport);
                    }
                }
                Output::WriteStream { id, bytes, finish } => {
                    self.write(id, bytes, finish, transport);
                }
                Output::CloseStream { id } => self.stop(id, transport),
                Output::ResetStream { id } => {
                    self.forget(id);
                    transport.reset(id);
                }
                Output::ForgetPeer { address } => self.depart(address, transport, now),
                Output::ResolveSeeds | Output::Finished { .. } | Output::Event(_) => {
                    self.outputs.push_back(output);
                }
            }
        }
    }

    /// Closes the connections of peers that left a while ago, unless a live member is at their
    /// address again.
    pub fn handle_timeout(
        &mut self,
        membership: &Membership,
        transport: &mut impl Transport,
        now: Time,
    ) {
        while let Some((due, address)) = self.departed.front().copied()
            && due <= now
        {
            self.departed.pop_front();
            if !membership.has_live_member_at(address) {
                transport.close_peer(address, now);
            }
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.departed.front().map(|(due, _)| *due)
    }

    /// What is left for the application: [`Output::Event`], [`Output::Finished`] or
    /// [`Output::ResolveSeeds`].
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Hands what has arrived on a stream to the machine, chunk by chunk. The machine's answer to
    /// one chunk is performed before the next is read: it may have closed the stream.
    fn read(
        &mut self,
        id: StreamId,
        membership: &mut Membership,
        transport: &mut impl Transport,
        now: Time,
    ) {
        // Streams are rare: a buffer for each member would cost more than making one each time.
        let mut buffer = vec![0; READ_CHUNK];
        while membership.wants_stream(id) {
            match transport.read(id, &mut buffer) {
                Ok(StreamRead { bytes: 0, fin: false }) => break,
                Ok(StreamRead { bytes, fin }) => {
                    let chunk = buffer.get(..bytes).unwrap_or_default();
                    membership.handle_stream_data(id, chunk, fin, now);
                    self.perform(membership, transport, now);
                    if fin {
                        break;
                    }
                }
                Err(reason) => {
                    self.forget(id);
                    membership.handle_stream_failed(id, reason, now);
                    break;
                }
            }
        }
    }

    /// Writes on a stream: at once, or behind what waits already.
    fn write(
        &mut self,
        id: StreamId,
        mut bytes: Vec<u8>,
        finish: bool,
        transport: &mut impl Transport,
    ) {
        if let Some(backlog) = self.backlogs.get_mut(&id) {
            backlog.bytes.append(&mut bytes);
            backlog.finish |= finish;
            return;
        }
        let asked_by = self.openers.get(&id).cloned();
        self.backlogs.insert(id, Backlog { bytes, taken: 0, finish, stop: false, asked_by });
        self.resume(id, transport);
        if exceeds_its_share(&self.backlogs, id) {
            log::debug!("{id:?}: whoever asked takes no answers");
            self.forget(id);
            transport.reset(id);
        }
    }

    fn forget(&mut self, id: StreamId) {
        self.backlogs.remove(&id);
        self.openers.remove(&id);
    }

    fn resume(&mut self, id: StreamId, transport: &mut impl Transport) {
        let Some(backlog) = self.backlogs.get_mut(&id) else { return };
        let rest = backlog.bytes.get(backlog.taken..).unwrap_or_default();
        match transport.write(id, rest, backlog.finish) {
            Ok(taken) if taken < rest.len() => {
                backlog.taken += taken;
                return;
            }
            Ok(_) => {}
            // The transport has reported, or is about to report, why the stream failed.
            Err(error) => log::debug!("{id:?}: {error}"),
        }
        let stop = backlog.stop;
        self.backlogs.remove(&id);
        if stop {
            transport.stop(id);
        }
    }

    fn stop(&mut self, id: StreamId, transport: &mut impl Transport) {
        self.openers.remove(&id);
        match self.backlogs.get_mut(&id) {
            Some(backlog) => backlog.stop = true,
            None => transport.stop(id),
        }
    }

    fn depart(&mut self, address: SocketAddr, transport: &mut impl Transport, now: Time) {
        transport.peer_departed(address);
        if self.departed.len() >= MAX_DEPARTED
            && let Some((_, oldest)) = self.departed.pop_front()
        {
            transport.close_peer(oldest, now);
        }
        self.departed.push_back((now + CLOSE_DEPARTED_AFTER, address));
    }
}

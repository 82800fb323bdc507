//! Application protocols on the members' connections: who listens, and which stream is whose.
//!
//! Streams and datagrams of applications begin with the header of [`protocol`](crate::protocol),
//! so that membership never sees them. They are routed by the name in it; bytes are carried
//! between the endpoint and the [`Pipe`] of each stream's handle.

mod app_stream;
mod async_stream;
mod pipe;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::TrySendError;
use quic_net::{Endpoint, LoopWaker, ReadError, StreamError, StreamToken};
use swim_core::MemberName;

use crate::answer::Reply;
use crate::error::{OpenStreamError, StreamIoError};
use crate::protocol::{NotAHeader, split_header};
use crate::receiver::{Feed, Incoming, bounded};
pub use app_stream::{IncomingDatagram, IncomingStream, Stream};
use pipe::{PIPE_CAPACITY, Pipe, WakeSet};

/// Incoming streams, and datagrams, that may wait for a listener; further streams are reset and
/// further datagrams dropped.
const LISTEN_QUEUE: usize = 256;

/// How long an incoming stream may take to name its protocol.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// The tokens of streams that applications open are numbered from here on: those of the membership
/// machine, which count from zero, never come near.
const FIRST_TOKEN: u64 = 1 << 61;

/// The application streams and listeners of one node. Streams are bounded by the endpoint's
/// limits for each connection and in all.
pub(crate) struct StreamRouter {
    wake_set: WakeSet,
    streams: BTreeMap<StreamToken, Role>,
    stream_listeners: BTreeMap<String, Feed<IncomingStream>>,
    datagram_listeners: BTreeMap<String, Feed<IncomingDatagram>>,
    opened: u64,
}

thread_local! {
    /// What is on its way from an endpoint to a pipe within one call: one for all nodes of a driver
    /// thread, empty until a first stream is read.
    static COPY_BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

enum Role {
    /// We opened it and wait until the peer has it.
    Opening { peer: MemberName, protocol: String, reply: Reply<OpenReply> },
    /// The peer opened it and has not named its protocol yet.
    Unnamed { from: MemberName, header: Vec<u8> },
    /// A handle exists, or existed.
    Open(OpenStream),
}

/// A stream between a handle's pipe and the endpoint.
struct OpenStream {
    pipe: Arc<Pipe>,
    /// The endpoint has everything that was written, or the peer wants nothing more.
    finished: bool,
    /// The peer knows that nothing more is read.
    stopped: bool,
    /// The endpoint watches whether the peer takes what is left.
    watched: bool,
}

impl OpenStream {
    fn new(pipe: Arc<Pipe>) -> Self {
        Self { pipe, finished: false, stopped: false, watched: false }
    }
}

/// The answer to whoever opens a stream.
pub(crate) type OpenReply = Result<Stream, OpenStreamError>;

impl StreamRouter {
    pub(crate) fn new(waker: Arc<LoopWaker>) -> Self {
        Self {
            wake_set: WakeSet::new(waker),
            streams: BTreeMap::new(),
            stream_listeners: BTreeMap::new(),
            datagram_listeners: BTreeMap::new(),
            opened: 0,
        }
    }

    pub(crate) fn listen(&mut self, protocol: String) -> Incoming<IncomingStream> {
        let (feed, incoming) = bounded(LISTEN_QUEUE);
        self.stream_listeners.insert(protocol, feed);
        incoming
    }

    pub(crate) fn listen_datagrams(&mut self, protocol: String) -> Incoming<IncomingDatagram> {
        let (feed, incoming) = bounded(LISTEN_QUEUE);
        self.datagram_listeners.insert(protocol, feed);
        incoming
    }

    /// The token of the next stream that an application opens.
    pub(crate) fn next_token(&mut self) -> StreamToken {
        let token = StreamToken::from_caller(FIRST_TOKEN + self.opened);
        self.opened += 1;
        token
    }

    /// A stream that was opened at the endpoint for an application; its header is written.
    pub(crate) fn opening(
        &mut self,
        stream: StreamToken,
        peer: MemberName,
        protocol: String,
        reply: Reply<OpenReply>,
    ) {
        self.streams.insert(stream, Role::Opening { peer, protocol, reply });
    }

    /// Resets the streams that are being opened for callers who have given up.
    pub(crate) fn forget_given_up(&mut self, endpoint: &mut Endpoint) {
        self.streams.retain(|stream, role| {
            let given_up = matches!(role, Role::Opening { reply, .. } if reply.is_given_up());
            if given_up {
                endpoint.reset(*stream);
            }
            !given_up
        });
    }

    /// How many streams are being opened.
    pub(crate) fn opening_count(&self) -> usize {
        self.streams.values().filter(|role| matches!(role, Role::Opening { .. })).count()
    }

    /// A peer opened an application stream.
    pub(crate) fn opened(
        &mut self,
        endpoint: &mut Endpoint,
        stream: StreamToken,
        from: Option<MemberName>,
        now: Instant,
    ) {
        let Some(from) = from else {
            log::debug!("an application stream of a peer that is no member, or has left, is reset");
            endpoint.reset(stream);
            return;
        };
        endpoint.set_deadline(stream, Some(now + HEADER_TIMEOUT));
        self.streams.insert(stream, Role::Unnamed { from, header: Vec::new() });
    }

    /// The endpoint has something for, or room on, a stream. `false`: it is not an application's.
    pub(crate) fn progress(&mut self, endpoint: &mut Endpoint, stream: StreamToken) -> bool {
        match self.streams.get(&stream) {
            None => return false,
            Some(Role::Opening { .. }) => self.confirm(endpoint, stream),
            Some(Role::Unnamed { .. }) => self.read_header(endpoint, stream),
            Some(Role::Open(_)) => {}
        }
        self.pump(endpoint, stream);
        true
    }

    /// The peer reads no more of a stream. `false`: it is not an application's.
    pub(crate) fn stopped(
        &mut self,
        endpoint: &mut Endpoint,
        stream: StreamToken,
        code: u64,
    ) -> bool {
        if let Some(Role::Open(open)) = self.streams.get_mut(&stream) {
            open.finished = true;
            open.pipe.fail_writing(StreamError::Reset(code).into());
        }
        self.progress(endpoint, stream)
    }

    /// A stream failed. `false`: it is not an application's.
    pub(crate) fn failed(&mut self, stream: StreamToken, reason: &StreamError) -> bool {
        match self.streams.remove(&stream) {
            None => return false,
            Some(Role::Opening { reply, .. }) => {
                reply.send(Err((*reason).into()));
            }
            Some(Role::Unnamed { .. }) => {}
            Some(Role::Open(open)) => open.pipe.fail((*reason).into()),
        }
        true
    }

    /// Carries bytes for the streams whose handles were used since the last turn.
    pub(crate) fn turn(&mut self, endpoint: &mut Endpoint) {
        for stream in self.wake_set.take() {
            self.pump(endpoint, stream);
        }
    }

    /// A datagram with an application header arrived.
    pub(crate) fn datagram(&mut self, bytes: &[u8], from: Option<MemberName>) {
        let (Ok(Some((protocol, payload))), Some(from)) = (split_header(bytes), from) else {
            log::debug!("a malformed application datagram, or one of no member, is dropped");
            return;
        };
        let Some(listener) = self.datagram_listeners.get(protocol) else {
            log::debug!("nobody listens for datagrams of {protocol:?}");
            return;
        };
        let datagram = IncomingDatagram { from, payload: payload.to_vec() };
        match listener.try_send(datagram) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                log::debug!("the listener for datagrams of {protocol:?} is behind: one dropped");
            }
            Err(TrySendError::Disconnected(_)) => {
                let protocol = protocol.to_owned();
                self.datagram_listeners.remove(&protocol);
            }
        }
    }

    fn confirm(&mut self, endpoint: &mut Endpoint, stream: StreamToken) {
        let Some(Role::Opening { peer, protocol, reply }) = self.streams.remove(&stream) else {
            return;
        };
        endpoint.set_deadline(stream, None);
        let pipe = Arc::new(Pipe::new(stream, self.wake_set.clone()));
        self.streams.insert(stream, Role::Open(OpenStream::new(Arc::clone(&pipe))));
        // If the caller has given up, the handle is dropped here, which ends the stream.
        reply.send(Ok(Stream::new(pipe, peer, protocol)));
    }

    /// Reads byte by byte, so that nothing of what follows the header is taken.
    fn read_header(&mut self, endpoint: &mut Endpoint, stream: StreamToken) {
        let Some(Role::Unnamed { from, header }) = self.streams.get_mut(&stream) else { return };
        let (mut byte, mut ended) = ([0], false);
        let protocol = loop {
            match split_header(header) {
                Ok(Some((protocol, _))) => break Some(protocol.to_owned()),
                Err(NotAHeader) => break None,
                Ok(None) => {}
            }
            match endpoint.read(stream, &mut byte) {
                Ok(read) if read.bytes == 1 => {
                    header.extend_from_slice(&byte);
                    ended = read.fin;
                }
                Ok(read) if !read.fin => return,
                Ok(_) | Err(_) => break None,
            }
        };
        let from = from.clone();
        if protocol.is_none_or(|protocol| !self.hand_over(endpoint, stream, from, protocol)) {
            self.streams.remove(&stream);
            endpoint.reset(stream);
        } else if ended && let Some(Role::Open(open)) = self.streams.get(&stream) {
            open.pipe.deliver(&[], true);
        }
    }

    fn hand_over(
        &mut self,
        endpoint: &mut Endpoint,
        stream: StreamToken,
        from: MemberName,
        protocol: String,
    ) -> bool {
        let Some(listener) = self.stream_listeners.get(&protocol) else {
            log::debug!("{from} opened a stream for {protocol:?}, for which nobody listens");
            return false;
        };
        let pipe = Arc::new(Pipe::new(stream, self.wake_set.clone()));
        let handle = Stream::new(Arc::clone(&pipe), from.clone(), protocol.clone());
        match listener.try_send(IncomingStream { from, stream: handle }) {
            Ok(()) => {
                endpoint.set_deadline(stream, None);
                self.streams.insert(stream, Role::Open(OpenStream::new(pipe)));
                true
            }
            Err(TrySendError::Full(_)) => {
                log::warn!("the listener for {protocol:?} is behind: a stream was reset");
                false
            }
            Err(TrySendError::Disconnected(_)) => {
                self.stream_listeners.remove(&protocol);
                false
            }
        }
    }

    /// Moves what can be moved between a stream's pipe and the endpoint.
    fn pump(&mut self, endpoint: &mut Endpoint, stream: StreamToken) {
        let Some(Role::Open(open)) = self.streams.get_mut(&stream) else { return };
        let OpenStream { pipe, finished, stopped, watched } = open;
        if pipe.discards() && !std::mem::replace(stopped, true) {
            endpoint.stop_reading(stream);
        }
        if pipe.is_abandoned() && !std::mem::replace(watched, true) {
            endpoint.expect_progress(stream);
        }
        let mut buffer = COPY_BUFFER.take();
        let filled = fill(pipe, endpoint, stream, &mut buffer);
        COPY_BUFFER.set(buffer);
        if let Err(error) = filled {
            pipe.fail(error.into());
            self.streams.remove(&stream);
            return;
        }
        while !*finished {
            let (mut bytes, last) = pipe.take_outbound();
            if bytes.is_empty() && !last {
                break;
            }
            let all = bytes.make_contiguous();
            let length = all.len();
            let Ok(taken) = endpoint.write(stream, all, last) else {
                // Why, if it was not our own end, has been or is about to be reported.
                pipe.fail_writing(StreamError::Closed.into());
                *finished = true;
                break;
            };
            *finished = last && taken == length;
            bytes.drain(..taken);
            pipe.put_back(bytes);
            if taken < length {
                break;
            }
        }
        if *finished && pipe.wants_nothing_more() {
            endpoint.stop(stream);
            self.streams.remove(&stream);
        }
    }
}

/// Moves what the endpoint has to the pipe, as far as there is room.
fn fill(
    pipe: &Pipe,
    endpoint: &mut Endpoint,
    stream: StreamToken,
    buffer: &mut Vec<u8>,
) -> Result<(), ReadError> {
    while let Some(room) = pipe.room() {
        if buffer.is_empty() {
            buffer.resize(PIPE_CAPACITY, 0);
        }
        let length = room.min(buffer.len());
        let Some(space) = buffer.get_mut(..length) else { break };
        let read = endpoint.read(stream, space)?;
        pipe.deliver(space.get(..read.bytes).unwrap_or_default(), read.fin);
        if read.bytes == 0 || read.fin {
            break;
        }
    }
    Ok(())
}

impl Drop for StreamRouter {
    fn drop(&mut self) {
        while let Some((_, role)) = self.streams.pop_first() {
            if let Role::Open(open) = role {
                open.pipe.fail(StreamIoError::Closed);
            }
        }
    }
}

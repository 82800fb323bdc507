//! The two buffers between a stream's handle and the driver thread.
//!
//! Each is bounded: a slow reader fills its buffer, the driver then stops reading, and QUIC's flow
//! control slows the sender of this one stream. A writer waits while its buffer is full. The lock
//! is held for copying bytes only, never around the endpoint or the membership.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use quic_net::{LoopWaker, StreamToken};

use crate::deadline::{deadline_after, may_wait, time_until};
use crate::error::StreamIoError;
use crate::wakers::{WakerPlace, Wakers};

/// Bytes that one direction of one stream buffers in the facade, beside QUIC's own windows; twice
/// as many for a moment while the driver carries them.
pub(crate) const PIPE_CAPACITY: usize = 256 * 1024;

/// The streams whose handles have done something that the driver must look at.
#[derive(Clone)]
pub(crate) struct WakeSet {
    streams: Arc<Mutex<BTreeSet<StreamToken>>>,
    waker: Arc<LoopWaker>,
}

impl WakeSet {
    pub(crate) fn new(waker: Arc<LoopWaker>) -> Self {
        Self { streams: Arc::default(), waker }
    }

    fn wake(&self, stream: StreamToken) {
        let first = {
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.insert(stream)
        };
        if first && let Err(error) = self.waker.wake() {
            log::error!("the driver thread cannot be woken: {error}");
        }
    }

    /// Those that were added since the last time.
    pub(crate) fn take(&self) -> BTreeSet<StreamToken> {
        std::mem::take(&mut *self.streams.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a handle and the driver share about one stream.
pub(crate) struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
    wakers: Arc<Wakers>,
    stream: StreamToken,
    wake_set: WakeSet,
}

#[derive(Default)]
struct State {
    /// Arrived and not read by the application.
    inbound: VecDeque<u8>,
    /// The peer has finished; nothing comes after `inbound`.
    inbound_finished: bool,
    /// The application reads no more: what arrives is thrown away.
    inbound_unwanted: bool,
    /// Written and not taken by the endpoint.
    outbound: VecDeque<u8>,
    /// The application has written everything.
    outbound_finished: bool,
    /// Nothing more can be written, and why.
    write_failed: Option<StreamIoError>,
    /// The stream is gone, and why.
    failed: Option<StreamIoError>,
    /// No handle is left.
    abandoned: bool,
}

impl State {
    /// Nobody will ever read what arrives.
    fn discards(&self) -> bool {
        self.inbound_unwanted || self.abandoned
    }

    /// A read has to wait.
    fn blocks_reading(&self) -> bool {
        self.inbound.is_empty()
            && !self.inbound_finished
            && !self.inbound_unwanted
            && self.failed.is_none()
    }

    /// A write has to wait.
    fn blocks_writing(&self) -> bool {
        self.outbound.len() >= PIPE_CAPACITY
            && !self.outbound_finished
            && self.write_failed.is_none()
            && self.failed.is_none()
    }
}

impl Pipe {
    pub(super) fn new(stream: StreamToken, wake_set: WakeSet) -> Self {
        let (state, changed, wakers) = (Mutex::default(), Condvar::new(), Arc::default());
        Self { state, changed, wakers, stream, wake_set }
    }

    /// Who waits in tasks for a change.
    pub(super) fn wakers(&self) -> &Arc<Wakers> {
        &self.wakers
    }

    pub(super) fn read(&self, buffer: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        let state = self.wait_while(timeout, State::blocks_reading)?;
        self.take_inbound(state, buffer)
    }

    pub(super) fn poll_read(
        &self,
        buffer: &mut [u8],
        context: &mut Context<'_>,
        place: &mut WakerPlace,
    ) -> Poll<io::Result<usize>> {
        self.poll(State::blocks_reading, context, place)
            .map(|state| self.take_inbound(state, buffer))
    }

    fn take_inbound(
        &self,
        mut state: MutexGuard<'_, State>,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        if state.inbound.is_empty() {
            return match state.failed {
                Some(error) if !state.inbound_finished && !state.inbound_unwanted => {
                    Err(error.into())
                }
                _ => Ok(0),
            };
        }
        let was_full = state.inbound.len() >= PIPE_CAPACITY;
        let (front, _) = state.inbound.as_slices();
        let length = front.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), front.get(..length)) {
            to.copy_from_slice(from);
        }
        state.inbound.drain(..length);
        drop(state);
        if was_full {
            self.wake_set.wake(self.stream);
        }
        Ok(length)
    }

    pub(super) fn write(&self, bytes: &[u8], timeout: Option<Duration>) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let state = self.wait_while(timeout, State::blocks_writing)?;
        self.put_outbound(state, bytes)
    }

    pub(super) fn poll_write(
        &self,
        bytes: &[u8],
        context: &mut Context<'_>,
        place: &mut WakerPlace,
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll(State::blocks_writing, context, place)
            .map(|state| self.put_outbound(state, bytes))
    }

    fn put_outbound(&self, mut state: MutexGuard<'_, State>, bytes: &[u8]) -> io::Result<usize> {
        if let Some(error) = state.write_failed.or(state.failed) {
            return Err(error.into());
        }
        if state.outbound_finished {
            return Err(StreamIoError::ShutDown.into());
        }
        let length = bytes.len().min(PIPE_CAPACITY.saturating_sub(state.outbound.len()));
        state.outbound.extend(bytes.iter().take(length));
        drop(state);
        self.wake_set.wake(self.stream);
        Ok(length)
    }

    pub(super) fn finish_writing(&self) {
        self.lock().outbound_finished = true;
        self.notify_both();
    }

    pub(super) fn stop_reading(&self) {
        let mut state = self.lock();
        state.inbound_unwanted = true;
        state.inbound.clear();
        drop(state);
        self.notify_both();
    }

    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.outbound_finished = true;
        drop(state);
        self.notify_both();
    }

    /// The driver's side: how much more may arrive; `None` when nothing is awaited.
    pub(super) fn room(&self) -> Option<usize> {
        let state = self.lock();
        let room = PIPE_CAPACITY.saturating_sub(state.inbound.len());
        (!state.inbound_finished && !state.discards() && room > 0).then_some(room)
    }

    /// The driver's side: whether the application awaits more of the peer and will never read it.
    pub(super) fn discards(&self) -> bool {
        let state = self.lock();
        !state.inbound_finished && state.discards()
    }

    /// The driver's side: whether no handle is left.
    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The driver's side: bytes arrived.
    pub(super) fn deliver(&self, bytes: &[u8], fin: bool) {
        let mut state = self.lock();
        state.inbound_finished |= fin;
        if !state.discards() {
            state.inbound.extend(bytes);
        }
        drop(state);
        self.tell();
    }

    /// The driver's side: what is to be sent, and whether it is the last of it.
    pub(super) fn take_outbound(&self) -> (VecDeque<u8>, bool) {
        let mut state = self.lock();
        (std::mem::take(&mut state.outbound), state.outbound_finished)
    }

    /// The driver's side: what the endpoint did not take, in front of what came since.
    pub(super) fn put_back(&self, mut rest: VecDeque<u8>) {
        let mut state = self.lock();
        rest.append(&mut state.outbound);
        state.outbound = rest;
        drop(state);
        self.tell();
    }

    /// The driver's side: whether the application awaits nothing from the peer.
    pub(super) fn wants_nothing_more(&self) -> bool {
        let state = self.lock();
        state.inbound_finished || state.discards()
    }

    /// The driver's side: nothing more can be written; the first reason stays.
    pub(super) fn fail_writing(&self, error: StreamIoError) {
        let mut state = self.lock();
        state.outbound.clear();
        state.write_failed.get_or_insert(error);
        drop(state);
        self.tell();
    }

    /// The driver's side: the stream is gone.
    pub(super) fn fail(&self, error: StreamIoError) {
        self.lock().failed = Some(error);
        self.tell();
    }

    /// Lets the threads and tasks that wait look again.
    fn tell(&self) {
        self.changed.notify_all();
        self.wakers.wake_all();
    }

    fn notify_both(&self) {
        self.tell();
        self.wake_set.wake(self.stream);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic between two copies leaves buffers that are still buffers.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state once it blocks no more. Tasks begin to wait without the lock.
    fn poll(
        &self,
        blocked: impl Fn(&State) -> bool,
        context: &mut Context<'_>,
        place: &mut WakerPlace,
    ) -> Poll<MutexGuard<'_, State>> {
        place.poll(context, || {
            let state = self.lock();
            (!blocked(&state)).then_some(state)
        })
    }

    fn wait_while(
        &self,
        timeout: Option<Duration>,
        blocked: impl Fn(&State) -> bool,
    ) -> io::Result<MutexGuard<'_, State>> {
        // A driver thread, which carries the bytes, does not wait for itself.
        let timeout = if may_wait().is_ok() { timeout } else { Some(Duration::ZERO) };
        let deadline = timeout.map(deadline_after);
        let mut state = self.lock();
        while blocked(&state) {
            let Some(deadline) = deadline else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = time_until(deadline);
            if left.is_zero() {
                return Err(StreamIoError::TimedOut.into());
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(state)
    }
}

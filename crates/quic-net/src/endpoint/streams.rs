//! The endpoint's commands for bidirectional streams.
//!
//! Finds the connection that a stream belongs to and lets it do the work. Decides only what
//! happens where there is none: a stream that cannot be opened fails by an event, and what a
//! closed connection had received whole can still be read.

use std::net::SocketAddr;
use std::time::Instant;

use super::dial::Urgency;
use super::{Endpoint, canonical};
use crate::connection::Connection;
use crate::connection_key::ConnectionKey;
use crate::error::{ReadError, StreamError, WriteError};
use crate::event::{EndpointEvent, Read};
use crate::stream::Stream;
use crate::stream_token::StreamToken;

impl Endpoint {
    /// Opens a bidirectional stream to the peer at `to`, dialing it if need be, and calls it
    /// `token`: one of [`StreamToken::from_caller`] that no stream has, else the new stream fails.
    /// Data may be written at once. If the stream is not over by `deadline` it fails;
    /// [`set_deadline`](Self::set_deadline) moves or lifts that.
    pub fn open_stream(
        &mut self,
        token: StreamToken,
        to: SocketAddr,
        expected: Option<&[u8]>,
        deadline: Instant,
        now: Instant,
    ) {
        self.now = now;
        if self.shared.is_taken(token) {
            debug_assert!(false, "the token {token} is in use, or is one that the endpoint mints");
            let reason = StreamError::TokenInUse;
            self.shared.emit(EndpointEvent::StreamFailed { stream: token, reason });
            return;
        }
        let to = canonical(to);
        let found = self.connection_for(to, expected, Urgency::Stream);
        let stream = Stream {
            expected: expected.map(<[u8]>::to_vec),
            deadline: Some(deadline),
            ..Stream::default()
        };
        match found.ok().and_then(|key| Some((key, self.pool.get_mut(key)?))) {
            Some((key, connection)) => {
                connection.adopt_stream(&mut self.shared, token, stream, now);
                self.schedule(key);
            }
            None => {
                let reason = StreamError::Unavailable;
                self.shared.emit(EndpointEvent::StreamFailed { stream: token, reason });
            }
        }
    }

    /// Moves the deadline of a stream, or lifts it.
    pub fn set_deadline(&mut self, stream: StreamToken, deadline: Option<Instant>) {
        if let Some((key, connection)) = self.owner(stream) {
            connection.set_deadline(stream, deadline);
            self.schedule(key);
        }
    }

    /// Writes to a stream and returns how many bytes were taken: all of them, unless
    /// [`stream_buffer`](crate::Limits::stream_buffer) is reached; then the rest, with
    /// `finish`, is to be offered again after [`EndpointEvent::StreamWritable`]. With `finish` the FIN
    /// rides on the last byte.
    pub fn write(
        &mut self,
        stream: StreamToken,
        bytes: &[u8],
        finish: bool,
    ) -> Result<usize, WriteError> {
        let now = self.now;
        let key = *self.shared.owners.get(&stream).ok_or(WriteError::UnknownStream)?;
        let connection = self.pool.get_mut(key).ok_or(WriteError::UnknownStream)?;
        let taken = connection.write(&mut self.shared, stream, bytes, finish, now);
        // Who asks in vain must not keep the driver awake.
        if taken != Ok(0) || bytes.is_empty() {
            self.schedule(key);
        }
        taken
    }

    /// Reads from a stream. Not reading is how to slow down the peer; read on whenever there is
    /// room again, no event asks for it.
    pub fn read(&mut self, stream: StreamToken, buffer: &mut [u8]) -> Result<Read, ReadError> {
        if let Some(read) = self.shared.leftovers.read(stream, buffer) {
            return Ok(read);
        }
        let now = self.now;
        let key = *self.shared.owners.get(&stream).ok_or(ReadError::UnknownStream)?;
        let connection = self.pool.get_mut(key).ok_or(ReadError::UnknownStream)?;
        let read = connection.read(&mut self.shared, stream, buffer, now);
        if read != Ok(Read { bytes: 0, fin: false }) {
            self.schedule(key);
        }
        read
    }

    /// The application is done with a stream: what was written still goes out, followed by FIN;
    /// what still arrives is discarded. The handle is not valid any more.
    pub fn stop(&mut self, stream: StreamToken) {
        let now = self.now;
        self.shared.leftovers.remove(stream);
        if let Some(key) = self.shared.owners.get(&stream).copied()
            && let Some(connection) = self.pool.get_mut(key)
        {
            connection.stop(&mut self.shared, stream, now);
            self.schedule(key);
        }
    }

    /// Ends both directions of a stream at once; what was not sent yet never is.
    pub fn reset(&mut self, stream: StreamToken) {
        self.shared.leftovers.remove(stream);
        if let Some(key) = self.shared.owners.get(&stream).copied()
            && let Some(connection) = self.pool.get_mut(key)
        {
            connection.reset(&mut self.shared, stream);
            self.schedule(key);
        }
    }

    fn owner(&mut self, stream: StreamToken) -> Option<(ConnectionKey, &mut Connection)> {
        let key = *self.shared.owners.get(&stream)?;
        Some((key, self.pool.get_mut(key)?))
    }
}

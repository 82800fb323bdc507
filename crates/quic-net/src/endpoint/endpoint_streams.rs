//! The endpoint's commands for streams that are open or about to be: each leads to the connection
//! that has the stream.

use std::time::Instant;

use super::Endpoint;
use super::dial::Found;
use crate::error::{ReadError, WriteError};
use crate::event::Read;
use crate::stream_token::StreamToken;

impl Endpoint {
    /// Moves the deadline of a stream, or lifts it.
    pub fn set_deadline(&mut self, stream: StreamToken, deadline: Option<Instant>) {
        let set = |at: Found<'_>| at.connection.set_deadline(at.slot, deadline);
        self.with_connection(stream, set, |()| true);
    }

    /// From now on the stream fails when bytes or its end wait to be sent and the peer takes none
    /// of them for [`stream_stall_timeout`](crate::Limits::stream_stall_timeout): for a stream
    /// whose writer has gone, so that nobody would notice that it does not get on.
    pub fn expect_progress(&mut self, stream: StreamToken) {
        let expect = |at: Found<'_>| at.connection.expect_progress(at.context, at.slot, at.now);
        self.with_connection(stream, expect, |()| true);
    }

    /// Tells the peer that nothing more is read of what it sends; its writes fail from then on.
    /// What we write still goes out.
    pub fn stop_reading(&mut self, stream: StreamToken) {
        let stop = |at: Found<'_>| at.connection.stop_reading(at.context, at.slot, at.now);
        self.with_connection(stream, stop, |()| true);
    }

    /// Writes to a stream and returns how many bytes were taken: all of them, unless
    /// [`stream_buffer`](crate::Limits::stream_buffer) is reached; then the rest, with `finish`,
    /// is to be offered again after [`StreamWritable`](crate::EndpointEvent::StreamWritable). With
    /// `finish` the FIN rides on the last byte.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was taken.
    pub fn write(
        &mut self,
        stream: StreamToken,
        bytes: &[u8],
        finish: bool,
    ) -> Result<usize, WriteError> {
        let write = |at: Found<'_>| at.connection.write(at.context, at.slot, bytes, finish, at.now);
        let wakes = |taken: &_| *taken != Ok(0) || bytes.is_empty();
        self.with_connection(stream, write, wakes).unwrap_or(Err(WriteError::UnknownStream))
    }

    /// Reads from a stream. Not reading is how to slow down the peer; read on whenever there is
    /// room again, no event asks for it.
    ///
    /// # Errors
    /// [`ReadError`]; the token is not valid any more.
    pub fn read(&mut self, stream: StreamToken, buffer: &mut [u8]) -> Result<Read, ReadError> {
        if let Some(read) = self.context.unread_mut().read(stream, buffer) {
            return Ok(read);
        }
        let read = |at: Found<'_>| at.connection.read(at.context, at.slot, buffer, at.now);
        let wakes = |read: &_| *read != Ok(Read { bytes: 0, fin: false });
        self.with_connection(stream, read, wakes).unwrap_or(Err(ReadError::UnknownStream))
    }

    /// The application is done with a stream: what was written still goes out, followed by FIN, as
    /// long as the peer takes some of it within each
    /// [`stream_stall_timeout`](crate::Limits::stream_stall_timeout); after such a time without
    /// progress the stream is reset. What still arrives is discarded. The token is not valid any
    /// more.
    pub fn stop(&mut self, stream: StreamToken) {
        self.context.unread_mut().remove(stream);
        let stop = |at: Found<'_>| at.connection.stop(at.context, at.slot, at.now);
        self.with_connection(stream, stop, |()| true);
    }

    /// Ends both directions of a stream at once; what was not sent yet never is. The token is not
    /// valid any more.
    pub fn reset(&mut self, stream: StreamToken) {
        self.context.unread_mut().remove(stream);
        let reset = |at: Found<'_>| at.connection.reset(at.context, at.slot);
        self.with_connection(stream, reset, |()| true);
    }
}

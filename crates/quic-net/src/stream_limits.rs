//! What bounds the memory of streams.
//!
//! - Bytes written and not yet taken by quiche: [`write_room`]. A quarter of
//!   [`Limits::stream_buffer`] for one stream, all of it for a connection,
//!   [`Limits::endpoint_buffer`] for the endpoint; a stream with nothing queued may always queue
//!   [`ALWAYS_ACCEPTED`].
//! - Bytes taken by quiche and not yet acknowledged: the peer's flow control and the congestion
//!   window.
//! - Bytes received and not yet read: [`receive_window`] for one stream,
//!   [`Limits::receive_window`] for a connection. The peer may send no more.
//! - Bytes received whole on a connection that closed before they were read: a receive window for
//!   one stream, [`UNREAD_STREAMS`] streams for the endpoint.
//!
//! How many streams a peer may open is [`Limits::streams`], for each kind.

use crate::limits::Limits;

/// How many more bytes a stream may queue that has queued `stream`, on a connection whose streams
/// have queued `connection`, in an endpoint with room for `endpoint`.
pub(crate) fn write_room(
    limits: &Limits,
    stream: usize,
    connection: usize,
    endpoint: usize,
) -> usize {
    let own = (limits.stream_buffer / SENDING_STREAMS).saturating_sub(stream);
    let room = limits.stream_buffer.saturating_sub(connection).min(own).min(endpoint);
    // Whatever other streams hold, one that waits for nothing gets on.
    if stream == 0 { room.max(ALWAYS_ACCEPTED) } else { room }
}

/// The unread bytes that one stream of a peer may hold.
///
/// A stream that nobody reads must leave room in the connection's window for the others. quiche
/// announces a window anew once half of it is used up by what was read, so that what is left of
/// the connection's may be no more than half.
pub(crate) fn receive_window(limits: &Limits) -> u64 {
    limits.receive_window / RECEIVING_STREAMS
}

/// A stream may fill one part in so many of its connection's send buffer.
const SENDING_STREAMS: usize = 4;
/// A stream may fill one part in so many of its connection's receive window: three streams that
/// nobody reads leave room for a fourth, even when only half of that window is announced.
const RECEIVING_STREAMS: u64 = 8;
/// What a stream with nothing queued may always queue, in bytes.
pub(crate) const ALWAYS_ACCEPTED: usize = 4096;
/// Streams whose data is kept after their connection closed; the oldest is dropped.
pub(crate) const UNREAD_STREAMS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tightest_bound_counts_but_an_empty_stream_always_gets_some_room() {
        let limits = Limits::default();
        let (quarter, all) = (limits.stream_buffer / 4, limits.stream_buffer);
        assert_eq!(write_room(&limits, 0, 0, usize::MAX), quarter);
        assert_eq!(write_room(&limits, 1_000, 1_000, usize::MAX), quarter - 1_000);
        assert_eq!(write_room(&limits, 1_000, all - 500, usize::MAX), 500);
        assert_eq!(write_room(&limits, 1_000, 1_000, 7), 7);
        assert_eq!(write_room(&limits, 1_000, all, 0), 0);
        assert_eq!(write_room(&limits, 0, all, 0), ALWAYS_ACCEPTED);
    }
}

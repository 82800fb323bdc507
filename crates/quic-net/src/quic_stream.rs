//! What every user of a quiche stream needs: the parts of an id, and careful writes and stops.

use quiche::{Error, Shutdown};

/// Whether both sides may write (RFC 9000 section 2.1).
pub(crate) fn is_bidirectional(id: u64) -> bool {
    id & 2 == 0
}

/// Whether the dialing side opened the stream (RFC 9000 section 2.1).
pub(crate) fn is_from_dialer(id: u64) -> bool {
    id & 1 == 0
}

/// The first bidirectional and the first unidirectional id of one side; the next ones follow in
/// steps of [`ID_STEP`].
pub(crate) fn first_ids(dialed: bool) -> (u64, u64) {
    let opener = u64::from(!dialed);
    (opener, opener + 2)
}

/// Writes as much as the peer's flow control and the congestion window allow, and returns how much
/// that was. `fin` counts only if everything was taken.
///
/// Offering quiche more makes it send STREAM_DATA_BLOCKED, which the peer acknowledges at once,
/// upon which we would try again: a storm that lasts as long as the blockage.
pub(crate) fn send_within_credit(
    quic: &mut quiche::Connection,
    id: u64,
    bytes: &[u8],
    fin: bool,
) -> Result<usize, Error> {
    let capacity = match quic.stream_capacity(id) {
        Ok(capacity) => capacity,
        Err(Error::InvalidStreamState(_)) => {
            // Not open yet, or over: an empty write tells which.
            quic.stream_send(id, &[], false)?;
            quic.stream_capacity(id)?
        }
        Err(error) => return Err(error),
    };
    match bytes.get(..capacity) {
        Some([]) if !bytes.is_empty() => Err(Error::Done),
        Some(part) if part.len() < bytes.len() => quic.stream_send(id, part, false),
        Some(_) | None => quic.stream_send(id, bytes, fin),
    }
}

/// Asks the peer to send no more (STOP_SENDING).
pub(crate) fn stop_reading(quic: &mut quiche::Connection, id: u64) {
    shut_down(quic, id, Shutdown::Read);
}

/// Sends no more, and drops what quiche has not sent yet (RESET_STREAM).
pub(crate) fn stop_writing(quic: &mut quiche::Connection, id: u64) {
    shut_down(quic, id, Shutdown::Write);
}

fn shut_down(quic: &mut quiche::Connection, id: u64, direction: Shutdown) {
    if let Err(error) = quic.stream_shutdown(id, direction, 0) {
        log::trace!("{}: stream {id} was closed already: {error:?}", quic.trace_id());
    }
}

/// From one id of a kind and side to the next.
pub(crate) const ID_STEP: u64 = 4;

//! What the transport has planned for later.

use crate::error::StreamFailure;
use crate::sim::fault::HostId;
use crate::sim::hosts::ProcessNumber;
use crate::sim::transport::model_streams::{StreamNumber, StreamSide};

/// A deadline of the transport.
pub(crate) enum TransportTimer {
    /// The next bytes of a stream reach one of its sides.
    Piece { stream: StreamNumber, to: StreamSide },
    /// One side of a stream learns that the other one has ended it.
    Failure {
        host: HostId,
        process: ProcessNumber,
        stream: StreamNumber,
        side: StreamSide,
        reason: StreamFailure,
    },
    /// The deadline of a stream has passed.
    Deadline { stream: StreamNumber },
    /// A dial has taken [`DIAL_TIMEOUT`](super::dialing::DIAL_TIMEOUT).
    DialTimeout { from: HostId, process: ProcessNumber, to: HostId },
}

//! What reaches a member from outside: packets, stream bytes, failures, requests.

use std::fmt;
use std::net::SocketAddr;

use crate::error::StreamFailure;
use crate::output::StreamId;
use crate::sim::application::AppRequest;
use crate::sim::fault::HostId;

/// Something on its way to one process.
#[derive(Debug)]
pub(crate) enum Arrival {
    Packet { from: HostId, bytes: Vec<u8> },
    StreamOpened { id: StreamId, from: HostId },
    StreamData { id: StreamId, bytes: Vec<u8>, fin: bool },
    StreamFailed { id: StreamId, reason: StreamFailure },
    SendFailed { to: SocketAddr },
    PacketLimit { to: SocketAddr, limit: usize },
    Request(AppRequest),
}

impl Arrival {
    /// The host at the other end, where a member is told who that is.
    pub(crate) fn sender(&self) -> Option<HostId> {
        match self {
            Self::Packet { from, .. } | Self::StreamOpened { from, .. } => Some(*from),
            Self::StreamData { .. }
            | Self::StreamFailed { .. }
            | Self::SendFailed { .. }
            | Self::PacketLimit { .. }
            | Self::Request(_) => None,
        }
    }

    /// Which kind of input this is to the member.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Packet { .. } => Cause::Packet,
            Self::StreamOpened { .. } | Self::StreamData { .. } | Self::StreamFailed { .. } => {
                Cause::Stream
            }
            // The transport's own deadline has passed.
            Self::SendFailed { .. } => Cause::Timer,
            Self::PacketLimit { .. } | Self::Request(_) => Cause::Request,
        }
    }
}

/// What made a member act. The rules depend on it: only a timer ends a suspicion, say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Start,
    Timer,
    Packet,
    Stream,
    Request,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "its start",
            Self::Timer => "a timer",
            Self::Packet => "a packet",
            Self::Stream => "a stream",
            Self::Request => "a request of its application",
        })
    }
}

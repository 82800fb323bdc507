//! What reaches a member from outside: reports of its transport, requests of its application.

use std::fmt;

use crate::sim::application::AppRequest;
use crate::transport::TransportEvent;

/// Something on its way to one process.
#[derive(Debug)]
pub(crate) enum Arrival {
    Transport(TransportEvent),
    Request(AppRequest),
}

impl Arrival {
    /// Which kind of input this is to the member.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Transport(TransportEvent::Packet { .. }) => Cause::Packet,
            Self::Transport(
                TransportEvent::StreamOpened { .. }
                | TransportEvent::StreamReadable { .. }
                | TransportEvent::StreamWritable { .. }
                | TransportEvent::StreamFailed { .. },
            ) => Cause::Stream,
            // The transport's own deadline has passed, or a refusal ends what a timer would end.
            Self::Transport(TransportEvent::SendFailed { .. } | TransportEvent::Hint { .. }) => {
                Cause::Timer
            }
            Self::Transport(
                TransportEvent::PacketLimit { .. } | TransportEvent::PeerFeatures { .. },
            )
            | Self::Request(_) => Cause::Request,
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

//! What an application asks of its member.

use std::net::SocketAddr;
use std::time::Duration;

use crate::member_name::MemberName;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AppRequest {
    /// The standing join addresses.
    Bootstrap(Vec<SocketAddr>),
    Join(SocketAddr),
    Leave,
    Meta(Vec<u8>),
    Broadcast(Vec<u8>),
    Send(MemberName, Vec<u8>),
    SendReliable(MemberName, Vec<u8>, Duration),
    Ping(MemberName),
}

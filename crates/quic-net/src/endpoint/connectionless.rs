//! Datagrams that belong to no connection: resets, Retry, version negotiation, the last packets of
//! closed connections, raw datagrams.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

/// A datagram that waits to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConnectionlessDatagram {
    pub(crate) to: SocketAddr,
    /// The local address to send from, if one is known.
    pub(crate) source: Option<IpAddr>,
    pub(crate) bytes: Vec<u8>,
}

/// At most [`WAITING`] datagrams, oldest first.
#[derive(Debug, Default)]
pub(crate) struct ConnectionlessQueue {
    datagrams: VecDeque<ConnectionlessDatagram>,
}

impl ConnectionlessQueue {
    /// Takes a datagram, or drops it if too many wait. Whether it was taken.
    pub(crate) fn push(&mut self, to: SocketAddr, source: Option<IpAddr>, bytes: Vec<u8>) -> bool {
        let has_room = self.datagrams.len() < WAITING;
        if has_room {
            self.datagrams.push_back(ConnectionlessDatagram { to, source, bytes });
        }
        has_room
    }

    pub(crate) fn pop(&mut self) -> Option<ConnectionlessDatagram> {
        self.datagrams.pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }
}

/// Strangers cause these datagrams: with so many waiting, more are dropped.
const WAITING: usize = 1024;

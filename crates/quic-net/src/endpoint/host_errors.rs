//! ICMP errors: which of them are about a connection of ours.

use std::time::Instant;

use super::Endpoint;
use crate::canonical_address::canonical;
use crate::connection::Connection;
use crate::connection_id::Id;
use crate::event::EndpointEvent;
use crate::host_error::{HostError, ReportedError};
use crate::long_header::is_short;

/// Where the length of the destination id stands in a long header, after the version.
const LONG_ID: usize = 5;

impl Endpoint {
    /// The kernel reports an ICMP error. It is an event if what it quotes carries the connection id
    /// that we use towards that peer, which whoever is not on the path cannot know; in a handshake,
    /// our own. That a port is unreachable must be said by the host itself.
    pub fn handle_host_error(&mut self, error: &ReportedError, now: Instant) {
        self.now = now;
        let to = canonical(error.to);
        let mut connections = self.pool.at(to).iter().filter_map(|key| self.pool.get(*key));
        if may_be_said(error) && connections.any(|connection| is_of(connection, &error.quote)) {
            log::debug!("{to}: {}", error.what);
            self.context.emit(EndpointEvent::HostError { to, what: error.what });
        }
    }
}

/// Whether this may be said by whoever says it.
fn may_be_said(error: &ReportedError) -> bool {
    let to = error.to.ip().to_canonical();
    error.what != HostError::PortUnreachable || error.by.is_some_and(|by| by.to_canonical() == to)
}

/// Whether quoted bytes are the beginning of a packet of this connection; too few are of none.
fn is_of(connection: &Connection, quote: &[u8]) -> bool {
    if is_short(quote) {
        let theirs = connection.destination_id();
        return !theirs.is_empty() && quote.get(1..).is_some_and(|rest| rest.starts_with(&theirs));
    }
    let source = quote.get(LONG_ID).map(|length| LONG_ID + 1 + usize::from(*length));
    let source = source.and_then(|at| quote.get(at..)).and_then(<[u8]>::split_first);
    source.is_some_and(|(length, rest)| {
        let is_ours = |id: &Id| usize::from(*length) == id.len() && rest.starts_with(id);
        connection.ids().iter().any(is_ours)
    })
}

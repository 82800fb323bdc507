//! One host's transport: the model, the digest of what is asked of it, and a host that may hang.

use std::net::SocketAddr;

use super::host_links::{HostLinks, endpoint};
use super::stall_backlog::{Backlog, DelayedCall};
use crate::error::StreamFailure;
use crate::features::Features;
use crate::model::{ModelHandle, TransportModel};
use crate::output::{Destination, StreamId};
use crate::sim::digest::Digest;
use crate::sim::fault::HostId;
use crate::time::Time;
use crate::transport::{StreamGone, StreamRead, Transport};

/// A host's endpoint, lent to its member for one turn.
pub(crate) struct HostTransport<'a> {
    host: HostId,
    model: &'a mut TransportModel,
    links: HostLinks<'a>,
    /// The host is blocked: what it sends waits here.
    backlog: Option<&'a mut Backlog>,
    digest: &'a mut Digest,
    now: Time,
    departed: Vec<SocketAddr>,
}

impl<'a> HostTransport<'a> {
    pub(super) fn new(
        host: HostId,
        model: &'a mut TransportModel,
        links: HostLinks<'a>,
        backlog: Option<&'a mut Backlog>,
        digest: &'a mut Digest,
        now: Time,
    ) -> Self {
        Self { host, model, links, backlog, digest, now, departed: Vec::new() }
    }

    /// The peers that the member has let go of in this turn.
    pub(crate) fn into_departed(self) -> Vec<SocketAddr> {
        self.departed
    }

    /// Does what had to wait while the host was blocked.
    pub(crate) fn replay(&mut self, calls: Vec<DelayedCall>) {
        for call in calls {
            let mut model = self.model();
            match call {
                DelayedCall::SendPacket(to, bytes) => model.send_packet(&to, &bytes, Time::ZERO),
                DelayedCall::OpenStream(id, to, deadline) => {
                    model.open_stream(id, &to, deadline, Time::ZERO);
                }
                DelayedCall::Write(id, bytes, finish) => {
                    // It was taken then: what became of the stream since is reported anyway.
                    let _ = model.write_all(id, &bytes, finish);
                }
                DelayedCall::Stop(id) => model.stop(id),
                DelayedCall::Reset(id) => model.reset(id),
                DelayedCall::ClosePeer(address) => model.close_peer(address, Time::ZERO),
            }
        }
    }

    /// Dials everybody anew that the host is connected with, and says on these connections that it
    /// speaks this and has this start number.
    pub(crate) fn greet_anew(&mut self, features: Option<Features>, start: u64) {
        let id = endpoint(self.host);
        self.model.set_features(id, features);
        self.model.set_start(id, Some(start));
        self.model.replace_connections(id, self.now, &mut self.links);
    }

    fn model(&mut self) -> ModelHandle<'_, HostLinks<'a>> {
        self.model.handle(endpoint(self.host), &mut self.links, self.now)
    }

    fn begin_digest(&mut self, kind: u64) -> &mut Digest {
        self.digest.word(self.now.as_micros());
        self.digest.word(u64::from(self.host.0) << 8 | kind);
        self.digest
    }
}

/// Times are the member's own: its clock may run fast or slow.
impl Transport for HostTransport<'_> {
    fn send_packet(&mut self, to: &Destination, bytes: &[u8], now: Time) {
        self.begin_digest(1).packet(to.address, bytes);
        match &mut self.backlog {
            Some(backlog) => {
                backlog.keep_call(DelayedCall::SendPacket(to.clone(), bytes.to_vec()));
            }
            None => self.model().send_packet(to, bytes, now),
        }
    }

    fn open_stream(&mut self, id: StreamId, to: &Destination, deadline: Time, now: Time) {
        self.begin_digest(2).stream(to.address, deadline);
        let deadline = self.links.hosts.global(self.host, deadline);
        match &mut self.backlog {
            Some(backlog) => {
                backlog.keep_call(DelayedCall::OpenStream(id, to.clone(), deadline));
            }
            None => self.model().open_stream(id, to, deadline, now),
        }
    }

    fn write(&mut self, id: StreamId, bytes: &[u8], finish: bool) -> Result<usize, StreamGone> {
        self.begin_digest(3 | u64::from(finish) << 4).bytes(bytes);
        match &mut self.backlog {
            Some(backlog) => {
                backlog.keep_call(DelayedCall::Write(id, bytes.to_vec(), finish));
                Ok(bytes.len())
            }
            None => self.model().write(id, bytes, finish),
        }
    }

    fn read(&mut self, id: StreamId, buffer: &mut [u8]) -> Result<StreamRead, StreamFailure> {
        debug_assert!(self.backlog.is_none(), "nothing reaches a host that is blocked");
        self.model().read(id, buffer)
    }

    fn stop(&mut self, id: StreamId) {
        self.begin_digest(4);
        match &mut self.backlog {
            Some(backlog) => backlog.keep_call(DelayedCall::Stop(id)),
            None => self.model().stop(id),
        }
    }

    fn reset(&mut self, id: StreamId) {
        self.begin_digest(6);
        match &mut self.backlog {
            Some(backlog) => backlog.keep_call(DelayedCall::Reset(id)),
            None => self.model().reset(id),
        }
    }

    fn peer_departed(&mut self, address: SocketAddr) {
        self.departed.push(address);
    }

    fn close_peer(&mut self, address: SocketAddr, now: Time) {
        self.begin_digest(5).stream(address, Time::ZERO);
        match &mut self.backlog {
            Some(backlog) => backlog.keep_call(DelayedCall::ClosePeer(address)),
            None => self.model().close_peer(address, now),
        }
    }
}

//! Which stream of the endpoint is which stream of the machine, and what still has to go out.
//!
//! Holds back what the endpoint's buffer does not take yet and offers it again when there is
//! room. Decides nothing about connections or membership.

use std::collections::BTreeMap;

use quic_net::{Endpoint, StreamToken};
use swim_core::StreamId;

/// The streams of one node that its membership machine has an interest in. Bounded by the
/// machine, which refuses streams beyond its own limits, and by its limits of message sizes.
#[derive(Default)]
pub(crate) struct Streams {
    ids: BTreeMap<StreamToken, StreamId>,
    handles: BTreeMap<StreamId, StreamToken>,
    backlogs: BTreeMap<StreamToken, Backlog>,
    outgoing: u64,
    incoming: u64,
}

/// What the endpoint would not take at once.
struct Backlog {
    bytes: Vec<u8>,
    taken: usize,
    finish: bool,
    /// The machine is done with the stream: stop it once everything was taken.
    stop: bool,
}

impl Streams {
    /// The token of a stream that the machine opens.
    pub(crate) fn open(&mut self, id: StreamId) -> StreamToken {
        let token = StreamToken::from_caller(self.outgoing);
        self.outgoing += 1;
        self.pair(token, id);
        token
    }

    fn pair(&mut self, handle: StreamToken, id: StreamId) {
        self.ids.insert(handle, id);
        self.handles.insert(id, handle);
    }

    /// Names a stream that the peer opened.
    pub(crate) fn accept(&mut self, handle: StreamToken) -> StreamId {
        let id = StreamId::incoming(self.incoming);
        self.incoming += 1;
        self.pair(handle, id);
        id
    }

    pub(crate) fn id(&self, handle: StreamToken) -> Option<StreamId> {
        self.ids.get(&handle).copied()
    }

    /// Writes on a stream: at once, or behind what waits already.
    pub(crate) fn write(
        &mut self,
        endpoint: &mut Endpoint,
        id: StreamId,
        mut bytes: Vec<u8>,
        finish: bool,
    ) {
        let Some(&handle) = self.handles.get(&id) else { return };
        if let Some(backlog) = self.backlogs.get_mut(&handle) {
            backlog.bytes.append(&mut bytes);
            backlog.finish |= finish;
            return;
        }
        let backlog = Backlog { bytes, taken: 0, finish, stop: false };
        self.backlogs.insert(handle, backlog);
        self.resume(endpoint, handle);
    }

    /// The endpoint may take more of a stream.
    pub(crate) fn resume(&mut self, endpoint: &mut Endpoint, handle: StreamToken) {
        let Some(backlog) = self.backlogs.get_mut(&handle) else { return };
        let rest = backlog.bytes.get(backlog.taken..).unwrap_or_default();
        match endpoint.write(handle, rest, backlog.finish) {
            Ok(taken) if taken < rest.len() => {
                backlog.taken += taken;
                return;
            }
            Ok(_) => {}
            // The endpoint has reported, or is about to report, why the stream failed.
            Err(error) => log::debug!("stream {handle} takes no more: {error}"),
        }
        let stop = backlog.stop;
        self.backlogs.remove(&handle);
        if stop {
            endpoint.stop(handle);
        }
    }

    /// The machine is done with a stream: what was written still goes out.
    pub(crate) fn stop(&mut self, endpoint: &mut Endpoint, id: StreamId) {
        let Some(handle) = self.handles.remove(&id) else { return };
        self.ids.remove(&handle);
        match self.backlogs.get_mut(&handle) {
            Some(backlog) => backlog.stop = true,
            None => endpoint.stop(handle),
        }
    }

    /// The endpoint is done with a stream.
    pub(crate) fn forget(&mut self, handle: StreamToken) -> Option<StreamId> {
        self.backlogs.remove(&handle);
        let id = self.ids.remove(&handle)?;
        self.handles.remove(&id);
        Some(id)
    }
}

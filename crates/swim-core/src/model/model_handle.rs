//! One modelled endpoint as its member's transport.

use std::net::SocketAddr;

use super::links::{EndpointId, Links};
use super::transport_model::TransportModel;
use crate::error::StreamFailure;
use crate::output::{Destination, StreamId};
use crate::time::Time;
use crate::transport::{StreamGone, StreamRead, Transport};

/// One endpoint of a [`TransportModel`], for the duration of a call.
pub struct ModelHandle<'a, L> {
    model: &'a mut TransportModel,
    links: &'a mut L,
    id: EndpointId,
    now: Time,
}

impl<'a, L: Links> ModelHandle<'a, L> {
    fn new(model: &'a mut TransportModel, id: EndpointId, links: &'a mut L, now: Time) -> Self {
        Self { model, links, id, now }
    }

    /// As [`write`](Transport::write), without a bound: for bytes that were taken before.
    ///
    /// # Errors
    /// [`StreamGone`] when the stream takes nothing any more.
    pub fn write_all(
        &mut self,
        id: StreamId,
        bytes: &[u8],
        finish: bool,
    ) -> Result<(), StreamGone> {
        let links = (self.now, &mut *self.links);
        self.model.write_stream(self.id, id, (bytes, finish), usize::MAX, links).map(|_| ())
    }
}

impl TransportModel {
    /// The endpoint as its member's transport. `now` is the model's time.
    pub fn handle<'a, L: Links>(
        &'a mut self,
        id: EndpointId,
        links: &'a mut L,
        now: Time,
    ) -> ModelHandle<'a, L> {
        ModelHandle::new(self, id, links, now)
    }
}

/// Times that the machine gives are taken as the model's: whoever drives members with clocks of
/// their own translates them.
impl<L: Links> Transport for ModelHandle<'_, L> {
    fn send_packet(&mut self, to: &Destination, bytes: &[u8], _now: Time) {
        self.model.send_packet(self.id, to, bytes, self.now, self.links);
    }

    fn open_stream(&mut self, id: StreamId, to: &Destination, deadline: Time, _now: Time) {
        self.model.open_stream(self.id, id, to, deadline, self.now, self.links);
    }

    fn write(&mut self, id: StreamId, bytes: &[u8], finish: bool) -> Result<usize, StreamGone> {
        let buffer = self.model.limits.stream_buffer;
        self.model.write_stream(self.id, id, (bytes, finish), buffer, (self.now, self.links))
    }

    fn read(&mut self, id: StreamId, buffer: &mut [u8]) -> Result<StreamRead, StreamFailure> {
        self.model.read_stream(self.id, id, buffer, self.now, self.links)
    }

    fn stop(&mut self, id: StreamId) {
        self.model.stop_stream(self.id, id, self.now, self.links);
    }

    fn reset(&mut self, id: StreamId) {
        self.model.reset_stream(self.id, id, self.now, self.links);
    }

    fn close_peer(&mut self, address: SocketAddr, _now: Time) {
        self.model.close_peer(self.id, address, self.now, self.links);
    }
}

//! The events that the application has not taken yet.

use std::collections::VecDeque;

use crate::event::EndpointEvent;

/// Events in the order in which they happened, with the bytes that their payloads take.
#[derive(Default)]
pub(crate) struct EventQueue {
    events: VecDeque<EndpointEvent>,
    /// What the payloads of peers weigh.
    bytes: usize,
    /// What datagrams that are not QUIC weigh.
    raw_bytes: usize,
}

impl EventQueue {
    pub(crate) fn push(&mut self, event: EndpointEvent) {
        *self.account_of(&event) += payload_size(&event);
        self.events.push_back(event);
    }

    pub(crate) fn pop(&mut self) -> Option<EndpointEvent> {
        let event = self.events.pop_front()?;
        *self.account_of(&event) -= payload_size(&event);
        Some(event)
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    /// What the payloads of peers weigh.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What datagrams that are not QUIC weigh.
    pub(crate) fn raw_bytes(&self) -> usize {
        self.raw_bytes
    }

    fn account_of(&mut self, event: &EndpointEvent) -> &mut usize {
        if matches!(event, EndpointEvent::RawDatagram { .. }) {
            &mut self.raw_bytes
        } else {
            &mut self.bytes
        }
    }
}

/// What the payload of an event weighs, with its bookkeeping; 0 for events without one.
pub(crate) fn payload_size(event: &EndpointEvent) -> usize {
    match event {
        EndpointEvent::Packet { bytes, .. }
        | EndpointEvent::ApplicationPacket { bytes, .. }
        | EndpointEvent::RawDatagram { bytes, .. } => bytes.len() + BOOKKEEPING,
        EndpointEvent::Connected { .. }
        | EndpointEvent::Closed { .. }
        | EndpointEvent::StreamOpened { .. }
        | EndpointEvent::StreamReadable { .. }
        | EndpointEvent::StreamWritable { .. }
        | EndpointEvent::StreamStopped { .. }
        | EndpointEvent::StreamFailed { .. }
        | EndpointEvent::SendFailed { .. }
        | EndpointEvent::HostError { .. }
        | EndpointEvent::PacketLimit { .. }
        | EndpointEvent::SendError { .. }
        | EndpointEvent::PeerFeatures { .. }
        | EndpointEvent::Refused { .. } => 0,
    }
}

/// What an event takes beside its payload, in bytes: many empty packets must weigh something.
const BOOKKEEPING: usize = 64;

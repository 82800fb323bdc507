//! The applications of all hosts: what they ask of their members, what they were told, and what
//! they may expect of both.

mod app_request;
mod message_log;
mod operations;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::member_name::MemberName;
use crate::membership::Membership;
use crate::output::{MembershipEvent, OperationId, Outcome};
use crate::sim::coverage::Counted;
use crate::sim::fault::HostId;
use crate::time::Time;
use crate::wire::{DeliveryStatus, MAX_COMMON_MESSAGE};

pub(crate) use app_request::AppRequest;
pub(crate) use message_log::{MIN_PAYLOAD, MessageViolation};
use message_log::{MessageKind, MessageLog, Process, number_of};
pub(crate) use operations::OperationViolation;
use operations::{Operation, Operations};

/// The applications of all hosts, and what they have sent and begun.
pub(crate) struct Application {
    messages: MessageLog,
    operations: Operations,
    /// Hosts whose applications take no reliable messages at present, and what they say instead.
    unwilling: BTreeMap<HostId, DeliveryStatus>,
    /// Every event, if they are to be kept: when, at whom, what.
    events: Option<Vec<(Time, HostId, MembershipEvent)>>,
}

impl Application {
    pub(crate) fn new(keep_events: bool) -> Self {
        Self {
            messages: MessageLog::default(),
            operations: Operations::default(),
            unwilling: BTreeMap::new(),
            events: keep_events.then(Vec::new),
        }
    }

    /// A numbered broadcast of about `len` bytes.
    pub(crate) fn broadcast(&mut self, len: usize) -> AppRequest {
        AppRequest::Broadcast(self.messages.compose(MessageKind::Broadcast, None, len))
    }

    /// A numbered message of about `len` bytes by packet.
    pub(crate) fn send(&mut self, (to, name): (HostId, &MemberName), len: usize) -> AppRequest {
        let payload = self.messages.compose(MessageKind::Packet, Some(to), len);
        AppRequest::Send(name.clone(), payload)
    }

    /// A numbered message of about `len` bytes by stream.
    pub(crate) fn send_reliable(
        &mut self,
        (to, name): (HostId, &MemberName),
        len: usize,
        timeout: Duration,
    ) -> AppRequest {
        let payload = self.messages.compose(MessageKind::Stream, Some(to), len);
        AppRequest::SendReliable(name.clone(), payload, timeout)
    }

    /// Makes a request of a host's member.
    pub(crate) fn request(
        &mut self,
        (host, process): Process,
        request: AppRequest,
        membership: &mut Membership,
        now: Time,
    ) {
        // A request that is refused (the member is unknown by then, say) has no effect.
        let begun = match request {
            AppRequest::Bootstrap(addresses) => {
                membership.set_seeds(addresses, now);
                None
            }
            AppRequest::Join(via) => Some((membership.join(via, None, now), Operation::Join)),
            AppRequest::Leave => Some((membership.leave(now), Operation::Leave)),
            AppRequest::Meta(meta) => {
                let _ = membership.set_meta(meta, now);
                None
            }
            AppRequest::Broadcast(payload) => {
                let _ = membership.broadcast(payload, now);
                None
            }
            AppRequest::Send(to, payload) => {
                let _ = membership.send(&to, &payload, now);
                None
            }
            AppRequest::SendReliable(to, payload, timeout) => {
                let number = number_of(&payload).unwrap_or_default();
                self.messages.send(number, (host, process));
                let begun = membership.send_reliable(&to, &payload, timeout, now).ok();
                begun.map(|id| (id, Operation::Send(number)))
            }
            AppRequest::Ping(to) => membership.ping(&to, now).ok().map(|id| (id, Operation::Ping)),
        };
        if let Some((id, operation)) = begun {
            self.operations.begin(host, id, operation);
        }
    }

    /// An operation ended.
    pub(crate) fn on_finished(
        &mut self,
        host: HostId,
        id: OperationId,
        outcome: &Outcome,
    ) -> Result<Counted, OperationViolation> {
        let arrived = |number| self.messages.has_arrived(number);
        let succeeded = self.operations.finish(host, id, outcome, arrived)?;
        Ok(if succeeded { Counted::OperationDone } else { Counted::OperationFailed })
    }

    /// From here on a host's application disposes of reliable messages like this.
    pub(crate) fn set_status(&mut self, host: HostId, status: DeliveryStatus) {
        match status {
            DeliveryStatus::Taken => self.unwilling.remove(&host),
            DeliveryStatus::Busy | DeliveryStatus::NoReceiver | DeliveryStatus::Refused => {
                self.unwilling.insert(host, status)
            }
        };
    }

    /// What a host's application does with a reliable message.
    pub(crate) fn status(&self, host: HostId) -> DeliveryStatus {
        self.unwilling.get(&host).copied().unwrap_or(DeliveryStatus::Taken)
    }

    /// A message arrived, and is taken.
    pub(crate) fn on_message(
        &mut self,
        host: Process,
        reliable: bool,
        payload: &[u8],
    ) -> Result<Counted, MessageViolation> {
        Ok(match self.messages.deliver(host, reliable, payload)? {
            MessageKind::Broadcast => Counted::BroadcastDelivered,
            MessageKind::Packet => Counted::PacketDelivered,
            MessageKind::Stream if payload.len() > MAX_COMMON_MESSAGE => Counted::LargeDelivered,
            MessageKind::Stream => Counted::StreamDelivered,
        })
    }

    /// Keeps an event, if events are to be kept.
    pub(crate) fn keep_event(&mut self, now: Time, host: HostId, event: MembershipEvent) {
        if let Some(events) = &mut self.events {
            events.push((now, host, event));
        }
    }

    /// A host went down: its operations never end.
    pub(crate) fn forget_process(&mut self, host: HostId) {
        self.operations.forget(host);
    }

    pub(crate) fn events(&self) -> &[(Time, HostId, MembershipEvent)] {
        self.events.as_deref().unwrap_or_default()
    }

    /// Operations that have not ended.
    pub(crate) fn open_operations(&self) -> usize {
        self.operations.len()
    }
}

//! The modelled world: virtual time, a millisecond for everything that travels.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use swim_core::model::{
    EndpointId, Journey, LOWERED_PACKET_LIMIT, Links, ModelLimits, TransportModel,
};
use swim_core::{Peer, Time, Transport, TransportEvent};

use super::{DIAL_TIMEOUT, PARTICIPANTS, World, address, features, name};

const TRAVEL: Duration = Duration::from_millis(1);

pub(super) struct ModelWorld {
    model: TransportModel,
    wire: Wire,
    now: Time,
    events: Vec<(EndpointId, TransportEvent)>,
}

#[derive(Default)]
struct Wire {
    cut: BTreeSet<(EndpointId, EndpointId)>,
    longest: Option<usize>,
}

/// What the real endpoint puts around a packet.
const OVERHEAD: usize = 1_200 - LOWERED_PACKET_LIMIT;

impl Links for Wire {
    fn endpoint_at(&self, at: SocketAddr) -> Option<EndpointId> {
        let who = (0..PARTICIPANTS.len()).find(|who| address(*who) == at)?;
        Some(endpoint(who))
    }

    fn connects(&self, from: EndpointId, to: EndpointId) -> bool {
        !self.cut.contains(&(from, to))
    }

    fn datagram(&mut self, from: EndpointId, to: EndpointId, _: &mut [u8]) -> Journey {
        match self.connects(from, to) {
            true => Journey::Arrives { after: TRAVEL, again: None },
            false => Journey::Lost,
        }
    }

    fn longest_datagram(&self, _: EndpointId, _: EndpointId) -> usize {
        self.longest.unwrap_or(usize::MAX)
    }

    fn stream_delay(&mut self, _: EndpointId, _: EndpointId) -> Duration {
        TRAVEL
    }
}

fn endpoint(who: usize) -> EndpointId {
    EndpointId(u32::try_from(who).unwrap())
}

fn peer(who: usize) -> Peer {
    Peer { address: address(who), names: [name(PARTICIPANTS[who])].into() }
}

impl ModelWorld {
    pub(super) fn new() -> Self {
        let limits = ModelLimits { dial_timeout: DIAL_TIMEOUT, ..ModelLimits::default() };
        let mut model = TransportModel::new(limits);
        for who in 0..PARTICIPANTS.len() {
            let id = model.add(peer(who));
            model.set_features(id, Some(features(who)));
            model.start(id, peer(who));
        }
        Self { model, wire: Wire::default(), now: Time::ZERO, events: Vec::new() }
    }

    fn drain(&mut self) {
        self.events.extend(std::iter::from_fn(|| self.model.poll_event()));
    }
}

impl World for ModelWorld {
    fn act(&mut self, who: usize, act: &mut dyn FnMut(&mut dyn Transport, Time)) {
        let now = self.now;
        act(&mut self.model.handle(endpoint(who), &mut self.wire, now), now);
        self.drain();
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(due) = self.model.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.model.advance(self.now, &mut self.wire);
            self.drain();
        }
        self.now = end;
    }

    fn take_events(&mut self, who: usize) -> Vec<TransportEvent> {
        let (his, others) =
            std::mem::take(&mut self.events).into_iter().partition(|(id, _)| *id == endpoint(who));
        self.events = others;
        Vec::from_iter(his).into_iter().map(|(_, event)| event).collect()
    }

    fn cut(&mut self, from: usize, to: usize, is_cut: bool) {
        let pair = (endpoint(from), endpoint(to));
        if is_cut {
            self.wire.cut.insert(pair);
        } else {
            self.wire.cut.remove(&pair);
        }
    }

    fn narrow(&mut self, longest: usize) {
        self.wire.longest = Some(longest.saturating_sub(OVERHEAD));
    }

    fn restart(&mut self, who: usize) {
        self.model.start(endpoint(who), peer(who));
    }
}

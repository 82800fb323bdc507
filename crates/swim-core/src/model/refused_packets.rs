//! Packets that a host or a firewall refuses, as the sender is told.

use super::links::{EndpointId, Journey, Links};
use super::model_agenda::Move;
use super::transport_model::TransportModel;
use crate::time::Time;

/// Whether a packet is refused instead of taken. Its sender learns it, as the kernel says, when the
/// refusal has come back.
pub(super) fn is_refused(
    model: &mut TransportModel,
    from: EndpointId,
    to: EndpointId,
    now: Time,
    links: &mut impl Links,
) -> bool {
    let Some(target) = model.endpoint(to) else { return false };
    let address = target.peer.address;
    if !links.refuses(from, to, target.is_up) {
        return false;
    }
    let life = model.life(from);
    let there = links.datagram(from, to, &mut []);
    let back = links.datagram(to, from, &mut []);
    if let (Journey::Arrives { after, .. }, Journey::Arrives { after: back, .. }) = (there, back) {
        model.agenda.plan(now + after + back, Move::Refusal { at: from, life, from: address });
    }
    true
}

//! Arbitrary and damaged datagrams for an endpoint with a live connection.

use std::time::Duration;

use quic_net::{EndpointEvent, StreamToken};

use crate::draw::Draw;
use crate::endpoints::{Pair, address, now, sent_by};

const ADA: usize = 0;
const BOB: usize = 1;
const MOST_STEPS: u64 = 40;
/// Longer than any stream takes here.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whatever arrives beside it, the connection stays, and what arrives on it is what was sent.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    let mut pair = Pair::connected();
    let before = pair.ends[ADA].1.stats().udp_received;
    let mut packets = vec![b"\x08hello".to_vec()];
    for step in 0..MOST_STEPS {
        if draw.is_empty() {
            break;
        }
        let here = pair.ends[ADA].0;
        match draw.below(8) {
            0 => {
                // A first byte that is no application's.
                let packet = [&[8], draw.slice()].concat();
                pair.ends[BOB].1.send_packet(here, None, &packet, now());
                packets.push(packet);
            }
            1 => pair.carry(),
            2 | 3 => damage_what_bob_sends(&mut pair, &mut draw),
            4 => {
                let mut datagram = draw.slice().to_vec();
                pair.deliver(ADA, draw.choice([2, 3].map(address)), &mut datagram);
            }
            5 => {
                let mut datagram = long_header(&mut draw);
                pair.deliver(ADA, draw.choice([2, 3].map(address)), &mut datagram);
            }
            6 => {
                let (stream, end) = (StreamToken::from_caller(step), &mut pair.ends[BOB].1);
                end.open_stream(stream, here, None, now() + PATIENCE, now());
                // It may have failed by then.
                let _ = end.write(stream, draw.slice(), draw.flag());
            }
            _ => pair.tick(),
        }
    }
    pair.carry();
    judge(&pair, &packets);
    pair.ends[ADA].1.stats().udp_received > before
}

/// What Ada reports is what Bob sent; neither has lost the other.
fn judge(pair: &Pair, packets: &[Vec<u8>]) {
    for event in pair.events.iter().flatten() {
        if let EndpointEvent::Packet { bytes, .. } = event {
            assert!(packets.contains(bytes), "nobody sent {bytes:?}");
        }
        assert!(!matches!(event, EndpointEvent::Closed { .. }), "{event:?}");
    }
    let ada = &pair.ends[ADA].1;
    assert!(ada.peer(address(2)).is_some(), "{:?}", ada.stats());
}

/// Takes the datagrams that Bob has to send and delivers some, changed, repeated or out of order.
fn damage_what_bob_sends(pair: &mut Pair, draw: &mut Draw<'_>) {
    let mut datagrams = sent_by(&mut pair.ends[BOB].1);
    if draw.flag() {
        datagrams.reverse();
    }
    for (_, datagram) in datagrams {
        let mut changed = datagram.clone();
        let at = usize::from(draw.u16()).checked_rem(changed.len()).unwrap_or(0);
        match draw.below(6) {
            0 => changed[at] ^= 1 << draw.below(8),
            1 => changed.truncate(at),
            2 => changed.extend_from_slice(draw.slice()),
            // Its connection id, and an end that may look like a reset.
            3 => {
                changed.splice(9.min(datagram.len()).., draw.slice().iter().copied()).for_each(drop)
            }
            4 => pair.deliver(ADA, address(2), &mut datagram.clone()),
            _ => {}
        }
        pair.deliver(ADA, draw.choice([2, 2, 3].map(address)), &mut changed);
        if draw.flag() {
            pair.deliver(ADA, address(2), &mut datagram.clone());
        }
    }
}

/// A packet of a handshake, of any kind and version, long enough to be looked at.
fn long_header(draw: &mut Draw<'_>) -> Vec<u8> {
    let mut packet = vec![0x80 | draw.byte()];
    packet.extend(draw.choice([1_u32, 0, 0x6b33_43cf, 0xff00_001d, 0x1a2a_3a4a]).to_be_bytes());
    for _ in 0..2 {
        let id = draw.slice();
        packet.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        packet.extend_from_slice(id);
    }
    packet.extend_from_slice(draw.slice());
    if draw.flag() {
        packet.resize(packet.len().max(1_200), draw.byte());
    }
    packet
}

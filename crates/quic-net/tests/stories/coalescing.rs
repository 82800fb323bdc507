//! Packets that travel together in one UDP datagram.

use std::net::SocketAddr;

use crate::world::{authority, config, endpoint, identity, now};
use quic_net::{Endpoint, EndpointEvent};

const ADA: &str = "127.0.0.1:1001";
const BOB: &str = "127.0.0.1:1002";

fn member(name: &str) -> Endpoint {
    let identity = identity(authority(), name);
    endpoint(config(&identity, name), &identity)
}

/// What an endpoint has to send, datagram by datagram.
fn sent(endpoint: &mut Endpoint) -> Vec<Vec<u8>> {
    let (mut buffer, mut datagrams) = (vec![0; 65_536], Vec::new());
    while let Some(transmit) = endpoint.poll_transmit(&mut buffer, now()) {
        let segment = transmit.segment.unwrap_or(transmit.len).max(1);
        datagrams.extend(buffer[..transmit.len].chunks(segment).map(<[u8]>::to_vec));
    }
    datagrams
}

/// The packet of a handshake (type 2) at the beginning or after others in a datagram: where it is.
fn handshake_packet(datagram: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    while datagram.get(at)? & 0x80 != 0 {
        let kind = datagram[at] >> 4 & 3;
        let mut next = at + 6 + usize::from(datagram[at + 5]);
        next += 1 + usize::from(datagram[next]);
        let number = |at: usize| match datagram[at] >> 6 {
            0 => (1, usize::from(datagram[at])),
            _ => (2, usize::from(datagram[at] & 0x3F) << 8 | usize::from(datagram[at + 1])),
        };
        if kind == 0 {
            let (width, length) = number(next);
            next += width + length;
        }
        let (width, length) = number(next);
        next += width + length;
        if kind == 2 {
            return datagram.get(at..next);
        }
        at = next;
    }
    None
}

/// An acknowledgement in a packet of the handshake may come when its keys are gone.
#[test]
fn what_travels_behind_a_packet_without_keys_is_read() {
    let (mut ada, mut bob) = (member("ada"), member("bob"));
    let [adas, bobs] = [ADA, BOB].map(|address| address.parse::<SocketAddr>().unwrap());
    ada.send_packet(bobs, Some(b"bob"), b"first", now());
    let (mut late, mut events) = (None, Vec::new());
    for _ in 0..20 {
        for mut datagram in sent(&mut ada) {
            late = late.or_else(|| handshake_packet(&datagram).map(<[u8]>::to_vec));
            bob.handle_udp(adas, None, &mut datagram, now());
        }
        for mut datagram in sent(&mut bob) {
            ada.handle_udp(bobs, None, &mut datagram, now());
        }
        events.extend(std::iter::from_fn(|| bob.poll_event()));
    }
    let packets = |events: &[EndpointEvent]| {
        let bytes = |event: &EndpointEvent| match event {
            EndpointEvent::Packet { bytes, .. } => Some(bytes.clone()),
            _ => None,
        };
        events.iter().filter_map(bytes).collect::<Vec<_>>()
    };
    assert_eq!(packets(&events), [b"first"]);
    let late = late.unwrap();
    ada.send_packet(bobs, Some(b"bob"), b"second", now());
    for datagram in sent(&mut ada) {
        let mut both = [&late[..], &datagram].concat();
        bob.handle_udp(adas, None, &mut both, now());
    }
    events.extend(std::iter::from_fn(|| bob.poll_event()));
    assert_eq!(packets(&events), [&b"first"[..], b"second"]);
}

//! The tokens of Retry packets (RFC 9000 section 8.1.2): who comes back with one has proved its
//! address, and nobody else has.

use quic_net::{Endpoint, Limits};
use quiche::{Header, Type};

use crate::draw::Draw;
use crate::endpoints::{address, endpoint, now, sent_by};

/// How long the ids are that the endpoint gives out, in bytes.
const ID: usize = 8;

/// A token counts for its address and its id, whole and unchanged, and never otherwise.
pub fn check(input: &[u8]) -> bool {
    let mut draw = Draw::new(input);
    let mut limits = Limits::default();
    // Whoever comes must prove its address.
    limits.handshakes = 0;
    let mut ada = endpoint("ada", limits);
    arrive(&mut ada, 2, b"client-id", &[]);
    let (token, id) = retry(&mut ada).expect("the endpoint asks for a proof");
    let (mut returned, mut to, mut host) = (token.clone(), id.clone(), 2);
    for _ in 0..draw.below(4) {
        damage(&mut draw, &mut returned, &mut to, &mut host);
    }
    let is_genuine = (&returned, &to, host) == (&token, &id, 2);
    let before = ada.stats();
    arrive(&mut ada, host, &to, &returned);
    let stats = ada.stats();
    let accepted = stats.accepted - before.accepted;
    assert_eq!(accepted, u64::from(is_genuine), "{returned:?} for {to:?} from host {host}");
    !is_genuine
}

/// Changes what comes back with the token, or where it comes from.
fn damage(draw: &mut Draw<'_>, token: &mut Vec<u8>, id: &mut [u8], host: &mut u8) {
    let at = usize::from(draw.byte()).checked_rem(token.len()).unwrap_or(0);
    match draw.below(7) {
        0 => token.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << draw.below(8)),
        1 => token.truncate(at),
        2 => token.extend_from_slice(draw.slice()),
        3 => *token = draw.slice().to_vec(),
        4 => {
            let at = draw.below(ID);
            id[at] ^= 1 << draw.below(8);
        }
        // A part of the token that becomes a part of the id, or the other way round.
        5 => token.rotate_left(at),
        _ => *host = draw.choice([2, 3, 9]),
    }
}

/// An Initial arrives from a host: whole as far as its header goes, and empty.
fn arrive(endpoint: &mut Endpoint, host: u8, id: &[u8], token: &[u8]) {
    let mut packet = vec![0xc0, 0, 0, 0, 1, u8::try_from(id.len()).unwrap_or(u8::MAX)];
    packet.extend_from_slice(id);
    packet.extend_from_slice(b"\x04from");
    // A varint of two bytes holds lengths below 16,384.
    let length = u16::try_from(token.len()).unwrap_or(0) & 0x3fff;
    packet.extend_from_slice(&(0x4000 | length).to_be_bytes());
    packet.extend_from_slice(&token[..usize::from(length)]);
    packet.extend_from_slice(&(0x4000_u16 | 900).to_be_bytes());
    packet.resize(packet.len().max(300) + 900, 0);
    endpoint.handle_udp(address(host), None, &mut packet, now());
}

/// The token and the id that the endpoint gives the client at host 2.
fn retry(endpoint: &mut Endpoint) -> Option<(Vec<u8>, Vec<u8>)> {
    sent_by(endpoint).into_iter().filter(|(to, _)| *to == address(2)).find_map(|(_, mut bytes)| {
        let header = Header::from_slice(&mut bytes, ID).ok()?;
        let token = header.token.filter(|_| header.ty == Type::Retry)?;
        Some((token, header.scid.to_vec()))
    })
}

//! Several QUIC packets in one UDP datagram (RFC 9000 section 12.2).
//!
//! quiche drops the rest of a datagram behind a packet that it cannot decrypt, against the RFC. A
//! peer that has just finished its handshake acknowledges that of the other side in such a packet,
//! whose keys may be gone there by then, and what travels behind it is never sent again if it is a
//! DATAGRAM frame. So each packet is handed over alone.

use octets::Octets;

use crate::long_header::is_short;

/// Set in the first byte of all packets of QUIC 1.
const FIXED_BIT: u8 = 0x40;
/// Types of packets with a long header (RFC 9000 section 17.2).
const INITIAL: u8 = 0;
const RETRY: u8 = 3;
const VERSION_1: u32 = 1;

/// Splits the first packet off. The second half is empty, unless another packet follows: one with a
/// long header says where it ends, any other packet ends with the datagram.
pub(super) fn split_first(bytes: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    let whole = bytes.len();
    let end = end_of_first(bytes).filter(|end| *end < whole).unwrap_or(whole);
    let (first, rest) = bytes.split_at_mut(end);
    // What some peers pad datagrams with is no packet.
    let is_packet = rest.first().is_some_and(|first| first & FIXED_BIT != 0);
    (first, if is_packet { rest } else { &mut [] })
}

fn end_of_first(bytes: &[u8]) -> Option<usize> {
    let mut reader = Octets::with_slice(bytes);
    let first = reader.get_u8().ok()?;
    let kind = first >> 4 & 3;
    if is_short(bytes) || reader.get_u32().ok()? != VERSION_1 || kind == RETRY {
        return None;
    }
    reader.get_bytes_with_u8_length().ok()?;
    reader.get_bytes_with_u8_length().ok()?;
    if kind == INITIAL {
        reader.get_bytes_with_varint_length().ok()?;
    }
    let length = usize::try_from(reader.get_varint().ok()?).ok()?;
    reader.off().checked_add(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Handshake packets have no token.
    fn long(kind: u8, token: Option<&[u8]>, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xC0 | kind << 4, 0, 0, 0, 1, 2, 1, 1, 3, 2, 2, 2];
        for part in token.into_iter().chain([payload]) {
            packet.push(u8::try_from(part.len()).unwrap());
            packet.extend(part);
        }
        packet
    }

    fn lengths(mut datagram: Vec<u8>) -> Vec<usize> {
        let (mut rest, mut lengths) = (&mut datagram[..], Vec::new());
        while !rest.is_empty() {
            let (first, others) = split_first(rest);
            lengths.push(first.len());
            rest = others;
        }
        lengths
    }

    #[test]
    fn packets_with_long_headers_end_where_they_say() {
        let initial = long(INITIAL, Some(b"token"), &[7; 30]);
        let handshake = long(2, None, &[8; 20]);
        let short = vec![0x40; 25];
        let all = [&initial[..], &handshake, &short].concat();
        assert_eq!(lengths(all), [initial.len(), handshake.len(), short.len()]);
        assert_eq!(lengths(short), [25]);
    }

    #[test]
    fn what_ends_nowhere_or_beyond_the_datagram_is_one_packet() {
        let handshake = long(2, None, &[8; 20]);
        for datagram in [
            handshake[..handshake.len() - 1].to_vec(),
            handshake[..9].to_vec(),
            vec![0xC0],
            [&[0xF0, 0, 0, 0, 1], &handshake[5..]].concat(),
            [&[0xC0, 0, 0, 0, 0], &handshake[5..], &handshake].concat(),
        ] {
            assert_eq!(lengths(datagram.clone()), [datagram.len()], "{datagram:?}");
        }
        assert_eq!(lengths([&handshake[..], &[0; 100]].concat()), [handshake.len()], "padding");
        assert_eq!(lengths(Vec::new()), [0; 0]);
    }
}

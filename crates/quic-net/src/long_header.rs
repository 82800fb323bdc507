//! Which QUIC packets have a long header (RFC 9000 section 17.2): those of handshakes.

/// Set in the first byte of packets with a long header.
pub(crate) const LONG_HEADER: u8 = 0x80;

/// Whether a packet has a short header.
pub(crate) fn is_short(packet: &[u8]) -> bool {
    packet.first().is_some_and(|first| first & LONG_HEADER == 0)
}

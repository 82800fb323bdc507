//! The endpoint.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use boring::ssl::SslContextBuilder;

use crate::config::EndpointConfig;
use crate::event::*;
use crate::stats::*;

/// A QUIC endpoint without a socket.
#[derive(Debug)]
pub struct Endpoint {}

/// Datagrams to be sent, written to the buffer given to
/// [`poll_transmit`](Endpoint::poll_transmit).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: SocketAddr,
    /// The local address to send from, when a packet of the peer told which one it uses.
    pub source: Option<IpAddr>,
    /// Bytes written to the buffer.
    pub len: usize,
    /// If set, the bytes are several datagrams of this size; the last one may be shorter.
    pub segment: Option<usize>,
}

impl Endpoint {
    /// A.
    pub fn new(_: EndpointConfig, _: SslContextBuilder, _: Instant) -> Result<Self, EndpointError> {
        todo!()
    }
    /// New connections use this context.
    pub fn replace_tls(&mut self, _tls: SslContextBuilder) -> Result<(), EndpointError> {
        todo!()
    }
    /// A datagram arrived.
    pub fn handle_udp(
        &mut self,
        _from: SocketAddr,
        _to: Option<IpAddr>,
        _bytes: &mut [u8],
        _now: Instant,
    ) {
        todo!()
    }
    /// A deadline passed.
    pub fn handle_timeout(&mut self, _now: Instant) {
        todo!()
    }
    /// Sends a packet.
    pub fn send_packet(
        &mut self,
        _to: SocketAddr,
        _expected: Option<&[u8]>,
        _bytes: &[u8],
        _now: Instant,
    ) {
        todo!()
    }
    /// Sends a datagram that is not QUIC.
    pub fn send_raw(&mut self, _to: SocketAddr, _bytes: &[u8]) {
        todo!()
    }
    /// Opens a stream.
    pub fn open_stream(
        &mut self,
        _to: SocketAddr,
        _expected: Option<&[u8]>,
        _deadline: Instant,
        _now: Instant,
    ) -> StreamHandle {
        todo!()
    }
    /// Moves or lifts the deadline of a stream.
    pub fn set_deadline(&mut self, _stream: StreamHandle, _deadline: Option<Instant>) {
        todo!()
    }
    /// Writes.
    pub fn write(
        &mut self,
        _stream: StreamHandle,
        _bytes: &[u8],
        _finish: bool,
    ) -> Result<usize, WriteError> {
        todo!()
    }
    /// Reads.
    pub fn read(&mut self, _stream: StreamHandle, _buffer: &mut [u8]) -> Result<Read, ReadError> {
        todo!()
    }
    /// Done reading: queued data still goes out, then FIN.
    pub fn stop(&mut self, _stream: StreamHandle) {
        todo!()
    }
    /// Both directions end at once.
    pub fn reset(&mut self, _stream: StreamHandle) {
        todo!()
    }
    /// Closes all connections to `peer`.
    pub fn close(&mut self, _peer: SocketAddr, _reason: CloseReason, _now: Instant) {
        todo!()
    }
    /// Orderly end.
    pub fn shutdown(&mut self, _deadline: Instant, _now: Instant) {
        todo!()
    }
    /// Whether a shutdown is complete: every connection is closed and nothing is left to send.
    pub fn is_shut_down(&self) -> bool {
        todo!()
    }
    /// What to send.
    pub fn poll_transmit(&mut self, _buffer: &mut [u8], _now: Instant) -> Option<Transmit> {
        todo!()
    }
    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    /// When to call `handle_timeout`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    /// Counters.
    pub fn stats(&self) -> EndpointStats {
        todo!()
    }
    /// Authenticated connections.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        todo!()
    }
}

//! One UDP socket: batched receives, segmented sends, and the address the peer asked for.
//!
//! Where the kernel refuses segmented sends, datagrams go out one at a time.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use mio::net::UdpSocket;
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};

use crate::endpoint::{Endpoint, Transmit};
use crate::error_queue;
use crate::kernel_refusal::KernelRefusal;

/// A bound UDP socket.
pub(crate) struct Socket {
    io: UdpSocket,
    state: UdpSocketState,
    address: SocketAddr,
    /// The kernel may hold datagrams that were not read.
    readable: bool,
    /// There may be something to do here.
    ready: bool,
    /// A transmit that the kernel had no room for; sent first when it has.
    blocked: Option<(Transmit, Vec<u8>)>,
}

/// Memory for a batch of received datagrams; one serves all sockets of a thread.
pub(crate) struct ReceiveBuffers {
    bytes: Vec<u8>,
    metas: [RecvMeta; BATCH],
}

/// How a bounded piece of socket work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketProgress {
    /// Nothing is left to do until the kernel says so.
    Drained,
    /// The bound was reached; there may be more.
    More,
}

impl Socket {
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let io = UdpSocket::bind(address)?;
        let state = UdpSocketState::new(UdpSockRef::from(&io))?;
        for (what, done) in [
            ("receive", state.set_recv_buffer_size(UdpSockRef::from(&io), KERNEL_BUFFER)),
            ("send", state.set_send_buffer_size(UdpSockRef::from(&io), KERNEL_BUFFER)),
        ] {
            if let Err(error) = done {
                log::debug!("the kernel keeps its {what} buffer size: {error}");
            }
        }
        let address = io.local_addr()?;
        error_queue::enable(&io, address);
        Ok(Self { io, state, address, readable: true, ready: true, blocked: None })
    }

    /// What the poll watches.
    pub(crate) fn source_mut(&mut self) -> &mut UdpSocket {
        &mut self.io
    }

    /// The poll has said that there is room, or also something to read.
    pub(crate) fn note_ready(&mut self, is_readable: bool) {
        self.ready = true;
        self.readable |= is_readable;
    }

    /// Whether there may be something to do that nobody was told of yet.
    pub(crate) fn take_ready(&mut self) -> bool {
        std::mem::take(&mut self.ready)
    }

    /// Whether the kernel may hold datagrams that were not read.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether a transmit waits for room in the kernel.
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Hands what the kernel holds to `endpoint`, in at most [`RECEIVE_ROUNDS`] batches.
    pub(crate) fn receive(
        &mut self,
        buffers: &mut ReceiveBuffers,
        endpoint: &mut Endpoint,
        now: std::time::Instant,
    ) -> io::Result<SocketProgress> {
        self.drain_errors(endpoint, now);
        for _ in 0..RECEIVE_ROUNDS {
            let count = {
                let mut slices = buffers.bytes.chunks_exact_mut(SLOT).map(IoSliceMut::new);
                let mut batch: [IoSliceMut<'_>; BATCH] =
                    std::array::from_fn(|_| slices.next().unwrap_or(IoSliceMut::new(&mut [])));
                match self.state.recv(UdpSockRef::from(&self.io), &mut batch, &mut buffers.metas) {
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.readable = false;
                        return Ok(SocketProgress::Drained);
                    }
                    // ICMP errors surface on the next call of any kind and say nothing about
                    // the socket itself.
                    Err(error) if is_about_a_peer(&error) => continue,
                    Err(error) => return Err(error),
                }
            };
            for (slot, meta) in buffers.bytes.chunks_exact_mut(SLOT).zip(&buffers.metas[..count]) {
                let Some(filled) = slot.get_mut(..meta.len) else {
                    continue;
                };
                for datagram in filled.chunks_mut(meta.stride.max(1)) {
                    endpoint.handle_udp(meta.addr, meta.dst_ip, datagram, now);
                }
            }
        }
        Ok(SocketProgress::More)
    }

    /// Sends what `endpoint` has to send, at most [`SEND_ROUNDS`] transmits.
    pub(crate) fn flush(
        &mut self,
        scratch: &mut [u8],
        endpoint: &mut Endpoint,
        now: std::time::Instant,
    ) -> io::Result<SocketProgress> {
        if let Some((transmit, bytes)) = self.blocked.take() {
            self.send_or_keep(&transmit, &bytes, endpoint, now);
            if self.blocked.is_some() {
                return Ok(SocketProgress::Drained);
            }
        }
        let room = self.state.max_gso_segments().clamp(1, SEGMENTS) * SEGMENT;
        let room = room.min(scratch.len());
        for _ in 0..SEND_ROUNDS {
            let Some(transmit) = endpoint.poll_transmit(&mut scratch[..room], now) else {
                return Ok(SocketProgress::Drained);
            };
            let bytes = &scratch[..transmit.len.min(room)];
            self.send_or_keep(&transmit, bytes, endpoint, now);
            if self.blocked.is_some() {
                return Ok(SocketProgress::Drained);
            }
        }
        Ok(SocketProgress::More)
    }

    /// Hands the errors that wait to `endpoint`. As long as one does, the next send fails, to
    /// whomever it is.
    fn drain_errors(&self, endpoint: &mut Endpoint, now: std::time::Instant) {
        error_queue::drain(&self.io, |error| endpoint.handle_host_error(&error, now));
    }

    /// Sends one transmit; keeps what the kernel has no room for, and tells the endpoint of what
    /// it refuses.
    fn send_or_keep(
        &mut self,
        transmit: &Transmit,
        bytes: &[u8],
        endpoint: &mut Endpoint,
        now: std::time::Instant,
    ) {
        if self.address.is_ipv4() && transmit.to.is_ipv6() {
            endpoint.handle_send_error(transmit.to, KernelRefusal::AddressFamily, now);
            return;
        }
        let mut sent = self.send(transmit, bytes);
        if sent.as_ref().is_err_and(is_about_a_peer) {
            // Perhaps it is the error of an earlier datagram, to another peer.
            self.drain_errors(endpoint, now);
            sent = self.send(transmit, bytes);
        }
        match sent {
            Ok(sent) if sent < bytes.len() => {
                let rest = bytes.get(sent..).unwrap_or_default().to_vec();
                self.blocked = Some((Transmit { len: rest.len(), ..*transmit }, rest));
            }
            Ok(_) => {}
            Err(error) => {
                log::debug!("cannot send to {}: {error}", transmit.to);
                endpoint.handle_send_error(transmit.to, KernelRefusal::of(&error), now);
            }
        }
    }

    /// Sends one transmit and returns how many bytes are done with. Fewer than there are means
    /// that the kernel has no room for the rest at the moment.
    ///
    /// # Errors
    /// The kernel refuses: what was not sent is lost.
    fn send(&self, transmit: &Transmit, bytes: &[u8]) -> io::Result<usize> {
        let Some(size) = transmit.segment else {
            return Ok(if self.try_send(transmit, bytes, None)? { bytes.len() } else { 0 });
        };
        // The kernel refuses the first segmented send where it cannot do it; quinn-udp then
        // lowers `max_gso_segments`, and the same bytes go out one by one.
        if self.state.max_gso_segments() > 1 {
            match self.try_send(transmit, bytes, Some(size)) {
                Ok(sent) => return Ok(if sent { bytes.len() } else { 0 }),
                Err(error) if is_about_a_peer(&error) => return Err(error),
                Err(error) => log::debug!("segmented send refused, sending singly: {error}"),
            }
        }
        let mut sent = 0;
        for datagram in bytes.chunks(size.max(1)) {
            if !self.try_send(transmit, datagram, None)? {
                break;
            }
            sent += datagram.len();
        }
        Ok(sent)
    }

    fn try_send(
        &self,
        transmit: &Transmit,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<bool> {
        let outgoing = quinn_udp::Transmit {
            destination: self.dialable(transmit.to),
            ecn: None,
            contents,
            segment_size,
            src_ip: transmit.source.filter(|_| self.address.ip().is_unspecified()),
        };
        let mut sent = self.state.try_send(UdpSockRef::from(&self.io), &outgoing);
        if outgoing.src_ip.is_some() && sent.as_ref().is_err_and(|error| !is_full(error)) {
            // The machine may have lost the address that the peer has sent to.
            let anywhere = quinn_udp::Transmit { src_ip: None, ..outgoing };
            sent = self.state.try_send(UdpSockRef::from(&self.io), &anywhere);
        }
        match sent {
            Ok(()) => Ok(true),
            Err(error) if is_full(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// An IPv6 socket reaches IPv4 peers under their mapped addresses.
    fn dialable(&self, to: SocketAddr) -> SocketAddr {
        match (self.address, to.ip()) {
            (SocketAddr::V6(_), IpAddr::V4(ip)) => {
                SocketAddr::V6(SocketAddrV6::new(ip.to_ipv6_mapped(), to.port(), 0, 0))
            }
            (SocketAddr::V4(_) | SocketAddr::V6(_), _) => to,
        }
    }
}

impl ReceiveBuffers {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH * SLOT], metas: [RecvMeta::default(); BATCH] }
    }
}

/// Whether the kernel has no room at the moment: in the socket's buffer, or in the queue of the
/// network interface (ENOBUFS).
fn is_full(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock
        || error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error())
}

/// Whether an error concerns one destination rather than the socket.
fn is_about_a_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::PermissionDenied
            | ErrorKind::Interrupted
    )
}

/// Datagram slots of one receive call.
const BATCH: usize = 32;
/// Bytes of a slot: what the kernel may join into one buffer with GRO.
const SLOT: usize = 64 << 10;
/// Receive calls in a row before other work gets its turn.
const RECEIVE_ROUNDS: usize = 8;
/// Transmits in a row before other work gets its turn.
const SEND_ROUNDS: usize = 256;
/// Bytes asked from the kernel for each direction: bursts of a large cluster fit.
const KERNEL_BUFFER: usize = 2 << 20;
/// Largest UDP payload that is put into a batch.
const SEGMENT: usize = 1500;
/// Datagrams joined into one send call.
const SEGMENTS: usize = 16;
/// Bytes that [`Socket::flush`] needs as scratch space.
pub(crate) const SCRATCH: usize = SEGMENT * SEGMENTS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_has_no_room_for_waits_and_what_it_refuses_is_an_error() {
        let error = |errno: rustix::io::Errno| io::Error::from_raw_os_error(errno.raw_os_error());
        assert!(is_full(&error(rustix::io::Errno::NOBUFS)));
        assert!(is_full(&error(rustix::io::Errno::AGAIN)));
        assert!(!is_full(&error(rustix::io::Errno::MSGSIZE)));
        assert!(!is_full(&error(rustix::io::Errno::PERM)));
    }
}

//! A thread's loop around one socket: ours as it is used, or the same socket calls around
//! something barer.

use std::io::{ErrorKind, IoSliceMut};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use quic_net::{Endpoint, EndpointEvent, EventLoop, SocketId, StreamToken};
use quinn_udp::{RecvMeta, UdpSockRef, UdpSocketState};

use crate::stage::{ANYWHERE, endpoint, now};

/// Something that turns UDP datagrams into payloads and back.
pub(crate) trait Machine {
    fn receive(&mut self, from: SocketAddr, bytes: &mut [u8], now: Instant);
    /// Writes datagrams to `buffer`: where to, how many bytes, and the size of each if several.
    fn transmit(&mut self, buffer: &mut [u8]) -> Option<(SocketAddr, usize, Option<usize>)>;
    fn due(&self) -> Option<Instant>;
    fn on_timeout(&mut self, now: Instant);
    /// Queues a payload for the peer.
    fn send(&mut self, bytes: &[u8]);
    /// Payloads that have arrived since the last call.
    fn take(&mut self) -> u64;
    fn is_up(&self) -> bool;
}

/// How payloads are put into datagrams and datagrams into socket calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One payload a datagram, one datagram a call.
    Single,
    /// One payload a datagram, sixteen datagrams a call.
    Segmented,
    /// As many payloads a datagram as fit, sixteen datagrams a call.
    Coalesced,
}

pub(crate) trait Driver {
    fn address(&self) -> SocketAddr;
    /// Sleeps at most until `deadline`, then receives and serves timers.
    fn listen(&mut self, deadline: Option<Instant>);
    /// Sends what there is.
    fn flush(&mut self);
    /// Listens and flushes.
    fn turn(&mut self, deadline: Option<Instant>) {
        self.listen(deadline);
        self.flush();
    }
    /// Sends at most `count` copies of a payload and returns how many it took.
    fn burst(&mut self, bytes: &[u8], count: u64, shape: Shape) -> u64;
    /// Payloads that have arrived since the last call.
    fn take(&mut self) -> u64;
    fn is_up(&self) -> bool;
}

/// The loop around a [`Machine`], with the socket calls of [`EventLoop`].
pub(crate) struct Line<M> {
    pub(crate) machine: M,
    poll: Poll,
    events: Events,
    io: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<u8>,
    metas: [RecvMeta; BATCH],
    scratch: Vec<u8>,
    single: Vec<u8>,
    readable: bool,
    more: bool,
    /// The machine holds back what it was given last.
    blocked: bool,
}

impl<M: Machine> Line<M> {
    pub(crate) fn new(machine: M) -> Self {
        let poll = Poll::new().unwrap();
        let mut io = UdpSocket::bind(ANYWHERE).unwrap();
        let state = UdpSocketState::new(UdpSockRef::from(&io)).unwrap();
        state.set_recv_buffer_size(UdpSockRef::from(&io), 2 << 20).unwrap();
        state.set_send_buffer_size(UdpSockRef::from(&io), 2 << 20).unwrap();
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut io, Token(0), interest).unwrap();
        Self {
            machine,
            poll,
            events: Events::with_capacity(256),
            io,
            state,
            buffers: vec![0; BATCH * SLOT],
            metas: [RecvMeta::default(); BATCH],
            scratch: vec![0; SEGMENTS * SEGMENT],
            single: vec![0; SEGMENT],
            readable: true,
            more: false,
            blocked: false,
        }
    }

    fn receive(&mut self) {
        let now = now();
        for _ in 0..8 {
            let mut slices = self.buffers.chunks_exact_mut(SLOT).map(IoSliceMut::new);
            let mut batch: [IoSliceMut<'_>; BATCH] =
                std::array::from_fn(|_| slices.next().unwrap());
            match self.state.recv(UdpSockRef::from(&self.io), &mut batch, &mut self.metas) {
                Ok(count) => {
                    let slots = self.buffers.chunks_exact_mut(SLOT);
                    for (slot, meta) in slots.zip(&self.metas[..count]) {
                        for datagram in slot[..meta.len].chunks_mut(meta.stride.max(1)) {
                            self.machine.receive(meta.addr, datagram, now);
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readable = false;
                    return;
                }
                Err(error) => panic!("cannot receive: {error}"),
            }
        }
        self.more = true;
    }

    fn emit(&mut self) -> bool {
        let mut any = false;
        while let Some((to, length, segment)) = self.machine.transmit(&mut self.scratch) {
            any = true;
            self.put(to, length, segment);
        }
        any
    }

    fn put(&self, destination: SocketAddr, length: usize, segment_size: Option<usize>) {
        let contents = &self.scratch[..length];
        let transmit =
            quinn_udp::Transmit { destination, ecn: None, contents, segment_size, src_ip: None };
        // A full socket loses what the kernel would have lost a moment later.
        let _ = self.state.try_send(UdpSockRef::from(&self.io), &transmit);
    }

    /// One payload in each of up to sixteen datagrams of equal size, in one call.
    fn segmented(&mut self, bytes: &[u8]) -> u64 {
        let (mut length, mut segment, mut target, mut sent) = (0, 0, None, 0);
        for _ in 0..SEGMENTS {
            self.machine.send(bytes);
            sent += 1;
            let space = &mut self.single;
            // The first refusal may be no more than the end of a connection's turn.
            let written = self.machine.transmit(space).or_else(|| self.machine.transmit(space));
            let Some((to, written, _)) = written else {
                self.blocked = true;
                break;
            };
            if let Some(to) = target.filter(|_| written > segment) {
                self.put(to, length, Some(segment).filter(|size| *size < length));
                length = 0;
            }
            if length == 0 {
                segment = written;
            }
            self.scratch[length..length + written].copy_from_slice(&self.single[..written]);
            length += written;
            target = Some(to);
            if written < segment {
                break;
            }
        }
        if let Some(to) = target {
            self.put(to, length, Some(segment).filter(|size| *size < length));
        }
        sent
    }
}

impl<M: Machine> Driver for Line<M> {
    fn address(&self) -> SocketAddr {
        self.io.local_addr().unwrap()
    }

    fn listen(&mut self, deadline: Option<Instant>) {
        let due = [deadline, self.machine.due()].into_iter().flatten().min();
        let timeout = match std::mem::take(&mut self.more) {
            true => Some(Duration::ZERO),
            false => due.map(|due| due.saturating_duration_since(now())),
        };
        self.poll.poll(&mut self.events, timeout).unwrap();
        self.readable |= self.events.iter().any(mio::event::Event::is_readable);
        if self.readable {
            self.receive();
        }
        let now = now();
        if self.machine.due().is_some_and(|due| due <= now) {
            self.machine.on_timeout(now);
        }
    }

    fn flush(&mut self) {
        if self.emit() {
            self.blocked = false;
        }
    }

    fn burst(&mut self, bytes: &[u8], count: u64, shape: Shape) -> u64 {
        let mut sent = 0;
        while sent < count && !self.blocked {
            match shape {
                Shape::Single => {
                    self.machine.send(bytes);
                    sent += 1;
                    self.blocked = !self.emit();
                }
                Shape::Segmented => sent += self.segmented(bytes),
                Shape::Coalesced => {
                    while sent < count {
                        self.machine.send(bytes);
                        sent += 1;
                    }
                    self.blocked = !self.emit();
                }
            }
        }
        sent
    }

    fn take(&mut self) -> u64 {
        self.machine.take()
    }

    fn is_up(&self) -> bool {
        self.machine.is_up()
    }
}

/// Our endpoint, in a [`Line`] instead of in its own loop.
pub(crate) struct Ours {
    pub(crate) endpoint: Endpoint,
    peer: Option<SocketAddr>,
    arrived: u64,
}

impl Ours {
    pub(crate) fn new(name: &str, peer: Option<SocketAddr>) -> Self {
        let mut endpoint = endpoint(name);
        if let Some(peer) = peer {
            endpoint.connect(peer, now()).unwrap();
        }
        Self { endpoint, peer, arrived: 0 }
    }

    fn look(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                EndpointEvent::Packet { .. } => self.arrived += 1,
                EndpointEvent::Connected { peer } => self.peer = Some(peer.address),
                _ => {}
            }
        }
    }
}

impl Machine for Ours {
    fn receive(&mut self, from: SocketAddr, bytes: &mut [u8], now: Instant) {
        self.endpoint.handle_udp(from, Some(IpAddr::from([127, 0, 0, 1])), bytes, now);
        self.look();
    }

    fn transmit(&mut self, buffer: &mut [u8]) -> Option<(SocketAddr, usize, Option<usize>)> {
        let transmit = self.endpoint.poll_transmit(buffer, now())?;
        Some((transmit.to, transmit.len, transmit.segment))
    }

    fn due(&self) -> Option<Instant> {
        self.endpoint.poll_timeout()
    }

    fn on_timeout(&mut self, now: Instant) {
        self.endpoint.handle_timeout(now);
        self.look();
    }

    fn send(&mut self, bytes: &[u8]) {
        self.endpoint.send_packet(self.peer.unwrap(), None, bytes, now());
    }

    fn take(&mut self) -> u64 {
        std::mem::take(&mut self.arrived)
    }

    fn is_up(&self) -> bool {
        self.peer.is_some_and(|peer| self.endpoint.peer(peer).is_some())
    }
}

/// Our endpoint in its own loop, as a service runs it.
pub(crate) struct Whole {
    sockets: EventLoop,
    socket: SocketId,
    address: SocketAddr,
    pub(crate) endpoint: Endpoint,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) opened: Option<StreamToken>,
    arrived: u64,
}

impl Whole {
    pub(crate) fn new(name: &str, peer: Option<SocketAddr>) -> Self {
        let mut sockets = EventLoop::new().unwrap();
        let (socket, address) = sockets.bind(ANYWHERE).unwrap();
        let Ours { endpoint, peer, arrived } = Ours::new(name, peer);
        Self { sockets, socket, address, endpoint, peer, opened: None, arrived }
    }

    fn look(&mut self) {
        while let Some(event) = self.endpoint.poll_event() {
            match event {
                EndpointEvent::Packet { .. } => self.arrived += 1,
                EndpointEvent::Connected { peer } => self.peer = Some(peer.address),
                EndpointEvent::StreamOpened { stream, .. } => self.opened = Some(stream),
                _ => {}
            }
        }
    }
}

impl Driver for Whole {
    fn address(&self) -> SocketAddr {
        self.address
    }

    fn listen(&mut self, deadline: Option<Instant>) {
        let due = [deadline, self.endpoint.poll_timeout()].into_iter().flatten().min();
        let now = self.sockets.wait(due).unwrap();
        self.sockets.receive(self.socket, &mut self.endpoint, now).unwrap();
        self.endpoint.handle_timeout(now);
        self.look();
    }

    fn flush(&mut self) {
        self.sockets.flush(self.socket, &mut self.endpoint, now()).unwrap();
    }

    fn burst(&mut self, bytes: &[u8], count: u64, shape: Shape) -> u64 {
        assert_ne!(shape, Shape::Segmented, "our own loop joins payloads instead");
        let mut sent = 0;
        while sent < count {
            let part = if shape == Shape::Single { 1 } else { count };
            for _ in 0..part {
                self.endpoint.send_packet(self.peer.unwrap(), None, bytes, now());
            }
            sent += part;
            self.sockets.flush(self.socket, &mut self.endpoint, now()).unwrap();
        }
        sent
    }

    fn take(&mut self) -> u64 {
        std::mem::take(&mut self.arrived)
    }

    fn is_up(&self) -> bool {
        self.peer.is_some_and(|peer| self.endpoint.peer(peer).is_some())
    }
}

const BATCH: usize = 32;
const SLOT: usize = 64 << 10;
pub(crate) const SEGMENTS: usize = 16;
pub(crate) const SEGMENT: usize = 1500;

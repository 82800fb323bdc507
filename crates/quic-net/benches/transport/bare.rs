//! quiche alone, with the limits and the batching of our endpoint and nothing else of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use quiche::{ConnectionId, Error};

use crate::driver::{Machine, SEGMENT};
use crate::stage::bare_config;

/// One connection, dialed or accepted.
pub(crate) struct Bare {
    config: quiche::Config,
    pub(crate) quic: Option<quiche::Connection>,
    peer: SocketAddr,
    arrived: u64,
    buffer: Vec<u8>,
    /// Packets sent in this turn: at most [`SHARE`], as our endpoint does.
    turn: usize,
}

impl Bare {
    pub(crate) fn new(name: &str, peer: Option<SocketAddr>) -> Self {
        let mut config = bare_config(name);
        let quic = peer.map(|peer| connect(&mut config, peer));
        let peer = peer.unwrap_or(NOWHERE);
        Self { config, quic, peer, arrived: 0, buffer: vec![0; SEGMENT], turn: 0 }
    }

    pub(crate) fn is_established(&self) -> bool {
        self.quic.as_ref().is_some_and(quiche::Connection::is_established)
    }
}

impl Machine for Bare {
    fn receive(&mut self, from: SocketAddr, bytes: &mut [u8], _now: Instant) {
        let quic = self.quic.get_or_insert_with(|| accept(&mut self.config, from));
        self.peer = from;
        // What is not acceptable is dropped, and an end of the connection shows elsewhere.
        let _ = quic.recv(bytes, quiche::RecvInfo { from, to: NOWHERE });
        while let Ok(length) = quic.dgram_recv(&mut self.buffer) {
            self.arrived += u64::from(length > 0);
        }
    }

    fn transmit(&mut self, buffer: &mut [u8]) -> Option<(SocketAddr, usize, Option<usize>)> {
        let quic = self.quic.as_mut()?;
        let (mut length, mut segment, mut packets) = (0, None, 0);
        let mut room = buffer.len().min(SEGMENT);
        while self.turn < SHARE
            && let Some(space) = buffer.get_mut(length..length + room)
        {
            match quic.send(space) {
                Ok((written, _)) => {
                    length += written;
                    packets += 1;
                    self.turn += 1;
                    room = *segment.get_or_insert(written);
                    if written < room || room < SEGMENT / 2 || !quic.is_established() {
                        break;
                    }
                }
                Err(Error::Done) => break,
                Err(error) => panic!("cannot send: {error:?}"),
            }
        }
        if packets == 0 {
            self.turn = 0;
            return None;
        }
        Some((self.peer, length, segment.filter(|_| packets > 1)))
    }

    fn due(&self) -> Option<Instant> {
        self.quic.as_ref().and_then(quiche::Connection::timeout_instant)
    }

    fn on_timeout(&mut self, _now: Instant) {
        if let Some(quic) = &mut self.quic {
            quic.on_timeout();
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.quic.as_mut().unwrap().dgram_send(bytes).unwrap();
    }

    fn take(&mut self) -> u64 {
        std::mem::take(&mut self.arrived)
    }

    fn is_up(&self) -> bool {
        self.is_established()
    }
}

pub(crate) fn connect(config: &mut quiche::Config, peer: SocketAddr) -> quiche::Connection {
    let id = ConnectionId::from_ref(b"bare-dia");
    quiche::connect(None, &id, NOWHERE, peer, config).unwrap()
}

pub(crate) fn accept(config: &mut quiche::Config, peer: SocketAddr) -> quiche::Connection {
    let id = ConnectionId::from_ref(b"bare-acc");
    quiche::accept(&id, None, NOWHERE, peer, config).unwrap()
}

/// The local address that quiche is told.
pub(crate) const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
/// Packets a turn.
const SHARE: usize = 64;

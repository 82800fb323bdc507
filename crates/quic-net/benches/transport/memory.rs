//! What an idle connection holds of the Rust heap, and what a datagram allocates, both carried
//! in memory by one thread. The dialing side is on account 0, the accepting one on account 1.

use std::net::SocketAddr;
use std::time::Duration;

use quic_net::{Endpoint, EndpointEvent};

use crate::bare::{self, NOWHERE};
use crate::counting::{Figures, counted, figures};
use crate::driver::{SEGMENT, SEGMENTS};
use crate::stage::{bare_config, endpoint, now};

const CONNECTIONS: u16 = 400;
const DATAGRAMS: i64 = 20_000;
/// Until path MTU discovery is over.
const CALM: Duration = Duration::from_secs(2);

pub(crate) fn run() {
    let ours = idle_ours();
    let bare = idle_bare(false);
    let greeted = idle_bare(true);
    let each = |figures: Figures| figures.bytes / i64::from(CONNECTIONS);
    for (account, side) in ["dialer", "acceptor"].into_iter().enumerate() {
        println!(
            "  idle connection, {side}: {} B of heap, bare quiche {} B ({} B more), \
             bare quiche that used two streams {} B ({} B more)",
            each(ours[account]),
            each(bare[account]),
            each(ours[account]) - each(bare[account]),
            each(greeted[account]),
            each(ours[account]) - each(greeted[account]),
        );
    }
    let (ours, bare) = (datagrams_ours(), datagrams_bare());
    for (account, side) in ["sender", "receiver"].into_iter().enumerate() {
        let each = |count: i64| f64::from(i32::try_from(count).unwrap()) / 20_000.0;
        println!(
            "  allocations a datagram, {side}: {:.3}, bare quiche {:.3}, difference {:.3}",
            each(ours[account]),
            each(bare[account]),
            each(ours[account] - bare[account]),
        );
    }
}

fn since(before: [Figures; 2]) -> [Figures; 2] {
    [0, 1].map(|account| {
        let (now, before) = (figures(account), before[account]);
        Figures {
            allocations: now.allocations - before.allocations,
            bytes: now.bytes - before.bytes,
        }
    })
}

/// Two endpoints. The dialer sees its peer under many addresses, and the acceptor sees the
/// dialer under as many.
struct Pair {
    dialer: Endpoint,
    acceptor: Endpoint,
    buffer: Vec<u8>,
    packets: u64,
    connected: usize,
}

impl Pair {
    fn new() -> Self {
        let (dialer, acceptor) = (endpoint("dialer"), endpoint("acceptor"));
        let buffer = vec![0; SEGMENTS * SEGMENT];
        Self { dialer, acceptor, buffer, packets: 0, connected: 0 }
    }

    fn carry(&mut self) {
        loop {
            let there = pass(0, &mut self.dialer, 1, &mut self.acceptor, &mut self.buffer);
            let back = pass(1, &mut self.acceptor, 0, &mut self.dialer, &mut self.buffer);
            self.look();
            if !there && !back {
                return;
            }
        }
    }

    fn look(&mut self) {
        counted(0, || while self.dialer.poll_event().is_some() {});
        counted(1, || {
            while let Some(event) = self.acceptor.poll_event() {
                match event {
                    EndpointEvent::Packet { .. } => self.packets += 1,
                    EndpointEvent::Connected { .. } => self.connected += 1,
                    _ => {}
                }
            }
        });
    }
}

/// The address of a connection, the same seen from both sides.
fn address(number: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 1_000 + number))
}

fn pass(
    from: usize,
    sender: &mut Endpoint,
    to: usize,
    receiver: &mut Endpoint,
    buffer: &mut [u8],
) -> bool {
    let mut any = false;
    if sender.poll_timeout().is_some_and(|due| due <= now()) {
        counted(from, || sender.handle_timeout(now()));
    }
    while let Some(transmit) = counted(from, || sender.poll_transmit(buffer, now())) {
        any = true;
        let segment = transmit.segment.unwrap_or(transmit.len);
        for datagram in buffer[..transmit.len].chunks_mut(segment) {
            counted(to, || receiver.handle_udp(transmit.to, None, datagram, now()));
        }
    }
    any
}

fn idle_ours() -> [Figures; 2] {
    let mut pair = Pair::new();
    let before = [figures(0), figures(1)];
    for number in 0..CONNECTIONS {
        counted(0, || pair.dialer.connect(address(number), now()).unwrap());
        pair.carry();
    }
    let calm = now() + CALM;
    while now() < calm {
        pair.carry();
    }
    assert_eq!(pair.connected, usize::from(CONNECTIONS));
    since(before)
}

fn datagrams_ours() -> [i64; 2] {
    let mut pair = Pair::new();
    counted(0, || pair.dialer.connect(address(0), now()).unwrap());
    let calm = now() + CALM;
    while now() < calm {
        pair.carry();
    }
    let mut send = |count: i64| {
        for _ in 0..count {
            counted(0, || pair.dialer.send_packet(address(0), None, &[7; 100], now()));
            pair.carry();
        }
    };
    send(DATAGRAMS);
    let before = [figures(0), figures(1)];
    send(DATAGRAMS);
    let allocations = since(before).map(|figures| figures.allocations);
    assert_eq!(i64::try_from(pair.packets).unwrap(), 2 * DATAGRAMS);
    allocations
}

/// One connection of quiche alone: dialer and acceptor.
struct BarePair([quiche::Connection; 2]);

impl BarePair {
    fn new(configs: &mut [quiche::Config; 2], number: u16) -> Self {
        let [dialer, acceptor] = configs;
        Self([
            counted(0, || bare::connect(dialer, address(number))),
            counted(1, || bare::accept(acceptor, address(number))),
        ])
    }

    /// Carries what either side has to send, beginning with the dialer.
    fn carry(&mut self, number: u16, buffer: &mut [u8]) -> u64 {
        let info = quiche::RecvInfo { from: address(number), to: NOWHERE };
        let mut arrived = 0;
        // Whether a side may have something to send: asking quiche in vain allocates.
        let mut dirty = [true, false];
        for (side, connection) in self.0.iter_mut().enumerate() {
            if connection.timeout_instant().is_some_and(|due| due <= now()) {
                counted(side, || connection.on_timeout());
                dirty[side] = true;
            }
        }
        while let Some(from) = dirty.iter().position(|dirty| *dirty) {
            dirty[from] = false;
            let to = 1 - from;
            while let Ok((length, _)) = counted(from, || self.0[from].send(buffer)) {
                dirty[to] = true;
                let receiver = &mut self.0[to];
                counted(to, || receiver.recv(&mut buffer[..length], info).unwrap());
                let mut payload = [0; 1_500];
                while counted(to, || receiver.dgram_recv(&mut payload)).is_ok() {
                    arrived += 1;
                }
            }
        }
        arrived
    }

    /// A short message each way, as our greeting is.
    fn greet(&mut self, number: u16, buffer: &mut [u8]) {
        for (side, stream) in [(0, 2), (1, 3)] {
            counted(side, || self.0[side].stream_send(stream, &[6; 60], true).unwrap());
        }
        // The dialer's acknowledgement comes with the acceptor's greeting, or after it.
        self.carry(number, buffer);
        for (side, stream) in [(1, 2), (0, 3)] {
            let mut greeting = [0; 100];
            counted(side, || self.0[side].stream_recv(stream, &mut greeting).unwrap());
        }
        self.carry(number, buffer);
    }
}

fn idle_bare(greet: bool) -> [Figures; 2] {
    let mut configs = [bare_config("dialer"), bare_config("acceptor")];
    let mut buffer = vec![0; SEGMENT];
    let before = [figures(0), figures(1)];
    let mut pairs = Vec::with_capacity(usize::from(CONNECTIONS));
    for number in 0..CONNECTIONS {
        let mut pair = BarePair::new(&mut configs, number);
        pair.carry(number, &mut buffer);
        if greet {
            pair.greet(number, &mut buffer);
        }
        pairs.push(pair);
    }
    let calm = now() + CALM;
    while now() < calm {
        for (number, pair) in (0..CONNECTIONS).zip(&mut pairs) {
            pair.carry(number, &mut buffer);
        }
    }
    assert!(pairs.iter().all(|pair| pair.0.iter().all(quiche::Connection::is_established)));
    let size = i64::try_from(size_of::<quiche::Connection>()).unwrap();
    since(before).map(|mut figures| {
        // Ours are boxed; these lie in a vector that was there before.
        figures.bytes += size * i64::from(CONNECTIONS);
        figures
    })
}

fn datagrams_bare() -> [i64; 2] {
    let mut configs = [bare_config("dialer"), bare_config("acceptor")];
    let mut pair = BarePair::new(&mut configs, 0);
    let mut buffer = vec![0; SEGMENT];
    let calm = now() + CALM;
    while now() < calm {
        pair.carry(0, &mut buffer);
    }
    let mut arrived = 0;
    let mut send = |count: i64| {
        for _ in 0..count {
            counted(0, || pair.0[0].dgram_send(&[7; 100]).unwrap());
            arrived += pair.carry(0, &mut buffer);
        }
    };
    send(DATAGRAMS);
    let before = [figures(0), figures(1)];
    send(DATAGRAMS);
    let allocations = since(before).map(|figures| figures.allocations);
    assert_eq!(i64::try_from(arrived).unwrap(), 2 * DATAGRAMS);
    allocations
}

//! The time from a 100-byte ping to its answer, a thread on each side.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use quic_net::{Endpoint, EndpointEvent, EventLoop, SocketId, StreamToken};

use crate::bare::Bare;
use crate::driver::{Driver, Line, Shape, Whole};
use crate::plain::Plain;
use crate::stage::{ANYWHERE, ROUNDS, endpoint, median, micros, now, quantile};

/// Pings in a round.
const COUNT: usize = 10_000;

pub(crate) fn run() {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let ours = round(|| Whole::new("acceptor", None), |to| Whole::new("dialer", Some(to)));
        let plain = round(|| Line::new(Plain::new(None)), |to| Line::new(Plain::new(Some(to))));
        let bare = round(
            || Line::new(Bare::new("acceptor", None)),
            |to| Line::new(Bare::new("dialer", Some(to))),
        );
        rounds.push((ours, plain, bare));
    }
    type Figures = (f64, f64);
    type Pick<'a> = &'a dyn Fn(&(Figures, Figures, Figures)) -> f64;
    let of = |pick: Pick<'_>| median(rounds.iter().map(pick).collect());
    println!(
        "  p50 {:.1} µs, plain UDP {:.1} µs, bare quiche {:.1} µs, ratio to UDP {:.2}, to bare \
         {:.2}",
        of(&|round| round.0.0),
        of(&|round| round.1.0),
        of(&|round| round.2.0),
        of(&|round| round.0.0 / round.1.0),
        of(&|round| round.0.0 / round.2.0),
    );
    println!(
        "  p99 {:.1} µs, plain UDP {:.1} µs, bare quiche {:.1} µs",
        of(&|round| round.0.1),
        of(&|round| round.1.1),
        of(&|round| round.2.1),
    );
    let busy: Vec<_> = (0..ROUNDS).map(|_| beside_a_stream()).collect();
    println!(
        "  while 10 MiB streams run on another connection: p50 {:.1} µs, p99 {:.1} µs ({:.0} MB/s)",
        median(busy.iter().map(|busy| busy.0).collect()),
        median(busy.iter().map(|busy| busy.1).collect()),
        median(busy.iter().map(|busy| busy.2).collect()),
    );
}

/// p50 and p99 in microseconds.
fn round<A: Driver, D: Driver>(
    acceptor: impl FnOnce() -> A + Send,
    dialer: impl FnOnce(SocketAddr) -> D,
) -> (f64, f64) {
    let (tell, hear) = mpsc::channel();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut driver = acceptor();
            tell.send(driver.address()).unwrap();
            while !stop.load(Relaxed) {
                driver.listen(Some(now() + Duration::from_millis(2)));
                let pings = driver.take();
                if driver.is_up() {
                    driver.burst(&[8; 100], pings, Shape::Single);
                }
                driver.flush();
            }
        });
        let mut driver = dialer(hear.recv().unwrap());
        let calm = now() + Duration::from_millis(300);
        while !driver.is_up() || now() < calm {
            driver.turn(Some(calm));
        }
        driver.take();
        let mut times = Vec::with_capacity(COUNT);
        for _ in 0..COUNT {
            let began = now();
            driver.burst(&[7; 100], 1, Shape::Single);
            let end = began + Duration::from_secs(1);
            while now() < end {
                driver.listen(Some(end));
                let answered = driver.take() > 0;
                if answered {
                    times.push(began.elapsed());
                }
                driver.flush();
                if answered {
                    break;
                }
            }
        }
        stop.store(true, Relaxed);
        assert!(times.len() > COUNT * 99 / 100, "{} answers", times.len());
        (micros(quantile(&mut times, 500)), micros(quantile(&mut times, 990)))
    })
}

/// One thread's endpoints.
struct Host {
    sockets: EventLoop,
    members: Vec<(SocketId, SocketAddr, Endpoint)>,
}

impl Host {
    fn new(names: &[&str]) -> Self {
        let mut sockets = EventLoop::new().unwrap();
        let members = names.iter().map(|name| {
            let (socket, address) = sockets.bind(ANYWHERE).unwrap();
            (socket, address, endpoint(name))
        });
        let members = members.collect();
        Self { sockets, members }
    }

    fn turn(&mut self, mut hear: impl FnMut(&mut Endpoint, EndpointEvent)) {
        let longest = now() + Duration::from_millis(2);
        let due = self.members.iter().filter_map(|(.., endpoint)| endpoint.poll_timeout()).min();
        let now = self.sockets.wait(Some(due.unwrap_or(longest).min(longest))).unwrap();
        for (socket, _, endpoint) in &mut self.members {
            self.sockets.receive(*socket, endpoint, now).unwrap();
            endpoint.handle_timeout(now);
            while let Some(event) = endpoint.poll_event() {
                hear(endpoint, event);
            }
            self.sockets.flush(*socket, endpoint, now).unwrap();
        }
    }
}

/// p50 and p99 of pings from a member that writes one stream of 10 MiB after the other to a
/// second member, in microseconds, and the rate of those streams in MB/s. Both other members
/// share a thread.
fn beside_a_stream() -> (f64, f64, f64) {
    const STREAM: usize = 10 << 20;
    let (tell, hear) = mpsc::channel();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut host = Host::new(&["pinged", "reader"]);
            tell.send([host.members[0].1, host.members[1].1]).unwrap();
            let (mut buffer, mut read) = (vec![0; 64 << 10], 0);
            while !stop.load(Relaxed) {
                host.turn(|endpoint, event| match event {
                    EndpointEvent::Packet { peer, .. } => {
                        endpoint.send_packet(peer.address, None, &[8; 100], now());
                    }
                    EndpointEvent::StreamReadable { stream } => {
                        while let Ok(got) = endpoint.read(stream, &mut buffer) {
                            read += got.bytes;
                            if got.fin {
                                endpoint.stop(stream);
                            }
                            if got.bytes == 0 || got.fin {
                                break;
                            }
                        }
                    }
                    _ => {}
                });
            }
            read
        });
        let [pinged, reader_address] = hear.recv().unwrap();
        let mut host = Host::new(&["writer"]);
        host.members[0].2.send_packet(pinged, None, &[7; 100], now());
        let (mut stream, mut written, mut asked) = (None, 0, now());
        let mut opened = 0;
        let (begin, mut times) = (now(), Vec::new());
        let chunk = vec![5; 256 << 10];
        while begin.elapsed() < Duration::from_secs(2) {
            let writer = &mut host.members[0].2;
            let running = *stream.get_or_insert_with(|| {
                let token = StreamToken::from_caller(opened);
                opened += 1;
                let later = begin + Duration::from_secs(60);
                writer.open_stream(token, reader_address, None, later, now());
                token
            });
            let rest = (STREAM - written).min(chunk.len());
            written += writer.write(running, &chunk[..rest], rest == STREAM - written).unwrap_or(0);
            if written == STREAM {
                writer.stop(running);
                (stream, written) = (None, 0);
            }
            host.turn(|endpoint, event| {
                if let EndpointEvent::Packet { .. } = event {
                    times.push(asked.elapsed());
                    asked = now();
                    endpoint.send_packet(pinged, None, &[7; 100], asked);
                }
            });
        }
        let took = begin.elapsed().as_secs_f64();
        stop.store(true, Relaxed);
        let read = reader.join().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a count below 2^53")]
        let rate = read as f64 / took / 1e6;
        (micros(quantile(&mut times, 500)), micros(quantile(&mut times, 990)), rate)
    })
}

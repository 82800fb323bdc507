//! 10 MiB over one stream, a thread on each side.

use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use quic_net::StreamToken;

use crate::bare::Bare;
use crate::driver::{Driver, Line, Whole};
use crate::stage::{ROUNDS, median, now};

const TOTAL: usize = 10 << 20;

/// A driver that carries one stream.
trait Carries: Driver {
    /// Writes what is taken; `finish` with the last byte.
    fn write(&mut self, bytes: &[u8], finish: bool) -> usize;
    /// Reads all there is: how much, and whether that was the end.
    fn read(&mut self, buffer: &mut [u8]) -> (usize, bool);
}

impl Carries for Line<Bare> {
    fn write(&mut self, bytes: &[u8], finish: bool) -> usize {
        let quic = self.machine.quic.as_mut().unwrap();
        let room = quic.stream_capacity(STREAM).unwrap_or(bytes.len()).min(bytes.len());
        match room {
            0 => 0,
            room => {
                let last = finish && room == bytes.len();
                quic.stream_send(STREAM, &bytes[..room], last).unwrap_or(0)
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> (usize, bool) {
        let Some(quic) = &mut self.machine.quic else { return (0, false) };
        let mut total = 0;
        while let Ok((length, fin)) = quic.stream_recv(STREAM, buffer) {
            total += length;
            if fin {
                return (total, true);
            }
        }
        (total, false)
    }
}

impl Carries for Whole {
    fn write(&mut self, bytes: &[u8], finish: bool) -> usize {
        let peer = self.peer.unwrap();
        let later = now() + Duration::from_secs(60);
        let endpoint = &mut self.endpoint;
        let stream = *self.opened.get_or_insert_with(|| {
            let token = StreamToken::from_caller(0);
            endpoint.open_stream(token, peer, None, later, now());
            token
        });
        endpoint.write(stream, bytes, finish).unwrap()
    }

    fn read(&mut self, buffer: &mut [u8]) -> (usize, bool) {
        let Some(stream) = self.opened else { return (0, false) };
        let mut total = 0;
        while let Ok(read) = self.endpoint.read(stream, buffer) {
            total += read.bytes;
            if read.fin || read.bytes == 0 {
                return (total, read.fin);
            }
        }
        (total, false)
    }
}

pub(crate) fn run() {
    let pairs: Vec<(f64, f64)> = (0..ROUNDS)
        .map(|_| {
            let ours = round(|| Whole::new("acceptor", None), |to| Whole::new("dialer", Some(to)));
            let bare = round(
                || Line::new(Bare::new("acceptor", None)),
                |to| Line::new(Bare::new("dialer", Some(to))),
            );
            (ours, bare)
        })
        .collect();
    println!(
        "  10 MiB: {:.0} MB/s, bare quiche {:.0} MB/s, ratio {:.2}",
        median(pairs.iter().map(|(ours, _)| *ours).collect()),
        median(pairs.iter().map(|(_, bare)| *bare).collect()),
        median(pairs.iter().map(|(ours, bare)| ours / bare).collect()),
    );
}

/// MB/s, from the first byte written until the last is known to have been read.
fn round<A: Carries, D: Carries>(
    acceptor: impl FnOnce() -> A + Send,
    dialer: impl FnOnce(SocketAddr) -> D,
) -> f64 {
    let (tell, hear) = mpsc::channel();
    let (finish, finished) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut driver = acceptor();
            tell.send(driver.address()).unwrap();
            let (mut buffer, mut total) = (vec![0; 64 << 10], 0);
            loop {
                driver.turn(Some(now() + Duration::from_millis(2)));
                let (read, fin) = driver.read(&mut buffer);
                total += read;
                if fin {
                    finish.send(total).unwrap();
                    return;
                }
            }
        });
        let mut driver = dialer(hear.recv().unwrap());
        let calm = now() + Duration::from_millis(800);
        while !driver.is_up() || now() < calm {
            driver.turn(Some(calm));
        }
        let chunk = vec![5; 256 << 10];
        let (began, mut written) = (now(), 0);
        loop {
            if written < TOTAL {
                let rest = (TOTAL - written).min(chunk.len());
                written += driver.write(&chunk[..rest], rest == TOTAL - written);
            }
            match finished.try_recv() {
                Ok(total) => {
                    assert_eq!(total, TOTAL);
                    break;
                }
                Err(_) => driver.turn(Some(now() + Duration::from_micros(200))),
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a count below 2^53")]
        let total = TOTAL as f64;
        total / began.elapsed().as_secs_f64() / 1e6
    })
}

/// The dialer's first bidirectional stream.
const STREAM: u64 = 0;

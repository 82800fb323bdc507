//! 100-byte payloads over one connection, one way, a thread on each side.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::bare::Bare;
use crate::driver::{Driver, Line, Ours, Shape, Whole};
use crate::stage::{ROUNDS, median, micros, now, processor_time};

/// Payloads in a round.
const COUNT: u64 = 200_000;
/// Payloads whose arrival is not known yet, one a call. Fewer than the first congestion window
/// holds, so that no payload waits and joins the next one's datagram.
const WINDOW: u64 = 64;
/// The same where a call sends many.
const WIDE_WINDOW: u64 = 256;

/// What a round showed: payloads a second, and time on a processor for each, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Round {
    rate: f64,
    sender: f64,
    receiver: f64,
}

pub(crate) fn run() {
    let single = compare(
        "one a datagram, one a call",
        || round(|| whole("acceptor", None), |to| whole("dialer", Some(to)), Shape::Single),
        || round(|| bare("acceptor", None), |to| bare("dialer", Some(to)), Shape::Single),
        "bare quiche",
    );
    let segmented = compare(
        "one a datagram, 16 a call (GSO/GRO)",
        || round(|| ours("acceptor", None), |to| ours("dialer", Some(to)), Shape::Segmented),
        || round(|| bare("acceptor", None), |to| bare("dialer", Some(to)), Shape::Segmented),
        "bare quiche",
    );
    compare(
        "coalesced, GSO/GRO",
        || round(|| whole("acceptor", None), |to| whole("dialer", Some(to)), Shape::Coalesced),
        || round(|| bare("acceptor", None), |to| bare("dialer", Some(to)), Shape::Coalesced),
        "bare quiche",
    );
    println!("  ours, GSO/GRO against without: {:.2} times the rate", segmented / single);
}

fn whole(name: &str, peer: Option<SocketAddr>) -> Whole {
    Whole::new(name, peer)
}

fn ours(name: &str, peer: Option<SocketAddr>) -> Line<Ours> {
    Line::new(Ours::new(name, peer))
}

fn bare(name: &str, peer: Option<SocketAddr>) -> Line<Bare> {
    Line::new(Bare::new(name, peer))
}

/// Lets both take turns, prints their medians and returns the rate of ours.
fn compare(
    what: &str,
    mut ours: impl FnMut() -> Round,
    mut other: impl FnMut() -> Round,
    name: &str,
) -> f64 {
    let pairs: Vec<(Round, Round)> = (0..ROUNDS).map(|_| (ours(), other())).collect();
    let of = |pick: &dyn Fn(&(Round, Round)) -> f64| median(pairs.iter().map(pick).collect());
    let rate = of(&|(ours, _)| ours.rate);
    println!(
        "  {what}: {:.0}/s, {name} {:.0}/s, ratio {:.2}",
        rate,
        of(&|(_, other)| other.rate),
        of(&|(ours, other)| ours.rate / other.rate),
    );
    println!(
        "    processor time each: send {:.2} µs ({name} {:.2}), receive {:.2} µs ({name} {:.2})",
        of(&|(ours, _)| ours.sender),
        of(&|(_, other)| other.sender),
        of(&|(ours, _)| ours.receiver),
        of(&|(_, other)| other.receiver),
    );
    rate
}

/// One connection, [`COUNT`] payloads.
fn round<A: Driver, D: Driver>(
    acceptor: impl FnOnce() -> A + Send,
    dialer: impl FnOnce(SocketAddr) -> D,
    shape: Shape,
) -> Round {
    let (tell, hear) = mpsc::channel();
    let (arrived, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let mut driver = acceptor();
            tell.send(driver.address()).unwrap();
            let mut begin = None;
            while !stop.load(Relaxed) {
                driver.turn(Some(now() + Duration::from_millis(2)));
                let fresh = driver.take();
                if fresh > 0 {
                    begin.get_or_insert_with(processor_time);
                    arrived.fetch_add(fresh, Relaxed);
                }
            }
            processor_time().saturating_sub(begin.unwrap_or_default())
        });
        let mut driver = dialer(hear.recv().unwrap());
        while !driver.is_up() {
            driver.turn(Some(now() + Duration::from_millis(2)));
        }
        // Path MTU discovery and the greeting are over.
        let calm = now() + Duration::from_millis(300);
        while now() < calm {
            driver.turn(Some(calm));
        }
        let (began, spent) = (now(), processor_time());
        send_all(&mut driver, shape, &arrived);
        let took = began.elapsed().as_secs_f64();
        let sender = processor_time().saturating_sub(spent);
        stop.store(true, Relaxed);
        let receiver = receiver.join().unwrap();
        #[expect(clippy::cast_precision_loss, reason = "a count below 2^53")]
        let count = COUNT as f64;
        Round {
            rate: count / took,
            sender: micros(sender) / count,
            receiver: micros(receiver) / count,
        }
    })
}

fn send_all(driver: &mut impl Driver, shape: Shape, arrived: &AtomicU64) {
    let window = if shape == Shape::Single { WINDOW } else { WIDE_WINDOW };
    let (mut sent, mut lost) = (0, 0);
    let mut progress = (0, now());
    while sent < COUNT {
        let known = arrived.load(Relaxed);
        if known != progress.0 {
            progress = (known, now());
        } else if progress.1.elapsed() > Duration::from_millis(50) {
            // The kernel dropped some; nobody will ever hear of them.
            lost = sent - known;
        }
        let room = window.saturating_sub(sent - lost - known.min(sent - lost));
        if room >= window / 4 {
            sent += driver.burst(&[7; 100], room.min(COUNT - sent), shape);
            driver.turn(Some(now()));
        } else {
            driver.turn(Some(now() + Duration::from_micros(200)));
        }
    }
    while arrived.load(Relaxed) + lost < COUNT && progress.1.elapsed() < Duration::from_secs(5) {
        driver.turn(Some(now() + Duration::from_micros(200)));
    }
}

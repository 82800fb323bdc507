//! Full mutual handshakes, greeting included: dialers on one thread, their acceptor on another.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use quic_net::{CloseReason, EndpointEvent, EventLoop};

use crate::driver::{Driver, Whole};
use crate::stage::{ANYWHERE, ROUNDS, endpoint, median, micros, now, processor_time};

/// Dialers that begin anew as soon as they are connected.
const DIALERS: usize = 16;
const SPAN: Duration = Duration::from_secs(2);

pub(crate) fn run() {
    let rounds: Vec<[f64; 3]> = (0..ROUNDS).map(|_| round()).collect();
    let of = |index: usize| median(rounds.iter().map(|round| round[index]).collect());
    println!(
        "  {:.0}/s; processor time each: dialer {:.0} µs, acceptor {:.0} µs",
        of(0),
        of(1),
        of(2),
    );
}

/// Handshakes a second, and microseconds on a processor for each: dialer, acceptor.
fn round() -> [f64; 3] {
    let (tell, hear) = mpsc::channel();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let acceptor = scope.spawn(|| {
            let mut driver = Whole::new("acceptor", None);
            tell.send(driver.address()).unwrap();
            let begin = processor_time();
            while !stop.load(Relaxed) {
                driver.turn(Some(now() + Duration::from_millis(2)));
            }
            processor_time().saturating_sub(begin)
        });
        let to = hear.recv().unwrap();
        let mut sockets = EventLoop::new().unwrap();
        let mut dialers: Vec<_> = (0..DIALERS)
            .map(|number| {
                let mut endpoint = endpoint(&format!("dialer-{number}"));
                let (socket, _) = sockets.bind(ANYWHERE).unwrap();
                endpoint.connect(to, now()).unwrap();
                (socket, endpoint)
            })
            .collect();
        let (began, spent, mut done) = (now(), processor_time(), 0.0);
        while began.elapsed() < SPAN {
            let due = dialers.iter().filter_map(|(_, endpoint)| endpoint.poll_timeout()).min();
            let now = sockets.wait(due).unwrap();
            for (socket, endpoint) in &mut dialers {
                sockets.receive(*socket, endpoint, now).unwrap();
                endpoint.handle_timeout(now);
                while let Some(event) = endpoint.poll_event() {
                    if let EndpointEvent::Connected { .. } = event {
                        done += 1.0;
                        endpoint.close(to, CloseReason::Requested, now);
                        endpoint.connect(to, now).unwrap();
                    }
                }
                sockets.flush(*socket, endpoint, now).unwrap();
            }
        }
        let took = began.elapsed().as_secs_f64();
        let dialer = processor_time().saturating_sub(spent);
        stop.store(true, Relaxed);
        let acceptor = acceptor.join().unwrap();
        [done / took, micros(dialer) / done, micros(acceptor) / done]
    })
}

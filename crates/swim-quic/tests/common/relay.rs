//! A UDP relay between two members: it delays, loses, cuts the path, and narrows it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the relay does with datagrams, in both directions.
#[derive(Clone, Copy)]
pub(crate) struct Path {
    pub(crate) delay: Duration,
    /// In thousandths.
    pub(crate) lost: u64,
    /// From one cut to the next, and how long one lasts.
    pub(crate) cut: (Duration, Duration),
    /// From when to when, after the start, datagrams above [`NARROW`] bytes are lost.
    pub(crate) narrow: (Duration, Duration),
}

/// The most bytes of a datagram that pass while the path is narrow; a member finds 1,472 there
/// before.
const NARROW: usize = 1_300;

/// Relays between two addresses until it is dropped: what comes to its first socket goes to the
/// second member from its second socket, and the other way round.
pub(crate) struct Relay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// `ends` holds for each member the socket that stands for the *other* one, and the member's
    /// address.
    pub(crate) fn start(ends: [(UdpSocket, SocketAddr); 2], path: Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || relay(&ends, path, &stopped));
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the relay ends");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn relay(ends: &[(UdpSocket, SocketAddr); 2], path: Path, stop: &AtomicBool) {
    let begin = Instant::now();
    for (socket, _) in ends {
        socket.set_nonblocking(true).expect("a socket can be nonblocking");
    }
    let mut waiting: BTreeMap<(Instant, u64), (usize, Vec<u8>)> = BTreeMap::new();
    let (mut number, mut state) = (0_u64, 1_u64);
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Acquire) {
        let now = Instant::now();
        let (every, lasts) = path.cut;
        let into = (now - begin).as_micros() % every.as_micros();
        let is_cut = now - begin > every && into < lasts.as_micros();
        let is_narrow = (path.narrow.0..path.narrow.1).contains(&(now - begin));
        for (from, (socket, _)) in ends.iter().enumerate() {
            loop {
                let length = match socket.recv_from(&mut buffer) {
                    Ok((length, _)) => length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // A member that is not there any more.
                    Err(_) => continue,
                };
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let is_lost = is_cut || (is_narrow && length > NARROW);
                if !is_lost && (state >> 33) % 1_000 >= path.lost {
                    number += 1;
                    // The socket at which one member writes stands for the other member.
                    waiting
                        .insert((now + path.delay, number), (1 - from, buffer[..length].to_vec()));
                }
            }
        }
        while let Some(entry) = waiting.first_entry()
            && entry.key().0 <= now
        {
            let (to, bytes) = entry.remove();
            let (socket, address) = &ends[to];
            let _ = socket.send_to(&bytes, address);
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

//! Members reach each other through translators of addresses that forget their ports.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at a few kinds of events"
)]

#[expect(dead_code, reason = "the members meet by themselves, and only some events are heard")]
mod common;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::{Participants, alive, eventually};
use swim_quic::{Cluster, Config, Event};

const SECOND: Duration = Duration::from_secs(1);

/// Stands before one member: what comes to its socket goes to the member from a socket for each
/// sender, and the answers go back.
struct Translator {
    address: SocketAddr,
    rebinds: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Translator {
    fn before(member: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let (rebinds, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (asked, stopped) = (Arc::clone(&rebinds), Arc::clone(&stop));
        let thread = std::thread::spawn(move || translate(&socket, member, &asked, &stopped));
        Self { address, rebinds, stop, thread: Some(thread) }
    }

    /// All senders get new ports; what is sent to the old ones is lost.
    fn rebind(&self) {
        self.rebinds.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Translator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn translate(socket: &UdpSocket, member: SocketAddr, rebinds: &AtomicUsize, stop: &AtomicBool) {
    socket.set_nonblocking(true).unwrap();
    let mut outgoing: BTreeMap<SocketAddr, UdpSocket> = BTreeMap::new();
    let (mut seen, mut buffer) = (0, vec![0; 65_536]);
    while !stop.load(Ordering::Acquire) {
        let asked = rebinds.load(Ordering::Acquire);
        if seen != asked {
            (seen, outgoing) = (asked, BTreeMap::new());
        }
        while let Some((length, from)) = next(socket, &mut buffer) {
            let out = outgoing.entry(from).or_insert_with(|| {
                let out = UdpSocket::bind("127.0.0.1:0").unwrap();
                out.set_nonblocking(true).unwrap();
                out
            });
            let _ = out.send_to(&buffer[..length], member);
        }
        for (sender, out) in &outgoing {
            while let Some((length, _)) = next(out, &mut buffer) {
                let _ = socket.send_to(&buffer[..length], sender);
            }
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}

fn next(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Ok(received) => return Some(received),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            // A member that is not there any more.
            Err(_) => {}
        }
    }
}

/// An address at which nobody listens.
fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Sends every 50 ms from everybody to everybody; returns the longest pause of a pair.
#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn longest_pause(members: &[Cluster], span: Duration, rebind: impl Fn()) -> Duration {
    let heard: Vec<_> = members.iter().map(Cluster::subscribe).collect();
    let (begin, mut last, mut longest) = (Instant::now(), BTreeMap::new(), Duration::ZERO);
    let mut is_rebound = false;
    while begin.elapsed() < span {
        if !is_rebound && begin.elapsed() > span / 4 {
            rebind();
            is_rebound = true;
        }
        for from in members {
            for to in members.iter().filter(|to| to.name() != from.name()) {
                let _ = from.send(to.name(), "tick");
            }
        }
        std::thread::sleep(Duration::from_millis(50));
        for (to, events) in heard.iter().enumerate() {
            for event in events.try_iter() {
                match event {
                    Event::Message { from, .. } => {
                        let before = last.insert((from, to), Instant::now()).unwrap_or(begin);
                        longest = longest.max(before.elapsed());
                    }
                    Event::Failed { .. } | Event::Left(_) => panic!("{event:?}"),
                    _ => {}
                }
            }
        }
    }
    let pairs = members.len() * (members.len() - 1);
    assert_eq!(last.len(), pairs, "pairs that heard something");
    last.values().map(Instant::elapsed).chain([longest]).max().unwrap()
}

/// Five times in a row, more often than one connection follows. Three members for three seconds
/// each time; with `WHOLE_REBINDING` set two, three and five, for ten.
#[test]
fn new_ports_of_all_translators_cost_a_second_and_nobody() {
    let is_whole = std::env::var_os("WHOLE_REBINDING").is_some();
    let (counts, span) =
        if is_whole { (&[2, 3, 5][..], 10 * SECOND) } else { (&[3][..], 3 * SECOND) };
    for count in counts.iter().copied() {
        let participants = Participants::new();
        let names = ["ada", "bob", "cyd", "dan", "eve"];
        let own: Vec<_> = (0..count).map(|_| free_address()).collect();
        let translators: Vec<_> = own.iter().map(|own| Translator::before(*own)).collect();
        let members: Vec<_> = (0..count)
            .map(|place| {
                let member = participants.member(names[place]).config(Config::lan());
                let member = member.bind(own[place].to_string());
                member.advertise(translators[place].address).start().unwrap()
            })
            .collect();
        for member in &members[1..] {
            member.join([translators[0].address.to_string()], 20 * SECOND).unwrap();
        }
        eventually("they meet", || members.iter().all(|member| alive(member).len() == count));
        for round in 0..5 {
            let pause = longest_pause(&members, span, || {
                translators.iter().for_each(Translator::rebind);
            });
            assert!(pause < 2 * SECOND, "{count} members, round {round}: {pause:?}");
        }
    }
}

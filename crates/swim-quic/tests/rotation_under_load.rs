//! Certificates and authorities change under load: no ping is lost and no stream is reset.
//!
//! The short form is part of the check. The whole one, a hundred renewals under at least a thousand
//! pings a second, takes a minute on a machine that does little else:
//! `RENEWALS=100 cargo test -p swim-quic --test rotation_under_load -- --nocapture`.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "larger clusters are for other tests")]
mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::{PATIENCE, Participants, eventually};
use swim_quic::{Authority, Cluster, Config, Fingerprint, Identity, Limits, Stream, Trust};

const DAY: Duration = Duration::from_secs(86_400);
const NAMES: [&str; 2] = ["ada", "bob"];

/// Threads that ping, in each direction.
const PINGERS: usize = 4;
/// How often each of them does: 1,600 pings a second in all.
const PING_INTERVAL: Duration = Duration::from_millis(5);

/// Ten renewals of certificates, or as many as `RENEWALS` says, and five changes of the authority.
#[test]
fn renewals_and_new_authorities_lose_no_ping_and_reset_no_stream() {
    let whole = std::env::var("RENEWALS").ok().map(|number| number.parse().unwrap());
    let renewals = whole.unwrap_or(10);
    let load = rotate_under_load(renewals, 5);
    println!("{renewals} renewals and five authorities in {load}");
    assert!(load.pings.len() > 1_000, "{} pings", load.pings.len());
    // In the check, other tests take the machine's time.
    let enough = whole.is_none() || load.rate() >= 1_000;
    assert!(enough, "only {} pings a second", load.rate());
}

/// What went on meanwhile.
struct Load {
    took: Duration,
    /// How long each ping took for its caller, in order of length.
    pings: Vec<Duration>,
    /// Numbers that came back over streams.
    numbers: u64,
}

impl Load {
    /// Pings a second.
    fn rate(&self) -> u128 {
        self.pings.len() as u128 * 1_000 / self.took.as_millis().max(1)
    }

    /// The longest of so many thousandths of the pings.
    fn of_thousand(&self, thousandths: usize) -> Duration {
        self.pings[(self.pings.len() - 1) * thousandths / 1_000]
    }
}

impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [half, most, all] = [500, 990, 1_000].map(|thousandths| self.of_thousand(thousandths));
        let (took, pings, rate, numbers) = (self.took, self.pings.len(), self.rate(), self.numbers);
        write!(
            f,
            "{took:.1?}: {pings} pings, {rate} a second, half within {half:.1?}, 99 % within \
             {most:.1?}, all within {all:.1?}; {numbers} numbers over streams"
        )
    }
}

/// Each renewal gives one member or both a new certificate. Each change of the authority first
/// lets both members trust the next one as well, then gives them certificates of it, and then has
/// them trust it alone.
fn rotate_under_load(renewals: usize, changes: usize) -> Load {
    let participants = Participants::new();
    let members = pair(&participants);
    let traffic = Traffic::start(&members);
    let mut authority = participants.authority;
    for renewal in 0..renewals {
        let renewed: &[usize] = [&[0][..], &[1], &[0, 1]][renewal % 3];
        rotate(&members, renewed, &authority, &trust_in(&[&authority]));
    }
    for _ in 0..changes {
        let next = Authority::generate("next", 30 * DAY).unwrap();
        let both = trust_in(&[&authority, &next]);
        rotate(&members, &[0, 1], &authority, &both);
        rotate(&members, &[0, 1], &next, &both);
        rotate(&members, &[0, 1], &next, &trust_in(&[&next]));
        authority = next;
    }
    traffic.end()
}

fn trust_in(authorities: &[&Authority]) -> Trust {
    let roots: String = authorities
        .iter()
        .map(|authority| authority.certificate_pem())
        .collect::<Vec<_>>()
        .concat();
    Trust::from_pem(roots.as_bytes()).unwrap()
}

/// Two members that make connections anew 1 s after their beginning instead of 3 s.
fn pair(participants: &Participants) -> [Cluster; 2] {
    let mut limits = Limits::default();
    limits.dial_timeout = Duration::from_secs(1);
    limits.duplicate_grace = Duration::from_millis(300);
    // Nobody is to be given up while the machine is busy.
    let member = |name| participants.member(name).config(Config::lan()).limits(limits.clone());
    let ada = member("ada").start().unwrap();
    let bob = member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("both meet", || [&ada, &bob].iter().all(|one| one.members().len() == 2));
    [ada, bob]
}

/// Gives these members new certificates, and waits until the others see them.
fn rotate(members: &[Cluster; 2], who: &[usize], authority: &Authority, trust: &Trust) {
    let renew = |index: &usize| {
        let identity = issue(authority, NAMES[*index]);
        members[*index].rotate(&identity, trust).unwrap();
        (*index, identity.fingerprint())
    };
    let renewed: Vec<_> = who.iter().map(renew).collect();
    for (index, fingerprint) in renewed {
        eventually("the other one sees the new certificate", || {
            seen(&members[1 - index], NAMES[index]) == Some(fingerprint)
        });
    }
}

fn issue(authority: &Authority, name: &str) -> Identity {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    authority.issue(name, &[here], DAY).unwrap().identity().unwrap()
}

/// The certificate behind the connection that packets for a member use.
fn seen(cluster: &Cluster, member: &str) -> Option<Fingerprint> {
    cluster.connection(member).unwrap().map(|connection| connection.fingerprint)
}

/// Pings and a stream in each direction.
struct Traffic {
    began: Instant,
    stop: Arc<AtomicBool>,
    pingers: Vec<JoinHandle<Vec<Duration>>>,
    streams: Vec<JoinHandle<u64>>,
}

impl Traffic {
    fn start(members: &[Cluster; 2]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (mut pingers, mut streams) = (Vec::new(), Vec::new());
        for (from, other) in [(0, 1), (1, 0)] {
            let incoming = members[other].listen("echo").unwrap();
            let stream = members[from].open_stream(NAMES[other], "echo", PATIENCE).unwrap();
            let echo = incoming.recv_timeout(PATIENCE).unwrap().stream;
            streams.push(std::thread::spawn(move || return_all(echo)));
            let stopped = Arc::clone(&stop);
            streams.push(std::thread::spawn(move || send_numbers(stream, &stopped)));
            for _ in 0..PINGERS {
                let (stopped, member) = (Arc::clone(&stop), members[from].clone());
                let ping = move || ping(&member, NAMES[other], &stopped);
                pingers.push(std::thread::spawn(ping));
            }
        }
        Self { began: now(), stop, pingers, streams }
    }

    fn end(self) -> Load {
        let took = self.began.elapsed();
        self.stop.store(true, Ordering::Release);
        let pings = self.pingers.into_iter().flat_map(|thread| thread.join().unwrap());
        let mut pings: Vec<Duration> = pings.collect();
        pings.sort_unstable();
        let mut numbers = 0;
        for thread in self.streams {
            let carried = thread.join().unwrap();
            assert!(carried > 100, "a stream carried {carried} numbers only");
            numbers += carried;
        }
        // Those who send and those who return them have both counted.
        Load { took, pings, numbers: numbers / 2 }
    }
}

/// Pings until it is stopped, and returns how long each ping took.
#[expect(clippy::disallowed_methods, reason = "the rate of pings")]
fn ping(from: &Cluster, to: &str, stop: &AtomicBool) -> Vec<Duration> {
    let mut pings = Vec::new();
    let mut next = now();
    while !stop.load(Ordering::Acquire) {
        let began = now();
        from.ping(to, PATIENCE)
            .unwrap_or_else(|error| panic!("ping {} to {to}: {error}", pings.len()));
        pings.push(began.elapsed());
        // Who was late catches up, by a second at most.
        next = (next + PING_INTERVAL).max(began - Duration::from_secs(1));
        std::thread::sleep(next.saturating_duration_since(now()));
    }
    pings
}

#[expect(clippy::disallowed_methods, reason = "the rate of numbers")]
fn send_numbers(mut stream: Stream, stop: &AtomicBool) -> u64 {
    let mut number = 0_u64;
    while !stop.load(Ordering::Acquire) {
        stream.write_all(&number.to_be_bytes()).unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(u64::from_be_bytes(answer), number);
        number += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    number
}

/// Sends back what comes, and returns how many numbers that was.
fn return_all(mut stream: Stream) -> u64 {
    let (mut bytes, mut buffer) = (0, [0; 1024]);
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return bytes / 8,
            read => {
                stream.write_all(&buffer[..read]).unwrap();
                bytes += u64::try_from(read).unwrap();
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn now() -> Instant {
    Instant::now()
}

//! Reliable messages over a bad path: all arrive once, in order, and each call's answer is true.

#![expect(clippy::unwrap_used, reason = "a test that finds something missing has failed")]

#[expect(dead_code, reason = "the members meet over a relay, and only messages are heard")]
mod common;
#[path = "common/relay.rs"]
mod relay;

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use common::{Participants, alive, eventually};
use relay::{Path, Relay};
use swim_quic::{Cluster, Config, DeliveryReport, Event, SendError, Subscription};

/// How many callers send at once; the messages of each arrive in its order.
const CALLERS: u32 = 8;

/// One message: who sends it, its number among those, and its length.
fn payload(caller: u32, number: u32, len: usize) -> Vec<u8> {
    let mut payload = [caller.to_be_bytes(), number.to_be_bytes()].concat();
    payload.resize(len.max(8), caller.to_be_bytes()[3]);
    payload
}

/// Short ones of up to 4 KiB, and now and then one of 64 KiB to 1 MiB.
fn length(number: u32, large_every: u32) -> usize {
    let spread = number.wrapping_mul(2_654_435_761);
    if number % large_every == large_every - 1 {
        65_536 + usize::try_from(spread % 983_040).unwrap()
    } else {
        usize::try_from(spread % 4_096).unwrap() + 1
    }
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn read(events: &Subscription, expected: u32, large_every: u32, patience: Duration) {
    let (end, mut next, mut total) = (Instant::now() + patience, vec![0; CALLERS as usize], 0);
    while total < expected {
        let left = end.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(left).unwrap_or_else(|_| panic!("{next:?} have come"));
        let Event::Message { reliable: true, payload: heard, .. } = event else { continue };
        let caller = u32::from_be_bytes(*heard.first_chunk().unwrap());
        let number = u32::from_be_bytes(*heard[4..].first_chunk().unwrap());
        let wanted = &mut next[caller as usize];
        assert_eq!(number, *wanted, "caller {caller}");
        assert!(heard[..] == payload(caller, number, length(number, large_every)), "not whole");
        *wanted += 1;
        total += 1;
    }
}

/// Two members that know each other only by the sockets of a relay on this path.
fn meet(path: Path) -> (Cluster, Cluster, Relay) {
    let participants = Participants::new();
    // Each member knows the other by the address of a socket of the relay.
    let [for_ada, for_bob] = [0, 0].map(|_: u8| UdpSocket::bind("127.0.0.1:0").unwrap());
    let addresses = [&for_ada, &for_bob].map(|socket| socket.local_addr().unwrap());
    let own = [0, 0].map(|_: u8| free_address());
    let member = |name: &str, place: usize| {
        let member = participants.member(name).config(Config::lan());
        member.bind(own[place].to_string()).advertise(addresses[place])
    };
    // Bob writes to the socket that stands for ada, and the other way round.
    let ada = member("ada", 0).start().unwrap();
    let bob = member("bob", 1).start().unwrap();
    let ends = [(for_bob, own[0]), (for_ada, own[1])];
    let relay = Relay::start(ends, path);
    ada.join([addresses[1].to_string()], 20 * SECOND).unwrap();
    eventually("they meet", || [&ada, &bob].iter().all(|member| alive(member).len() == 2));
    (ada, bob, relay)
}

/// Both members send `each` messages from every caller to the other, over this path.
fn exchange(each: u32, large_every: u32, path: Path, patience: Duration) {
    let (ada, bob, _relay) = meet(path);
    let (heard_by_ada, heard_by_bob) = (ada.subscribe(), bob.subscribe());
    thread::scope(|scope| {
        for (from, to) in [(&ada, "bob"), (&bob, "ada")] {
            for caller in 0..CALLERS {
                scope.spawn(move || send_all(from, to, caller, each, large_every, patience));
            }
        }
        for events in [&heard_by_ada, &heard_by_bob] {
            scope.spawn(move || read(events, each * CALLERS, large_every, patience));
        }
    });
    for events in [heard_by_ada, heard_by_bob] {
        let more = events.try_iter().filter(|event| matches!(event, Event::Message { .. }));
        assert_eq!(more.count(), 0, "something came twice");
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// An address at which nobody listens.
fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn send_all(from: &Cluster, to: &str, caller: u32, each: u32, large: u32, patience: Duration) {
    for number in 0..each {
        let bytes = payload(caller, number, length(number, large));
        loop {
            match from.send_reliable(to, bytes.clone(), patience) {
                Ok(report) => {
                    assert_eq!(report, DeliveryReport::Acknowledged);
                    break;
                }
                // Nothing of it was delivered, so it is sent once more.
                Err(SendError::Busy | SendError::Unreachable(_) | SendError::NotAlive(_)) => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(error) => panic!("{caller}/{number} of {} bytes: {error}", bytes.len()),
            }
        }
    }
}

/// A round trip of 20 ms, 0.5 % loss, the path is gone for a second every five, and for a while
/// carries short datagrams only. With `WHOLE_EXCHANGE` set: 10,000 messages, a round trip of 50
/// ms, and the path is gone for three seconds every thirty; that takes up to five minutes.
#[test]
fn messages_arrive_once_and_in_order_over_a_bad_path() {
    let (short, long) = (Duration::from_millis(10), Duration::from_millis(25));
    if std::env::var_os("WHOLE_EXCHANGE").is_some() {
        let path = Path {
            delay: long,
            lost: 5,
            cut: (30 * SECOND, 3 * SECOND),
            narrow: (20 * SECOND, 70 * SECOND),
        };
        exchange(630, 125, path, 300 * SECOND);
    } else {
        let path =
            Path { delay: short, lost: 5, cut: (5 * SECOND, SECOND), narrow: (SECOND, 8 * SECOND) };
        exchange(40, 20, path, 120 * SECOND);
    }
}

/// Bytes that no compression makes fewer.
fn incompressible(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// The message is acknowledged, and whoever has subscribed has it.
fn arrives(from: &Cluster, events: &Subscription, payload: &[u8]) {
    let report = from.send_reliable("bob", payload.to_vec(), 60 * SECOND).unwrap();
    assert_eq!(report, DeliveryReport::Acknowledged);
    let message = |event: Event| {
        let Event::Message { payload, .. } = event else { return None };
        Some(payload)
    };
    let heard = events.try_iter().find_map(message).expect("what was acknowledged is there");
    assert!(heard[..] == *payload, "{} bytes arrived of {}", heard.len(), payload.len());
}

#[test]
fn a_message_of_twenty_megabytes_arrives_over_a_long_way() {
    let (never, delay) = ((3_600 * SECOND, SECOND), Duration::from_millis(50));
    let (ada, bob, _relay) = meet(Path { delay, lost: 0, cut: never, narrow: (SECOND, SECOND) });
    arrives(&ada, &bob.subscribe(), &incompressible(20_000_000));
}

#[test]
fn messages_arrive_while_as_many_streams_as_may_be_are_held_open() {
    let (never, delay) = ((3_600 * SECOND, SECOND), Duration::from_millis(1));
    let (ada, bob, _relay) = meet(Path { delay, lost: 0, cut: never, narrow: (SECOND, SECOND) });
    let listener = bob.listen("hold").unwrap();
    let open = || ada.open_stream("bob", "hold", SECOND).ok();
    let held: Vec<_> = std::iter::from_fn(open).take(512).collect();
    assert!(held.len() >= 200, "{} streams", held.len());
    let events = bob.subscribe();
    for number in 1..=5 {
        arrives(&ada, &events, &incompressible(number * 100_000));
    }
    drop(listener);
}

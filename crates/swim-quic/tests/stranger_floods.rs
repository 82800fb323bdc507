//! A stranger sends one of five members 5,000 packets a second of each kind, from a network of its
//! own: nobody dies, newcomers join, pings are answered, memory is bounded, and all is counted.
//!
//! Two seconds a kind; `WHOLE_MINUTE` makes it a minute, and then times are asserted as well, which
//! need a machine that does nothing else.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "a real stranger with a real clock")]

#[expect(dead_code, reason = "members have the usual timers here, and events are read at the end")]
mod common;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use boring::ssl::{SslContextBuilder, SslMethod, SslVerifyMode};
use common::{Participants, alive, eventually};
use ring::{aead, hkdf};
use swim_quic::{Cluster, Config, Event};

/// What it is, how many packets a second, and how it begins.
type Kind = (&'static str, u64, fn(SocketAddr) -> Flood);

const KINDS: [Kind; 6] = [
    ("initials", 5_000, initials),
    ("handshakes begun with a proven address and left", 1_000, stalls),
    ("junk", 5_000, junk),
    ("unknown versions", 5_000, unknown_versions),
    ("gaps in handshakes", 5_000, gaps),
    ("packets that overtake a handshake", 5_000, early),
];

/// Sends the next packet.
type Flood = Box<dyn FnMut() + Send>;

/// The stranger's addresses: a network that is not the members'.
fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 9, 0, 1), 0)).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn sockets(count: usize) -> Vec<UdpSocket> {
    (0..count).map(|_| socket()).collect()
}

fn client() -> quiche::Config {
    let mut builder = SslContextBuilder::new(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    let mut config =
        quiche::Config::with_boring_ssl_ctx_builder(quiche::PROTOCOL_VERSION, builder).unwrap();
    config.set_application_protos(&[b"memberlist-quic/1"]).unwrap();
    config
}

fn dial(config: &mut quiche::Config, id: u64, to: SocketAddr) -> quiche::Connection {
    let id = quiche::ConnectionId::from_vec(id.to_be_bytes().to_vec());
    quiche::connect(None, &id, "127.9.0.1:9".parse().unwrap(), to, config).unwrap()
}

fn next_packet(connection: &mut quiche::Connection) -> Option<Vec<u8>> {
    let mut buffer = vec![0; 1_500];
    let (length, _) = connection.send(&mut buffer).ok()?;
    buffer.truncate(length);
    Some(buffer)
}

fn initials(to: SocketAddr) -> Flood {
    let mut config = client();
    let packets: Vec<_> =
        (0..500).filter_map(|id| next_packet(&mut dial(&mut config, id, to))).collect();
    let (sockets, mut number) = (sockets(64), 0);
    Box::new(move || {
        let _ = sockets[number % 64].send_to(&packets[(number / 64) % packets.len()], to);
        number += 1;
    })
}

/// Answers a Retry, and says nothing more.
fn stalls(to: SocketAddr) -> Flood {
    let (mut config, sockets, mut number) = (client(), sockets(64), 0_u64);
    let mut waiting: Vec<Option<quiche::Connection>> = (0..64).map(|_| None).collect();
    Box::new(move || {
        let place = usize::try_from(number % 64).unwrap();
        let mut buffer = [0; 1_500];
        while let Ok((length, from)) = sockets[place].recv_from(&mut buffer) {
            let Some(connection) = &mut waiting[place] else { continue };
            let info = quiche::RecvInfo { from, to: "127.9.0.1:9".parse().unwrap() };
            let is_retry = buffer[0] & 0xf0 == 0xf0;
            if is_retry
                && connection.recv(&mut buffer[..length], info).is_ok()
                && let Some(packet) = next_packet(connection)
            {
                let _ = sockets[place].send_to(&packet, to);
                waiting[place] = None;
            }
        }
        let mut connection = dial(&mut config, 1 << 32 | number, to);
        if let Some(packet) = next_packet(&mut connection) {
            let _ = sockets[place].send_to(&packet, to);
        }
        waiting[place] = Some(connection);
        number += 1;
    })
}

fn junk(to: SocketAddr) -> Flood {
    let (sockets, mut number) = (sockets(64), 0_usize);
    Box::new(move || {
        let first = if number.is_multiple_of(2) { 0x40 } else { 0xc0 };
        let mut packet = vec![first; 40 + number % 1_100];
        for (index, byte) in packet.iter_mut().enumerate().skip(1) {
            *byte = u8::try_from((number * 31 + index * 7) % 251).unwrap();
        }
        let _ = sockets[number % 64].send_to(&packet, to);
        number += 1;
    })
}

fn unknown_versions(to: SocketAddr) -> Flood {
    let (sockets, mut number) = (sockets(64), 0_usize);
    let mut packet = vec![0; 1_200];
    packet[..7].copy_from_slice(&[0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 1]);
    Box::new(move || {
        packet[8] = u8::try_from(number % 251).unwrap();
        let _ = sockets[number % 64].send_to(&packet, to);
        number += 1;
    })
}

/// Handshakes told in pieces of one byte, each with a gap before it.
fn gaps(to: SocketAddr) -> Flood {
    let (sockets, mut number) = (sockets(16), 0_u32);
    Box::new(move || {
        let (place, round) = (usize::try_from(number % 16).unwrap(), number / 16);
        // Each handshake gets forty packets, then the next one of the same socket begins.
        let id = u64::from(round / 40) << 8 | u64::from(number % 16);
        let mut frames = Vec::new();
        let mut offset = 0x4000 + (round % 40) * 400;
        while frames.len() < 1_150 {
            frames.push(6);
            frames.extend((0x8000_0000 | offset).to_be_bytes());
            frames.extend([1, 7]);
            offset += 2;
        }
        frames.resize(1_160, 0);
        let packet = initial(&id.to_be_bytes(), round % 40, &frames);
        let _ = sockets[place].send_to(&packet, to);
        number += 1;
    })
}

/// Begins handshakes, and addresses packets that nobody can decrypt yet to them.
fn early(to: SocketAddr) -> Flood {
    let (mut config, sockets, mut number) = (client(), sockets(32), 0_u64);
    let mut ids: Vec<Option<Vec<u8>>> = vec![None; 32];
    Box::new(move || {
        let place = usize::try_from(number % 32).unwrap();
        let mut buffer = [0; 1_500];
        while let Ok((length, _)) = sockets[place].recv_from(&mut buffer) {
            if let Ok(header) = quiche::Header::from_slice(&mut buffer[..length], 8)
                && header.ty != quiche::Type::Retry
            {
                ids[place] = Some(header.scid.to_vec());
            }
        }
        let packet = match &ids[place] {
            Some(id) if number / 32 % 20 != 0 => {
                let mut packet = vec![0x40; 1_200];
                packet[1..=id.len()].copy_from_slice(id);
                Some(packet)
            }
            _ => next_packet(&mut dial(&mut config, 1 << 33 | number, to)),
        };
        if let Some(packet) = packet {
            let _ = sockets[place].send_to(&packet, to);
        }
        number += 1;
    })
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label of TLS 1.3 (RFC 8446 section 7.1).
fn expand(secret: &hkdf::Prk, label: &str, length: usize) -> Vec<u8> {
    let label = format!("tls13 {label}");
    let count = [u8::try_from(label.len()).unwrap()];
    let wanted = u16::try_from(length).unwrap().to_be_bytes();
    let mut out = vec![0; length];
    let info = [&wanted[..], &count, label.as_bytes(), &[0]];
    secret.expand(&info, Length(length)).unwrap().fill(&mut out).unwrap();
    out
}

/// An Initial of a client with these frames (RFC 9001 sections 5.2 to 5.4).
fn initial(id: &[u8], number: u32, frames: &[u8]) -> Vec<u8> {
    const SALT: [u8; 20] = [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c,
        0xad, 0xcc, 0xbb, 0x7f, 0x0a,
    ];
    let secret = hkdf::Salt::new(hkdf::HKDF_SHA256, &SALT).extract(id);
    let client = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &expand(&secret, "client in", 32));
    let key = expand(&client, "quic key", 16);
    let mut nonce: [u8; 12] = expand(&client, "quic iv", 12).try_into().unwrap();
    for (byte, other) in nonce[8..].iter_mut().zip(number.to_be_bytes()) {
        *byte ^= other;
    }
    // A long header with a packet number of four bytes, version 1, no token.
    let mut packet = vec![0xc3, 0, 0, 0, 1, 8];
    packet.extend(id);
    packet.extend([8, 1, 2, 3, 4, 5, 6, 7, 8, 0]);
    let length = u16::try_from(4 + frames.len() + 16).unwrap();
    packet.extend((0x4000 | length).to_be_bytes());
    let at = packet.len();
    packet.extend(number.to_be_bytes());
    let mut body = frames.to_vec();
    let sealing = aead::UnboundKey::new(&aead::AES_128_GCM, &key).unwrap();
    aead::LessSafeKey::new(sealing)
        .seal_in_place_append_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(&packet),
            &mut body,
        )
        .unwrap();
    packet.extend(body);
    let protection = expand(&client, "quic hp", 16);
    let protection =
        aead::quic::HeaderProtectionKey::new(&aead::quic::AES_128, &protection).unwrap();
    let mask = protection.new_mask(&packet[at + 4..at + 20]).unwrap();
    packet[0] ^= mask[0] & 0x0f;
    for (byte, other) in packet[at..at + 4].iter_mut().zip(&mask[1..]) {
        *byte ^= other;
    }
    packet
}

/// Sends until it is dropped; says how many packets.
struct Stranger {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Stranger {
    fn begin(mut flood: Flood, per_second: u64) -> Self {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let begin = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let due = begin.elapsed().as_micros() * u128::from(per_second) / 1_000_000;
                // What a busy machine has missed is not made up for all at once.
                for _ in 0..50 {
                    if u128::from(counted.load(Ordering::Relaxed)) < due {
                        flood();
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Self { stop, sent, thread: Some(thread) }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    4_096 * statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap()
}

/// The time below which 99 of 100 pings to and from the first member were answered.
fn pings(members: &[Cluster], span: Duration) -> Duration {
    let (begin, mut times) = (Instant::now(), Vec::new());
    while begin.elapsed() < span {
        for (from, to) in [(1, "member0"), (0, "member2"), (3, "member0"), (0, "member4")] {
            times.push(members[from].ping(to, Duration::from_secs(5)).unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    times.sort();
    times[times.len() * 99 / 100]
}

#[test]
fn a_stranger_who_floods_a_member_harms_nobody() {
    let is_whole = std::env::var_os("WHOLE_MINUTE").is_some();
    let span = Duration::from_secs(if is_whole { 60 } else { 2 });
    let participants = Participants::new();
    let mut members: Vec<Cluster> = Vec::new();
    for number in 0..5 {
        let seeds: Vec<String> = members.iter().map(|one| one.address().to_string()).collect();
        let builder = participants.member(&format!("member{number}")).config(Config::lan());
        members.push(builder.seeds(seeds).start().unwrap());
    }
    for member in &members {
        eventually("all see all", || alive(member).len() == members.len());
    }
    let events: Vec<_> = members.iter().map(Cluster::subscribe).collect();
    let quiet = pings(&members, span.min(Duration::from_secs(10)));
    let before = resident_bytes();
    println!("without a stranger: 99 of 100 pings within {quiet:?}");
    for (round, (kind, per_second, flood)) in KINDS.into_iter().enumerate() {
        let target = members[0].address();
        let stranger = Stranger::begin(flood(target), per_second);
        let slow = pings(&members, span / 2);
        let seeds = vec![target.to_string()];
        let begun = Instant::now();
        let name = format!("newcomer{round}");
        let builder = participants.member(&name).config(Config::lan()).seeds(seeds);
        let newcomer = builder.start().unwrap();
        eventually("it joins", || alive(&newcomer).len() == members.len() + 1);
        let joined = begun.elapsed();
        let slower = pings(&members, span / 2);
        let sent = stranger.sent.load(Ordering::Relaxed);
        drop(stranger);
        let slow = slow.max(slower);
        println!("{kind}: {sent} packets, pings within {slow:?}, a newcomer joined in {joined:?}");
        newcomer.leave(Duration::from_secs(10)).unwrap();
        if is_whole {
            assert!(joined <= Duration::from_secs(2), "{kind}: {joined:?}");
            assert!(slow <= 5 * quiet, "{kind}: {slow:?}, {quiet:?} without");
        }
    }
    for (member, events) in members.iter().zip(&events) {
        assert!(alive(member).len() >= 5, "{:?}", alive(member));
        for event in events.try_iter() {
            assert!(!matches!(event, Event::Failed { .. }), "{}: {event:?}", member.name());
        }
    }
    let gained = resident_bytes().saturating_sub(before);
    let transport = members[0].stats().unwrap().transport;
    println!("{} KiB more; {transport:#?}", gained >> 10);
    assert!(gained <= 64 << 20, "{} KiB", gained >> 10);
    assert!(transport.retries_sent > 0 && transport.handshakes_displaced > 0);
    assert!(transport.stray_datagrams > 0 && transport.resets_withheld > 0);
    assert!(transport.handshakes_too_long > 0 && transport.handshake_rate_drops > 0);
    assert!(transport.undecryptable_drops > 0 && !transport.refusals.is_empty());
}

//! Who has no business here gets nowhere, and the log says who and why. The stranger is a bare
//! QUIC client of its own, so that nothing of ours can be polite to it.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

mod common;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use boring::ssl::{SslContextBuilder, SslMethod, SslVerifyMode};
use common::{PATIENCE, Participants, alive, eventually, hear};
use swim_quic::{Event, Identity};

const OURS: &[u8] = b"swim-quic/1";
const GO: &[u8] = b"memberlist-quic/1";

/// TLS alerts as QUIC reports them (RFC 9001 section 4.8: 0x100 + alert).
const CERTIFICATE_REQUIRED: u64 = 0x174;
const UNKNOWN_CA: u64 = 0x130;
const NO_APPLICATION_PROTOCOL: u64 = 0x178;

/// A ping for whoever listens, as Go writes it: sequence number 100, no name, no source.
const PING: &[u8] = b"\x00\x82\xa4Node\xa0\xa5SeqNo\x64";

/// What a bare client met with.
#[derive(Debug, Default)]
struct Met {
    /// The server's certificate was seen and the client's side of the handshake done.
    established: bool,
    protocol: Vec<u8>,
    datagrams: Vec<Vec<u8>>,
    closed_with: Option<u64>,
}

#[test]
fn a_client_without_certificate_gets_nowhere_and_the_log_says_so() {
    let participants = Participants::new();
    let builder = participants.member("ada");
    let events = builder.subscribe();
    let ada = builder.start().unwrap();
    let met = call(ada.address(), &[OURS, GO], None);
    assert_eq!(met.closed_with, Some(CERTIFICATE_REQUIRED), "{met:?}");
    assert!(met.datagrams.is_empty(), "{met:?}");
    let detail = hear("the refusal is reported", &events, refusal);
    assert!(detail.contains("certificate"), "{detail}");
    assert!(detail.contains("127.0.0.1:"), "it names the stranger: {detail}");
    assert_eq!(refusals(&ada), 1);
    assert_eq!(alive(&ada), ["ada"]);
}

#[test]
fn a_certificate_of_another_authority_gets_nowhere_and_the_log_says_so() {
    let (participants, others) = (Participants::new(), Participants::new());
    let builder = participants.member("ada");
    let events = builder.subscribe();
    let ada = builder.start().unwrap();
    let met = call(ada.address(), &[OURS, GO], Some(&others.identity("eve")));
    assert_eq!(met.closed_with, Some(UNKNOWN_CA), "{met:?}");
    assert!(met.datagrams.is_empty(), "{met:?}");
    let detail = hear("the refusal is reported", &events, refusal);
    assert!(detail.contains("authority"), "{detail}");
    assert_eq!(refusals(&ada), 1);
    assert_eq!(alive(&ada), ["ada"]);
}

#[test]
fn who_speaks_neither_protocol_is_refused() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let met = call(ada.address(), &[b"h3"], Some(&participants.identity("bob")));
    assert!(!met.established);
    assert_eq!(met.closed_with, Some(NO_APPLICATION_PROTOCOL), "{met:?}");
}

#[test]
fn a_client_that_offers_only_gos_protocol_is_served_with_it() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let met = call(ada.address(), &[GO], Some(&participants.identity("bob")));
    assert!(met.established);
    assert_eq!(met.protocol, GO);
    let answer = met.datagrams.first().expect("the ping is answered");
    let ack = b"\x02\x82\xa7Payload\xc0\xa5SeqNo\x64";
    assert!(answer.windows(ack.len()).any(|window| window == ack), "{}", answer.escape_ascii());
}

#[test]
fn a_client_that_offers_both_gets_ours_and_no_answer_before_it_says_hello() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let met = call(ada.address(), &[OURS, GO], Some(&participants.identity("bob")));
    assert!(met.established);
    assert_eq!(met.protocol, OURS);
    assert!(met.datagrams.is_empty() && met.closed_with.is_some(), "{met:?}");
}

#[test]
fn our_own_members_speak_our_protocol_to_each_other() {
    let participants = Participants::new();
    let members = participants.cluster(&["ada", "bob"]);
    for member in &members {
        let protocols = member.connections().unwrap();
        assert!(!protocols.is_empty());
        assert!(protocols.iter().all(|connection| connection.protocol == "swim-quic/1"));
    }
}

#[test]
fn junk_changes_nothing_but_a_counter() {
    let participants = Participants::new();
    let members = participants.cluster(&["ada", "bob"]);
    let ada = &members[0];
    let before = ada.stats().unwrap().transport.udp_received;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for seed in 1..=200_u8 {
        let junk: Vec<u8> = (0..seed).map(|index| seed.wrapping_mul(31) ^ index).collect();
        socket.send_to(&junk, ada.address()).unwrap();
    }
    eventually("all junk was read", || ada.stats().unwrap().transport.udp_received >= before + 200);
    assert_eq!(alive(ada), ["ada", "bob"]);
    assert_eq!(ada.stats().unwrap().transport.connections, 1);
    ada.ping("bob", Duration::from_secs(5)).unwrap();
}

fn refusal(event: &Event) -> Option<String> {
    match event {
        Event::Warning { what, detail, .. } => Some(format!("{what}: {detail}")),
        _ => None,
    }
}

fn refusals(cluster: &swim_quic::Cluster) -> u64 {
    cluster.stats().unwrap().transport.refusals.values().sum()
}

/// Connects with a bare client, sends one ping, and reports what came of it.
#[expect(clippy::disallowed_methods, reason = "a real client with real timers")]
fn call(server: SocketAddr, protocols: &[&[u8]], identity: Option<&Identity>) -> Met {
    let mut config = client_config(protocols, identity);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let local = socket.local_addr().unwrap();
    let id = quiche::ConnectionId::from_ref(&[7; 8]);
    let mut connection = quiche::connect(None, &id, local, server, &mut config).unwrap();
    let mut met = Met::default();
    let (mut buffer, started) = ([0; 65_536], Instant::now());
    let mut sent = false;
    while !connection.is_closed() && met.datagrams.is_empty() {
        assert!(started.elapsed() < PATIENCE, "neither answered nor refused: {met:?}");
        while let Ok((length, _)) = connection.send(&mut buffer) {
            socket.send_to(&buffer[..length], server).unwrap();
        }
        let wait = connection.timeout().unwrap_or(PATIENCE).max(Duration::from_millis(1));
        socket.set_read_timeout(Some(wait)).unwrap();
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                let info = quiche::RecvInfo { from, to: local };
                let _ = connection.recv(&mut buffer[..length], info);
            }
            Err(_) => connection.on_timeout(),
        }
        met.established |= connection.is_established();
        if connection.is_established() && !sent {
            met.protocol = connection.application_proto().to_vec();
            sent = connection.dgram_send(PING).is_ok();
        }
        while let Ok(length) = connection.dgram_recv(&mut buffer) {
            met.datagrams.push(buffer[..length].to_vec());
        }
        met.closed_with = connection.peer_error().map(|error| error.error_code);
    }
    met
}

fn client_config(protocols: &[&[u8]], identity: Option<&Identity>) -> quiche::Config {
    let builder = match identity {
        Some(identity) => {
            let mut builder = certs::tls_context(identity, &identity.trust()).unwrap();
            // A stranger does not care whom it talks to.
            builder.set_verify(SslVerifyMode::NONE);
            builder
        }
        None => {
            let mut builder = SslContextBuilder::new(SslMethod::tls()).unwrap();
            builder.set_verify(SslVerifyMode::NONE);
            builder
        }
    };
    let mut config =
        quiche::Config::with_boring_ssl_ctx_builder(quiche::PROTOCOL_VERSION, builder).unwrap();
    config.set_application_protos(protocols).unwrap();
    config.enable_dgram(true, 32, 32);
    config.set_max_idle_timeout(10_000);
    config.set_initial_max_data(1 << 20);
    config.set_initial_max_streams_uni(10);
    config.set_initial_max_streams_bidi(10);
    config.set_initial_max_stream_data_uni(1 << 16);
    config
}

//! Members whose certificate holds several names: one certificate for all of them, or one whose
//! common name is that of the service.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

#[expect(dead_code, reason = "the identities of this test have certificates of another kind")]
mod common;
#[expect(dead_code, reason = "there are no intermediates here")]
#[path = "common/issuer.rs"]
mod issuer;

use std::time::{Duration, Instant};

use common::{PATIENCE, alive, eventually, hear, quick};
use issuer::Issuer;
use swim_quic::{Cluster, Event, Identity, RecvTimeoutError, Subscription};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn members_that_share_one_certificate_are_each_reached_at_their_address() {
    let names = ["ada", "bob", "cyd", "dan"];
    let shared = Issuer::new().identity("ada", &dns_names(&names));
    let members = start(&names, |_| shared.clone());
    everybody_reaches_everybody(&members);
}

#[test]
fn members_whose_common_name_is_the_service_s_go_by_their_own_name_everywhere() {
    let authority = Issuer::new();
    let names = ["ada", "bob", "cyd"];
    let members = start(&names, |name| authority.identity("shared-service", &dns_names(&[name])));
    everybody_reaches_everybody(&members);
    for member in &members {
        for connection in member.connections().unwrap() {
            assert!(names.contains(&&*connection.names[0].to_string()), "{:?}", connection.names);
        }
    }
}

/// Twenty members of one certificate, and twenty of one common name, for some seconds each: three,
/// or as many as `STAY_TOGETHER_SECONDS` says.
#[test]
fn twenty_members_of_one_certificate_stay_together() {
    let wanted = std::env::var("STAY_TOGETHER_SECONDS").ok();
    let seconds = wanted.map_or(3, |seconds| seconds.parse().unwrap());
    twenty_members_stay_together(Duration::from_secs(seconds));
}

fn twenty_members_stay_together(span: Duration) {
    let names: Vec<String> = (0..20).map(|number| format!("member-{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let authority = Issuer::new();
    let shared = authority.identity("shared-service", &dns_names(&names));
    let one_certificate: &dyn Fn(&str) -> Identity = &|_| shared.clone();
    let one_common_name = &|name: &str| authority.identity("shared-service", &dns_names(&[name]));
    for identity in [one_certificate, one_common_name] {
        let members = start(&names, identity);
        let heard: Vec<_> = members.iter().map(Cluster::subscribe).collect();
        let end = now() + span;
        let (mut sent, mut round, mut arrived) = (0, 0, 0);
        while now() < end {
            round += 1;
            for (from, member) in members.iter().enumerate() {
                let to = (from + round) % members.len();
                if to != from {
                    let payload = format!("{} to {}", names[from], names[to]);
                    member.send_reliable(names[to], payload, PATIENCE).unwrap();
                    sent += 1;
                }
            }
            // A queue holds some thousand messages.
            for (name, events) in names.iter().zip(&heard) {
                arrived += messages_to(name, events, Duration::ZERO);
            }
        }
        for (name, events) in names.iter().zip(&heard) {
            arrived += messages_to(name, events, SECOND / 10);
        }
        assert_eq!(arrived, sent, "messages that arrived");
    }
}

/// How many messages are there, all of them for this member, and none of a failure.
fn messages_to(name: &str, events: &Subscription, patience: Duration) -> usize {
    let mut arrived = 0;
    loop {
        match events.recv_timeout(patience) {
            Ok(Event::Message { from, payload, .. }) => {
                let expected = format!("{} to {name}", from.unwrap());
                assert_eq!(String::from_utf8_lossy(&payload), expected);
                arrived += 1;
            }
            Ok(event @ (Event::Failed { .. } | Event::Lagged { .. })) => panic!("{event:?}"),
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return arrived,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Messages, reliable messages, pings, datagrams and streams between all pairs.
fn everybody_reaches_everybody(members: &[Cluster]) {
    let heard: Vec<_> = members.iter().map(Cluster::subscribe).collect();
    let datagrams: Vec<_> =
        members.iter().map(|member| member.listen_datagrams("note").unwrap()).collect();
    let streams: Vec<_> = members.iter().map(|member| member.listen("talk").unwrap()).collect();
    for from in members {
        for (index, to) in members.iter().enumerate() {
            let (sender, receiver) = (from.name(), to.name().to_string());
            if sender == to.name() {
                continue;
            }
            from.ping(&receiver, PATIENCE).unwrap();
            from.send(&receiver, "plain").unwrap();
            from.send_reliable(&receiver, "reliable", PATIENCE).unwrap();
            for _ in 0..2 {
                let name = hear("a message", &heard[index], |event| match event {
                    Event::Message { from, .. } => Some(from.clone()),
                    _ => None,
                });
                assert_eq!(name.as_ref(), Some(sender), "at {receiver}");
            }
            from.send_datagram(&receiver, "note", "datagram").unwrap();
            let datagram = datagrams[index].recv_timeout(PATIENCE).unwrap();
            assert_eq!(&datagram.from, sender);
            let opened = from.open_stream(&receiver, "talk", PATIENCE).unwrap();
            assert_eq!(opened.peer(), to.name());
            let incoming = streams[index].recv_timeout(PATIENCE).unwrap();
            assert_eq!(&incoming.from, sender);
            assert_eq!(incoming.stream.peer(), sender);
        }
    }
}

/// Starts the members, which all join the first.
fn start(names: &[&str], identity: impl Fn(&str) -> Identity) -> Vec<Cluster> {
    let mut members: Vec<Cluster> = Vec::new();
    for name in names {
        let seeds: Vec<String> =
            members.first().map(|first| first.address().to_string()).into_iter().collect();
        let builder = Cluster::builder(*name).bind("127.0.0.1:0").identity(identity(name));
        members.push(builder.config(quick()).seeds(seeds).start().unwrap());
    }
    for member in &members {
        eventually("all see all", || alive(member).len() == names.len());
    }
    members
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn now() -> Instant {
    Instant::now()
}

fn dns_names(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    names.join(",") + ",IP:127.0.0.1"
}

//! Members that come back at another address, and addresses that lead to the wrong member, over
//! real sockets.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

mod common;

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{PATIENCE, Participants, eventually, hear};
use swim_quic::{
    Cluster, Config, DialFailure, Event, JoinError, JoinFailureReason, MemberState, PingError,
    StreamFailure, with_sources,
};

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn now() -> Instant {
    Instant::now()
}

fn lists_alive_at(viewer: &Cluster, name: &str, address: SocketAddr) -> bool {
    viewer
        .members()
        .get(name)
        .is_some_and(|member| member.state() == MemberState::Alive && member.address() == address)
}

/// Why the one address that was tried could not be joined.
fn failure(error: JoinError) -> JoinFailureReason {
    let JoinError::NobodyAnswered(failures) = error else { panic!("{error}") };
    failures.into_iter().next().unwrap().reason
}

#[test]
fn a_member_that_crashed_is_back_at_another_address_within_seconds() {
    let participants = Participants::new();
    let mut members = participants.cluster(&["ada", "cyd", "dan", "eve", "bob"]);
    let bob = members.pop().unwrap();
    let old = bob.address();
    let heard: Vec<_> = members.iter().map(Cluster::subscribe).collect();
    drop(bob);
    let returned = now();
    let bob = participants.member("bob").start().unwrap();
    let _receiver = bob.subscribe();
    let joined = bob.join([members[0].address().to_string()], PATIENCE).unwrap();
    assert_eq!(joined.joined, 1);
    assert!(lists_alive_at(&members[0], "bob", bob.address()), "a join ends when it is listed");
    eventually("everybody lists it at its new address", || {
        members.iter().all(|viewer| lists_alive_at(viewer, "bob", bob.address()))
    });
    println!("alive everywhere after {:?}", returned.elapsed());
    for events in &heard {
        hear("it moved", events, |event| match event {
            Event::Moved { member, from } if member.name().as_bytes() == b"bob" => {
                assert_eq!((member.address(), *from), (bob.address(), old));
                Some(())
            }
            Event::Joined(_) | Event::Left(_) | Event::Failed { .. } => panic!("{event:?}"),
            _ => None,
        });
    }
    members[1].send_reliable("bob", b"welcome back", 10 * SECOND).unwrap();
}

#[test]
fn two_members_of_one_name_are_both_told_and_the_older_stays() {
    let participants = Participants::new();
    let members = participants.cluster(&["ada", "bob"]);
    let (ada, bob) = (&members[0], &members[1]);
    let told = bob.subscribe();
    let second = participants.member("bob").start().unwrap();
    let error = second.join([ada.address().to_string()], PATIENCE).unwrap_err();
    let text = with_sources(&error);
    assert!(text.contains(&bob.address().to_string()), "{text}");
    assert!(text.contains(&second.address().to_string()), "{text}");
    hear("the older one is told", &told, |event| match event {
        Event::Conflict { other, .. } => (*other == second.address()).then_some(()),
        _ => None,
    });
    assert!(lists_alive_at(ada, "bob", bob.address()));
    ada.ping("bob", PATIENCE).unwrap();
}

#[test]
fn a_member_that_restarts_at_once_is_reported_and_its_metadata_known_at_once() {
    let participants = Participants::new();
    // Its key makes the peers of the former process believe the resets of the new one.
    let identity = participants.identity("bob");
    let member = |name| {
        let builder = participants.member(name).config(Config::lan());
        if name == "bob" { builder.identity(identity.clone()) } else { builder }
    };
    let mut members = vec![member("ada").start().unwrap()];
    let seed = members[0].address().to_string();
    for name in ["cyd", "bob"] {
        members.push(member(name).start().unwrap());
        members.last().unwrap().join([seed.clone()], PATIENCE).unwrap();
    }
    eventually("all see all", || members.iter().all(|viewer| viewer.members().len() == 3));
    // Only who has heard from the former process can tell that another one is there.
    for viewer in &members[..2] {
        viewer.ping("bob", PATIENCE).unwrap();
    }
    let bob = members.pop().unwrap();
    let address = bob.address().to_string();
    let heard: Vec<_> = members.iter().map(Cluster::subscribe).collect();
    drop(bob);
    let mut bob = None;
    eventually("the port is free again", || {
        let again = member("bob").bind(address.clone()).meta(b"second life");
        bob = again.start().ok();
        bob.is_some()
    });
    let restarted = now();
    for events in &heard {
        hear("it restarted", events, |event| match event {
            Event::Restarted(member) => (member.name().as_bytes() == b"bob").then_some(()),
            Event::Failed { .. } | Event::Left(_) => panic!("{event:?}"),
            _ => None,
        });
    }
    eventually("its metadata is known", || {
        let knows = |viewer: &Cluster| {
            viewer.members().iter().any(|member| member.meta() == b"second life")
        };
        members.iter().all(knows)
    });
    println!("known everywhere after {:?}", restarted.elapsed());
}

/// Passes datagrams on between whoever sends to it and one address.
struct Relay {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Relay {
    fn to(target: SocketAddr) -> Self {
        let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inside = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = outside.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        for socket in [&outside, &inside] {
            socket.set_read_timeout(Some(Duration::from_millis(2))).unwrap();
        }
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut client) = ([0; 65_536], None);
            while !over.load(Ordering::Relaxed) {
                if let Ok((length, from)) = outside.recv_from(&mut buffer) {
                    client = Some(from);
                    let _ = inside.send_to(&buffer[..length], target);
                }
                if let (Ok((length, _)), Some(to)) = (inside.recv_from(&mut buffer), client) {
                    let _ = outside.send_to(&buffer[..length], to);
                }
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn an_address_that_leads_to_ourselves_is_a_failed_join_that_says_so() {
    let ada = Participants::new().member("ada").start().unwrap();
    let relay = Relay::to(ada.address());
    let reason = failure(ada.join([relay.address.to_string()], PATIENCE).unwrap_err());
    let JoinFailureReason::LeadsToOurselves(address) = reason else { panic!("{reason:?}") };
    assert_eq!(address, relay.address);
    assert!(reason.to_string().contains("leads to ourselves"), "{reason}");
}

#[test]
fn a_join_says_at_once_what_this_machine_refuses_to_send() {
    let ada = Participants::new().member("ada").start().unwrap();
    // The kernel refuses broadcasts of sockets that did not ask for them.
    for (address, expected) in [
        ("255.255.255.255:7946", DialFailure::NotPermitted),
        ("[2001:db8::1]:7946", DialFailure::AddressFamily),
    ] {
        let begun = now();
        let reason = failure(ada.join([address], PATIENCE).unwrap_err());
        assert!(
            matches!(
                &reason,
                JoinFailureReason::Unreachable(StreamFailure::NotConnected(found))
                    if *found == expected
            ),
            "{reason}"
        );
        assert!(begun.elapsed() < 2 * SECOND, "it does not wait for an answer");
    }
}

/// In a network namespace of its own this machine has no routes but those that the test gives it;
/// the test runs itself there.
#[test]
fn what_no_route_leads_to_is_said_at_once_to_whoever_joins_or_pings() {
    const INSIDE: &str = "WITHOUT_ROUTES";
    const ROUTES: &str = "ip link set lo up && ip addr add 10.9.0.1/32 dev lo";
    if std::env::var_os(INSIDE).is_some() {
        return inside_without_routes();
    }
    let in_namespace = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "sh", "-c", script]);
        command
    };
    if !in_namespace(ROUTES).status().is_ok_and(|status| status.success()) {
        println!("not tested: no network namespace can be made here");
        return;
    }
    let name = std::thread::current().name().unwrap().to_owned();
    let test = std::env::current_exe().unwrap();
    let script = format!("{ROUTES} && exec {} --exact {name} --nocapture", test.display());
    let status = in_namespace(&script).env(INSIDE, "1").status().unwrap();
    assert!(status.success(), "inside the namespace: {status}");
}

fn inside_without_routes() {
    let participants = Participants::new();
    let anywhere = |name| participants.member(name).bind("0.0.0.0:0");
    let ada = anywhere("ada").advertise("127.0.0.1:0").start().unwrap();
    let bob = anywhere("bob").advertise("10.9.0.0/16").start().unwrap();
    let run = |command: &str| {
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
    };
    run("ip route add unreachable 10.8.0.0/16");
    for (address, expected) in [
        ("10.7.0.1:7946", DialFailure::NetworkUnreachable),
        ("10.8.0.1:7946", DialFailure::HostUnreachable),
    ] {
        let begun = now();
        let reason = failure(ada.join([address], PATIENCE).unwrap_err());
        let expected = StreamFailure::NotConnected(expected);
        assert!(
            matches!(&reason, JoinFailureReason::Unreachable(found) if *found == expected),
            "{reason}"
        );
        assert!(begun.elapsed() < 2 * SECOND, "it does not wait for an answer");
    }
    ada.join([format!("127.0.0.1:{}", bob.address().port())], PATIENCE).unwrap();
    ada.ping("bob", PATIENCE).unwrap();
    // Over the connection that bob may have dialed he can be reached without a route.
    drop(bob);
    ada.disconnect("bob").unwrap();
    run("ip addr del 10.9.0.1/32 dev lo && ip route add unreachable 10.9.0.1/32");
    let mut seen = Vec::new();
    eventually("a ping says that no route leads there", || {
        let Err(PingError::SendFailed(cause)) = ada.ping("bob", PATIENCE) else { return false };
        seen.push(cause);
        cause == StreamFailure::NotConnected(DialFailure::HostUnreachable)
    });
}

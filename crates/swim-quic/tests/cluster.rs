//! Real members in one process, over real sockets: they find each other, change, leave and die.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

mod common;

use std::time::{Duration, Instant};

use common::{PATIENCE, Participants, alive, eventually, hear};
use swim_quic::{
    Cluster, Driver, Event, JoinError, LeaveError, Member, MemberState, SendError, StartError,
};

#[test]
fn three_members_find_each_other_and_see_metadata() {
    let participants = Participants::new();
    let ada = participants.member("ada").meta("role=db").start().unwrap();
    let seed = ada.address().to_string();
    let bob = participants.member("bob").seeds([seed.clone()]).start().unwrap();
    let cyd = participants.member("cyd").seeds([seed]).start().unwrap();
    for member in [&ada, &bob, &cyd] {
        eventually("all see all", || alive(member) == ["ada", "bob", "cyd"]);
    }
    eventually("cyd sees ada's metadata", || {
        view(&cyd, "ada").is_some_and(|ada| ada.meta() == b"role=db")
    });
    let events = bob.subscribe();
    ada.set_meta("role=cache").unwrap();
    let updated = hear("bob hears of ada's change", &events, |event| match event {
        Event::Updated(member) => Some(member.clone()),
        _ => None,
    });
    assert_eq!(updated.meta(), b"role=cache");
    assert_eq!(view(&bob, "ada").unwrap().meta(), b"role=cache", "the snapshot comes first");
}

#[test]
fn a_member_is_named_by_a_text_its_name_or_its_entry() {
    let members = Participants::new().cluster(&["ada", "bob"]);
    let (ada, bob) = (&members[0], &members[1]);
    let (snapshot, events) = (ada.members(), bob.subscribe());
    let entry = snapshot.get(bob.name()).unwrap();
    let text = "bob".to_owned();
    for rtt in [
        ada.ping("bob", PATIENCE),
        ada.ping(&text, PATIENCE),
        ada.ping(bob.name(), PATIENCE),
        ada.ping(entry, PATIENCE),
    ] {
        assert!(rtt.unwrap() < PATIENCE);
    }
    ada.send_reliable(entry, "by its entry", PATIENCE).unwrap();
    hear("the message", &events, |event| matches!(event, Event::Message { .. }).then_some(()));
    assert_eq!(ada.connection(entry).unwrap().unwrap().address, bob.address());
    assert!(matches!(ada.send("", "nobody"), Err(SendError::InvalidName(_))));
    assert!(matches!(ada.send("x".repeat(256), "nobody"), Err(SendError::InvalidName(_))));
}

#[test]
fn a_leave_is_no_failure() {
    let participants = Participants::new();
    let members = participants.cluster(&["ada", "bob", "cyd"]);
    let events = members[0].subscribe();
    let report = members[2].leave(Duration::from_secs(5)).unwrap();
    assert!(report.told >= 1, "{report:?}");
    let name = hear("ada hears that cyd left", &events, |event| match event {
        Event::Left(member) => Some(member.name().to_string()),
        Event::Failed { member, .. } => panic!("{} failed instead", member.name()),
        _ => None,
    });
    assert_eq!(name, "cyd");
    eventually("bob sees it too", || {
        view(&members[1], "cyd").is_none_or(|cyd| cyd.state() == MemberState::Left)
    });
    assert_eq!(view(&members[2], "cyd").unwrap().state(), MemberState::Left);
}

#[test]
fn connections_stay_until_the_leave_has_ended() {
    let mut members = Participants::new().cluster(&["ada", "bob", "carol"]);
    let ada = members.remove(0);
    // Nobody acknowledges the leave, which takes as long as it may: the others have ended, too, and
    // not only their handles.
    let ends: Vec<_> = members.iter().map(Cluster::subscribe).collect();
    drop(members);
    ends.into_iter().for_each(|events| events.into_iter().for_each(drop));
    let begin = now();
    let leaving = std::thread::spawn({
        let ada = ada.clone();
        move || {
            let _ = ada.leave(PATIENCE);
            now()
        }
    });
    let mut last_seen = begin;
    eventually("the connections are closed", || {
        let open = !ada.connections().unwrap().is_empty();
        if open {
            last_seen = now();
        }
        !open && leaving.is_finished()
    });
    let ended = leaving.join().unwrap();
    assert!(ended - begin > Duration::from_millis(400), "the leave was too quick to show it");
    // A second after its end, and not after its beginning.
    let lasted = last_seen.saturating_duration_since(ended);
    assert!(lasted > Duration::from_millis(700), "closed {lasted:?} after the leave");
}

#[test]
fn who_is_dropped_sends_nothing_and_is_found_dead() {
    let participants = Participants::new();
    let mut members = participants.cluster(&["ada", "bob", "cyd"]);
    let events = members[0].subscribe();
    drop(members.pop());
    let (name, after) = hear("cyd is declared dead", &events, |event| match event {
        Event::Failed { member, after, .. } => Some((member.name().to_string(), *after)),
        Event::Left(member) => panic!("{} left", member.name()),
        _ => None,
    });
    assert_eq!(name, "cyd");
    assert!(after > Duration::ZERO);
    assert_eq!(alive(&members[0]), ["ada", "bob"]);
}

#[test]
fn a_member_that_comes_back_at_its_old_address_is_taken_back() {
    let participants = Participants::new();
    let mut members = participants.cluster(&["ada", "bob", "cyd"]);
    let cyd = members.pop().unwrap();
    let (address, seed) = (cyd.address(), members[0].address().to_string());
    drop(cyd);
    for member in &members {
        eventually("cyd is dead", || {
            view(member, "cyd").is_none_or(|cyd| cyd.state() == MemberState::Dead)
        });
    }
    let back = participants.member("cyd").bind(address.to_string()).seeds([seed]).start().unwrap();
    for member in members.iter().chain([&back]) {
        eventually("cyd is back", || alive(member) == ["ada", "bob", "cyd"]);
    }
    assert!(view(&members[0], "cyd").unwrap().incarnation() > 1, "it refuted its own death");
}

#[test]
fn join_says_how_many_and_why_not() {
    let participants = Participants::new();
    let (ada, bob) =
        (participants.member("ada").start().unwrap(), participants.member("bob").start().unwrap());
    let nobody = free_address();
    let report =
        ada.join([bob.address().to_string(), nobody.clone()], Duration::from_secs(4)).unwrap();
    assert_eq!(report.joined, 1);
    assert_eq!(report.failed.len(), 1);
    assert_eq!(report.failed[0].address, nobody);
    eventually("bob sees ada", || alive(&bob) == ["ada", "bob"]);

    let error = ada.join(["no port here:x"], Duration::from_secs(1)).unwrap_err();
    assert!(matches!(&error, JoinError::Address(_)), "{error}");
    let error = ada.join([nobody], Duration::from_millis(300)).unwrap_err();
    assert!(matches!(&error, JoinError::NobodyAnswered(failed) if failed.len() == 1), "{error}");
}

#[test]
fn a_certificate_for_somebody_else_is_refused_at_the_start() {
    let participants = Participants::new();
    let error =
        participants.member("ada").identity(participants.identity("bob")).start().unwrap_err();
    assert!(matches!(&error, StartError::NameNotInCertificate { .. }), "{error}");
    assert!(error.to_string().contains("bob") && error.to_string().contains("ada"), "{error}");
}

#[test]
fn a_taken_port_is_named_with_a_remedy() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let error = participants.member("bob").bind(ada.address().to_string()).start().unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&ada.address().to_string()) && text.contains("port"), "{text}");
}

#[test]
fn many_members_share_one_driver_thread() {
    let participants = Participants::new();
    let driver = Driver::start().unwrap();
    let first = participants.member("m00").driver(&driver).start().unwrap();
    let seed = first.address().to_string();
    let mut members = vec![first];
    for index in 1..12 {
        let name = format!("m{index:02}");
        let member =
            participants.member(&name).driver(&driver).seeds([seed.clone()]).start().unwrap();
        members.push(member);
    }
    for member in &members {
        eventually("all see all", || alive(member).len() == members.len());
    }
}

#[test]
fn metadata_beyond_512_bytes_is_an_error_and_changes_nothing() {
    let participants = Participants::new();
    let ada = participants.member("ada").meta("small").start().unwrap();
    assert!(ada.set_meta(vec![7; 513]).unwrap_err().to_string().contains("512"));
    assert_eq!(view(&ada, "ada").unwrap().meta(), b"small");
    ada.set_meta(vec![7; 512]).unwrap();
    eventually("the new metadata is published", || view(&ada, "ada").unwrap().meta().len() == 512);
}

#[test]
fn messages_arrive_with_their_sender_from_one_byte_to_megabytes() {
    let participants = Participants::new();
    let members = participants.cluster(&["ada", "bob"]);
    let events = members[1].subscribe();
    let heard = |what: &str| {
        hear(what, &events, |event| match event {
            Event::Message { from, reliable, payload, .. } => {
                Some((from.as_ref().unwrap().to_string(), *reliable, payload.clone()))
            }
            _ => None,
        })
    };
    for size in [1, 1_000, 20_000, 60_000] {
        let payload = vec![7; size];
        members[0].send("bob", payload.clone()).unwrap();
        assert_eq!(heard("a best-effort message"), ("ada".into(), false, payload.into()));
    }
    // Beyond a stream's buffer in the transport, and incompressible.
    for size in [1, 20_000, 5_000_000] {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        let payload: Vec<u8> = (0..size).map(|_| noise()).collect();
        members[0].send_reliable("bob", payload.clone(), Duration::from_secs(20)).unwrap();
        assert_eq!(heard("a reliable message"), ("ada".into(), true, payload.into()));
    }
    members[0].broadcast("to all").unwrap();
    assert_eq!(heard("a broadcast").2.as_ref(), b"to all");

    let error = members[0].send("nobody", "hello").unwrap_err();
    assert!(error.to_string().contains("nobody"), "{error}");
    let error = members[0].send("bob", vec![0; 70_000]).unwrap_err();
    assert!(matches!(error, SendError::TooLarge { len: 70_000, .. }), "{error}");
}

#[test]
fn a_closed_cluster_says_so_and_ends_its_subscriptions() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let (events, other) = (ada.subscribe(), ada.clone());
    ada.leave(Duration::from_secs(1)).unwrap();
    ada.close(Duration::from_secs(1));
    assert!(events.iter().all(|event| !matches!(event, Event::Lagged { .. })));
    let error = other.leave(Duration::from_secs(1)).unwrap_err();
    assert!(matches!(error, LeaveError::Command(_)), "{error}");
    let error = other.send("bob", "hello").unwrap_err();
    assert!(matches!(error, SendError::Command(_)), "{error}");
}

#[test]
fn handles_are_shared_between_threads() {
    fn shared<T: Clone + Send + Sync + 'static>(_: &T) {}
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    shared::<Cluster>(&ada);
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let ada = ada.clone();
            std::thread::spawn(move || ada.stats().unwrap().membership.alive)
        })
        .collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 1));
}

/// An address where nobody listens: bound for a moment, then released.
fn free_address() -> String {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().to_string()
}

/// What a cluster holds of one member.
#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn view(cluster: &Cluster, name: &str) -> Option<Member> {
    cluster.members().get(name).cloned()
}

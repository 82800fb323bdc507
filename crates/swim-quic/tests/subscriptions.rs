//! What subscriptions promise: no event of a member is lost to messages, snapshot and events fit
//! together, members from one builder share nothing, and whoever waits hears of the end.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

#[expect(dead_code, reason = "clusters are made one member at a time here")]
mod common;

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use common::{PATIENCE, Participants, alive, eventually, hear};
use swim_quic::{
    Cluster, CommandError, Event, Member, RecvTimeoutError, StopReason, SubscriptionLimits,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn unread_messages_cost_no_membership_event() {
    let participants = Participants::new();
    let mut limits = SubscriptionLimits::default();
    limits.messages = 100;
    let ada = participants.member("ada").subscription_limits(limits).start().unwrap();
    let seed = || [ada.address().to_string()];
    let bob = participants.member("bob").seeds(seed()).start().unwrap();
    let cyd = participants.member("cyd").seeds(seed()).start().unwrap();
    eventually("all see all", || [&ada, &bob, &cyd].iter().all(|all| alive(all).len() == 3));

    let unread = ada.subscribe();
    let reader = ada.subscribe();
    for number in 0..150 {
        // Best effort: sent again until it is heard.
        eventually("the message", || {
            bob.send("ada", number.to_string()).unwrap();
            let heard = reader.recv_timeout(SECOND).is_ok_and(|event| is_message(&event, number));
            heard || reader.try_iter().any(|event| is_message(&event, number))
        });
    }
    drop(cyd);
    hear("cyd's death", &reader, |event| matches!(event, Event::Failed { .. }).then_some(()));
    let mut messages = 0;
    let failed = hear("the death behind the messages", &unread, |event| match event {
        Event::Message { .. } => {
            messages += 1;
            None
        }
        Event::Failed { member, .. } => Some(member.name().to_string()),
        _ => None,
    });
    assert_eq!((failed.as_str(), messages), ("cyd", 100));
    let missed = hear("how many were missed", &unread, |event| match event {
        Event::Lagged { missed, messages } => Some((*missed, *messages)),
        _ => None,
    });
    assert!(missed.0 >= 50 && missed.0 == missed.1, "{missed:?}");
}

fn is_message(event: &Event, number: u32) -> bool {
    let expected = number.to_string();
    matches!(event, Event::Message { payload, .. } if payload.as_ref() == expected.as_bytes())
}

#[test]
fn a_snapshot_and_its_events_leave_no_gap_and_tell_nothing_twice() {
    /// Below the 16,384 events that an unread subscription holds.
    const MOST_CHANGES: u32 = 16_000;
    let ada = Participants::new().member("ada").meta("0").start().unwrap();
    let number =
        |member: &Member| -> u32 { std::str::from_utf8(member.meta()).unwrap().parse().unwrap() };
    let taken = AtomicU32::new(0);
    let (seen, changes) = std::thread::scope(|scope| {
        let changes = scope.spawn(|| {
            let mut change = 0;
            // A busy machine may let the other thread wait for all of the first changes: they go
            // on, slowly, until snapshots were taken between them.
            while change < 300 || taken.load(Ordering::Relaxed) < 5 && change < MOST_CHANGES {
                change += 1;
                ada.set_meta(change.to_string()).unwrap();
                if change > 300 {
                    pause(Duration::from_millis(1));
                }
            }
            change
        });
        let mut seen = Vec::new();
        let mut last = 0;
        while !changes.is_finished() {
            if number(ada.members().get("ada").unwrap()) == last {
                std::thread::yield_now();
                continue;
            }
            let (members, events) = ada.subscribe_with_members();
            last = number(members.get("ada").unwrap());
            seen.push((last, events));
            taken.fetch_add(1, Ordering::Relaxed);
        }
        (seen, changes.join().unwrap())
    });
    assert!(seen.iter().any(|(first, _)| (1..changes).contains(first)), "none in the midst");
    for (snapshot, events) in seen {
        let heard = events.try_iter().filter_map(|event| match event {
            Event::Updated(member) => Some(number(&member)),
            _ => None,
        });
        let expected: Vec<u32> = (snapshot + 1..=changes).collect();
        assert_eq!(heard.collect::<Vec<_>>(), expected, "after {snapshot}");
    }
}

/// Time passes for the members.
#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn who_subscribes_after_the_end_does_not_wait_for_ever() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    assert!(ada.is_running());
    let events = ada.subscribe();
    ada.close(SECOND);
    assert!(matches!(events.iter().last(), Some(Event::Stopped { reason: StopReason::Closed })));
    assert!(!ada.is_running());
    let ended = ada.subscribe().recv_timeout(PATIENCE).unwrap_err();
    assert_eq!(ended, RecvTimeoutError::Disconnected);
    let (members, events) = ada.subscribe_with_members();
    assert_eq!(members.len(), 1, "the last view stays");
    let ended = events.recv_timeout(PATIENCE).unwrap_err();
    assert_eq!(ended, RecvTimeoutError::Disconnected);

    let bob = participants.member("bob").start().unwrap();
    let events = bob.subscribe();
    drop(bob);
    assert!(matches!(events.iter().last(), Some(Event::Stopped { reason: StopReason::Dropped })));
    let builder = participants.member("cyd").bind("no address");
    let events = builder.subscribe();
    builder.start().unwrap_err();
    assert!(matches!(
        events.iter().last(),
        Some(Event::Stopped { reason: StopReason::NotStarted })
    ));
}

#[test]
fn members_from_clones_of_one_builder_are_independent() {
    let builder = Participants::new().member("ada");
    let events = builder.subscribe();
    let second = builder.clone().meta("second").start().unwrap();
    let first = builder.meta("first").start().unwrap();
    let meta = |member: &Cluster| member.members().get("ada").unwrap().meta().to_vec();
    assert_eq!((meta(&first), meta(&second)), (b"first".to_vec(), b"second".to_vec()));
    let address = |member: &Cluster| member.members().get("ada").unwrap().address();
    assert_ne!(address(&first), address(&second));

    second.set_meta("changed").unwrap();
    first.set_meta("last").unwrap();
    let heard = hear("the change of the first", &events, |event| match event {
        Event::Updated(member) => Some(member.meta().to_vec()),
        _ => None,
    });
    assert_eq!(heard, b"last", "a change of the second reached the first one's subscription");
    let of_second = second.subscribe();
    drop(first);
    hear("the end of the first", &events, |event| {
        matches!(event, Event::Stopped { .. }).then_some(())
    });
    assert!(second.is_running());
    second.set_meta("still here").unwrap();
    hear("the second", &of_second, |event| matches!(event, Event::Updated(_)).then_some(()));
}

#[test]
fn one_builder_starts_a_member_again_and_again() {
    let builder = Participants::new().member("ada");
    for round in 0..3 {
        let builder = builder.clone();
        let events = builder.subscribe();
        let ada = builder.start().unwrap();
        assert!(ada.is_running() && ada.stats().is_ok(), "round {round}");
        hear("its own join", &events, |event| matches!(event, Event::Joined(_)).then_some(()));
        let handle = ada.clone();
        handle.close(SECOND);
        assert!(matches!(ada.stats(), Err(CommandError::Closed)), "round {round}");
    }
}

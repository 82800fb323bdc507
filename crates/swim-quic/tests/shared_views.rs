//! Members see whether they share one view, wait for one, and are told of views that stood still.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use swim_quic::testkit::TestCluster;
use swim_quic::{
    Cluster, CommandError, Event, MemberName, StableView, Subscription, View, WaitForError,
};

const SOON: Duration = Duration::from_secs(30);

type Outcome = Result<(), Box<dyn Error>>;

fn agreed(live: usize) -> impl Fn(&View) -> bool {
    move |view| view.live() == live && view.agreement.is_complete()
}

fn names(members: &[swim_quic::Member]) -> Vec<String> {
    members.iter().map(|member| member.name().to_string()).collect()
}

/// The next stable view of this many members, and who joined and failed on the way to it.
fn stable_view(events: &Subscription, members: usize) -> (StableView, [BTreeSet<String>; 2]) {
    let mut on_the_way = [BTreeSet::new(), BTreeSet::new()];
    for event in events {
        let Event::StableView(view) = event else { continue };
        on_the_way[0].extend(names(&view.joined));
        on_the_way[1].extend(names(&view.failed));
        if view.members.len() == members {
            return (*view, on_the_way);
        }
    }
    panic!("the member runs");
}

fn set(names: [&str; 2]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

#[test]
fn both_sides_of_a_partition_agree_among_themselves() -> Outcome {
    let mut cluster = TestCluster::start(["ada", "bob", "cyd", "dan"])?;
    let member = |cluster: &TestCluster, name| cluster.member(name).cloned();
    let (ada, dan) = (member(&cluster, "ada")?, member(&cluster, "dan")?);
    let events = [ada.subscribe(), dan.subscribe()];
    for member in [&ada, &dan] {
        member.wait_for(agreed(4), SOON)?;
    }
    let [(first, _), (other, _)] = [0, 1].map(|side: usize| stable_view(&events[side], 4));
    assert_eq!((first.id, names(&first.members)), (other.id, names(&other.members)));

    cluster.cut(["ada", "bob"], ["cyd", "dan"])?;
    for member in [&ada, &dan] {
        let view = member.wait_for(agreed(2), SOON)?;
        assert_eq!(view.agreement.agreeing.len(), 1, "{view:?}");
    }
    let [(halves, [_, failed]), (others, [_, others_failed])] =
        [0, 1].map(|side: usize| stable_view(&events[side], 2));
    assert_ne!(halves.id, others.id);
    assert_eq!(names(&halves.members), ["ada", "bob"]);
    assert_eq!((failed, others_failed), (set(["cyd", "dan"]), set(["ada", "bob"])));

    cluster.heal();
    for member in [&ada, &dan] {
        member.wait_for(agreed(4), SOON)?;
    }
    let (healed, [joined, failed]) = stable_view(&events[0], 4);
    assert_eq!((healed.id, joined), (first.id, set(["cyd", "dan"])));
    assert!(healed.left.is_empty() && failed.is_empty(), "{healed:?}");
    Ok(())
}

#[test]
fn metadata_that_others_have_yet_to_hear_is_a_difference_and_not_in_the_members() -> Outcome {
    let cluster = TestCluster::start(["ada", "bob"])?;
    let (ada, bob) = (cluster.member("ada")?, cluster.member("bob")?);
    ada.wait_for(agreed(2), SOON)?;
    ada.set_meta("changed")?;
    let differing = ada.agreement()?.differing;
    let told: Vec<(&MemberName, bool)> =
        differing.iter().map(|difference| (&difference.member, difference.in_members)).collect();
    assert_eq!(told, [(bob.name(), false)]);
    ada.wait_for(agreed(2), SOON)?;
    Ok(())
}

#[test]
fn waiting_ends_with_what_is_missing_and_with_the_member() -> Outcome {
    let cluster = TestCluster::start(["ada"])?;
    let ada: Cluster = cluster.member("ada")?.clone();
    let mut looks = 0;
    let late = ada.wait_for(|_| std::mem::replace(&mut looks, 1) > 1, Duration::ZERO);
    assert_eq!((late.unwrap_err(), looks), (WaitForError::TimedOut, 1));
    assert_eq!(ada.wait_for(|view| view.live() == 1, Duration::ZERO)?.live(), 1);
    let never = ada.wait_for(|_| false, Duration::from_millis(100)).unwrap_err();
    assert!(never.to_string().contains("agreement()"), "{never}");

    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ada.wait_for(|_| false, SOON).unwrap_err());
        ada.close(SOON);
        let closed = waiting.join().expect("it does not panic");
        assert_eq!(closed, WaitForError::Command(CommandError::Closed));
    });
    Ok(())
}

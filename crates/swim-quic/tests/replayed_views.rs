//! Whoever replays the events of a subscription holds what the snapshot shows, at any moment.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "nothing is waited for here")]
mod common;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use common::{Participants, quick};
use proptest::prelude::*;
use swim_quic::{Cluster, Event, Member, MemberName, MemberState, Members, Subscription};

/// What happens to the members beside the one that is looked at.
#[derive(Clone, Debug)]
enum Step {
    /// Starts one that does not run.
    Start(usize),
    /// Drops one, which its peers have to find out.
    Crash(usize),
    Leave(usize),
    SetMeta(usize, u8),
    /// The member that is looked at changes its own.
    SetOwnMeta(u8),
    /// A moment to be compared.
    Look,
    Wait(u64),
}

const OTHERS: [&str; 3] = ["bob", "cyd", "dan"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..OTHERS.len()).prop_map(Step::Start),
        2 => (0..OTHERS.len()).prop_map(Step::Crash),
        1 => (0..OTHERS.len()).prop_map(Step::Leave),
        2 => (0..OTHERS.len(), any::<u8>()).prop_map(|(index, meta)| Step::SetMeta(index, meta)),
        1 => any::<u8>().prop_map(Step::SetOwnMeta),
        4 => Just(Step::Look),
        3 => (0..400_u64).prop_map(Step::Wait),
    ]
}

/// What a snapshot shows of a member and what its events tell.
type Shown = (MemberState, SocketAddr, Vec<u8>);

fn shown(member: &Member) -> Shown {
    (member.state(), member.address(), member.meta().to_vec())
}

/// The live members of a snapshot. Others are dropped from it without an event after a while.
fn live(members: &Members) -> BTreeMap<MemberName, Shown> {
    let live = members.iter().filter(|member| member.state().is_live());
    live.map(|member| (member.name().clone(), shown(member))).collect()
}

/// A view that is made of events alone.
#[derive(Default)]
struct Replayed(BTreeMap<MemberName, Shown>);

impl Replayed {
    #[expect(clippy::wildcard_enum_match_arm, reason = "others change no member")]
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Joined(member)
            | Event::Restarted(member)
            | Event::Moved { member, .. }
            | Event::Updated(member)
            | Event::Suspected { member, .. }
            | Event::Cleared { member, .. } => {
                self.0.insert(member.name().clone(), shown(member));
            }
            Event::Left(member) | Event::Failed { member, .. } => {
                self.0.remove(member.name());
            }
            Event::StableView(view) => {
                let told: Vec<_> = view.members.iter().map(Member::name).collect();
                assert_eq!(told, self.0.keys().collect::<Vec<_>>(), "{event:?}");
            }
            Event::Lagged { missed, .. } => panic!("{missed} events were missed"),
            _ => {}
        }
    }
}

/// Runs the steps; returns the views of the moments that were looked at, each with what was heard
/// from then on.
fn run(participants: &Participants, ada: &Cluster, steps: &[Step]) -> Vec<(Members, Subscription)> {
    let mut others: [Option<Cluster>; OTHERS.len()] = Default::default();
    let mut looks = vec![ada.subscribe_with_members()];
    for step in steps {
        match step {
            Step::Start(index) => {
                others[*index].get_or_insert_with(|| {
                    let seeds = [ada.address().to_string()];
                    participants.member(OTHERS[*index]).seeds(seeds).start().unwrap()
                });
            }
            Step::Crash(index) => others[*index] = None,
            Step::Leave(index) => {
                if let Some(member) = others[*index].take() {
                    // With others crashed it may be told to nobody.
                    let _ = member.shutdown(Duration::from_millis(200));
                }
            }
            Step::SetMeta(index, meta) => {
                if let Some(member) = &others[*index] {
                    member.set_meta([*meta]).unwrap();
                }
            }
            Step::SetOwnMeta(meta) => ada.set_meta([*meta]).unwrap(),
            Step::Look => looks.push(ada.subscribe_with_members()),
            Step::Wait(milliseconds) => pause(Duration::from_millis(*milliseconds)),
        }
    }
    looks.push(ada.subscribe_with_members());
    looks
}

proptest! {
    // Neither shrunk nor kept: real members take their own time, so that it would be another run.
    #![proptest_config(ProptestConfig {
        cases: 8,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..Default::default()
    })]
    #[test]
    fn a_replayed_view_is_the_snapshot(steps in prop::collection::vec(step(), 10..30)) {
        let participants = Participants::new();
        let mut config = quick();
        config.stable_view_age = Duration::from_secs(1);
        let builder = participants.member("ada").config(config);
        let events = builder.subscribe();
        let ada = builder.start().unwrap();
        let looks = run(&participants, &ada, &steps);
        ada.close(Duration::from_millis(100));
        let all: Vec<Event> = events.into_iter().collect();
        let ended = matches!(all.last(), Some(Event::Stopped { .. }));
        prop_assert!(ended);
        for (members, events) in looks {
            // What this subscription did not hear had been heard when it was made.
            let before = all.len() - events.into_iter().count();
            let mut replayed = Replayed::default();
            all[..before].iter().for_each(|event| replayed.apply(event));
            prop_assert_eq!(replayed.0, live(&members), "after {:?}", &all[..before]);
        }
    }
}

/// Time passes for the members.
#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

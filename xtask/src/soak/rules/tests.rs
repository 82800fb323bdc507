//! For each rule, one violation that it must report and one look-alike that it must not.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::fleet::event::{Resources, Row, SeenState};
use crate::soak::timeline::{Command, View};

mod resources;
mod service;

const OURS: Participants = Participants { members: 4, go: 0 };
const WITH_GO: Participants = Participants { members: 4, go: 1 };

/// A made-up soak of four members that have formed after one second.
struct Story {
    participants: Participants,
    timeline: Timeline,
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn row(state: SeenState, incarnation: u64, member: usize) -> Row {
    let meta = format!("m{member}");
    let state = if state == Failed { "dead".to_owned() } else { state.to_string() };
    serde_json::from_value(serde_json::json!({
        "node": "", "addr": "", "state": state, "incarnation": incarnation, "meta": meta,
    }))
    .unwrap()
}

impl Story {
    fn of(participants: Participants) -> Self {
        let mut story = Self { participants, timeline: Timeline::default() };
        for member in participants.all() {
            story = story.at(0.0, member, What::Started(format!("m{member}"))).at(
                0.1,
                member,
                What::Ready,
            );
        }
        for observer in participants.all() {
            for about in participants.all().filter(|about| *about != observer) {
                story = story.sees(0.2, observer, about, Alive, None);
            }
        }
        story.at(1.0, 0, What::Formed)
    }

    fn at(mut self, at: f64, member: usize, what: What) -> Self {
        self.timeline.push(seconds(at), member, what);
        self
    }

    fn dies(self, at: f64, member: usize) -> Self {
        self.at(at, member, What::Killed).at(at, member, What::Exited(None))
    }

    fn sees(
        self,
        at: f64,
        observer: usize,
        about: usize,
        state: SeenState,
        by: Option<usize>,
    ) -> Self {
        let joined = state == Alive;
        self.at(at, observer, What::Sees(View { about, state, joined, by, incarnation: None }))
    }

    /// The observer lists all others alive at incarnation 1, but for one.
    fn lists(
        self,
        at: f64,
        observer: usize,
        but: usize,
        state: SeenState,
        incarnation: u64,
    ) -> Self {
        let others = self.participants.all();
        let rows: BTreeMap<usize, Row> = others
            .map(|member| {
                let other = row(Alive, 1, member);
                (member, if member == but { row(state, incarnation, member) } else { other })
            })
            .collect();
        self.at(at, observer, What::Asked(Command::Members)).at(
            at + 0.01,
            observer,
            What::Listed(Rc::new(rows)),
        )
    }

    fn sends(self, at: f64, from: usize, to: usize, number: u32, reliable: bool) -> Self {
        let command = Command::Send { number, reliable, to: Some(to) };
        self.at(at, from, What::Asked(command)).at(at + 0.01, from, What::Replied(Ok(None)))
    }

    fn gets(self, at: f64, to: usize, from: usize, number: u32, reliable: bool) -> Self {
        let received = Ok(number);
        self.at(at, to, What::Message { from: Some(from), reliable, received })
    }

    /// It is told its new metadata, and answers.
    fn given_metadata(self, at: f64, answered: f64, member: usize) -> Self {
        self.at(at, member, What::Asked(Command::Meta("new".to_owned()))).at(
            answered,
            member,
            What::Replied(Ok(None)),
        )
    }

    fn ends(self, at: f64) -> Self {
        self.at(at, 0, What::Warned { what: String::new(), detail: String::new() })
    }

    /// What is reported under each rule, the made-up end aside.
    fn reports(&self) -> Vec<(Rule, String)> {
        let verdict = judge(self.participants, &self.timeline, false);
        let reported = verdict.violations.into_iter().map(|one| (one.rule, one.what));
        reported.filter(|(_, what)| !what.starts_with("warned of :")).collect()
    }

    fn is_fine(&self) {
        assert_eq!(self.reports(), []);
    }

    fn breaks(&self, rule: Rule, words: &str) {
        let reports = self.reports();
        let found = reports.iter().any(|(broken, what)| *broken == rule && what.contains(words));
        assert!(found, "{words:?} is not among {reports:?}");
    }
}

use SeenState::{Alive, Failed, Left, Suspect};

#[test]
fn a_death_of_one_who_lives_is_reported_and_that_of_one_killed_is_not() {
    let dies = |story: Story| {
        story.sees(60.0, 0, 1, Suspect, Some(0)).sees(64.5, 0, 1, Failed, Some(0)).ends(65.0)
    };
    dies(Story::of(OURS))
        .breaks(Rule::Safety, "declares n2 failed (suspected by n1), which is well");
    dies(Story::of(OURS).dies(58.0, 1)).is_fine();
    let brief = Story::of(OURS).at(58.0, 1, What::Frozen).at(59.5, 1, What::Thawed);
    dies(brief).breaks(Rule::Safety, "declares n2 failed");
    let observer_slept = Story::of(OURS).at(50.0, 0, What::Frozen).at(58.0, 0, What::Thawed);
    dies(observer_slept).is_fine();
}

#[test]
fn a_death_without_a_suspicion_is_reported() {
    let killed = || Story::of(OURS).dies(58.0, 1);
    let story = killed().sees(59.0, 0, 1, Failed, Some(0));
    story.breaks(Rule::Safety, "without having suspected it");
    // The suspicion of another had begun earlier.
    killed().sees(59.0, 0, 1, Suspect, Some(0)).sees(60.0, 0, 1, Failed, Some(0)).is_fine();
    // Told by somebody else.
    killed().sees(59.0, 0, 1, Failed, Some(2)).is_fine();
}

#[test]
fn a_deaf_go_member_is_an_exception_only_with_its_report_and_up_to_a_ceiling() {
    let go = 3;
    let dies = |story: Story, at: f64| {
        story.sees(at, 0, go, Suspect, Some(1)).sees(at + 4.5, 0, go, Failed, Some(1))
    };
    let deaf = What::Deaf(Duration::from_secs(5));
    dies(Story::of(WITH_GO), 60.0).ends(80.0).breaks(Rule::Safety, "declares g1 failed");
    dies(Story::of(WITH_GO).at(59.0, go, deaf.clone()), 60.0).is_fine();
    let long_ago = Story::of(WITH_GO).at(30.0, go, deaf.clone());
    dies(long_ago, 60.0).ends(80.0).breaks(Rule::Safety, "declares g1 failed");
    let mut story = Story::of(WITH_GO).at(59.0, go, deaf);
    for time in 0..12 {
        let at = 60.0 + f64::from(time) * 0.3;
        story = story.sees(at, 0, go, Left, None).sees(at + 0.1, 0, go, Alive, None);
    }
    story.ends(80.0).breaks(Rule::Safety, "12 exceptions because a Go member was deaf; at most 4");
}

#[test]
fn a_second_suspicion_of_the_well_is_reported_and_one_or_an_echo_is_not() {
    let once = || {
        let story = Story::of(OURS).sees(60.0, 0, 1, Suspect, Some(2));
        story.sees(60.1, 3, 1, Suspect, Some(2)).at(60.5, 0, alive(1)).at(60.5, 3, alive(1))
    };
    once().ends(61.0).is_fine();
    once().sees(120.0, 3, 1, Suspect, Some(0)).breaks(Rule::Safety, "was suspected at 60.0 s");
    let stalled = once().at(119.9, 0, What::Stalled(seconds(119.0)));
    stalled.sees(120.0, 3, 1, Suspect, Some(0)).is_fine();
}

fn alive(about: usize) -> What {
    let view = View { about, state: Alive, joined: false, by: None, incarnation: None };
    What::Sees(view)
}

#[test]
fn a_state_that_was_left_does_not_return() {
    let dead = || {
        let story = Story::of(OURS).dies(58.0, 1);
        story.sees(59.0, 0, 1, Suspect, Some(0)).sees(63.5, 0, 1, Failed, Some(0))
    };
    dead().sees(64.0, 0, 1, Failed, Some(2)).breaks(Rule::Safety, "declares n2 failed twice");
    dead().at(64.0, 0, alive(1)).breaks(Rule::Safety, "alive without a return");
    dead().sees(64.0, 0, 1, Alive, None).sees(64.2, 0, 1, Suspect, Some(2)).is_fine();
}

#[test]
fn life_comes_back_with_a_higher_incarnation_only() {
    let suspected = || {
        let story = Story::of(OURS).lists(60.0, 0, 1, Alive, 4);
        story.sees(61.0, 0, 1, Suspect, Some(0)).lists(62.5, 0, 1, Suspect, 4).at(63.0, 0, alive(1))
    };
    suspected().lists(64.5, 0, 1, Alive, 5).is_fine();
    suspected()
        .lists(64.5, 0, 1, Alive, 4)
        .breaks(Rule::Safety, "alive at incarnation 4, after suspect");
    suspected().lists(64.5, 0, 1, Alive, 3).breaks(Rule::Safety, "alive at incarnation 3");
}

/// A refutation may follow so soon that no list shows what was before.
#[test]
fn life_comes_back_with_a_higher_incarnation_only_in_what_is_told() {
    let told = |at, state, incarnation| {
        let view = View { about: 1, state, joined: true, by: None, incarnation };
        move |story: Story| story.at(at, 0, What::Sees(view))
    };
    let dead = || told(63.5, Failed, Some(4))(Story::of(OURS).dies(58.0, 1));
    told(64.0, Alive, Some(5))(dead()).is_fine();
    told(64.0, Alive, None)(dead()).is_fine();
    told(64.0, Alive, Some(4))(dead())
        .breaks(Rule::Safety, "alive at incarnation 4, after failed at 4");
    told(64.0, Alive, Some(3))(dead()).breaks(Rule::Safety, "alive at incarnation 3");
    // By now it may be forgotten.
    told(58.0 + 31.0, Alive, Some(1))(dead()).is_fine();
}

#[test]
fn the_gone_are_not_listed_for_longer_than_their_bound() {
    let killed = || Story::of(OURS).dies(60.0, 1);
    killed().lists(90.0, 0, 1, Alive, 1).ends(91.0).is_fine();
    killed().lists(95.0, 0, 1, Alive, 1).breaks(Rule::Safety, "has been gone for 35.0 s");
}

#[test]
fn a_list_that_differs_from_the_events_is_reported_and_a_fresh_event_is_not() {
    let story = Story::of(OURS).sees(60.0, 0, 1, Suspect, Some(0)).lists(60.5, 0, 1, Alive, 1);
    story.is_fine();
    let story = Story::of(OURS).sees(60.0, 0, 1, Suspect, Some(0)).lists(65.0, 0, 1, Alive, 1);
    story.breaks(Rule::Agreement, "lists n2 alive, and its events say suspect");
}

#[test]
fn old_metadata_is_reported_once_an_exchange_of_states_was_due() {
    let given = || {
        [0, 2, 3].into_iter().fold(
            Story::of(OURS).given_metadata(60.0, 60.01, 1),
            |story, observer| {
                let heard = What::Updated { about: 1, meta: "new".to_owned() };
                story.at(60.1, observer, heard)
            },
        )
    };
    given().lists(90.0, 0, 1, Alive, 1).is_fine();
    given().lists(95.0, 0, 1, Alive, 1).breaks(Rule::Agreement, "lists n2 with m1, which has new");
}

#[test]
fn new_metadata_is_heard_in_time_after_the_member_has_carried_out_the_command() {
    // The command waits for a message to a member that died.
    let waits = |heard: f64| {
        let lost = Command::Send { number: 1, reliable: true, to: Some(3) };
        let story = Story::of(OURS).dies(55.0, 3).at(56.0, 1, What::Asked(lost));
        let story = story.at(58.0, 1, What::Asked(Command::Meta("new".to_owned())));
        let story = story.at(66.0, 1, What::Replied(Err("no answer".to_owned())));
        let story = story.at(66.0, 1, What::Replied(Ok(None)));
        let heard = [0, 2].into_iter().fold(story, |story, observer| {
            let what = What::Updated { about: 1, meta: "new".to_owned() };
            story.at(heard, observer, what)
        });
        heard.ends(80.0)
    };
    waits(66.2).is_fine();
    waits(75.0).breaks(Rule::Agreement, "2 of 2 updates of metadata heard: late or missing");
}

#[test]
fn statistics_allow_one_miss_and_no_slow_median() {
    let left = |heard: &[f64]| {
        let mut story =
            Story::of(OURS).at(60.0, 3, What::ToldToLeave).at(60.1, 3, What::Exited(Some(0)));
        for (observer, took) in heard.iter().enumerate() {
            story = story.sees(60.0 + took, observer, 3, Left, None);
        }
        story.ends(70.0)
    };
    left(&[0.01, 0.01, 0.02]).is_fine();
    left(&[0.01, 0.02]).is_fine();
    left(&[0.01]).breaks(Rule::Safety, "2 of 3 departures heard: late or missing; at most 1");
    left(&[1.9, 1.95, 1.97]).breaks(Rule::Safety, "the median of 3 departures heard");
}

#[test]
fn every_error_and_every_warning_is_reported() {
    let said = |said| Story::of(OURS).at(60.0, 0, said);
    said(What::LoggedError("ERROR x".to_owned())).breaks(Rule::Logs, "logged a bug");
    let (what, detail) = ("malformed".to_owned(), "a packet".to_owned());
    said(What::Warned { what, detail }).breaks(Rule::Logs, "warned of malformed");
    let blocked = || {
        let detail = "127.0.0.1:1: g1 answers streams but no packets".to_owned();
        What::Warned { what: "packets blocked".to_owned(), detail }
    };
    let story = || Story::of(WITH_GO).at(60.0, 0, blocked());
    story().at(63.0, 3, What::Deaf(Duration::from_secs(5))).ends(80.0).is_fine();
    story().ends(80.0).breaks(Rule::Logs, "warned of packets blocked");
}

#[test]
fn a_soak_in_which_nothing_was_judged_does_not_pass() {
    let verdict = judge(OURS, &Timeline::default(), true);
    assert!(verdict.violations.iter().any(|one| one.what.contains("no lists judged")));
}

//! For each rule, one violation that it must report and one look-alike that it must not.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use crate::fleet::event::{Resources, Row, SeenState};
use crate::soak::timeline::{Command, View};

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
fn reliable_messages_arrive_once_in_order_and_whole() {
    let sent = || Story::of(OURS).sends(60.0, 0, 1, 1, true).sends(60.1, 0, 1, 2, true);
    sent().gets(60.2, 1, 0, 1, true).gets(60.3, 1, 0, 2, true).ends(70.0).is_fine();
    let swapped = sent().gets(60.2, 1, 0, 2, true).gets(60.3, 1, 0, 1, true).ends(70.0);
    swapped.breaks(Rule::Service, "got reliable message 1 of n1 after 2");
    let twice = sent().gets(60.2, 1, 0, 1, true).gets(60.3, 1, 0, 1, true);
    twice.breaks(Rule::Service, "got message 1 twice");
    sent()
        .gets(60.2, 1, 0, 1, true)
        .ends(70.0)
        .breaks(Rule::Service, "never got the reliable message 2");
    sent().gets(60.2, 2, 0, 1, true).breaks(Rule::Service, "that was not for it");
    let cut = Err(("soak".to_owned(), "its length is wrong"));
    let cut = What::Message { from: Some(0), reliable: true, received: cut };
    sent().at(60.2, 1, cut).breaks(Rule::Service, "damaged message (its length is wrong)");
}

#[test]
fn a_best_effort_message_is_missed_between_members_that_are_well_only() {
    let sent = |story: Story| story.sends(60.0, 0, 1, 1, false).ends(70.0);
    sent(Story::of(OURS)).breaks(Rule::Service, "never got the best-effort message 1 of n1");
    sent(Story::of(OURS).at(50.0, 1, What::Frozen).at(59.0, 1, What::Thawed)).is_fine();
}

#[test]
fn a_command_is_answered_and_what_is_asked_of_the_well_is_not_refused() {
    let asked = || Story::of(OURS).at(60.0, 0, What::Asked(Command::Ping { to: 1 }));
    asked().ends(70.0).is_fine();
    asked().ends(80.0).breaks(Rule::Service, "has not answered in time");
    let refused = What::Replied(Err("timed out".to_owned()));
    asked().at(61.0, 0, refused.clone()).breaks(Rule::Service, "refused a ping to n2: timed out");
    let killed = asked().dies(60.5, 1);
    killed.at(61.0, 0, refused).is_fine();
    let stream = Command::Stream { to: 1, text: "hello".to_owned() };
    let echoed = What::Replied(Ok(Some("hell".to_owned())));
    let story = Story::of(OURS).at(60.0, 0, What::Asked(stream)).at(60.1, 0, echoed);
    story.breaks(Rule::Service, "n2 echoed 4 bytes of 5");
}

/// Three minutes of one process, a sample every four seconds.
fn life(use_at: impl Fn(u64) -> Resources) -> Story {
    life_in(Story::of(OURS), use_at)
}

fn life_in(mut story: Story, use_at: impl Fn(u64) -> Resources) -> Story {
    for sample in 0..45 {
        let at = 2.0 + 4.0 * f64::from(u32::try_from(sample).unwrap());
        let uses = What::Uses(use_at(sample));
        story = story.at(at, 0, What::Asked(Command::Stats)).at(at + 0.01, 0, uses);
    }
    story.dies(185.0, 0)
}

fn idle(sample: u64) -> Resources {
    Resources {
        rss_bytes: 10_000 * 1024 + (sample * 7919) % 97 * 1024,
        descriptors: 8,
        threads: 6,
        cpu_ms: sample * 5,
        connections: 3,
        dialed: 3,
        dials_failed: 0,
        resets_sent: 0,
        accepted: 3,
        confirmed: 6,
    }
}

#[test]
fn what_is_used_stays_flat_and_below_its_ceiling() {
    life(idle).is_fine();
    let leak = life(|n| Resources { rss_bytes: idle(n).rss_bytes + n * 40 * 1024, ..idle(n) });
    leak.breaks(Rule::Resources, "KiB of memory in");
    let burst =
        |n| Resources { rss_bytes: idle(n).rss_bytes + (n % 15) / 14 * 9_000_000, ..idle(n) };
    life(burst).is_fine();
    life(|n| Resources { descriptors: 8 + n / 6, ..idle(n) })
        .breaks(Rule::Resources, "descriptors in");
    life(|n| Resources { threads: 40, ..idle(n) }).breaks(Rule::Resources, "has 40 threads");
    life(|n| Resources { cpu_ms: n * 4000, ..idle(n) })
        .breaks(Rule::Resources, "100.0 % of a core");
    life(|n| Resources { confirmed: n, ..idle(n) })
        .breaks(Rule::Resources, "handshakes; at most 9");
    let second = |n| Resources { connections: 3 + u64::from(n > 5), ..idle(n) };
    life(second).breaks(Rule::Resources, "holds 4 connections to 3 peers");
    life(|n| Resources { connections: 3 + n % 8 / 7, ..idle(n) }).is_fine();
}

/// While a member is frozen its peers dial it again and again, and all that arrives at once.
#[test]
fn an_absence_explains_memory_by_the_handshakes_that_waited_for_its_end() {
    let absences = [(75.0, 90.0), (115.0, 130.0)];
    let story = |is_absent: bool| {
        let absences = absences.into_iter().filter(|_| is_absent);
        absences.fold(Story::of(OURS), |story, (from, back)| {
            let story = story.at(from, 0, What::Frozen).at(back, 0, What::Thawed);
            (1..4).fold(story, |story, other| {
                let story = story.sees(from + 5.0, other, 0, Suspect, Some(1));
                let story = story.sees(from + 10.0, other, 0, Failed, Some(1));
                story.sees(back + 0.5, other, 0, Alive, None)
            })
        })
    };
    let leaks = |story: Story, handshakes_each: u64| {
        let grown = |n: u64| {
            let steps = absences.iter().filter(|(_, back)| *back < 2.0 + 4.0 * n as f64).count();
            let steps = u64::try_from(steps).unwrap();
            let rss_bytes = idle(n).rss_bytes + steps * 1200 * 1024;
            Resources { rss_bytes, accepted: 3 + steps * handshakes_each, ..idle(n) }
        };
        let mut story = life_in(story, grown);
        story.timeline.entries.sort_by_key(|entry| entry.at);
        story.reports().iter().any(|(_, what)| what.contains("KiB of memory in"))
    };
    assert!(!leaks(story(true), 45));
    assert!(leaks(story(true), 5), "few handshakes explain little");
    assert!(leaks(story(false), 45), "without an absence nothing is explained");
}

#[test]
fn a_second_connection_is_explained_by_a_go_peer_only() {
    let held = |connections| move |n| Resources { connections, ..idle(n) };
    life_in(Story::of(WITH_GO), held(4)).is_fine();
    life_in(Story::of(WITH_GO), held(5)).breaks(Rule::Resources, "holds 5 connections to 4");
    life(held(4)).breaks(Rule::Resources, "holds 4 connections to 3");
}

#[test]
fn a_process_that_is_back_soon_ends_the_connections_of_the_one_before() {
    let back = |resets_sent| {
        let story = Story::of(OURS).dies(60.0, 1);
        let story = story.at(62.0, 1, What::Started("m1".to_owned())).at(62.1, 1, What::Ready);
        let uses = What::Uses(Resources { resets_sent, ..idle(1) });
        let heard = (0..4).filter(|other| *other != 1).fold(story, |story, other| {
            let meta = "m1".to_owned();
            story.at(62.2, other, What::Updated { about: 1, meta })
        });
        heard.at(80.0, 1, What::Asked(Command::Stats)).at(80.1, 1, uses)
    };
    back(0).breaks(Rule::Service, "has sent no reset");
    back(2).is_fine();
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

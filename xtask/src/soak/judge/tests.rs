//! What the judge must notice, and what it must not take for it.

use super::*;
use crate::soak::soak_event::Reply;

const CAST: Participants = Participants { members: 4, go: 0 };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn view(about: usize, state: State, meta: Option<&str>) -> Event {
    Event::View { about: CAST.name(about), state, meta: meta.map(str::to_owned), by: None }
}

fn meta(node: usize) -> String {
    format!("{}-v1", CAST.name(node))
}

/// What a list must say of this member while all is well.
fn row(subject: usize) -> Row {
    Row { name: CAST.name(subject), state: State::Alive, incarnation: 1, meta: meta(subject) }
}

fn rows() -> Vec<Row> {
    CAST.everybody().map(row).collect()
}

/// Four members that have seen each other join and have been well for long at second 100.
fn gathered() -> Judge {
    let mut judge = Judge::new(CAST);
    for node in CAST.everybody() {
        judge.started(node, meta(node), Duration::ZERO);
        judge.heard(node, &Event::Ready("127.0.0.1:1".parse().unwrap()), seconds(1));
    }
    for node in CAST.everybody() {
        for other in CAST.everybody().filter(|other| *other != node) {
            judge.heard(node, &view(other, State::Alive, Some(&meta(other))), seconds(2));
        }
        list(&mut judge, node, rows(), 100);
    }
    judge.gathered(seconds(100));
    assert_eq!(broken(&mut judge), [""; 0]);
    judge
}

fn list(judge: &mut Judge, node: usize, members: Vec<Row>, at: u64) {
    judge.asked(node, "members", seconds(at));
    let reply = Reply { command: "members".into(), members, ..Reply::default() };
    judge.heard(node, &Event::Reply(reply), seconds(at));
}

fn broken(judge: &mut Judge) -> Vec<String> {
    std::iter::from_fn(|| judge.poll_broken()).map(|broken| broken.what).collect()
}

/// The one thing that broke.
fn broke(judge: &mut Judge) -> String {
    let broken = broken(judge);
    assert_eq!(broken.len(), 1, "{broken:?}");
    broken.into_iter().next().unwrap_or_default()
}

#[test]
fn a_quiet_cluster_agrees() {
    let mut judge = gathered();
    judge.tick(seconds(100));
    assert_eq!(judge.disagreement(), None);
    let coverage = judge.coverage();
    assert_eq!(coverage.replies, 4);
    assert_eq!(broken(&mut judge), [""; 0]);
}

#[test]
fn a_false_death_is_noticed_and_a_cleared_suspicion_is_not_one() {
    let mut judge = gathered();
    judge.heard(0, &view(1, State::Suspect, None), seconds(101));
    judge.heard(0, &view(1, State::Alive, None), seconds(102));
    assert_eq!(broken(&mut judge), [""; 0]);
    assert_eq!(judge.coverage().suspicions, 1);
    judge.heard(0, &view(1, State::Failed, None), seconds(103));
    assert!(broke(&mut judge).starts_with("says that n2 is failed"));
}

#[test]
fn a_crash_that_nobody_notices_is_noticed() {
    let mut judge = gathered();
    judge.killed(1, seconds(110));
    judge.exited(1, None, seconds(110));
    list(&mut judge, 0, rows(), 120);
    assert_eq!(broken(&mut judge), [""; 0], "too early to tell");
    list(&mut judge, 0, rows(), 160);
    assert!(broke(&mut judge).contains("must be seen dead"));
    judge.heard(2, &view(1, State::Failed, None), seconds(118));
    let mut dead = rows();
    dead[1].state = State::Failed;
    list(&mut judge, 2, dead, 160);
    assert_eq!(broken(&mut judge), [""; 0]);
    let deaths = &judge.timings().figures()[&ChangeKind::Death];
    assert_eq!(deaths.times, [seconds(8)]);
}

#[test]
fn an_end_that_nobody_asked_for_is_noticed() {
    let mut judge = gathered();
    judge.exited(1, Some(101), seconds(110));
    assert_eq!(broke(&mut judge), "ended with exit code 101, unasked");
    judge.left(2, seconds(110));
    judge.exited(2, Some(0), seconds(111));
    judge.killed(3, seconds(112));
    judge.exited(3, None, seconds(112));
    assert_eq!(broken(&mut judge), [""; 0]);
}

#[test]
fn who_leaves_must_answer_and_end_well() {
    let mut judge = gathered();
    judge.asked(2, "leave", seconds(110));
    judge.left(2, seconds(110));
    judge.exited(2, Some(1), seconds(111));
    assert_eq!(broken(&mut judge).len(), 2);
}

#[test]
fn a_command_without_a_reply_is_noticed_unless_its_process_sleeps() {
    let mut judge = gathered();
    judge.asked(0, "members", seconds(110));
    judge.asked(1, "members", seconds(110));
    judge.froze(1, seconds(110));
    judge.tick(seconds(117));
    assert_eq!(broken(&mut judge), [""; 0]);
    judge.tick(seconds(119));
    assert!(broke(&mut judge).starts_with("has not answered \"members\""));
    judge.thawed(1, seconds(120));
    judge.tick(seconds(121));
    assert_eq!(broken(&mut judge), [""; 0]);
}

#[test]
fn a_refusal_is_noticed_unless_the_receiver_is_in_trouble() {
    let mut judge = gathered();
    let refused = |command: &str| {
        let error = Some("no such member".to_owned());
        Event::Reply(Reply { command: command.into(), error, ..Reply::default() })
    };
    judge.sends(Kind::Reliable, 0, Some(1), 10, seconds(110));
    judge.heard(0, &refused("sendr"), seconds(111));
    assert!(broke(&mut judge).contains("no such member"));
    judge.killed(1, seconds(112));
    judge.sends(Kind::Reliable, 0, Some(1), 10, seconds(113));
    judge.heard(0, &refused("sendr"), seconds(114));
    assert_eq!(broken(&mut judge), [""; 0]);
    judge.asked(0, "meta", seconds(115));
    judge.heard(0, &refused("meta"), seconds(115));
    assert_eq!(broken(&mut judge).len(), 1);
}

#[test]
fn a_lost_reliable_message_is_noticed() {
    let mut judge = gathered();
    let command = judge.sends(Kind::Reliable, 0, Some(1), 3, seconds(110));
    assert_eq!(command, "sendr n2 soak 1 xxxx");
    judge.tick(seconds(114));
    assert_eq!(broken(&mut judge), [""; 0]);
    judge.heard(
        0,
        &Event::Reply(Reply { command: "sendr".into(), ..Reply::default() }),
        seconds(114),
    );
    judge.tick(seconds(116));
    assert_eq!(broken(&mut judge), [""; 0], "it was carried out at 114 only");
    judge.tick(seconds(119));
    assert!(broke(&mut judge).contains("never got"));
}

#[test]
fn lists_and_events_that_differ_for_long_are_noticed() {
    let mut judge = gathered();
    judge.killed(1, seconds(110));
    let mut dead = rows();
    dead[1].state = State::Failed;
    for at in [112, 114] {
        list(&mut judge, 0, dead.clone(), at);
    }
    assert_eq!(broken(&mut judge), [""; 0], "the event may be on its way");
    list(&mut judge, 0, dead, 116);
    assert_eq!(broke(&mut judge), "lists n2 as failed while its last event said alive");
}

#[test]
fn an_incarnation_that_falls_is_noticed_and_that_of_a_newcomer_is_none() {
    let mut judge = gathered();
    let mut higher = rows();
    higher[1].incarnation = 3;
    list(&mut judge, 0, higher.clone(), 110);
    list(&mut judge, 0, rows(), 112);
    assert!(broke(&mut judge).contains("fall from 3 to 1"));
    higher[1].state = State::Failed;
    judge.froze(1, seconds(113));
    list(&mut judge, 0, higher, 114);
    list(&mut judge, 0, rows(), 116);
    assert_eq!(broken(&mut judge), [""; 0]);
}

#[test]
fn who_was_given_up_between_two_lists_begins_anew() {
    let mut judge = gathered();
    let mut higher = rows();
    higher[1].incarnation = 3;
    list(&mut judge, 0, higher, 110);
    judge.froze(1, seconds(111));
    judge.heard(0, &view(1, State::Failed, None), seconds(118));
    judge.heard(0, &view(1, State::Alive, Some(&meta(1))), seconds(119));
    list(&mut judge, 0, rows(), 120);
    assert_eq!(broken(&mut judge), [""; 0]);
}

#[test]
fn a_deaf_go_member_is_excused_while_somebody_is_silent_and_one_of_ours_is_not() {
    for (go, somebody_is_silent, excused) in [(1, true, true), (1, false, false), (0, true, false)]
    {
        let mut judge = gathered();
        judge.participants.go = go;
        if somebody_is_silent {
            judge.killed(1, seconds(110));
        }
        let about = judge.participants.name(3);
        let event = Event::View { about, state: State::Failed, meta: None, by: None };
        judge.heard(0, &event, seconds(115));
        assert_eq!(broken(&mut judge).is_empty(), excused, "{go} {somebody_is_silent}");
    }
}

#[test]
fn the_word_of_a_deaf_go_member_is_excused_while_somebody_is_silent_and_only_then() {
    for (go, by, somebody_is_silent, excused) in
        [(1, 3, true, true), (1, 3, false, false), (1, 2, true, false), (0, 3, true, false)]
    {
        let mut judge = gathered();
        judge.participants.go = go;
        if somebody_is_silent {
            judge.killed(1, seconds(110));
        }
        let by = Some(judge.participants.name(by));
        let about = judge.participants.name(0);
        let event = Event::View { about, state: State::Failed, meta: None, by };
        judge.heard(2, &event, seconds(115));
        let broken = broken(&mut judge);
        assert_eq!(broken.is_empty(), excused, "{go} {somebody_is_silent} {broken:?}");
    }
}

#[test]
fn strangers_and_twins_are_noticed() {
    let mut judge = gathered();
    let stranger = Event::View { about: "x9".into(), state: State::Alive, meta: None, by: None };
    judge.heard(0, &stranger, seconds(110));
    assert!(broke(&mut judge).contains("x9"));
    let twins = rows().into_iter().chain([row(1)]).collect();
    list(&mut judge, 0, twins, 110);
    assert_eq!(broke(&mut judge), "lists n2 twice");
    judge.heard(0, &Event::Conflict { about: "n2".into() }, seconds(111));
    assert_eq!(broken(&mut judge).len(), 1);
}

#[test]
fn agreement_means_the_same_members_metadata_and_incarnations() {
    for spoil in [
        |row: &mut Row| row.state = State::Suspect,
        |row: &mut Row| row.meta = "other".into(),
        |row: &mut Row| row.incarnation = 2,
    ] {
        let mut judge = gathered();
        let mut spoilt = rows();
        spoil(&mut spoilt[1]);
        list(&mut judge, 0, spoilt, 101);
        assert!(judge.disagreement().is_some());
        list(&mut judge, 0, rows(), 102);
        assert_eq!(judge.disagreement(), None);
    }
    let mut judge = gathered();
    list(&mut judge, 0, rows().split_off(1), 101);
    assert!(judge.disagreement().is_some());
}

#[test]
fn who_slept_long_may_bring_back_the_dead_for_a_while() {
    for (slept, excused) in [(46, true), (10, false)] {
        let mut judge = gathered();
        judge.froze(2, seconds(200));
        judge.killed(1, seconds(201));
        let at = 200 + slept;
        judge.thawed(2, seconds(at));
        let during = at.max(240) + 5;
        judge.heard(0, &view(1, State::Alive, Some(&meta(1))), seconds(during));
        assert_eq!(broken(&mut judge).is_empty(), excused, "slept for {slept} s");
        judge.heard(0, &view(1, State::Alive, Some(&meta(1))), seconds(400));
        assert_eq!(broken(&mut judge).len(), 1);
    }
}

#[test]
fn a_soak_in_which_nothing_was_judged_does_not_pass() {
    let mut judge = Judge::new(CAST);
    judge.conclude(seconds(120));
    assert_eq!(broken(&mut judge).len(), 5);
}

#[test]
fn a_leak_fails_the_soak_and_flat_lives_pass() {
    for (leak, broken_things) in [(100, 1), (0, 0)] {
        let mut judge = gathered();
        judge.froze(1, seconds(101));
        judge.thawed(1, seconds(102));
        for index in 0..90 {
            for node in CAST.everybody() {
                let memory = 10_000 + if node == 2 { leak * index } else { 0 };
                let usage = Some(Usage { memory, ..Usage::default() });
                judge.asked(node, "stats", seconds(110));
                let reply = Reply { command: "stats".into(), usage, ..Reply::default() };
                judge.heard(node, &Event::Reply(reply), seconds(110));
            }
        }
        judge.conclude(seconds(120));
        let broken: Vec<Broken> = std::iter::from_fn(|| judge.poll_broken()).collect();
        assert_eq!(broken.len(), broken_things, "{broken:?}");
        assert!(broken.iter().all(|broken| broken.node == Some(2)), "{broken:?}");
    }
}

#[test]
fn a_newcomer_may_meet_a_member_before_it_hears_how_its_former_self_ended() {
    for (newcomer, excused) in [(true, true), (false, false)] {
        let mut judge = gathered();
        judge.killed(2, seconds(200));
        judge.left(1, seconds(210));
        judge.heard(0, &view(1, State::Left, None), seconds(210));
        judge.exited(1, Some(0), seconds(211));
        assert_eq!(broken(&mut judge), [""; 0]);
        for (node, at) in [(2, 220), (1, 221)] {
            judge.started(node, meta(node), seconds(at));
            judge.heard(node, &Event::Ready("127.0.0.1:1".parse().unwrap()), seconds(at));
        }
        let observer = if newcomer { 2 } else { 0 };
        judge.heard(observer, &view(1, State::Alive, Some(&meta(1))), seconds(222));
        judge.heard(observer, &view(1, State::Left, None), seconds(223));
        assert_eq!(broken(&mut judge).is_empty(), excused);
        judge.heard(observer, &view(1, State::Left, None), seconds(300));
        assert_eq!(broken(&mut judge).len(), 1, "long over");
    }
}

#[test]
fn a_go_member_may_wait_in_vain_for_its_own_updates_to_be_sent_while_somebody_is_silent() {
    for (go, somebody_is_silent, excused) in [(1, true, true), (1, false, false), (0, true, false)]
    {
        let mut judge = gathered();
        judge.participants.go = go;
        if somebody_is_silent {
            judge.killed(1, seconds(110));
        }
        judge.asked(3, "meta", seconds(111));
        let error = Some("timeout waiting for update broadcast".to_owned());
        let reply = Reply { command: "meta".into(), error, ..Reply::default() };
        judge.heard(3, &Event::Reply(reply), seconds(121));
        assert_eq!(broken(&mut judge).is_empty(), excused, "{go} {somebody_is_silent}");
    }
}

#[test]
fn what_may_be_said_may_be_listed_until_all_is_well_again() {
    let mut judge = gathered();
    judge.froze(1, seconds(110));
    judge.thawed(1, seconds(160));
    judge.heard(0, &view(1, State::Alive, Some(&meta(1))), seconds(160));
    list(&mut judge, 0, rows(), 166);
    judge.heard(0, &view(1, State::Failed, None), seconds(170));
    let mut dead = rows();
    dead[1].state = State::Failed;
    list(&mut judge, 0, dead.clone(), 171);
    assert_eq!(broken(&mut judge), [""; 0], "n2 was away for longer than anybody remembers");
    list(&mut judge, 0, dead, 200);
    assert!(broke(&mut judge).contains("must be seen alive"));
}

#[test]
fn who_slept_through_new_metadata_has_not_caught_up_because_their_owner_sleeps() {
    for (knows, caught_up) in [(true, true), (false, false)] {
        let mut judge = gathered();
        judge.froze(0, seconds(110));
        judge.changed_meta(1, "n2-v2".into(), seconds(112));
        judge.thawed(0, seconds(155));
        judge.froze(1, seconds(168));
        let mut listed = rows();
        if knows {
            listed[1].meta = "n2-v2".into();
        }
        list(&mut judge, 0, listed, 169);
        judge.thawed(1, seconds(170));
        assert_eq!(broken(&mut judge), [""; 0]);
        list(&mut judge, 0, rows(), 172);
        assert_eq!(broken(&mut judge).len(), usize::from(caught_up));
    }
}

#[test]
fn a_go_member_that_was_deaf_may_revive_the_dead_once_more() {
    for (go, at, excused) in [(1, 160, true), (1, 190, false), (0, 160, false)] {
        let mut judge = gathered();
        judge.participants.go = go;
        judge.killed(1, seconds(110));
        judge.heard(0, &view(1, State::Failed, None), seconds(118));
        judge.heard(0, &view(1, State::Alive, Some(&meta(1))), seconds(at));
        assert_eq!(broken(&mut judge).is_empty(), excused, "{go} go, second {at}");
        judge.heard(0, &view(1, State::Failed, None), seconds(at + 20));
        judge.heard(0, &view(1, State::Alive, Some(&meta(1))), seconds(at + 100));
        assert_eq!(broken(&mut judge).len(), 1, "nobody is deaf for that long");
    }
}

#[test]
fn a_best_effort_send_may_take_a_go_member_as_long_as_a_dial() {
    for (go, in_time) in [(1, true), (0, false)] {
        let mut judge = gathered();
        judge.participants.go = go;
        judge.sends(Kind::BestEffort, 3, Some(1), 10, seconds(110));
        judge.tick(seconds(120));
        assert_eq!(broken(&mut judge).is_empty(), in_time);
        judge.tick(seconds(130));
        assert_eq!(broken(&mut judge).is_empty(), !in_time, "said once");
    }
}

#[test]
fn a_newcomer_that_never_heard_of_a_sleeper_may_hear_of_it_from_a_deaf_go_member() {
    for (go, excused) in [(1, true), (0, false)] {
        let mut judge = gathered();
        judge.participants.go = go;
        judge.killed(0, seconds(110));
        judge.froze(1, seconds(111));
        judge.started(0, meta(0), seconds(115));
        judge.heard(0, &Event::Ready("127.0.0.1:1".parse().unwrap()), seconds(116));
        let mut all = rows();
        all[3].name = judge.participants.name(3);
        let mut without = all.clone();
        without.remove(1);
        list(&mut judge, 0, without, 125);
        judge.heard(0, &view(1, State::Alive, Some(&meta(1))), seconds(126));
        list(&mut judge, 0, all.clone(), 127);
        let found = broken(&mut judge);
        assert_eq!(found.is_empty(), excused, "{go} {found:?}");
        list(&mut judge, 0, all, 170);
        assert!(broken(&mut judge).iter().any(|what| what.contains("must be seen dead")));
    }
}

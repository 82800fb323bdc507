//! Each rule of what is excused: once where it bites, once for the innocent look-alike.

use super::*;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn bounds() -> Bounds {
    Bounds::new(10)
}

/// Up since second 10 and long settled by second 100.
fn member() -> Subject {
    let mut subject = Subject::new();
    subject.started("m1".into(), seconds(9));
    subject.ready(seconds(10), bounds());
    subject
}

fn scandal(subject: &Subject, state: State, at: u64) -> bool {
    subject.scandal(state, (&member(), false), seconds(at), bounds()).is_some()
}

fn row(state: State) -> Row {
    Row { name: "n1".into(), state, incarnation: 1, meta: "m1".into() }
}

fn misbelief(subject: &Subject, state: Option<State>, asked: u64) -> bool {
    let row = state.map(row);
    subject.misbelief(row.as_ref(), (&member(), false), seconds(asked)).is_some()
}

#[test]
fn nobody_may_declare_a_live_member_dead_or_gone() {
    let live = member();
    assert!(scandal(&live, State::Failed, 100));
    assert!(scandal(&live, State::Left, 100));
    assert!(!scandal(&live, State::Suspect, 100));
    assert!(!scandal(&live, State::Alive, 100));
    assert!(misbelief(&live, Some(State::Failed), 100));
    assert!(misbelief(&live, Some(State::Left), 100));
    assert!(misbelief(&live, None, 100));
    assert!(!misbelief(&live, Some(State::Alive), 100));
    assert!(!misbelief(&live, Some(State::Suspect), 100));
}

#[test]
fn a_killed_member_must_be_held_dead_once_the_window_has_closed() {
    let mut killed = member();
    killed.killed(seconds(100), bounds());
    assert!(!scandal(&killed, State::Failed, 105));
    assert!(scandal(&killed, State::Left, 105));
    assert!(!misbelief(&killed, Some(State::Alive), 130), "still within the window");
    assert!(misbelief(&killed, Some(State::Alive), 140));
    assert!(misbelief(&killed, Some(State::Suspect), 140));
    assert!(!misbelief(&killed, Some(State::Failed), 140));
    assert!(!misbelief(&killed, None, 140), "forgotten is as good");
    assert!(!scandal(&killed, State::Alive, 105), "a cleared suspicion");
    assert!(scandal(&killed, State::Alive, 140), "a resurrection");
}

#[test]
fn a_restarted_member_is_excused_until_all_know_it_is_back() {
    let mut back = member();
    back.killed(seconds(100), bounds());
    back.started("m2".into(), seconds(101));
    back.ready(seconds(102), bounds());
    assert!(!scandal(&back, State::Failed, 103), "its former self was found dead");
    assert!(!misbelief(&back, Some(State::Failed), 103));
    assert!(scandal(&back, State::Failed, 150));
    assert!(misbelief(&back, Some(State::Failed), 150));
    assert!(misbelief(&back, Some(State::Alive), 150), "with its former metadata");
    back.changed_meta("m1".into(), seconds(150), bounds());
    assert!(!misbelief(&back, Some(State::Alive), 151));
}

#[test]
fn a_brief_freeze_excuses_nothing() {
    let mut brief = member();
    brief.froze(seconds(100), bounds());
    assert!(scandal(&brief, State::Failed, 102));
    brief.thawed(seconds(102), bounds());
    assert!(scandal(&brief, State::Failed, 103));
    assert!(misbelief(&brief, Some(State::Failed), 103));
    assert!(!misbelief(&brief, Some(State::Suspect), 103));
    assert!(!brief.is_accountable(seconds(103)), "it has to catch up");
    assert!(brief.is_accountable(seconds(107)));
}

#[test]
fn a_longer_freeze_may_end_in_a_death_and_a_very_long_one_must() {
    let mut frozen = member();
    frozen.froze(seconds(100), bounds());
    assert!(!scandal(&frozen, State::Failed, 106));
    assert!(!misbelief(&frozen, Some(State::Alive), 110));
    assert!(misbelief(&frozen, Some(State::Alive), 140));
    assert!(!misbelief(&frozen, Some(State::Failed), 140));
    frozen.thawed(seconds(141), bounds());
    assert!(!scandal(&frozen, State::Failed, 142));
    assert!(!misbelief(&frozen, Some(State::Failed), 142));
    assert!(misbelief(&frozen, Some(State::Failed), 180));
    assert!(scandal(&frozen, State::Failed, 180));
}

#[test]
fn a_leave_is_not_a_failure() {
    let mut leaver = member();
    leaver.left(seconds(100), bounds());
    assert!(!scandal(&leaver, State::Left, 101));
    assert!(scandal(&leaver, State::Failed, 101));
    assert!(misbelief(&leaver, Some(State::Failed), 140));
    assert!(misbelief(&leaver, Some(State::Alive), 140));
    assert!(!misbelief(&leaver, Some(State::Left), 140));
    assert!(!misbelief(&leaver, None, 140));
}

#[test]
fn who_slept_through_a_leave_may_take_it_for_a_death() {
    let mut leaver = member();
    leaver.left(seconds(100), bounds());
    let mut sleeper = member();
    sleeper.froze(seconds(95), bounds());
    sleeper.thawed(seconds(110), bounds());
    let dead = row(State::Failed);
    assert!(leaver.misbelief(Some(&dead), (&sleeper, false), seconds(150)).is_none());
    assert!(leaver.misbelief(Some(&dead), (&member(), false), seconds(150)).is_some());
    assert!(leaver.scandal(State::Failed, (&sleeper, false), seconds(120), bounds()).is_none());
    let bystander = member();
    let verdict = bystander.scandal(State::Failed, (&sleeper, false), seconds(120), bounds());
    assert!(verdict.is_some(), "sleep excuses no verdict about those who were well");
}

#[test]
fn only_the_well_are_held_to_their_word() {
    let mut subject = member();
    assert!(!subject.was_well_since(seconds(12)), "it has just started");
    assert!(subject.was_well_since(seconds(100)));
    subject.froze(seconds(100), bounds());
    assert!(!subject.was_well_since(seconds(100)));
    subject.thawed(seconds(101), bounds());
    assert!(!subject.was_well_since(seconds(102)));
    assert!(subject.was_well_since(seconds(110)));
}

#[test]
fn who_has_known_the_truth_must_not_forget_it() {
    let mut back = member();
    back.killed(seconds(100), bounds());
    back.started("m1".into(), seconds(101));
    back.ready(seconds(102), bounds());
    let (observer, dead) = (member(), row(State::Failed));
    let at = seconds(110);
    for (knew, broken) in [(false, false), (true, true)] {
        assert_eq!(back.misbelief(Some(&dead), (&observer, knew), at).is_some(), broken);
        let scandal = back.scandal(State::Failed, (&observer, knew), at, bounds());
        assert_eq!(scandal.is_some(), broken);
    }
}

#[test]
fn who_is_right_early_counts_early() {
    let mut back = member();
    back.killed(seconds(100), bounds());
    back.started("m1".into(), seconds(101));
    back.ready(seconds(102), bounds());
    back.caught_up(seconds(103));
    assert!(!back.is_accountable(seconds(104)), "an old update may still be on its way");
    back.caught_up(seconds(108));
    assert!(back.is_accountable(seconds(108)));
    back.froze(seconds(109), bounds());
    assert!(!back.is_accountable(seconds(110)));
}

#[test]
fn a_sleeper_may_bring_back_whom_the_others_have_forgotten() {
    let mut killed = member();
    killed.killed(seconds(100), bounds());
    assert!(killed.is_rumoured(seconds(95), seconds(140), bounds()));
    assert!(!scandal(&killed, State::Alive, 145));
    assert!(killed.settles_by(bounds()) > seconds(145), "forgotten for now is not for good");
    assert!(scandal(&killed, State::Alive, 180));
    let mut earlier = member();
    earlier.killed(seconds(50), bounds());
    assert!(!earlier.is_rumoured(seconds(95), seconds(140), bounds()), "he knew that");
}

#[test]
fn a_sleeper_may_bring_the_death_of_a_former_self() {
    for (absence, rumoured) in [(40, true), (5, false)] {
        let mut back = member();
        back.killed(seconds(100), bounds());
        back.started("m1".into(), seconds(100 + absence));
        back.ready(seconds(100 + absence), bounds());
        let at = 101 + absence;
        assert_eq!(back.is_rumoured(seconds(99), seconds(at), bounds()), rumoured);
        let welcomed = back.back < seconds(at);
        let declared = back.scandal(State::Failed, (&member(), welcomed), seconds(at), bounds());
        assert_eq!(declared.is_none(), rumoured, "away for {absence} s");
        assert!(scandal(&back, State::Failed, 190));
    }
}

#[test]
fn a_sleeper_that_wakes_before_the_return_may_bring_the_death_all_the_same() {
    let declared = |wakes: bool, at: u64| {
        let mut back = member();
        back.killed(seconds(100), bounds());
        if wakes {
            assert!(back.is_rumoured(seconds(75), seconds(112), bounds()));
        }
        back.started("m1".into(), seconds(116));
        back.ready(seconds(116), bounds());
        back.scandal(State::Failed, (&member(), true), seconds(at), bounds()).is_some()
    };
    assert!(!declared(true, 117), "n8 had not heard of the death when he slept in");
    assert!(declared(false, 117), "nobody brings it up");
    assert!(declared(true, 160), "that is long over");
}

#[test]
fn a_former_self_that_was_gone_for_long_is_forgotten_by_some_and_not_by_others() {
    for (absence, excused) in [(31, true), (20, false)] {
        let mut back = member();
        back.left(seconds(100), bounds());
        back.started("m1".into(), seconds(100 + absence));
        back.ready(seconds(100 + absence), bounds());
        let at = seconds(101 + absence);
        let declared = back.scandal(State::Left, (&member(), true), at, bounds());
        assert_eq!(declared.is_none(), excused, "gone for {absence} s");
        assert!(scandal(&back, State::Left, 170));
    }
}

#[test]
fn a_newcomer_with_an_old_update_finds_out_by_itself() {
    let mut frozen = member();
    frozen.froze(seconds(100), bounds());
    let mut newcomer = member();
    newcomer.started("m1".into(), seconds(119));
    newcomer.ready(seconds(120), bounds());
    let suspect = row(State::Suspect);
    let due = |observer: &Subject, at| {
        frozen.misbelief(Some(&suspect), (observer, false), seconds(at)).is_some()
    };
    assert!(due(&member(), 140), "the others have had their time");
    assert!(!due(&newcomer, 140) && !due(&newcomer, 158));
    assert!(due(&newcomer, 159));
}

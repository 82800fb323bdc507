use super::super::ranking::{OBSERVERS, observers_by_name as observers_of};
use super::*;
use crate::rng::{Rng, RngSeed};

fn names(count: usize) -> Vec<MemberName> {
    (0..count).map(|number| name(&format!("node-{number}"))).collect()
}

fn name(text: &str) -> MemberName {
    MemberName::try_from(text).unwrap()
}

fn second(seconds: u64) -> Time {
    Time::from_micros(seconds * 1_000_000)
}

/// Carries out everything that is due until then, each at its own time.
fn run_until(plan: &mut Candidates, end: Time) {
    while let Some(due) = plan.next_deadline().filter(|due| *due <= end) {
        plan.advance(due);
    }
}

/// The rank that the plan should hold, computed from nothing but who lives since when.
fn rank_by_hand(plan: &Candidates, subject: &MemberName, now: Time) -> usize {
    let has_settled = |living: &&Living| living.since + SETTLED_AFTER <= now;
    let all_count = plan.living.values().filter(has_settled).count() < 2 * OBSERVERS
        || now < Time::ZERO + SETTLED_AFTER;
    let counted = plan.living.iter().filter(|(_, it)| all_count || has_settled(it));
    let ranked = counted.map(|(name, _)| name).chain([&plan.me]);
    let order = observers_of(subject, ranked, usize::MAX);
    order.iter().position(|member| **member == plan.me).unwrap()
}

/// All of them know each other since the start, and 30 s and more have passed.
fn settled(me: &MemberName, members: &[MemberName]) -> Candidates {
    let mut plan = Candidates::new(me.clone(), OBSERVERS, Time::ZERO);
    for member in members {
        plan.insert(member, Time::ZERO);
    }
    run_until(&mut plan, second(60));
    plan
}

#[test]
fn each_member_is_watched_by_its_ten_highest_ranks() {
    let members = names(150);
    let plans: Vec<Candidates> = members.iter().map(|me| settled(me, &members)).collect();
    for subject in &members {
        let observers = observers_of(subject, &members, OBSERVERS);
        for plan in plans.iter().filter(|plan| plan.me != *subject) {
            let rank = rank_by_hand(plan, subject, second(60));
            if observers.contains(&&plan.me) {
                assert!(plan.watches(subject), "{} ranks at {rank} for {subject}", plan.me);
            } else if rank >= OBSERVERS + 2 {
                assert!(!plan.watches(subject), "{} ranks at {rank} for {subject}", plan.me);
            }
        }
    }
    let watched: usize = plans.iter().map(|plan| plan.watched().count()).sum();
    assert!((1_500..=1_800).contains(&watched), "{watched} pairs");
    assert!(plans.iter().all(|plan| plan.candidate_count() < 110));
}

#[test]
fn up_to_forty_members_all_watch_all_and_from_then_on_down_to_thirty_two_few_do() {
    let members = names(41);
    let mut plan = settled(&members[0], &members[..40]);
    assert_eq!(plan.watched().count(), 39);

    plan.insert(&members[40], second(60));
    assert_eq!(plan.watched().count(), 39, "whom we watch we go on watching at first");
    run_until(&mut plan, second(75));
    assert!(plan.watched().count() < 20, "{}", plan.watched().count());

    for member in &members[32..] {
        plan.remove(member, second(80));
    }
    run_until(&mut plan, second(100));
    assert!(plan.watched().count() < 20, "32 members are left, and few watch");
    plan.remove(&members[31], second(100));
    assert_eq!(plan.watched().count(), 30, "31 members are left, and all watch");
}

#[test]
fn who_ranks_high_for_a_moment_is_not_watched() {
    let members = names(100);
    let mut plan = settled(&members[0], &members);
    let highest = |subject: &MemberName| observers_of(subject, &members, 1)[0] == &members[0];
    let subject = (0..).map(|number| name(&format!("late-{number}"))).find(highest).unwrap();

    plan.insert(&subject, second(60));
    run_until(&mut plan, second(61));
    assert!(!plan.watches(&subject));
    plan.remove(&subject, second(61));
    plan.insert(&subject, second(62));
    run_until(&mut plan, second(63));
    assert!(!plan.watches(&subject), "the two seconds began anew");
    run_until(&mut plan, second(64));
    assert!(plan.watches(&subject));
}

#[test]
fn invented_and_flapping_names_displace_nobody() {
    let members = names(100);
    let mut plan = settled(&members[0], &members);
    let before: Vec<MemberName> = plan.watched().cloned().collect();
    let invented: Vec<MemberName> =
        (0..90).map(|number| name(&format!("invented-{number}"))).collect();
    for round in 0..5 {
        let begin = 60 + 29 * round;
        invented.iter().for_each(|it| plan.insert(it, second(begin)));
        run_until(&mut plan, second(begin + 28));
        invented.iter().for_each(|it| plan.remove(it, second(begin + 28)));
        run_until(&mut plan, second(begin + 29));
    }
    let after: Vec<MemberName> = plan.watched().cloned().collect();
    assert_eq!(before, after);
}

#[test]
fn who_is_outranked_for_a_moment_goes_on_watching() {
    let members = names(100);
    let before = settled(&members[0], &members);
    let subject = before.watched().next().unwrap().clone();
    let outranks_us = |it: &MemberName| {
        let (hash, me) = (NameHash::of(&subject), (&before.me, before.hash));
        outranks((it, NameHash::of(it)), me, hash)
    };
    let rivals: Vec<MemberName> =
        (0..).map(|number| name(&format!("rival-{number}"))).filter(outranks_us).take(12).collect();
    for (gone, is_watched) in [(99, true), (101, false)] {
        let mut plan = settled(&members[0], &members);
        rivals.iter().for_each(|it| plan.insert(it, second(60)));
        run_until(&mut plan, second(gone));
        assert_eq!(plan.watches(&subject), is_watched, "10 s after the rivals settled, at 90 s");
        rivals.iter().for_each(|it| plan.remove(it, second(gone)));
        run_until(&mut plan, second(gone + 1));
        assert_eq!(plan.watches(&subject), is_watched);
        run_until(&mut plan, second(gone + 3));
        assert!(plan.watches(&subject), "with the rivals gone we rank as before");
    }
}

#[test]
fn candidates_stay_few_when_members_become_many_and_suffice_when_they_become_few() {
    let members = names(1_200);
    let mut plan = settled(&members[0], &members[..120]);
    for member in &members[120..] {
        plan.insert(member, second(60));
    }
    assert!((20..120).contains(&plan.candidate_count()), "{}", plan.candidate_count());
    run_until(&mut plan, second(120));
    check(&plan, second(120), "1,200 members");
    for member in &members[60..] {
        plan.remove(member, second(120));
    }
    run_until(&mut plan, second(140));
    assert!(plan.candidate_count() >= 20, "{}", plan.candidate_count());
    check(&plan, second(140), "60 members");
}

/// Members come and go at random, at numbers from a few to some hundreds; whenever it was quiet for
/// a while the plan must be what follows from who lives since when.
#[test]
fn after_any_churn_the_plan_is_what_the_ranks_say() {
    for seed in 0..12 {
        let mut rng = Rng::new(RngSeed([seed; 32]));
        let members = names(60 + 60 * usize::from(seed % 4));
        let mut plan = Candidates::new(members[0].clone(), OBSERVERS, Time::ZERO);
        let mut now = Time::ZERO;
        for quiet in 0..6 {
            let share = 1 + rng.below(9);
            for _ in 0..150 {
                now += rng.span(Duration::from_millis(600));
                run_until(&mut plan, now);
                let member = &members[1 + rng.below(members.len() - 1)];
                if rng.below(10) < share {
                    plan.insert(member, now)
                } else {
                    plan.remove(member, now)
                }
            }
            // Settled, and ten seconds more to cease to watch.
            now += SETTLED_AFTER + STOP_AFTER + Duration::from_secs(1);
            run_until(&mut plan, now);
            check(&plan, now, &format!("seed {seed}, pause {quiet}"));
        }
    }
}

fn check(plan: &Candidates, now: Time, replay: &str) {
    for subject in plan.living.keys() {
        let rank = rank_by_hand(plan, subject, now);
        if !plan.few_watch || rank < OBSERVERS {
            assert!(plan.watches(subject), "{replay}: {subject} at rank {rank} is not watched");
        } else if rank >= OBSERVERS + 2 {
            assert!(!plan.watches(subject), "{replay}: {subject} at rank {rank} is watched");
        }
        if let Some(candidate) = plan.candidates.get(subject).filter(|_| plan.few_watch) {
            assert_eq!(candidate.rank, rank, "{replay}: the rank for {subject}");
        }
    }
}

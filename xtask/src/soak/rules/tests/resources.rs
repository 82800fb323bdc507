//! Memory, processor time, descriptors, connections.

use super::*;

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

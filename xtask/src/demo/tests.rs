//! A made-up cluster plays the demo: well, and then in every way that must fail.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::script::{Phase, Sabotage, Step, name, play};
use crate::Stop;
use crate::fleet::reporter::{Reporter, spread};
use crate::fleet::stage::Stage;
use crate::fleet::{Members, Observation, Observed};

#[test]
fn a_cluster_that_does_it_all_passes_and_every_step_is_timed() {
    for nodes in [3, 5, 20] {
        let steps = demo(nodes, None, Fake::new(nodes)).unwrap();
        let phases: Vec<Phase> = steps.iter().map(|step| step.phase).collect();
        assert_eq!(
            phases,
            [Phase::Gather, Phase::Crash, Phase::Leave, Phase::Restart, Phase::Watch]
        );
        assert_eq!(steps[1].times.len(), nodes - 1);
        assert_eq!(steps[2].times.len(), nodes - 2);
        assert_eq!(steps[3].times.len(), nodes - 1);
        assert!(spread(&steps[1].times)[0] >= DETECTION, "{:?}", steps[1]);
    }
}

#[test]
fn each_sabotage_fails_in_its_own_step() {
    for (sabotage, reason, view) in [
        (Sabotage::Crash, "waiting until all others see that n2 failed; n1 sees", "n2 alive"),
        (Sabotage::Leave, "waiting until all others see that n3 left; n1 sees", "n3 alive"),
        (Sabotage::Restart, "waiting until all see n2 alive again; n1 sees", "n2 failed"),
    ] {
        let failure = failure(Some(sabotage), Fake::new(5));
        assert!(failure.contains(reason) && failure.contains(view), "{sabotage:?}: {failure}");
    }
}

#[test]
fn one_node_that_never_sees_another_fails_the_formation() {
    let failure = failure(None, Fake { blind: Some((3, 4)), ..Fake::new(5) });
    assert!(failure.contains("all 5 see each other; n4 sees"), "{failure}");
    assert!(failure.contains("n5 unknown"), "{failure}");
}

#[test]
fn a_survivor_that_notices_too_late_fails_the_crash() {
    let bound = Phase::Crash.bound(5);
    for (late, passes) in [(bound, false), (bound - DETECTION, true)] {
        let fake = Fake { late: Some((4, late)), ..Fake::new(5) };
        assert_eq!(demo(5, None, fake).is_ok(), passes, "{late:?}");
    }
    let failure = failure(None, Fake { late: Some((4, bound)), ..Fake::new(5) });
    assert!(failure.contains("; n5 sees n1 alive, n2 alive"), "{failure}");
}

#[test]
fn suspicions_that_last_three_times_as_long_fail_the_crash() {
    let fake = Fake { detection: DETECTION * 3, ..Fake::new(5) };
    assert!(failure(None, fake).contains("all others see that n2 failed"));
}

#[test]
fn a_kill_that_ends_no_process_is_no_crash() {
    let failure = failure(None, Fake { immortal: true, ..Fake::new(5) });
    assert!(failure.contains("n1 says that n2 failed") || failure.contains("see that n2 failed"));
}

#[test]
fn declaring_the_living_dead_fails() {
    for trigger in [START_OF_N5, "kill n2", "n3 leave", SECOND_START, "n1 stats"] {
        let failure = failure(None, Fake::lying(trigger, "n1", &says("fail", "n4")));
        assert!(
            failure.contains("n1 says that n4 failed, which is not so"),
            "{trigger}: {failure}"
        );
    }
}

#[test]
fn a_death_taken_for_a_leave_fails_and_a_leave_taken_for_a_death_too() {
    let as_leave = failure(None, Fake::lying("kill n2", "n1", &says("leave", "n2")));
    assert!(as_leave.contains("n1 says that n2 left, which is not so"), "{as_leave}");
    let as_death = failure(None, Fake::lying("n3 quit", "n1", &says("fail", "n3")));
    assert!(as_death.contains("n1 says that n3 failed, which is not so"), "{as_death}");
}

#[test]
fn a_suspicion_that_is_cleared_is_no_failure() {
    let mut fake = Fake::lying("n1 stats", "n1", &says("suspect", "n2"));
    fake.lies.push(("n1 stats", "n1", says("alive", "n2")));
    assert!(demo(5, None, fake).is_ok());
}

#[test]
fn the_restarted_node_must_stay_for_the_whole_watch() {
    let mut fake = Fake::lying("n1 stats", "n1", &says("fail", "n2"));
    fake.lie_delay = Duration::from_secs(14);
    assert!(failure(None, fake).contains("n1 says that n2 failed"));

    let fake = Fake { ends: Some(("n1 stats", 1, 1)), ..Fake::new(5) };
    assert!(failure(None, fake).contains("n2 ended with exit code 1"));
}

#[test]
fn a_node_that_works_while_nothing_happens_fails_the_watch() {
    let failure = failure(None, Fake { busy_percent: 100, ..Fake::new(5) });
    assert!(failure.contains("n1 used 15"), "{failure}");
    assert!(demo(5, None, Fake { busy_percent: 2, ..Fake::new(5) }).is_ok());
}

#[test]
fn the_restarted_node_must_have_its_old_port() {
    let failure = failure(None, Fake { moves: true, ..Fake::new(5) });
    assert!(
        failure.contains("restarted on 127.0.0.1:7001 but listens on 127.0.0.1:9"),
        "{failure}"
    );
}

#[test]
fn the_last_lists_must_agree() {
    for (subject, state, word) in
        [(1, Some("suspect"), "suspect"), (1, None, "missing"), (2, Some("alive"), "alive")]
    {
        let failure = failure(None, Fake { listed: Some((subject, state)), ..Fake::new(5) });
        let expected = format!("lists {} as {word} at the end", name(subject));
        assert!(failure.contains(&expected), "{failure}");
    }
}

#[test]
fn a_process_that_ends_by_itself_or_badly_fails() {
    let unasked = failure(None, Fake { ends: Some((START_OF_N5, 3, 2)), ..Fake::new(5) });
    assert!(unasked.contains("n4 ended with exit code 2, while waiting until all 5"), "{unasked}");
    let badly = failure(None, Fake { exit_code: 1, ..Fake::new(5) });
    assert!(
        badly.contains("n3 ended with exit code 1, while waiting until n3 has ended"),
        "{badly}"
    );
}

#[test]
fn a_refused_command_and_a_line_that_is_no_event_fail() {
    let refused = failure(None, Fake { refuses: Some("leave"), ..Fake::new(5) });
    assert!(refused.contains("n3 refused the command leave: not yet"), "{refused}");
    let no_event = failure(None, Fake::lying("kill n2", "n1", "hello"));
    assert!(no_event.contains("hello"), "{no_event}");
}

#[test]
fn a_stranger_in_the_cluster_fails() {
    let stranger = failure(None, Fake::lying(START_OF_N5, "n1", &says("join", "n9")));
    assert!(stranger.contains("n1 speaks of n9"), "{stranger}");
}

const DETECTION: Duration = Duration::from_secs(4);
const START_OF_N5: &str = "start n5";
const SECOND_START: &str = "start n2 again";

fn demo(nodes: usize, sabotage: Option<Sabotage>, fake: Fake) -> Result<Vec<Step>, Stop> {
    play(&mut Stage::new(fake, ()), &Reporter::new(true), nodes, sabotage)
}

fn failure(sabotage: Option<Sabotage>, fake: Fake) -> String {
    match demo(5, sabotage, fake) {
        Err(Stop::Failed(reason)) => reason,
        other => panic!("no failure: {other:?}"),
    }
}

fn index(of: &str) -> usize {
    (0..).find(|index| name(*index) == of).unwrap()
}

fn says(ev: &str, about: &str) -> String {
    json!({ "ts": 1, "ev": ev, "node": about }).to_string()
}

/// A cluster in virtual time that behaves, except where a field says otherwise.
#[derive(Default)]
struct Fake {
    now: Duration,
    up: Vec<bool>,
    starts: Vec<u32>,
    /// What will be observed, by its time and then by its number.
    queue: BTreeMap<(Duration, usize), (usize, Observed)>,
    number: usize,
    detection: Duration,
    /// This one never sees that one.
    blind: Option<(usize, usize)>,
    /// This one notices the crash so much later than the others.
    late: Option<(usize, Duration)>,
    /// A kill has no effect on the process, though the others lose sight of it.
    immortal: bool,
    exit_code: i32,
    /// After this act, that node writes this line.
    lies: Vec<(&'static str, &'static str, String)>,
    lie_delay: Duration,
    /// After this act, that node ends with this code.
    ends: Option<(&'static str, usize, i32)>,
    /// A restarted node listens elsewhere.
    moves: bool,
    /// This command is refused.
    refuses: Option<&'static str>,
    /// How this one is listed at the end, if at all.
    listed: Option<(usize, Option<&'static str>)>,
    busy_percent: u64,
}

impl Fake {
    fn new(nodes: usize) -> Self {
        let (up, starts) = (vec![false; nodes], vec![0; nodes]);
        let lie_delay = Duration::from_micros(10);
        Self { up, starts, detection: DETECTION, lie_delay, ..Self::default() }
    }

    fn lying(act: &'static str, node: &'static str, line: &str) -> Self {
        Self { lies: vec![(act, node, line.to_owned())], ..Self::new(5) }
    }

    fn later(&mut self, delay: Duration, node: usize, what: Observed) {
        self.number += 1;
        self.queue.insert((self.now + delay, self.number), (node, what));
    }

    fn write(&mut self, delay: Duration, node: usize, line: &str) {
        self.later(delay, node, Observed::line(line.to_owned()));
    }

    /// Everybody who is up says this about the subject.
    fn all_say(&mut self, delay: Duration, ev: &str, subject: usize) {
        for observer in (0..self.up.len()).filter(|node| *node != subject) {
            let late = self.late.filter(|(node, _)| *node == observer && ev == "fail");
            if self.up[observer] && self.blind != Some((observer, subject)) {
                let delay = delay + late.map_or(Duration::ZERO, |(_, late)| late);
                self.write(delay, observer, &says(ev, &name(subject)));
            }
        }
    }

    /// Tells lies that belong after this act.
    fn did(&mut self, act: &str) {
        for (_, node, line) in self.lies.clone().iter().filter(|(after, ..)| *after == act) {
            self.write(self.lie_delay, index(node), line);
        }
        if let Some((_, node, code)) = self.ends.filter(|(after, ..)| *after == act) {
            self.later(Duration::from_micros(10), node, Observed::Exited(Some(code)));
        }
    }

    fn reply(&self, command: &str) -> Value {
        let state = |subject: usize| match (self.listed, subject) {
            (Some((other, state)), subject) if other == subject => state,
            (_, 2) => Some("left"),
            _ => Some("alive"),
        };
        let row = |subject| {
            let state = state(subject)?;
            Some(json!({ "node": name(subject), "addr": "h:1", "state": state, "incarnation": 1 }))
        };
        let rows: Vec<Value> = (0..self.up.len()).filter_map(row).collect();
        let busy = u64::try_from(self.now.as_millis()).unwrap() * self.busy_percent / 100;
        let refused = self.refuses == Some(command);
        json!({
            "ts": 1, "ev": "reply", "cmd": command, "ok": !refused,
            "error": refused.then_some("not yet"), "members": rows, "process": { "cpu_ms": busy },
        })
    }
}

impl Members for Fake {
    fn elapsed(&self) -> Duration {
        self.now
    }

    fn spawn(&mut self, started: &str, _: &[&str]) -> Result<(), Stop> {
        let node = index(started);
        let moved = self.moves && self.starts[node] > 0;
        let port = if moved { 9 } else { 7000 + node };
        let (millisecond, two) = (Duration::from_millis(1), Duration::from_millis(2));
        let ready = json!({
            "ts": 1, "ev": "ready", "node": started, "pid": 1,
            "addr": format!("127.0.0.1:{port}"),
        });
        self.write(millisecond, node, &ready.to_string());
        self.starts[node] += 1;
        self.up[node] = true;
        self.all_say(two, "join", node);
        for other in (0..self.up.len()).filter(|other| *other != node) {
            if self.up[other] && self.blind != Some((node, other)) {
                self.write(two, node, &says("join", &name(other)));
            }
        }
        let again = if self.starts[node] > 1 { " again" } else { "" };
        self.did(&format!("start {started}{again}"));
        Ok(())
    }

    fn send(&mut self, told: &str, command: &str) {
        let (node, soon) = (index(told), Duration::from_millis(1));
        if command == "quit" {
            self.up[node] = false;
            self.later(soon, node, Observed::Exited(Some(self.exit_code)));
        } else {
            if command == "leave" {
                self.all_say(soon, "leave", node);
            }
            let reply = self.reply(command).to_string();
            self.write(soon, node, &reply);
        }
        self.did(&format!("{told} {command}"));
    }

    fn signal(&mut self, killed: &str, signal: Signal) {
        assert_eq!(signal, Signal::KILL);
        let node = index(killed);
        self.up[node] = false;
        if !self.immortal {
            self.later(Duration::ZERO, node, Observed::Exited(None));
        }
        self.all_say(self.detection, "fail", node);
        self.did(&format!("kill {killed}"));
    }

    fn next(&mut self, deadline: Duration) -> Result<Option<Observation>, Stop> {
        let Some(first) = self.queue.first_entry().filter(|first| first.key().0 <= deadline) else {
            self.now = self.now.max(deadline);
            return Ok(None);
        };
        let at = first.key().0;
        let (node, what) = first.remove();
        self.now = self.now.max(at);
        Ok(Some(Observation { name: name(node), at, what }))
    }
}

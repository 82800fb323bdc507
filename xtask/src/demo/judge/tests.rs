//! A made-up cluster plays before the judge: well, and then in every way that must fail.

use super::*;

#[test]
fn a_cluster_that_does_it_all_passes_and_every_step_is_timed() {
    for nodes in [3, 5, 20] {
        let mut stage = Stage::new(nodes, None);
        stage.play();
        assert_eq!(stage.judge.verdict(), Some(&Verdict::Passed), "{nodes} nodes");
        let steps = stage.steps();
        let phases: Vec<Phase> = steps.iter().map(|step| step.phase).collect();
        assert_eq!(
            phases,
            [Phase::Gather, Phase::Crash, Phase::Leave, Phase::Restart, Phase::Watch]
        );
        assert_eq!(steps[1].times.len(), nodes - 1);
        assert_eq!(steps[2].times.len(), nodes - 2);
        assert_eq!(steps[3].times.len(), nodes - 1);
        assert!(steps[1].spread()[0] >= DETECTION, "{:?}", steps[1]);
    }
}

#[test]
fn each_sabotage_fails_in_its_own_step() {
    for (sabotage, reason) in [
        (Sabotage::Crash, "waiting until all others see that n2 failed: n1 sees n2 alive"),
        (Sabotage::Leave, "waiting until all others see that n3 left: n1 sees n3 alive"),
        (Sabotage::Restart, "waiting until all see n2 alive again: n1 sees n2 failed"),
    ] {
        let mut stage = Stage::new(5, Some(sabotage));
        stage.play();
        assert!(stage.failure().contains(reason), "{sabotage:?}: {}", stage.failure());
    }
}

#[test]
fn one_node_that_never_sees_another_fails_the_gathering() {
    let mut stage = Stage::new(5, None);
    stage.blind = Some((3, 4));
    stage.play();
    assert!(
        stage.failure().contains("all 5 see each other: n4 sees n5 unknown"),
        "{}",
        stage.failure()
    );
}

#[test]
fn a_survivor_that_notices_too_late_fails_the_crash() {
    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Crash);
    stage.at += Duration::from_secs(3);
    for survivor in [0, 2, 3] {
        stage.say(survivor, 1, State::Failed);
    }
    stage.at += Duration::from_millis(22_001);
    stage.say(4, 1, State::Failed);
    assert!(stage.failure().contains("n5 sees n2 alive"), "{}", stage.failure());
}

#[test]
fn a_kill_that_ends_no_process_is_no_crash() {
    let mut stage = Stage::new(5, None);
    stage.immortal = true;
    stage.play();
    assert!(stage.failure().contains("waiting until all others see that n2 failed"));
}

#[test]
fn suspecting_the_living_fails() {
    for phase in [Phase::Gather, Phase::Crash, Phase::Leave, Phase::Restart, Phase::Watch] {
        let mut stage = Stage::new(5, None);
        stage.play_until(phase);
        stage.say(0, 3, State::Failed);
        assert!(stage.failure().contains("n1 says that n4 failed, which is not so"), "{phase:?}");
    }
}

#[test]
fn a_death_taken_for_a_leave_fails_and_a_leave_taken_for_a_death_too() {
    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Crash);
    stage.say(0, 1, State::Left);
    assert!(stage.failure().contains("n1 says that n2 left, which is not so"));

    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Quit);
    stage.say(0, 2, State::Failed);
    assert!(stage.failure().contains("n1 says that n3 failed, which is not so"));
}

#[test]
fn a_suspicion_that_is_cleared_is_no_failure() {
    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Watch);
    stage.say(0, 1, State::Suspect);
    stage.say(0, 1, State::Alive);
    stage.play();
    assert_eq!(stage.judge.verdict(), Some(&Verdict::Passed));
}

#[test]
fn the_restarted_node_must_stay_for_the_whole_watch() {
    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Watch);
    stage.at += Duration::from_secs(14);
    stage.say(0, 1, State::Failed);
    assert!(stage.failure().contains("n1 says that n2 failed"));

    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Watch);
    stage.judge.exited(1, Some(1), stage.at);
    assert!(stage.failure().contains("n2 ended with exit code 1 while watching"));
}

#[test]
fn the_restarted_node_must_have_its_old_port() {
    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Restart);
    stage.judge.observe(1, &Event::Ready("127.0.0.1:9".parse().unwrap()), stage.at);
    assert!(stage.failure().contains("restarted on 127.0.0.1:7001 but listens on 127.0.0.1:9"));
}

#[test]
fn the_last_answers_must_agree() {
    for (state, word) in [(Some(State::Suspect), "suspect"), (None, "missing")] {
        let mut stage = Stage::new(5, None);
        stage.final_view_of_victim = state;
        stage.play();
        assert!(stage.failure().contains(&format!("lists n2 as {word} at the end")));
    }
    let mut stage = Stage::new(5, None);
    stage.final_view_of_leaver = State::Alive;
    stage.play();
    assert!(stage.failure().contains("lists n3 as alive at the end"));
}

#[test]
fn a_process_that_ends_by_itself_or_badly_fails() {
    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Gather);
    stage.judge.exited(3, Some(2), stage.at);
    assert!(stage.failure().contains("n4 ended with exit code 2 while waiting until all 5"));

    let mut stage = Stage::new(5, None);
    stage.exit_code = 1;
    stage.play();
    assert!(stage.failure().contains("n3 ended with exit code 1 while waiting until n3 has quit"));
}

#[test]
fn a_refused_command_and_a_garbled_line_fail() {
    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Leave);
    let refused = Event::Reply {
        command: "leave".into(),
        error: Some("not yet".into()),
        members: Vec::new(),
    };
    stage.judge.observe(2, &refused, stage.at);
    assert_eq!(stage.failure(), "n3 refused the command leave: not yet");

    let mut stage = Stage::new(5, None);
    stage.judge.garbled(0, "hello", "expected value");
    assert!(stage.failure().contains("hello"));
}

#[test]
fn a_stranger_in_the_cluster_fails() {
    let mut stage = Stage::new(5, None);
    stage.play_until(Phase::Gather);
    stage.judge.observe(0, &Event::View("n9".into(), State::Alive), stage.at);
    assert!(stage.failure().contains("n1 speaks of n9"));
}

const DETECTION: Duration = Duration::from_secs(4);

/// A cluster that behaves, except where a field says otherwise.
struct Stage {
    judge: Judge,
    at: Duration,
    running: Vec<bool>,
    /// This one never sees that one.
    blind: Option<(usize, usize)>,
    /// A kill has no effect on the process, though the others lose sight of it.
    immortal: bool,
    exit_code: i32,
    final_view_of_victim: Option<State>,
    final_view_of_leaver: State,
}

impl Stage {
    fn new(nodes: usize, sabotage: Option<Sabotage>) -> Self {
        Self {
            judge: Judge::new(nodes, sabotage),
            at: Duration::ZERO,
            running: vec![false; nodes],
            blind: None,
            immortal: false,
            exit_code: 0,
            final_view_of_victim: Some(State::Alive),
            final_view_of_leaver: State::Left,
        }
    }

    fn steps(&mut self) -> Vec<Step> {
        std::iter::from_fn(|| self.judge.poll_step()).collect()
    }

    fn failure(&self) -> &str {
        match self.judge.verdict() {
            Some(Verdict::Failed(reason)) => reason,
            other => panic!("no failure: {other:?}"),
        }
    }

    /// Plays to the verdict.
    fn play(&mut self) {
        while self.judge.verdict().is_none() {
            self.turn();
        }
    }

    /// Plays until this phase has begun: its cause is carried out, and nobody has reacted.
    fn play_until(&mut self, phase: Phase) {
        while self.judge.phase != phase {
            assert_eq!(self.judge.verdict(), None);
            self.turn();
        }
        while let Some(action) = self.judge.poll_action() {
            self.judge.performed(&action, self.at);
        }
    }

    fn turn(&mut self) {
        let actions: Vec<Action> = std::iter::from_fn(|| self.judge.poll_action()).collect();
        if actions.is_empty() {
            self.at = self.judge.deadline();
            self.judge.tick(self.at);
        }
        for action in &actions {
            self.judge.performed(action, self.at);
        }
        for action in &actions {
            self.at += Duration::from_millis(1);
            self.react(action);
        }
    }

    fn react(&mut self, action: &Action) {
        match action {
            Action::Start { node, bind, .. } => self.appear(*node, *bind),
            Action::Kill { node } => {
                self.running[*node] = self.immortal;
                if !self.immortal {
                    self.judge.exited(*node, None, self.at);
                }
                self.at += DETECTION;
                self.all_say(*node, State::Failed);
            }
            Action::Command { node, command: "leave" } => {
                self.all_say(*node, State::Left);
                self.reply(*node, "leave", Vec::new());
            }
            Action::Command { node, command: "quit" } => {
                self.running[*node] = false;
                self.judge.exited(*node, Some(self.exit_code), self.at);
            }
            Action::Command { node, command } => {
                let members = (0..self.running.len())
                    .filter_map(|subject| {
                        let state = match subject {
                            1 => self.final_view_of_victim?,
                            2 => self.final_view_of_leaver,
                            _ => State::Alive,
                        };
                        Some((name(subject), state))
                    })
                    .collect();
                self.reply(*node, command, members);
            }
        }
    }

    fn appear(&mut self, node: usize, bind: SocketAddr) {
        let port = 7000 + u16::try_from(node).unwrap();
        assert!(bind.port() == 0 || bind.port() == port);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        self.judge.observe(node, &Event::Ready(address), self.at);
        self.running[node] = true;
        for other in 0..self.running.len() {
            if self.running[other] && other != node {
                self.say(other, node, State::Alive);
                self.say(node, other, State::Alive);
            }
        }
    }

    fn all_say(&mut self, subject: usize, state: State) {
        for observer in 0..self.running.len() {
            if self.running[observer] && observer != subject {
                self.say(observer, subject, state);
            }
        }
    }

    fn say(&mut self, observer: usize, subject: usize, state: State) {
        if self.blind != Some((observer, subject)) {
            self.judge.observe(observer, &Event::View(name(subject), state), self.at);
        }
    }

    fn reply(&mut self, node: usize, command: &str, members: Vec<(String, State)>) {
        let reply = Event::Reply { command: command.to_owned(), error: None, members };
        self.judge.observe(node, &reply, self.at);
    }
}

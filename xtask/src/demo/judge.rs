//! The script of the demo and its verdict.
//!
//! Actions come out; what was done, said and seen goes in, each with its time since the demo
//! began, so no clock is read here. Only events and the ends of processes count: a step that was
//! not carried out must make the demo fail.

mod report;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::bounds::Bounds;
use super::node_event::{Event, State};
use super::script::{Action, Phase, Sabotage, Step, Verdict, name};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Absent,
    Running,
    Killed,
    /// Asked to leave; still a process.
    Leaving,
    /// Asked to quit.
    Quitting,
    Gone,
}

struct Seat {
    life: Life,
    address: Option<SocketAddr>,
    ready: bool,
    /// It was asked to leave.
    dismissed: bool,
    /// It answered that it has left.
    left: bool,
    view: BTreeMap<usize, State>,
}

pub(super) struct Judge {
    sabotage: Option<Sabotage>,
    bounds: Bounds,
    seats: Vec<Seat>,
    victim: usize,
    leaver: usize,
    phase: Phase,
    /// When the phase's cause was carried out.
    since: Duration,
    /// Observers for whom the phase's goal holds, since when.
    reached: BTreeMap<usize, Duration>,
    actions: VecDeque<Action>,
    steps: VecDeque<Step>,
    verdict: Option<Verdict>,
}

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

impl Judge {
    /// A demo of `nodes` (at least 3) nodes that begins at time zero.
    pub(super) fn new(nodes: usize, sabotage: Option<Sabotage>) -> Self {
        let seat = |_| Seat {
            life: Life::Absent,
            address: None,
            ready: false,
            dismissed: false,
            left: false,
            view: BTreeMap::new(),
        };
        let first = Action::Start { node: 0, bind: ANY_PORT, join: Vec::new() };
        Self {
            sabotage,
            bounds: Bounds::new(nodes),
            seats: (0..nodes).map(seat).collect(),
            victim: 1,
            leaver: 2,
            phase: Phase::Open,
            since: Duration::ZERO,
            reached: BTreeMap::new(),
            actions: VecDeque::from([first]),
            steps: VecDeque::new(),
            verdict: None,
        }
    }

    /// The action was carried out at this time.
    pub(super) fn performed(&mut self, action: &Action, at: Duration) {
        match action {
            Action::Start { node, .. } => {
                let seat = &mut self.seats[*node];
                seat.life = Life::Running;
                seat.ready = false;
                seat.view.clear();
            }
            Action::Kill { node } => self.seats[*node].life = Life::Killed,
            Action::Command { node, command: "leave" } => {
                self.seats[*node].life = Life::Leaving;
                self.seats[*node].dismissed = true;
            }
            Action::Command { node, command: "quit" } => self.seats[*node].life = Life::Quitting,
            Action::Command { .. } => {}
        }
        self.since = at;
    }

    /// The node wrote this event to stdout.
    pub(super) fn observe(&mut self, node: usize, event: &Event, at: Duration) {
        self.tick(at);
        match event {
            Event::Ready(address) => {
                let known = *self.seats[node].address.get_or_insert(*address);
                if known != *address {
                    self.fail(format!(
                        "{} was restarted on {known} but listens on {address}",
                        name(node)
                    ));
                }
                self.seats[node].ready = true;
                self.seats[node].view.insert(node, State::Alive);
            }
            Event::View(about, state) => self.believe(node, about, *state),
            Event::Reply { command, error, members } => {
                self.answered(node, command, error.as_deref(), members, at);
            }
            Event::Other => {}
        }
        self.advance(at);
    }

    /// The node wrote a line that is no event.
    pub(super) fn garbled(&mut self, node: usize, line: &str, reason: &str) {
        self.fail(format!("{} wrote a line that is no event ({reason}): {line}", name(node)));
    }

    /// The node's process ended, with this exit code unless a signal ended it.
    pub(super) fn exited(&mut self, node: usize, code: Option<i32>, at: Duration) {
        self.tick(at);
        let life = std::mem::replace(&mut self.seats[node].life, Life::Gone);
        let expected = match life {
            Life::Killed => code.is_none(),
            Life::Quitting => code == Some(0),
            Life::Absent | Life::Running | Life::Leaving | Life::Gone => false,
        };
        if !expected {
            let how = code.map_or("a signal".to_owned(), |code| format!("exit code {code}"));
            self.fail(format!("{} ended with {how} while {}", name(node), self.doing()));
        }
        self.advance(at);
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, at: Duration) {
        if self.verdict.is_some() || at < self.deadline() {
            return;
        }
        if self.phase == Phase::Watch {
            self.steps.push_back(Step {
                phase: Phase::Watch,
                times: vec![at.saturating_sub(self.since)],
                bound: self.bounds.of(Phase::Watch),
            });
            self.enter(Phase::Confirm, at);
        } else {
            self.fail(self.what_is_missing());
        }
    }

    /// The next thing to do, until there is none.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The next step that succeeded, until there is none.
    pub(super) fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// When to call [`tick`](Self::tick), unless something happens before.
    pub(super) fn deadline(&self) -> Duration {
        self.since + self.bounds.of(self.phase)
    }

    pub(super) fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// What `observer` believes about `subject`.
    pub(super) fn view(&self, observer: usize, subject: usize) -> Option<State> {
        self.seats[observer].view.get(&subject).copied()
    }

    /// Whether the node is a running process, as far as the script knows.
    pub(super) fn is_up(&self, node: usize) -> bool {
        match self.seats[node].life {
            Life::Running | Life::Leaving | Life::Quitting => true,
            Life::Absent | Life::Killed | Life::Gone => false,
        }
    }

    fn believe(&mut self, node: usize, about: &str, state: State) {
        let Some(subject) = (0..self.seats.len()).find(|index| name(*index) == about) else {
            self.fail(format!("{} speaks of {about}, who is not of this cluster", name(node)));
            return;
        };
        self.seats[node].view.insert(subject, state);
        let seat = &self.seats[subject];
        let wrong = match state {
            State::Failed => seat.dismissed || seat.life == Life::Running,
            State::Left => !seat.dismissed,
            State::Alive | State::Suspect => false,
        };
        if wrong && self.phase != Phase::Close {
            self.fail(format!(
                "{} says that {about} {state}, which is not so ({})",
                name(node),
                self.doing()
            ));
        }
    }

    fn answered(
        &mut self,
        node: usize,
        command: &str,
        error: Option<&str>,
        members: &[(String, State)],
        at: Duration,
    ) {
        if let Some(error) = error {
            self.fail(format!("{} refused the command {command}: {error}", name(node)));
        } else if command == "leave" {
            self.seats[node].left = true;
        } else if command == "members" && self.phase == Phase::Confirm {
            let expected: Vec<usize> = self.members().collect();
            for subject in expected.iter().copied() {
                let told = members.iter().find(|(member, _)| *member == name(subject));
                if told.is_none_or(|(_, state)| *state != State::Alive) {
                    let told = told.map_or("missing", |(_, state)| state.word());
                    self.fail(format!(
                        "{} lists {} as {told} at the end",
                        name(node),
                        name(subject)
                    ));
                }
            }
            let ghost = members.iter().find(|(member, state)| {
                *state == State::Alive && !expected.iter().any(|node| name(*node) == *member)
            });
            if let Some((ghost, _)) = ghost {
                self.fail(format!("{} lists {ghost} as alive at the end", name(node)));
            }
            self.reached.insert(node, at);
        }
    }

    /// The nodes that should be members: running, and not asked to leave.
    fn members(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.seats.len()).filter(|node| self.seats[*node].life == Life::Running)
    }

    fn sees(&self, observer: usize, subject: usize, state: State) -> bool {
        self.view(observer, subject) == Some(state)
    }

    fn sees_alive(&self, observer: usize, mut subjects: impl Iterator<Item = usize>) -> bool {
        subjects.all(|subject| self.sees(observer, subject, State::Alive))
    }

    /// Whether the phase's goal holds for this observer.
    fn goal(&self, observer: usize) -> bool {
        let seat = &self.seats[observer];
        match self.phase {
            Phase::Open => seat.ready,
            Phase::Gather => seat.ready && self.sees_alive(observer, self.members()),
            Phase::Restart => {
                let all = self.members().chain([self.victim]);
                seat.ready && self.sees_alive(observer, all)
            }
            Phase::Crash => self.sees(observer, self.victim, State::Failed),
            Phase::Leave => self.sees(observer, self.leaver, State::Left),
            Phase::Confirm => self.reached.contains_key(&observer),
            Phase::Quit | Phase::Watch | Phase::Close => false,
        }
    }

    /// Those whose goal counts, in this phase.
    fn observers(&self) -> Vec<usize> {
        match self.phase {
            Phase::Open => vec![0],
            // In a sabotaged step the one concerned still runs, but is nobody's witness.
            Phase::Crash => self.members().filter(|node| *node != self.victim).collect(),
            Phase::Leave => self.members().filter(|node| *node != self.leaver).collect(),
            Phase::Gather | Phase::Restart | Phase::Confirm => self.members().collect(),
            Phase::Quit | Phase::Watch | Phase::Close => Vec::new(),
        }
    }

    fn advance(&mut self, at: Duration) {
        if self.verdict.is_some() || !self.actions.is_empty() {
            return;
        }
        let observers = self.observers();
        for observer in &observers {
            if self.goal(*observer) {
                self.reached.entry(*observer).or_insert(at);
            } else {
                self.reached.remove(observer);
            }
        }
        if !self.is_complete(&observers) {
            return;
        }
        let timed = [Phase::Gather, Phase::Crash, Phase::Leave, Phase::Restart];
        if timed.contains(&self.phase) {
            let mut times: Vec<Duration> =
                self.reached.values().map(|at| at.saturating_sub(self.since)).collect();
            times.sort_unstable();
            self.steps.push_back(Step {
                phase: self.phase,
                times,
                bound: self.bounds.of(self.phase),
            });
        }
        match self.phase {
            Phase::Open => self.enter(Phase::Gather, at),
            Phase::Gather => self.enter(Phase::Crash, at),
            Phase::Crash => self.enter(Phase::Leave, at),
            Phase::Leave => self.enter(Phase::Quit, at),
            Phase::Quit => self.enter(Phase::Restart, at),
            Phase::Restart => self.enter(Phase::Watch, at),
            Phase::Watch => self.enter(Phase::Confirm, at),
            Phase::Confirm => self.enter(Phase::Close, at),
            Phase::Close => self.verdict = Some(Verdict::Passed),
        }
    }

    fn is_complete(&self, observers: &[usize]) -> bool {
        let gone = |node: usize| self.seats[node].life == Life::Gone;
        match self.phase {
            Phase::Watch => false,
            Phase::Quit => gone(self.leaver),
            Phase::Close => (0..self.seats.len()).all(gone),
            Phase::Crash => gone(self.victim) && self.all_reached(observers),
            Phase::Leave => self.seats[self.leaver].left && self.all_reached(observers),
            Phase::Restart => {
                self.members().any(|node| node == self.victim) && self.all_reached(observers)
            }
            Phase::Open | Phase::Gather | Phase::Confirm => self.all_reached(observers),
        }
    }

    fn all_reached(&self, observers: &[usize]) -> bool {
        observers.iter().all(|observer| self.reached.contains_key(observer))
    }

    fn enter(&mut self, phase: Phase, at: Duration) {
        self.phase = phase;
        self.since = at;
        self.reached.clear();
        let members: Vec<usize> = self.members().collect();
        let tell =
            |command| members.iter().map(move |node| Action::Command { node: *node, command });
        let (victim, leaver) = (self.victim, self.leaver);
        let actions: Vec<Action> = match phase {
            Phase::Open | Phase::Watch => Vec::new(),
            Phase::Gather => (1..self.seats.len())
                .map(|node| Action::Start { node, bind: ANY_PORT, join: self.addresses(&[0]) })
                .collect(),
            Phase::Crash => vec![Action::Kill { node: victim }],
            Phase::Leave => vec![Action::Command { node: leaver, command: "leave" }],
            Phase::Quit => vec![Action::Command { node: leaver, command: "quit" }],
            Phase::Restart => vec![Action::Start {
                node: victim,
                bind: self.seats[victim].address.unwrap_or(ANY_PORT),
                join: self.addresses(&members),
            }],
            Phase::Confirm => tell("members").collect(),
            Phase::Close => tell("quit").collect(),
        };
        let skipped = match self.sabotage {
            Some(Sabotage::Crash) => phase == Phase::Crash,
            Some(Sabotage::Leave) => phase == Phase::Leave,
            Some(Sabotage::Restart) => phase == Phase::Restart,
            None => false,
        };
        if !skipped {
            self.actions.extend(actions);
        }
    }

    fn addresses(&self, nodes: &[usize]) -> Vec<SocketAddr> {
        nodes.iter().filter_map(|node| self.seats[*node].address).collect()
    }

    fn fail(&mut self, reason: String) {
        self.verdict.get_or_insert(Verdict::Failed(reason));
    }
}

#[cfg(test)]
mod tests;

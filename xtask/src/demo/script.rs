//! The script of the demo: what happens to the members, and what they owe their user for it.
//!
//! Only events, replies and the ends of processes count, never an intention: a step that was not
//! carried out makes it fail.

use std::net::SocketAddr;
use std::time::Duration;

use rustix::process::Signal;

use crate::Stop;
use crate::fleet::event::SeenState;
use crate::fleet::observer::Observer;
use crate::fleet::stage::{Stage, fail};
use crate::fleet::{MemberSpec, Members, Program};

/// Steps that can be left out to prove that the demo notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Sabotage {
    /// Kill nobody
    Crash,
    /// Let nobody leave
    Leave,
    /// Restart nobody
    Restart,
}

/// A step of the script that is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// All start and find each other.
    Gather,
    /// The second one is killed.
    Crash,
    /// The third one leaves.
    Leave,
    /// The killed one starts again.
    Restart,
    /// It stays alive, and nobody works for nothing.
    Watch,
}

impl Phase {
    /// Its word for `--json`.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Gather => "gather",
            Self::Crash => "crash",
            Self::Leave => "leave",
            Self::Restart => "restart",
            Self::Watch => "watch",
        }
    }

    /// How long it may take, or lasts in the case of [`Phase::Watch`].
    pub(super) fn bound(self, nodes: usize) -> Duration {
        let members = u32::try_from(nodes).unwrap_or(u32::MAX);
        match self {
            Self::Gather => Duration::from_millis(1500 + 100 * u64::from(members)),
            // Everybody probes each other member once in n - 1 intervals of 1 s, and a probe fails
            // after one more; a suspicion that others confirm lasts 4 max(1, log10 n) intervals.
            // As much again as the first failed probe takes on average is for a busy machine.
            Self::Crash => {
                let suspicion = 4.0 * f64::from(members).log10().max(1.0);
                Duration::from_secs_f64(f64::from(members) * 1.5 + suspicion)
            }
            Self::Leave => Duration::from_secs(1),
            Self::Restart => Duration::from_secs(2),
            Self::Watch => Duration::from_secs(15),
        }
    }
}

/// A step that succeeded: when each observer saw it, since its cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) phase: Phase,
    /// Ascending, never empty.
    pub(super) times: Vec<Duration>,
    pub(super) bound: Duration,
}

impl Step {
    /// Minimum, median and maximum.
    pub(super) fn spread(&self) -> [Duration; 3] {
        let last = self.times.len() - 1;
        let median = (self.times[last / 2] + self.times[last.div_ceil(2)]) / 2;
        [self.times[0], median, self.times[last]]
    }
}

/// Whoever shows the demo.
pub(super) trait Screen: Observer {
    fn step(&mut self, step: &Step, at: Duration);
}

/// A process that is idle uses at most so much of a core, in percent. Measured: 0.1.
const IDLE_PERCENT: u64 = 2;

/// The name of the node of this index.
pub(super) fn name(node: usize) -> String {
    format!("n{}", node + 1)
}

/// Plays the demo; returns its steps.
///
/// # Errors
/// What did not happen.
pub(super) fn play<F: Members, S: Screen>(
    stage: &mut Stage<F, S>,
    nodes: usize,
    sabotage: Option<Sabotage>,
) -> Result<Vec<Step>, Stop> {
    let names: Vec<String> = (0..nodes).map(name).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let steps = Vec::new();
    let mut demo = Demo { stage, all, victim: &names[1], leaver: &names[2], sabotage, steps };
    demo.stage.be_strict(true);
    demo.gather()?;
    demo.crash()?;
    demo.leave()?;
    demo.restart()?;
    demo.watch()?;
    demo.confirm()?;
    demo.close()?;
    Ok(demo.steps)
}

struct Demo<'a, F, S> {
    stage: &'a mut Stage<F, S>,
    all: Vec<&'a str>,
    victim: &'a str,
    leaver: &'a str,
    sabotage: Option<Sabotage>,
    steps: Vec<Step>,
}

impl<'a, F: Members, S: Screen> Demo<'a, F, S> {
    fn gather(&mut self) -> Result<(), Stop> {
        let first = self.stage.launch(&spec(self.all[0], &[]))?;
        for name in &self.all[1..] {
            self.stage.spawn(&spec(name, &[first]))?;
        }
        let (what, all) = (format!("all {} see each other", self.all.len()), self.all.clone());
        let since = self.stage.elapsed();
        self.timed((Phase::Gather, since), &what, &all, |stage, name| stage.sees_alive(name, &all))
    }

    fn crash(&mut self) -> Result<(), Stop> {
        let victim = self.victim;
        let others = self.all_but(&[victim]);
        let since = self.stage.elapsed();
        if self.sabotage != Some(Sabotage::Crash) {
            self.stage.signal(victim, Signal::KILL);
        }
        let what = format!("all others see that {victim} failed");
        self.timed((Phase::Crash, since), &what, &others, |stage, name| {
            stage.has_ended(victim) && stage.history(name).state(victim) == Some(SeenState::Failed)
        })
    }

    fn leave(&mut self) -> Result<(), Stop> {
        let leaver = self.leaver;
        let others = self.all_but(&[self.victim, leaver]);
        let since = self.stage.elapsed();
        if self.sabotage != Some(Sabotage::Leave) {
            self.stage.tell(leaver, "leave");
        }
        let what = format!("all others see that {leaver} left");
        self.timed((Phase::Leave, since), &what, &others, |stage, name| {
            !stage.history(leaver).replies.is_empty()
                && stage.history(name).state(leaver) == Some(SeenState::Left)
        })?;
        self.stage.reply(leaver)?;
        self.stage.tell(leaver, "quit");
        self.stage.ended(leaver)
    }

    fn restart(&mut self) -> Result<(), Stop> {
        let victim = self.victim;
        let (members, remaining) =
            (self.all_but(&[self.leaver]), self.all_but(&[self.leaver, victim]));
        let seeds: Vec<SocketAddr> = remaining
            .iter()
            .filter_map(|name| Some(self.stage.history(name).ready.as_ref()?.0))
            .collect();
        let since = self.stage.elapsed();
        if self.sabotage != Some(Sabotage::Restart) {
            self.stage.spawn(&spec(victim, &seeds))?;
        }
        let what = format!("all see {victim} alive again");
        self.timed((Phase::Restart, since), &what, &members, |stage, name| {
            stage.history(name).ready.is_some() && stage.sees_alive(name, &members)
        })
    }

    fn watch(&mut self) -> Result<(), Stop> {
        let members = self.all_but(&[self.leaver]);
        let (since, bound) = (self.stage.elapsed(), Phase::Watch.bound(members.len()));
        let before = self.processor_times(&members)?;
        let what = format!("{} stayed alive for {} s", self.victim, bound.as_secs());
        self.stage.observer.waits(&what);
        self.stage.watch(bound, |_| None)?;
        let watched = self.stage.elapsed().saturating_sub(since).as_millis();
        let after = self.processor_times(&members)?;
        for (name, (before, after)) in members.iter().zip(before.iter().zip(&after)) {
            let used = after.saturating_sub(*before);
            if u128::from(used) * 100 > watched * u128::from(IDLE_PERCENT) {
                return fail(format!(
                    "{name} used {used} ms of processor time in {watched} ms in which nothing \
                     happened: at most {IDLE_PERCENT} % are its due"
                ));
            }
        }
        self.done(Phase::Watch, vec![self.stage.elapsed().saturating_sub(since)]);
        Ok(())
    }

    /// Processor time of each so far, in milliseconds.
    fn processor_times(&mut self, members: &[&str]) -> Result<Vec<u64>, Stop> {
        let ask = |name: &&str| self.stage.count(name, "/process/cpu_ms");
        members.iter().map(ask).collect()
    }

    /// Everybody lists exactly the members.
    fn confirm(&mut self) -> Result<(), Stop> {
        let members = self.all_but(&[self.leaver]);
        for observer in &members {
            let rows = self.stage.list(observer)?;
            let lists = |name: &str| rows.get(name).map(|row| row.state);
            let wrong = |name: &&&str| lists(name) != Some(SeenState::Alive);
            if let Some(name) = members.iter().find(wrong) {
                let state = lists(name).map_or("missing", SeenState::word);
                return fail(format!("{observer} lists {name} as {state} at the end"));
            }
            let mut alive = rows.iter().filter(|(_, row)| row.state == SeenState::Alive);
            if let Some((name, _)) = alive.find(|(name, _)| !members.contains(&name.as_str())) {
                return fail(format!("{observer} lists {name} as alive at the end"));
            }
        }
        Ok(())
    }

    /// Everybody quits; who sees whom leave last does not matter.
    fn close(&mut self) -> Result<(), Stop> {
        self.stage.be_strict(false);
        let members = self.all_but(&[self.leaver]);
        for name in &members {
            self.stage.tell(name, "quit");
        }
        members.iter().try_for_each(|name| self.stage.ended(name))
    }

    fn all_but(&self, absent: &[&str]) -> Vec<&'a str> {
        self.all.iter().copied().filter(|name| !absent.contains(name)).collect()
    }

    /// Waits for the goal of a phase and times it since its cause.
    fn timed(
        &mut self,
        (phase, since): (Phase, Duration),
        what: &str,
        observers: &[&str],
        goal: impl Fn(&Stage<F, S>, &str) -> bool,
    ) -> Result<(), Stop> {
        let bound = phase.bound(self.all.len());
        let times = self.stage.wait_for_each(what, observers, bound, goal)?;
        self.done(phase, times.into_iter().map(|at| at.saturating_sub(since)).collect());
        Ok(())
    }

    fn done(&mut self, phase: Phase, times: Vec<Duration>) {
        let step = Step { phase, times, bound: phase.bound(self.all.len()) };
        self.stage.observer.step(&step, self.stage.elapsed());
        self.steps.push(step);
    }
}

fn spec(name: &str, join: &[SocketAddr]) -> MemberSpec {
    let join = join.to_vec();
    MemberSpec { join, ..MemberSpec::new(name, Program::Node) }.with(&["--profile", "lan"])
}

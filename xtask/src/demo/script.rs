//! The script of the demo: what happens to the members, and what they owe their user for it.
//!
//! Only events, replies and the ends of processes count, never an intention: a step that was not
//! carried out makes it fail.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::Stop;
use crate::fleet::Members;
use crate::fleet::event::SeenState;
use crate::fleet::reporter::{self, Reporter, milliseconds, spread};
use crate::fleet::stage::{Stage, fail};

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
    /// How long it may take, or lasts in the case of [`Phase::Watch`].
    pub(super) fn bound(self, nodes: usize) -> Duration {
        let members = u32::try_from(nodes).unwrap_or(u32::MAX);
        match self {
            Self::Gather => Duration::from_millis(1500 + 100 * u64::from(members)),
            // Its host refuses packets, and whoever is connected with it concludes from that what
            // is needed; here members have just met, so that a suspicion may have to do.
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
    /// Ascending.
    pub(super) times: Vec<Duration>,
    pub(super) bound: Duration,
}

impl Step {
    /// Its word for `--json`.
    pub(super) fn word(&self) -> &'static str {
        match self.phase {
            Phase::Gather => "gather",
            Phase::Crash => "crash",
            Phase::Leave => "leave",
            Phase::Restart => "restart",
            Phase::Watch => "watch",
        }
    }

    pub(super) fn figures(&self) -> Value {
        let [min, median, max] = spread(&self.times).map(milliseconds);
        json!({ "min_ms": min, "median_ms": median, "max_ms": max })
    }

    pub(super) fn brief(&self) -> String {
        let [min, median, max] = spread(&self.times).map(|time| time.as_secs_f64());
        match self.phase {
            Phase::Crash => {
                format!("crash seen after {min:.2}/{median:.2}/{max:.2} s (min/median/max)")
            }
            Phase::Watch => format!("still alive {max:.0} s later"),
            Phase::Gather | Phase::Leave | Phase::Restart => {
                format!("{} after {max:.3} s", self.word())
            }
        }
    }

    fn sentence(&self) -> String {
        let observers = self.times.len();
        let what = match self.phase {
            Phase::Gather => format!("all {observers} see each other, since the last start"),
            Phase::Crash => format!("{observers} saw the crash"),
            Phase::Leave => format!("{observers} saw the leave"),
            Phase::Restart => format!("{observers} see all alive after the restart"),
            Phase::Watch => "it stayed alive".to_owned(),
        };
        let [min, median, max] = spread(&self.times).map(|time| time.as_secs_f64());
        let bound = self.bound.as_secs_f64();
        format!("{what}: min {min:.3} s, median {median:.3} s, max {max:.3} s (bound {bound:.1} s)")
    }
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
pub(super) fn play<F: Members>(
    stage: &mut Stage<F>,
    reporter: &Reporter,
    nodes: usize,
    sabotage: Option<Sabotage>,
) -> Result<Vec<Step>, Stop> {
    let names: Vec<String> = (0..nodes).map(name).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let (victim, leaver) = (all[1], all[2]);
    let all_but = |absent: &[&str]| -> Vec<&str> {
        all.iter().copied().filter(|name| !absent.contains(name)).collect()
    };
    let (steps, members) = (Vec::new(), all_but(&[leaver]));
    let mut demo = Demo { stage, reporter, nodes, steps };
    demo.stage.strict = true;

    let first = demo.stage.launch(all[0], &["--evidence", "verdict"])?;
    for name in &all[1..] {
        demo.stage.spawn(name, &["--evidence", "verdict", "--join", &first])?;
    }
    let what = format!("all {nodes} see each other");
    demo.timed(Phase::Gather, &what, &all, |_| Ok(()), |stage, name| stage.sees_alive(name, &all))?;

    let kill = |stage: &mut Stage<F>| {
        if sabotage != Some(Sabotage::Crash) {
            stage.signal(victim, Signal::KILL);
        }
        Ok(())
    };
    let what = format!("all others see that {victim} failed");
    demo.timed(Phase::Crash, &what, &all_but(&[victim]), kill, |stage, name| {
        let failed = stage.member(name).state(victim) == Some(SeenState::Failed);
        failed && stage.member(victim).has_ended()
    })?;

    let leave = |stage: &mut Stage<F>| {
        if sabotage != Some(Sabotage::Leave) {
            stage.tell(leaver, "leave");
        }
        Ok(())
    };
    let what = format!("all others see that {leaver} left");
    demo.timed(Phase::Leave, &what, &all_but(&[victim, leaver]), leave, |stage, name| {
        let left = stage.member(name).state(leaver) == Some(SeenState::Left);
        left && !stage.member(leaver).replies.is_empty()
    })?;
    demo.stage.reply(leaver)?;
    demo.stage.tell(leaver, "quit");
    demo.stage.ended(leaver)?;

    let remaining = all_but(&[leaver, victim]);
    let seeds: Vec<String> = remaining.iter().map(|name| demo.stage.address(name)).collect();
    let seeds = seeds.join(",");
    let restart = |stage: &mut Stage<F>| match sabotage {
        Some(Sabotage::Restart) => Ok(()),
        _ => stage.spawn(victim, &["--evidence", "verdict", "--join", &seeds]),
    };
    let what = format!("all see {victim} alive again");
    demo.timed(Phase::Restart, &what, &members, restart, |stage, name| {
        stage.member(name).ready.is_some() && stage.sees_alive(name, &members)
    })?;

    demo.watch(&members, &format!("{victim} stayed alive"))?;
    demo.confirm(&members)?;
    // Who sees whom quit last does not matter.
    demo.stage.strict = false;
    members.iter().for_each(|name| demo.stage.tell(name, "quit"));
    members.iter().try_for_each(|name| demo.stage.ended(name))?;
    Ok(demo.steps)
}

struct Demo<'a, F> {
    stage: &'a mut Stage<F>,
    reporter: &'a Reporter,
    nodes: usize,
    steps: Vec<Step>,
}

impl<F: Members> Demo<'_, F> {
    /// Causes something, waits for the goal of a phase, and times it since its cause.
    fn timed(
        &mut self,
        phase: Phase,
        what: &str,
        observers: &[&str],
        cause: impl FnOnce(&mut Stage<F>) -> Result<(), Stop>,
        goal: impl Fn(&Stage<F>, &str) -> bool,
    ) -> Result<(), Stop> {
        let (since, bound) = (self.stage.elapsed(), phase.bound(self.nodes));
        cause(self.stage)?;
        let times = self.stage.wait_for_each(what, observers, bound, goal)?;
        self.done(phase, times.into_iter().map(|at| at.saturating_sub(since)).collect());
        Ok(())
    }

    fn done(&mut self, phase: Phase, times: Vec<Duration>) {
        let (step, at) =
            (Step { phase, times, bound: phase.bound(self.nodes) }, self.stage.elapsed());
        let mut fields = step.figures();
        fields["step"] = json!(step.word());
        fields["observers"] = json!(step.times.len());
        fields["bound_ms"] = json!(milliseconds(step.bound));
        self.reporter.object(at, "step", fields);
        self.reporter.line(&format!("{}  {}", reporter::clock(at), step.sentence()));
        self.steps.push(step);
    }

    fn watch(&mut self, members: &[&str], what: &str) -> Result<(), Stop> {
        let (since, bound) = (self.stage.elapsed(), Phase::Watch.bound(members.len()));
        let before = self.processor_times(members)?;
        self.stage.waits(&format!("{what} for {} s", bound.as_secs()));
        self.stage.watch(bound, |_| None)?;
        let watched = self.stage.elapsed().saturating_sub(since);
        let after = self.processor_times(members)?;
        for (name, (before, after)) in members.iter().zip(before.iter().zip(&after)) {
            let (used, watched) = (after.saturating_sub(*before), milliseconds(watched));
            if used * 100 > watched * IDLE_PERCENT {
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
        members.iter().map(|name| self.stage.count(name, "/process/cpu_ms")).collect()
    }

    /// Everybody lists exactly the members.
    fn confirm(&mut self, members: &[&str]) -> Result<(), Stop> {
        for observer in members {
            let rows = self.stage.list(observer)?;
            let others = rows.keys().map(String::as_str).filter(|name| !members.contains(name));
            for name in members.iter().copied().chain(others) {
                let state = rows.get(name).map(|row| row.state);
                if (state == Some(SeenState::Alive)) != members.contains(&name) {
                    let state = state.map_or("missing".to_owned(), |state| state.to_string());
                    return fail(format!("{observer} lists {name} as {state} at the end"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_with_minimum_median_and_maximum() {
        let step = |phase, milliseconds: &[u64]| {
            let times = milliseconds.iter().map(|time| Duration::from_millis(*time)).collect();
            Step { phase, times, bound: Duration::from_secs(25) }
        };
        let crash = step(Phase::Crash, &[4000, 5000, 6000, 9000]);
        let told = "4 saw the crash: min 4.000 s, median 5.500 s, max 9.000 s (bound 25.0 s)";
        assert_eq!(crash.sentence(), told);
        assert!(crash.brief().contains("4.00/5.50/9.00 s"));
        assert_eq!(step(Phase::Leave, &[17]).brief(), "leave after 0.017 s");
    }
}

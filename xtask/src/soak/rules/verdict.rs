//! What came of a soak: violations, exceptions with their ceilings, figures.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use crate::fleet::reporter::spread;
use crate::soak::model::Model;
use crate::soak::roles::Participants;

/// The rules of a soak by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::soak) enum Rule {
    /// Nobody who lives is declared dead, nobody who is gone is listed alive, no state returns.
    Safety,
    /// All lists are the same and true.
    Agreement,
    /// Messages, pings, streams and commands.
    Service,
    /// Memory, descriptors, threads, connections, handshakes, processor time.
    Resources,
    /// Errors and unexplained warnings.
    Logs,
}

/// What broke a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::soak) struct Violation {
    pub(in crate::soak) rule: Rule,
    pub(in crate::soak) at: Duration,
    /// Whom it concerns first; its log tells more.
    pub(in crate::soak) member: Option<usize>,
    pub(in crate::soak) what: String,
}

/// What an exception was made for; each needs evidence in the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::soak) enum Evidence {
    /// The Go peer itself reported that it was deaf, and something was missed for it.
    GoWasDeaf,
    /// It reported so, and a node warned that it answers streams but no packets.
    GoAnsweredNoPackets,
    /// The runner's own clock reads were late.
    MachineStoodStill,
}

impl Evidence {
    /// The most exceptions in a soak of this length: its share of an hour's, and two more.
    pub(in crate::soak) fn ceiling(self, participants: Participants, length: Duration) -> usize {
        let hourly = match self {
            Self::GoWasDeaf => 60 * participants.go,
            // Each deaf time is noticed by all of ours.
            Self::GoAnsweredNoPackets => 60 * participants.go * participants.members,
            Self::MachineStoodStill => 20,
        };
        let minutes = usize::try_from(length.as_secs().div_ceil(60)).unwrap_or(usize::MAX);
        hourly.saturating_mul(minutes).div_ceil(60) + 2
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::GoWasDeaf => "a Go member was deaf",
            Self::GoAnsweredNoPackets => "a deaf Go member answered no packets",
            Self::MachineStoodStill => "the machine stood still",
        })
    }
}

/// One miss in so many cases.
const CASES_A_MISS: usize = 20;

/// How fast something happened in many cases, and how often it was missed.
///
/// It allows one miss, or one in twenty where there are more cases; never all. Its median may be
/// twice the usual one.
#[derive(Debug, Clone)]
pub(in crate::soak) struct Statistic {
    pub(in crate::soak) name: &'static str,
    /// How long each took that was in time, ascending.
    pub(in crate::soak) times: Vec<Duration>,
    /// Who missed what when: too late, or never.
    pub(in crate::soak) missed: Vec<String>,
    usual: Duration,
    rule: Rule,
}

impl Statistic {
    pub(super) fn new(name: &'static str, usual: Duration, rule: Rule) -> Self {
        Self { name, times: Vec::new(), missed: Vec::new(), usual, rule }
    }

    /// One more case: how long it took, or `None` for a miss, of something at `at` about a
    /// member, by an observer.
    pub(super) fn add(
        &mut self,
        took: Option<Duration>,
        (judge, at): (&Judge<'_>, Duration),
        (about, observer): (usize, usize),
    ) {
        match took {
            Some(took) => {
                self.times.insert(self.times.partition_point(|other| *other < took), took);
            }
            None => {
                let (about, observer) = (judge.name(about), judge.name(observer));
                self.missed.push(format!("{observer} of {about} at {:.1} s", at.as_secs_f64()));
            }
        }
    }

    pub(in crate::soak) fn cases(&self) -> usize {
        self.times.len() + self.missed.len()
    }

    /// What is wrong with it, if anything is.
    fn complaint(&self) -> Option<String> {
        let (cases, misses, name) = (self.cases(), self.missed.len(), self.name);
        let allowed = (cases / CASES_A_MISS).max(1).min(cases.saturating_sub(1));
        if misses > allowed {
            let missed = self.missed.join(", ");
            return Some(format!(
                "{misses} of {cases} {name}: late or missing; at most {allowed} ({missed})"
            ));
        }
        let ([_, median, _], most) = (spread(&self.times), self.usual * 2);
        (median > most).then(|| {
            format!("the median of {cases} {name} is {median:.1?}, of which {most:.1?} is the most")
        })
    }
}

/// What came of a soak.
#[derive(Debug, Default)]
pub(in crate::soak) struct Verdict {
    pub(in crate::soak) violations: Vec<Violation>,
    pub(in crate::soak) exceptions: BTreeMap<Evidence, usize>,
    pub(in crate::soak) statistics: Vec<Statistic>,
    /// How much was judged, by what it was.
    pub(in crate::soak) judged: BTreeMap<&'static str, usize>,
    /// The highest use of each resource, by what it was.
    pub(in crate::soak) most: BTreeMap<&'static str, f64>,
}

/// What the rules read, and the verdict that they write.
pub(super) struct Judge<'a> {
    model: Model<'a>,
    pub(super) verdict: RefCell<Verdict>,
}

impl<'a> Deref for Judge<'a> {
    type Target = Model<'a>;

    fn deref(&self) -> &Self::Target {
        &self.model
    }
}

impl<'a> Judge<'a> {
    pub(super) fn new(model: Model<'a>) -> Self {
        Self { model, verdict: RefCell::default() }
    }

    /// Something about a member, or about none in particular, breaks a rule.
    pub(super) fn breaks(
        &self,
        rule: Rule,
        at: Duration,
        member: impl Into<Option<usize>>,
        what: String,
    ) {
        let member = member.into();
        self.verdict.borrow_mut().violations.push(Violation { rule, at, member, what });
    }

    pub(super) fn count(&self, what: &'static str, many: usize) {
        if many > 0 {
            *self.verdict.borrow_mut().judged.entry(what).or_default() += many;
        }
    }

    pub(super) fn measure(&self, what: &'static str, value: f64) {
        let mut verdict = self.verdict.borrow_mut();
        let most = verdict.most.entry(what).or_insert(value);
        *most = most.max(value);
    }

    /// Makes an exception where there is evidence: some of these Go members were deaf, or the
    /// machine stood still.
    pub(super) fn excuses(&self, who: &[usize], from: Duration, to: Duration) -> bool {
        if who.iter().any(|member| self.was_deaf(*member, from, to)) {
            self.except(Evidence::GoWasDeaf);
        } else if self.stood_still(from, to) {
            self.except(Evidence::MachineStoodStill);
        } else {
            return false;
        }
        true
    }

    pub(super) fn except(&self, evidence: Evidence) {
        *self.verdict.borrow_mut().exceptions.entry(evidence).or_default() += 1;
    }

    /// Adds a statistic, with what is wrong with it.
    pub(super) fn conclude(&self, statistic: Statistic) {
        if let Some(complaint) = statistic.complaint() {
            self.breaks(statistic.rule, self.end, None, complaint);
        }
        self.verdict.borrow_mut().statistics.push(statistic);
    }
}

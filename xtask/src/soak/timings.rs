//! How fast a change reaches those who must hear of it.
//!
//! Each change has its observers, all of them well when it happened. One who gets into trouble
//! before he has heard is no witness any more; one who hears late, or never, is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::time_bounds::Bounds;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ChangeKind {
    Death,
    Departure,
    /// It is back, with its new metadata.
    Return,
    /// It has new metadata.
    Update,
}

/// So many must hear in time; chance and a busy machine may delay the others.
const PROMPT_PERCENT: usize = 95;
/// Fewer cases than this are no statistic.
const ENOUGH: usize = 20;

struct Change {
    kind: ChangeKind,
    subject: usize,
    at: Duration,
    waiting: BTreeSet<usize>,
}

/// The figures for one kind of change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Figures {
    /// When each heard, since the cause; ascending.
    pub(super) times: Vec<Duration>,
    /// How many of these were late, and how many never heard.
    pub(super) late: usize,
    pub(super) never: usize,
}

pub(super) struct Timings {
    bounds: Bounds,
    open: Vec<Change>,
    figures: BTreeMap<ChangeKind, Figures>,
}

impl ChangeKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Death => "death",
            Self::Departure => "departure",
            Self::Return => "return",
            Self::Update => "new metadata",
        }
    }

    /// Who hears later than this is late.
    pub(super) fn bound(self, bounds: Bounds) -> Duration {
        match self {
            Self::Death => bounds.detection(),
            Self::Departure | Self::Return | Self::Update => bounds.spread(),
        }
    }
}

impl Figures {
    pub(super) fn median(&self) -> Duration {
        self.times.get(self.times.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }

    pub(super) fn longest(&self) -> Duration {
        self.times.last().copied().unwrap_or_default()
    }

    /// All that were to hear.
    pub(super) fn cases(&self) -> usize {
        self.times.len() + self.never
    }
}

impl Timings {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { bounds, open: Vec::new(), figures: BTreeMap::new() }
    }

    /// Something happened to the subject, and these must hear of it. Earlier changes of the same
    /// kind are old by that.
    pub(super) fn begin(
        &mut self,
        kind: ChangeKind,
        subject: usize,
        observers: impl Iterator<Item = usize>,
        at: Duration,
    ) {
        self.supersede(subject, at);
        self.open.push(Change { kind, subject, at, waiting: observers.collect() });
    }

    /// Something else happened to the subject: who has not heard by now need not, but had he
    /// been told in time he would have.
    pub(super) fn supersede(&mut self, subject: usize, at: Duration) {
        self.settle(|change| change.subject == subject, at);
    }

    /// The observer heard it.
    pub(super) fn heard(
        &mut self,
        kind: ChangeKind,
        subject: usize,
        observer: usize,
        at: Duration,
    ) {
        for change in &mut self.open {
            if change.kind == kind && change.subject == subject && change.waiting.remove(&observer)
            {
                let took = at.saturating_sub(change.at);
                let figures = self.figures.entry(kind).or_default();
                let place = figures.times.partition_point(|other| *other < took);
                figures.times.insert(place, took);
                figures.late += usize::from(took > kind.bound(self.bounds));
            }
        }
        self.open.retain(|change| !change.waiting.is_empty());
    }

    /// The observer is in trouble and no witness.
    pub(super) fn excuse(&mut self, observer: usize) {
        for change in &mut self.open {
            change.waiting.remove(&observer);
        }
    }

    /// Closes what nobody needs to wait for any longer.
    pub(super) fn tick(&mut self, at: Duration) {
        let oldest = self.bounds.detection().max(self.bounds.repair());
        self.settle(|change| at > change.at + oldest, at);
    }

    fn settle(&mut self, which: impl Fn(&Change) -> bool, at: Duration) {
        for change in self.open.extract_if(.., |change| which(change)) {
            if at.saturating_sub(change.at) > change.kind.bound(self.bounds) {
                self.figures.entry(change.kind).or_default().never += change.waiting.len();
            }
        }
    }

    pub(super) fn figures(&self) -> &BTreeMap<ChangeKind, Figures> {
        &self.figures
    }

    /// What is slower than it should be as a rule.
    pub(super) fn complaints(&self) -> Vec<String> {
        let mut complaints = Vec::new();
        for (kind, figures) in &self.figures {
            let (cases, bad) = (figures.cases(), figures.late + figures.never);
            if cases >= ENOUGH && bad * 100 > cases * (100 - PROMPT_PERCENT) {
                complaints.push(format!(
                    "{bad} of {cases} members heard of a {} late (after {:.1} s) or never",
                    kind.word(),
                    kind.bound(self.bounds).as_secs_f64()
                ));
            }
            let confirmed = self.bounds.confirmed_detection();
            if *kind == ChangeKind::Death && cases >= ENOUGH && figures.median() > confirmed {
                complaints.push(format!(
                    "deaths are known after {:.1} s (median), which is as if nobody confirmed \
                     suspicions (then at most {:.1} s)",
                    figures.median().as_secs_f64(),
                    confirmed.as_secs_f64()
                ));
            }
        }
        complaints
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Thirty changes, of which each of two observers hears after so many seconds.
    fn thirty(kind: ChangeKind, heard: impl Fn(u64) -> Option<u64>) -> Timings {
        let mut timings = Timings::new(Bounds::new(10));
        for index in 0..30 {
            let at = seconds(100 * index);
            timings.begin(kind, 3, [1, 2].into_iter(), at);
            for observer in [1, 2] {
                if let Some(after) = heard(index) {
                    timings.heard(kind, 3, observer, at + seconds(after));
                }
            }
            timings.tick(at + seconds(99));
        }
        timings
    }

    #[test]
    fn a_prompt_update_is_no_cause_for_complaint() {
        let timings = thirty(ChangeKind::Update, |_| Some(1));
        assert_eq!(timings.complaints(), [""; 0]);
        let figures = &timings.figures()[&ChangeKind::Update];
        assert_eq!((figures.cases(), figures.late, figures.never), (60, 0, 0));
        assert_eq!((figures.median(), figures.longest()), (seconds(1), seconds(1)));
    }

    #[test]
    fn late_and_lost_updates_are_noticed() {
        assert_eq!(thirty(ChangeKind::Update, |_| Some(20)).complaints().len(), 1);
        assert_eq!(
            thirty(ChangeKind::Departure, |index| (index % 3 > 0).then_some(1)).complaints().len(),
            1
        );
        assert!(
            thirty(ChangeKind::Return, |index| (index > 0).then_some(1)).complaints().is_empty()
        );
    }

    #[test]
    fn deaths_that_nobody_confirms_are_noticed() {
        assert!(thirty(ChangeKind::Death, |_| Some(12)).complaints().is_empty());
        assert_eq!(thirty(ChangeKind::Death, |_| Some(28)).complaints().len(), 1);
    }

    #[test]
    fn the_troubled_are_no_witnesses_and_old_updates_need_not_be_heard() {
        let mut timings = Timings::new(Bounds::new(10));
        timings.begin(ChangeKind::Death, 3, [1, 2].into_iter(), seconds(0));
        timings.excuse(1);
        timings.supersede(3, seconds(5));
        timings.heard(ChangeKind::Death, 3, 2, seconds(6));
        timings.tick(seconds(100));
        assert!(timings.figures().is_empty());
    }
}

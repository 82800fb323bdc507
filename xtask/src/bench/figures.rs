//! What contestants report, and what is computed from it.

use std::collections::BTreeMap;

use comfy_table::Table;
use serde_json::{Value, json};

/// The report of one contestant about one cluster.
#[derive(serde::Deserialize)]
pub(super) struct Report {
    members: u16,
    formed_ms: Option<f64>,
    resident_bytes: f64,
    connections: f64,
    quiet: Option<Quiet>,
    missing: usize,
    metadata_ms: Option<Vec<Option<f64>>>,
    leave_ms: Option<Vec<Option<f64>>>,
    crash_ms: Option<Vec<Option<f64>>>,
}

#[derive(serde::Deserialize)]
struct Quiet {
    ms: f64,
    cpu_ms: f64,
    bytes: f64,
}

/// One thing that is compared. Less is better with each.
pub(super) struct Measure {
    pub(super) name: &'static str,
    values: fn(&Report) -> Vec<Option<f64>>,
}

/// All of them. What did not happen in time is `None`.
pub(super) const MEASURES: [Measure; 8] = [
    Measure {
        name: "all see all, 8 joining at once, s",
        values: |r| vec![r.formed_ms.map(|ms| ms / 1e3)],
    },
    Measure {
        name: "resident MiB a member",
        values: |r| r.quietly(r.resident_bytes / 1_048_576.0),
    },
    Measure { name: "connections a member", values: |r| r.quietly(r.connections) },
    Measure {
        name: "processor s a member and minute",
        values: |r| r.while_quiet(|quiet| quiet.cpu_ms / quiet.ms * 60.0),
    },
    Measure {
        name: "bytes a member and second",
        values: |r| r.while_quiet(|quiet| quiet.bytes / quiet.ms * 1e3),
    },
    Measure { name: "metadata seen by all, s", values: |r| seconds(r.metadata_ms.as_deref()) },
    Measure { name: "leave seen by all, s", values: |r| seconds(r.leave_ms.as_deref()) },
    Measure { name: "crash seen by all, s", values: |r| seconds(r.crash_ms.as_deref()) },
];

impl Report {
    /// Once formed: what all members have together, for each.
    fn quietly(&self, all: f64) -> Vec<Option<f64>> {
        self.quiet.iter().map(|_| Some(all / f64::from(self.members))).collect()
    }

    fn while_quiet(&self, all: impl Fn(&Quiet) -> f64) -> Vec<Option<f64>> {
        self.quiet.iter().map(|quiet| Some(all(quiet) / f64::from(self.members))).collect()
    }
}

fn seconds(times: Option<&[Option<f64>]>) -> Vec<Option<f64>> {
    times.unwrap_or_default().iter().map(|time| time.map(|ms| ms / 1e3)).collect()
}

/// The middle of several values, and the least and the most of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    /// How many did not happen in time; the others alone are counted.
    pub(super) missed: usize,
}

impl Spread {
    fn of(values: &[Option<f64>]) -> Option<Self> {
        let mut happened: Vec<f64> = values.iter().copied().flatten().collect();
        happened.sort_by(f64::total_cmp);
        let (least, most) = (*happened.first()?, *happened.last()?);
        let median =
            f64::midpoint(happened[(happened.len() - 1) / 2], happened[happened.len() / 2]);
        Some(Self { median, least, most, missed: values.len() - happened.len() })
    }
}

/// The reports of one run.
pub(super) struct Figures {
    pub(super) contestants: Vec<&'static str>,
    reports: BTreeMap<u16, Vec<(usize, Report)>>,
}

impl Figures {
    pub(super) fn new(contestants: Vec<&'static str>) -> Self {
        Self { contestants, reports: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, contestant: usize, members: u16, report: Report) {
        self.reports.entry(members).or_default().push((contestant, report));
    }

    /// Whether a cluster of this contestant did not form, or lacked members afterwards.
    pub(super) fn has_failure(&self, contestant: usize) -> bool {
        let mut own = self.reports.values().flatten().filter(|(one, _)| *one == contestant);
        own.any(|(_, report)| report.formed_ms.is_none() || report.missing > 0)
    }

    pub(super) fn sizes(&self) -> impl Iterator<Item = u16> {
        self.reports.keys().copied()
    }

    /// All rounds of a contestant with this many members together.
    pub(super) fn spread(
        &self,
        measure: &Measure,
        contestant: usize,
        members: u16,
    ) -> Option<Spread> {
        let reports = self.reports.get(&members)?;
        let own = reports.iter().filter(|(one, _)| *one == contestant);
        let values: Vec<_> = own.flat_map(|(_, report)| (measure.values)(report)).collect();
        Spread::of(&values)
    }

    /// Medians with their spread; of the others also how much of theirs ours is.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(comfy_table::presets::ASCII_MARKDOWN);
        table.set_header(["N", "what"].into_iter().chain(self.contestants.iter().copied()));
        for members in self.sizes() {
            for measure in &MEASURES {
                let ours = self.spread(measure, 0, members);
                let cells = (0..self.contestants.len()).map(|contestant| {
                    match (self.spread(measure, contestant, members), ours) {
                        (None, _) => "not in time".to_owned(),
                        (Some(theirs), Some(ours)) if contestant > 0 && theirs.median > 0.0 => {
                            format!("{} (ours × {:.2})", shown(theirs), ours.median / theirs.median)
                        }
                        (Some(spread), _) => shown(spread),
                    }
                });
                let row = [members.to_string(), measure.name.to_owned()];
                table.add_row(row.into_iter().chain(cells));
            }
        }
        table
    }

    pub(super) fn as_json(&self) -> Value {
        let mut rows = Vec::new();
        for members in self.sizes() {
            for measure in &MEASURES {
                for (place, contestant) in self.contestants.iter().enumerate() {
                    let spread = self.spread(measure, place, members);
                    rows.push(json!({
                        "members": members,
                        "what": measure.name,
                        "contestant": contestant,
                        "median": spread.map(|spread| spread.median),
                        "least": spread.map(|spread| spread.least),
                        "most": spread.map(|spread| spread.most),
                        "missed": spread.map(|spread| spread.missed),
                    }));
                }
            }
        }
        Value::Array(rows)
    }
}

fn shown(Spread { median, least, most, missed }: Spread) -> String {
    let range = if least < most { format!(" ({least:.3} to {most:.3})") } else { String::new() };
    let missed = if missed > 0 { format!(", {missed} not in time") } else { String::new() };
    format!("{median:.3}{range}{missed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> Report {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn figures_are_medians_for_each_member_and_ratios_are_ours_to_theirs() {
        let one = |formed: u16, bytes: u16| {
            report(&format!(
                r#"{{"members": 10, "formed_ms": {formed}, "resident_bytes": 10485760,
                "connections": 90, "quiet": {{"ms": 5000, "cpu_ms": 50, "bytes": {bytes}}},
                "missing": 0, "metadata_ms": [200, 400, null], "leave_ms": [], "crash_ms": []}}"#
            ))
        };
        let mut figures = Figures::new(vec!["ours", "theirs"]);
        figures.add(0, 10, one(500, 10_000));
        figures.add(0, 10, one(700, 20_000));
        figures.add(0, 10, one(600, 30_000));
        figures.add(1, 10, one(1_200, 40_000));
        let median = |place: usize, contestant| {
            figures.spread(&MEASURES[place], contestant, 10).map(|spread| spread.median)
        };
        assert_eq!((median(0, 0), median(0, 1)), (Some(0.6), Some(1.2)));
        assert_eq!((median(1, 0), median(2, 0)), (Some(1.0), Some(9.0)));
        assert_eq!((median(3, 0), median(4, 0)), (Some(0.06), Some(400.0)));
        let metadata = figures.spread(&MEASURES[5], 1, 10).unwrap();
        assert_eq!((metadata.least, metadata.most, metadata.missed), (0.2, 0.4, 1));
        assert_eq!(figures.spread(&MEASURES[7], 0, 10), None);
        assert!(figures.table().to_string().contains("1.200 (ours × 0.50)"));
        assert!(!figures.has_failure(0));
    }

    #[test]
    fn a_cluster_that_did_not_form_is_a_failure_and_no_figure() {
        let unformed = r#"{"members": 10, "formed_ms": null, "resident_bytes": 0,
            "connections": 0, "quiet": null, "missing": 3, "metadata_ms": null, "leave_ms": null,
            "crash_ms": null}"#;
        let mut figures = Figures::new(vec!["ours"]);
        figures.add(0, 10, report(unformed));
        assert!(figures.has_failure(0));
        assert!(MEASURES.iter().all(|measure| figures.spread(measure, 0, 10).is_none()));
    }
}

//! What an experiment consists of: jobs, what each measured, and the table of all measures.

use std::fmt;
use std::ops::Range;

/// How large an experiment is.
#[derive(Clone, Debug, Default)]
pub struct Size {
    /// How many members; each scenario has its own default.
    pub members: Option<usize>,
    /// The whole grid instead of a sample of it.
    pub full: bool,
    /// Only these repetitions of each cell of a grid, so that a long experiment can be run in
    /// parts; by default all.
    pub repetitions: Option<Range<u64>>,
}

/// An experiment: its runs, and how to read them.
pub struct Scenario {
    /// What it does.
    pub about: &'static str,
    /// What its figures are to be held against, and where that comes from.
    pub anchor: &'static str,
    /// The runs, which do not depend on each other.
    pub jobs: Vec<Job>,
    pub(crate) summarize: fn(&[Measure]) -> Table,
}

/// One run of an experiment.
pub struct Job(Box<dyn Fn() -> Measure + Send + Sync>);

/// What a run measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measure {
    /// Which row of the table it belongs to.
    pub row: String,
    /// What was measured, by column.
    pub values: Vec<(&'static str, f64)>,
    /// Why the run does not count as passed, if it does not.
    pub failure: Option<String>,
}

/// The figures of an experiment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The heads of the columns; the first one heads the names of the rows.
    pub columns: Vec<String>,
    /// The name of each row and its figures.
    pub rows: Vec<(String, Vec<f64>)>,
    /// What did not end as it must.
    pub failures: Vec<String>,
}

impl Scenario {
    /// Makes the table of the measures of all jobs.
    #[must_use]
    pub fn summarize(&self, measures: &[Measure]) -> Table {
        (self.summarize)(measures)
    }
}

impl Job {
    pub(crate) fn new(run: impl Fn() -> Measure + Send + Sync + 'static) -> Self {
        Self(Box::new(run))
    }

    /// Runs it to its end; takes seconds to minutes.
    #[must_use]
    pub fn run(&self) -> Measure {
        (self.0)()
    }
}

/// A table with one row for each measure.
pub(crate) fn one_row_each(measures: &[Measure]) -> Table {
    let mut columns = vec!["run".to_owned()];
    if let Some(first) = measures.first() {
        columns.extend(first.values.iter().map(|(name, _)| (*name).to_owned()));
    }
    Table {
        columns,
        rows: measures
            .iter()
            .map(|measure| {
                let values = measure.values.iter().map(|(_, value)| *value).collect();
                (measure.row.clone(), values)
            })
            .collect(),
        failures: measures.iter().filter_map(|measure| measure.failure.clone()).collect(),
    }
}

/// The measures of one row.
pub(crate) struct Row<'a> {
    name: &'a str,
    measures: Vec<&'a Measure>,
}

impl Row<'_> {
    pub(crate) fn name(&self) -> &str {
        self.name
    }

    /// All values of a column, the lowest first.
    pub(crate) fn values(&self, column: &str) -> Vec<f64> {
        let all = self.measures.iter().flat_map(|it| it.values.iter());
        let mut values: Vec<f64> =
            all.filter(|(head, _)| *head == column).map(|(_, value)| *value).collect();
        values.sort_by(f64::total_cmp);
        values
    }
}

/// The figures of each row, in the order in which rows were measured.
pub(crate) fn by_row(
    measures: &[Measure],
    mut figures: impl FnMut(&Row<'_>) -> Vec<f64>,
) -> Vec<(String, Vec<f64>)> {
    let mut names: Vec<&str> = measures.iter().map(|measure| measure.row.as_str()).collect();
    names.dedup();
    let rows = names.into_iter().map(|name| {
        let of_row = measures.iter().filter(|measure| measure.row == name);
        let row = Row { name, measures: of_row.collect() };
        (name.to_owned(), figures(&row))
    });
    rows.collect()
}

/// The value below which so many per cent of these are, lowest first; 0 if there is none.
pub(crate) fn quantile(values: &[f64], per_cent: usize) -> f64 {
    let place = (values.len() * per_cent / 100).min(values.len().saturating_sub(1));
    values.get(place).copied().unwrap_or_default()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.rows.iter().map(|(name, _)| name.len());
        let width = names.chain(self.columns.first().map(String::len)).max().unwrap_or(0);
        let mut heads = self.columns.iter();
        write!(f, "{:<width$}", heads.next().map_or("", String::as_str))?;
        for head in heads {
            write!(f, "  {head:>12}")?;
        }
        writeln!(f)?;
        for (name, values) in &self.rows {
            write!(f, "{name:<width$}")?;
            for (value, head) in values.iter().zip(self.columns.iter().skip(1)) {
                let width = head.len().max(12);
                if value.fract() == 0.0 {
                    write!(f, "  {value:>width$.0}")?;
                } else {
                    write!(f, "  {value:>width$.2}")?;
                }
            }
            writeln!(f)?;
        }
        for failure in &self.failures {
            writeln!(f, "FAILED: {failure}")?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "figures for people; counts are far below 2^52")]
pub(crate) fn number(count: u64) -> f64 {
    count as f64
}

pub(crate) fn length<T>(items: &[T]) -> f64 {
    number(items.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_every_figure_and_failure() {
        let measure = Measure {
            row: "first".to_owned(),
            values: vec![("seconds", 1.5), ("deaths", 3.0)],
            failure: Some("views differ".to_owned()),
        };
        let text = one_row_each(&[measure]).to_string();
        for part in ["run", "seconds", "deaths", "first", "1.50", "3", "FAILED: views differ"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}

//! What a member counts, in the form in which monitoring systems take it: a fixed list of series,
//! with a value each.

#[cfg(feature = "metrics")]
mod recording;
mod series;
mod snapshot;
mod text;

#[cfg(test)]
mod tests;

pub use series::{Series, SeriesKind, SeriesUnit};
pub(crate) use snapshot::{HeldMemory, Snapshot};

/// What one member counted, at one moment: a value for each [`Series`], in their order.
///
/// Printed, it is the text that Prometheus scrapes (format 0.0.4); [`text`](Self::text) adds labels
/// to it. With the feature `metrics` it can be recorded to the facade of the crate `metrics`.
///
/// ```no_run
/// # use swim_quic::Cluster;
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let metrics = cluster.metrics()?;
/// print!("{}", metrics.text(&[("member", "ada")]));
/// for sample in metrics.iter() {
///     println!("{} = {}", sample.series.name(), sample.value);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Metrics {
    values: Vec<u64>,
}

/// The value of one series.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sample {
    /// What it is a value of.
    pub series: &'static Series,
    /// In the unit of the series.
    pub value: u64,
}

impl Metrics {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        Self { values: Series::all().iter().map(|series| series.value(snapshot)).collect() }
    }

    /// The samples, at most 60, always the same ones in the same order.
    pub fn iter(&self) -> impl Iterator<Item = Sample> {
        let samples = Series::all().iter().zip(&self.values);
        samples.map(|(series, value)| Sample { series, value: *value })
    }
}

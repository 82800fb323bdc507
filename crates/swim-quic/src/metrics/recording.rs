//! To the facade of the crate `metrics`, and whatever exporter the application has installed.

use ::metrics::{Key, KeyName, Label, Level, Metadata, Unit, with_recorder};

use super::{Metrics, Series, SeriesKind, SeriesUnit};

const METADATA: Metadata<'_> = Metadata::new("swim_quic", Level::INFO, Some("swim_quic::metrics"));

/// Under the feature `metrics`.
impl Metrics {
    /// Tells the recorder of the crate `metrics` what each series is. Once is enough, after the
    /// recorder is installed.
    ///
    /// ```
    /// # use swim_quic::Metrics;
    /// // After the exporter is installed.
    /// Metrics::describe();
    /// ```
    pub fn describe() {
        with_recorder(|recorder| {
            for series in Series::all() {
                let (name, help) = (KeyName::from_const_str(series.name()), series.help().into());
                let unit = match series.unit() {
                    SeriesUnit::Bytes => Some(Unit::Bytes),
                    SeriesUnit::Number => Some(Unit::Count),
                };
                match series.kind() {
                    SeriesKind::Counter => recorder.describe_counter(name, unit, help),
                    SeriesKind::Gauge => recorder.describe_gauge(name, unit, help),
                }
            }
        });
    }

    /// Records all values to the recorder of the crate `metrics`, with these labels: names and
    /// values. Call it as often as values are wanted, at each scrape for example; without a
    /// recorder nothing happens. Two members in one process need a label to be told apart.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, Metrics};
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// Metrics::describe();
    /// cluster.metrics()?.record(&[("member", &cluster.name().to_string())]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn record(&self, labels: &[(&str, &str)]) {
        let label = |(name, value): &(&str, &str)| Label::new(name.to_string(), value.to_string());
        let labels: Vec<Label> = labels.iter().map(label).collect();
        with_recorder(|recorder| {
            for sample in self.iter() {
                let key = Key::from_parts(sample.series.name(), labels.clone());
                match sample.series.kind() {
                    SeriesKind::Counter => {
                        recorder.register_counter(&key, &METADATA).absolute(sample.value);
                    }
                    SeriesKind::Gauge => {
                        recorder.register_gauge(&key, &METADATA).set(in_float(sample.value));
                    }
                }
            }
        });
    }
}

/// Exact below 2^53: no gauge of numbers or bytes in memory comes near.
#[expect(clippy::cast_precision_loss, reason = "gauges stay far below")]
fn in_float(value: u64) -> f64 {
    value as f64
}

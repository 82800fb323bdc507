//! The text format of Prometheus, version 0.0.4.

use std::fmt::{self, Write};

use super::Metrics;

impl Metrics {
    /// The text that Prometheus scrapes, with these labels on each sample: names, which are of
    /// ASCII letters, digits and `_` and begin with no digit, and values, of any text. A label
    /// whose name is none is left out. Two members in one process need a label to be told apart.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let text = cluster.metrics()?.text(&[("member", "ada"), ("zone", "a")]);
    /// println!("{text}");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn text(&self, labels: &[(&str, &str)]) -> String {
        let mut text = String::new();
        // A `String` takes everything.
        let _ = self.write_text(&mut text, labels);
        text
    }

    fn write_text(&self, out: &mut impl Write, labels: &[(&str, &str)]) -> fmt::Result {
        let labels = label_set(labels);
        for sample in self.iter() {
            let (series, name) = (sample.series, sample.series.name());
            // The sentences of the list have nothing that would need an escape.
            writeln!(out, "# HELP {name} {}", series.help())?;
            writeln!(out, "# TYPE {name} {}", series.kind())?;
            writeln!(out, "{name}{labels} {}", sample.value)?;
        }
        Ok(())
    }
}

/// Without labels.
impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_text(f, &[])
    }
}

fn label_set(labels: &[(&str, &str)]) -> String {
    let valid = labels.iter().filter(|(name, _)| is_label_name(name));
    let pairs: Vec<String> =
        valid.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

fn is_label_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_part) && !name.as_bytes()[0].is_ascii_digit()
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

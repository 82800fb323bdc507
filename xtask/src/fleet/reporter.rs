//! How a run is shown: lines with one live part at the end on a terminal, plain lines elsewhere,
//! or one JSON object a line.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

/// See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    json: bool,
    bar: ProgressBar,
}

impl Reporter {
    pub(crate) fn new(json: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        if !json && io::stdout().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg}\n{elapsed_precise}  {prefix} …")
            {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Self { json, bar }
    }

    /// Whether there is a live part.
    pub(crate) fn is_live(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// With `--json`, prints an object of this kind.
    pub(crate) fn object(&self, at: Duration, ev: &str, mut fields: Value) {
        if self.json {
            fields["ev"] = json!(ev);
            fields["at_ms"] = json!(milliseconds(at));
            println!("{fields}");
        }
    }

    /// Without `--json`, prints a line that stays.
    pub(crate) fn line(&self, text: &str) {
        if !self.json {
            self.bar.suspend(|| println!("{text}"));
        }
    }

    /// Sets the live part: what is waited for, and what there is to see.
    pub(crate) fn show(&self, waiting: &str, seen: String) {
        self.bar.set_prefix(waiting.to_owned());
        self.bar.set_message(seen);
    }

    /// Removes the live part and prints the last object or the last lines.
    pub(crate) fn close(&self, at: Duration, summary: Value, lines: &[String]) {
        self.bar.finish_and_clear();
        self.object(at, "summary", summary);
        lines.iter().for_each(|line| self.line(line));
    }
}

/// A time since the beginning, for the head of a line.
pub(crate) fn clock(at: Duration) -> String {
    format!("{:3}:{:06.3}", at.as_secs() / 60, at.as_secs_f64() % 60.0)
}

/// Whole milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Minimum, median and maximum of ascending times; zero if there are none.
pub(crate) fn spread(times: &[Duration]) -> [Duration; 3] {
    let Some(last) = times.len().checked_sub(1) else { return Default::default() };
    [times[0], (times[last / 2] + times[last.div_ceil(2)]) / 2, times[last]]
}

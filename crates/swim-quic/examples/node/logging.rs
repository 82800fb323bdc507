//! Log lines on stderr: `RFC3339 LEVEL target message`.

use std::io::Write;

use log::{LevelFilter, Log, Metadata, Record};

struct StderrLog;

impl Log for StderrLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        // Transport libraries log each packet at TRACE and DEBUG: only what we write counts.
        let ours = ["swim_", "quic_net", "certs", "node"];
        if !self.enabled(record.metadata())
            || (record.level() > log::Level::Warn
                && !ours.iter().any(|prefix| record.target().starts_with(prefix)))
        {
            return;
        }
        let line = format!(
            "{} {} {} {}\n",
            humantime::format_rfc3339_millis(crate::process::wall_clock()),
            record.level(),
            record.target(),
            record.args()
        );
        // A log that cannot be written has nowhere to complain.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Installs the logger.
pub(crate) fn start(level: LevelFilter) {
    static LOG: StderrLog = StderrLog;
    if log::set_logger(&LOG).is_ok() {
        log::set_max_level(level);
    }
}

//! What the operating system knows of this process.

use std::fs;
use std::time::SystemTime;

use serde_json::{Value, json};

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "log lines and events carry the time of day")]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// Resident memory, threads, file descriptors and CPU time; zero where `/proc` is missing.
pub(crate) fn usage() -> Value {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
            .unwrap_or(0)
    };
    // The directory handle that counts the others is itself open.
    let descriptors = fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() - 1);
    json!({
        "rss_bytes": field("VmRSS:") * 1024,
        "threads": field("Threads:"),
        "fds": descriptors,
        "cpu_ms": cpu_milliseconds(),
    })
}

/// Fields 14 and 15 of `/proc/self/stat` (proc(5)) count clock ticks, 100 a second on Linux. The
/// command name before them may hold spaces, so counting starts after its closing parenthesis.
fn cpu_milliseconds() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    ticks * 10
}

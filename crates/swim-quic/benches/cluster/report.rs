//! What a contestant prints.

use std::time::Duration;

use serde_json::{Value, json};

use crate::usage::Used;

/// Everything that was measured. As JSON: `members`; `formed_ms` (`null`: not in time);
/// `resident_bytes`, `connections` (ends, all members together) and `quiet` (`ms`, `cpu_ms`,
/// `bytes` through the loopback interface with IP and UDP headers) of the whole process; `missing`
/// (how many views lack a member); `metadata_ms`, `leave_ms` and `crash_ms`: when the last member
/// saw each change (`null`: not in time).
#[derive(Default)]
pub(crate) struct Report {
    members: u16,
    pub(crate) formed: Option<Duration>,
    pub(crate) resident: u64,
    pub(crate) connections: usize,
    pub(crate) quiet: Option<Used>,
    pub(crate) missing: usize,
    pub(crate) metadata: Vec<Option<Duration>>,
    pub(crate) leaves: Vec<Option<Duration>>,
    pub(crate) crashes: Vec<Option<Duration>>,
}

impl Report {
    pub(crate) fn of(members: u16) -> Self {
        Self { members, ..Self::default() }
    }

    pub(crate) fn as_json(&self) -> Value {
        let ms = |time: &Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        let all = |times: &[Option<Duration>]| times.iter().map(ms).collect::<Vec<_>>();
        let quiet = self.quiet.as_ref().map(|used| {
            json!({
                "ms": used.time.as_secs_f64() * 1e3,
                "cpu_ms": used.processor.as_secs_f64() * 1e3,
                "bytes": used.bytes,
            })
        });
        json!({
            "members": self.members,
            "formed_ms": ms(&self.formed),
            "resident_bytes": self.resident,
            "connections": self.connections,
            "quiet": quiet,
            "missing": self.missing,
            "metadata_ms": all(&self.metadata),
            "leave_ms": all(&self.leaves),
            "crash_ms": all(&self.crashes),
        })
    }
}

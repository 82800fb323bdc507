//! What this process has used, as the kernel counts it.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// Counters at one moment.
pub(crate) struct Usage {
    at: Instant,
    processor: Duration,
    bytes: u64,
    /// Resident memory, in bytes.
    pub(crate) resident: u64,
}

/// The difference of two.
pub(crate) struct Used {
    pub(crate) time: Duration,
    pub(crate) processor: Duration,
    /// Through the loopback interface of this network namespace, whoever sent them.
    pub(crate) bytes: u64,
}

impl Usage {
    pub(crate) fn since(&self, before: &Self) -> Used {
        Used {
            time: self.at.duration_since(before.at),
            processor: self.processor.saturating_sub(before.processor),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }
}

/// The counters now.
///
/// # Errors
/// Where this is no Linux.
pub(crate) fn usage() -> io::Result<Usage> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // After the program's name, which may hold spaces: fields 14 and 15, in ticks of 10 ms.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|f| f.parse::<u64>().ok()).sum();
    let status = fs::read_to_string("/proc/self/status")?;
    let devices = fs::read_to_string("/proc/self/net/dev")?;
    Ok(Usage {
        at: Instant::now(),
        processor: Duration::from_millis(ticks * 10),
        bytes: number_after(&devices, "lo:"),
        resident: number_after(&status, "VmRSS:") * 1024,
    })
}

/// The first number of the line that begins with this word; 0 where there is none.
fn number_after(text: &str, word: &str) -> u64 {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix(word));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or_default()
}

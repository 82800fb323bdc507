//! Whether what a process holds stays flat.
//!
//! The rule, over the last two thirds of a process's life cut into four quarters with one median
//! each: it *grows* if the last median exceeds the first by more than the tolerance, and each
//! median exceeds the one before by more than a tenth of the tolerance. So a leak is found once
//! it has leaked the tolerance between the middles of the first and the last quarter, that is, in
//! half of the life; spikes, saw-teeth, warming up and one-time steps are not taken for leaks.

use super::soak_event::Usage;

/// Fewer samples than this in the last two thirds of a life tell nothing.
const ENOUGH: usize = 12;

/// What is looked at, and how much growth is tolerated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gauge {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) read: fn(&Usage) -> u64,
    /// Tolerated at least, whatever there was.
    least: u64,
    /// Tolerated in proportion to what there was, in percent.
    share: u64,
}

/// All gauges. Memory: allocators keep what a burst of messages once needed. Connections: one to
/// each peer of a cluster of ten, since some wait for their idle timeout when their peer is gone.
pub(super) const GAUGES: [Gauge; 4] = [
    Gauge { name: "memory", unit: "KiB", read: |usage| usage.memory, least: 1536, share: 5 },
    Gauge { name: "descriptors", unit: "", read: |usage| usage.descriptors, least: 2, share: 5 },
    Gauge { name: "threads", unit: "", read: |usage| usage.threads, least: 1, share: 5 },
    Gauge { name: "connections", unit: "", read: |usage| usage.connections, least: 4, share: 50 },
];

/// The samples of one life, at even intervals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trend {
    /// The process did not live long enough to tell.
    Unknown,
    Flat,
    /// From the first quarter's median to the last quarter's.
    Grows {
        from: u64,
        to: u64,
    },
}

impl Gauge {
    /// Judges the samples of one life, in the order they were taken.
    pub(super) fn judge(&self, samples: &[Usage]) -> Trend {
        let considered: Vec<u64> = samples.iter().skip(samples.len() / 3).map(self.read).collect();
        if considered.len() < ENOUGH {
            return Trend::Unknown;
        }
        let length = considered.len();
        let medians: Vec<u64> = (0..4)
            .map(|quarter| median(&considered[length * quarter / 4..length * (quarter + 1) / 4]))
            .collect();
        let (from, to) = (medians[0], medians[3]);
        let tolerance = self.least.max(from * self.share / 100);
        let step = tolerance / 10;
        let rises = medians.windows(2).all(|pair| pair[1] > pair[0].saturating_add(step));
        if rises && to > from + tolerance { Trend::Grows { from, to } } else { Trend::Flat }
    }
}

/// The middle one, or the lower of the two in the middle; zero for none.
fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Gauge = GAUGES[0];

    /// Memory by sample number, with a little noise that does not depend on anything.
    fn life(samples: u64, memory: impl Fn(u64) -> u64) -> Vec<Usage> {
        (0..samples)
            .map(|index| Usage { memory: memory(index) + (index * 7919) % 97, ..Usage::default() })
            .collect()
    }

    #[test]
    fn a_planted_leak_is_found() {
        // 20 KiB a sample: with one sample in 5 s, 4 KiB a second over twenty minutes.
        let leak = MEMORY.judge(&life(240, |index| 20_000 + 20 * index));
        assert!(matches!(leak, Trend::Grows { from, to } if to > from + 1536), "{leak:?}");
    }

    #[test]
    fn a_leak_in_lumps_is_found() {
        // Each tenth sample one lump, as a table that doubles its room now and then.
        let lumps = MEMORY.judge(&life(240, |index| 20_000 + 300 * (index / 10)));
        assert!(matches!(lumps, Trend::Grows { .. }), "{lumps:?}");
    }

    #[test]
    fn one_leaked_connection_a_minute_is_found_within_twenty() {
        let samples: Vec<Usage> = (0..240)
            .map(|index| Usage { connections: 9 + index / 12, ..Usage::default() })
            .collect();
        assert!(matches!(GAUGES[3].judge(&samples), Trend::Grows { .. }));
    }

    #[test]
    fn what_looks_like_a_leak_and_is_none_passes() {
        let steady = life(240, |_| 20_000);
        let warm = life(240, |index| 20_000 + 200 * index.min(70));
        let step = life(240, |index| 20_000 + if index > 150 { 4_000 } else { 0 });
        let spike = life(240, |index| 20_000 + if index % 50 == 49 { 9_000 } else { 0 });
        let teeth = life(240, |index| 20_000 + 60 * (index % 40));
        let slow = life(240, |index| 20_000 + 5 * index);
        for (name, samples) in [
            ("steady", steady),
            ("warming up", warm),
            ("a step", step),
            ("spikes", spike),
            ("saw-teeth", teeth),
            ("within the tolerance", slow),
        ] {
            assert_eq!(MEMORY.judge(&samples), Trend::Flat, "{name}");
        }
    }

    #[test]
    fn a_short_life_tells_nothing() {
        assert_eq!(MEMORY.judge(&life(16, |index| 20_000 + 1_000 * index)), Trend::Unknown);
        assert!(matches!(
            MEMORY.judge(&life(17, |index| 20_000 + 1_000 * index)),
            Trend::Grows { .. }
        ));
    }
}

//! How long each step of the demo may take.
//!
//! The bounds hold for five nodes with the LAN profile; larger clusters
//! get more where the protocol's own timeouts grow with the logarithm of their size.

use std::time::Duration;

use super::script::Phase;

/// The bounds for one demo.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    gather: Duration,
    crash: Duration,
}

impl Bounds {
    /// For a cluster of `nodes`.
    pub(super) fn new(nodes: usize) -> Self {
        let extra = u32::try_from(nodes.saturating_sub(5)).unwrap_or(u32::MAX);
        // Suspicion lasts in proportion to log10(nodes), and at least as with ten.
        let growth = f64::from(extra.saturating_add(5)).log10().max(1.0);
        Self {
            gather: Duration::from_secs(2) + Duration::from_millis(100) * extra,
            crash: Duration::from_secs(25).mul_f64(growth),
        }
    }

    /// How long the phase may take, or lasts in the case of [`Phase::Watch`].
    pub(super) fn of(&self, phase: Phase) -> Duration {
        match phase {
            Phase::Gather => self.gather,
            Phase::Crash => self.crash,
            Phase::Leave => Duration::from_secs(1),
            Phase::Restart | Phase::Confirm => Duration::from_secs(5),
            Phase::Watch => Duration::from_secs(15),
            // Starting reads a few files; quitting may take 5 s to tell the others.
            Phase::Open | Phase::Quit | Phase::Close => Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_nodes_have_the_promised_bounds() {
        let bounds = Bounds::new(5);
        let promised = [(Phase::Gather, 2), (Phase::Crash, 25), (Phase::Leave, 1)];
        for (phase, seconds) in promised {
            assert_eq!(bounds.of(phase), Duration::from_secs(seconds));
        }
    }

    #[test]
    fn twenty_nodes_have_more_time_and_no_more_than_they_need() {
        let bounds = Bounds::new(20);
        assert_eq!(bounds.of(Phase::Gather), Duration::from_millis(3500));
        let crash = bounds.of(Phase::Crash).as_secs_f64();
        assert!((32.0..33.0).contains(&crash), "{crash}");
    }
}

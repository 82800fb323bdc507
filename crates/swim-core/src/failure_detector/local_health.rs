//! How slow we ourselves seem, and what follows for the times that we keep.

use std::time::Duration;

use super::FailureDetector;
use crate::config::Config;
use crate::time::Time;

impl FailureDetector {
    /// A time, longer while we ourselves seem slow.
    pub(crate) fn scaled(&self, span: Duration) -> Duration {
        self.awareness.scale(span)
    }

    pub(super) fn scaled_interval(&self, config: &Config) -> Duration {
        let interval = config.probe_interval;
        if config.local_health_probe { self.scaled(interval) } else { interval }
    }

    /// Whether we seem slow, and have probed nobody for as long as a round may take us: without an
    /// answer we would seem so for ever.
    pub(crate) fn lacks_answers(&self, config: &Config, now: Time) -> bool {
        self.health() > 0 && now - self.begun >= self.scaled_interval(config)
    }

    /// The local health score.
    pub(crate) fn health(&self) -> u8 {
        self.awareness.score()
    }

    /// We had to refute, or others refute many of our suspicions: a sign that we ourselves are slow
    /// or cut off.
    pub(crate) fn note_refute(&mut self) {
        self.awareness.apply_delta(1);
    }
}

//! Members that we watch by turns, and our own health beside it.

use std::time::Duration;

use super::FailureDetector;
use crate::config::Config;
use crate::observers::Observing;
use crate::time::Time;

impl FailureDetector {
    /// Who watches whom; `None` where all probe all.
    pub(crate) fn observing(&self) -> Option<&Observing> {
        self.observing.as_ref()
    }

    pub(crate) fn observing_mut(&mut self) -> Option<&mut Observing> {
        self.observing.as_mut()
    }

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

    /// What the application adds to our acks, if anything.
    pub(crate) fn ack_payload(&self) -> Option<&[u8]> {
        (!self.ack_payload.is_empty()).then_some(&self.ack_payload)
    }

    pub(crate) fn set_ack_payload(&mut self, payload: Vec<u8>) {
        self.ack_payload = payload;
    }
}

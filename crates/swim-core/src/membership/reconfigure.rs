//! Settings that change while the member runs.

use std::time::Duration;

use super::Membership;
use crate::config::Config;
use crate::error::ReconfigureRefusal;
use crate::time::Time;
use crate::timers::Timer;

impl Membership {
    /// The settings in use. `keys` are those of the start; [`keys`](Self::keys) says which there
    /// are now.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Uses other settings from here on. What is under way, as a probe or a suspicion, ends by
    /// those that it began with. The label, the keys, what is verified, the compression and the
    /// versions stay: they are part of every message.
    ///
    /// # Errors
    /// When a setting would not work or may not change, or we have left. Nothing is changed then.
    pub fn reconfigure(&mut self, config: Config, now: Time) -> Result<(), ReconfigureRefusal> {
        self.effects.begin(now);
        if self.lifecycle.is_leaving() {
            return Err(ReconfigureRefusal::HasLeft);
        }
        self.config.check_change(&config)?;
        let former = std::mem::replace(&mut self.config, config);
        self.restart_timers(&former);
        Ok(())
    }

    fn restart_timers(&mut self, former: &Config) {
        self.detector.set_max_multiplier(self.config.awareness_max_multiplier);
        let Self { dissemination, config, effects, .. } = self;
        dissemination.restart_rounds(former, config, effects);
        if former.push_pull_interval != config.push_pull_interval {
            effects.restart_timer(Timer::PushPull, config.push_pull_interval);
        }
        self.restart_probing(former.probe_interval);
    }

    pub(super) fn stop_probing(&mut self) {
        for end in self.detector.stop(&mut self.effects) {
            self.end_round(end);
        }
    }

    fn restart_probing(&mut self, former: Duration) {
        let interval = self.config.probe_interval;
        if interval.is_zero() && !former.is_zero() {
            self.stop_probing();
        }
        if interval != former {
            self.effects.restart_timer(Timer::Probe, interval);
            self.ranks_are_due();
        }
    }
}

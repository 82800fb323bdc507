//! Which settings cannot work.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Config;
use crate::config_error::ConfigError;
use crate::member::LocalMember;
use crate::wire::{MAX_META, MAX_PUSH_PULL_NODES};

/// One alive message with 512 bytes of metadata and a name of 255 bytes must fit.
const MIN_PACKET_BUDGET: usize = 1024;
/// What a unidirectional stream packet carries in Go, less room for the layers.
const MAX_PACKET_BUDGET: usize = 65_000;
/// As many entries as one full exchange may carry.
const MAX_MEMBERS: usize = MAX_PUSH_PULL_NODES;
const MAX_FANOUT: usize = 64;
/// With fewer, those that watch a member may die with it; with more there is nothing to be gained.
const OBSERVERS: RangeInclusive<usize> = 3..=64;
/// Timers are no finer, and a shorter interval would keep a processor busy.
const SHORTEST: Duration = Duration::from_millis(1);
/// Ten years. Longer times are mistakes, and sums of them leave the range of a clock.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);
/// Larger factors are mistakes, and products of them leave the range of a duration.
const MAX_MULTIPLIER: u32 = 1_000;

impl Config {
    /// Checks what would not work.
    ///
    /// # Errors
    /// The first setting that would not work, with its value and what to do.
    ///
    /// ```
    /// # use swim_core::Config;
    /// let mut config = Config::lan();
    /// config.probe_timeout = 2 * config.probe_interval;
    /// assert_eq!(config.validate().unwrap_err().field, "probe_timeout");
    /// ```
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |field, value: &dyn fmt::Debug, remedy| {
            Err(ConfigError { field, value: format!("{value:?}"), remedy })
        };
        if self.label.len() > 255 {
            return refuse("label", &self.label.len(), "shorten it to at most 255 bytes");
        }
        let versions = self.versions;
        if versions.protocol_min == 0 || versions.protocol_max > 5 {
            return refuse("versions", &versions, "keep the protocol range within 1 to 5");
        }
        if !(versions.protocol_min..=versions.protocol_max).contains(&versions.protocol_current) {
            return refuse("versions", &versions, "speak a protocol within the range you announce");
        }
        if !(versions.delegate_min..=versions.delegate_max).contains(&versions.delegate_current) {
            return refuse("versions", &versions, "speak a delegate version within its range");
        }
        self.validate_times()?;
        if !self.probe_interval.is_zero() && self.probe_timeout > self.probe_interval {
            return refuse("probe_timeout", &self.probe_timeout, "keep it within probe_interval");
        }
        if !self.probe_interval.is_zero() && self.probe_timeout.is_zero() {
            return refuse("probe_timeout", &self.probe_timeout, "give answers time to arrive");
        }
        if self.observers != 0 && !OBSERVERS.contains(&self.observers) {
            return refuse("observers", &self.observers, "use 0 (all probe all), or 3 to 64");
        }
        if self.awareness_max_multiplier == 0 {
            return refuse("awareness_max_multiplier", &0, "use at least 1 (no slowing down)");
        }
        let multipliers = [
            ("suspicion_multiplier", self.suspicion_multiplier),
            ("suspicion_max_timeout_multiplier", self.suspicion_max_timeout_multiplier),
            ("retransmit_multiplier", self.retransmit_multiplier),
        ];
        for (field, multiplier) in multipliers {
            if !(1..=MAX_MULTIPLIER).contains(&multiplier) {
                return refuse(field, &multiplier, "use 1 to 1000");
            }
        }
        if !(MIN_PACKET_BUDGET..=MAX_PACKET_BUDGET).contains(&self.packet_budget) {
            return refuse("packet_budget", &self.packet_budget, "use 1024 to 65000 bytes");
        }
        if self.max_members == 0 || self.max_members > MAX_MEMBERS {
            return refuse("max_members", &self.max_members, "use 1 to 1048576");
        }
        if self.indirect_checks > MAX_FANOUT {
            return refuse("indirect_checks", &self.indirect_checks, "use at most 64");
        }
        if self.gossip_nodes > MAX_FANOUT {
            return refuse("gossip_nodes", &self.gossip_nodes, "use at most 64");
        }
        Ok(())
    }

    /// Every time is zero, where zero has a meaning, or one that timers can keep.
    fn validate_times(&self) -> Result<(), ConfigError> {
        let may_be_zero = [
            ("probe_interval", self.probe_interval),
            ("probe_timeout", self.probe_timeout),
            ("gossip_interval", self.gossip_interval),
            ("gossip_to_the_dead", self.gossip_to_the_dead),
            ("stable_view_age", self.stable_view_age),
            ("push_pull_interval", self.push_pull_interval),
            ("dead_node_reclaim_time", self.dead_node_reclaim_time),
        ];
        let zero_or_usable =
            |time: Duration| time.is_zero() || (SHORTEST..=LONGEST).contains(&time);
        for (field, time) in may_be_zero {
            if !zero_or_usable(time) {
                let remedy = "use 1 ms to 10 years (3650 days), or zero as the setting says";
                return Err(ConfigError { field, value: format!("{time:?}"), remedy });
            }
        }
        if !(SHORTEST..=LONGEST).contains(&self.stream_timeout) {
            let value = format!("{:?}", self.stream_timeout);
            let remedy = "use 1 ms to 10 years (3650 days): exchanges take time";
            return Err(ConfigError { field: "stream_timeout", value, remedy });
        }
        Ok(())
    }
}

impl LocalMember {
    /// Checks what others could not use.
    ///
    /// # Errors
    /// The first part that would not work, with its value and what to do.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |field, value, remedy| Err(ConfigError { field, value, remedy });
        if std::str::from_utf8(self.name.as_bytes()).is_err() {
            let remedy = "choose a name that is UTF-8, so that every tool can show it";
            return refuse("name", self.name.to_string(), remedy);
        }
        if self.meta.len() > MAX_META {
            let value = format!("{} bytes", self.meta.len());
            return refuse("meta", value, "shorten it to at most 512 bytes");
        }
        if self.address.ip().is_unspecified() || self.address.port() == 0 {
            let remedy = "announce an address and port that others can dial";
            return refuse("address", self.address.to_string(), remedy);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_profiles_are_valid() {
        for config in [Config::lan(), Config::wan(), Config::local()] {
            assert_eq!(config.validate(), Ok(()));
        }
    }

    #[test]
    fn a_refusal_names_field_value_and_remedy() {
        let config = Config { probe_timeout: Duration::from_secs(2), ..Config::lan() };
        assert_eq!(
            config.validate().unwrap_err().to_string(),
            "probe_timeout = 2s does not work: keep it within probe_interval"
        );
    }

    #[test]
    fn every_bound_is_checked() {
        let spoilers: [fn(&mut Config); 13] = [
            |config| config.suspicion_max_timeout_multiplier = 1_001,
            |config| config.retransmit_multiplier = u32::MAX,
            |config| config.label = vec![0; 256],
            |config| config.versions.protocol_min = 0,
            |config| config.versions.protocol_current = 6,
            |config| config.versions.delegate_current = 1,
            |config| config.probe_timeout = Duration::ZERO,
            |config| config.stream_timeout = Duration::ZERO,
            |config| config.awareness_max_multiplier = 0,
            |config| config.suspicion_multiplier = 0,
            |config| config.retransmit_multiplier = 0,
            |config| config.packet_budget = 1023,
            |config| config.max_members = 0,
        ];
        for (index, spoil) in spoilers.into_iter().enumerate() {
            let mut config = Config::lan();
            spoil(&mut config);
            assert!(config.validate().is_err(), "spoiler {index} went unnoticed");
        }
    }

    #[test]
    fn every_time_is_off_or_within_what_timers_can_keep() {
        type Field = (&'static str, fn(&mut Config) -> &mut Duration);
        let fields: [Field; 8] = [
            ("probe_interval", |config| &mut config.probe_interval),
            ("probe_timeout", |config| &mut config.probe_timeout),
            ("stream_timeout", |config| &mut config.stream_timeout),
            ("gossip_interval", |config| &mut config.gossip_interval),
            ("gossip_to_the_dead", |config| &mut config.gossip_to_the_dead),
            ("stable_view_age", |config| &mut config.stable_view_age),
            ("push_pull_interval", |config| &mut config.push_pull_interval),
            ("dead_node_reclaim_time", |config| &mut config.dead_node_reclaim_time),
        ];
        let beyond = LONGEST + Duration::from_nanos(1);
        for (name, field) in fields {
            for bad in
                [Duration::from_nanos(500), Duration::from_micros(999), beyond, Duration::MAX]
            {
                let mut config = Config::lan();
                *field(&mut config) = bad;
                let error = config.validate().unwrap_err();
                assert_eq!((error.field, error.value), (name, format!("{bad:?}")));
                assert!(error.remedy.contains("1 ms to 10 years"), "{}", error.remedy);
            }
            let mut config = Config::lan();
            *field(&mut config) = LONGEST;
            if name == "probe_timeout" {
                config.probe_interval = LONGEST;
            }
            assert_eq!(config.validate(), Ok(()), "{name}");
        }
    }
}

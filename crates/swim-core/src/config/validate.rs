//! Which settings cannot work.

use std::fmt;

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

impl Config {
    /// Checks what would not work.
    ///
    /// # Errors
    /// The first setting that would not work, with its value and what to do.
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
        if !self.probe_interval.is_zero() && self.probe_timeout > self.probe_interval {
            return refuse("probe_timeout", &self.probe_timeout, "keep it within probe_interval");
        }
        if !self.probe_interval.is_zero() && self.probe_timeout.is_zero() {
            return refuse("probe_timeout", &self.probe_timeout, "give answers time to arrive");
        }
        if self.stream_timeout.is_zero() {
            return refuse("stream_timeout", &self.stream_timeout, "give exchanges time");
        }
        if self.awareness_max_multiplier == 0 {
            return refuse("awareness_max_multiplier", &0, "use at least 1 (no slowing down)");
        }
        if self.suspicion_multiplier == 0 {
            return refuse("suspicion_multiplier", &0, "use at least 1");
        }
        if self.suspicion_max_timeout_multiplier == 0 {
            return refuse("suspicion_max_timeout_multiplier", &0, "use at least 1");
        }
        if self.retransmit_multiplier == 0 {
            return refuse("retransmit_multiplier", &0, "use at least 1");
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
    use std::time::Duration;

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
        let spoilers: [fn(&mut Config); 11] = [
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
}

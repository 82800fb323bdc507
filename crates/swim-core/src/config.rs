//! Settings of one machine: named after what they do, defaults of Go's memberlist.
//!
//! Every member of a cluster should use the same intervals and multipliers; nothing here changes
//! the bytes of a message except the label, the keys and the compression.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use crate::member::{LocalMember, ProtocolVersions};
use crate::member_name::MemberName;

pub use crate::wire::MAX_META;

/// Settings; start from [`lan`](Self::lan), [`wan`](Self::wan) or [`local`](Self::local).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Marks all packets and streams; those with another label are refused. At most 255 bytes;
    /// empty: none.
    pub label: Vec<u8>,
    /// Somebody in front of us strips labels: any label that still arrives is refused.
    pub skip_inbound_label_check: bool,
    /// Encryption keys; the first one encrypts, all decrypt. Empty: no encryption of our own
    /// (the transport has its own).
    pub keys: Vec<SecretKey>,
    /// Refuse plain text while there are keys. Off only during a change-over.
    pub verify_incoming: bool,
    /// Encrypt what we send while there are keys. Off only during a change-over.
    pub verify_outgoing: bool,
    /// Compress packets that become shorter by it, and all streams.
    pub compression: bool,
    /// The version bytes we announce.
    pub versions: ProtocolVersions,

    /// Time for a whole exchange on a stream, dialing included.
    pub stream_timeout: Duration,
    /// How often one member is probed. Zero: never.
    pub probe_interval: Duration,
    /// How long to wait for a direct answer before asking others.
    pub probe_timeout: Duration,
    /// How many others are asked to probe a silent member.
    pub indirect_checks: usize,
    /// Also try a stream when a member does not answer packets.
    pub stream_fallback: bool,
    /// Members that are never tried by stream.
    pub stream_fallback_exceptions: Vec<MemberName>,
    /// Local health is below this; probing slows down by at most this factor.
    pub awareness_max_multiplier: u8,

    /// Suspicions last this many probe intervals, times the cluster's order of magnitude.
    pub suspicion_multiplier: u32,
    /// Unconfirmed suspicions last this many times longer.
    pub suspicion_max_timeout_multiplier: u32,

    /// How often news are gossiped. Zero: never.
    pub gossip_interval: Duration,
    /// To how many members at a time. Zero: none.
    pub gossip_nodes: usize,
    /// How long the dead still get gossip, so that they can object; then they are purged.
    pub gossip_to_the_dead: Duration,
    /// News are sent this many times, times the cluster's order of magnitude.
    pub retransmit_multiplier: u32,
    /// Bytes of messages in one packet, before compression and checksum.
    pub packet_budget: usize,

    /// How often the full state is exchanged with one random member. Zero: never.
    pub push_pull_interval: Duration,
    /// After this time the name of a dead member may be claimed at another address. Zero: never.
    pub dead_node_reclaim_time: Duration,
    /// Members must have addresses in these networks. Empty: anywhere.
    pub allowed_networks: Vec<IpNetwork>,

    /// The most members remembered, dead ones included; further ones are refused.
    pub max_members: usize,
    /// The most application broadcasts under way; further ones are refused.
    pub max_broadcasts: usize,

    /// Lifeguard: slow our probing down while we ourselves seem slow.
    pub local_health_probe: bool,
    /// Lifeguard: suspicions start long and shorten with confirmations.
    pub local_health_suspicion: bool,
    /// Lifeguard: tell a suspect of the suspicion together with the next ping.
    pub buddy: bool,
}

impl Config {
    /// For one local network: Go's `DefaultLANConfig`.
    #[must_use]
    pub fn lan() -> Self {
        Self {
            label: Vec::new(),
            skip_inbound_label_check: false,
            keys: Vec::new(),
            verify_incoming: true,
            verify_outgoing: true,
            compression: true,
            versions: ProtocolVersions::DEFAULT,
            stream_timeout: Duration::from_secs(10),
            probe_interval: Duration::from_secs(1),
            probe_timeout: Duration::from_millis(500),
            indirect_checks: 3,
            stream_fallback: true,
            stream_fallback_exceptions: Vec::new(),
            awareness_max_multiplier: 8,
            suspicion_multiplier: 4,
            suspicion_max_timeout_multiplier: 6,
            gossip_interval: Duration::from_millis(200),
            gossip_nodes: 3,
            gossip_to_the_dead: Duration::from_secs(30),
            retransmit_multiplier: 4,
            packet_budget: 1400,
            push_pull_interval: Duration::from_secs(30),
            dead_node_reclaim_time: Duration::ZERO,
            allowed_networks: Vec::new(),
            max_members: 100_000,
            max_broadcasts: 1024,
            local_health_probe: true,
            local_health_suspicion: true,
            buddy: true,
        }
    }

    /// For members far apart: Go's `DefaultWANConfig`.
    #[must_use]
    pub fn wan() -> Self {
        Self {
            stream_timeout: Duration::from_secs(30),
            suspicion_multiplier: 6,
            push_pull_interval: Duration::from_secs(60),
            probe_interval: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(3),
            gossip_interval: Duration::from_millis(500),
            gossip_nodes: 4,
            gossip_to_the_dead: Duration::from_secs(60),
            ..Self::lan()
        }
    }

    /// For members on one machine: Go's `DefaultLocalConfig`.
    #[must_use]
    pub fn local() -> Self {
        Self {
            stream_timeout: Duration::from_secs(1),
            indirect_checks: 1,
            retransmit_multiplier: 2,
            suspicion_multiplier: 3,
            push_pull_interval: Duration::from_secs(15),
            probe_timeout: Duration::from_millis(200),
            gossip_interval: Duration::from_millis(100),
            gossip_to_the_dead: Duration::from_secs(15),
            ..Self::lan()
        }
    }

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

    /// What is limited to once per probe interval is limited to once per this: a second where
    /// members are not probed.
    pub(crate) fn min_report_interval(&self) -> Duration {
        if self.probe_interval.is_zero() { Duration::from_secs(1) } else { self.probe_interval }
    }

    /// How long a direct answer may take.
    pub(crate) fn ack_timeout(&self) -> Duration {
        if self.probe_timeout.is_zero() { self.min_report_interval() } else { self.probe_timeout }
    }

    /// When a relay sends its nack: at 80 % of its timeout (Lifeguard, section IV-A), since the
    /// asker's deadline ends with it. Go waits for all of it, and its nacks come just too late.
    pub(crate) fn nack_timeout(&self) -> Duration {
        self.ack_timeout() * 4 / 5
    }

    /// Whether a member may have this address.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        self.allowed_networks.is_empty()
            || self.allowed_networks.iter().any(|network| network.contains(address))
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

/// One alive message with 512 bytes of metadata and a name of 255 bytes must fit.
const MIN_PACKET_BUDGET: usize = 1024;
/// What a unidirectional stream packet carries in Go, less room for the layers.
const MAX_PACKET_BUDGET: usize = 65_000;
/// As many entries as one full exchange may carry.
const MAX_MEMBERS: usize = 1_048_576;
const MAX_FANOUT: usize = 64;

/// A setting that would not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value} does not work: {remedy}")]
pub struct ConfigError {
    /// Which one.
    pub field: &'static str,
    /// What it was set to.
    pub value: String,
    /// What to do about it.
    pub remedy: &'static str,
}

/// An AES key of 16, 24 or 32 bytes. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(Vec<u8>);

impl SecretKey {
    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for SecretKey {
    type Error = ConfigError;

    fn try_from(bytes: &[u8]) -> Result<Self, ConfigError> {
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(bytes.to_vec())),
            len => Err(ConfigError {
                field: "key",
                value: format!("{len} bytes"),
                remedy: "use 16, 24 or 32 bytes",
            }),
        }
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({} bytes)", self.0.len())
    }
}

/// A network in CIDR notation, such as `10.0.0.0/8` or `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u8,
}

impl IpNetwork {
    /// Whether `address` lies in it. IPv4-mapped addresses count as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for IpNetwork {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let address: IpAddr = address.parse().ok()?;
            let prefix: u8 = prefix.parse().ok()?;
            let longest = if address.is_ipv4() { 32 } else { 128 };
            (prefix <= longest).then_some(Self { address, prefix })
        });
        parsed.ok_or_else(|| ConfigError {
            field: "allowed_networks",
            value: format!("{text:?}"),
            remedy: "write it like 10.0.0.0/8 or fd00::/8",
        })
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

    #[test]
    fn networks_contain_their_addresses_only() {
        let inside = |network: &str, address: &str| {
            network.parse::<IpNetwork>().unwrap().contains(address.parse().unwrap())
        };
        assert!(inside("10.0.0.0/8", "10.9.9.9") && !inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("10.0.0.0/8", "::ffff:10.1.1.1"));
        assert!(inside("0.0.0.0/0", "1.2.3.4") && !inside("0.0.0.0/0", "fd00::1"));
        assert!(inside("fd00::/8", "fd12::1") && !inside("fd00::/8", "fe80::1"));
        assert!(inside("10.0.0.1/32", "10.0.0.1") && !inside("10.0.0.1/32", "10.0.0.2"));
        assert!("10.0.0.0/33".parse::<IpNetwork>().is_err() && "10".parse::<IpNetwork>().is_err());
    }

    #[test]
    fn keys_have_aes_lengths_and_stay_secret() {
        assert!(SecretKey::try_from([1; 15].as_slice()).is_err());
        let key = SecretKey::try_from([1; 16].as_slice()).unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(16 bytes)");
    }
}

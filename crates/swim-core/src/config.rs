//! Settings of one machine: what each does, its default, and when to change it.
//!
//! Defaults are those of Go's memberlist, under its names where it has them. Every member of a
//! cluster should use the same intervals and multipliers, or suspicions last longer for some than
//! for others. Nothing here changes the bytes of a message except the label, the keys, the
//! versions and the compression.

mod changes;
mod validate;

use std::net::IpAddr;
use std::time::Duration;

use crate::evidence::Evidence;
use crate::ip_network::IpNetwork;
use crate::member_name::MemberName;
use crate::protocol_versions::ProtocolVersions;
use crate::secret_key::SecretKey;

/// Settings; start from [`lan`](Self::lan), [`wan`](Self::wan) or [`local`](Self::local), whose
/// values stand in this order at each setting ("1 s, 5 s, 1 s") where they differ.
///
/// n is the number of members remembered: ourselves, and the dead that are not purged yet,
/// included. Values "at 100" are those of [`lan`](Self::lan) with 100 members.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The cluster's label, in the header of every packet and stream; what has another label is
    /// refused. At most 255 bytes, default empty: no header, and labels that arrive are refused.
    /// Give each cluster its own where several share a network.
    #[cfg_attr(feature = "serde", serde(with = "crate::bytes_text"))]
    pub label: Vec<u8>,
    /// Whether a proxy in front of us checks labels and removes them, default no. Labels that
    /// still arrive are refused.
    pub skip_inbound_label_check: bool,
    /// Encryption keys, at most 64; the first one encrypts, all decrypt. Default empty: no
    /// encryption beside the transport's own. A new key goes to all members before one of them
    /// encrypts with it.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub keys: Vec<SecretKey>,
    /// Whether to refuse what is not encrypted while there are keys, default yes. Switch it off
    /// only while a cluster changes over to encryption.
    pub verify_incoming: bool,
    /// Whether to encrypt while there are keys, default yes. Switch it off only while a cluster
    /// changes over to encryption.
    pub verify_outgoing: bool,
    /// Whether to compress all streams, and packets of 128 bytes or more that become shorter by
    /// it, default yes. Switch it off where bandwidth costs less than processor time; what arrives
    /// compressed is read anyway.
    pub compression: bool,
    /// The version bytes we announce, default [`ProtocolVersions::DEFAULT`]: understands 1 to 5,
    /// speaks 2. Lower `protocol_max` to be treated as an older member.
    pub versions: ProtocolVersions,

    /// Time for a whole exchange on a stream, dialing included: 10 s, 30 s, 1 s. Raise it where
    /// the state of all members takes longer to arrive (about 100 bytes and the metadata for each,
    /// before compression: 10 kB at 100); lower it where a dead seed should be reported sooner.
    /// A stream that another member opened has this long from each 16 KiB that arrive on it, and
    /// at most 100 times as long in all: a long message may take its time.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub stream_timeout: Duration,
    /// How often one member is probed: 1 s, 5 s, 1 s. Zero: never. Each member is probed once in n
    /// intervals by each other, so on average once in an interval by anybody. A crash is noticed
    /// after one interval on average, and reported after the suspicion's timeout, which this
    /// multiplies: lower it to detect failures sooner, raise it to send less.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub probe_interval: Duration,
    /// How long a direct ping may take before others are asked, at most `probe_interval`: 500 ms,
    /// 3 s, 200 ms. It should exceed the round-trip time of 99 of 100 packets: raise it where
    /// indirect probes are frequent though nobody fails. What is left of `probe_interval` is the
    /// time for indirect probes.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub probe_timeout: Duration,
    /// How many others are asked to ping a silent member: 3, 3, 1; at most 64. Raise it where
    /// single paths of the network fail; each costs four packets for each failed direct probe.
    pub indirect_checks: usize,
    /// Whether a silent member is also pinged by stream, default yes: one that answers is kept,
    /// and reported as [`PacketsBlocked`](crate::WarningKind::PacketsBlocked). Switch it off where
    /// a member without packets is as good as dead.
    pub stream_fallback: bool,
    /// Members that are never pinged by stream, default none. For single members that
    /// `stream_fallback` should not cover.
    pub stream_fallback_exceptions: Vec<MemberName>,
    /// How many members watch each other one, where there are many: with more than four times as
    /// many members as this, each is probed by so many, about once in `probe_interval` by all of
    /// them together at even distances, and members keep connections to those that they watch, that
    /// watch them, and two more, at any n. Default zero: all probe all in a random order, as in
    /// SWIM, and become connected. Else 3 to 64. Choose 10 in clusters of more than 40 members; all
    /// members must have the same number, or some are watched by few or nobody.
    pub observers: usize,
    /// Bound of the local health multiplier, default 8: the score stays below it, and a member
    /// that seems slow itself stretches `probe_interval` by score + 1. 1: never. Lower it where
    /// overloaded members should go on probing quickly at the price of more false suspicions.
    pub awareness_max_multiplier: u8,

    /// The shortest timeout of a suspicion is this times `probe_interval` times
    /// max(1, log10(n)): 4, 6, 3; at 100, 4 × 1 s × 2 = 8 s. It is also two more than the
    /// confirmations that shorten a timeout fully. Raise it where living members are declared
    /// dead; lower it to report failures sooner.
    pub suspicion_multiplier: u32,
    /// The longest timeout of a suspicion, that of one which nobody confirms, is this times the
    /// shortest: 6; at 100, 48 s. Raise it where slow members suspect healthy ones; 1 switches the
    /// effect of confirmations off.
    pub suspicion_max_timeout_multiplier: u32,

    /// How often updates are gossiped while there are any: 200 ms, 500 ms, 100 ms. Zero: never,
    /// and then updates travel only with pings and acks. An update does not wait for it: half as
    /// many transmissions more are made at once, in rounds at least 20 ms apart. Lower it to reach
    /// those sooner whom these have missed.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub gossip_interval: Duration,
    /// To how many members updates are gossiped each time: 3, 4, 3; at most 64. Zero: none. Raise
    /// it to spread updates sooner at the price of as many packets.
    pub gossip_nodes: usize,
    /// How long the dead still get gossip, so that they can refute; then they are purged: 30 s,
    /// 60 s, 15 s. Raise it where partitions last longer and no seeds are set.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub gossip_to_the_dead: Duration,
    /// Each update is sent this times ceil(log10(n + 1)) times: 4, 4, 2; at 100, 4 × 3 = 12 times.
    /// A leave waits for as many acknowledgements. Raise it where packets are lost; lower it to
    /// send less.
    pub retransmit_multiplier: u32,
    /// Bytes of messages in one packet before compression and checksum, default 1,400: what fits
    /// one datagram on most paths. 1,024 to 65,000. A transport that reports a
    /// [packet limit](crate::Membership::handle_packet_limit) lowers it for a peer; raise it where
    /// all paths carry larger datagrams.
    pub packet_budget: usize,

    /// How often the full state is exchanged with one random member (a push-pull): 30 s, 60 s,
    /// 15 s up to 32 members, and once more that for each doubling beyond: at 100, 90 s. Zero:
    /// never. Lower it to repair sooner what gossip has missed; each push-pull carries the state
    /// of all members both ways.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub push_pull_interval: Duration,
    /// After this time the name of a dead member may be claimed at another address, default zero:
    /// never. It matters only where certificates prove no names: else a member that proves its
    /// name takes it along at once. The name of a member that left is always free.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub dead_node_reclaim_time: Duration,
    /// Members must have addresses in these networks, and alive messages must come from them.
    /// Default empty: anywhere.
    pub allowed_networks: Vec<IpNetwork>,

    /// Whether pings and acks to members of this library carry a digest of 8 bytes of our view,
    /// default yes, and whether states are exchanged with members whose view differs for a while.
    /// [`agreement`](crate::Membership::agreement) rests on what others tell. It costs 18 bytes of
    /// each ping and ack. Switch it off only to compare.
    pub view_digests: bool,
    /// A view of who is live is told as a [`StableView`](crate::StableView) once it stood still for
    /// 2 × `gossip_interval` × ceil(ln(n) + 2), at 100 members 2 × 200 ms × 7 = 2.8 s, and this
    /// long after it began to change at the latest: 30 s, 60 s, 15 s. Zero: never told. Lower it
    /// where an application would rather follow many steps than wait for the last one.
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub stable_view_age: Duration,

    /// What refusals of a member's host may shorten, default [`Evidence::Hint`]: nothing. Choose
    /// [`Evidence::Floor`] where crashes of processes should be known sooner, and
    /// [`Evidence::Verdict`] where they should be known at once.
    pub evidence: Evidence,

    /// The most members remembered, dead ones included, default 100,000, at most 1,048,576 (the
    /// entries of one push-pull). Further ones are refused and counted. It bounds memory: a member
    /// costs about 120 bytes and its metadata.
    pub max_members: usize,
    /// The most application broadcasts under way, default 1,024; further ones are refused. Each
    /// holds its bytes and one bit for each member until everybody was sent it.
    pub max_broadcasts: usize,

    /// Lifeguard's local health aware probe, default yes: `probe_interval` is stretched while we
    /// ourselves seem slow. Switch it off only to compare.
    pub local_health_probe: bool,
    /// Lifeguard's local health aware suspicion, default yes: suspicions start with the longest
    /// timeout and shorten with confirmations. Off: always the shortest. Switch it off only to
    /// compare.
    pub local_health_suspicion: bool,
    /// Lifeguard's buddy system, default yes: a suspect is told of the suspicion with the next
    /// ping. Switch it off only to compare.
    pub buddy: bool,
}

/// [`Config::lan`].
impl Default for Config {
    fn default() -> Self {
        Self::lan()
    }
}

impl Config {
    /// For one local network: Go's `DefaultLANConfig`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use swim_core::Config;
    /// let mut config = Config::lan();
    /// config.probe_interval = Duration::from_millis(500);
    /// assert!(config.validate().is_ok());
    /// ```
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
            observers: 0,
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
            view_digests: true,
            stable_view_age: Duration::from_secs(30),
            evidence: Evidence::Hint,
            max_members: 100_000,
            max_broadcasts: 1024,
            local_health_probe: true,
            local_health_suspicion: true,
            buddy: true,
        }
    }

    /// For members far apart: Go's `DefaultWANConfig`.
    ///
    /// ```
    /// # use swim_core::Config;
    /// assert!(Config::wan().probe_timeout > Config::lan().probe_timeout);
    /// ```
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
            stable_view_age: Duration::from_secs(60),
            ..Self::lan()
        }
    }

    /// For members on one machine: Go's `DefaultLocalConfig`.
    ///
    /// ```
    /// # use swim_core::Config;
    /// assert!(Config::local().gossip_interval < Config::lan().gossip_interval);
    /// ```
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
            stable_view_age: Duration::from_secs(15),
            ..Self::lan()
        }
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

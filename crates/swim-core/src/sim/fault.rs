//! What can go wrong in a simulation, as plain data: faults of the network, and stalls of hosts.

use std::time::Duration;

/// One host of a simulation, in the order in which they were added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) u32);

impl HostId {
    /// Its place in the order of adding, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Names a fault of the network under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultId(pub(crate) u32);

/// A fault of the network. Rates are in millionths: 1,000,000 is always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Packets are lost on their way into or out of these hosts.
    Loss {
        /// The hosts whose links are bad.
        hosts: Vec<HostId>,
        /// The rate at which packets to them are lost.
        inbound: u32,
        /// The rate at which packets from them are lost.
        outbound: u32,
    },
    /// Packets arrive twice, except those that carry application messages: QUIC repeats none.
    Duplicate {
        /// The rate, in millionths.
        rate: u32,
    },
    /// Packets are delayed, so that later ones overtake them.
    HoldBack {
        /// The rate, in millionths.
        rate: u32,
        /// The longest that one is held back.
        at_most: Duration,
    },
    /// Packets with a checksum or encryption arrive with flipped bits; others, as QUIC would do,
    /// not at all.
    Corrupt {
        /// The rate, in millionths.
        rate: u32,
    },
    /// Every packet takes this much longer.
    Slow {
        /// The additional time of travel.
        by: Duration,
    },
    /// Nothing travels from some hosts to others; answers still do.
    OneWay {
        /// The hosts that are not heard.
        from: Vec<HostId>,
        /// The hosts that do not hear them.
        to: Vec<HostId>,
    },
    /// A firewall refuses the packets of some hosts to others, and tells the sender.
    Reject {
        /// The hosts whose packets are refused.
        from: Vec<HostId>,
        /// The hosts that they are for.
        to: Vec<HostId>,
    },
    /// Hosts of different groups do not reach each other.
    Partition {
        /// The group of each host, in the order of the hosts.
        groups: Vec<u8>,
    },
    /// Streams fail, or arrive in pieces.
    Streams {
        /// The rate at which streams are refused.
        refused: u32,
        /// The rate at which streams are reset underway.
        reset: u32,
        /// The most pieces in which the bytes of one direction arrive.
        pieces: usize,
    },
    /// Datagrams above a size are lost on their way into or out of these hosts.
    PathMtu {
        /// The hosts whose links carry less.
        hosts: Vec<HostId>,
        /// The longest datagram that arrives, in bytes of its payload.
        longest: usize,
    },
    /// The bytes of streams arrive in small pieces, one after the other.
    SlowStreams {
        /// The largest piece, in bytes.
        piece: usize,
        /// How much longer each piece takes.
        by: Duration,
    },
}

/// How a host hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// The driver's thread stands still: nothing runs, and what arrived is read before overdue
    /// timers act, as our driver does.
    Driver,
    /// Sends and receives block, as in the experiments of the Lifeguard paper. Timers run until
    /// one of them wants to send; overdue timers act before what arrived is read, as in Go, where
    /// they run on threads of their own.
    Network,
}

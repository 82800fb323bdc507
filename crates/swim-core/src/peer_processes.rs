//! Which process of each peer we talk to: a start number in the first packet of a connection tells
//! a restart apart from a new connection to the same process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::member::Peer;
use crate::member_index::MemberIndex;
use crate::member_table::MemberTable;
use crate::payer::Payer;
use crate::payer_ledger::{PayerLedger, Share};
use crate::time::Time;

/// Addresses whose start number waits for its member to be known; beyond that it is not noted, and
/// a restart there is not noticed.
const MAX_GREETED: usize = 4096;
/// Timeouts do not grow below this number anyway.
const LEAST_COUNTED: usize = 10;

/// What a restart costs the peer that restarts: a share regains whole units in each millisecond.
const COST: u64 = 60_000;
/// How many restarts of one peer are noticed: four at once, and then twelve in a minute. Each makes
/// us exchange states and tell the application, and a start number is easily changed.
const RESTARTS: Share = Share { at_once: 4 * COST, a_second: 12 * COST / 60 };

/// The start numbers heard, and whether certificates prove names.
#[derive(Debug)]
pub(crate) struct PeerProcesses {
    names_are_proven: bool,
    /// By address, until something arrives from a member there.
    greeted: BTreeMap<SocketAddr, u64>,
    /// By address, while there is a connection.
    connected: BTreeMap<SocketAddr, u64>,
    /// By member.
    starts: BTreeMap<MemberIndex, u64>,
    /// The members from which something has arrived, over a connection that is theirs: from where
    /// and when it did last.
    heard: BTreeMap<MemberIndex, (SocketAddr, Time)>,
    /// What peers have used of their shares by restarting.
    restarts: PayerLedger,
}

impl Default for PeerProcesses {
    fn default() -> Self {
        Self {
            names_are_proven: false,
            greeted: BTreeMap::new(),
            connected: BTreeMap::new(),
            starts: BTreeMap::new(),
            heard: BTreeMap::new(),
            restarts: PayerLedger::new(RESTARTS),
        }
    }
}

impl PeerProcesses {
    /// A peer has proved a name: certificates do so in this cluster.
    pub(crate) fn names_are_proven(&self) -> bool {
        self.names_are_proven
    }

    /// The process at an address gave its start number, if it does so.
    pub(crate) fn greet(&mut self, address: SocketAddr, start: Option<u64>, members: &MemberTable) {
        let Some(start) = start else {
            self.connected.remove(&address);
            return;
        };
        if self.connected.len() < MAX_GREETED || self.connected.contains_key(&address) {
            self.connected.insert(address, start);
        }
        // A member of which nothing was heard may restart before anything is.
        let known = members.at_address(address).filter(|member| member.state().is_live());
        for index in known.filter_map(|member| members.find(member.name().as_bytes())) {
            self.starts.entry(index).or_insert(start);
        }
        if self.greeted.len() < MAX_GREETED || self.greeted.contains_key(&address) {
            self.greeted.insert(address, start);
        }
    }

    /// If the peer lists a feature: the start number, where known, of the process to which a
    /// connection leads.
    pub(crate) fn if_listed(&self, peer: SocketAddr, is_listed: bool) -> Option<Option<u64>> {
        is_listed.then(|| self.connected.get(&peer).copied())
    }

    /// Something arrived from a peer. Returns the member that it is, if it is held alive or suspect
    /// at this address and another process of it was there before. Where a peer restarts more often
    /// than its share allows, only what arrives later shows the last restart.
    pub(crate) fn hear(
        &mut self,
        from: &Peer,
        members: &MemberTable,
        now: Time,
    ) -> Option<MemberIndex> {
        self.names_are_proven |= !from.names.is_empty();
        let index = members.find(members.name_of(from)?.as_bytes())?;
        self.heard.insert(index, (from.address, now));
        let start = *self.greeted.get(&from.address)?;
        let member = members.get(index);
        let is_there = member.state().is_live() && member.address() == from.address;
        let is_other = index != MemberIndex::ME
            && self.starts.get(&index).is_some_and(|before| *before != start);
        if is_there && is_other {
            let payer = Payer::of(from);
            if !self.restarts.has_share(&payer, now) {
                return None;
            }
            self.restarts.charge(payer, COST, now);
        }
        self.greeted.remove(&from.address);
        self.starts.insert(index, start);
        (is_there && is_other).then_some(index)
    }

    /// Whether anything has arrived from a member; others may have invented it.
    pub(crate) fn was_heard(&self, index: MemberIndex) -> bool {
        self.heard.contains_key(&index)
    }

    /// When something last arrived from a member, if it came from this address.
    pub(crate) fn heard_at(&self, index: MemberIndex, address: SocketAddr) -> Option<Time> {
        self.heard.get(&index).filter(|(from, _)| *from == address).map(|(_, at)| *at)
    }

    /// Whether there is a connection to the process at this address, which gave its start number.
    pub(crate) fn is_connected(&self, address: SocketAddr) -> bool {
        self.connected.contains_key(&address)
    }

    /// Members that gave no start number, and from which something arrived so lately.
    pub(crate) fn others_heard(
        &self,
        now: Time,
        lately: Duration,
    ) -> impl Iterator<Item = MemberIndex> {
        let is_late = move |at: Time| now - at <= lately;
        let heard = self.heard.iter().filter(move |(_, (_, at))| is_late(*at));
        heard.map(|(index, _)| *index).filter(|index| !self.speaks_ours(*index))
    }

    /// Of how many members something has arrived.
    pub(crate) fn heard(&self) -> usize {
        self.heard.len()
    }

    /// How many of `members` count where a timeout or an interval grows with the cluster, and some
    /// of them were invented: a hundredth of the cube of those that were heard at most. These
    /// scales are logarithmic, so that whoever has heard 47 members counts a thousand, and who has
    /// heard ten counts ten.
    pub(crate) fn counted(&self, members: usize) -> usize {
        let heard = self.heard();
        members.min((heard.saturating_pow(3) / 100).max(LEAST_COUNTED))
    }

    /// Whether a member gave a start number, as members of this library do.
    pub(crate) fn speaks_ours(&self, index: MemberIndex) -> bool {
        self.starts.contains_key(&index)
    }

    /// The member was purged.
    pub(crate) fn forget(&mut self, index: MemberIndex) {
        self.starts.remove(&index);
        self.heard.remove(&index);
    }
}

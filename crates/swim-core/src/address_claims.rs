//! Claims of members' names at other addresses than those held, while both places are probed.
//!
//! A member that comes back elsewhere is believed once two questions are answered: is it the one
//! that it says it is (its certificate proves the name on the connection that its claim, or the
//! ack of our ping, came by), and is the old place empty (nobody answers a ping there)?

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::member::Advertised;
use crate::member_index::MemberIndex;
use crate::output::StreamId;
use crate::time::Time;
use crate::wire::Alive;

/// The most claims under examination, one for each name. Each costs two pings, so that nobody can
/// make us dial without end.
pub(crate) const MAX_CLAIMS: usize = 64;
/// The most joins of one claimant that wait for the outcome; a later one is answered at once.
const MAX_WAITING: usize = 4;
/// How long the silence of an old place counts: the claimant, told that its incarnation is too
/// low, comes back with a higher one within round trips and its own probe of the place.
pub(crate) const SILENCE_HOLDS: Duration = Duration::from_secs(5);

/// The claims under examination, and when members moved last.
#[derive(Debug, Default)]
pub(crate) struct AddressClaims {
    claims: BTreeMap<MemberIndex, ExaminedClaim>,
    /// One entry for each member at most.
    moved: BTreeMap<MemberIndex, Time>,
}

/// An alive message with another address than the one held, kept while it is examined.
#[derive(Clone, Debug)]
pub(crate) struct AddressClaim {
    pub(crate) incarnation: u32,
    pub(crate) advertised: Advertised,
    /// The address of the connection that it came by.
    pub(crate) source: SocketAddr,
    meta: Option<Vec<u8>>,
    vsn: Option<Vec<u8>>,
}

/// A claim, and what is known about it so far.
#[derive(Debug)]
pub(crate) struct ExaminedClaim {
    pub(crate) claim: AddressClaim,
    /// A certificate has proved the name on a connection to the claimant.
    pub(crate) is_proven: bool,
    pub(crate) holder: HolderState,
    /// Joins of the claimant whose answers wait for the outcome.
    waiting: Vec<StreamId>,
}

/// Whether anybody is at the address held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HolderState {
    /// It was pinged and may still answer.
    Asked,
    /// It did not answer, or is held dead or left.
    Gone,
}

impl AddressClaim {
    pub(crate) fn new(alive: &Alive<'_>, advertised: Advertised, source: SocketAddr) -> Self {
        Self {
            incarnation: alive.incarnation,
            advertised,
            source,
            meta: alive.meta.map(<[u8]>::to_vec),
            vsn: alive.vsn.map(<[u8]>::to_vec),
        }
    }

    /// The message that it came as.
    pub(crate) fn as_alive<'a>(&'a self, name: &'a [u8]) -> Alive<'a> {
        Alive {
            incarnation: self.incarnation,
            node: name,
            addr: Some(self.advertised.ip_bytes()),
            port: self.advertised.port,
            meta: self.meta.as_deref(),
            vsn: self.vsn.as_deref(),
        }
    }
}

impl ExaminedClaim {
    pub(crate) fn new(claim: AddressClaim, is_proven: bool, holder: HolderState) -> Self {
        Self { claim, is_proven, holder, waiting: Vec::new() }
    }

    /// The joins that wait for the outcome; they are taken out by this.
    pub(crate) fn take_waiting(&mut self) -> Vec<StreamId> {
        std::mem::take(&mut self.waiting)
    }

    /// Lets a join wait for the outcome; false if too many do.
    pub(crate) fn hold(&mut self, stream: StreamId) -> bool {
        let has_room = self.waiting.len() < MAX_WAITING;
        if has_room {
            self.waiting.push(stream);
        }
        has_room
    }
}

impl AddressClaims {
    pub(crate) fn get(&self, index: MemberIndex) -> Option<&ExaminedClaim> {
        self.claims.get(&index)
    }

    pub(crate) fn get_mut(&mut self, index: MemberIndex) -> Option<&mut ExaminedClaim> {
        self.claims.get_mut(&index)
    }

    /// Begins to examine a claim; false if there are too many.
    pub(crate) fn begin(&mut self, index: MemberIndex, claim: ExaminedClaim) -> bool {
        let has_room = self.claims.len() < MAX_CLAIMS;
        if has_room {
            self.claims.insert(index, claim);
        }
        has_room
    }

    pub(crate) fn end(&mut self, index: MemberIndex) -> Option<ExaminedClaim> {
        self.claims.remove(&index)
    }

    /// Whether a proven claim of a higher incarnation than `incarnation` is under examination: an
    /// older message about the member is then a step of its move.
    pub(crate) fn outranks(&self, index: MemberIndex, incarnation: u32) -> bool {
        self.get(index)
            .is_some_and(|examined| examined.is_proven && examined.claim.incarnation > incarnation)
    }

    pub(crate) fn note_move(&mut self, index: MemberIndex, now: Time) {
        self.moved.insert(index, now);
    }

    /// Whether the member has moved since `before`.
    pub(crate) fn has_moved_since(&self, index: MemberIndex, before: Time) -> bool {
        self.moved.get(&index).is_some_and(|at| *at > before)
    }

    /// The member was purged. Returns the claim that was under examination.
    pub(crate) fn forget(&mut self, index: MemberIndex) -> Option<ExaminedClaim> {
        self.moved.remove(&index);
        self.end(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(incarnation: u32) -> ExaminedClaim {
        let alive = Alive {
            incarnation,
            node: b"bob",
            addr: Some(&[10, 0, 0, 9]),
            port: 7946,
            meta: Some(b"new"),
            vsn: None,
        };
        let advertised = Advertised::from_wire(&[10, 0, 0, 9], 7946).unwrap();
        let claim = AddressClaim::new(&alive, advertised, ([10, 0, 0, 9], 7946).into());
        assert_eq!(claim.as_alive(b"bob"), alive);
        ExaminedClaim::new(claim, true, HolderState::Asked)
    }

    #[test]
    fn claims_and_waiting_joins_are_bounded() {
        let mut claims = AddressClaims::default();
        for n in 0..=MAX_CLAIMS {
            let began = claims.begin(MemberIndex::at(n).unwrap(), claim(3));
            assert_eq!(began, n < MAX_CLAIMS, "claim {n}");
        }
        let examined = claims.get_mut(MemberIndex::at(5).unwrap()).unwrap();
        for n in 0..=MAX_WAITING {
            assert_eq!(examined.hold(StreamId::incoming(n as u64)), n < MAX_WAITING);
        }
        assert_eq!(examined.take_waiting().len(), MAX_WAITING);
        assert!(examined.take_waiting().is_empty());
    }

    #[test]
    fn what_is_older_than_a_proven_claim_is_a_step_of_the_move() {
        let (mut claims, bob) = (AddressClaims::default(), MemberIndex::at(1).unwrap());
        assert!(!claims.outranks(bob, 1));
        assert!(claims.begin(bob, claim(3)));
        assert!(claims.outranks(bob, 2) && !claims.outranks(bob, 3));
        claims.get_mut(bob).unwrap().is_proven = false;
        assert!(!claims.outranks(bob, 2));
    }
}

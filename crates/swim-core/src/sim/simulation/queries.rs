//! What can be asked of a simulation: views, agreement, counts, the digest, the trace.
//!
//! Every answer comes from public methods of the members; asking changes nothing.

use std::net::SocketAddr;

use crate::member::{Member, MemberState};
use crate::member_name::MemberName;
use crate::membership::Membership;
use crate::output::MembershipEvent;
use crate::protocol_versions::ProtocolVersions;
use crate::sim::checker::agreement::{self, Disagreement, FinalView};
use crate::sim::checker::healing::{self, Unhealed};
use crate::sim::coverage::Coverage;
use crate::sim::fault::HostId;
use crate::sim::simulation::Simulation;
use crate::sim::violation::Violation;
use crate::time::Time;

impl Simulation {
    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.queue.now()
    }

    /// Whether certificates prove the names of hosts to each other.
    #[must_use]
    pub fn has_verified_names(&self) -> bool {
        self.hosts.verifies_names()
    }

    /// The versions that a host announces, or will when it starts.
    #[must_use]
    pub fn versions(&self, host: HostId) -> ProtocolVersions {
        self.hosts.config(host).versions
    }

    /// Every host added, up or down.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        self.hosts.ids()
    }

    /// The name of a host.
    #[must_use]
    pub fn name(&self, host: HostId) -> &MemberName {
        self.hosts.name(host)
    }

    /// The host of that name.
    #[must_use]
    pub fn host_named(&self, name: &MemberName) -> Option<HostId> {
        self.hosts.named(name)
    }

    /// Whether a host is up.
    #[must_use]
    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts.is_up(host)
    }

    /// Whether a host is up and a member: not one that was told to leave.
    #[must_use]
    pub fn is_present(&self, host: HostId) -> bool {
        self.is_up(host) && !self.checkers.is_leaving(host)
    }

    /// Whether a host is stalling at present: blocked, or running between two blocks.
    #[must_use]
    pub fn is_stalling(&self, host: HostId) -> bool {
        self.stalls.is_stalling(host)
    }

    /// The member on a host that is up.
    #[must_use]
    pub fn membership(&self, host: HostId) -> Option<&Membership> {
        self.hosts.membership(host)
    }

    /// What one host believes of another.
    #[must_use]
    pub fn member(&self, viewer: HostId, subject: HostId) -> Option<Member> {
        self.membership(viewer)?.member(self.name(subject))
    }

    /// In which state one host holds another.
    #[must_use]
    pub fn state(&self, viewer: HostId, subject: HostId) -> Option<MemberState> {
        self.member(viewer, subject).map(|member| member.state())
    }

    /// Where a host is, or was last.
    pub(crate) fn address(&self, host: HostId) -> SocketAddr {
        self.hosts.address(host)
    }

    /// How many indirect pings a host has dropped, since it was told to pass none on.
    pub(crate) fn dropped_relays(&self, host: HostId) -> u64 {
        self.silent_relays.dropped(host)
    }

    /// Whether every host that is present sees exactly those that are, as they are.
    ///
    /// # Errors
    /// The first difference.
    pub fn agreement(&self) -> Result<(), Disagreement> {
        let present = self.hosts().filter(|host| self.is_present(*host));
        let views: Vec<FinalView> = present
            .filter_map(|host| {
                let membership = self.membership(host)?;
                Some(FinalView {
                    name: self.name(host).clone(),
                    present: Some(membership.local()),
                    view: membership.members().collect(),
                })
            })
            .collect();
        agreement::check(&views)
    }

    /// Whether all agree, nothing is left to send, and nobody takes itself for slow.
    pub(crate) fn healed(&self) -> Result<(), Unhealed> {
        self.agreement()?;
        for host in self.hosts().filter(|host| self.is_present(*host)) {
            if let Some(membership) = self.membership(host) {
                healing::check(self.name(host), &membership.stats())?;
            }
        }
        if self.open_operations() > 0 {
            return Err(Unhealed::OpenOperations(self.open_operations()));
        }
        let wrong = |host: &HostId| {
            let membership = self.membership(*host).filter(|_| self.is_present(*host));
            membership.is_some_and(|membership| !membership.digest_is_right())
        };
        match self.hosts().find(wrong) {
            Some(host) => Err(Unhealed::WrongDigest(self.name(host).clone())),
            None => Ok(()),
        }
    }

    /// The rule that was broken, if one was. Nothing moves any more from then on.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// A hash over every byte and every event that left a member.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// What happened so far, counted.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// How many planned events have happened.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.queue.steps()
    }

    /// Every event kept: when, at whom, what. Empty unless the setup says to keep them.
    #[must_use]
    pub fn events(&self) -> &[(Time, HostId, MembershipEvent)] {
        self.application.events()
    }

    /// Operations that have not ended.
    #[must_use]
    pub fn open_operations(&self) -> usize {
        self.application.open_operations()
    }

    /// Streams that have not ended.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.transport.open_streams()
    }

    /// How many connections a host has.
    #[must_use]
    pub fn connections(&self, host: HostId) -> u64 {
        self.transport.connections(host) as u64
    }

    /// How many connections all hosts have dialed.
    pub(crate) fn dials(&self) -> u64 {
        self.transport.dials()
    }

    /// The last lines of the trace.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        self.trace.lines()
    }
}

//! What can be asked of a simulation: views, agreement, counts, the digest, the trace.
//!
//! Every answer comes from public methods of the machines; asking changes nothing.

use std::collections::VecDeque;

use crate::member::{Member, MemberName, MemberState};
use crate::membership::Membership;
use crate::output::Event;
use crate::sim::checker::Violation;
use crate::sim::checker::agreement::{self, Witness};
use crate::sim::coverage::{Counted, Coverage};
use crate::sim::fault::HostId;
use crate::sim::simulation::Simulation;
use crate::sim::trace::Trace;
use crate::time::Time;

impl Simulation {
    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Whether certificates prove the names of hosts to each other.
    #[must_use]
    pub fn has_verified_names(&self) -> bool {
        self.setup.verified_names
    }

    /// Every host added, up or down.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..u32::try_from(self.hosts.len()).unwrap_or(u32::MAX)).map(HostId)
    }

    /// The name of a host.
    #[must_use]
    pub fn name(&self, host: HostId) -> &MemberName {
        &self.hosts[host.index()].name
    }

    /// The host of that name.
    #[must_use]
    pub fn host_named(&self, name: &MemberName) -> Option<HostId> {
        let place = self.by_name.binary_search_by(|host| self.name(*host).cmp(name)).ok()?;
        self.by_name.get(place).copied()
    }

    /// Whether a host is up.
    #[must_use]
    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts[host.index()].life.is_some()
    }

    /// Whether a host is up and a member: not one that was told to leave.
    #[must_use]
    pub fn is_present(&self, host: HostId) -> bool {
        self.is_up(host) && !self.checker.views.truth(host).leaving
    }

    /// The machine of a host that is up.
    #[must_use]
    pub fn membership(&self, host: HostId) -> Option<&Membership> {
        self.machine(host)
    }

    /// What one host believes of another.
    #[must_use]
    pub fn member(&self, viewer: HostId, subject: HostId) -> Option<Member> {
        self.machine(viewer)?.member(self.name(subject))
    }

    /// In which state one host holds another.
    #[must_use]
    pub fn state(&self, viewer: HostId, subject: HostId) -> Option<MemberState> {
        self.member(viewer, subject).map(|member| member.state())
    }

    /// Whether every host that is present sees exactly those that are, as they are.
    ///
    /// # Errors
    /// The first difference.
    pub fn agreement(&self) -> Result<(), String> {
        let present = self.hosts().filter(|host| self.is_present(*host));
        let witnesses: Vec<Witness> = present
            .filter_map(|host| {
                let machine = self.machine(host)?;
                Some(Witness {
                    name: self.name(host).to_string(),
                    present: Some(machine.local()),
                    view: machine.members().collect(),
                })
            })
            .collect();
        agreement::check(&witnesses).map_err(|breach| breach.detail)
    }

    /// The rule that was broken, if one was. Nothing moves any more from then on.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// A hash over every byte and every event that left a machine.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// What happened so far, counted.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// How many steps the simulation took.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Every event kept: when, at whom, what. Empty unless the setup says to keep them.
    #[must_use]
    pub fn events(&self) -> &[(Time, HostId, Event)] {
        &self.events
    }

    /// Stops the simulation: something is not as it must be.
    pub(crate) fn report_breach(&mut self, rule: &'static str, detail: String) {
        self.breach(rule, detail);
    }

    pub(crate) fn count(&mut self, what: Counted) {
        self.coverage.add(what);
    }

    /// Operations that have not ended.
    #[must_use]
    pub fn open_operations(&self) -> usize {
        self.checker.messages.open()
    }

    /// Streams that have not ended.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Keeps the last lines of a trace from here on.
    pub fn keep_trace(&mut self) {
        self.trace = Trace::Last(VecDeque::new());
    }

    /// Gives every line of a trace to `sink` from here on.
    pub fn trace_to(&mut self, sink: impl FnMut(&str) + 'static) {
        self.trace = Trace::To(Box::new(sink));
    }

    /// The last lines of the trace.
    #[must_use]
    pub fn last_lines(&self) -> Vec<String> {
        self.trace.lines()
    }
}

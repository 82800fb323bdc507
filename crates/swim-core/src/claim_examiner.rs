//! What is believed of claims that somebody else makes of a member: how far it may be above what is
//! held, how many new members one peer may bring, and who is asked before it is taken for gone.

use crate::advertised_address::{advertised_in, stated_address};
use crate::bearer::Bearer;
use crate::effects::Effects;
use crate::failure_detector::{FailureDetector, GoneClaim};
use crate::hearsay::{HALF_OF_ALL, Hearsay, Lead, Revival};
use crate::member::{Advertised, Member, MemberState};
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::output::{Destination, WarningKind};
use crate::peer_processes::PeerProcesses;
use crate::push_pull::versions_in;
use crate::suspicion::Suspicion;
use crate::verdict::Proof;
use crate::version_fit::check_versions;
use crate::wire::{Alive, Dead, IndirectPing, Message, Suspect};

/// That a member is alive, and who says so.
pub(crate) type Reported<'a> = (&'a Alive<'a>, Bearer<'a>);

/// The parts of the machine that judge claims of others.
pub(crate) struct ClaimExaminer<'a> {
    pub(crate) hearsay: &'a mut Hearsay,
    pub(crate) processes: &'a PeerProcesses,
    pub(crate) members: &'a MemberTable,
    pub(crate) detector: &'a FailureDetector,
    pub(crate) effects: &'a mut Effects,
}

impl ClaimExaminer<'_> {
    /// At which incarnation a suspicion, death or leave is believed: the one that is held instead
    /// of one too far above it, and none if it is impossible, or about us and too far above what
    /// we say. Counted unless it is the one claimed.
    pub(crate) fn believed_incarnation(
        &mut self,
        index: Option<MemberIndex>,
        incarnation: u32,
        bearer: Option<Bearer<'_>>,
    ) -> Option<u32> {
        let (Some(index), Some(bearer)) = (index, bearer) else { return Some(incarnation) };
        let held = self.members.get(index).incarnation();
        if self.admits(index, incarnation, bearer) {
            return Some(incarnation);
        }
        let is_possible = Lead::of(incarnation, held) != Lead::Impossible;
        (index != MemberIndex::ME && is_possible).then_some(held)
    }

    /// The same for a suspicion. While the member does not answer us either, one that is as old as
    /// ours counts, since only hearsay has raised what is held meanwhile, and so does one that is
    /// impossibly far ahead, for the incarnation that is held.
    pub(crate) fn believed_suspicion(
        &mut self,
        index: Option<MemberIndex>,
        incarnation: u32,
        bearer: Option<Bearer<'_>>,
    ) -> Option<u32> {
        let silent = index.filter(|index| self.own_evidence(*index).is_some());
        let Some(silent) = silent else {
            return self.believed_incarnation(index, incarnation, bearer);
        };
        let held = self.members.get(silent).incarnation();
        let is_since = self.is_since(silent, incarnation);
        let raised = if is_since { incarnation.max(held) } else { incarnation };
        self.believed_incarnation(index, raised, bearer).or(Some(held))
    }

    /// Whether a member does not answer us since this incarnation, or a former one.
    pub(crate) fn is_since(&self, index: MemberIndex, incarnation: u32) -> bool {
        self.own_evidence(index).is_some_and(|since| since <= incarnation)
    }

    /// Whether a claim is near enough to what is held; counted if not.
    fn admits(&mut self, index: MemberIndex, incarnation: u32, bearer: Bearer<'_>) -> bool {
        let (held, now) = (self.members.get(index).incarnation(), self.effects.now());
        let admitted = match Lead::of(incarnation, held) {
            _ if index == MemberIndex::ME => self.admits_about_us(incarnation, bearer),
            Lead::Small => self.hearsay.admit_few_ahead(index, (incarnation, held), now),
            Lead::Large | Lead::Impossible => false,
        };
        self.effects.count().refused_incarnation += u64::from(!admitted);
        admitted
    }

    /// Whose word a suspicion or death is that `bearer` tells in the name of `by`, and whether that
    /// is known. What an exchange brings, or is told in our name, is the word of whoever brings it:
    /// others would count against us what we did not find out ourselves.
    pub(crate) fn claimant(
        &self,
        subject: &[u8],
        by: MemberName,
        bearer: Option<Bearer<'_>>,
    ) -> (MemberName, bool) {
        let Some(bearer) = bearer else { return (by, true) };
        let proof = bearer.proof_of(by.as_bytes(), self.processes.names_are_proven());
        let is_first_hand = proof != Proof::Hearsay;
        if by != *self.members.me().name() {
            return (by, is_first_hand);
        }
        let name = match bearer {
            Bearer::Peer(peer) => self.members.name_of(peer),
            Bearer::Answer(address) => self.members.at_address(address).map(Member::name).next(),
        };
        let name = name.filter(|name| name.as_bytes() != subject);
        (name.cloned().unwrap_or(by), is_first_hand)
    }

    /// Whether a claim about ourselves is near enough to what we say. Whatever others can be made
    /// to hold of us they must be able to tell us, or we could not refute it. A member that has
    /// just started may be told by those who answer it, and by its peers, how high it once was, up
    /// to [`HALF_OF_ALL`].
    fn admits_about_us(&mut self, incarnation: u32, bearer: Bearer<'_>) -> bool {
        let (held, now) = (self.members.me().incarnation(), self.effects.now());
        let is_past = incarnation < HALF_OF_ALL && self.may_tell_us_our_past(bearer);
        is_past || self.hearsay.admit_about_us((incarnation, held), bearer.payer(), now)
    }

    /// Has a member say where it is, by telling it something older than what it says: where that is
    /// what it says, nothing changes.
    fn ask_for_incarnation(&mut self, index: MemberIndex) {
        let (member, me) = (self.members.get(index), self.members.me());
        let incarnation = member.incarnation().saturating_sub(1);
        let (node, from) = (member.name().as_bytes(), me.name().as_bytes());
        let question = Message::Suspect(Suspect { incarnation, node, from });
        self.effects.send_messages(Destination::of(member), &[question], false);
    }

    fn may_tell_us_our_past(&self, bearer: Bearer<'_>) -> bool {
        match bearer {
            Bearer::Answer(_) => true,
            Bearer::Peer(peer) => {
                !peer.names.is_empty() && self.effects.counters().exchanges_started < 2
            }
        }
    }

    /// Whether an alive message may change anything: not where it says what is held already, nor
    /// where its bearer is not believed, which is counted. What Go members say of themselves
    /// travels by hearsay only, so their incarnations have no bound.
    pub(crate) fn admits_alive(
        &mut self,
        index: Option<MemberIndex>,
        (alive, advertised): (&Alive<'_>, Advertised),
        bearer: Bearer<'_>,
    ) -> bool {
        let other = index.filter(|index| *index != MemberIndex::ME);
        if other.is_some_and(|index| self.members.get(index).record().covers(alive, advertised)) {
            return false;
        }
        let proof = bearer.proof_of(alive.node, self.processes.names_are_proven());
        if index != Some(MemberIndex::ME) && !self.understands(alive, bearer, proof) {
            return false;
        }
        let Some(index) = index else {
            return proof == Proof::Proven || self.admits_new_member(alive, bearer, proof);
        };
        let is_bounded =
            proof == Proof::Hearsay && (index == MemberIndex::ME || self.may_speak_ours(index));
        if !is_bounded || self.admits(index, alive.incarnation, bearer) {
            return true;
        }
        let now = self.effects.now();
        if index != MemberIndex::ME && self.hearsay.admit_question(index, bearer.payer(), now) {
            self.ask_for_incarnation(index);
        }
        false
    }

    /// What follows when a later incarnation of a member is said to be alive of which we found
    /// otherwise: it is held as gone, or did not answer us, or is being probed. Otherwise any
    /// member could keep one that has crashed alive with a message now and then. That we ask the
    /// member makes it say so itself. One that has moved is sought where it is said to be, and of
    /// Go members hearsay is all there is.
    pub(crate) fn judge_revival(
        &mut self,
        index: MemberIndex,
        (alive, bearer): Reported<'_>,
    ) -> Revival {
        let (held, me) = (self.members.get(index).record(), self.members.me().record());
        let is_against = self.is_held_against(index);
        let proof = bearer.proof_of(alive.node, self.processes.names_are_proven());
        let is_judged = (is_against || self.detector.is_examining(index, &held.name))
            && proof == Proof::Hearsay
            && self.may_speak_ours(index)
            && advertised_in(alive, me.advertised.port) == Some(held.advertised);
        if !is_judged {
            return Revival::Believed;
        }
        let revival = self.hearsay.judge_revival(index, self.effects.now());
        self.effects.count().refused_revival += u64::from(revival != Revival::Believed);
        match revival {
            Revival::Believed => {}
            Revival::Doubted | Revival::Asked | Revival::Ignored if !is_against => {
                return Revival::Doubted;
            }
            Revival::Asked => self.ask_for_incarnation(index),
            Revival::Doubted | Revival::Ignored => {}
        }
        revival
    }

    /// Whether we hold against a member that it is gone, or that it did not answer us.
    fn is_held_against(&self, index: MemberIndex) -> bool {
        match self.members.get(index).state() {
            MemberState::Alive => false,
            MemberState::Suspect => self.own_evidence(index).is_some(),
            MemberState::Dead | MemberState::Left => true,
        }
    }

    fn own_evidence(&self, index: MemberIndex) -> Option<u32> {
        self.members.suspicion(index).and_then(Suspicion::own_evidence)
    }

    /// Whether we and a member understand each other. Who speaks for itself is reported if not.
    fn understands(&mut self, alive: &Alive<'_>, bearer: Bearer<'_>, proof: Proof) -> bool {
        let Some(versions) = versions_in(alive.vsn) else { return true };
        let fits = check_versions(alive.node, Some(versions), self.members.me().record());
        let Err(mismatch) = fits else { return true };
        self.effects.count().refused_version += 1;
        if proof == Proof::Proven {
            let (kind, address) = (WarningKind::VersionRefused, bearer.address());
            self.effects.warn(kind, address, mismatch.to_string());
        }
        false
    }

    /// A member that nobody here knows, and that does not speak for itself.
    fn admits_new_member(&mut self, alive: &Alive<'_>, bearer: Bearer<'_>, proof: Proof) -> bool {
        if proof == Proof::Hearsay && alive.incarnation >= HALF_OF_ALL {
            self.effects.count().refused_incarnation += 1;
            return false;
        }
        let Bearer::Peer(_) = bearer else { return true };
        let admitted = self.hearsay.admit_new_member(bearer.payer(), self.effects.now());
        self.effects.count().refused_members_full += u64::from(!admitted);
        admitted
    }

    /// Whether a member says itself that it leaves: it proves its name, or, where nobody does, it
    /// is at its address.
    pub(crate) fn is_departure(&self, dead: &Dead<'_>, bearer: Bearer<'_>) -> bool {
        let Bearer::Peer(peer) = bearer else { return false };
        let is_there = || {
            let index = self.members.find(dead.node);
            index.is_some_and(|index| self.members.get(index).address() == peer.address)
        };
        dead.from == dead.node
            && peer.speaks_for_bytes(dead.node)
            && (!peer.names.is_empty() || is_there())
    }

    /// Whether a member is asked before it is taken for gone. A Go member that leaves answers pings
    /// as before, so others are taken at their word.
    pub(crate) fn asks_first(&self, index: MemberIndex, dead: &Dead<'_>) -> bool {
        let is_leave = dead.from == dead.node;
        self.members.get(index).state().is_live() && (!is_leave || self.may_speak_ours(index))
    }

    /// Whether a member may run this library: one from which nothing was heard yet may.
    fn may_speak_ours(&self, index: MemberIndex) -> bool {
        self.processes.speaks_ours(index) || !self.processes.was_heard(index)
    }

    /// Others found a member dead at a former incarnation. If we know it by hearsay only, it is to
    /// be probed soon.
    pub(crate) fn note_late_death(&mut self, index: MemberIndex, bearer: Option<Bearer<'_>>) {
        let is_live = self.members.get(index).state().is_live();
        if let Some(bearer) = bearer.filter(|_| is_live && !self.processes.was_heard(index)) {
            self.hearsay.rechecks.add_for(index, bearer.payer(), self.effects.now());
        }
    }

    /// Whether the member is not being asked already, and there is room to ask it.
    pub(crate) fn can_ask(&self, index: MemberIndex) -> bool {
        self.detector.can_ask(self.members.get(index).name())
    }

    /// The member that we ping for another one. Only members are pinged, and only where we hold
    /// them: whoever asks could make us dial any address. That a member is somewhere else is no
    /// answer for who seeks it here.
    pub(crate) fn pinged_for_others(&self, request: &IndirectPing<'_>) -> Option<MemberIndex> {
        let my_port = self.members.me().record().advertised.port;
        let stated = stated_address(request.target, request.port, my_port)?.to_socket();
        let index = self.members.find(request.node).filter(|index| *index != MemberIndex::ME)?;
        (self.members.get(index).address() == stated).then_some(index)
    }

    /// Who was said to be gone has answered: it is told, so that it can refute everywhere.
    pub(crate) fn claim_is_false(&mut self, claim: &GoneClaim) {
        let Some(index) = self.members.find(claim.target.as_bytes()) else { return };
        let member = self.members.get(index);
        if member.state().is_live() && member.incarnation() <= claim.incarnation {
            self.effects.count().refused_gone += 1;
            let to = Destination::of(member);
            self.effects.send_messages(to, &[Message::Dead(claim.as_dead())], false);
        }
    }
}

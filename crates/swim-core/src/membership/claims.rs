//! Claims about members: judged by `verdict`, carried out here.
//!
//! Changes the roster, queues news, reports events; never sends. What is objected to or answered
//! goes to `answers`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Membership;
use crate::broadcast::retransmit_limit;
use crate::member::{Advertised, Member, MemberName, MemberState, ProtocolVersions, Record};
use crate::output::{Event, Output, WarningKind};
use crate::roster::Slot;
use crate::suspicion::{Span, Suspicion};
use crate::time::Time;
use crate::timers::Timer;
use crate::verdict::{Claim, Held, Place, Subject, Verdict, judge};
use crate::wire::{Alive, Dead, Message, Suspect};

/// Why a member is not believed alive.
#[derive(Debug)]
pub(super) struct Accusation {
    /// Whose suspicion started it; the member itself if it left.
    pub(super) by: MemberName,
    /// While it may still object.
    suspicion: Option<Suspicion>,
    /// When we last told it.
    pub(super) answered: Option<Time>,
}

/// The incarnation nobody can answer: refuting it would wrap around.
pub(super) const LAST_INCARNATION: u32 = u32::MAX;
/// The most metadata taken from anybody. Go sends at most 512 bytes and checks nothing.
const MAX_META_TAKEN: usize = 4096;

impl Membership {
    /// `source` is the connection that said so.
    pub(super) fn claim_alive(&mut self, alive: &Alive<'_>, source: SocketAddr) {
        if alive.incarnation == 0 || alive.incarnation == LAST_INCARNATION {
            self.counters.refused_incarnation += 1;
            return;
        }
        let slot = self.roster.find(alive.node);
        let Some(advertised) = self.advertised_by(alive) else {
            self.counters.refused_claim += 1;
            return;
        };
        let claim = Claim::Alive {
            incarnation: alive.incarnation,
            place: slot.map_or(Place::Same, |slot| self.place_of(slot, advertised)),
            differs: slot == Some(Slot::ME) && self.differs_from_me(alive),
        };
        match judge(self.held(slot), claim) {
            Verdict::Ignore(_) | Verdict::Confirm | Verdict::Remember => {}
            Verdict::Refute => self.refute(alive.incarnation),
            Verdict::Answer => self.answer_stale(slot, source),
            Verdict::Conflict => self.report_conflict(slot, advertised, source),
            Verdict::Adopt | Verdict::Takeover => self.adopt_life(slot, alive, advertised, source),
        }
    }

    pub(super) fn claim_suspect(&mut self, suspect: &Suspect<'_>) {
        if self.refuses_accusation(suspect.incarnation, suspect.from) {
            return;
        }
        let slot = self.roster.find(suspect.node);
        let claim = Claim::Suspect { incarnation: suspect.incarnation };
        match (judge(self.held(slot), claim), slot) {
            (Verdict::Adopt, Some(slot)) => self.begin_suspicion(slot, suspect),
            (Verdict::Confirm, Some(slot)) => self.confirm_suspicion(slot, suspect),
            (Verdict::Remember, Some(slot)) => self.remember(slot, suspect.incarnation),
            (Verdict::Refute, _) => self.refute(suspect.incarnation),
            _ => {}
        }
    }

    pub(super) fn claim_dead(&mut self, dead: &Dead<'_>) {
        if self.refuses_accusation(dead.incarnation, dead.from) {
            return;
        }
        let slot = self.roster.find(dead.node);
        let claim = if dead.from == dead.node {
            Claim::Left { incarnation: dead.incarnation }
        } else {
            Claim::Dead { incarnation: dead.incarnation }
        };
        match (judge(self.held(slot), claim), slot) {
            (Verdict::Adopt, Some(slot)) => self.adopt_death(slot, dead),
            (Verdict::Remember, Some(slot)) => self.remember(slot, dead.incarnation),
            (Verdict::Refute, _) => self.refute(dead.incarnation),
            _ => {}
        }
    }

    /// Our own suspicion of a member.
    pub(super) fn accuse(&mut self, name: &MemberName, incarnation: u32) {
        let me = self.me().name().clone();
        self.claim_suspect(&Suspect { incarnation, node: name.as_bytes(), from: me.as_bytes() });
    }

    pub(super) fn suspicion_ran_out(&mut self, slot: Slot) {
        let alone = self
            .accusations
            .get(&slot)
            .and_then(|accusation| accusation.suspicion.as_ref())
            .is_some_and(|suspicion| !suspicion.is_fully_confirmed());
        if alone {
            self.counters.suspicions_timed_out_alone += 1;
        }
        let (Some(member), me) = (self.roster.try_get(slot).cloned(), self.local()) else { return };
        self.claim_dead(&Dead {
            incarnation: member.incarnation(),
            node: member.name().as_bytes(),
            from: me.name().as_bytes(),
        });
    }

    /// Queues what we say of ourselves, replacing what we said before.
    pub(super) fn gossip_about_me(&mut self) {
        let me = self.local();
        self.push_news(Slot::ME, &Message::Alive(alive_message(&me, &versions_of(&me))));
    }

    /// Drops everything kept beside a member's record.
    pub(super) fn forget_member(&mut self, slot: Slot, member: &Member) {
        self.accusations.remove(&slot);
        self.conflicts.remove(&slot);
        self.timers.clear(Timer::Suspicion(slot));
        self.news.remove(slot);
        self.user_broadcasts.forget(slot);
        self.packet_limits.remove(&member.address());
        self.outputs.push_back(Output::ForgetPeer { address: member.address() });
    }

    fn held(&self, slot: Option<Slot>) -> Option<Held> {
        let slot = slot?;
        let member = self.roster.get(slot);
        let subject = match (slot == Slot::ME, self.is_leaving()) {
            (false, _) => Subject::Other,
            (true, false) => Subject::Me,
            (true, true) => Subject::MeLeaving,
        };
        Some(Held { subject, state: member.state(), incarnation: member.incarnation() })
    }

    /// The address in a claim; `None` if the claim cannot stand.
    fn advertised_by(&self, alive: &Alive<'_>) -> Option<Advertised> {
        if let Some([min, max, _, ..]) = alive.vsn
            && (*min == 0 || *max == 0 || min > max)
        {
            return None;
        }
        if alive.meta.is_some_and(|meta| meta.len() > MAX_META_TAKEN) {
            return None;
        }
        let port = if alive.port == 0 { self.me().record().advertised.port } else { alive.port };
        Advertised::from_wire(alive.addr?, port)
    }

    fn place_of(&self, slot: Slot, advertised: Advertised) -> Place {
        let record = self.roster.get(slot).record();
        if record.advertised == advertised {
            return Place::Same;
        }
        let reclaim = self.config.dead_node_reclaim_time;
        let free = match record.state {
            MemberState::Left => slot != Slot::ME,
            MemberState::Dead => !reclaim.is_zero() && self.now - record.changed > reclaim,
            MemberState::Alive | MemberState::Suspect => false,
        };
        if free { Place::MovedToFreeName } else { Place::Moved }
    }

    fn differs_from_me(&self, alive: &Alive<'_>) -> bool {
        let me = self.me();
        let versions = self.config.versions.to_bytes();
        alive.meta.unwrap_or_default() != me.meta()
            || alive.vsn.unwrap_or_default() != versions.as_slice()
    }

    fn refuses_accusation(&mut self, incarnation: u32, from: &[u8]) -> bool {
        if incarnation == LAST_INCARNATION {
            self.counters.refused_incarnation += 1;
            return true;
        }
        if from.is_empty() || from.len() > MemberName::MAX_LEN {
            self.counters.refused_claim += 1;
            return true;
        }
        false
    }

    fn adopt_life(
        &mut self,
        slot: Option<Slot>,
        alive: &Alive<'_>,
        advertised: Advertised,
        source: SocketAddr,
    ) {
        let Ok(name) = MemberName::try_from(alive.node) else {
            self.counters.refused_claim += 1;
            return;
        };
        let before = slot.map(|slot| self.roster.get(slot).clone());
        let versions = alive.vsn.and_then(|vsn| vsn.first_chunk()).copied();
        let state_before = before.as_ref().map(Member::state);
        let candidate = Member::new(Record {
            name,
            meta: match (alive.meta, before.as_ref().and_then(|old| old.record().meta.clone())) {
                (Some(new), Some(old)) if *new == *old => Some(old),
                (new, _) => new.map(Arc::from),
            },
            changed: match (&before, state_before) {
                (Some(old), Some(MemberState::Alive)) => old.record().changed,
                _ => self.now,
            },
            incarnation: alive.incarnation,
            advertised,
            versions: versions
                .map(ProtocolVersions::from_bytes)
                .or_else(|| before.as_ref().and_then(Member::versions)),
            state: MemberState::Alive,
        });
        if !self.admits(slot, &candidate, source) {
            return;
        }
        let slot = match slot {
            Some(slot) => {
                let record = candidate.record().clone();
                self.roster.update(slot, |held| *held = record);
                slot
            }
            None => self.roster.insert(candidate.clone(), &mut self.dice),
        };
        self.push_news(slot, &Message::Alive(*alive));
        let cleared = self.accusations.remove(&slot);
        self.conflicts.remove(&slot);
        self.timers.clear(Timer::Suspicion(slot));
        self.report_life(before, candidate, cleared);
    }

    fn report_life(&mut self, before: Option<Member>, member: Member, cleared: Option<Accusation>) {
        let Some(before) = before.filter(|before| before.state().is_live()) else {
            log::info!("{} joined at {}", member.name(), member.address());
            self.emit(Event::Joined(member));
            return;
        };
        if let (MemberState::Suspect, Some(accusation)) = (before.state(), cleared) {
            log::info!("{} is no longer suspected", member.name());
            self.counters.suspicions_cleared += 1;
            self.emit(Event::Cleared { member: member.clone(), by: accusation.by });
        }
        if before.meta() != member.meta() {
            self.emit(Event::Updated(member));
        }
    }

    fn admits(&mut self, slot: Option<Slot>, candidate: &Member, source: SocketAddr) -> bool {
        let refusal = if slot.is_none() && self.roster.len() >= self.config.max_members {
            self.counters.refused_members_full += 1;
            (WarningKind::Overload, format!("{}: the table of members is full", candidate.name()))
        } else if !self.config.allows(candidate.address().ip()) {
            self.counters.refused_admission += 1;
            let detail = format!(
                "{} at {} is outside the allowed networks",
                candidate.name(),
                candidate.address()
            );
            (WarningKind::NotAdmitted, detail)
        } else if let Some(Err(reason)) =
            self.hooks.as_mut().map(|hooks| hooks.admit_member(candidate))
        {
            self.counters.refused_admission += 1;
            (WarningKind::NotAdmitted, format!("{}: {reason}", candidate.name()))
        } else {
            return true;
        };
        self.warn(refusal.0, source, refusal.1);
        false
    }

    fn begin_suspicion(&mut self, slot: Slot, suspect: &Suspect<'_>) {
        let Ok(by) = MemberName::try_from(suspect.from) else { return };
        self.push_news(slot, &Message::Suspect(*suspect));
        let now = self.now;
        self.roster.update(slot, |record| {
            record.incarnation = suspect.incarnation;
            record.state = MemberState::Suspect;
            record.changed = now;
        });
        let suspicion = Suspicion::new(by.clone(), self.suspicion_span(), now);
        self.timers.set(Timer::Suspicion(slot), suspicion.deadline());
        self.counters.suspicions += 1;
        let member = self.roster.get(slot).clone();
        log::info!("{} is suspected by {by}", member.name());
        let accusation = Accusation { by: by.clone(), suspicion: Some(suspicion), answered: None };
        self.accusations.insert(slot, accusation);
        self.emit(Event::Suspected { member, by });
    }

    fn suspicion_span(&self) -> Span {
        let config = &self.config;
        let span = Span::new(
            self.roster.len(),
            config.suspicion_multiplier,
            config.suspicion_max_timeout_multiplier,
            self.beat(),
        );
        if config.local_health_suspicion { span } else { span.fixed() }
    }

    fn confirm_suspicion(&mut self, slot: Slot, suspect: &Suspect<'_>) {
        self.remember(slot, suspect.incarnation);
        let Ok(from) = MemberName::try_from(suspect.from) else { return };
        let suspicion =
            self.accusations.get_mut(&slot).and_then(|accusation| accusation.suspicion.as_mut());
        if let Some(suspicion) = suspicion
            && suspicion.confirm(&from)
        {
            let deadline = suspicion.deadline();
            self.timers.set(Timer::Suspicion(slot), deadline);
            self.push_news(slot, &Message::Suspect(*suspect));
        }
    }

    fn remember(&mut self, slot: Slot, incarnation: u32) {
        if incarnation > self.roster.get(slot).incarnation() {
            self.roster.update(slot, |record| record.incarnation = incarnation);
        }
    }

    fn adopt_death(&mut self, slot: Slot, dead: &Dead<'_>) {
        let Ok(from) = MemberName::try_from(dead.from) else { return };
        let left = dead.from == dead.node;
        self.push_news(slot, &Message::Dead(*dead));
        let now = self.now;
        self.roster.update(slot, |record| {
            record.incarnation = dead.incarnation;
            record.state = if left { MemberState::Left } else { MemberState::Dead };
            record.changed = now;
        });
        self.timers.clear(Timer::Suspicion(slot));
        let suspicion = self.accusations.remove(&slot);
        let after = suspicion
            .as_ref()
            .and_then(|accusation| accusation.suspicion.as_ref())
            .map_or(Duration::ZERO, |suspicion| now - suspicion.started());
        let by = match suspicion {
            Some(accusation) if !left => accusation.by,
            _ => from,
        };
        let accusation = Accusation { by: by.clone(), suspicion: None, answered: None };
        self.accusations.insert(slot, accusation);
        self.user_broadcasts.forget(slot);
        let member = self.roster.get(slot).clone();
        if left {
            log::info!("{} left", member.name());
            self.outputs.push_back(Output::ForgetPeer { address: member.address() });
            self.emit(Event::Left(member));
            self.await_seed_round();
        } else {
            log::info!("{} is dead; suspected by {by} for {after:?}", member.name());
            self.counters.failures += 1;
            self.emit(Event::Failed { member, suspected_by: by, after });
            self.lost_a_member();
        }
    }

    /// How often each piece of news is sent in a cluster of the present size.
    pub(super) fn retransmits(&self) -> u32 {
        retransmit_limit(self.config.retransmit_multiplier, self.roster.len())
    }
}

/// The versions as they go out; zeros where a member announced none, as Go does.
pub(super) fn versions_of(member: &Member) -> [u8; 6] {
    member.versions().map_or([0; 6], ProtocolVersions::to_bytes)
}

pub(super) fn alive_message<'a>(member: &'a Member, versions: &'a [u8; 6]) -> Alive<'a> {
    let record = member.record();
    Alive {
        incarnation: record.incarnation,
        node: record.name.as_bytes(),
        addr: Some(record.advertised.ip_bytes()),
        port: record.advertised.port,
        meta: record.meta.as_deref(),
        vsn: Some(versions),
    }
}

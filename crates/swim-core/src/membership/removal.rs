//! Members that are forgotten, those that the application refuses after all among them.

use super::Membership;
use crate::member::Member;
use crate::member_index::MemberIndex;
use crate::member_name::MemberName;
use crate::output::{MembershipEvent, Output, WarningKind};
use crate::time::Time;

impl Membership {
    /// More is known of a member than when [`Hooks::admit_member`](crate::Hooks::admit_member)
    /// was asked about it: asks again. A member that is refused now is forgotten at once, as
    /// [`Removed`](MembershipEvent::Removed) tells. Others are told nothing: the refusal is the
    /// application's of this member alone, and the refused one may well be alive.
    ///
    /// Nothing happens if the member is not held alive or suspect, or is ourselves, and after a
    /// leave.
    pub fn review_member(&mut self, name: &MemberName, now: Time) {
        self.effects.begin(now);
        let Some(index) = self.reviewed(name) else { return };
        let member = self.members.get(index).clone();
        let hooks = self.hooks.as_mut();
        if let Some(Err(reason)) = hooks.map(|hooks| hooks.admit_member(&member)) {
            self.warn_of_refusal(&member, &reason);
            self.remove(index, member, reason);
        }
    }

    /// The member, if it is another one than ourselves and still there, and we are members.
    fn reviewed(&self, name: &MemberName) -> Option<MemberIndex> {
        let index = self.members.find(name.as_bytes())?;
        let is_live = self.members.get(index).state().is_live();
        (index != MemberIndex::ME && is_live && !self.lifecycle.is_leaving()).then_some(index)
    }

    fn warn_of_refusal(&mut self, member: &Member, reason: &str) {
        log::info!("{} is removed: {reason}", member.name());
        self.effects.count().refused_admission += 1;
        let detail = format!("{}: {reason}", member.name());
        self.effects.warn(WarningKind::NotAdmitted, member.address(), detail);
    }

    fn remove(&mut self, index: MemberIndex, member: Member, reason: String) {
        let end = self.detector.abandon_round_of(index, &mut self.effects);
        self.members.remove(index);
        self.bootstrap.forget_joined(member.address());
        self.forget(index, &member);
        self.effects.emit(MembershipEvent::Removed { member, reason });
        if let Some(end) = end {
            self.end_round(end);
        }
    }

    /// Nothing is left of a member in the parts of the machine.
    pub(super) fn forget(&mut self, index: MemberIndex, member: &Member) {
        let address = member.address();
        self.forget_watched(index, member);
        self.detector.forget(member.name());
        self.detector.hinted().forget(index);
        self.clear_suspicion_timers(index);
        self.forget_claim(index);
        self.dissemination.forget(index, address);
        self.effects.push(Output::ForgetPeer { address });
    }
}

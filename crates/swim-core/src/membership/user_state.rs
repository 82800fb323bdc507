//! What the application adds to the states of push-pulls, and what it gets of its peers'.

use super::Membership;
use crate::bearer::Bearer;
use crate::error::PayloadTooLarge;
use crate::hooks::StateSender;
use crate::member::Member;
use crate::member_name::MemberName;
use crate::member_table::MemberTable;
use crate::output::{MembershipEvent, WarningKind};
use crate::wire::{MAX_USER_STATE, PushPull};

/// The most application state that a push-pull carries: it has room for 20 MiB, members included.
const MAX_STATE: usize = MAX_USER_STATE / 2;

impl Membership {
    /// What we send along in push-pulls from here on, unless
    /// [`Hooks::local_state`](crate::Hooks::local_state) says otherwise; the other side gets it
    /// with [`RemoteState`](MembershipEvent::RemoteState).
    ///
    /// # Errors
    /// Above 10 MiB: a push-pull carries at most 20 MiB, members included.
    pub fn set_user_state(&mut self, state: Vec<u8>) -> Result<(), PayloadTooLarge> {
        if state.len() > MAX_STATE {
            return Err(PayloadTooLarge { len: state.len(), limit: MAX_STATE });
        }
        self.exchanges.own_state().set_user_state(state);
        Ok(())
    }

    /// Our whole state, as a push-pull sends it.
    pub(super) fn encode_state(&mut self, join: bool) -> Vec<u8> {
        self.refresh_user_state(join);
        self.exchanges.own_state().encode(join, &self.members)
    }

    /// Asks the application for what it adds to the next push-pull.
    pub(super) fn refresh_user_state(&mut self, join: bool) {
        let given = self.hooks.as_mut().and_then(|hooks| hooks.local_state(join));
        if let Some(Err(error)) = given.map(|state| self.set_user_state(state)) {
            self.exchanges.own_state().set_user_state(Vec::new());
            let me = self.members.me().address();
            self.effects.warn(WarningKind::Overload, me, left_out(error));
        }
    }

    /// Hands the application what a peer's added to its state.
    pub(super) fn deliver_user_state(&mut self, theirs: &PushPull<'_>, bearer: Bearer<'_>) {
        let (address, join, state) = (bearer.address(), theirs.join, theirs.user_state.to_vec());
        let from = StateSender { name: name_of(bearer, &self.members), address };
        if let Some(hooks) = &mut self.hooks {
            hooks.merge_remote_state(&state, join, from);
        }
        self.effects.emit(MembershipEvent::RemoteState { address, join, state });
    }
}

fn left_out(PayloadTooLarge { len, limit }: PayloadTooLarge) -> String {
    format!(
        "the application adds {len} bytes to a push-pull, which carries at most {limit} of them: \
         none are sent; shorten what Hooks::local_state returns"
    )
}

/// Whose state it is, as far as the connection or the address tells.
fn name_of<'a>(bearer: Bearer<'a>, members: &'a MemberTable) -> Option<&'a MemberName> {
    match bearer {
        Bearer::Peer(peer) => members.name_of(peer),
        Bearer::Answer(address) => members.at_address(address).next().map(Member::name),
    }
}

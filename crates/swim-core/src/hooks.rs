//! Vetoes and state of the application: the only code of it that runs inside the machine.

use std::net::SocketAddr;

use crate::member::Member;
use crate::member_name::MemberName;

/// Admission rules that an application wants to add to those of the [`Config`](crate::Config).
///
/// The methods are called synchronously, while a packet or stream is handled: they must be pure
/// and fast (no blocking, no calls back). The defaults admit everything. Go's memberlist calls
/// them `AliveDelegate`, `MergeDelegate` and `ConflictDelegate`, and the exchange of states is part
/// of its `Delegate`.
pub trait Hooks {
    /// May this member enter, or change what is known of it? A refusal drops the message as if it
    /// had not been received. Not called for ourselves, nor for messages that are stale anyway.
    ///
    /// # Errors
    /// The reason for a refusal: it becomes the detail of a warning.
    fn admit_member(&mut self, candidate: &Member) -> Result<(), String> {
        let _ = candidate;
        Ok(())
    }

    /// May these members, in the states that the peer reports, be merged? Called for joins only,
    /// on both sides.
    ///
    /// # Errors
    /// The reason for a refusal: it drops the whole merge and fails our own join.
    fn admit_merge(&mut self, members: &[Member]) -> Result<(), String> {
        let _ = members;
        Ok(())
    }

    /// Somebody claims the name of `holder` at the address `claimant`. The claim is refused
    /// whatever is done here.
    fn on_conflict(&mut self, holder: &Member, claimant: SocketAddr) {
        let _ = (holder, claimant);
    }

    /// What the application adds to the state that is about to be sent in a push-pull, a join's or
    /// another one's; at most 10 MiB, else nothing is added and a warning says so. `None`: what was
    /// [set](crate::Membership::set_user_state) last, which is the default.
    fn local_state(&mut self, join: bool) -> Option<Vec<u8>> {
        let _ = join;
        None
    }

    /// What a peer's application added to its state, which has just been merged; not called where
    /// it added nothing.
    fn merge_remote_state(&mut self, state: &[u8], join: bool, from: StateSender<'_>) {
        let _ = (state, join, from);
    }
}

/// Who sent a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateSender<'a> {
    /// Its name, where a certificate proves it or a member is known at the address.
    pub name: Option<&'a MemberName>,
    /// The remote address of the connection; of an exchange that we began, where it led to.
    pub address: SocketAddr,
}

//! Vetoes of the application: the only code of it that runs inside the machine.

use std::net::SocketAddr;

use crate::member::Member;

/// Admission rules that an application wants to add to those of the [`Config`](crate::Config).
///
/// The methods are called synchronously, while a packet or stream is handled: they must be pure
/// and fast (no blocking, no calls back). The defaults admit everything. Go's memberlist calls
/// them `AliveDelegate`, `MergeDelegate` and `ConflictDelegate`.
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
}

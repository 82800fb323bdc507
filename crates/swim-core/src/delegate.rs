//! Vetoes: the only code of the application that runs inside the machine.
//!
//! Everything else an application can do is a command in or an event out.

use std::net::SocketAddr;

use crate::member::Member;

/// Judgements that an application may want to make itself.
///
/// They are called synchronously, in the middle of a packet: they must be pure and fast (no
/// blocking, no calls back). The defaults admit everything.
pub trait Hooks {
    /// May this member enter, or change what is known of it? A refusal drops the claim as if it
    /// had not been heard. Not asked about ourselves, nor about claims that are stale anyway.
    fn admit_member(&mut self, candidate: &Member) -> Result<(), String> {
        let _ = candidate;
        Ok(())
    }

    /// May these members, in the states they are claimed to be in, be merged? Asked for joins
    /// only, on both sides; a refusal drops the whole merge and fails our join.
    fn admit_merge(&mut self, members: &[Member]) -> Result<(), String> {
        let _ = members;
        Ok(())
    }

    /// Somebody claims the name of `holder` at `claimant`; the claim is refused whatever is done
    /// here.
    fn on_conflict(&mut self, holder: &Member, claimant: SocketAddr) {
        let _ = (holder, claimant);
    }
}

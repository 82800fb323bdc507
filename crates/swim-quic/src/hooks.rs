//! Rules and state of the application, asked for while the member runs.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use certs::PeerCertificate;
use swim_core::{Member, StateSender};

/// What the application decides on, and adds to, as the member runs: who may be a member, and what
/// of its own travels with the states that members exchange. The defaults admit everything and add
/// nothing. Given to [`Builder::hooks`](crate::Builder::hooks).
///
/// The methods run on the driver thread, in the middle of its work, and hold up every member on
/// that thread: they must be quick. One that takes longer than 10 ms is named by
/// [`Event::Warning`](crate::Event::Warning) (`slow hook admit_member`), at most once a second. One
/// that panics is named as well (`panicking hook admit_member`), and the member goes on: a panic
/// counts as a refusal, or as no state.
///
/// The calls of a [`Cluster`](crate::Cluster) that wait fail at once with
/// [`CommandError::OnDriverThread`](crate::CommandError::OnDriverThread) when they are made from
/// here; hand such work to another thread. Those that only look, as
/// [`members`](crate::Cluster::members), work. So fails what waits at a
/// [`Subscription`](crate::Subscription) or another [`Incoming`](crate::Incoming), and a read of a
/// [`Stream`](crate::Stream) that has nothing: nothing arrives before the hook returns.
///
/// ```
/// use std::error::Error;
/// use swim_quic::{Hooks, Member, PeerCertificate};
///
/// /// Members whose certificate has no URI of this trust domain are refused.
/// struct TrustDomain(&'static str);
///
/// impl Hooks for TrustDomain {
///     fn admit_member(
///         &mut self,
///         member: &Member,
///         certificate: Option<&PeerCertificate>,
///     ) -> Result<(), Box<dyn Error + Send + Sync>> {
///         // Without a certificate it was only heard of; it is asked again when it shows one.
///         let Some(certificate) = certificate else { return Ok(()) };
///         match certificate.uris().iter().any(|uri| uri.starts_with(self.0)) {
///             true => Ok(()),
///             false => Err(format!("{} has no URI below {}", member.name(), self.0).into()),
///         }
///     }
/// }
/// ```
pub trait Hooks {
    /// May this member enter, or change what is known of it? Asked when it is first heard of, at
    /// each change (metadata, address, a suspicion that it refutes), and again when a connection
    /// to it shows a certificate that was not seen before.
    ///
    /// `certificate` is what it showed last in a connection with this member; `None` where there
    /// was none so far, or too many (8 MiB of certificates are kept). Under
    /// [`NamePolicy::Any`](crate::NamePolicy::Any), where certificates prove no names, it is what
    /// was shown at the address of the member.
    ///
    /// Not asked about this member itself, nor of what is known already.
    ///
    /// # Errors
    ///
    /// The reason for a refusal: any error, or a text (`Err("on the list".into())`); told is its
    /// text with those of its sources. A member that is refused does not enter; one that is there
    /// when its certificate is refused is forgotten ([`Event::Removed`](crate::Event::Removed)); a
    /// refused change is as if it had not been heard of. Each is a warning, `not admitted`. Others
    /// are told nothing: the refusal is this member's alone, so give all members the same hooks.
    /// Who is refused may still connect and send messages: to cut it off,
    /// [`revoke`](crate::Cluster::revoke) its certificate.
    fn admit_member(
        &mut self,
        member: &Member,
        certificate: Option<&PeerCertificate>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let _ = (member, certificate);
        Ok(())
    }

    /// May this list, in the states that the peer reports, be merged? Asked for joins only, on
    /// both sides, as Go's `MergeDelegate`. The side that was asked to join has sent its own state
    /// by then.
    ///
    /// # Errors
    ///
    /// The reason for a refusal: nothing of the list is merged, and a join of our own fails with
    /// [`JoinFailureReason::MergeRefused`](crate::JoinFailureReason::MergeRefused).
    fn admit_merge(&mut self, members: &[Member]) -> Result<(), Box<dyn Error + Send + Sync>> {
        let _ = members;
        Ok(())
    }

    /// Somebody at another address claims the name of `holder`. The claim is refused whatever is
    /// done here; [`Event::Conflict`](crate::Event::Conflict) tells subscribers.
    fn on_conflict(&mut self, holder: &Member, claimant: SocketAddr) {
        let _ = (holder, claimant);
    }

    /// What the application adds to the state that is about to be sent to a peer, in a join or a
    /// periodic exchange: Go's `LocalState`. At most 10 MiB; of a longer one nothing is sent, and
    /// a warning says so. `None`, the default: what
    /// [`set_user_state`](crate::Cluster::set_user_state) gave last.
    fn local_state(&mut self, join: bool) -> Option<Vec<u8>> {
        let _ = join;
        None
    }

    /// What a peer's application added to its state, once the state is merged: Go's
    /// `MergeRemoteState`. Not called where it added nothing.
    /// [`Event::RemoteState`](crate::Event::RemoteState) tells subscribers the same.
    fn merge_remote_state(&mut self, state: &[u8], join: bool, from: StateSender<'_>) {
        let _ = (state, join, from);
    }
}

impl<H: Hooks + ?Sized> Hooks for Box<H> {
    fn admit_member(
        &mut self,
        member: &Member,
        certificate: Option<&PeerCertificate>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        (**self).admit_member(member, certificate)
    }

    fn admit_merge(&mut self, members: &[Member]) -> Result<(), Box<dyn Error + Send + Sync>> {
        (**self).admit_merge(members)
    }

    fn on_conflict(&mut self, holder: &Member, claimant: SocketAddr) {
        (**self).on_conflict(holder, claimant);
    }

    fn local_state(&mut self, join: bool) -> Option<Vec<u8>> {
        (**self).local_state(join)
    }

    fn merge_remote_state(&mut self, state: &[u8], join: bool, from: StateSender<'_>) {
        (**self).merge_remote_state(state, join, from);
    }
}

/// For hooks that the application goes on using. It must not hold the lock for long: the driver
/// thread waits for it.
impl<H: Hooks + ?Sized> Hooks for Arc<Mutex<H>> {
    fn admit_member(
        &mut self,
        member: &Member,
        certificate: Option<&PeerCertificate>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let mut hooks = self.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.admit_member(member, certificate)
    }

    fn admit_merge(&mut self, members: &[Member]) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).admit_merge(members)
    }

    fn on_conflict(&mut self, holder: &Member, claimant: SocketAddr) {
        self.lock().unwrap_or_else(PoisonError::into_inner).on_conflict(holder, claimant);
    }

    fn local_state(&mut self, join: bool) -> Option<Vec<u8>> {
        self.lock().unwrap_or_else(PoisonError::into_inner).local_state(join)
    }

    fn merge_remote_state(&mut self, state: &[u8], join: bool, from: StateSender<'_>) {
        let mut hooks = self.lock().unwrap_or_else(PoisonError::into_inner);
        hooks.merge_remote_state(state, join, from);
    }
}

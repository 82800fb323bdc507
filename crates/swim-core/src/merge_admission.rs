//! Whether the state that a peer sent is merged at all: its versions must fit, and the application
//! may object to a join.

use std::net::SocketAddr;

use crate::effects::Effects;
use crate::error::{OperationError, UnacceptableAnswer};
use crate::hooks::Hooks;
use crate::member::Advertised;
use crate::member_table::MemberTable;
use crate::output::WarningKind;
use crate::push_pull::{reported_members, versions_in};
use crate::version_fit::check_versions;
use crate::wire::{NodeState, PushPull};

/// Checks the versions of whoever sent a state, as the state says them; counts and reports a
/// misfit. Others that do not fit are left out of the merge, one by one.
///
/// # Errors
/// The version that does not fit.
pub(crate) fn check_sender(
    theirs: &PushPull<'_>,
    is_sender: impl Fn(&NodeState<'_>) -> bool,
    address: SocketAddr,
    members: &MemberTable,
    effects: &mut Effects,
) -> Result<(), OperationError> {
    let me = members.me().record();
    let check = |node: NodeState<'_>| check_versions(node.name, versions_in(node.vsn), me);
    let is_known = theirs.nodes.clone().any(|node| is_sender(&node));
    // Where nobody is at the sender's address, it is one of them.
    let mut senders = theirs.nodes.clone().filter(|node| !is_known || is_sender(node));
    let Some(Err(mismatch)) = senders.next().map(check) else { return Ok(()) };
    if senders.any(|node| check(node).is_ok()) {
        return Ok(());
    }
    effects.count().refused_version += 1;
    effects.warn(WarningKind::VersionRefused, address, mismatch.to_string());
    Err(UnacceptableAnswer::Versions(mismatch).into())
}

/// Whether an entry is about the member at an address.
pub(crate) fn is_at(node: &NodeState<'_>, address: SocketAddr) -> bool {
    let stated = node.addr.and_then(|ip| Advertised::from_wire(ip, node.port));
    stated.is_some_and(|stated| stated.to_socket() == address)
}

/// Asks the application whether a join may be merged; counts and reports a refusal.
///
/// # Errors
/// The application's reason.
pub(crate) fn check_veto(
    theirs: &PushPull<'_>,
    address: SocketAddr,
    hooks: &mut (dyn Hooks + Send),
    effects: &mut Effects,
) -> Result<(), OperationError> {
    let members = reported_members(theirs, effects.now());
    let Err(reason) = hooks.admit_merge(&members) else { return Ok(()) };
    effects.count().refused_admission += 1;
    effects.warn(WarningKind::NotAdmitted, address, reason.clone());
    Err(OperationError::MergeRefused(reason))
}

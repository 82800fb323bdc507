//! Whether the state that a peer sent is merged at all: its versions must fit, and the application
//! may object to a join.

use std::net::SocketAddr;

use crate::effects::Effects;
use crate::error::{OperationError, UnacceptableAnswer};
use crate::hooks::Hooks;
use crate::member_table::MemberTable;
use crate::output::WarningKind;
use crate::push_pull::{reported_members, verify_versions};
use crate::wire::PushPull;

/// Checks the versions of an exchange; counts and reports a misfit.
///
/// # Errors
/// The first version that does not fit.
pub(crate) fn check_versions(
    theirs: &PushPull<'_>,
    address: SocketAddr,
    members: &MemberTable,
    effects: &mut Effects,
) -> Result<(), OperationError> {
    let Err(mismatch) = verify_versions(theirs, members) else { return Ok(()) };
    effects.count().refused_version += 1;
    effects.warn(WarningKind::VersionRefused, address, mismatch.to_string());
    Err(UnacceptableAnswer::Versions(mismatch).into())
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

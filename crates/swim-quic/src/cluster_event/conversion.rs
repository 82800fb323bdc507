//! Events of the machine as events of the application, and which queue they wait in.

use super::{Event, EventKind};
use crate::error::JoinFailureReason;

impl Event {
    pub(crate) fn kind(&self) -> EventKind {
        match self {
            Self::Joined(_)
            | Self::Restarted(_)
            | Self::Moved { .. }
            | Self::Updated(_)
            | Self::Left(_)
            | Self::Failed { .. }
            | Self::Removed { .. }
            | Self::Suspected { .. }
            | Self::Cleared { .. }
            | Self::StableView(_)
            | Self::Conflict { .. } => EventKind::Membership,
            Self::Message { .. } | Self::RemoteState { .. } => EventKind::Message,
            Self::Seed { .. }
            | Self::Resumed { .. }
            | Self::Warning { .. }
            | Self::IdentityRotated { .. }
            | Self::IdentityProblem { .. }
            | Self::CertificateExpiring { .. }
            | Self::Lagged { .. }
            | Self::Stopped { .. } => EventKind::Notice,
        }
    }

    /// The bytes that a peer chose the length of.
    pub(crate) fn payload_len(&self) -> usize {
        if let Self::Message { payload: bytes, .. } | Self::RemoteState { state: bytes, .. } = self
        {
            bytes.len()
        } else {
            0
        }
    }

    /// `None` for what subscribers do not get one by one.
    pub(crate) fn from_core(event: swim_core::MembershipEvent) -> Option<Self> {
        use swim_core::MembershipEvent as Core;
        Some(match event {
            Core::Joined(member) => Self::Joined(member),
            Core::Restarted(member) => Self::Restarted(member),
            Core::Moved { member, from } => Self::Moved { member, from },
            Core::Updated(member) => Self::Updated(member),
            Core::Left(member) => Self::Left(member),
            Core::Failed { member, suspected_by, after, evidence, hint, .. } => {
                Self::Failed { member, suspected_by, after, evidence, hint }
            }
            Core::Removed { member, reason } => Self::Removed { member, reason },
            Core::Suspected { member, by } => Self::Suspected { member, by },
            Core::Cleared { member, by } => Self::Cleared { member, by },
            Core::Conflict { member, other } => Self::Conflict { member, other },
            Core::Message { from, address, reliable, payload, acknowledgement: _ } => {
                Self::Message { from, address, reliable, payload: payload.into() }
            }
            Core::RemoteState { address, join, state } => {
                Self::RemoteState { address, join, state: state.into() }
            }
            Core::SeedTried { address, error } => Self::Seed {
                address: address.to_string(),
                error: error.map(|error| Box::new(JoinFailureReason::from_operation(error))),
            },
            Core::StableView(view) => Self::StableView(view),
            Core::Resumed { away } => Self::Resumed { away },
            // The former are shown by `Warnings`, at most one of a kind each second. Of the latter
            // there is one in every probe interval: in the queue of a slow subscriber they would
            // take the place of what it must not miss.
            Core::Warning { .. } | Core::ProbeAnswered { .. } => return None,
        })
    }
}

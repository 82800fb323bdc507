//! Whether members understand each other: each must speak what the other understands, of the
//! protocol and of the application's own.

use crate::member::MemberRecord;
use crate::member_name::MemberName;
use crate::protocol_versions::ProtocolVersions;

/// A member speaks a version that another one does not understand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} speaks {what} version {speaks}, but {} understands only {} to {}: upgrade or reconfigure \
     one of them",
    told(name),
    told(by),
    understood.0,
    understood.1
)]
pub struct VersionMismatch {
    /// Whose version it is; `None` where the entry has no valid name.
    pub name: Option<MemberName>,
    /// Which version: `protocol` or `delegate`, the application's.
    pub what: &'static str,
    /// The version that the member speaks.
    pub speaks: u8,
    /// Who does not understand it.
    pub by: Option<MemberName>,
    /// The oldest and newest version that this one understands.
    pub understood: (u8, u8),
}

fn told(name: &Option<MemberName>) -> String {
    name.as_ref().map_or_else(|| "a member without a name".into(), MemberName::to_string)
}

/// A range that is understood, and what is spoken.
#[derive(Clone, Copy, Debug)]
struct Spoken {
    what: &'static str,
    understood: (u8, u8),
    speaks: u8,
}

impl Spoken {
    fn of(versions: ProtocolVersions) -> [Self; 2] {
        let ProtocolVersions { protocol_min, protocol_max, protocol_current, .. } = versions;
        let ProtocolVersions { delegate_min, delegate_max, delegate_current, .. } = versions;
        [
            Self {
                what: "protocol",
                understood: (protocol_min, protocol_max),
                speaks: protocol_current,
            },
            Self {
                what: "delegate",
                understood: (delegate_min, delegate_max),
                speaks: delegate_current,
            },
        ]
    }

    fn understands(self, other: Self) -> bool {
        (self.understood.0..=self.understood.1).contains(&other.speaks)
    }
}

/// Whether a member of these versions (missing ones count as zeros) and we understand each other.
///
/// # Errors
/// The first version that one of the two does not understand.
pub(crate) fn check_versions(
    name: &[u8],
    versions: Option<[u8; 6]>,
    me: &MemberRecord,
) -> Result<(), VersionMismatch> {
    let theirs = ProtocolVersions::from_bytes(versions.unwrap_or_default());
    let ours = ProtocolVersions::from_bytes(me.versions.unwrap_or_default());
    // This is asked of every alive message, and most fit.
    if understands(ours, theirs) && understands(theirs, ours) {
        return Ok(());
    }
    mismatch_of(name, theirs, me, ours).map_or(Ok(()), Err)
}

/// Whether a member of the first versions understands what one of the second ones speaks.
fn understands(listener: ProtocolVersions, speaker: ProtocolVersions) -> bool {
    let ProtocolVersions { protocol_min, protocol_max, delegate_min, delegate_max, .. } = listener;
    (protocol_min..=protocol_max).contains(&speaker.protocol_current)
        && (delegate_min..=delegate_max).contains(&speaker.delegate_current)
}

fn mismatch_of(
    name: &[u8],
    theirs: ProtocolVersions,
    me: &MemberRecord,
    ours: ProtocolVersions,
) -> Option<VersionMismatch> {
    for (theirs, ours) in Spoken::of(theirs).into_iter().zip(Spoken::of(ours)) {
        let they = MemberName::try_from(name).ok();
        let mismatch = |name, by, speaker: Spoken, listener: Spoken| VersionMismatch {
            name,
            what: speaker.what,
            speaks: speaker.speaks,
            by,
            understood: listener.understood,
        };
        if !ours.understands(theirs) {
            return Some(mismatch(they, Some(me.name.clone()), theirs, ours));
        }
        if !theirs.understands(ours) {
            return Some(mismatch(Some(me.name.clone()), they, ours, theirs));
        }
    }
    None
}

/// What all members of a list understand and speak. Go's members refuse a whole push-pull if one
/// entry of it speaks what another does not understand, whatever its state: such a one is left out.
pub(crate) struct CommonVersions([Common; 2]);

#[derive(Clone, Copy)]
struct Common {
    understood: (u8, u8),
    spoken: (u8, u8),
}

impl Common {
    fn with(self, more: Spoken) -> Option<Self> {
        let understood =
            (self.understood.0.max(more.understood.0), self.understood.1.min(more.understood.1));
        let spoken = (self.spoken.0.min(more.speaks), self.spoken.1.max(more.speaks));
        let fits = understood.0 <= spoken.0 && spoken.1 <= understood.1;
        fits.then_some(Self { understood, spoken })
    }
}

impl CommonVersions {
    /// What we ourselves understand and speak.
    pub(crate) fn of(me: &MemberRecord) -> Self {
        let versions = ProtocolVersions::from_bytes(me.versions.unwrap_or_default());
        Self(
            Spoken::of(versions).map(|ours| Common {
                understood: ours.understood,
                spoken: (ours.speaks, ours.speaks),
            }),
        )
    }

    /// Adds one more member, if it understands all others and they understand it.
    pub(crate) fn admit(&mut self, versions: [u8; 6]) -> bool {
        let [protocol, delegate] = self.0;
        let [theirs, application] = Spoken::of(ProtocolVersions::from_bytes(versions));
        match (protocol.with(theirs), delegate.with(application)) {
            (Some(protocol), Some(delegate)) => {
                self.0 = [protocol, delegate];
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{Advertised, MemberState};
    use crate::time::Time;

    fn ada(versions: [u8; 6]) -> MemberRecord {
        MemberRecord {
            name: MemberName::try_from("ada").unwrap(),
            meta: None,
            changed: Time::ZERO,
            incarnation: 1,
            advertised: Advertised::from_wire(&[10, 0, 0, 1], 7946).unwrap(),
            versions: Some(versions),
            state: MemberState::Alive,
        }
    }

    #[test]
    fn two_fit_if_each_understands_what_the_other_speaks() {
        let me = ada([1, 5, 2, 0, 0, 0]);
        assert_eq!(check_versions(b"bob", Some([2, 4, 3, 0, 2, 0]), &me), Ok(()));
        let error = check_versions(b"late", Some([1, 7, 6, 0, 0, 0]), &me).unwrap_err();
        assert_eq!(
            error.to_string(),
            "late speaks protocol version 6, but ada understands only 1 to 5: upgrade or \
             reconfigure one of them"
        );
        let error = check_versions(b"new", Some([3, 5, 4, 0, 0, 0]), &me).unwrap_err();
        assert!(error.to_string().starts_with("ada speaks protocol version 2, but new"), "{error}");
        assert!(check_versions(b"dan", Some([1, 5, 2, 2, 3, 2]), &me).is_err());
        assert!(check_versions(b"nil", None, &me).is_err());
    }

    #[test]
    fn a_list_for_go_has_no_two_that_do_not_understand_each_other() {
        let mut common = CommonVersions::of(&ada([1, 5, 3, 0, 0, 0]));
        assert!(common.admit([1, 5, 2, 0, 0, 0]));
        // It fits us, and not the one before.
        assert!(!common.admit([3, 5, 4, 0, 0, 0]));
        assert!(common.admit([2, 5, 2, 0, 1, 0]));
        assert!(!common.admit([1, 5, 2, 1, 1, 1]));
    }
}

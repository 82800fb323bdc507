//! What machines make of accusations: whoever has heard one never again believes less.
//!
//! Needs every packet decoded; campaigns do that for some of their seeds.

use crate::member::MemberName;
use crate::sim::checker::Breach;
use crate::sim::fault::HostId;

/// The accusations in the packet that is being handed over.
#[derive(Default)]
pub(crate) struct Tombstones {
    heard: Vec<Heard>,
}

/// One accusation of a member that the listener knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) subject: MemberName,
    pub(crate) incarnation: u32,
    /// The accuser; `None` for a verdict.
    pub(crate) by: Option<Vec<u8>>,
}

impl Tombstones {
    /// Forgets the last packet.
    pub(crate) fn begin(&mut self) {
        self.heard.clear();
    }

    pub(crate) fn hear(&mut self, heard: Heard) {
        self.heard.push(heard);
    }

    pub(crate) fn take(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }
}

/// Compares what was heard with what the listener believes afterwards; `None` for the unknown, and
/// for those who left: a leave keeps its own incarnation.
pub(crate) fn check(
    listener: HostId,
    heard: &[Heard],
    believed: impl Fn(&MemberName) -> Option<u32>,
) -> Result<(), Breach> {
    for Heard { subject, incarnation, .. } in heard {
        if believed(subject).is_some_and(|held| held < *incarnation) {
            return Err(Breach::new(
                "an accusation is never forgotten",
                format!(
                    "host {} heard {subject} accused at {incarnation} and holds {:?}",
                    listener.index(),
                    believed(subject)
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(accused_at: u32, held_at: Option<u32>) -> bool {
        let subject = MemberName::try_from("dan").unwrap();
        let heard = [Heard { subject, incarnation: accused_at, by: None }];
        check(HostId(0), &heard, |_| held_at).is_ok()
    }

    #[test]
    fn a_forgotten_accusation_is_noticed_and_a_stale_one_is_not() {
        assert!(!passes(7, Some(6)));
        assert!(passes(7, Some(7)) && passes(7, Some(9)));
        assert!(passes(7, None));
    }
}

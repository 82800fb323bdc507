//! Which members have changed since they were last asked for.

use crate::member_name::MemberName;

/// The names of members that have changed. Nothing is kept before the first question, so that
/// it costs nothing where nobody asks.
#[derive(Default)]
pub(crate) struct ChangedNames {
    /// `None`: nobody has asked, or more have changed than are kept.
    names: Option<Vec<MemberName>>,
}

/// Changes that are kept; whoever asks after more has to look at all members, which is then hardly
/// more work.
const MOST: usize = 1_024;

impl ChangedNames {
    pub(crate) fn note(&mut self, name: &MemberName) {
        let Some(names) = &mut self.names else { return };
        if names.len() >= MOST {
            self.names = None;
        } else if names.last() != Some(name) {
            names.push(name.clone());
        }
    }

    /// The names since the last call, in order, each once; `None` if they are not known.
    pub(crate) fn take(&mut self) -> Option<Vec<MemberName>> {
        let mut names = self.names.replace(Vec::new())?;
        names.sort_unstable();
        names.dedup();
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> MemberName {
        MemberName::try_from(format!("member-{number}").as_str()).unwrap()
    }

    #[test]
    fn names_are_told_once_and_in_order_from_the_first_question_on() {
        let mut changed = ChangedNames::default();
        changed.note(&name(1));
        assert_eq!(changed.take(), None, "nobody has asked before");
        assert_eq!(changed.take(), Some(Vec::new()));
        for number in [2, 1, 2, 2] {
            changed.note(&name(number));
        }
        assert_eq!(changed.take(), Some(vec![name(1), name(2)]));
        assert_eq!(changed.take(), Some(Vec::new()));
    }

    #[test]
    fn more_changes_than_are_kept_are_told_as_such_and_later_ones_one_by_one() {
        let mut changed = ChangedNames::default();
        assert_eq!(changed.take(), None);
        (0..=MOST).for_each(|number| changed.note(&name(number)));
        assert_eq!(changed.take(), None);
        changed.note(&name(7));
        assert_eq!(changed.take(), Some(vec![name(7)]));
    }
}

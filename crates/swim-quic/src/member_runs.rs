//! Members in the order of their names, in runs that successive lists share.
//!
//! A change copies the run it falls into and the list of runs: with 10,000 members some 200 of
//! their pointers. A member costs its pointer here; in the balanced tree of `rpds`, a node and an
//! entry of their own. `imbl` has a licence that this workspace does not admit.

use std::sync::Arc;

use swim_core::{Member, MemberName};

/// The longest run; a longer one is cut in two. Near the square root of some thousands, so that
/// neither runs nor the list of them are long.
const LONGEST: usize = 128;

/// Neighbours that are not longer than this together become one run.
const SHORT: usize = LONGEST / 2;

/// Some members, ordered by name, at least one.
pub(crate) type Run = Arc<Vec<Member>>;

/// All members, ordered by name. A clone is a pointer.
#[derive(Clone, Default)]
pub(crate) struct MemberRuns {
    runs: Arc<Vec<Run>>,
    count: usize,
}

impl MemberRuns {
    /// `ordered` has each name once.
    pub(crate) fn from_ordered(ordered: impl Iterator<Item = Member>) -> Self {
        let members: Vec<Member> = ordered.collect();
        debug_assert!(members.is_sorted_by(|one, next| one.name() < next.name()));
        let runs = members.chunks(SHORT + SHORT / 2).map(|run| Arc::new(run.to_vec())).collect();
        Self { runs: Arc::new(runs), count: members.len() }
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Member> {
        let run = self.runs.get(self.run_of(name))?;
        run.get(place_in(run, name).ok()?)
    }

    /// Adds a member, or puts it in the place of the one with its name.
    pub(crate) fn set(&mut self, member: Member) {
        let name = member.name().as_bytes();
        let at = self.run_of(name);
        let runs = Arc::make_mut(&mut self.runs);
        let Some(run) = runs.get_mut(at) else {
            debug_assert!(runs.is_empty(), "a name falls into a run if there is one");
            runs.push(Arc::new(vec![member]));
            self.count += 1;
            return;
        };
        let place = place_in(run, name);
        let run = Arc::make_mut(run);
        match place {
            Ok(place) => {
                if let Some(held) = run.get_mut(place) {
                    *held = member;
                }
            }
            Err(place) => {
                run.reserve_exact(1);
                run.insert(place, member);
                self.count += 1;
                if run.len() > LONGEST {
                    let rest = run.split_off(LONGEST / 2);
                    run.shrink_to_fit();
                    runs.insert(at + 1, Arc::new(rest));
                }
            }
        }
    }

    /// Takes a member off the list, if it is there.
    pub(crate) fn remove(&mut self, name: &MemberName) {
        let at = self.run_of(name.as_bytes());
        let Some(run) = self.runs.get(at) else { return };
        let Ok(place) = place_in(run, name.as_bytes()) else { return };
        let runs = Arc::make_mut(&mut self.runs);
        if let Some(run) = runs.get_mut(at) {
            Arc::make_mut(run).remove(place);
            self.count -= 1;
        }
        // The run after it, and the one before: one of them is there unless it is the only one.
        for first in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            if let [one, next] = runs.get(first..first + 2).unwrap_or_default()
                && one.len() + next.len() <= SHORT
            {
                let rest = runs.remove(first + 1);
                if let Some(run) = runs.get_mut(first) {
                    Arc::make_mut(run).extend_from_slice(&rest);
                }
            }
        }
        runs.retain(|run| !run.is_empty());
    }

    /// The run that a name is in if it is in any: the last that begins at it or before, else the
    /// first.
    fn run_of(&self, name: &[u8]) -> usize {
        let begins_before =
            |run: &Run| run.first().is_some_and(|first| first.name().as_bytes() <= name);
        self.runs.partition_point(begins_before).saturating_sub(1)
    }
}

/// Where a name is in a run, or belongs.
fn place_in(run: &Run, name: &[u8]) -> Result<usize, usize> {
    run.binary_search_by(|member| member.name().as_bytes().cmp(name))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The entry of a member of its own cluster.
    pub(crate) fn member(name: &str) -> Member {
        let mut config = swim_core::Config::local();
        config.label = Vec::new();
        let name = MemberName::try_from(name).unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let me = swim_core::LocalMember { name, address, meta: Vec::new() };
        let seed = swim_core::RngSeed([0; 32]);
        swim_core::Membership::new(config, me, seed, swim_core::Time::ZERO).unwrap().local()
    }

    /// The name of one of 1,000.
    fn name(number: u16) -> String {
        format!("member-{number:03}")
    }

    fn is_sound(runs: &MemberRuns) {
        let all: Vec<&Member> = runs.runs().iter().flat_map(|run| run.iter()).collect();
        assert!(all.is_sorted_by(|one, next| one.name() < next.name()));
        assert_eq!(all.len(), runs.len());
        assert!(runs.runs().iter().all(|run| (1..=LONGEST).contains(&run.len())));
        let lengths = runs.runs().windows(2).map(|pair| pair[0].len() + pair[1].len());
        assert!(lengths.into_iter().all(|length| length > SHORT), "runs are not too short");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Lists and a map go through the same changes; every list stays as it was.
        #[test]
        fn they_are_what_a_map_is_and_older_lists_stay_as_they_are(
            start in proptest::collection::btree_set(0..1_000_u16, 0..600),
            changes in proptest::collection::vec((0..1_000_u16, 0..3_u8), 0..800),
        ) {
            let members: Vec<Member> = (0..1_000).map(|number| member(&name(number))).collect();
            let of = |number: u16| members[usize::from(number)].clone();
            let mut map: BTreeMap<u16, Member> =
                start.into_iter().map(|number| (number, of(number))).collect();
            let mut runs = MemberRuns::from_ordered(map.values().cloned());
            let (before, count) = (runs.clone(), map.len());
            for (number, kind) in changes {
                if kind == 0 {
                    map.insert(number, of(number));
                    runs.set(of(number));
                } else {
                    map.remove(&number);
                    runs.remove(of(number).name());
                }
                prop_assert_eq!(runs.len(), map.len());
            }
            is_sound(&runs);
            for number in 0..1_000 {
                let found = runs.get(name(number).as_bytes()).is_some();
                prop_assert_eq!(found, map.contains_key(&number));
            }
            is_sound(&before);
            prop_assert_eq!(before.len(), count);
        }
    }

    #[test]
    fn a_change_leaves_all_other_runs_shared() {
        let before = MemberRuns::from_ordered((0..1_000).map(|number| member(&name(number))));
        let mut after = before.clone();
        after.set(member("member-500-and-a-half"));
        let shared = |run: &&Run| before.runs().iter().any(|held| Arc::ptr_eq(held, run));
        assert_eq!(after.runs().iter().filter(shared).count(), before.runs().len() - 1);
        assert_eq!((before.len(), after.len()), (1_000, 1_001));
    }
}

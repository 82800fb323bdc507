//! Which members rank highest as observers of a subject.
//!
//! All of it is part of the protocol: members that computed it in another way would leave each
//! other unwatched. `docs/PROTOCOL.md` has it with test vectors.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use siphasher::sip::SipHasher24;

use crate::member_name::MemberName;

/// How many members observe each subject in the vectors of docs/PROTOCOL.md.
#[cfg(test)]
pub(crate) const OBSERVERS: usize = 10;

/// Published, so no defence: whoever chooses its name chooses its ranks. It keeps the hashes
/// apart from those of others who hash the same names.
const KEY: &[u8; 16] = b"swim-quic rank/1";

/// 2⁶⁴ divided by the golden ratio, made odd: each observer's hash is turned into another one.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// What a name is ranked by: its SipHash-2-4 under the protocol's published key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NameHash(u64);

impl NameHash {
    /// The hash of a name's bytes.
    pub(crate) fn of(name: &MemberName) -> Self {
        Self(SipHasher24::new_with_key(KEY).hash(name.as_bytes()))
    }

    /// The hash as a number, as `docs/PROTOCOL.md` lists it.
    #[cfg(test)]
    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// How high `observer` ranks for `subject`: higher scores observe.
///
/// Not symmetric: who observes a member is seldom observed by it. Two observers have the same score
/// only if their names have the same hash; then the lower name ranks first.
pub(crate) const fn score(subject: NameHash, observer: NameHash) -> u64 {
    mix64(subject.0.wrapping_add(GOLDEN.wrapping_mul(observer.0)))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014, with the constants of its reference code): one to one, and each bit of
/// the input changes half of those of the output.
const fn mix64(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The `count` members that rank highest for `subject` among `members`, highest first. The subject
/// itself does not rank. Reads each member once, and holds `count` of them.
pub(crate) fn observers_of<'a>(
    subject: (&MemberName, NameHash),
    members: impl IntoIterator<Item = (&'a MemberName, NameHash)>,
    count: usize,
) -> Vec<&'a MemberName> {
    let (name, hash) = subject;
    let mut highest: BTreeSet<(Reverse<u64>, &MemberName)> = BTreeSet::new();
    for (member, its) in members {
        let score = score(hash, its);
        let is_high = highest.len() < count
            || highest.last().is_some_and(|(Reverse(lowest), _)| score >= *lowest);
        if is_high && member != name {
            highest.insert((Reverse(score), member));
        }
        if highest.len() > count {
            highest.pop_last();
        }
    }
    highest.into_iter().map(|(_, member)| member).collect()
}

/// The same with hashes computed anew.
#[cfg(test)]
pub(super) fn observers_by_name<'a>(
    subject: &MemberName,
    members: impl IntoIterator<Item = &'a MemberName>,
    count: usize,
) -> Vec<&'a MemberName> {
    let members = members.into_iter().map(|it| (it, NameHash::of(it)));
    observers_of((subject, NameHash::of(subject)), members, count)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::observers_by_name as observers_of;
    use super::*;

    fn name(bytes: &[u8]) -> MemberName {
        MemberName::try_from(bytes).unwrap()
    }

    fn names(count: usize) -> Vec<MemberName> {
        (0..count).map(|number| name(format!("node-{number}").as_bytes())).collect()
    }

    fn scored(subject: &[u8], observer: &[u8]) -> u64 {
        score(NameHash::of(&name(subject)), NameHash::of(&name(observer)))
    }

    /// The vectors of docs/PROTOCOL.md, which a program of its own in another language computed.
    #[test]
    fn hashes_and_scores_are_those_of_the_protocol() {
        assert_eq!(NameHash::of(&name(b"ada")).get(), 0xE046_7740_A362_1567);
        assert_eq!(NameHash::of(&name(b"bob")).get(), 0xE258_02D7_1872_4E4F);
        assert_eq!(NameHash::of(&name(b"node-1.example.org")).get(), 0x7901_B10E_9506_CE61);
        assert_eq!(NameHash::of(&name(b"\xff\x00")).get(), 0x9FF2_70CE_3635_0AA5);

        assert_eq!(scored(b"ada", b"bob"), 0x7425_1CDE_1F9C_A86A);
        assert_eq!(scored(b"bob", b"ada"), 0xABDF_DA7D_D192_22B4);
        assert_eq!(scored(b"ada", b"node-1.example.org"), 0x4964_9A4F_B92F_4A9C);
        assert_eq!(scored(b"node-1.example.org", b"\xff\x00"), 0x9252_3FA0_B1B9_B54A);
    }

    /// The first output of the published generator for the seed 0.
    #[test]
    fn bits_are_mixed_as_in_splitmix64() {
        assert_eq!(mix64(GOLDEN), 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn the_observers_of_a_member_are_those_of_the_protocol() {
        let members = names(64);
        let observers = observers_of(&members[0], &members, OBSERVERS);
        let observers: Vec<String> = observers.iter().map(ToString::to_string).collect();
        let expected = [50, 25, 34, 33, 6, 40, 63, 1, 4, 58].map(|number| format!("node-{number}"));
        assert_eq!(observers, expected);
    }

    #[test]
    fn the_order_of_members_and_the_number_asked_for_change_no_rank() {
        let mut members = names(50);
        let ten = observers_of(&members[7].clone(), &members, OBSERVERS).len();
        let subject = members[7].clone();
        let all: Vec<MemberName> =
            observers_of(&subject, &members, 100).into_iter().cloned().collect();
        assert_eq!((ten, all.len()), (OBSERVERS, 49));
        members.reverse();
        for count in 0..=49 {
            let some: Vec<MemberName> =
                observers_of(&subject, &members, count).into_iter().cloned().collect();
            assert_eq!(some, all[..count]);
        }
    }

    #[test]
    fn a_member_more_displaces_one_observer_at_most() {
        let members = names(200);
        let (fewer, newcomer) = (&members[..199], &members[199]);
        for subject in fewer {
            let before = observers_of(subject, fewer, OBSERVERS);
            let after = observers_of(subject, &members, OBSERVERS);
            let gone = before.iter().filter(|observer| !after.contains(observer)).count();
            assert_eq!(gone, usize::from(after.contains(&newcomer)));
        }
    }

    /// Binomial, if the ranks are independent: with 1,000 members each watches 10 ± 3.2.
    #[test]
    fn members_watch_about_as_many_as_watch_them() {
        let members = names(1_000);
        let mut watched = BTreeMap::new();
        for subject in &members {
            for observer in observers_of(subject, &members, OBSERVERS) {
                *watched.entry(observer).or_insert(0_u32) += 1;
            }
        }
        let mean = f64::from(watched.values().sum::<u32>()) / 1_000.0;
        let variance =
            watched.values().map(|&count| (f64::from(count) - mean).powi(2)).sum::<f64>()
                / watched.len() as f64;
        assert!((mean - 10.0).abs() < 1e-9, "mean {mean}");
        assert!((8.0..12.0).contains(&variance), "variance {variance}");
        assert!(watched.values().all(|&count| count < 26), "{:?}", watched.values().max());
    }
}

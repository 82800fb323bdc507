//! A view in eight bytes, which pings and acks carry between members of this library.
//!
//! Two halves of four bytes each: one over who is live and where, by which members see that they
//! agree, and one over incarnations and metadata too. Each is the lower half of a sum of keyed
//! hashes, one for each live member, so that a change costs the hashes of one member and the order
//! in which changes arrive does not matter. The key follows from the label and is known to every
//! member: a digest tells of honest members whether they agree, and proves nothing.

use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use siphasher::sip::SipHasher24;
use siphasher::sip128::{Hasher128, SipHasher24 as SipHasher128};

use crate::member::Member;

/// What hashes the label into the key of the digests: 16 published bytes.
const LABEL_KEY: &[u8; 16] = b"swim-quic view 1";
/// Bytes of a digest in a message: two halves and an age.
pub(crate) const DIGEST_LENGTH: usize = 9;
/// The unit of an age in a message.
const AGE_UNIT: Duration = Duration::from_millis(100);

/// The halves of a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Halves {
    /// Over (name, address) of each member that is alive or suspect.
    pub(crate) live: u32,
    /// Over (name, incarnation, metadata) of each.
    pub(crate) details: u32,
}

/// The halves as a peer has told them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ViewDigest {
    pub(crate) halves: Halves,
    /// How long they have been the same, in units of 100 ms; 255 stands for longer ones too.
    pub(crate) age: u8,
}

impl ViewDigest {
    /// What we tell of halves that have been the same for `age`.
    pub(crate) fn new(halves: Halves, age: Duration) -> Self {
        let units = age.as_millis() / AGE_UNIT.as_millis();
        Self { halves, age: u8::try_from(units).unwrap_or(u8::MAX) }
    }

    /// Whether the halves have been the same for so long, or for as long as can be told.
    pub(crate) fn is_as_old_as(self, age: Duration) -> bool {
        self.age == u8::MAX || u128::from(self.age) * AGE_UNIT.as_millis() >= age.as_millis()
    }

    /// `live`, `details`, both big-endian, and the age.
    pub(crate) fn to_bytes(self) -> [u8; DIGEST_LENGTH] {
        let [a, b, c, d] = self.halves.live.to_be_bytes();
        let [e, f, g, h] = self.halves.details.to_be_bytes();
        [a, b, c, d, e, f, g, h, self.age]
    }

    /// `None` for another length: a later version may tell more, but not less. What follows the
    /// nine bytes is not read.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let &[a, b, c, d, e, f, g, h, age] = bytes.first_chunk::<DIGEST_LENGTH>()?;
        let live = u32::from_be_bytes([a, b, c, d]);
        let details = u32::from_be_bytes([e, f, g, h]);
        Some(Self { halves: Halves { live, details }, age })
    }
}

/// A digest as a field of a message, which is not written when empty.
pub(crate) fn as_field(digest: &Option<[u8; DIGEST_LENGTH]>) -> &[u8] {
    digest.as_ref().map_or(&[], |digest| digest)
}

/// The sums over all live members.
pub(crate) struct ViewSums {
    key: SipHasher24,
    live: u64,
    details: u64,
}

/// What one member adds to the sums.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Share {
    live: u64,
    details: u64,
}

impl ViewSums {
    /// Over nobody, for the members of the cluster with this label.
    pub(crate) fn new(label: &[u8]) -> Self {
        let mut hasher = SipHasher128::new_with_key(LABEL_KEY);
        hasher.write(label);
        let key = hasher.finish128().as_bytes();
        Self { key: SipHasher24::new_with_key(&key), live: 0, details: 0 }
    }

    /// What a member adds; nothing unless it is alive or suspect.
    pub(crate) fn share(&self, member: &Member) -> Share {
        if !member.state().is_live() {
            return Share::default();
        }
        let mut named = self.key;
        put(&mut named, member.name().as_bytes());
        let mut details = named;
        details.write(&member.incarnation().to_be_bytes());
        put(&mut details, member.meta());
        put_address(&mut named, member.address());
        Share { live: named.finish(), details: details.finish() }
    }

    /// A member that added `before` adds `after` from here on.
    pub(crate) fn replace(&mut self, before: Share, after: Share) {
        self.live = self.live.wrapping_sub(before.live).wrapping_add(after.live);
        self.details = self.details.wrapping_sub(before.details).wrapping_add(after.details);
    }

    /// What is told to others.
    pub(crate) fn halves(&self) -> Halves {
        Halves { live: lower(self.live), details: lower(self.details) }
    }

    /// The whole sum over who is live and where: the same at members that agree.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }
}

fn lower(sum: u64) -> u32 {
    let [.., a, b, c, d] = sum.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Bytes with their length before them, so that what follows cannot be taken for a part of them.
fn put(hasher: &mut SipHasher24, bytes: &[u8]) {
    hasher.write(&(bytes.len() as u64).to_be_bytes());
    hasher.write(bytes);
}

/// An address in its 16-byte form, an IPv4 one mapped into IPv6, and the port.
fn put_address(hasher: &mut SipHasher24, address: SocketAddr) {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    hasher.write(&ip.octets());
    hasher.write(&address.port().to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::member::{Advertised, MemberRecord, MemberState};
    use crate::member_name::MemberName;
    use crate::time::Time;

    fn record(name: &str) -> MemberRecord {
        MemberRecord {
            name: MemberName::try_from(name).unwrap(),
            meta: None,
            changed: Time::ZERO,
            incarnation: 1,
            advertised: Advertised::from_wire(&[10, 0, 0, 1], 7946).unwrap(),
            versions: None,
            state: MemberState::Alive,
        }
    }

    /// The halves over these members.
    fn halves(label: &[u8], records: &[MemberRecord]) -> Halves {
        let mut sums = ViewSums::new(label);
        for record in records {
            let share = sums.share(&Member::new(record.clone()));
            sums.replace(Share::default(), share);
        }
        sums.halves()
    }

    #[test]
    fn the_order_does_not_matter_and_every_field_does() {
        let (ada, bob) = (record("ada"), record("bob"));
        let both = halves(b"", &[ada.clone(), bob.clone()]);
        assert_eq!(both, halves(b"", &[bob.clone(), ada.clone()]));
        assert_ne!(both, halves(b"other", &[ada.clone(), bob.clone()]));
        assert_ne!(both.live, halves(b"", std::slice::from_ref(&ada)).live);

        let with = |change: fn(&mut MemberRecord)| {
            let mut changed = bob.clone();
            change(&mut changed);
            let now = halves(b"", &[ada.clone(), changed]);
            (now.live == both.live, now.details == both.details)
        };
        assert_eq!(with(|bob| bob.state = MemberState::Suspect), (true, true));
        assert_eq!(with(|bob| bob.incarnation = 2), (true, false));
        assert_eq!(with(|bob| bob.meta = Some(b"x".to_vec().into())), (true, false));
        assert_eq!(with(|bob| bob.advertised.port = 1), (false, true));
        assert_eq!(with(|bob| bob.state = MemberState::Left), (false, false));
    }

    #[test]
    fn an_address_in_four_bytes_and_in_sixteen_is_one() {
        let mut mapped = record("ada");
        let ip = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1];
        mapped.advertised = Advertised::from_wire(&ip, 7946).unwrap();
        assert_eq!(halves(b"", &[mapped]), halves(b"", &[record("ada")]));
    }

    #[test]
    fn who_comes_and_goes_leaves_nothing() {
        let mut sums = ViewSums::new(b"");
        let before = sums.halves();
        let share = sums.share(&Member::new(record("ada")));
        sums.replace(Share::default(), share);
        assert_ne!(sums.halves(), before);
        sums.replace(share, Share::default());
        assert_eq!((sums.halves(), sums.live()), (before, 0));
    }

    #[test]
    fn a_digest_survives_the_wire_and_its_age_has_an_end() {
        let digest = |age| ViewDigest::new(Halves { live: 0x0102_0304, details: 0x0506_0708 }, age);
        let minute = digest(Duration::from_secs(60));
        assert_eq!(minute.to_bytes(), [1, 2, 3, 4, 5, 6, 7, 8, 255]);
        let lately = digest(Duration::from_millis(250));
        assert_eq!(ViewDigest::from_bytes(&lately.to_bytes()), Some(lately));
        let is_old =
            |digest: ViewDigest, millis| digest.is_as_old_as(Duration::from_millis(millis));
        assert!(is_old(lately, 200) && !is_old(lately, 201) && is_old(minute, 86_400_000));
        assert_eq!((lately.age, ViewDigest::from_bytes(&[0; 8])), (2, None));
        let longer = [&lately.to_bytes()[..], b"later"].concat();
        assert_eq!(ViewDigest::from_bytes(&longer), Some(lately));
    }

    /// The vector in docs/PROTOCOL.md.
    #[test]
    fn another_implementation_gets_the_same_digest() {
        let mut ada = record("ada");
        ada.meta = Some(b"m".to_vec().into());
        let digest = ViewDigest::new(halves(b"blue", &[ada]), Duration::from_secs(1));
        assert_eq!(digest.to_bytes(), *b"\x7b\xdc\x15\xe4\xc6\xbd\xe0\x61\x0a");
    }
}

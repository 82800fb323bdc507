//! A consistent-hash ring that follows the members: who owns which key, with no change missed.
//!
//! Run it with `cargo run -p swim-quic --example ring`.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "an example shows what it does, and looks at some of the events"
)]

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Duration;

use swim_quic::{Cluster, Event, Identity, MemberName, Subscription};

/// Points of each member on the ring: more of them share the keys more evenly.
const POINTS: u32 = 64;

#[derive(Default)]
struct Ring {
    points: BTreeMap<u64, MemberName>,
}

impl Ring {
    fn add(&mut self, name: &MemberName) {
        self.points.extend(points(name).map(|point| (point, name.clone())));
    }

    fn remove(&mut self, name: &MemberName) {
        self.points.retain(|_, owner| owner != name);
    }

    /// The first member at or after the key, around the ring.
    fn owner(&self, key: &str) -> Option<&MemberName> {
        let after = self.points.range(hash(key.as_bytes())..).next();
        after.or_else(|| self.points.iter().next()).map(|(_, owner)| owner)
    }

    fn members(&self) -> usize {
        self.points.len() / POINTS as usize
    }
}

fn points(name: &MemberName) -> impl Iterator<Item = u64> {
    (0..POINTS).map(move |point| hash(&[name.as_bytes(), &point.to_le_bytes()].concat()))
}

/// FNV-1a, and the last steps of MurmurHash3, which spread similar texts: every member must compute
/// the same, so that std's hasher, which promises nothing, will not do.
fn hash(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325, step);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// The ring, and the events that it has not seen yet.
struct FollowedRing<'a> {
    cluster: &'a Cluster,
    ring: Ring,
    events: Subscription,
}

impl<'a> FollowedRing<'a> {
    /// Members and events are of one moment: no change is between them.
    fn new(cluster: &'a Cluster) -> Self {
        let (members, events) = cluster.subscribe_with_members();
        let mut ring = Ring::default();
        members.iter().filter(|one| one.state().is_live()).for_each(|one| ring.add(one.name()));
        Self { cluster, ring, events }
    }

    /// Takes one event in.
    fn follow(&mut self) -> Result<(), Box<dyn Error>> {
        match self.events.recv_timeout(Duration::from_secs(30))? {
            Event::Joined(member) => self.ring.add(member.name()),
            Event::Left(member) | Event::Failed { member, .. } | Event::Removed { member, .. } => {
                self.ring.remove(member.name());
            }
            // We were too slow, and some events are lost: begin anew.
            Event::Lagged { .. } => *self = Self::new(self.cluster),
            _ => {}
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let ada = member("ada", None)?;
    let mut followed = FollowedRing::new(&ada);
    let others = ["bob", "cyd"].map(|name| member(name, Some(ada.address().to_string())));
    let [bob, cyd] = others;
    let (bob, cyd) = (bob?, cyd?);
    while followed.ring.members() < 3 {
        followed.follow()?;
    }

    let keys: Vec<String> = (0..1_000).map(|number| format!("key {number}")).collect();
    let owners = |ring: &Ring| -> Vec<Option<MemberName>> {
        keys.iter().map(|key| ring.owner(key).cloned()).collect()
    };
    let before = owners(&followed.ring);
    for name in [ada.name(), bob.name(), cyd.name()] {
        let owned = before.iter().filter(|owner| owner.as_ref() == Some(name)).count();
        println!("{name} owns {owned} of 1000 keys");
    }

    cyd.shutdown(Duration::from_secs(5))?;
    while followed.ring.members() > 2 {
        followed.follow()?;
    }
    let after = owners(&followed.ring);
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
    let (of_cyd, of_others): (Vec<_>, Vec<_>) =
        moved.partition(|(before, _)| before.as_ref() == Some(cyd.name()));
    println!("cyd has left: {} of its keys moved, {} others", of_cyd.len(), of_others.len());
    Ok(())
}

fn member(name: &str, seed: Option<String>) -> Result<Cluster, Box<dyn Error>> {
    let identity = Identity::development(name)?;
    let builder = Cluster::builder(name).bind("127.0.0.1:0").identity(identity);
    Ok(builder.allow_development_identity().seeds(seed).start()?)
}

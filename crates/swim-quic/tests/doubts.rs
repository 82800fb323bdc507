//! Members that may be gone are probed at once.

use std::error::Error;
use std::time::Duration;

use swim_quic::testkit::TestCluster;
use swim_quic::{Cluster, DoubtError, Event, Hint, MemberName};

const SOON: Duration = Duration::from_secs(20);

type Outcome = Result<(), Box<dyn Error>>;

fn probes(cluster: &Cluster) -> Result<u64, Box<dyn Error>> {
    Ok(cluster.stats()?.membership.counters.probes)
}

#[test]
fn a_doubted_member_is_probed_at_once_and_stays() -> Outcome {
    let cluster = TestCluster::start(["ada", "bob"])?;
    let ada = cluster.member("ada")?;
    let before = probes(ada)?;
    for _ in 0..200 {
        ada.doubt("bob")?;
    }
    // One in a second and fewer from then on, beside those of the rounds.
    let after = probes(ada)?;
    assert!((before + 1..before + 20).contains(&after), "{before} and {after}");
    assert!(ada.members().get("bob").is_some_and(|bob| bob.state().is_live()));
    Ok(())
}

#[test]
fn whom_nobody_knows_and_who_is_no_name_cannot_be_doubted() -> Outcome {
    let cluster = TestCluster::start(["ada", "bob"])?;
    let ada = cluster.member("ada")?;
    let zoe = MemberName::try_from("zoe")?;
    assert_eq!(ada.doubt("zoe"), Err(DoubtError::UnknownMember(zoe)));
    assert!(matches!(ada.doubt(""), Err(DoubtError::InvalidName(_))));
    ada.leave(SOON)?;
    assert_eq!(ada.doubt("bob"), Err(DoubtError::Left));
    Ok(())
}

/// The connections of a member that shuts down without having left say so.
#[test]
fn the_death_of_a_member_that_closed_tells_the_hint_before_it() -> Outcome {
    let cluster = TestCluster::start(["ada", "bob", "cyd"])?;
    let events = cluster.member("ada")?.subscribe();
    cluster.member("bob")?.close(SOON);
    for event in &events {
        if let Event::Failed { member, hint, .. } = event {
            assert_eq!(member.name().to_string(), "bob");
            assert!(matches!(hint, Some(Hint::Closed | Hint::Refused)), "{hint:?}");
            return Ok(());
        }
    }
    Err("bob's death was never told".into())
}

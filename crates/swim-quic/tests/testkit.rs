//! Clusters for tests do what their network and their members are told to.

use std::error::Error;
use std::time::Duration;

use swim_quic::testkit::{TestCluster, TestClusterError};
use swim_quic::{CommandError, Event};

const SOON: Duration = Duration::from_secs(30);

type Outcome = Result<(), Box<dyn Error>>;

#[test]
fn a_partition_splits_the_views_and_heals() -> Outcome {
    let mut cluster = TestCluster::start(["ada", "bob", "cyd"])?;
    cluster.cut(["ada"], ["bob", "cyd"])?;
    cluster.wait_until("each side sees itself only", SOON, |cluster| {
        let across =
            ["bob", "cyd"].map(|name| cluster.sees("ada", name) || cluster.sees(name, "ada"));
        across == [false; 2]
    })?;
    assert!(cluster.sees("bob", "cyd") && cluster.sees("cyd", "bob"));
    cluster.heal();
    cluster.wait_until("all agree again", SOON, TestCluster::all_agree)?;
    Ok(())
}

#[test]
fn one_direction_is_lost_and_the_other_is_not() -> Outcome {
    let mut cluster = TestCluster::start(["ada", "bob"])?;
    let events = cluster.member("bob")?.subscribe();
    cluster.lose("bob", "ada", 1.0)?;
    cluster.member("ada")?.send("bob", "one way")?;
    let payload =
        |event| if let Event::Message { payload, .. } = event { Some(payload) } else { None };
    let heard = events.iter().find_map(payload);
    assert_eq!(heard.as_deref(), Some(&b"one way"[..]));
    let ping = cluster.member("ada")?.ping("bob", Duration::from_secs(1));
    assert!(ping.is_err(), "{ping:?}");
    Ok(())
}

#[test]
fn a_delay_is_part_of_the_round_trip() -> Outcome {
    let mut cluster = TestCluster::new(0)?;
    for name in ["ada", "bob"] {
        cluster.add_with(name, |builder| builder.config(swim_quic::Config::wan()))?;
    }
    cluster.wait_until("both see both", SOON, TestCluster::all_agree)?;
    let delay = Duration::from_millis(150);
    cluster.delay("ada", "bob", delay)?;
    let round_trip = cluster.member("ada")?.ping("bob", SOON)?;
    assert!(round_trip >= delay, "{round_trip:?}");
    cluster.delay("bob", "ada", delay)?;
    let round_trip = cluster.member("ada")?.ping("bob", SOON)?;
    assert!(round_trip >= 2 * delay, "{round_trip:?}");
    Ok(())
}

#[test]
fn a_member_crashes_without_a_leave_and_restarts_at_its_address() -> Outcome {
    let mut cluster = TestCluster::start(["ada", "bob", "cyd"])?;
    let events = cluster.member("ada")?.subscribe();
    let former = cluster.member("bob")?.clone();
    cluster.crash("bob")?;
    assert!(!former.is_running());
    assert!(matches!(cluster.member("bob"), Err(TestClusterError::Crashed(_))));
    cluster.wait_until("bob is dead", SOON, |cluster| !cluster.sees("ada", "bob"))?;
    let bob = cluster.restart("bob")?;
    cluster.wait_until("bob is back", SOON, TestCluster::all_agree)?;
    assert_eq!(bob.address(), former.address());
    let told: Vec<Event> = events.try_iter().collect();
    let failed = |event: &Event| matches!(event, Event::Failed { .. });
    assert!(told.iter().any(failed), "{told:?}");
    assert!(!told.iter().any(|event| matches!(event, Event::Left(_))), "{told:?}");
    Ok(())
}

#[test]
fn a_frozen_member_answers_nobody_and_goes_on_where_it_stopped() -> Outcome {
    let mut cluster = TestCluster::start(["ada", "bob", "cyd"])?;
    let bob = cluster.member("bob")?.clone();
    let before = bob.stats()?.membership.counters.probes;
    cluster.freeze("bob")?;
    cluster.freeze("bob")?;
    assert!(matches!(bob.stats(), Err(CommandError::Unanswered)));
    cluster.wait_until("bob is dead", SOON, |cluster| !cluster.sees("ada", "bob"))?;
    assert!(bob.is_running() && cluster.sees("bob", "ada"));
    cluster.thaw("bob")?;
    // It stood still for more than 20 of its intervals.
    assert!(bob.stats()?.membership.counters.probes <= before + 3);
    cluster.wait_until("bob is back", SOON, TestCluster::all_agree)?;
    Ok(())
}

#[test]
fn errors_name_the_cause_and_what_to_do() -> Outcome {
    let mut cluster = TestCluster::start(["ada"])?;
    let unknown = cluster.cut(["ada"], ["zoe"]).unwrap_err().to_string();
    assert!(unknown.contains("\"zoe\"") && unknown.contains("ada"), "{unknown}");
    let taken = cluster.add("ada").unwrap_err().to_string();
    assert!(taken.contains("\"ada\"") && taken.contains("restart"), "{taken}");
    for share in [-0.1, 1.1, f64::NAN] {
        assert!(matches!(cluster.lose("ada", "ada", share), Err(TestClusterError::Share(_))));
    }
    let late = cluster.wait_until("the impossible", Duration::ZERO, |_| false).unwrap_err();
    let late = late.to_string();
    assert!(late.contains("the impossible") && late.contains("ada sees ada"), "{late}");
    let start = cluster.add_with("bob", |builder| builder.meta(vec![0; 513])).unwrap_err();
    assert!(start.to_string().contains("\"bob\""), "{start}");
    cluster.add("bob")?;
    Ok(())
}

//! Settings that change while members run, and settings that would not work.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::time::Duration;

use common::{PATIENCE, Participants, alive, eventually, hear, quick};
use swim_quic::{Builder, Driver, Event, Limits, SecretKey};

#[test]
fn intervals_keys_seeds_and_metadata_change_while_members_run() {
    let participants = Participants::new();
    let mut slow = quick();
    slow.probe_interval = Duration::ZERO;
    let ada = participants.member("ada").config(slow).start().unwrap();
    let bob = participants.cluster(&["bob"]).remove(0);
    ada.set_seeds([bob.address().to_string()]).unwrap();
    eventually("ada joins its new seed", || alive(&ada) == ["ada", "bob"]);
    ada.set_meta("new").unwrap();
    eventually("bob sees the metadata", || {
        bob.members().get("ada").is_some_and(|ada| ada.meta() == b"new")
    });
    let key = SecretKey::try_from(&[7; 32][..]).unwrap();
    for member in [&ada, &bob] {
        member.add_key(&key).unwrap();
    }
    ada.ping("bob", PATIENCE).unwrap();

    let probes = || ada.stats().unwrap().membership.counters.probes;
    assert_eq!(probes(), 0, "it does not probe so far");
    let mut config = ada.config().unwrap();
    config.probe_interval = quick().probe_interval;
    ada.reconfigure(config).unwrap();
    let events = ada.subscribe();
    eventually("ada probes", || probes() > 0);
    drop(bob);
    hear("ada finds bob dead", &events, |event| {
        matches!(event, Event::Failed { .. }).then_some(())
    });
}

#[test]
fn a_tenants_bad_settings_harm_no_other_tenant() {
    let participants = Participants::new();
    let driver = Driver::start().unwrap();
    let good = participants.member("good").driver(&driver).start().unwrap();
    let member = || participants.member("bad").driver(&driver);
    let with = |change: fn(&mut swim_quic::Config)| {
        let mut config = quick();
        change(&mut config);
        member().config(config)
    };
    let century = Duration::from_secs(100 * 365 * 86_400);
    let limits = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        member().limits(limits)
    };
    let bad: Vec<(&str, Builder)> = vec![
        ("probe_interval", with(|config| config.probe_interval = Duration::from_micros(999))),
        ("gossip_interval", with(|config| config.gossip_interval = Duration::MAX)),
        ("stream_timeout", with(|config| config.stream_timeout = Duration::ZERO)),
        ("suspicion_multiplier", with(|config| config.suspicion_multiplier = u32::MAX)),
        ("max_members", with(|config| config.max_members = usize::MAX)),
        ("dial_timeout", limits(&|limits| limits.dial_timeout = Duration::ZERO)),
        ("idle_timeout", limits(&|limits| limits.idle_timeout = century)),
        ("meta", member().meta([0; 513])),
        ("seeds", member().seeds(["127.0.0.1:1"; 65])),
        ("advertise", member().advertise("no-such-interface")),
    ];
    for (field, builder) in bad {
        let error = builder.start().unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
        assert!(good.stats().is_ok(), "{field}");
    }
    let before = good.config().unwrap();
    let mut worse = before.clone();
    (worse.gossip_nodes, worse.probe_timeout) = (65, Duration::from_secs(3_600));
    good.reconfigure(worse).unwrap_err();
    assert_eq!(good.config().unwrap().probe_timeout, before.probe_timeout);

    // What is odd and works disturbs the others no more.
    let odd = with(|config| {
        config.probe_interval = Duration::from_millis(1);
        config.probe_timeout = Duration::from_millis(1);
        config.gossip_interval = Duration::from_secs(10 * 365 * 86_400);
        config.push_pull_interval = Duration::ZERO;
    });
    let odd = odd.seeds([good.address().to_string()]).start().unwrap();
    eventually("the odd one joins", || alive(&odd).contains(&"good".to_owned()));
    good.ping("bad", PATIENCE).unwrap();
    assert!(good.is_running() && odd.is_running());
}

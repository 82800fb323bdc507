//! The feature `serde`: settings from files, and what a member tells as lines of JSON.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use swim_quic::{
    Advertise, Cluster, Config, Event, Fingerprint, Identity, Limits, MemberName, NameFields,
    NamePolicy, SecretKey, SubscriptionLimits,
};

const PATIENCE: Duration = Duration::from_secs(20);

/// All settings that a file may hold.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    config: Config,
    limits: Limits,
    subscriptions: SubscriptionLimits,
    advertise: Option<Advertise>,
    name_fields: NameFields,
    name_policy: NamePolicy,
}

fn member(name: &str) -> Cluster {
    let builder = Cluster::builder(name).bind("127.0.0.1:0");
    let builder = builder.identity(Identity::development(name).unwrap());
    builder.allow_development_identity().config(Config::local()).start().unwrap()
}

#[test]
fn settings_come_from_a_file_and_keep_their_defaults() {
    let settings: Settings = toml::from_str(
        r#"
        advertise = "10.0.0.0/8"
        name_policy = "any"

        [config]
        label = "blue"
        probe_interval = "250ms"
        push_pull_interval = "1m 30s"
        allowed_networks = ["10.0.0.0/8"]
        stream_fallback_exceptions = ["ada"]
        versions = { delegate_max = 3, delegate_current = 3 }

        [limits]
        dial_timeout = "1s 500ms"
        connections = 64

        [subscriptions]
        messages = 10

        [name_fields]
        spiffe = ["spiffe://example.org/member/{name}"]
        "#,
    )
    .unwrap();
    let mut config = Config::lan();
    config.label = b"blue".to_vec();
    config.probe_interval = Duration::from_millis(250);
    config.push_pull_interval = Duration::from_secs(90);
    config.allowed_networks = vec!["10.0.0.0/8".parse().unwrap()];
    config.stream_fallback_exceptions = vec![MemberName::try_from("ada").unwrap()];
    config.versions.delegate_max = 3;
    config.versions.delegate_current = 3;
    assert_eq!(settings.config, config);
    assert_eq!(settings.limits.dial_timeout, Duration::from_millis(1_500));
    assert_eq!(settings.limits.streams, Limits::default().streams);
    assert_eq!(settings.subscriptions.messages, 10);
    assert_eq!(settings.advertise.unwrap().to_string(), "10.0.0.0/8");
    let pattern = "spiffe://example.org/member/{name}".parse().unwrap();
    assert_eq!(settings.name_fields, NameFields::default().and_spiffe(pattern));
    assert_eq!(settings.name_policy, NamePolicy::Any);
}

#[test]
fn what_is_misspelled_or_no_duration_is_named() {
    let error = |text: &str| toml::from_str::<Settings>(text).map(drop).unwrap_err().to_string();
    for (text, says) in [
        ("[config]\nprobe_intervall = \"1s\"", "probe_intervall"),
        ("[config]\nprobe_interval = \"soon\"", "probe_interval"),
        ("[config]\nallowed_networks = [\"10.0.0.0\"]", "write it like 10.0.0.0/8"),
        ("[limits]\nconnections = \"many\"", "connections"),
        ("[limits]\nconections = 3", "conections"),
        ("[name_fields]\nspiffe = [\"example.org\"]", "spiffe"),
        ("[config]\nkeys = [\"00\"]", "unknown field `keys`"),
    ] {
        let error = error(text);
        assert!(error.contains(says), "{says:?} is not in\n{error}");
    }
}

#[test]
fn settings_survive_the_way_through_a_file_but_for_their_keys() {
    let mut config = Config::wan();
    config.label = vec![0xFF, 1];
    let without_keys = config.clone();
    config.keys = vec![SecretKey::try_from(&[7; 32][..]).unwrap()];
    let text = serde_json::to_string(&config).unwrap();
    assert!(!text.contains("keys") && !text.contains("7, 7"), "{text}");
    assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), without_keys);

    let limits = Limits::default();
    let text = toml::to_string(&limits).unwrap();
    assert_eq!(toml::from_str::<Limits>(&text).unwrap(), limits);
    let fingerprint = Fingerprint::from([0xAB; 32]);
    let text = serde_json::to_string(&fingerprint).unwrap();
    assert_eq!(serde_json::from_str::<Fingerprint>(&text).unwrap(), fingerprint);
    let name = MemberName::try_from(&[b'a', 0xFF][..]).unwrap();
    assert_eq!(serde_json::to_value(&name).unwrap(), json!([97, 255]));
    assert_eq!(serde_json::from_str::<MemberName>("[97, 255]").unwrap(), name);
}

#[test]
fn events_members_and_counters_are_lines_of_json() {
    let ada = member("ada");
    let events = ada.subscribe();
    let bob = member("bob");
    bob.join([ada.address().to_string()], PATIENCE).unwrap();
    let next = |kind: &str| loop {
        let event = serde_json::to_value(events.recv_timeout(PATIENCE).unwrap()).unwrap();
        if event["event"] == kind {
            return event;
        }
    };
    let joined = next("joined");
    assert_eq!(joined["name"], "bob");
    assert_eq!(joined["address"], bob.address().to_string());
    assert_eq!(joined["state"], "alive");

    bob.send_reliable("ada", "hello", PATIENCE).unwrap();
    let message = next("message");
    assert_eq!(message["payload"], "hello");
    assert_eq!(message["from"], "bob");

    let members = serde_json::to_value(ada.members()).unwrap();
    let names: Vec<_> = members.as_array().unwrap().iter().map(|member| &member["name"]).collect();
    assert_eq!(names, ["ada", "bob"]);
    let stats = serde_json::to_value(ada.stats().unwrap()).unwrap();
    assert_eq!(stats["membership"]["alive"], 2);
    assert_eq!(stats["transport"]["send_errors"], json!([]));
    let metrics = serde_json::to_value(ada.metrics().unwrap()).unwrap();
    assert_eq!(metrics["swim_quic_members_alive"], 2);
    assert_eq!(metrics.as_object().unwrap().len(), ada.metrics().unwrap().iter().count());
    let connections = serde_json::to_value(ada.connections().unwrap()).unwrap();
    assert_eq!(connections[0]["names"], json!(["bob"]));

    let report = serde_json::to_value(bob.shutdown(PATIENCE).unwrap()).unwrap();
    assert_eq!(report, json!({ "told": 1, "wanted": 1 }));
    assert_eq!(next("left")["name"], "bob");
}

#[test]
fn what_is_no_text_is_written_too() {
    let error = Value::Null;
    let seed = Event::Seed { address: "a:1".into(), error: None };
    let event = serde_json::to_value(seed).unwrap();
    assert_eq!(event, json!({ "event": "seed", "address": "a:1", "error": error }));
    let resumed = Event::Resumed { away: Duration::from_millis(2_500) };
    let event = serde_json::to_value(resumed).unwrap();
    assert_eq!(event, json!({ "event": "resumed", "away": "2s 500ms" }));
    let state = Event::RemoteState {
        address: "[::1]:1".parse().unwrap(),
        join: true,
        state: vec![0xFE].into(),
    };
    let event = serde_json::to_value(state).unwrap();
    assert_eq!(event["state"], json!([254]));
}

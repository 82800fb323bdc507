use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::cluster_event::Stats;

/// The fields in what `{:#?}` prints of a snapshot, as paths: a new field appears here by itself.
fn printed_fields(snapshot: &Snapshot) -> BTreeSet<String> {
    let text = format!("{snapshot:#?}");
    let (mut path, mut found) = (Vec::new(), BTreeSet::new());
    for line in text.lines().skip(1) {
        if let Some((name, value)) = line.trim().split_once(": ") {
            path.push(name);
            let is_struct = value.ends_with('{') && value != "{";
            if !is_struct {
                found.insert(path.join("."));
                path.pop();
            }
        } else {
            path.pop();
        }
    }
    found
}

#[test]
fn every_field_of_the_counters_is_in_one_series() {
    // A new part of the counters has to be looked at here.
    let Stats { membership: _, transport: _, raw_datagrams_dropped: _, pending_calls: _ } =
        Stats::default();
    let HeldMemory { reliable_messages: _, queued_commands: _ } = HeldMemory::default();
    let counted = printed_fields(&Snapshot::default());
    assert!(counted.len() > 100, "the fields are not found: {counted:?}");
    let mut listed = BTreeMap::<String, usize>::new();
    for field in Series::all().iter().flat_map(|series| series.fields()) {
        *listed.entry(field.replace(' ', "")).or_default() += 1;
    }
    let twice: Vec<_> = listed.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "counted in two series: {twice:?}");
    let listed: BTreeSet<String> = listed.into_keys().collect();
    let missing: Vec<_> = counted.difference(&listed).collect();
    assert!(missing.is_empty(), "counted, and in no series: {missing:?}");
    assert_eq!(listed, counted);
}

#[test]
fn there_are_at_most_sixty_with_names_that_every_exporter_takes() {
    assert!(Series::all().len() <= 60, "{} series", Series::all().len());
    let mut names = BTreeSet::new();
    for series in Series::all() {
        let name = series.name();
        let rest = name.strip_prefix("swim_quic_").unwrap();
        let is_valid = rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        assert!(is_valid && !rest.contains("__") && !rest.ends_with('_'), "{name}");
        assert!(names.insert(name), "{name} is there twice");
        assert_eq!(rest.ends_with("_total"), series.kind() == SeriesKind::Counter, "{name}");
        let of_what = rest.strip_suffix("_total").unwrap_or(rest);
        assert_eq!(of_what.ends_with("_bytes"), series.unit() == SeriesUnit::Bytes, "{name}");
        let help = series.help();
        assert!(help.ends_with('.') && !help.contains(['\n', '\\']), "{name}: {help}");
    }
}

#[test]
fn values_are_those_of_the_counters() {
    let mut snapshot = Snapshot::default();
    snapshot.stats.membership.alive = 5;
    snapshot.stats.membership.doubts_unheard = true;
    snapshot.stats.membership.health = 3;
    snapshot.stats.membership.counters.refused_label = 20;
    snapshot.stats.membership.counters.refused_key = u64::MAX - 10;
    snapshot.stats.transport.other_send_errors = 7;
    let unreachable = (quic_net::KernelRefusal::TooLong, "192.0.2.1:1".parse().unwrap());
    snapshot.stats.transport.send_errors.insert(unreachable, 4);
    snapshot.memory.reliable_messages = 1 << 20;
    let metrics = Metrics::of(&snapshot);
    let values: BTreeMap<&str, u64> =
        metrics.iter().map(|sample| (sample.series.name(), sample.value)).collect();
    for (name, expected) in [
        ("swim_quic_members_alive", 5),
        ("swim_quic_unheard_members_doubted", 1),
        ("swim_quic_health_score", 3),
        ("swim_quic_refused_packets_total", u64::MAX),
        ("swim_quic_datagrams_unsent_total", 11),
        ("swim_quic_reliable_messages_bytes", 1 << 20),
        ("swim_quic_probes_total", 0),
    ] {
        assert_eq!(values.get(name), Some(&expected), "{name}");
    }
    assert_eq!(values.values().filter(|value| **value > 0).count(), 6);
}

#[test]
fn labels_are_escaped_and_invalid_ones_left_out() {
    let metrics = Metrics::of(&Snapshot::default());
    let text = metrics.text(&[("member", "a\"b\\c\nd"), ("1st", "x"), ("", "x"), ("zone", "ü")]);
    assert!(text.contains("\nswim_quic_probes_total{member=\"a\\\"b\\\\c\\nd\",zone=\"ü\"} 0\n"));
    assert!(!text.contains("1st"));
    assert!(metrics.to_string().contains("\nswim_quic_probes_total 0\n"));
}

/// The table in docs/METRICS.md.
fn table() -> String {
    let mut table = String::from("| name | kind | unit | what | sum of |\n|---|---|---|---|---|\n");
    for series in Series::all() {
        let fields: Vec<String> =
            series.fields().iter().map(|field| format!("`{}`", field.replace(' ', ""))).collect();
        let (name, kind, unit) = (series.name(), series.kind(), series.unit());
        let (help, fields) = (series.help(), fields.join(" "));
        table += &format!("| `{name}` | {kind} | {unit} | {help} | {fields} |\n");
    }
    table
}

#[test]
fn the_table_of_the_documentation_is_the_list() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/METRICS.md");
    let document = std::fs::read_to_string(path).unwrap();
    let table = table();
    assert!(document.contains(&table), "docs/METRICS.md must have this table:\n{table}");
}

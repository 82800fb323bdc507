//! What members count, as monitoring systems take it: as text, and through the facade.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "events are for other tests")]
mod common;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::{PATIENCE, Participants, eventually};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit, with_local_recorder,
};
use swim_quic::{Cluster, CommandError, Config, Metrics, Series, SeriesKind};

/// A sample, by name and labels.
type Samples = BTreeMap<(String, String), f64>;

/// Reads the text format of Prometheus 0.0.4 line by line, as its specification says; panics at
/// what is not of it.
fn parse(text: &str) -> Samples {
    assert!(text.ends_with('\n'), "the last line ends in a line feed");
    let mut samples = Samples::new();
    let mut types = BTreeMap::new();
    let mut described = Vec::new();
    for line in text.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name) = (words.next().unwrap(), words.next().unwrap());
            let rest = words.next().unwrap();
            match what {
                "HELP" => described.push(name.to_owned()),
                "TYPE" => {
                    assert!(["counter", "gauge"].contains(&rest), "{line}");
                    let no_sample = samples.keys().all(|(sampled, _)| sampled != name);
                    assert!(no_sample, "the type comes before the samples: {line}");
                    assert!(types.insert(name.to_owned(), rest).is_none(), "twice: {line}");
                }
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let is_name = |part: char| part.is_ascii_alphanumeric() || part == '_';
        assert!(starts && name.chars().all(is_name), "{line}");
        assert!(types.contains_key(name), "no type before {line}");
        assert!(labels.is_empty() || labels.ends_with('"') && labels.contains("=\""), "{line}");
        let former = samples.insert((name.to_owned(), labels.to_owned()), value.parse().unwrap());
        assert!(former.is_none(), "twice: {line}");
    }
    assert_eq!(described.len(), types.len());
    samples
}

/// The value of one series without labels.
fn value(metrics: &Metrics, name: &str) -> u64 {
    metrics.iter().find(|sample| sample.series.name() == name).unwrap().value
}

#[test]
fn the_text_of_two_members_is_parsed_and_counts_them_apart() {
    let participants = Participants::new();
    let members = participants.cluster(&["ada", "bob"]);
    let text_of = |member: &Cluster| {
        member.metrics().unwrap().text(&[("member", &member.name().to_string())])
    };
    let texts = [text_of(&members[0]), text_of(&members[1])];
    let [ada, bob] = [parse(&texts[0]), parse(&texts[1])];
    assert_eq!(ada.len(), Series::all().len());
    assert!(ada.len() <= 60);
    let of = |samples: &Samples, member: &str, name: &str| {
        samples[&(format!("swim_quic_{name}"), format!("member=\"{member}\""))]
    };
    assert_eq!(of(&ada, "ada", "members_alive"), 2.0);
    assert_eq!(of(&bob, "bob", "members_alive"), 2.0);
    let both = |name| of(&ada, "ada", name) + of(&bob, "bob", name);
    assert!(both("dials_total") >= 1.0 && both("connections_accepted_total") >= 1.0);
    let sent = |samples, member| of(samples, member, "datagrams_sent_bytes_total");
    assert!(sent(&ada, "ada") > 0.0 && sent(&bob, "bob") > 0.0);
    assert!(ada.keys().all(|key| !bob.contains_key(key)), "no series is in both");
    // Without labels it is what is printed.
    assert_eq!(parse(&members[0].metrics().unwrap().to_string()).len(), ada.len());
}

#[test]
fn counters_never_fall() {
    let participants = Participants::new();
    // With the probe timeout of a LAN, so that pings are answered while the machine is busy.
    let member = |name| participants.member(name).config(Config::lan());
    let ada = member("ada").start().unwrap();
    let join = |name| member(name).seeds([ada.address().to_string()]).start().unwrap();
    let [bob, cyd] = ["bob", "cyd"].map(join);
    let members = [ada, bob, cyd];
    eventually("all see all", || members.iter().all(|member| member.members().len() == 3));
    let mut former: Vec<Metrics> = members.iter().map(|member| member.metrics().unwrap()).collect();
    let first = former[0].clone();
    for round in 0..50 {
        members[0].ping("bob", PATIENCE).unwrap();
        members[1].set_meta(round.to_string()).unwrap();
        members[2].broadcast("hello").unwrap();
        if round % 10 == 0 {
            members[0].disconnect("cyd").unwrap();
        }
        for (member, former) in members.iter().zip(&mut former) {
            let now = member.metrics().unwrap();
            for (before, after) in former.iter().zip(now.iter()) {
                let (series, name) = (after.series, after.series.name());
                assert_eq!(before.series.name(), name);
                let may_fall = series.kind() == SeriesKind::Gauge;
                assert!(may_fall || after.value >= before.value, "{name} of {member:?} fell");
            }
            *former = now;
        }
    }
    for name in ["swim_quic_datagrams_sent_total", "swim_quic_membership_packets_sent_total"] {
        assert!(value(&former[0], name) > value(&first, name), "{name} counts");
    }
}

#[test]
fn who_dies_and_what_is_held_shows() {
    let participants = Participants::new();
    let mut members = participants.cluster(&["ada", "bob"]);
    let bob = members.pop().unwrap();
    let ada = members.pop().unwrap();
    bob.close(PATIENCE);
    let now = || ada.metrics().unwrap();
    eventually("ada's metrics show the death", || {
        let now = now();
        value(&now, "swim_quic_members_dead") == 1 && value(&now, "swim_quic_failures_total") == 1
    });
    assert_eq!(value(&now(), "swim_quic_members_alive"), 1);
    ada.close(PATIENCE);
    assert_eq!(ada.metrics().unwrap_err(), CommandError::Closed);
}

/// Keeps what it is told.
#[derive(Default)]
struct Keeps {
    counters: Mutex<BTreeMap<Key, Arc<Kept>>>,
    gauges: Mutex<BTreeMap<Key, Arc<Kept>>>,
    described: Mutex<BTreeMap<String, (Option<Unit>, String)>>,
}

#[derive(Debug, Default)]
struct Kept(AtomicU64);

impl CounterFn for Kept {
    fn increment(&self, _: u64) {
        panic!("counters are set, or two records would add up");
    }

    fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }
}

impl GaugeFn for Kept {
    fn increment(&self, _: f64) {
        panic!("gauges are set");
    }

    fn decrement(&self, _: f64) {
        panic!("gauges are set");
    }

    fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

impl Keeps {
    fn describe(&self, name: &KeyName, unit: Option<Unit>, help: &SharedString) {
        let described = (unit, help.to_string());
        self.described.lock().unwrap().insert(name.as_str().to_owned(), described);
    }

    fn counter(&self, name: &str, label: &str) -> u64 {
        let key = Key::from_parts(name.to_owned(), &[("member", label.to_owned())]);
        self.counters.lock().unwrap()[&key].0.load(Ordering::Relaxed)
    }

    fn gauge(&self, name: &str, label: &str) -> f64 {
        let key = Key::from_parts(name.to_owned(), &[("member", label.to_owned())]);
        f64::from_bits(self.gauges.lock().unwrap()[&key].0.load(Ordering::Relaxed))
    }
}

impl Recorder for Keeps {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.describe(&name, unit, &help);
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        panic!("there is none");
    }

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let mut counters = self.counters.lock().unwrap();
        Counter::from_arc(Arc::clone(counters.entry(key.clone()).or_default()))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        let mut gauges = self.gauges.lock().unwrap();
        Gauge::from_arc(Arc::clone(gauges.entry(key.clone()).or_default()))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("there is none")
    }
}

#[test]
fn a_recorder_gets_every_series_of_each_member() {
    let participants = Participants::new();
    let members = participants.cluster(&["ada", "bob"]);
    let keeps = Keeps::default();
    let mut last = Vec::new();
    with_local_recorder(&keeps, || {
        Metrics::describe();
        for _ in 0..3 {
            last = members.iter().map(|member| member.metrics().unwrap()).collect();
            for (member, metrics) in members.iter().zip(&last) {
                metrics.record(&[("member", &member.name().to_string())]);
            }
        }
    });
    let described = keeps.described.lock().unwrap();
    assert_eq!(described.len(), Series::all().len());
    assert_eq!(described["swim_quic_datagrams_sent_bytes_total"].0, Some(Unit::Bytes));
    let recorded = keeps.counters.lock().unwrap().len() + keeps.gauges.lock().unwrap().len();
    assert_eq!(recorded, 2 * Series::all().len());
    for (name, metrics) in ["ada", "bob"].iter().zip(&last) {
        for sample in metrics.iter() {
            let series = sample.series;
            assert_eq!(described[series.name()].1, series.help());
            match series.kind() {
                SeriesKind::Counter => {
                    assert_eq!(keeps.counter(series.name(), name), sample.value, "{series:?}");
                }
                SeriesKind::Gauge => {
                    let recorded = keeps.gauge(series.name(), name).to_string();
                    assert_eq!(recorded, sample.value.to_string(), "{series:?}");
                }
            }
        }
    }
}

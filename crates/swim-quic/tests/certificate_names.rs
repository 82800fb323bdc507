//! A member is who its certificate says, by the fields that count, dialed and accepted.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

#[expect(dead_code, reason = "the identities of this test have certificates of another kind")]
mod common;
#[expect(dead_code, reason = "there are no intermediates here")]
#[path = "common/issuer.rs"]
mod issuer;

use std::time::Duration;

use common::{PATIENCE, alive, eventually, quick};
use issuer::Issuer;
use swim_quic::{
    Builder, Cluster, Event, Identity, NameFields, NamePolicy, RotateError, StartError,
};

const SECOND: Duration = Duration::from_secs(1);

/// Which certificates prove "ada" where these fields count, and which hold the name elsewhere.
struct Setting {
    fields: NameFields,
    proves: &'static [(&'static str, &'static str)],
    holds: &'static [(&'static str, &'static str)],
}

fn settings() -> [Setting; 2] {
    let pattern = "spiffe://example.org/member/{name}";
    [
        Setting {
            fields: NameFields::default(),
            proves: &[("other", "DNS:ada,URI:spiffe://example.org/bob"), ("ada", "IP:127.0.0.1")],
            holds: &[
                ("ada", "DNS:mallory"),
                ("mallory", "DNS:*.ada,DNS:Ada,URI:spiffe://example.org/member/ada"),
                ("ada", "URI:https://example.org/ada"),
            ],
        },
        Setting {
            fields: NameFields::spiffe(pattern.parse().unwrap()),
            proves: &[("other", "URI:spiffe://example.org/member/ada,DNS:other")],
            holds: &[
                ("ada", "DNS:ada,URI:spiffe://example.org/member/mallory"),
                ("ada", "DNS:ada,URI:spiffe://example.com/member/ada"),
                ("ada", "DNS:ada,URI:spiffe://example.org/member/bob/ada"),
                ("ada", "URI:spiffe://example.org/member/ada,URI:spiffe://example.org/member/x"),
            ],
        },
    ]
}

fn member(name: &str, identity: Identity, fields: &NameFields) -> Builder {
    let member = Cluster::builder(name).bind("127.0.0.1:0").identity(identity).config(quick());
    member.name_fields(fields.clone())
}

fn refusal_by_us(event: &Event) -> Option<&str> {
    match event {
        Event::Warning { detail, .. } => detail.contains("we refused").then_some(detail),
        _ => None,
    }
}

/// A certificate of any of the members that are not ada.
fn of_bob(issuer: &Issuer) -> Identity {
    issuer.identity("bob", "DNS:bob,URI:spiffe://example.org/member/bob")
}

#[test]
fn a_field_that_counts_proves_a_name_in_both_directions() {
    for setting in settings() {
        let issuer = Issuer::new();
        for (common_name, alternatives) in setting.proves {
            let identity = issuer.identity(common_name, alternatives);
            let ada = member("ada", identity, &setting.fields).start().unwrap();
            let bob = member("bob", of_bob(&issuer), &setting.fields);
            let bob = bob.seeds([ada.address().to_string()]).start().unwrap();
            eventually("both meet", || [&ada, &bob].iter().all(|one| alive(one).len() == 2));
            for (from, to) in [(&ada, "bob"), (&bob, "ada")] {
                from.disconnect(to).unwrap();
                let names = from.connect(to, PATIENCE).unwrap().names;
                assert_eq!(names.len(), 1, "{names:?}");
                assert_eq!(names[0].to_string(), to);
            }
        }
    }
}

#[test]
fn a_name_in_a_field_that_does_not_count_is_refused_at_the_start_and_at_a_rotation() {
    for setting in settings() {
        let issuer = Issuer::new();
        let (common_name, alternatives) = setting.proves[0];
        let good = issuer.identity(common_name, alternatives);
        let ada = member("ada", good, &setting.fields).start().unwrap();
        for (common_name, alternatives) in setting.holds {
            let held = issuer.identity(common_name, alternatives);
            let error = member("ada", held.clone(), &setting.fields).start().unwrap_err();
            assert!(matches!(error, StartError::NameNotInCertificate { .. }), "{error:?}");
            let text = error.to_string();
            for part in ["not for \"ada\"", "DNS names", "URIs", "common name", "name_fields"] {
                assert!(text.contains(part), "{part} in {text}");
            }
            for value in alternatives.split([',', ':']).filter(|value| value.contains("mallory")) {
                assert!(text.contains(value), "{value} in {text}");
            }
            // The trust's own fields do not count.
            let error = ada.rotate(&held, &held.trust()).unwrap_err();
            assert!(matches!(error, RotateError::NameNotInCertificate { .. }), "{error:?}");
            assert!(error.to_string().contains("the former one stays"), "{error}");
        }
    }
}

/// Mallory has a program that does not look at its own certificate.
#[test]
fn a_certificate_that_holds_a_name_elsewhere_speaks_in_it_neither_dialing_nor_dialed() {
    for setting in settings() {
        let issuer = Issuer::new();
        for (common_name, alternatives) in setting.holds {
            let held = issuer.identity(common_name, alternatives);
            let bob = member("bob", of_bob(&issuer), &setting.fields).start().unwrap();
            let events = bob.subscribe();
            let mallory = member("ada", held, &setting.fields).name_policy(NamePolicy::Any);
            let mallory = mallory.start().unwrap();
            assert!(mallory.join([bob.address().to_string()], SECOND).is_err(), "{alternatives}");
            let address = format!("ada/{}", mallory.address());
            assert!(bob.join([address], SECOND).is_err(), "{alternatives}");
            assert!(bob.join([mallory.address().to_string()], SECOND).is_err(), "{alternatives}");
            assert_eq!(alive(&bob), ["bob"]);
            let said: Vec<_> = events.try_iter().collect();
            assert!(!said.iter().any(|event| matches!(event, Event::Joined(_))), "{said:?}");
            let details: Vec<_> = said.iter().filter_map(refusal_by_us).collect();
            assert!(!details.is_empty(), "{said:?}");
            for detail in details {
                let is_told = ["name", "DNS names", "URIs", "common name", "issue one"];
                assert!(is_told.iter().all(|part| detail.contains(part)), "{detail}");
                assert!(detail.contains(&format!("{common_name:?}")), "{detail}");
            }
        }
    }
}

//! Ada's name stands in one field of her certificate; Mallory puts it into others.

use std::sync::{Arc, OnceLock};

use boring::asn1::{Asn1Time, Asn1Type};
use boring::bn::BigNum;
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::x509::{X509, X509Extension, X509Name};
use certs::{Identity, NameFields, NamePolicy, SpiffePattern, Trust, peer_names};

use crate::participants::{DAY, day_one};

const PATTERN: &str = "spiffe://example.org/member/{name}";

#[test]
fn each_field_proves_what_it_alone_is_to_prove() {
    let fields = [
        NameFields::default(),
        NameFields::spiffe(pattern()),
        NameFields::default().and_spiffe(pattern()),
        NameFields::default().without_common_name(),
        NameFields::default().without_dns_names(),
    ];
    // Common names, alternative names, and what is proven under each of the settings above.
    type Case = (&'static [&'static str], &'static str, [&'static [&'static str]; 5]);
    let cases: &[Case] = &[
        // Our own, those of Go's helpers, and SPIRE's.
        (&["ada"], "DNS:ada,IP:10.0.0.1", [&["ada"], &[], &["ada"], &["ada"], &[]]),
        (&["ada"], "IP:10.0.0.1", [&["ada"], &[], &["ada"], &[], &["ada"]]),
        (&["ada"], "", [&["ada"], &[], &["ada"], &[], &["ada"]]),
        (&[], "URI:spiffe://example.org/member/ada", [&[], &["ada"], &["ada"], &[], &[]]),
        // A name in another field than the one that counts.
        (&["bob"], "DNS:ada", [&["ada"], &[], &["ada"], &["ada"], &[]]),
        (&["bob"], "URI:spiffe://example.org/member/ada", [&[], &["ada"], &["ada"], &[], &[]]),
        (&["bob"], "URI:https://example.org", [&[], &[], &[], &[], &[]]),
        (&["bob"], "DNS:*.example.org", [&[], &[], &[], &[], &[]]),
        (&["bob"], "RID:1.2.3.4", [&[], &[], &[], &[], &[]]),
        (&["bob"], "email:ada@example.org", [&["bob"], &[], &["bob"], &[], &["bob"]]),
        // Both kinds of alternative names are there.
        (
            &["cyd"],
            "DNS:ada,URI:spiffe://example.org/member/bob",
            [&["ada"], &["bob"], &["ada", "bob"], &["ada"], &[]],
        ),
        // Of several common names, or URIs, none counts; several DNS names do.
        (&["ada", "bob"], "", [&[], &[], &[], &[], &[]]),
        (
            &["ada"],
            "DNS:ada,DNS:bob,DNS:ada",
            [&["ada", "bob"], &[], &["ada", "bob"], &["ada", "bob"], &[]],
        ),
        (
            &["ada"],
            "URI:spiffe://example.org/member/ada,URI:spiffe://example.org/member/bob",
            [&[], &[], &[], &[], &[]],
        ),
        (
            &["ada"],
            "URI:spiffe://example.org/member/ada,URI:https://example.org",
            [&[], &[], &[], &[], &[]],
        ),
        // What looks like the name of a field.
        (&["*"], "", [&[], &[], &[], &[], &[]]),
        (&["*.example.org"], "", [&[], &[], &[], &[], &[]]),
        (&["Ada"], "DNS:Ada", [&["Ada"], &[], &["Ada"], &["Ada"], &[]]),
        (&["ada"], "DNS:ada.", [&[], &[], &[], &[], &[]]),
        (&["ada"], "DNS:.ada", [&[], &[], &[], &[], &[]]),
        (&["ada"], "URI:spiffe://example.com/member/ada", [&[], &[], &[], &[], &[]]),
        (&["ada"], "URI:SPIFFE://example.org/member/ada", [&[], &[], &[], &[], &[]]),
        (&["ada"], "URI:spiffe://example.org/member/bob/ada", [&[], &[], &[], &[], &[]]),
        (&["zoë"], "", [&["zoë"], &[], &["zoë"], &[], &["zoë"]]),
    ];
    for (common_names, alternatives, proven) in cases {
        let leaf = leaf(&subject(common_names), &alternatives_of(alternatives));
        for (fields, proven) in fields.iter().zip(proven) {
            assert_eq!(names(&leaf, fields), *proven, "{common_names:?} {alternatives} {fields:?}");
        }
        assert_eq!(peer_names(&leaf.to_der().unwrap()).unwrap(), proven[0]);
    }
}

#[test]
fn a_nul_or_what_is_no_ascii_makes_a_field_prove_nothing() {
    let nobody: [&str; 0] = [];
    // dNSName is [2], uniformResourceIdentifier [6].
    for (tag, text) in [
        ("82", "ada\0.example.org"),
        ("82", "zo\u{eb}"),
        ("86", "spiffe://example.org/member/ada\0"),
        ("86", "spiffe://example.org/member/zo\u{eb}"),
    ] {
        let bytes: String = text.bytes().map(|byte| format!(":{byte:02x}")).collect();
        let value = format!("DER:30:{:02x}:{tag}:{:02x}{bytes}", text.len() + 2, text.len());
        let extension = X509Extension::new_nid(None, None, Nid::SUBJECT_ALT_NAME, &value).unwrap();
        let leaf = leaf(&subject(&["bob"]), &[extension]);
        let fields = NameFields::default().and_spiffe(pattern());
        assert_eq!(names(&leaf, &fields), nobody, "{text:?}");
    }
    let leaf = leaf(&subject(&["ada\0.example.org"]), &[]);
    assert_eq!(names(&leaf, &NameFields::default()), nobody);
}

#[test]
fn a_common_name_counts_only_where_its_bytes_are_its_text() {
    // Two bytes, which are one character of another alphabet in this type.
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid_with_type(Nid::COMMONNAME, "ad", Asn1Type::BMPSTRING).unwrap();
    assert_eq!(names(&leaf(&name.build(), &[]), &NameFields::default()), [""; 0]);
    for kind in [Asn1Type::UTF8STRING, Asn1Type::PRINTABLESTRING, Asn1Type::T61STRING] {
        let mut name = X509Name::builder().unwrap();
        name.append_entry_by_nid_with_type(Nid::COMMONNAME, "ad", kind).unwrap();
        assert_eq!(names(&leaf(&name.build(), &[]), &NameFields::default()), ["ad"], "{kind:?}");
    }
}

#[test]
fn alternative_names_that_cannot_be_read_leave_the_common_name_no_say() {
    let broken =
        || X509Extension::new_nid(None, None, Nid::SUBJECT_ALT_NAME, "DER:30:05:82").unwrap();
    assert_eq!(names(&leaf(&subject(&["ada"]), &[broken()]), &NameFields::default()), [""; 0]);
    let twice = ["IP:10.0.0.1", "IP:10.0.0.2"].map(|text| alternatives_of(text).remove(0));
    assert_eq!(names(&leaf(&subject(&["ada"]), &twice), &NameFields::default()), [""; 0]);
}

#[test]
fn what_is_said_of_a_certificate_tells_of_every_field() {
    let leaf = leaf(&subject(&["bob"]), &alternatives_of("DNS:*.a,DNS:ada,URI:spiffe://b/c"));
    let (root, key) = authority();
    let key = key.private_key_to_pem_pkcs8().unwrap();
    let [root, leaf] = [root, &leaf].map(|certificate| certificate.to_pem().unwrap());
    let identity = Identity::from_pem_at(&root, &leaf, &key, day_one() + DAY).unwrap();
    let reading = identity.read_names(&NameFields::default().and_spiffe(pattern()));
    assert_eq!(reading.proven(), ["ada"]);
    assert_eq!(
        reading.to_string(),
        "DNS names: \"*.a\" (a wildcard is no name), \"ada\"; \
         URIs (pattern spiffe://example.org/member/{name}): \"spiffe://b/c\" (does not fit the \
         pattern); common name: \"bob\" (counts only without DNS names and URIs)"
    );
    assert_eq!(
        identity.read_names(&NameFields::spiffe(pattern())).to_string(),
        "DNS names (not looked at): \"*.a\", \"ada\"; \
         URIs (pattern spiffe://example.org/member/{name}): \"spiffe://b/c\" (does not fit the \
         pattern); common name (not looked at): \"bob\""
    );
}

fn pattern() -> SpiffePattern {
    PATTERN.parse().unwrap()
}

fn names(leaf: &X509, fields: &NameFields) -> Vec<String> {
    let trust = Trust::from_pem(&authority().0.to_pem().unwrap()).unwrap();
    let trust = trust.with_policy(NamePolicy::Match).with_name_fields(fields.clone());
    let names = trust.binding_names(&leaf.to_der().unwrap());
    names.into_iter().map(|name: Arc<[u8]>| String::from_utf8(name.to_vec()).unwrap()).collect()
}

fn subject(common_names: &[&str]) -> X509Name {
    let mut name = X509Name::builder().unwrap();
    for common_name in common_names {
        name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
    }
    name.build()
}

fn alternatives_of(text: &str) -> Vec<X509Extension> {
    if text.is_empty() {
        return Vec::new();
    }
    vec![X509Extension::new_nid(None, None, Nid::SUBJECT_ALT_NAME, text).unwrap()]
}

/// The authority of these certificates, and the key of all of them.
fn authority() -> &'static (X509, PKey<Private>) {
    static AUTHORITY: OnceLock<(X509, PKey<Private>)> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        crate::participants::authority().save(directory.path()).unwrap();
        let [certificate, key] =
            ["ca.pem", "ca.key"].map(|file| std::fs::read(directory.path().join(file)).unwrap());
        (X509::from_pem(&certificate).unwrap(), PKey::private_key_from_pem(&key).unwrap())
    })
}

fn leaf(subject: &X509Name, extensions: &[X509Extension]) -> X509 {
    let (issuer, key) = authority();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(subject).unwrap();
    builder.set_issuer_name(issuer.subject_name()).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(1_600_000_000).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(4_000_000_000).unwrap()).unwrap();
    builder.set_pubkey(key).unwrap();
    for extension in extensions {
        builder.append_extension(extension).unwrap();
    }
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

//! Ada asks why her certificate would be refused; each fault has a text, and all are told at once.

use std::fs;
use std::path::{Path, PathBuf};

use boring::asn1::Asn1Time;
use boring::bn::BigNum;
use boring::ec::{EcGroup, EcKey};
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{PKey, Private};
use boring::x509::{X509, X509Extension, X509Name};
use certs::{IdentityFiles, NameFields, RefusedBy, Remark, Verification, with_sources};

use crate::participants::{DAY, authority, data, day_one};

const BOTH_USAGES: (Nid, &str) = (Nid::EXT_KEY_USAGE, "serverAuth,clientAuth");
const NAMED: (Nid, &str) = (Nid::SUBJECT_ALT_NAME, "DNS:ada,IP:10.0.0.1");
const ISSUES: (Nid, &str) = (Nid::BASIC_CONSTRAINTS, "critical,CA:TRUE");

#[test]
fn files_that_cannot_be_used_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let [ca, cert, key] = ["ec-ca.pem", "sec1.pem", "sec1.key"].map(data);
    let der = X509::from_pem(&fs::read(&cert).unwrap()).unwrap().to_der().unwrap();
    let der = file("der", &der);
    let private = PKey::private_key_from_pem(&fs::read(&key).unwrap()).unwrap();
    let key_der = file("key-der", &private.private_key_to_der_pkcs8().unwrap());
    let sec1_der = file("sec1-der", &private.private_key_to_der().unwrap());
    let empty = file("empty", b" \n");
    let noise = file("noise", b"hello");
    let reversed = ["intermediate.pem", "below.pem"].map(|name| fs::read(data(name)).unwrap());
    let reversed = file("reversed", &reversed.concat());
    let folder = directory.path().to_owned();
    let none = directory.path().join("none");
    let [p384, below, encrypted, encrypted_sec1, rsa_cert, rsa_key] = [
        "p384.key",
        "below.key",
        "encrypted.key",
        "encrypted-sec1.key",
        "rsa1024.pem",
        "rsa1024.key",
    ]
    .map(data);
    let cases = [
        ([&none, &cert, &key], "cannot read", "check the path"),
        ([&ca, &none, &key], "cannot read", "check the path"),
        ([&ca, &cert, &none], "cannot read", "check the path"),
        ([&ca, &folder, &key], "is a directory", "give the file"),
        ([&empty, &cert, &key], "is empty", "BEGIN CERTIFICATE"),
        ([&ca, &cert, &empty], "is empty", "BEGIN PRIVATE KEY"),
        ([&der, &cert, &key], "is in DER", "openssl x509 -inform DER"),
        ([&ca, &der, &key], "is in DER", "openssl x509 -inform DER"),
        ([&ca, &cert, &key_der], "is in DER", "openssl pkey -inform DER"),
        ([&ca, &cert, &sec1_der], "is in DER", "openssl pkey -inform DER"),
        ([&ca, &noise, &key], "is not PEM", "BEGIN CERTIFICATE"),
        ([&ca, &key, &key], "where CERTIFICATE belongs", "swapped"),
        ([&ca, &cert, &cert], "where PRIVATE KEY belongs", "swapped"),
        ([&ca, &cert, &p384], "is not the private key of", "made together"),
        ([&ca, &reversed, &below], "further down", "put that one first"),
        ([&ca, &cert, &encrypted], "passphrase", "openssl pkey"),
        ([&ca, &cert, &encrypted_sec1], "passphrase", "openssl pkey"),
        ([&ca, &rsa_cert, &rsa_key], "RSA with 1024 bits", "use EC P-256"),
    ];
    for (files, cause, remedy) in cases {
        let said = verify(files, Some("ada"));
        let [objection] = &said.objections[..] else { panic!("{said:?}") };
        assert_eq!(objection.by, RefusedBy::Member);
        let text = with_sources(objection);
        assert!(text.contains(cause) && text.contains(remedy) && !text.contains('\n'), "{text}");
        assert!(text.starts_with("refused by the member itself"), "{text}");
    }
}

/// A certificate, what follows it in its file, the root, and what is said: by whom it is refused,
/// and some words.
type Case<'a> = (Made, Vec<&'a Made>, &'a Made, Vec<(RefusedBy, &'static str)>);

#[test]
fn what_peers_refuse_is_told_with_the_side_that_does() {
    use RefusedBy::{Dialed, Dialing, Peers};
    let root = Made::root("root");
    let server = (Nid::EXT_KEY_USAGE, "serverAuth");
    let client = (Nid::EXT_KEY_USAGE, "clientAuth");
    let neither = (Nid::EXT_KEY_USAGE, "codeSigning");
    let encrypts = (Nid::KEY_USAGE, "keyEncipherment");
    let bob = (Nid::SUBJECT_ALT_NAME, "DNS:bob,IP:10.0.0.1");
    let nobody = (Nid::SUBJECT_ALT_NAME, "DNS:*.example.org,IP:10.0.0.1");
    let stranger = Made::root("stranger");
    let ada = |extensions: &[(Nid, &str)]| root.issue("ada", extensions, 0, 100);
    let said = |by, words| vec![(by, words)];
    let cases: Vec<Case<'_>> = vec![
        (ada(&[NAMED]), vec![], &root, vec![]),
        (ada(&[NAMED, BOTH_USAGES]), vec![], &root, vec![]),
        (ada(&[NAMED, server]), vec![], &root, said(Dialed, "clientAuth")),
        (ada(&[NAMED, client]), vec![], &root, said(Dialing, "serverAuth")),
        (
            ada(&[NAMED, neither]),
            vec![],
            &root,
            vec![(Dialing, "serverAuth"), (Dialed, "clientAuth")],
        ),
        (ada(&[NAMED, encrypts]), vec![], &root, said(Peers, "digitalSignature")),
        (root.issue("ada", &[NAMED], 0, 40), vec![], &root, said(Peers, "expired at")),
        (root.issue("ada", &[NAMED], 60, 100), vec![], &root, said(Peers, "not valid before")),
        (ada(&[bob]), vec![], &root, said(Peers, "does not prove the name \"ada\"")),
        (ada(&[nobody]), vec![], &root, said(Peers, "a wildcard is no name")),
        // Everything that is wrong at once.
        (
            root.issue("ada", &[bob, server], 0, 40),
            vec![],
            &stranger,
            vec![
                (Peers, "expired at"),
                (Dialed, "clientAuth"),
                (Peers, "issuer \"CN=root\""),
                (Peers, "does not prove the name"),
            ],
        ),
    ];
    check(cases);
}

#[test]
fn a_chain_that_ends_somewhere_is_told_with_the_certificate_where_it_does() {
    let (root, other, stranger) = (Made::root("root"), Made::root("root"), Made::root("stranger"));
    let old = root.issue("between", &[ISSUES], 0, 10);
    let between = root.issue("between", &[ISSUES], 0, 100);
    let below_that = between.issue("below", &[ISSUES], 0, 100);
    let no_authority = root.issue("between", &[NAMED], 0, 100);
    let for_servers = (Nid::EXT_KEY_USAGE, "serverAuth");
    let for_servers = root.issue("between", &[ISSUES, for_servers], 0, 100);
    let ada = |issuer: &Made| issuer.issue("ada", &[NAMED], 0, 100);
    let said = |words| vec![(RefusedBy::Peers, words)];
    check(vec![
        (ada(&between), vec![&between], &root, vec![]),
        (ada(&below_that), vec![&below_that, &between], &root, vec![]),
        (ada(&below_that), vec![&between, &below_that], &root, vec![]),
        (ada(&between), vec![], &between, vec![]),
        (ada(&root), vec![], &stranger, said("issuer \"CN=root\" of \"CN=ada\" is missing")),
        (ada(&root), vec![&root], &stranger, said("issuer \"CN=root\" of \"CN=root\" is missing")),
        (ada(&root), vec![], &other, said("another key than that of \"CN=root\" here")),
        (ada(&between), vec![], &root, said("append its intermediates")),
        (ada(&below_that), vec![&below_that], &root, said("\"CN=between\" of \"CN=below\"")),
        (ada(&old), vec![&old], &root, said("\"CN=between\" (1 above the leaf) is refused")),
        (ada(&no_authority), vec![&no_authority], &root, said("\"CN=between\" (1 above")),
        (ada(&for_servers), vec![&for_servers], &root, vec![(RefusedBy::Dialed, "an issuer of")]),
    ]);
}

fn check(cases: Vec<Case<'_>>) {
    let directory = tempfile::tempdir().unwrap();
    for (leaf, chain, root, expected) in cases {
        let files = write(directory.path(), &leaf, &chain, root);
        let said = verify([&files.authority, &files.certificate, &files.key], Some("ada"));
        let texts: Vec<_> = said.objections.iter().map(ToString::to_string).collect();
        assert_eq!(texts.len(), expected.len(), "{expected:?}: {texts:#?}");
        for (objection, (by, words)) in said.objections.iter().zip(expected) {
            let text = with_sources(objection);
            assert!(text.contains(words) && !text.contains('\n'), "{words}: {text}");
            assert_eq!(objection.by, by, "{text}");
        }
    }
}

#[test]
fn any_name_will_do_where_none_is_given_and_none_will_not() {
    let root = Made::root("root");
    let directory = tempfile::tempdir().unwrap();
    let nobody = root.issue("*", &[], 0, 100);
    for (leaf, is_accepted) in [(root.issue("bob", &[NAMED], 0, 100), true), (nobody, false)] {
        let files = write(directory.path(), &leaf, &[], &root);
        let said = verify([&files.authority, &files.certificate, &files.key], None);
        assert_eq!(said.objections.is_empty(), is_accepted, "{said:?}");
        let told = said.objections.iter().map(|objection| with_sources(objection));
        let text: String = told.collect();
        assert_eq!(text.contains("proves no name"), !is_accepted, "{text}");
    }
}

#[test]
fn what_nobody_refuses_is_a_remark() {
    let directory = tempfile::tempdir().unwrap();
    let root = Made::root("root");
    let said = |leaf: &Made, chain: &[&Made]| {
        let files = write(directory.path(), leaf, chain, &root);
        let said = verify([&files.authority, &files.certificate, &files.key], Some("ada"));
        assert!(said.objections.is_empty(), "{said:?}");
        said.remarks
    };
    let named = (Nid::SUBJECT_ALT_NAME, "DNS:ada");
    assert_eq!(said(&root.issue("ada", &[NAMED], 0, 100), &[]), []);
    assert_eq!(said(&root.issue("ada", &[named], 0, 100), &[]), [Remark::NoAddress]);
    let not_after = day_one() + 51 * DAY;
    assert_eq!(said(&root.issue("ada", &[NAMED], 0, 51), &[]), [Remark::EndsSoon { not_after }]);
    assert_eq!(said(&root.issue("ada", &[NAMED], 49, 52), &[]), []);
    let between = root.issue("between", &[ISSUES], 0, 90);
    let below = between.issue("ada", &[NAMED], 0, 100);
    let not_after = day_one() + 90 * DAY;
    assert_eq!(said(&below, &[&between]), [Remark::IssuerEndsFirst { not_after }]);
}

#[test]
fn roots_that_cannot_be_told_apart_are_a_remark() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second) = (Made::root("root"), Made::root("root"));
    let files = write(directory.path(), &first.issue("ada", &[NAMED], 0, 100), &[], &first);
    let pem = |made: &Made| made.certificate.to_pem().unwrap();
    for (roots, are_alike) in [
        ([pem(&first), pem(&second)], true),
        ([pem(&first), pem(&first)], false),
        ([pem(&first), pem(&Made::root("other"))], false),
        // Ours have key identifiers.
        ([0, 1].map(|_: u8| authority().certificate_pem().as_bytes().to_vec()), false),
    ] {
        let with_first = [pem(&first), roots.concat()].concat();
        fs::write(&files.authority, with_first).unwrap();
        let said = verify([&files.authority, &files.certificate, &files.key], Some("ada"));
        assert!(said.objections.is_empty(), "{said:?}");
        let expected: &[Remark] = &[Remark::AlikeRoots { name: "CN=root".into() }];
        assert_eq!(said.remarks, if are_alike { expected } else { &[] });
    }
    // And so it is: of those alike, the second one does not count.
    let files = write(directory.path(), &second.issue("ada", &[NAMED], 0, 100), &[], &second);
    fs::write(&files.authority, [pem(&first), pem(&second)].concat()).unwrap();
    let said = verify([&files.authority, &files.certificate, &files.key], Some("ada"));
    assert!(with_sources(&said.objections[0]).contains("another key than that of \"CN=root\""));
}

#[cfg(unix)]
#[test]
fn a_key_that_others_may_read_is_a_remark() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let root = Made::root("root");
    let files = write(directory.path(), &root.issue("ada", &[NAMED], 0, 100), &[], &root);
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o640)).unwrap();
    let said = verify([&files.authority, &files.certificate, &files.key], Some("ada"));
    assert!(matches!(said.remarks[..], [Remark::ReadableKey { mode: 0o640, .. }]), "{said:?}");
    assert!(said.remarks[0].to_string().contains("chmod 600"), "{}", said.remarks[0]);
}

/// As of the fiftieth day.
fn verify([authority, certificate, key]: [&PathBuf; 3], name: Option<&str>) -> Verification {
    let [authority, certificate, key] = [authority, certificate, key].map(Clone::clone);
    let files = IdentityFiles { authority, certificate, key };
    files.verify(name, &NameFields::default(), day_one() + 50 * DAY)
}

fn write(directory: &Path, leaf: &Made, chain: &[&Made], root: &Made) -> IdentityFiles {
    let files = IdentityFiles::in_directory(directory, "ada");
    let pem = |made: &Made| made.certificate.to_pem().unwrap();
    let certificates: Vec<_> = [leaf].into_iter().chain(chain.iter().copied()).map(pem).collect();
    fs::write(&files.authority, pem(root)).unwrap();
    fs::write(&files.certificate, certificates.concat()).unwrap();
    fs::write(&files.key, leaf.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    files
}

/// A certificate and its key, which may issue others whatever it is for.
struct Made {
    certificate: X509,
    key: PKey<Private>,
}

impl Made {
    fn root(common_name: &str) -> Self {
        let key = key();
        let name = subject(common_name);
        let made = certificate(common_name, &[ISSUES], (0, 1_000), &key, (&name, &key));
        Self { certificate: made, key }
    }

    /// Valid from one day until another one, counted from the first one.
    fn issue(&self, common_name: &str, extensions: &[(Nid, &str)], from: u32, until: u32) -> Self {
        let key = key();
        let name = self.certificate.subject_name().entries().next().unwrap();
        let issuer = subject(&name.data().as_utf8().unwrap());
        let made = certificate(common_name, extensions, (from, until), &key, (&issuer, &self.key));
        Self { certificate: made, key }
    }
}

fn subject(common_name: &str) -> X509Name {
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_nid(Nid::COMMONNAME, common_name).unwrap();
    name.build()
}

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn certificate(
    common_name: &str,
    extensions: &[(Nid, &str)],
    (from, until): (u32, u32),
    key: &PKey<Private>,
    (issuer, issuer_key): (&X509Name, &PKey<Private>),
) -> X509 {
    let day = |day: u32| Asn1Time::from_unix(1_600_000_000 + i64::from(day) * 86_400).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(until).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&subject(common_name)).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&day(from)).unwrap();
    builder.set_not_after(&day(until)).unwrap();
    for (kind, value) in extensions {
        let extension = X509Extension::new_nid(None, None, *kind, value).unwrap();
        builder.append_extension(&extension).unwrap();
    }
    builder.sign(issuer_key, MessageDigest::sha256()).unwrap();
    builder.build()
}

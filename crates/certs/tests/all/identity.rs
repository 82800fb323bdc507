//! Ada's certificate comes from many places; what does not fit is refused with a remedy.

use std::error::Error;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use boring::asn1::Asn1Time;
use boring::ec::{EcGroup, EcKey};
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::PKey;
use boring::x509::extension::{ExtendedKeyUsage, KeyUsage};
use boring::x509::{X509, X509Extension, X509Name};
use certs::{
    ChainError, Identity, IdentityError, IdentityFiles, MissingUsage, PeerCertificate,
    SharedIoError, Trust, tls_context, with_sources,
};

use crate::participants::{CENTURY, DAY, HOME, authority, data, day_one, member};

#[test]
fn certificates_and_keys_of_every_kind_load() {
    let ada = |authority, certificate, key| {
        let identity = load(authority, certificate, key).unwrap();
        tls_context(&identity, &identity.trust()).unwrap();
        identity
    };
    for identity in
        [ada("go-ca.pem", "go.pem", "go.key"), ada("go-ca.pem", "go-any.pem", "go-any.key")]
    {
        assert_eq!(identity.names(), ["ada"]);
    }
    assert_eq!(ada("go-ca.pem", "go.pem", "go.key").addresses(), HOME);
    assert!(ada("go-ca.pem", "go-any.pem", "go-any.key").addresses().is_empty());
    for (authority, certificate, key) in [
        ("rsa-ca.pem", "rsa.pem", "rsa.key"),
        ("rsa-ca.pem", "rsa.pem", "rsa-pkcs1.key"),
        ("ed25519-ca.pem", "ed25519.pem", "ed25519.key"),
        ("ec-ca.pem", "p384.pem", "p384.key"),
        ("ec-ca.pem", "sec1.pem", "sec1.key"),
        ("ec-ca.pem", "sec1.pem", "sec1-pkcs8.key"),
        ("ec-ca.pem", "below-chain.pem", "below.key"),
        ("intermediate.pem", "below.pem", "below.key"),
    ] {
        let identity = ada(authority, certificate, key);
        assert_eq!(identity.names(), ["ada"], "{certificate}");
        assert_eq!(identity.addresses(), HOME, "{certificate}");
    }
}

#[test]
fn every_refusal_says_what_where_and_the_remedy() {
    use IdentityError as E;
    let refusals: [(_, _, _, Kind, _); 11] = [
        ("none.pem", "go.pem", "go.key", |e| matches!(e, E::Unreadable { .. }), "check the path"),
        ("go-ca.pem", "make.sh", "go.key", |e| matches!(e, E::NotPem { .. }), "is not PEM"),
        ("go-ca.pem", "go.key", "go.key", |e| matches!(e, E::NotPem { .. }), "swapped"),
        ("go-ca.pem", "go.pem", "go.pem", |e| matches!(e, E::NotPem { .. }), "swapped"),
        ("go-ca.pem", "go.pem", "rsa.key", |e| matches!(e, E::KeyMismatch { .. }), "made together"),
        ("rsa-ca.pem", "go.pem", "go.key", |e| matches!(e, E::Untrusted { .. }), "issued it"),
        (
            "ec-ca.pem",
            "below.pem",
            "below.key",
            |e| matches!(e, E::Untrusted { .. }),
            "intermediates",
        ),
        ("ec-ca.pem", "sec1.pem", "encrypted.key", encrypted, "openssl pkey"),
        ("ec-ca.pem", "sec1.pem", "encrypted-sec1.key", encrypted, "openssl pkey"),
        ("ec-ca.pem", "rsa1024.pem", "rsa1024.key", unsupported, "RSA with 1024 bits"),
        ("ec-ca.pem", "secp256k1.pem", "secp256k1.key", unsupported, "use EC P-256"),
    ];
    for (authority, certificate, key, kind, words) in refusals {
        let error = load(authority, certificate, key).unwrap_err();
        assert!(kind(&error), "{authority} {certificate} {key}: {error:?}");
        let text = with_sources(&error);
        assert!(text.contains(words) && !text.contains('\n'), "{text}");
        let named = [authority, certificate, key].iter().any(|file| text.contains(file));
        assert!(named, "{text}");
    }
}

#[test]
fn refusals_keep_what_the_operating_system_or_the_verifier_said() {
    let missing = load("none.pem", "go.pem", "go.key").unwrap_err();
    let said = missing.source().and_then(|source| source.downcast_ref::<SharedIoError>());
    assert_eq!(said.map(|error| error.get_ref().kind()), Some(io::ErrorKind::NotFound));

    let stranger = load("rsa-ca.pem", "go.pem", "go.key").unwrap_err();
    let said = stranger.source().and_then(|source| source.downcast_ref::<ChainError>());
    assert!(matches!(said, Some(ChainError::MissingIssuer { depth: 0, .. })), "{said:?}");
    assert!(said.and_then(Error::source).is_some());
}

#[test]
fn damage_inside_a_certificate_is_found() {
    let authority = fs::read(data("go-ca.pem")).unwrap();
    let key = fs::read(data("go.key")).unwrap();
    let whole = fs::read_to_string(data("go.pem")).unwrap();
    let cut = whole.replacen("-----END CERTIFICATE-----", "", 1);
    let bent = whole.replacen("MII", "MIJ", 1).replacen("MIIB", "MIIC", 1);
    for certificate in [cut, bent] {
        assert_ne!(certificate, whole);
        let error =
            Identity::from_pem_at(&authority, certificate.as_bytes(), &key, day_one()).unwrap_err();
        assert!(matches!(error, IdentityError::Malformed { .. }), "{error:?}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn too_much_is_refused_before_it_is_parsed() {
    let directory = tempfile::tempdir().unwrap();
    let large = directory.path().join("large.pem");
    fs::write(&large, vec![b'\n'; (1 << 20) + 1]).unwrap();
    let error = Identity::from_pem_files(&large, data("go.pem"), data("go.key")).unwrap_err();
    assert!(matches!(error, IdentityError::TooLarge { .. }), "{error:?}");

    let many = fs::read_to_string(data("go-ca.pem")).unwrap().repeat(65);
    let error = Trust::from_pem(many.as_bytes()).unwrap_err();
    assert!(matches!(error, IdentityError::TooLarge { .. }), "{error:?}");
}

#[test]
fn a_certificate_counts_from_its_first_second_until_its_end() {
    let authority = authority();
    let issued = authority.issue_at("ada", &HOME, DAY, day_one()).unwrap();
    let at = |now| {
        Identity::from_pem_at(
            authority.certificate_pem().as_bytes(),
            issued.certificate_pem.as_bytes(),
            issued.key_pem.as_bytes(),
            now,
        )
    };
    let ada = at(day_one()).unwrap();
    assert_eq!(ada.not_before(), day_one() - Duration::from_secs(300));
    assert_eq!(ada.not_after(), day_one() + DAY);
    at(ada.not_before()).unwrap();
    at(ada.not_after() - Duration::from_secs(1)).unwrap();

    let early = at(ada.not_before() - Duration::from_secs(1)).unwrap_err();
    assert!(matches!(early, IdentityError::NotYetValid { .. }), "{early:?}");
    assert!(early.to_string().contains("clock"), "{early}");
    let late = at(ada.not_after()).unwrap_err();
    assert!(matches!(late, IdentityError::Expired { .. }), "{late:?}");
    assert!(late.to_string().contains("Sep 14 12:26:40 2020 GMT"), "{late}");
}

#[test]
fn no_member_outlives_its_authority() {
    let authority = certs::Authority::generate_at("Example", DAY, day_one()).unwrap();
    let issued = authority.issue_at("ada", &HOME, CENTURY, day_one()).unwrap();
    assert_eq!(issued.not_after, day_one() + DAY);
}

#[test]
fn the_reset_secret_belongs_to_key_name_and_port() {
    let sec1 = load("ec-ca.pem", "sec1.pem", "sec1.key").unwrap();
    let pkcs8 = load("ec-ca.pem", "sec1.pem", "sec1-pkcs8.key").unwrap();
    let other = load("ec-ca.pem", "p384.pem", "p384.key").unwrap();
    let secret = sec1.reset_secret("ada", 7946);

    assert_eq!(secret, pkcs8.reset_secret(b"ada", 7946), "the same key in another coat");
    assert_ne!(secret, other.reset_secret("ada", 7946));
    assert_ne!(secret, sec1.reset_secret("bob", 7946));
    assert_ne!(secret, sec1.reset_secret("ada", 7947));
}

#[test]
fn what_is_printed_for_debugging_holds_no_key() {
    let authority = authority();
    let issued = authority.issue_at("ada", &HOME, DAY, day_one()).unwrap();
    let ada = member(&authority, "ada");
    let printed = format!("{authority:?} {issued:?} {ada:?} {:?}", ada.trust());
    let secret = issued.key_pem.lines().nth(1).unwrap();
    assert!(!printed.contains(secret) && !printed.contains("PRIVATE"), "{printed}");
}

type Kind = fn(&IdentityError) -> bool;

/// What each kind of certificate may be used for, as an authority made it.
#[test]
fn a_certificate_that_is_for_one_side_only_is_refused_at_once() {
    let usages = |server: bool, client: bool| {
        let mut usages = ExtendedKeyUsage::new();
        if server {
            usages.server_auth();
        }
        if client {
            usages.client_auth();
        }
        usages.build().unwrap()
    };
    let signs = || KeyUsage::new().digital_signature().build().unwrap();
    let encrypts = || KeyUsage::new().key_encipherment().build().unwrap();
    assert!(with_usages(vec![]).is_ok());
    assert!(with_usages(vec![usages(true, true)]).is_ok());
    assert!(with_usages(vec![usages(true, true), signs()]).is_ok());
    assert!(with_usages(vec![signs()]).is_ok());
    for (extensions, expected, words) in [
        (
            vec![usages(true, false)],
            MissingUsage::Client,
            "dialing side of a connection (clientAuth)",
        ),
        (
            vec![usages(false, true)],
            MissingUsage::Server,
            "accepting side of a connection (serverAuth)",
        ),
        (vec![usages(true, false), signs()], MissingUsage::Client, "with the extended key usages"),
        (vec![usages(true, true), encrypts()], MissingUsage::Signature, "digitalSignature"),
        (vec![encrypts()], MissingUsage::Signature, "digitalSignature"),
    ] {
        let error = with_usages(extensions).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        let IdentityError::Usage { missing, .. } = error else { panic!("{error}") };
        assert_eq!(missing, expected);
    }
}

/// A certificate of ada with these extensions, which signs itself.
fn with_usages(extensions: Vec<X509Extension>) -> Result<Identity, IdentityError> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "ada").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(1_600_000_000).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(2_600_000_000).unwrap()).unwrap();
    for extension in &extensions {
        builder.append_extension(extension).unwrap();
    }
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let certificate = builder.build().to_pem().unwrap();
    let key = key.private_key_to_pem_pkcs8().unwrap();
    Identity::from_pem_at(&certificate, &certificate, &key, day_one() + DAY)
}

fn encrypted(error: &IdentityError) -> bool {
    matches!(error, IdentityError::EncryptedKey { .. })
}

fn unsupported(error: &IdentityError) -> bool {
    matches!(error, IdentityError::UnsupportedKey { .. })
}

fn load(authority: &str, certificate: &str, key: &str) -> Result<Identity, IdentityError> {
    let files: [PathBuf; 3] = [data(authority), data(certificate), data(key)];
    let [authority, certificate, key] = files;
    Identity::load(&IdentityFiles { authority, certificate, key }, day_one())
}

#[test]
fn identities_for_development_share_an_authority_and_are_known_as_such() {
    let [ada, bob] = ["ada", "bob"].map(|name| Identity::development(name).unwrap());
    assert_eq!((ada.names(), bob.names()), (&["ada".to_owned()][..], &["bob".to_owned()][..]));
    assert!(ada.is_for_development() && bob.is_for_development());
    assert_ne!(ada.fingerprint(), bob.fingerprint());
    let error = Identity::development("").unwrap_err();
    assert!(matches!(error, certs::DevelopmentError::Issue(_)), "{error:?}");

    let (authority, here) = (authority(), HOME);
    let issued = authority.issue("ada", &here, DAY).unwrap();
    let identity = issued.identity().unwrap();
    assert_eq!(identity.names(), ["ada"]);
    assert!(!identity.is_for_development());
}

#[test]
fn a_peers_certificate_shows_its_names_of_each_kind() {
    let read = |file: &str| {
        let certificate = X509::from_pem(&fs::read(data(file)).unwrap()).unwrap();
        PeerCertificate::from_der(&certificate.to_der().unwrap()).unwrap()
    };
    let rsa = read("rsa.pem");
    assert_eq!(rsa.dns_names(), ["ada"]);
    assert_eq!(rsa.uris(), ["spiffe://example.org/ns/prod/ada-spiffe"]);
    let go = read("go.pem");
    assert_eq!(go.common_names(), ["ada"]);
    assert!(go.dns_names().is_empty() && go.uris().is_empty());
    assert_ne!(go.fingerprint(), rsa.fingerprint());
}

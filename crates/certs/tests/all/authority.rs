//! An authority is made once, kept safe, and issues members under their names.

use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Barrier;

use certs::{
    Authority, AuthorityError, Existing, Identity, IdentityFiles, IssueError, SaveError,
    peer_names, with_sources,
};

use crate::participants::{CENTURY, DAY, HOME, authority, data, day_one, member};

#[test]
fn what_an_authority_saves_loads_again() {
    let directory = tempfile::tempdir().unwrap();
    let made = authority();
    made.save(directory.path()).unwrap();
    let loaded = Authority::load(directory.path()).unwrap();
    assert_eq!(loaded.certificate_pem(), made.certificate_pem());
    assert_eq!(loaded.not_after().unwrap(), day_one() + CENTURY);

    let addresses: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
    let issued = loaded.issue("ada", &addresses, DAY).unwrap();
    issued.save(directory.path(), Existing::Keep).unwrap();
    let files = IdentityFiles::in_directory(directory.path(), "ada");
    let ada = Identity::from_pem_files(&files.authority, &files.certificate, &files.key).unwrap();

    assert_eq!(ada.names(), ["ada"]);
    assert_eq!(ada.addresses(), addresses);
    assert_eq!(listed(directory.path()), ["ada.key", "ada.pem", "ca.key", "ca.pem"]);
}

#[cfg(unix)]
#[test]
fn keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let authority = authority();
    authority.save(directory.path()).unwrap();
    let issued = authority.issue_at("ada", &HOME, DAY, day_one()).unwrap();
    for existing in [Existing::Keep, Existing::Replace] {
        issued.save(directory.path(), existing).unwrap();
        for key in ["ca.key", "ada.key"] {
            let mode = fs::metadata(directory.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
    }
}

#[test]
fn nothing_that_exists_is_replaced_unasked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let (ours, theirs) = (authority(), authority());
    ours.save(path).unwrap();
    assert_refused(theirs.save(path), &SaveError::Exists { file: path.join("ca.pem") });
    fs::remove_file(path.join("ca.pem")).unwrap();
    assert_refused(theirs.save(path), &SaveError::Exists { file: path.join("ca.key") });

    let first = ours.issue_at("ada", &HOME, DAY, day_one()).unwrap();
    let second = ours.issue_at("ada", &HOME, DAY, day_one()).unwrap();
    first.save(path, Existing::Keep).unwrap();
    let refused = second.save(path, Existing::Keep);
    assert_refused(refused, &SaveError::Exists { file: path.join("ada.pem") });
    assert_eq!(fs::read_to_string(path.join("ada.key")).unwrap(), first.key_pem);

    second.save(path, Existing::Replace).unwrap();
    assert_eq!(fs::read_to_string(path.join("ada.key")).unwrap(), second.key_pem);
    assert_eq!(listed(path), ["ada.key", "ada.pem", "ca.key"]);
}

#[test]
fn of_many_that_save_at_once_one_wins_whole() {
    let directory = tempfile::tempdir().unwrap();
    let start = Barrier::new(8);
    let won: Vec<bool> = std::thread::scope(|scope| {
        let run = || {
            let authority = authority();
            start.wait();
            authority.save(directory.path()).is_ok()
        };
        let savers: Vec<_> = (0..8).map(|_| scope.spawn(run)).collect();
        savers.into_iter().map(|saver| saver.join().unwrap()).collect()
    });
    assert_eq!(won.iter().filter(|won| **won).count(), 1);
    Authority::load(directory.path()).unwrap();
    assert_eq!(listed(directory.path()), ["ca.key", "ca.pem"]);
}

#[test]
fn names_up_to_255_bytes_are_issued_where_x509_has_room() {
    let authority = authority();
    let label = "n".repeat(63);
    let long = [label.as_str(); 3].join(".");
    for name in ["ada", "node 1/rack 2", "zoë", &"é".repeat(64), &"x".repeat(64), &long] {
        let member = member(&authority, name);
        assert_eq!(member.names(), [name], "{name}");
    }
    let issue = |name: &str| authority.issue_at(name, &HOME, DAY, day_one()).map(|_| ());
    assert_refused(issue(&"x".repeat(65)), &IssueError::LongName { length: 65 });
    assert_refused(issue(""), &IssueError::Name { length: 0 });
    assert_refused(issue("ada\0evil"), &IssueError::Name { length: 8 });
    assert_refused(issue(&"n".repeat(256)), &IssueError::Name { length: 256 });
    for error in [issue(&"x".repeat(65)).unwrap_err(), issue("").unwrap_err()] {
        assert!(!error.to_string().contains('\n') && error.to_string().contains(": "), "{error}");
    }
}

#[test]
fn names_that_are_no_file_names_are_issued_but_not_saved() {
    let directory = tempfile::tempdir().unwrap();
    let authority = authority();
    for name in ["../ada", "a/b", "..", ".", "ca"] {
        let issued = authority.issue_at(name, &HOME, DAY, day_one()).unwrap();
        let refused = issued.save(directory.path(), Existing::Replace);
        assert_refused(refused, &SaveError::FileName { name: name.to_owned() });
    }
    assert!(listed(directory.path()).is_empty());
}

#[test]
fn an_authority_that_cannot_issue_is_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let made = authority();
    made.save(directory.path()).unwrap();
    let key = fs::read(directory.path().join("ca.key")).unwrap();
    let wrong = Authority::from_pem(&fs::read(data("go-ca.pem")).unwrap(), &key);
    assert!(matches!(wrong, Err(AuthorityError::Unusable(_))), "{wrong:?}");

    let ed25519 = Authority::load_files(data("ed25519-ca.pem"), data("ed25519-ca.key"));
    assert!(matches!(ed25519, Err(AuthorityError::Ed25519)), "{ed25519:?}");

    let missing = Authority::load(data("nowhere")).unwrap_err();
    assert!(with_sources(&missing).contains("ca.pem"), "{missing}");
}

#[test]
fn organisations_that_do_not_fit_are_refused() {
    for organisation in ["", &"o".repeat(65), "a\0b"] {
        let refused = Authority::generate_at(organisation, DAY, day_one()).unwrap_err();
        assert!(matches!(refused, AuthorityError::Organisation { .. }), "{refused:?}");
    }
    Authority::generate_at(&"ö".repeat(64), DAY, day_one()).unwrap();
}

#[test]
fn a_member_of_an_ipv4_mapped_address_is_issued_for_the_ipv4_address() {
    let authority = authority();
    let mapped: IpAddr = "::ffff:10.0.0.1".parse().unwrap();
    let issued = authority.issue_at("ada", &[mapped], DAY, day_one()).unwrap();
    let leaf = boring::x509::X509::from_pem(issued.certificate_pem.as_bytes()).unwrap();
    assert!(leaf.check_ip_asc("10.0.0.1").unwrap());
    assert_eq!(peer_names(&leaf.to_der().unwrap()).unwrap(), ["ada"]);
}

fn listed(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Errors that hold what the operating system or BoringSSL said have no equality: what counts is
/// the variant and its fields.
fn assert_refused<E: std::fmt::Debug>(result: Result<(), E>, expected: &E) {
    let refusal = result.expect_err("this was to be refused");
    assert_eq!(format!("{refusal:?}"), format!("{expected:?}"));
}

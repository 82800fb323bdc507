//! Ada's files change under her: renewals count, damage does not, the end is announced.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use certs::{Authority, EXPIRY_NOTICES, Existing, IdentityError, IdentityFiles, Notice, Reloader};

use crate::participants::{DAY, HOME, authority, day_one};

#[test]
fn a_renewal_is_taken_up_once() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, mut ada) = follow(directory.path(), 90 * DAY);
    let before = ada.identity().fingerprint();
    assert!(ada.poll(day_one()).is_empty());

    issue(&authority, directory.path(), 90 * DAY, day_one() + DAY);

    let notices = ada.poll(day_one() + DAY);
    let [Notice::Renewed(renewed)] = &notices[..] else { panic!("{notices:?}") };
    assert_ne!(renewed.fingerprint(), before);
    assert_eq!(ada.identity().fingerprint(), renewed.fingerprint());
    assert!(ada.poll(day_one() + DAY).is_empty());
}

#[test]
fn damage_leaves_the_old_identity_and_is_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut ada) = follow(directory.path(), 90 * DAY);
    let before = ada.identity().fingerprint();
    let file = directory.path().join("ada.pem");
    let whole = fs::read(&file).unwrap();

    fs::write(&file, "half a certif").unwrap();
    assert!(ada.poll(day_one()).is_empty(), "it may be about to be whole");
    let notices = ada.poll(day_one());
    let [Notice::Kept(error)] = &notices[..] else { panic!("{notices:?}") };
    assert!(error.to_string().contains("ada.pem"), "{error}");
    assert!(ada.poll(day_one()).is_empty());

    fs::remove_file(&file).unwrap();
    assert!(ada.poll(day_one()).is_empty(), "it may be about to be replaced");
    let notices = ada.poll(day_one());
    assert!(
        matches!(&notices[..], [Notice::Kept(IdentityError::Unreadable { .. })]),
        "{notices:?}"
    );
    assert!(ada.poll(day_one()).is_empty());
    assert_eq!(ada.identity().fingerprint(), before);

    fs::write(&file, &whole).unwrap();
    assert!(ada.poll(day_one()).is_empty(), "what is in use is back");
    assert_eq!(ada.identity().fingerprint(), before);
}

#[test]
fn a_half_replaced_pair_is_not_taken_up() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, mut ada) = follow(directory.path(), 90 * DAY);
    let issued = authority.issue_at("ada", &HOME, 90 * DAY, day_one()).unwrap();

    fs::write(directory.path().join("ada.key"), &issued.key_pem).unwrap();
    assert!(ada.poll(day_one()).is_empty(), "its certificate may be about to come");
    fs::write(directory.path().join("ada.pem"), &issued.certificate_pem).unwrap();
    assert!(matches!(ada.poll(day_one())[..], [Notice::Renewed(_)]));

    let later = authority.issue_at("ada", &HOME, 90 * DAY, day_one()).unwrap();
    fs::write(directory.path().join("ada.key"), &later.key_pem).unwrap();
    assert!(ada.poll(day_one()).is_empty());
    let notices = ada.poll(day_one());
    assert!(
        matches!(&notices[..], [Notice::Kept(IdentityError::KeyMismatch { .. })]),
        "{notices:?}"
    );
    assert!(ada.poll(day_one()).is_empty());
}

#[test]
fn a_certificate_of_tomorrow_is_taken_up_tomorrow() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, mut ada) = follow(directory.path(), 90 * DAY);
    issue(&authority, directory.path(), 90 * DAY, day_one() + DAY);
    assert!(ada.poll(day_one()).is_empty());
    let notices = ada.poll(day_one());
    let [Notice::Kept(IdentityError::NotYetValid { .. })] = &notices[..] else {
        panic!("{notices:?}")
    };
    assert!(ada.poll(day_one()).is_empty());
    assert!(matches!(ada.poll(day_one() + DAY)[..], [Notice::Renewed(_)]));
    assert!(ada.poll(day_one() + DAY).is_empty());
}

#[cfg(unix)]
#[test]
fn a_swapped_symbolic_link_is_a_renewal() {
    use std::os::unix::fs::symlink;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let authority = authority();
    for generation in ["first", "second"] {
        fs::create_dir(path.join(generation)).unwrap();
        fs::write(path.join(generation).join("ca.pem"), authority.certificate_pem()).unwrap();
        issue(&authority, &path.join(generation), 90 * DAY, day_one());
    }
    symlink("first", path.join("current")).unwrap();
    let files = IdentityFiles::in_directory(path.join("current"), "ada");
    let mut ada = Reloader::new(files, day_one()).unwrap();

    symlink("second", path.join("next")).unwrap();
    fs::rename(path.join("next"), path.join("current")).unwrap();

    assert!(matches!(ada.poll(day_one())[..], [Notice::Renewed(_)]));
}

#[test]
fn a_new_root_beside_the_old_is_a_renewal() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, mut ada) = follow(directory.path(), 90 * DAY);
    let both = format!("{}{}", ours.certificate_pem(), authority().certificate_pem());
    fs::write(directory.path().join("ca.pem"), both).unwrap();
    assert!(matches!(ada.poll(day_one())[..], [Notice::Renewed(_)]));
}

#[test]
fn the_end_is_announced_at_14_7_and_1_days_and_when_it_came() {
    let directory = tempfile::tempdir().unwrap();
    let (authority, mut ada) = follow(directory.path(), 90 * DAY);
    let end = day_one() + 90 * DAY;
    let mut announced = Vec::new();
    let mut now = day_one();
    while now <= end + 2 * DAY {
        announced.extend(ada.poll(now).iter().map(left));
        now += Duration::from_secs(3600);
    }
    let expected: Vec<_> = EXPIRY_NOTICES.into_iter().chain([Duration::ZERO]).collect();
    assert_eq!(announced, expected);

    // Renewed for ten days only: the first notice is due at once, and it is one notice.
    issue(&authority, directory.path(), 10 * DAY, end);
    let notices = ada.poll(end);
    assert!(matches!(notices[0], Notice::Renewed(_)), "{notices:?}");
    assert_eq!(notices[1..].iter().map(left).collect::<Vec<_>>(), [10 * DAY]);
    assert!(ada.poll(end).is_empty());
}

#[test]
fn a_late_look_announces_only_the_nearest() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut ada) = follow(directory.path(), 90 * DAY);
    let notices = ada.poll(day_one() + 89 * DAY + DAY / 2);
    assert_eq!(notices.iter().map(left).collect::<Vec<_>>(), [DAY / 2]);
    assert!(notices[0].to_string().contains("in 12 h"), "{}", notices[0]);
}

fn left(notice: &Notice) -> Duration {
    let Notice::Expiring { left, .. } = notice else { panic!("{notice:?}") };
    *left
}

fn follow(directory: &Path, validity: Duration) -> (Authority, Reloader) {
    let authority = authority();
    authority.save(directory).unwrap();
    issue(&authority, directory, validity, day_one());
    let files = IdentityFiles::in_directory(directory, "ada");
    (authority, Reloader::new(files, day_one()).unwrap())
}

fn issue(authority: &Authority, directory: &Path, validity: Duration, now: SystemTime) {
    let issued = authority.issue_at("ada", &HOME, validity, now).unwrap();
    issued.save(directory, Existing::Replace).unwrap();
}

//! The participants of these tests: fixed days, an authority, and members issued by it.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use certs::{Authority, Identity};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const CENTURY: Duration = Duration::from_secs(36_500 * 86_400);
pub(crate) const HOME: [IpAddr; 1] = [IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1))];

/// 13 September 2020, when the authority of these tests was made.
pub(crate) fn day_one() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_600_000_000)
}

pub(crate) fn authority() -> Authority {
    Authority::generate_at("Example", CENTURY, day_one()).unwrap()
}

/// A member whose certificate is valid for a century.
pub(crate) fn member(authority: &Authority, name: &str) -> Identity {
    member_from(authority, name, day_one(), CENTURY)
}

/// A member whose certificate starts at `start`, loaded at that time.
pub(crate) fn member_from(
    authority: &Authority,
    name: &str,
    start: SystemTime,
    validity: Duration,
) -> Identity {
    let issued = authority.issue_at(name, &HOME, validity, start).unwrap();
    Identity::from_pem_at(
        authority.certificate_pem().as_bytes(),
        issued.certificate_pem.as_bytes(),
        issued.key_pem.as_bytes(),
        start,
    )
    .unwrap()
}

/// A file of `tests/data`; its `make.sh` says how each was made.
pub(crate) fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

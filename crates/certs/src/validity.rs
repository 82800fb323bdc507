//! From when until when a certificate counts, between ASN.1 and [`SystemTime`].
//!
//! In whole seconds, as X.509 has them. Every check takes the time as an argument; the one read of
//! the wall clock, for callers who pass no time, is here. Handshakes do not pass here: BoringSSL
//! compares certificates with a clock of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boring::asn1::{Asn1Time, Asn1TimeRef};
use boring::error::ErrorStack;
use boring::x509::X509Ref;

/// How far a new certificate's start lies in the past, so that a machine whose clock runs
/// behind the issuer's accepts it at once.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// The last second that an X.509 date can express (RFC 5280, section 4.1.2.5).
const LAST_SECOND: i64 = 253_402_300_799;

/// Both ends of a certificate's life; the end itself is past it, as BoringSSL has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Validity {
    pub(crate) fn of(certificate: &X509Ref) -> Result<Self, ErrorStack> {
        Ok(Self {
            not_before: to_system_time(certificate.not_before())?,
            not_after: to_system_time(certificate.not_after())?,
        })
    }
}

/// The wall clock, for the constructors that take no time of their own.
#[expect(
    clippy::disallowed_methods,
    reason = "certificates are dated in wall-clock time; read once per load or issue"
)]
pub(crate) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

pub(crate) fn to_asn1(time: SystemTime) -> Result<Asn1Time, ErrorStack> {
    Asn1Time::from_unix(to_unix(time))
}

/// Seconds since 1970, held within what X.509 can express.
pub(crate) fn to_unix(time: SystemTime) -> i64 {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(LAST_SECOND);
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => seconds(after).min(LAST_SECOND),
        Err(before) => -seconds(before.duration()).min(LAST_SECOND),
    }
}

pub(crate) fn from_unix(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds >= 0 {
        UNIX_EPOCH.checked_add(distance)
    } else {
        UNIX_EPOCH.checked_sub(distance)
    };
    time.unwrap_or(UNIX_EPOCH)
}

/// Adds as far as X.509 can express; a century too many ends in the year 9999.
pub(crate) fn add(time: SystemTime, duration: Duration) -> SystemTime {
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(LAST_SECOND);
    from_unix(to_unix(time).saturating_add(seconds).min(LAST_SECOND))
}

/// The moment as certificates print it: `Nov 22 20:53:18 2026 GMT`.
pub(crate) fn display(time: SystemTime) -> String {
    to_asn1(time).map_or_else(|_| String::from("an unknown time"), |time| time.to_string())
}

fn to_system_time(time: &Asn1TimeRef) -> Result<SystemTime, ErrorStack> {
    let epoch = Asn1Time::from_unix(0)?;
    let difference = epoch.diff(time)?;
    Ok(from_unix(i64::from(difference.days) * 86_400 + i64::from(difference.secs)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_the_trip_through_asn1() {
        for seconds in [-86_401, -1, 0, 1, 1_795_000_000, 4_102_444_800, LAST_SECOND] {
            let time = from_unix(seconds);
            assert_eq!(to_unix(time), seconds);
            assert_eq!(to_system_time(&to_asn1(time).unwrap()).unwrap(), time, "{seconds}");
        }
    }

    #[test]
    fn absurd_durations_stop_at_the_end_of_the_calendar() {
        assert_eq!(to_unix(add(from_unix(5), Duration::MAX)), LAST_SECOND);
        assert_eq!(display(from_unix(LAST_SECOND)), "Dec 31 23:59:59 9999 GMT");
    }
}

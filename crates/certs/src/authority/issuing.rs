//! What an authority issues.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::Authority;
use crate::crypto_error::CryptoError;
use crate::issue_error::IssueError;
use crate::issued::{Issued, MemberRequest};
use crate::validity;

/// # Issuing
impl Authority {
    /// Issues a member: common name and DNS name `name`, the IP addresses that peers dial it
    /// under, both key usages, a fresh P-256 key. Valid from five minutes ago until `validity`
    /// from now, or until the authority itself ends if that is sooner.
    ///
    /// A name of up to 64 characters is the common name, and a DNS name too if it has the form
    /// of one. A longer name must have that form (letters, digits, `-`, `_`, in labels of up to
    /// 63 joined by dots, 253 in all), since it can only be a DNS name. None may hold `*`.
    ///
    /// # Errors
    ///
    /// [`IssueError`] for a name that fits no certificate, or if BoringSSL fails.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use certs::Authority;
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::generate("example cluster", 365 * DAY)?;
    /// let ada = authority.issue("ada", &["10.0.0.1".parse()?], 90 * DAY)?;
    /// assert_eq!(ada.identity()?.names(), ["ada"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn issue(
        &self,
        name: &str,
        addresses: &[IpAddr],
        validity: Duration,
    ) -> Result<Issued, IssueError> {
        self.issue_at(name, addresses, validity, validity::wall_clock())
    }

    /// As [`issue`](Self::issue), dated from `now`.
    ///
    /// # Errors
    ///
    /// [`IssueError`] for a name that fits no certificate, or if BoringSSL fails.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use certs::Authority;
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let begin = SystemTime::UNIX_EPOCH + 20_000 * DAY;
    /// let authority = Authority::generate_at("example cluster", 365 * DAY, begin)?;
    /// let ada = authority.issue_at("ada", &[], 90 * DAY, begin)?;
    /// assert!(ada.not_after <= begin + 90 * DAY);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn issue_at(
        &self,
        name: &str,
        addresses: &[IpAddr],
        validity: Duration,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        let addresses = addresses.to_vec();
        self.issue_request(&MemberRequest { addresses, ..MemberRequest::new(name) }, validity, now)
    }

    /// As [`issue_at`](Self::issue_at), with further names in the certificate.
    ///
    /// # Errors
    ///
    /// [`IssueError`] for a name that fits no certificate, or if BoringSSL fails.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use certs::{Authority, MemberRequest};
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::generate("example cluster", 365 * DAY)?;
    /// let mut request = MemberRequest::new("ada");
    /// request.dns_names.push("ada.example.org".to_owned());
    /// let ada = authority.issue_request(&request, 90 * DAY, SystemTime::now())?;
    /// assert!(ada.identity()?.names().contains(&"ada.example.org".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn issue_request(
        &self,
        request: &MemberRequest,
        validity: Duration,
        now: SystemTime,
    ) -> Result<Issued, IssueError> {
        request.check()?;
        Ok(self.member(request, validity, now).map_err(CryptoError::of)?)
    }
}

//! What an authority is asked for, and what it gives.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use crate::error::IdentityError;
use crate::files::{self, Existing, Readers};
use crate::identity::Identity;
use crate::issue_error::{IssueError, SaveError};
use crate::names::{self, MAX_COMMON_NAME, MAX_NAME_LENGTH};
use crate::spiffe;

/// What a member's certificate is to hold. Whoever has it can speak in each of its names, where
/// the field counts that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemberRequest {
    /// The member's name: the common name, if it has at most 64 characters, and a DNS name, if it
    /// has the form of one.
    pub name: String,
    /// The IP addresses that peers dial.
    pub addresses: Vec<IpAddr>,
    /// Further DNS names, in that form, without wildcards.
    pub dns_names: Vec<String>,
    /// A SPIFFE ID with a path.
    pub spiffe_id: Option<String>,
}

impl MemberRequest {
    /// A certificate with this name and nothing else.
    ///
    /// ```
    /// # use certs::MemberRequest;
    /// let mut request = MemberRequest::new("ada");
    /// request.spiffe_id = Some("spiffe://example.org/member/ada".to_owned());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), addresses: vec![], dns_names: vec![], spiffe_id: None }
    }

    pub(crate) fn fits_common_name(&self) -> bool {
        self.name.chars().count() <= MAX_COMMON_NAME
    }

    /// Whether a certificate with this proves the name.
    pub(crate) fn check(&self) -> Result<(), IssueError> {
        let name = &*self.name;
        if name.is_empty() || name.len() > MAX_NAME_LENGTH || name.contains('\0') {
            return Err(IssueError::Name { length: name.len() });
        }
        if name.contains('*') {
            return Err(IssueError::Wildcard { name: name.to_owned() });
        }
        let is_dns_name = names::fits_dns(name);
        if !self.fits_common_name() && !is_dns_name {
            return Err(IssueError::LongName { length: name.chars().count() });
        }
        if let Some(dns_name) = self.dns_names.iter().find(|name| !names::fits_dns(name)) {
            return Err(IssueError::DnsName { dns_name: dns_name.clone() });
        }
        if let Some(id) = &self.spiffe_id {
            spiffe::check_id(id)?;
        }
        if !is_dns_name && (!self.dns_names.is_empty() || self.spiffe_id.is_some()) {
            return Err(IssueError::CommonNameOnly { name: name.to_owned() });
        }
        Ok(())
    }
}

/// A member's new certificate and key. `Debug` shows no key material.
#[derive(Clone)]
#[non_exhaustive]
pub struct Issued {
    /// The member's name.
    pub name: String,
    /// The leaf certificate in PEM.
    pub certificate_pem: String,
    /// Its private key in PEM (PKCS#8).
    pub key_pem: String,
    /// When the certificate ends.
    pub not_after: SystemTime,
    pub(crate) authority_pem: String,
}

impl Issued {
    /// The member's identity, whose [trust](Identity::trust) is in the authority that issued it.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] if the authority's certificate, or this one, is not valid now.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use certs::Authority;
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::generate("example cluster", 365 * DAY)?;
    /// let identity = authority.issue("ada", &[], 90 * DAY)?.identity()?;
    /// assert_eq!(identity.names(), ["ada"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        let parts = [&self.authority_pem, &self.certificate_pem, &self.key_pem];
        let [authority, certificate, key] = parts.map(|part| part.as_bytes());
        Identity::from_pem(authority, certificate, key)
    }

    /// Writes `NAME.key` (0600) and then `NAME.pem` to a directory, each in one visible step.
    ///
    /// # Errors
    ///
    /// [`SaveError`], naming the file; with [`Existing::Keep`] nothing is written if either is
    /// there.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use certs::{Authority, Existing};
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::load("/etc/swim/authority")?;
    /// let renewed = authority.issue("ada", &["10.0.0.1".parse()?], 90 * DAY)?;
    /// renewed.save("/etc/swim", Existing::Replace)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self, directory: impl AsRef<Path>, existing: Existing) -> Result<(), SaveError> {
        let (certificate, key) = files::member_paths(directory.as_ref(), &self.name)?;
        if existing == Existing::Keep && certificate.exists() {
            return Err(SaveError::Exists { file: certificate });
        }
        files::write(&key, &self.key_pem, Readers::Owner, existing)?;
        files::write(&certificate, &self.certificate_pem, Readers::All, existing)
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("name", &self.name)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

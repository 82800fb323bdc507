//! One member's certificate, chain and key, checked once when they are loaded.
//!
//! What loads is usable: the key belongs to the certificate, the certificate is valid now and
//! leads to one of the roots that came with it. For files that change see
//! [`Reloader`](crate::Reloader), for the check of peers [`Trust`].

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use boring::pkey::{PKeyRef, Private};
use boring::x509::{X509, X509Ref};
use ring::hkdf;

use crate::error::IdentityError;
use crate::fingerprint::Fingerprint;
use crate::load::{self, Credentials, IdentityFiles, Origins, Texts};
use crate::names::{NameFields, NameReading};
use crate::trust::Trust;
use crate::validity;

/// One member's leaf certificate, its intermediates, its private key, and the roots it was
/// loaded with. Cheap to clone. `Debug` shows no key material.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Credentials>,
    is_for_development: bool,
}

impl Identity {
    /// Loads three PEM files, each at most 1 MiB, and checks them against the wall clock.
    ///
    /// A key file that others may read is loaded with a warning in the log.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], with the file, the cause and the remedy on one line.
    ///
    /// ```no_run
    /// # use certs::Identity;
    /// match Identity::from_pem_files("ca.pem", "ada.pem", "ada.key") {
    ///     Ok(identity) => println!("{:?} until {:?}", identity.names(), identity.not_after()),
    ///     Err(error) => eprintln!("{error}"),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_pem_files(
        authority: impl AsRef<Path>,
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, IdentityError> {
        let files = IdentityFiles {
            authority: authority.as_ref().to_owned(),
            certificate: certificate.as_ref().to_owned(),
            key: key.as_ref().to_owned(),
        };
        Self::load(&files, validity::wall_clock())
    }

    /// As [`from_pem_files`](Self::from_pem_files), judging validity at `now`.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], with the file, the cause and the remedy on one line.
    ///
    /// ```no_run
    /// # use std::time::SystemTime;
    /// # use certs::{Identity, IdentityFiles};
    /// let files = IdentityFiles::in_directory("/etc/swim", "ada");
    /// let identity = Identity::load(&files, SystemTime::now())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(files: &IdentityFiles, now: SystemTime) -> Result<Self, IdentityError> {
        Ok(Self::new(Texts::read(files)?.parse(now)?))
    }

    /// Builds an identity from PEM texts, judging validity by the wall clock. `authority` holds
    /// the roots, `certificate` the leaf followed by any intermediates. Keys: EC (P-256, P-384,
    /// P-521), RSA from 2048 bits, Ed25519; in SEC1, PKCS#1 or PKCS#8, not encrypted.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], with the cause and the remedy on one line.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use certs::{Authority, Identity};
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::generate("example cluster", 365 * DAY)?;
    /// let ada = authority.issue("ada", &[], 90 * DAY)?;
    /// let parts = [authority.certificate_pem(), &ada.certificate_pem, &ada.key_pem];
    /// let [ca, certificate, key] = parts.map(str::as_bytes);
    /// let identity = Identity::from_pem(ca, certificate, key)?;
    /// assert_eq!(identity.names(), ["ada"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_pem(
        authority: &[u8],
        certificate: &[u8],
        key: &[u8],
    ) -> Result<Self, IdentityError> {
        Self::from_pem_at(authority, certificate, key, validity::wall_clock())
    }

    /// As [`from_pem`](Self::from_pem), judging validity at `now`.
    ///
    /// # Errors
    ///
    /// [`IdentityError`], with the cause and the remedy on one line.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use certs::{Authority, Identity};
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::generate("example cluster", 365 * DAY)?;
    /// let ada = authority.issue("ada", &[], 90 * DAY)?;
    /// let parts = [authority.certificate_pem(), &ada.certificate_pem, &ada.key_pem];
    /// let [ca, certificate, key] = parts.map(str::as_bytes);
    /// let later = SystemTime::now() + 91 * DAY;
    /// assert!(Identity::from_pem_at(ca, certificate, key, later).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_pem_at(
        authority: &[u8],
        certificate: &[u8],
        key: &[u8],
        now: SystemTime,
    ) -> Result<Self, IdentityError> {
        let origins = Origins::default();
        Ok(Self::new(load::parse(&origins, authority, certificate, key, now)?))
    }

    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { inner: Arc::new(credentials), is_for_development: false }
    }

    pub(crate) fn for_development(self) -> Self {
        Self { is_for_development: true, ..self }
    }

    /// Whether it was made by [`development`](Self::development).
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// assert!(identity.is_for_development(), "no service may run with it");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_for_development(&self) -> bool {
        self.is_for_development
    }

    /// The member names that this certificate proves under [`NameFields::default`]; see
    /// [`peer_names`](crate::peer_names).
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// assert_eq!(identity.names(), ["ada"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn names(&self) -> &[String] {
        &self.inner.names
    }

    /// What the certificate holds, and proves, where these fields count.
    ///
    /// ```
    /// # use certs::{Identity, NameFields};
    /// let identity = Identity::development("ada")?;
    /// let fields = NameFields::spiffe("spiffe://example.org/{name}".parse()?);
    /// assert!(identity.read_names(&fields).proven().is_empty(), "it has no SPIFFE ID");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_names(&self, fields: &NameFields) -> NameReading {
        NameReading::of(&self.inner.leaf, fields)
    }

    /// The IP addresses among the alternative names. Go members only dial an address that is
    /// listed here, so it should contain the one that this member advertises.
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// assert!(identity.addresses().iter().all(|address| address.is_loopback()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn addresses(&self) -> &[IpAddr] {
        &self.inner.addresses
    }

    /// When the leaf begins.
    ///
    /// ```
    /// # use std::time::SystemTime;
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// assert!(identity.not_before() <= SystemTime::now());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn not_before(&self) -> SystemTime {
        self.inner.validity.not_before
    }

    /// When the leaf ends. Peers refuse new handshakes from then on; live connections stay.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use certs::Identity;
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let identity = Identity::development("ada")?;
    /// let left = identity.not_after().duration_since(SystemTime::now())?;
    /// assert!(left > 300 * DAY);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn not_after(&self) -> SystemTime {
        self.inner.validity.not_after
    }

    /// SHA-256 of the leaf's DER encoding.
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// println!("to revoke it: {}", identity.fingerprint());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fingerprint(&self) -> Fingerprint {
        self.inner.fingerprint
    }

    /// Trust in the roots that this identity was loaded with, under
    /// [`NamePolicy::Match`](crate::NamePolicy::Match), with nothing revoked. Each call starts a
    /// revocation set of its own; see [`Trust::renewed`] for rotations.
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// let trust = identity.trust();
    /// assert!(!trust.is_revoked(&identity.fingerprint()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn trust(&self) -> Trust {
        Trust::new(self.inner.roots.clone())
    }

    /// A secret for stateless resets that survives restarts: HKDF-SHA256 over the private key,
    /// bound to the member's name and advertised port. Another key gives another secret, so keep
    /// the first one across rotations.
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// let secret = identity.reset_secret("ada", 7946);
    /// assert_eq!(secret, identity.reset_secret("ada", 7946));
    /// assert_ne!(secret, identity.reset_secret("ada", 7947));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset_secret(&self, name: impl AsRef<[u8]>, port: u16) -> [u8; 32] {
        let port = port.to_be_bytes();
        let info = [RESET_INFO, &port, name.as_ref()];
        let mut secret = [0; 32];
        self.inner
            .secret
            .expand(&info, hkdf::HKDF_SHA256)
            .and_then(|output| output.fill(&mut secret))
            .expect("32 bytes are one block of HKDF-SHA256");
        secret
    }

    /// Whether both stand for the same certificates, key and roots.
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// assert!(identity.same_as(&identity.clone()));
    /// assert!(!identity.same_as(&Identity::development("ada")?), "it has another key");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn same_as(&self, other: &Self) -> bool {
        let (a, b) = (&*self.inner, &*other.inner);
        let equal = |a: &[X509], b: &[X509]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_der().ok() == b.to_der().ok())
        };
        a.fingerprint == b.fingerprint
            && equal(&a.intermediates, &b.intermediates)
            && equal(&a.roots, &b.roots)
    }

    pub(crate) fn leaf(&self) -> &X509Ref {
        &self.inner.leaf
    }

    pub(crate) fn intermediates(&self) -> &[X509] {
        &self.inner.intermediates
    }

    pub(crate) fn key(&self) -> &PKeyRef<Private> {
        &self.inner.key
    }
}

impl Trust {
    /// The same rules for names and the same shared revocations, with the roots of a renewed
    /// identity.
    ///
    /// ```
    /// # use certs::Identity;
    /// let former = Identity::development("ada")?;
    /// let trust = former.trust();
    /// trust.revoke(former.fingerprint())?;
    /// let renewed = trust.renewed(&Identity::development("ada")?);
    /// assert!(renewed.is_revoked(&former.fingerprint()), "what was revoked stays so");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn renewed(&self, identity: &Identity) -> Self {
        self.with_roots(&identity.inner.roots)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("names", &self.inner.names)
            .field("addresses", &self.inner.addresses)
            .field("not_after", &self.inner.validity.not_after)
            .finish_non_exhaustive()
    }
}

/// Sets this derivation apart from any other that might ever be made from the same key.
const RESET_INFO: &[u8] = b"swim-quic stateless reset v1";

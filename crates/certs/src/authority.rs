//! A cluster's own certificate authority: makes itself, issues members, saves both.
//!
//! ECDSA on P-256 throughout, the one kind of key that every peer takes. It keeps no record of
//! what it issued; revocation goes by fingerprint, see [`Trust::revoke`](crate::Trust::revoke).

mod issuing;

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use boring::asn1::Asn1Integer;
use boring::bn::{BigNum, MsbOption};
use boring::ec::{EcGroup, EcKey};
use boring::error::ErrorStack;
use boring::hash::MessageDigest;
use boring::nid::Nid;
use boring::pkey::{Id, PKey, Private};
use boring::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use boring::x509::{X509, X509Builder, X509Name, X509NameRef};

use crate::crypto_error::CryptoError;
use crate::error::IdentityError;
use crate::files::{self, Existing, Readers};
use crate::issue_error::{AuthorityError, SaveError};
use crate::issued::{Issued, MemberRequest};
use crate::names;
use crate::pem;
use crate::validity::{self, CLOCK_SKEW, Validity};

/// A certificate authority with its private key. `Debug` shows no key material.
#[derive(Clone)]
pub struct Authority {
    certificate: X509,
    key: PKey<Private>,
    certificate_pem: String,
    key_pem: String,
}

impl Authority {
    /// Makes a self-signed authority, valid from five minutes ago. Its subject is the
    /// organisation alone, 1 to 64 characters, as Go's `tlsutil` makes it.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`] for an organisation that does not fit, or if BoringSSL fails.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use certs::Authority;
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::generate("example cluster", 3_650 * DAY)?;
    /// assert!(authority.certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn generate(organisation: &str, validity: Duration) -> Result<Self, AuthorityError> {
        Self::generate_at(organisation, validity, validity::wall_clock())
    }

    /// As [`generate`](Self::generate), dated from `now`.
    ///
    /// # Errors
    ///
    /// [`AuthorityError`] for an organisation that does not fit, or if BoringSSL fails.
    ///
    /// ```
    /// # use std::time::{Duration, SystemTime};
    /// # use certs::Authority;
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let begin = SystemTime::UNIX_EPOCH + 20_000 * DAY;
    /// let authority = Authority::generate_at("example cluster", 365 * DAY, begin)?;
    /// assert!(authority.not_after()? >= begin + 364 * DAY);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn generate_at(
        organisation: &str,
        validity: Duration,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        if organisation.contains('\0') || !(1..=64).contains(&organisation.chars().count()) {
            return Err(AuthorityError::Organisation { organisation: organisation.to_owned() });
        }
        Ok(self_signed(organisation, validity, now).map_err(CryptoError::of)?)
    }

    /// Loads an authority from its certificate and key, in PEM.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Unusable`] with the cause and the remedy.
    ///
    /// ```no_run
    /// # use certs::Authority;
    /// let (certificate, key) = (std::fs::read("ca.pem")?, std::fs::read("ca.key")?);
    /// let authority = Authority::from_pem(&certificate, &key)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, AuthorityError> {
        Self::parse(certificate, "the authority's certificate", key, "the authority's key")
    }

    /// Loads `ca.pem` and `ca.key` from a directory. If `ca.pem` holds several certificates, the
    /// first is this authority.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Unusable`] with the file, the cause and the remedy.
    ///
    /// ```no_run
    /// # use certs::Authority;
    /// let authority = Authority::load("/etc/swim/authority")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(directory: impl AsRef<Path>) -> Result<Self, AuthorityError> {
        let directory = directory.as_ref();
        Self::load_files(directory.join("ca.pem"), directory.join("ca.key"))
    }

    /// Loads an authority from two files.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Unusable`] with the file, the cause and the remedy.
    ///
    /// ```no_run
    /// # use certs::Authority;
    /// let authority = Authority::load_files("root.crt", "/run/secrets/root.key")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, AuthorityError> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        Self::parse(
            &pem::read(certificate)?,
            &certificate.display().to_string(),
            &pem::read(key)?,
            &key.display().to_string(),
        )
    }

    /// The authority's certificate in PEM: what every member needs as `ca.pem`.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use certs::Authority;
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::generate("example cluster", 365 * DAY)?;
    /// std::fs::write("ca.pem", authority.certificate_pem())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// When the authority's certificate ends.
    ///
    /// # Errors
    ///
    /// [`AuthorityError::Crypto`] if the certificate holds an impossible date.
    ///
    /// ```no_run
    /// # use std::time::SystemTime;
    /// # use certs::Authority;
    /// let authority = Authority::load("/etc/swim/authority")?;
    /// let left = authority.not_after()?.duration_since(SystemTime::now())?;
    /// println!("{} days are left", left.as_secs() / 86_400);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn not_after(&self) -> Result<SystemTime, AuthorityError> {
        Ok(Validity::of(&self.certificate).map_err(CryptoError::of)?.not_after)
    }

    /// Writes `ca.key` (0600) and then `ca.pem` to a directory, each in one visible step. Files
    /// that are there are never replaced.
    ///
    /// # Errors
    ///
    /// [`SaveError`], naming the file.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use certs::Authority;
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::generate("example cluster", 3_650 * DAY)?;
    /// authority.save("/etc/swim/authority")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save(&self, directory: impl AsRef<Path>) -> Result<(), SaveError> {
        let directory = directory.as_ref();
        let (certificate, key) = (directory.join("ca.pem"), directory.join("ca.key"));
        if certificate.exists() {
            return Err(SaveError::Exists { file: certificate });
        }
        files::write(&key, &self.key_pem, Readers::Owner, Existing::Keep)?;
        files::write(&certificate, &self.certificate_pem, Readers::All, Existing::Keep)
    }

    fn parse(
        certificate: &[u8],
        certificate_origin: &str,
        key: &[u8],
        key_origin: &str,
    ) -> Result<Self, AuthorityError> {
        let (certificate, _) = pem::chain(certificate, certificate_origin)?;
        let key = pem::private_key(key, key_origin)?;
        if !certificate.public_key().map_err(CryptoError::of)?.public_eq(&key) {
            return Err(AuthorityError::Unusable(IdentityError::KeyMismatch {
                certificate: certificate_origin.to_owned(),
                key: key_origin.to_owned(),
            }));
        }
        if key.id() == Id::ED25519 {
            return Err(AuthorityError::Ed25519);
        }
        Ok(Self::new(certificate, key).map_err(CryptoError::of)?)
    }

    fn new(certificate: X509, key: PKey<Private>) -> Result<Self, ErrorStack> {
        let certificate_pem = text(certificate.to_pem()?);
        let key_pem = text(key.private_key_to_pem_pkcs8()?);
        Ok(Self { certificate, key, certificate_pem, key_pem })
    }

    fn member(
        &self,
        request: &MemberRequest,
        validity: Duration,
        now: SystemTime,
    ) -> Result<Issued, ErrorStack> {
        let name = &*request.name;
        let key = generate_key()?;
        let end = Validity::of(&self.certificate)?.not_after;
        let not_after = validity::add(now, validity).min(end);

        let mut subject = X509Name::builder()?;
        let mut alternatives = SubjectAlternativeName::new();
        if request.fits_common_name() {
            subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
        } else {
            // RFC 5280, section 4.2.1.6: an empty subject makes the alternative names critical.
            alternatives.critical();
        }
        let own = Some(name).filter(|name| names::fits_dns(name));
        for name in own.into_iter().chain(request.dns_names.iter().map(String::as_str)) {
            alternatives.dns(name);
        }
        if let Some(id) = &request.spiffe_id {
            alternatives.uri(id);
        }
        for address in &request.addresses {
            alternatives.ip(&address.to_canonical().to_string());
        }

        let mut builder =
            start(&subject.build(), self.certificate.subject_name(), &key, now, not_after)?;
        builder.append_extension(&*BasicConstraints::new().critical().build()?)?;
        builder.append_extension(&*KeyUsage::new().critical().digital_signature().build()?)?;
        let usages = ExtendedKeyUsage::new().server_auth().client_auth().build()?;
        builder.append_extension(&usages)?;
        if self.certificate.subject_key_id().is_some() {
            let context = builder.x509v3_context(Some(&self.certificate), None);
            let issuer_key = AuthorityKeyIdentifier::new().keyid(true).build(&context)?;
            builder.append_extension(&issuer_key)?;
        }
        if own.is_some() || !request.addresses.is_empty() {
            let context = builder.x509v3_context(Some(&self.certificate), None);
            let alternatives = alternatives.build(&context)?;
            builder.append_extension(&alternatives)?;
        }
        builder.sign(&self.key, MessageDigest::sha256())?;
        Ok(Issued {
            name: name.to_owned(),
            certificate_pem: text(builder.build().to_pem()?),
            key_pem: text(key.private_key_to_pem_pkcs8()?),
            not_after,
            authority_pem: self.certificate_pem.clone(),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

fn self_signed(
    organisation: &str,
    validity: Duration,
    now: SystemTime,
) -> Result<Authority, ErrorStack> {
    let key = generate_key()?;
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::ORGANIZATIONNAME, organisation)?;
    let name = name.build();
    let mut builder = start(&name, &name, &key, now, validity::add(now, validity))?;
    builder.append_extension(&*BasicConstraints::new().critical().ca().build()?)?;
    let usage =
        KeyUsage::new().critical().key_cert_sign().crl_sign().digital_signature().build()?;
    builder.append_extension(&usage)?;
    let context = builder.x509v3_context(None, None);
    let key_id = SubjectKeyIdentifier::new().build(&context)?;
    builder.append_extension(&key_id)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Authority::new(builder.build(), key)
}

/// Version, serial number, names, dates and public key: what every certificate begins with.
fn start(
    subject: &X509NameRef,
    issuer: &X509NameRef,
    key: &PKey<Private>,
    now: SystemTime,
    not_after: SystemTime,
) -> Result<X509Builder, ErrorStack> {
    let not_before = now.checked_sub(CLOCK_SKEW).unwrap_or(now);
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*random_serial()?)?;
    builder.set_subject_name(subject)?;
    builder.set_issuer_name(issuer)?;
    builder.set_not_before(&*validity::to_asn1(not_before)?)?;
    builder.set_not_after(&*validity::to_asn1(not_after)?)?;
    builder.set_pubkey(key)?;
    Ok(builder)
}

/// 127 random bits: positive in 16 octets, of the at most 20 of RFC 5280, section 4.1.2.2.
fn random_serial() -> Result<Asn1Integer, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;
    serial.to_asn1_integer()
}

fn generate_key() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8_lossy(&pem).into_owned()
}

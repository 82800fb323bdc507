//! Whom to believe: roots, the rules for names, and the certificates that were revoked.
//!
//! In each handshake the chain's verdict comes first, then revocation, then whether the leaf
//! names anybody. Names are not compared with members here: that takes knowing whom one meant to
//! reach, and is done by whoever dials.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use boring::error::ErrorStack;
use boring::x509::store::X509StoreBuilder;
use boring::x509::{X509, X509StoreContextRef, X509VerifyError};

use crate::error::{IdentityError, RevokeError};
use crate::fingerprint::Fingerprint;
use crate::names::{NameFields, NameReading};
use crate::pem;
use crate::x509;

/// The most fingerprints that one [`Trust`] can hold revoked (2 MiB of them).
pub const MAX_REVOKED: usize = 65_536;

/// Whether a peer's certificate must name the member behind it.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NamePolicy {
    /// A member speaks only for the names that its certificate proves, by the fields that count
    /// ([`NameFields`]); a certificate without any is refused in the handshake.
    #[default]
    Match,
    /// Any certificate of the authority may speak for any member, as in Go's memberlist-quic.
    Any,
}

/// Whom to believe. Clones share one set of revoked fingerprints, which acts at once on new
/// handshakes of every TLS context made from any of them.
#[derive(Clone)]
pub struct Trust {
    roots: Arc<[X509]>,
    policy: NamePolicy,
    fields: Arc<NameFields>,
    revoked: Arc<RwLock<BTreeSet<Fingerprint>>>,
}

impl Trust {
    /// Trust in the certificates of a PEM text. Each is an anchor of its own, self-signed or
    /// not, as in Go. Of several with the same name, the key identifiers tell which one issued a
    /// certificate; without those only the first one counts. Policy [`NamePolicy::Match`],
    /// [`NameFields::default`], nothing revoked.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when the text holds no, damaged or more than 64 certificates.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use certs::{Authority, Trust};
    /// # const DAY: Duration = Duration::from_secs(86_400);
    /// let authority = Authority::generate("example cluster", 365 * DAY)?;
    /// let trust = Trust::from_pem(authority.certificate_pem().as_bytes())?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_pem(authority: &[u8]) -> Result<Self, IdentityError> {
        Ok(Self::new(pem::certificates(authority, "the authority's certificate")?))
    }

    pub(crate) fn new(roots: Vec<X509>) -> Self {
        Self {
            roots: roots.into(),
            policy: NamePolicy::default(),
            fields: Arc::default(),
            revoked: Arc::default(),
        }
    }

    /// The same trust under another name policy.
    ///
    /// ```
    /// # use certs::{Identity, NamePolicy};
    /// let identity = Identity::development("ada")?;
    /// let trust = identity.trust().with_policy(NamePolicy::Any);
    /// assert_eq!(trust.policy(), NamePolicy::Any);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_policy(self, policy: NamePolicy) -> Self {
        Self { policy, ..self }
    }

    /// The same trust with other fields that prove names.
    ///
    /// ```
    /// # use certs::{Identity, NameFields};
    /// let identity = Identity::development("ada")?;
    /// let fields = NameFields::default().without_common_name();
    /// let trust = identity.trust().with_name_fields(fields.clone());
    /// assert_eq!(trust.name_fields(), &fields);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_name_fields(self, fields: NameFields) -> Self {
        Self { fields: Arc::new(fields), ..self }
    }

    /// The same rules for names and the same shared revocations, with other roots.
    pub(crate) fn with_roots(&self, roots: &[X509]) -> Self {
        Self { roots: roots.into(), ..self.clone() }
    }

    /// The name policy.
    ///
    /// ```
    /// # use certs::{Identity, NamePolicy};
    /// let identity = Identity::development("ada")?;
    /// assert_eq!(identity.trust().policy(), NamePolicy::Match);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn policy(&self) -> NamePolicy {
        self.policy
    }

    /// Which fields of a certificate prove names.
    ///
    /// ```
    /// # use certs::{Identity, NameFields};
    /// let identity = Identity::development("ada")?;
    /// assert_eq!(identity.trust().name_fields(), &NameFields::default());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn name_fields(&self) -> &NameFields {
        &self.fields
    }

    /// Refuses this certificate, leaf or intermediate, in every handshake from here on. `true`
    /// if it was not revoked yet. Live connections are the caller's to close.
    ///
    /// # Errors
    ///
    /// [`RevokeError::Full`] beyond [`MAX_REVOKED`] fingerprints.
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// let trust = identity.trust();
    /// assert!(trust.revoke(identity.fingerprint())?);
    /// assert!(!trust.revoke(identity.fingerprint())?, "it was already");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn revoke(&self, fingerprint: impl Into<Fingerprint>) -> Result<bool, RevokeError> {
        let fingerprint = fingerprint.into();
        // A panic elsewhere cannot leave a set of byte arrays half changed: poison means nothing.
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        if revoked.len() >= MAX_REVOKED && !revoked.contains(&fingerprint) {
            return Err(RevokeError::Full { limit: MAX_REVOKED });
        }
        Ok(revoked.insert(fingerprint))
    }

    /// Refuses what `former` refuses as well, besides its own: for a trust that takes the place of
    /// another one. Revocations that `former` gets later are not followed.
    ///
    /// # Errors
    ///
    /// [`RevokeError::Full`] if both together have more than [`MAX_REVOKED`] fingerprints; nothing
    /// is changed then.
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// let (former, later) = (identity.trust(), identity.trust());
    /// former.revoke(identity.fingerprint())?;
    /// later.adopt_revocations(&former)?;
    /// assert!(later.is_revoked(&identity.fingerprint()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn adopt_revocations(&self, former: &Self) -> Result<(), RevokeError> {
        if Arc::ptr_eq(&self.revoked, &former.revoked) {
            return Ok(());
        }
        // One lock at a time: two that adopt from each other would else wait for ever.
        let adopted = former.revoked.read().unwrap_or_else(PoisonError::into_inner).clone();
        let mut revoked = self.revoked.write().unwrap_or_else(PoisonError::into_inner);
        if revoked.union(&adopted).count() > MAX_REVOKED {
            return Err(RevokeError::Full { limit: MAX_REVOKED });
        }
        revoked.extend(adopted);
        Ok(())
    }

    /// Whether a certificate is revoked.
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// let trust = identity.trust();
    /// let clone = trust.clone();
    /// trust.revoke(identity.fingerprint())?;
    /// assert!(clone.is_revoked(&identity.fingerprint()), "clones share what is revoked");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_revoked(&self, fingerprint: &Fingerprint) -> bool {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains(fingerprint)
    }

    /// The names that bind a peer with this leaf (DER): those that the
    /// [fields](Self::name_fields) prove under [`NamePolicy::Match`], none under
    /// [`NamePolicy::Any`], where empty means that names are not enforced. Under `Match` an
    /// empty answer cannot come from a peer whose handshake these rules accepted.
    ///
    /// ```no_run
    /// # use certs::Identity;
    /// let trust = Identity::from_pem_files("ca.pem", "ada.pem", "ada.key")?.trust();
    /// let names = trust.binding_names(&std::fs::read("peer.der")?);
    /// println!("the peer may speak as {} members", names.len());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn binding_names(&self, leaf_der: &[u8]) -> Vec<Arc<[u8]>> {
        match self.policy {
            NamePolicy::Any => Vec::new(),
            NamePolicy::Match => NameReading::from_der(leaf_der, &self.fields)
                .map(|read| read.proven().iter().map(|name| Arc::from(name.as_bytes())).collect())
                .unwrap_or_default(),
        }
    }

    pub(crate) fn store(&self) -> Result<X509StoreBuilder, ErrorStack> {
        x509::store(&self.roots)
    }

    /// The verify callback's answer for one certificate of the chain; called from the root side
    /// to the leaf, or with `chain_verdict` false for what the verifier refuses itself.
    pub(crate) fn accepts(&self, chain_verdict: bool, context: &mut X509StoreContextRef) -> bool {
        if !chain_verdict {
            return false;
        }
        match self.objection(context) {
            None => true,
            Some(objection) => {
                context.set_error(Err(objection));
                false
            }
        }
    }

    fn objection(&self, context: &X509StoreContextRef) -> Option<X509VerifyError> {
        let Some(certificate) = context.current_cert() else {
            return Some(X509VerifyError::UNSPECIFIED);
        };
        match x509::fingerprint(certificate) {
            Err(_) => return Some(X509VerifyError::UNSPECIFIED),
            Ok(fingerprint) if self.is_revoked(&fingerprint) => {
                return Some(X509VerifyError::CERT_REVOKED);
            }
            Ok(_) => {}
        }
        let must_name = context.error_depth() == 0 && self.policy == NamePolicy::Match;
        (must_name && NameReading::of(certificate, &self.fields).proven().is_empty())
            .then_some(X509VerifyError::HOSTNAME_MISMATCH)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("roots", &self.roots.len())
            .field("policy", &self.policy)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

//! The certificate that a member uses, and whom it trusts, while it runs: renewed, revoked, ended.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use certs::{Fingerprint, Identity, NamePolicy, NameReading, Trust, with_sources};
use quic_net::{CloseReason, DescribeNames, Endpoint, Identify, PeerIdentity};

use crate::cluster_event::Event;
use crate::error::{IdentityFilesError, RevokeError, RotateError};
use crate::expiry::ExpiryWatch;
use crate::identity_files::{FoundIdentity, IdentityFilesWatch};

/// How long between two looks at the calendar and at what others revoke in the trust.
const INTERVAL: Duration = Duration::from_millis(500);

/// What is said at most of the names in a peer's certificate, in characters: many may be refused.
const MAX_DESCRIPTION: usize = 600;

/// What a member proves itself with, and whom it believes.
#[derive(Debug)]
pub(crate) struct LiveIdentity {
    name: String,
    identity: Identity,
    trust: Trust,
    expiry: ExpiryWatch,
    files: Option<IdentityFilesWatch>,
    /// Whether the trust is that of the identity in the files, and changes with them.
    follows_roots: bool,
    next: Instant,
}

impl LiveIdentity {
    /// The rules for names are those of this trust, whatever those of later ones are.
    pub(crate) fn new(name: String, identity: Identity, trust: Trust, now: Instant) -> Self {
        let expiry = ExpiryWatch::new(&identity);
        let (files, follows_roots) = (None, false);
        Self { name, identity, trust, expiry, files, follows_roots, next: now }
    }

    /// Takes what is found in the files into use from here on; its roots too, if `follows_roots`.
    pub(crate) fn follow(&mut self, files: IdentityFilesWatch, follows_roots: bool) {
        (self.files, self.follows_roots) = (Some(files), follows_roots);
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Reads the names in peers' certificates.
    pub(crate) fn identify(&self) -> Identify {
        identify(self.trust.clone())
    }

    /// Says why a peer's certificate does not prove its name. The rules for names stay the same.
    pub(crate) fn describe_names(&self) -> DescribeNames {
        let fields = self.trust.name_fields().clone();
        Arc::new(move |leaf| {
            let Ok(reading) = NameReading::from_der(leaf, &fields) else { return String::new() };
            let held: String = reading.to_string().chars().take(MAX_DESCRIPTION).collect();
            format!("{held}: issue one that proves its name, or let another field count")
        })
    }

    /// Takes another identity and trust into use. What was revoked stays so.
    pub(crate) fn rotate(
        &mut self,
        identity: Identity,
        trust: &Trust,
        endpoint: &mut Endpoint,
        now: Instant,
    ) -> Result<Event, RotateError> {
        if identity.is_for_development() && !self.identity.is_for_development() {
            return Err(RotateError::DevelopmentIdentity);
        }
        if let Some(reading) = unproven(&self.name, &identity, &self.trust) {
            return Err(RotateError::NameNotInCertificate { name: self.name.clone(), reading });
        }
        if identity.not_after() <= wall_clock() {
            return Err(RotateError::Expired);
        }
        let trust = trust.clone().with_policy(self.trust.policy());
        let trust = trust.with_name_fields(self.trust.name_fields().clone());
        let tls = certs::tls_context(&identity, &trust)?;
        trust.adopt_revocations(&self.trust).map_err(RotateError::from_refusal)?;
        endpoint.replace_tls(tls, identify(trust.clone()), now)?;
        let (former, not_after) = (self.identity.fingerprint(), identity.not_after());
        let fingerprint = identity.fingerprint();
        self.expiry = ExpiryWatch::new(&identity);
        (self.identity, self.trust, self.next) = (identity, trust, now);
        log::info!("{} uses a new certificate", self.name);
        Ok(Event::IdentityRotated {
            former: Box::new(former),
            fingerprint: Box::new(fingerprint),
            not_after,
        })
    }

    /// Refuses a certificate from here on, and ends its connections. How many those were.
    pub(crate) fn revoke(
        &self,
        fingerprint: Fingerprint,
        endpoint: &mut Endpoint,
        now: Instant,
    ) -> Result<usize, RevokeError> {
        self.trust.revoke(fingerprint).map_err(RevokeError::from_refusal)?;
        Ok(endpoint
            .close_where(CloseReason::Revoked, now, |peer| peer.shows(fingerprint.as_bytes())))
    }

    /// Whether the peer's certificate, or one that issued it, is revoked.
    pub(crate) fn has_revoked(&self, peer: &PeerIdentity) -> bool {
        let is_revoked = |digest: &[u8; 32]| self.trust.is_revoked(&(*digest).into());
        is_revoked(&peer.fingerprint) || peer.issuers.iter().any(is_revoked)
    }

    /// When to look next.
    pub(crate) fn due(&self) -> Instant {
        self.next
    }

    /// Takes up what was found in the files, if anything was.
    pub(crate) fn reload(&mut self, endpoint: &mut Endpoint, now: Instant) -> Option<Event> {
        let rotated = match self.files.as_ref()?.take()? {
            FoundIdentity::Unusable(error) => Err(IdentityFilesError::Unusable(error)),
            // Whoever rotated by hand was faster.
            FoundIdentity::Renewed(identity) if identity.same_as(&self.identity) => return None,
            FoundIdentity::Renewed(identity) => {
                let roots = self.follows_roots.then(|| self.trust.renewed(&identity));
                let trust = roots.unwrap_or_else(|| self.trust.clone());
                self.rotate(identity, &trust, endpoint, now).map_err(IdentityFilesError::Refused)
            }
        };
        Some(rotated.unwrap_or_else(|error| {
            log::error!("{}: {}", self.name, with_sources(&error));
            Event::IdentityProblem { error: Box::new(error) }
        }))
    }

    /// Ends connections whose certificates have ended or were revoked through a clone of the trust,
    /// and says when our own certificate ends.
    pub(crate) fn look(&mut self, endpoint: &mut Endpoint, now: Instant) -> Option<Event> {
        if now < self.next {
            return None;
        }
        self.next = now + INTERVAL;
        let wall_clock = wall_clock();
        endpoint.close_expired(wall_clock, now);
        endpoint.close_where(CloseReason::Revoked, now, |peer| self.has_revoked(peer));
        let not_after = self.identity.not_after();
        let left = self.expiry.look(wall_clock)?;
        log::warn!("{}", certs::Notice::Expiring { not_after, left });
        Some(Event::CertificateExpiring { not_after, left })
    }
}

/// What the certificate holds, if names are to be proven and it does not prove this one.
pub(crate) fn unproven(name: &str, identity: &Identity, trust: &Trust) -> Option<Box<NameReading>> {
    let reading = identity.read_names(trust.name_fields());
    let must_prove = trust.policy() == NamePolicy::Match;
    let proves = reading.proven().iter().any(|proven| proven == name);
    (must_prove && !proves).then(|| Box::new(reading))
}

fn identify(trust: Trust) -> Identify {
    Arc::new(move |leaf| trust.binding_names(leaf))
}

#[expect(clippy::disallowed_methods, reason = "certificates end by the wall clock")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

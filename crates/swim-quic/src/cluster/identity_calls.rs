//! The calls of a [`Cluster`] that concern certificates.

use certs::{Fingerprint, Identity, Trust};

use super::Cluster;
use crate::command::Command;
use crate::error::{RevokeError, RotateError};

/// # Certificates
///
/// A certificate is renewed, and one is revoked, while the member runs.
///
/// ```no_run
/// # use swim_quic::{Cluster, Identity};
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let renewed = Identity::from_pem_files("ca.pem", "ada.pem", "ada.key")?;
/// cluster.rotate(&renewed, &renewed.trust())?;
/// if let Some(connection) = cluster.connection("mallory")? {
///     println!("{} connections closed", cluster.revoke(connection.fingerprint)?);
/// }
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// Uses another certificate, and trusts others, from here on. New connections in both
    /// directions use them at once. For each live connection another one is dialed, from
    /// [`Limits::dial_timeout`](quic_net::Limits::dial_timeout) after its beginning on; then the
    /// former one makes way: it closes when its streams have ended, and nothing under way is
    /// lost. A connection whose peer cannot be dialed goes on until its certificate ends.
    ///
    /// What was revoked stays so, and the rules for names are the builder's, whatever those of
    /// `trust` are. The secret behind stateless resets stays as well, so that peers notice a
    /// restart of this process. A process that starts with another key derives another secret:
    /// [`Builder::reset_secret`](crate::Builder::reset_secret) gives one that outlasts both.
    ///
    /// To change the authority, first rotate every member to a trust in both, then every member
    /// to a certificate of the new one, and then to a trust in that alone.
    ///
    /// # Errors
    ///
    /// [`RotateError`], with the reason: the former certificate, trust and connections stay.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, Identity};
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let renewed = Identity::from_pem_files("ca.pem", "ada.pem", "ada.key")?;
    /// cluster.rotate(&renewed, &renewed.trust())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn rotate(&self, identity: &Identity, trust: &Trust) -> Result<(), RotateError> {
        let (identity, trust) = (identity.clone(), trust.clone());
        self.ask(|reply| Command::Rotate { identity, trust, reply })?
    }

    /// Refuses a certificate (SHA-256 of its DER form), a member's or one that issued it and that
    /// members send along: closes its connections at once, and returns how many; refuses new
    /// ones, dialed and accepted, with the TLS alert `certificate_revoked`. At most 65,536
    /// certificates; what is revoked stays so across [`rotate`](Self::rotate), and until this
    /// process ends: give a new one a [`Trust`] in which it is revoked.
    ///
    /// Roots are not sent along: of a root that is revoked no new connection is made, and live ones
    /// go on until they are [disconnected](Self::disconnect).
    ///
    /// The member itself is not declared dead by this. Who calls this revokes for itself alone:
    /// call it on every member.
    ///
    /// # Errors
    ///
    /// [`RevokeError`], with the reason: nothing is revoked then.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, Fingerprint};
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let stolen: Fingerprint = "6f".repeat(32).parse()?;
    /// println!("{} connections closed", cluster.revoke(stolen)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn revoke(&self, fingerprint: impl Into<Fingerprint>) -> Result<usize, RevokeError> {
        let fingerprint = fingerprint.into();
        self.ask(|reply| Command::Revoke { fingerprint, reply })?
    }
}

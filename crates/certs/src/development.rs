//! Identities for trying things out: of an authority that only this process has, and has in memory.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::Duration;

use crate::authority::Authority;
use crate::identity::Identity;
use crate::issue_error::DevelopmentError;

/// Longer than anybody tries things out in one process.
const VALIDITY: Duration = Duration::from_secs(365 * 86_400);

impl Identity {
    /// An identity for development and tests, without a file: of an authority that is made in
    /// memory at the first call, that only this process has, and that all its development
    /// identities share. It proves `name` and the loopback addresses, for a year. Whatever runs in
    /// this process can make one, which is why members are to be told that they may use it.
    ///
    /// # Errors
    ///
    /// [`DevelopmentError`], for a name that fits no certificate for example.
    ///
    /// ```
    /// # use certs::Identity;
    /// let identity = Identity::development("ada")?;
    /// assert!(identity.is_for_development());
    /// assert_eq!(identity.names(), ["ada"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn development(name: &str) -> Result<Self, DevelopmentError> {
        static AUTHORITY: OnceLock<Authority> = OnceLock::new();
        let authority = match AUTHORITY.get() {
            Some(authority) => authority,
            None => {
                let made = Authority::generate("development only", VALIDITY)?;
                AUTHORITY.get_or_init(|| made)
            }
        };
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        let identity = authority.issue(name, &loopback, VALIDITY)?.identity()?;
        Ok(identity.for_development())
    }
}

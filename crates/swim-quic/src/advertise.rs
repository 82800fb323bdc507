//! What a member is told to announce: an address, or where to find one.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use swim_core::IpNetwork;

use crate::error::AnnounceError;
use crate::host::Host;

/// The address at which others are to reach a member, or where it is found on this machine. Made
/// from a [`SocketAddr`] or a text:
///
/// | text | announced is |
/// |---|---|
/// | `192.0.2.7:7946`, `192.0.2.7` | this address; without a port, or with 0, the bound one |
/// | `10.0.0.0/8`, `fd00::/8` | this machine's address in that network |
/// | `eth0` | the address of that interface |
///
/// Of several addresses the lowest in the family of the socket is taken, IPv4 before IPv6, and one
/// that is link-local or loopback only if there is no other. An address that was found in a network
/// or at an interface is looked for again when this machine loses it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Advertise(Given);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Given {
    Address(SocketAddr),
    Text(String),
}

impl From<SocketAddr> for Advertise {
    fn from(address: SocketAddr) -> Self {
        Self(Given::Address(address))
    }
}

impl From<&str> for Advertise {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Advertise {
    fn from(text: String) -> Self {
        match text.parse() {
            Ok(address) => Self(Given::Address(address)),
            Err(_) => Self(Given::Text(text)),
        }
    }
}

/// The text from which it is made.
impl fmt::Display for Advertise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Given::Address(address) => address.fmt(f),
            Given::Text(text) => f.write_str(text),
        }
    }
}

impl Advertise {
    /// The address itself, if it was given; its port may be 0.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Given::Address(address) => Some(*address),
            Given::Text(text) => Some(SocketAddr::new(text.parse::<IpAddr>().ok()?, 0)),
        }
    }

    /// Whether it says which port to announce.
    pub(crate) fn has_port(&self) -> bool {
        matches!(self.0, Given::Address(_))
    }

    /// The address to announce, by what this machine has now; port 0 stands for the bound one.
    ///
    /// # Errors
    /// When nobody could dial it, or this machine has none there.
    pub(crate) fn resolve(
        &self,
        bind: SocketAddr,
        host: &impl Host,
    ) -> Result<SocketAddr, AnnounceError> {
        if let Some(address) = self.address() {
            let is_wildcard = address.ip().is_unspecified();
            return match is_wildcard {
                true => Err(AnnounceError::Unspecified(address.ip())),
                false => Ok(address),
            };
        }
        let Given::Text(text) = &self.0 else {
            return Err(AnnounceError::NotUnderstood(String::new()));
        };
        let interfaces = host.interfaces();
        let found: Vec<IpAddr> = if text.contains('/') {
            let network: IpNetwork =
                text.parse().map_err(|_| AnnounceError::NotUnderstood(text.clone()))?;
            let addresses = interfaces.iter().map(|(_, ip)| *ip);
            addresses.filter(|ip| network.contains(*ip)).collect()
        } else {
            interfaces.iter().filter(|(name, _)| name == text).map(|(_, ip)| *ip).collect()
        };
        let best = found.into_iter().filter(|ip| bind.is_ipv6() || ip.is_ipv4()).min_by_key(rank);
        let best =
            best.ok_or_else(|| AnnounceError::NotFound { text: text.clone(), interfaces })?;
        Ok(SocketAddr::new(best, 0))
    }
}

/// What others reach more likely comes first.
fn rank(ip: &IpAddr) -> (bool, bool, IpAddr) {
    (ip.is_loopback(), is_link_local(*ip), *ip)
}

/// Whether an address means nothing beyond its link.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::JoinAddress;

    struct Machine;

    impl Host for Machine {
        fn source_towards(&self, _: SocketAddr, _: SocketAddr) -> Option<IpAddr> {
            None
        }

        fn resolve(&mut self, _: &JoinAddress) -> Vec<SocketAddr> {
            Vec::new()
        }

        fn interfaces(&self) -> Vec<(String, IpAddr)> {
            let all = [
                ("lo", "127.0.0.1"),
                ("lo", "::1"),
                ("eth0", "fe80::7"),
                ("eth0", "fd00::7"),
                ("eth0", "10.0.0.7"),
                ("eth0", "10.0.0.5"),
                ("wg0", "fd00:1::7"),
            ];
            all.map(|(name, ip)| (name.to_owned(), ip.parse().unwrap())).into()
        }
    }

    fn found(text: &str, bind: &str) -> Result<String, String> {
        let found = Advertise::from(text).resolve(bind.parse().unwrap(), &Machine);
        found.map(|address| address.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn an_address_a_network_or_an_interface_leads_to_an_address() {
        for (text, bind, address) in [
            ("192.0.2.7:7946", "0.0.0.0:1", "192.0.2.7:7946"),
            ("192.0.2.7", "0.0.0.0:1", "192.0.2.7:0"),
            ("10.0.0.0/8", "0.0.0.0:1", "10.0.0.5:0"),
            ("fd00::/8", "[::]:1", "[fd00::7]:0"),
            ("eth0", "0.0.0.0:1", "10.0.0.5:0"),
            ("eth0", "[::]:1", "10.0.0.5:0"),
            ("wg0", "[::]:1", "[fd00:1::7]:0"),
            ("lo", "0.0.0.0:1", "127.0.0.1:0"),
        ] {
            assert_eq!(found(text, bind).as_deref(), Ok(address), "{text} at {bind}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        for (text, bind) in
            [("wg0", "0.0.0.0:1"), ("eth1", "0.0.0.0:1"), ("172.16.0.0/12", "[::]:1")]
        {
            let error = found(text, bind).unwrap_err();
            assert!(error.contains(text) && error.contains("eth0 (10.0.0.7)"), "{error}");
        }
        for text in ["10.0.0.0/33", "/", "0.0.0.0:7946"] {
            let error = found(text, "0.0.0.0:1").unwrap_err();
            assert!(error.contains("advertise"), "{error}");
        }
    }
}

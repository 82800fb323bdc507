//! Addresses as people write them: `[name/]host[:port]`, `[v6]:port`, a bare IPv6.
//!
//! What `join` and `seeds` are given is parsed here. Names stay names: a resolver thread looks
//! them up later.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use swim_core::MemberName;
use thiserror::Error;

/// The port of an address that names none: memberlist's default.
pub(crate) const DEFAULT_PORT: u16 = 7946;

/// A parsed join address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JoinAddress {
    /// What the caller wrote.
    pub(crate) text: String,
    /// The member expected there, when the address names one.
    pub(crate) name: Option<MemberName>,
    /// Where it is.
    pub(crate) host: Host,
    /// The UDP port.
    pub(crate) port: u16,
}

/// The host part of a join address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// A literal: needs no resolver.
    Ip(IpAddr),
    /// A name for the resolver.
    Name(String),
    /// The name of a service, whose SRV records have hosts and ports.
    #[cfg(feature = "srv")]
    Service(String),
}

/// Why an address cannot be used; the message names cause and remedy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "malformed address {text:?}: {reason}; write it as host:port, [ipv6]:port or name/host:port"
)]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

impl JoinAddress {
    /// The socket address, when the host is a literal.
    pub(crate) fn socket_address(&self) -> Option<SocketAddr> {
        match self.host {
            Host::Ip(ip) => Some(SocketAddr::new(ip, self.port)),
            Host::Name(_) => None,
            #[cfg(feature = "srv")]
            Host::Service(_) => None,
        }
    }
}

impl JoinAddress {
    /// Whether both are the same host and port, whatever member is expected there.
    pub(crate) fn leads_to_same(&self, other: &Self) -> bool {
        (&self.host, self.port) == (&other.host, other.port)
    }
}

impl FromStr for JoinAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |reason| AddressError { text: text.to_owned(), reason };
        let (name, rest) = match text.split_once('/') {
            None => (None, text),
            Some((name, rest)) => {
                let name = MemberName::try_from(name)
                    .map_err(|_| fail("the member name before '/' must be 1 to 255 bytes"))?;
                (Some(name), rest)
            }
        };
        let (host, port) = split_port(rest).map_err(fail)?;
        if is_service_name(host) {
            let host = service(host, port).map_err(fail)?;
            return Ok(Self { text: text.to_owned(), name, host, port: DEFAULT_PORT });
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(digits) => digits
                .parse::<u16>()
                .ok()
                .filter(|port| *port != 0 && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .ok_or_else(|| fail("the port must be a number from 1 to 65535"))?,
        };
        let host = match host.parse::<IpAddr>() {
            Ok(ip) if ip.is_unspecified() => {
                return Err(fail("0.0.0.0 and :: are no addresses of a peer"));
            }
            Ok(ip) => Host::Ip(ip),
            Err(_) if is_host_name(host) => Host::Name(host.to_owned()),
            Err(_) => return Err(fail("the host is neither an IP address nor a DNS name")),
        };
        Ok(Self { text: text.to_owned(), name, host, port })
    }
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), &'static str> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("'[' is never closed")?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err("brackets hold an IPv6 address only");
        }
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err("only :port may follow ']'"),
        };
    }
    match text.matches(':').count() {
        0 if text.is_empty() => Err("the host is empty"),
        0 => Ok((text, None)),
        1 => match text.split_once(':') {
            Some(("", _)) | None => Err("the host is empty"),
            Some((host, port)) => Ok((host, Some(port))),
        },
        _ => Ok((text, None)),
    }
}

/// Whether a host name is that of a service (RFC 2782): `_service._udp.domain`.
fn is_service_name(host: &str) -> bool {
    let mut labels = host.splitn(3, '.');
    let (service, protocol) = (labels.next().unwrap_or(""), labels.next().unwrap_or(""));
    let protocols = ["_udp", "_tcp"];
    service.starts_with('_')
        && protocols.iter().any(|known| protocol.eq_ignore_ascii_case(known))
        && labels.next().is_some_and(is_host_name)
        && is_host_name(host)
}

#[cfg(feature = "srv")]
fn service(name: &str, port: Option<&str>) -> Result<Host, &'static str> {
    match port {
        Some(_) => Err("the SRV records of a service have the ports: leave the port out"),
        None => Ok(Host::Service(name.to_owned())),
    }
}

#[cfg(not(feature = "srv"))]
fn service(_: &str, _: Option<&str>) -> Result<Host, &'static str> {
    Err("to look up a service, build swim-quic with its feature `srv`")
}

/// RFC 1123 section 2.1: labels of letters, digits and hyphens, at most 253 bytes in all;
/// underscores are let through because real zones have them. All-numeric names are mistyped
/// addresses.
fn is_host_name(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253
        && host.split('.').all(label_ok)
        && host.bytes().any(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> JoinAddress {
        text.parse().unwrap()
    }

    #[test]
    fn literals_need_no_resolver() {
        let expect = |text: &str, socket: &str| {
            assert_eq!(parse(text).socket_address(), Some(socket.parse().unwrap()), "{text}");
        };
        expect("10.0.0.2:7001", "10.0.0.2:7001");
        expect("10.0.0.2", "10.0.0.2:7946");
        expect("[::1]:7001", "[::1]:7001");
        expect("[::1]", "[::1]:7946");
        expect("fd00::1", "[fd00::1]:7946");
    }

    #[test]
    fn names_are_kept_for_the_resolver() {
        let address = parse("ada/seed.example:7001");
        assert_eq!(address.name, Some(MemberName::try_from("ada").unwrap()));
        assert_eq!(address.host, Host::Name("seed.example".into()));
        assert_eq!(address.port, 7001);
        assert_eq!(parse("localhost").port, DEFAULT_PORT);
    }

    #[test]
    fn a_service_is_looked_up_where_the_feature_is_there_and_else_says_which_one() {
        let service = "ada/_swim._udp.example.com";
        #[cfg(feature = "srv")]
        assert_eq!(parse(service).host, Host::Service("_swim._udp.example.com".into()));
        #[cfg(not(feature = "srv"))]
        assert!(service.parse::<JoinAddress>().unwrap_err().to_string().contains("feature `srv`"));
        assert!("_swim._udp.example.com:7946".parse::<JoinAddress>().is_err());
        assert_eq!(parse("_odd.example.com").host, Host::Name("_odd.example.com".into()));
        for wrong in ["_s:m:n._udp.m", "_s m._udp.m", "_-._udp.m"] {
            assert!(wrong.parse::<JoinAddress>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn malformed_addresses_say_why_and_how_to_write_them() {
        for (text, cause) in [
            ("", "the host is empty"),
            (":7946", "the host is empty"),
            ("/10.0.0.2:7946", "member name"),
            ("10.0.0.2:0", "port"),
            ("10.0.0.2:65536", "port"),
            ("10.0.0.2:+80", "port"),
            ("10.0.0.2:", "port"),
            ("[::1:7946", "never closed"),
            ("[::1]7946", "may follow"),
            ("[seed]:1", "IPv6 address only"),
            ("10.0.0:1", "neither"),
            ("not an address", "neither"),
            ("-bad.example:1", "neither"),
            ("0.0.0.0:7946", "no addresses of a peer"),
            ("::", "no addresses of a peer"),
        ] {
            let error = text.parse::<JoinAddress>().unwrap_err().to_string();
            assert!(error.contains(cause), "{text}: {error}");
            assert!(error.contains("host:port"), "{text}: {error}");
        }
    }
}

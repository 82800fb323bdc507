//! What the fuzz targets of this repository reach of this crate. It is no part of the API and may
//! change at any time.

use crate::address::{AddressError, Host, JoinAddress};
use crate::protocol;

/// What the first bytes of an application's stream or datagram are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationHeader<'a> {
    /// The protocol's name, and what follows the header.
    Whole(&'a str, &'a [u8]),
    /// More bytes may make it whole.
    Cut,
    /// No header begins like that.
    Refused,
}

/// Reads the header of an application's stream or datagram.
pub fn read_application_header(bytes: &[u8]) -> ApplicationHeader<'_> {
    match protocol::split_header(bytes) {
        Ok(Some((name, rest))) => ApplicationHeader::Whole(name, rest),
        Ok(None) => ApplicationHeader::Cut,
        Err(protocol::NotAHeader) => ApplicationHeader::Refused,
    }
}

/// Writes that header; `None` for a name that is not 1 to 255 bytes long.
pub fn write_application_header(name: &str) -> Option<Vec<u8>> {
    protocol::header(name)
}

/// What `join` and `seeds` take an address for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAddress {
    /// The name of the member expected there.
    pub name: Option<Vec<u8>>,
    /// A host's name or IP address, or a service's name.
    pub host: String,
    /// The port, or `None` of a service, whose records have ports.
    pub port: Option<u16>,
}

/// Reads an address as `join` and `seeds` do.
///
/// # Errors
/// As `join`.
pub fn read_join_address(text: &str) -> Result<ReadAddress, AddressError> {
    let address: JoinAddress = text.parse()?;
    let name = address.name.map(|name| name.as_bytes().to_vec());
    let (host, port) = match address.host {
        Host::Ip(ip) => (ip.to_string(), Some(address.port)),
        Host::Name(host) => (host, Some(address.port)),
        #[cfg(feature = "srv")]
        Host::Service(service) => (service, None),
    };
    Ok(ReadAddress { name, host, port })
}

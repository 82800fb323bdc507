//! Addresses, networks, fingerprints and patterns as people write them.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use swim_quic::fuzzing::{ReadAddress, read_join_address};
use swim_quic::{Advertise, Fingerprint, IpNetwork, SpiffePattern};

/// What is understood is written and read again; what is not has a text on one line.
pub fn check(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else {
        return false;
    };
    let mut is_understood = is_read_again::<IpNetwork>(text);
    is_understood |= is_read_again::<Fingerprint>(text);
    is_understood |= is_read_again::<SpiffePattern>(text);
    let advertise = Advertise::from(text);
    assert_eq!(Advertise::from(advertise.to_string()), advertise);
    match read_join_address(text) {
        Ok(address) => {
            is_understood = true;
            assert!(!address.host.is_empty(), "{text:?}");
            let full = in_full(&address);
            assert_eq!(read_join_address(&full), Ok(address), "{text:?} is {full:?} in full");
        }
        Err(error) => is_one_line(&error.to_string()),
    }
    is_understood
}

/// An address with all that may be left out.
fn in_full(address: &ReadAddress) -> String {
    let name = address.name.as_deref().map(|name| std::str::from_utf8(name).expect("from a text"));
    let name = name.map(|name| format!("{name}/")).unwrap_or_default();
    let is_ipv6 = address.host.contains(':');
    let host = if is_ipv6 { format!("[{}]", address.host) } else { address.host.clone() };
    let port = address.port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{name}{host}{port}")
}

fn is_read_again<T>(text: &str) -> bool
where
    T: FromStr + Display + PartialEq + Debug,
    T::Err: Display,
{
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            let again = written.parse::<T>().map_err(|error| error.to_string());
            assert_eq!(again, Ok(value), "{text:?} is written as {written:?}");
            true
        }
        Err(error) => {
            is_one_line(&error.to_string());
            false
        }
    }
}

fn is_one_line(text: &str) {
    assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
}

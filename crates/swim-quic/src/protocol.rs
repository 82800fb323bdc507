//! What is spoken on a connection: the ALPN tokens, and the header of application protocols.

use quic_net::APPLICATION_BYTE;

/// The ALPN token between members of this library: memberlist's wire and its extensions.
pub(crate) const EXTENDED_PROTOCOL: &str = "swim-quic/1";

/// The ALPN token of Go's memberlist-quic.
pub(crate) const CLASSIC_PROTOCOL: &str = "memberlist-quic/1";

/// `0xF5 | length u8 | name`, in front of an application's stream or datagram. `None` for a name
/// that is not 1 to 255 bytes long.
pub(crate) fn header(protocol: &str) -> Option<Vec<u8>> {
    let length = u8::try_from(protocol.len()).ok().filter(|length| *length > 0)?;
    let mut header = vec![APPLICATION_BYTE, length];
    header.extend_from_slice(protocol.as_bytes());
    Some(header)
}

/// The protocol and the rest, if the header is whole; `Err` if it can never be one.
pub(crate) fn split_header(bytes: &[u8]) -> Result<Option<(&str, &[u8])>, NotAHeader> {
    match bytes {
        [] | [APPLICATION_BYTE] => Ok(None),
        [APPLICATION_BYTE, 0, ..] => Err(NotAHeader),
        [APPLICATION_BYTE, length, rest @ ..] => {
            match rest.split_at_checked(usize::from(*length)) {
                None => Ok(None),
                Some((name, rest)) => match std::str::from_utf8(name) {
                    Ok(name) => Ok(Some((name, rest))),
                    Err(_) => Err(NotAHeader),
                },
            }
        }
        _ => Err(NotAHeader),
    }
}

/// Another first byte, an empty name, or a name that is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAHeader;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_back_whole_or_not_yet_or_never() {
        let whole = header("my-rpc").unwrap();
        assert_eq!(whole, b"\xf5\x06my-rpc");
        let mut longer = whole.clone();
        longer.extend_from_slice(b"hello");
        assert_eq!(split_header(&longer), Ok(Some(("my-rpc", b"hello".as_slice()))));
        for cut in 0..whole.len() {
            assert_eq!(split_header(&whole[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(split_header(b"\x08hello"), Err(NotAHeader));
        assert_eq!(split_header(b"\xf5\x00"), Err(NotAHeader));
        assert_eq!(split_header(b"\xf5\x02\xff\xfe"), Err(NotAHeader));
        assert_eq!(header(""), None);
        assert_eq!(header(&"x".repeat(256)), None);
    }
}

//! Datagrams that are not QUIC, sent and received on the member's own UDP port.
//!
//! For STUN and hole punching: what a NAT maps for these datagrams it maps for the QUIC dial that
//! follows, since both use one socket. Decides nothing and authenticates nobody.

use std::fmt;
use std::net::SocketAddr;

use crossbeam_channel::Receiver;
use quic_net::{FIRST_QUIC_BYTE, MAX_RAW_DATAGRAM};

use crate::cluster::Cluster;
use crate::command::Command;
use crate::error::CommandError;

/// A datagram that is not QUIC. Anybody can send one and claim any address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawDatagram {
    /// Where it says it comes from.
    pub from: SocketAddr,
    /// Its bytes; the first one is below `0x40`.
    pub payload: Vec<u8>,
}

/// The raw side of a member's UDP socket. See [`Cluster::raw_socket`].
#[derive(Clone, Debug)]
pub struct RawSocket {
    cluster: Cluster,
    incoming: Receiver<RawDatagram>,
}

impl Cluster {
    /// Takes the datagrams with a first byte below `0x40`, which no QUIC packet has (RFC 9443),
    /// that arrive on this member's port, and allows to send such from it. At most 256 wait to be
    /// received; further ones are dropped. The last caller gets what arrives.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver does not take the command.
    pub fn raw_socket(&self) -> Result<RawSocket, CommandError> {
        let incoming = self.ask(|reply| Command::ListenRaw { reply })?;
        Ok(RawSocket { cluster: self.clone(), incoming })
    }
}

impl RawSocket {
    /// Sends one datagram of at most 1,200 bytes, best effort.
    ///
    /// # Errors
    ///
    /// [`RawError`], with the reason.
    pub fn send_to(&self, payload: &[u8], to: SocketAddr) -> Result<(), RawError> {
        if payload.first().is_none_or(|first| *first >= FIRST_QUIC_BYTE) {
            return Err(RawError::FirstByte);
        }
        if payload.len() > MAX_RAW_DATAGRAM {
            return Err(RawError::TooLong(payload.len()));
        }
        let payload = payload.to_vec();
        let taken = self.cluster.ask(|reply| Command::SendRaw { to, payload, reply })?;
        if taken { Ok(()) } else { Err(RawError::Busy) }
    }

    /// What arrives. Ends with the member, or when another raw socket takes its place.
    pub fn incoming(&self) -> &Receiver<RawDatagram> {
        &self.incoming
    }
}

/// Why a raw datagram was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RawError {
    /// It is empty, or begins like a QUIC packet.
    FirstByte,
    /// It has so many bytes.
    TooLong(usize),
    /// Too many datagrams wait to be sent.
    Busy,
    /// The command did not get through.
    Command(CommandError),
}

impl fmt::Display for RawError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstByte => f.write_str(
                "a raw datagram begins with a byte below 0x40: the others belong to QUIC",
            ),
            Self::TooLong(length) => {
                write!(
                    f,
                    "a raw datagram of {length} bytes is too long: send at most {MAX_RAW_DATAGRAM}"
                )
            }
            Self::Busy => f.write_str("too many datagrams wait to be sent: try again in a moment"),
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RawError {}

impl From<CommandError> for RawError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

/// Datagrams that wait to be received.
pub(crate) const INCOMING: usize = 256;

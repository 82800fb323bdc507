//! The calls of a [`Cluster`] that concern application protocols.
//!
//! Checks names and carries commands to the driver thread; decides nothing about streams.

use std::time::Duration;

use crossbeam_channel::{Receiver, bounded};

use super::{IncomingDatagram, IncomingStream, Stream};
use crate::cluster::{Cluster, REPORT_MARGIN, deadline_after};
use crate::command::{Command, answer};
use crate::error::{OpenStreamError, SendError};

impl Cluster {
    /// Opens a stream to a live member for the protocol that it listens for, dialing if need be.
    /// Returns once the stream is open at the transport. A peer without a listener for the
    /// protocol resets it: the first read then fails.
    ///
    /// # Errors
    ///
    /// [`OpenStreamError`], with the reason. Go peers have no application streams.
    pub fn open_stream(
        &self,
        to: &str,
        protocol: &str,
        timeout: Duration,
    ) -> Result<Stream, OpenStreamError> {
        let to = Self::member_name(to).map_err(unreachable_name)?;
        let (reply, opened) = bounded(1);
        let protocol = protocol.to_owned();
        let deadline = deadline_after(timeout);
        self.send_command(Command::OpenStream { to, protocol, deadline, reply })?;
        answer(&opened, timeout.saturating_add(REPORT_MARGIN))?
            .unwrap_or(Err(OpenStreamError::TimedOut))
    }

    /// Takes the streams that other members open for `protocol`. At most 256 wait to be received;
    /// further ones are reset. Listening again for the same protocol replaces the listener.
    ///
    /// # Errors
    ///
    /// [`OpenStreamError::Protocol`] for a name that is not 1 to 255 bytes long.
    pub fn listen(&self, protocol: &str) -> Result<Receiver<IncomingStream>, OpenStreamError> {
        let protocol = checked(protocol)?;
        Ok(self.ask(|reply| Command::Listen { protocol, reply })?)
    }

    /// Sends a datagram of an application protocol: unordered, may be lost, at most about
    /// 64 KiB. Larger than one QUIC datagram it travels on a stream of its own.
    ///
    /// # Errors
    ///
    /// [`OpenStreamError`], with the reason. Go peers have no application datagrams.
    pub fn send_datagram(
        &self,
        to: &str,
        protocol: &str,
        payload: impl Into<Vec<u8>>,
    ) -> Result<(), OpenStreamError> {
        let to = Self::member_name(to).map_err(unreachable_name)?;
        let (protocol, payload) = (checked(protocol)?, payload.into());
        self.ask(|reply| Command::SendDatagram { to, protocol, payload, reply })?
    }

    /// Takes the datagrams that other members send for `protocol`. At most 256 wait to be
    /// received; further ones are dropped. Listening again replaces the listener.
    ///
    /// # Errors
    ///
    /// [`OpenStreamError::Protocol`] for a name that is not 1 to 255 bytes long.
    pub fn listen_datagrams(
        &self,
        protocol: &str,
    ) -> Result<Receiver<IncomingDatagram>, OpenStreamError> {
        let protocol = checked(protocol)?;
        Ok(self.ask(|reply| Command::ListenDatagrams { protocol, reply })?)
    }
}

fn checked(protocol: &str) -> Result<String, OpenStreamError> {
    super::header(protocol).map(|_| protocol.to_owned()).ok_or(OpenStreamError::Protocol)
}

/// A name that no member can have.
fn unreachable_name(error: SendError) -> OpenStreamError {
    match error {
        SendError::Command(error) => OpenStreamError::Command(error),
        SendError::Unknown(name) => OpenStreamError::Unknown(name),
        SendError::Refused(reason) | SendError::Failed(reason) => {
            OpenStreamError::Unreachable(reason)
        }
        SendError::TimedOut => OpenStreamError::TimedOut,
    }
}

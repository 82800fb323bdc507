//! The calls of a [`Cluster`] that concern its connections and its socket.

use std::net::SocketAddr;
use std::time::Duration;

use quic_net::{FIRST_QUIC_BYTE, MAX_RAW_DATAGRAM};

use super::{Cluster, wait};
use crate::answer::Answer;
use crate::cluster_event::{ConnectionInfo, RawDatagram};
use crate::command::Command;
use crate::deadline::may_wait;
use crate::error::{CommandError, ConnectError, ConnectionError, RawError};
use crate::receiver::Incoming;
use crate::to_member_name::{ToMemberName, member_name};

/// # Connections
///
/// Members dial each other as they need to, and close what they no longer use; these calls look
/// at that, warm a connection up, or cut one. None says anything about who is alive.
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::{Cluster, ConnectError};
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// match cluster.connect("bob", Duration::from_secs(5)) {
///     Ok(connection) => println!("{} in {:?}", connection.address, connection.rtt),
///     Err(ConnectError::Unreachable(failure)) => println!("no way to bob: {failure}"),
///     Err(other) => return Err(other.into()),
/// }
/// for connection in cluster.connections()? {
///     println!("{:?} at {}", connection.names, connection.address);
/// }
/// assert!(cluster.connection("bob")?.is_some());
/// println!("{} closed", cluster.disconnect("bob")?);
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// The connections of this member's pool: at most
    /// [`Limits::connections`](quic_net::Limits::connections).
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver thread does not take or answer the question.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// for connection in cluster.connections()? {
    ///     println!("{} is {:?} away", connection.address, connection.rtt);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections(&self) -> Result<Vec<ConnectionInfo>, CommandError> {
        self.ask(|reply| Command::Connections { reply })
    }

    /// The connection that what we send to a member goes over, if there is one.
    ///
    /// # Errors
    ///
    /// [`ConnectionError`] when nobody else has that name.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// if let Some(connection) = cluster.connection("bob")? {
    ///     println!("{} packets lost on the way to bob", connection.lost);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn connection(
        &self,
        member: impl ToMemberName,
    ) -> Result<Option<ConnectionInfo>, ConnectionError> {
        let member = member_name(&member)?;
        self.ask(|reply| Command::PreferredConnection { member, reply })?
    }

    /// The connection to a member; dials it if there is none and waits until its certificate is
    /// verified, at most `timeout`. A dial that fails is reported at once, and one that is not
    /// answered after [`Limits::dial_timeout`](quic_net::Limits::dial_timeout).
    ///
    /// # Errors
    ///
    /// [`ConnectError`], with the reason.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// // Dialed now, so that the first message need not wait for a handshake.
    /// let connection = cluster.connect("bob", Duration::from_secs(5))?;
    /// println!("bob's certificate is {}", connection.fingerprint);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect(
        &self,
        member: impl ToMemberName,
        timeout: Duration,
    ) -> Result<ConnectionInfo, ConnectError> {
        may_wait()?;
        wait(self.begin_connect(member)?, timeout)?.unwrap_or(Err(ConnectError::TimedOut))
    }

    pub(super) fn begin_connect(
        &self,
        member: impl ToMemberName,
    ) -> Result<Answer<Result<ConnectionInfo, ConnectError>>, ConnectError> {
        let member = member_name(&member)?;
        Ok(self.begin(|reply| Command::Connect { member, reply })?)
    }

    /// Closes every connection to a member, dropping what was not sent, and returns how many
    /// there were. The next packet or stream dials anew: this is no way to keep a member out.
    ///
    /// # Errors
    ///
    /// [`ConnectionError`] when nobody else has that name.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("{} connections to bob closed", cluster.disconnect("bob")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn disconnect(&self, member: impl ToMemberName) -> Result<usize, ConnectionError> {
        let member = member_name(&member)?;
        self.ask(|reply| Command::Disconnect { member, reply })?
    }
}

/// # Datagrams that are not QUIC
///
/// For STUN and hole punching: what a NAT maps for these datagrams it maps for the QUIC dial that
/// follows, since both use one socket. Nobody is authenticated by them.
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::Cluster;
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let raw = cluster.raw_socket()?;
/// raw.send_to(b"\x00\x01 a STUN request", "192.0.2.1:3478".parse()?)?;
/// let answer = raw.incoming().recv_timeout(Duration::from_secs(1))?;
/// println!("{} bytes from {}", answer.payload.len(), answer.from);
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// Takes the datagrams with a first byte below `0x40`, which no QUIC packet has (RFC 9443),
    /// that arrive on this member's port, and allows to send such from it. At most 256 wait to be
    /// received; further ones are dropped. The last caller gets what arrives.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver thread does not take or answer the command.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let raw = cluster.raw_socket()?;
    /// raw.send_to(b"\x00\x01\x00\x00 a STUN request", "192.0.2.1:3478".parse()?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn raw_socket(&self) -> Result<RawSocket, CommandError> {
        let incoming = self.ask(|reply| Command::ListenRaw { reply })?;
        Ok(RawSocket { cluster: self.clone(), incoming })
    }
}

/// The raw side of a member's UDP socket. See [`Cluster::raw_socket`].
#[derive(Clone, Debug)]
pub struct RawSocket {
    cluster: Cluster,
    incoming: Incoming<RawDatagram>,
}

impl RawSocket {
    /// Sends one datagram of at most 1,200 bytes, best effort.
    ///
    /// # Errors
    ///
    /// [`RawError`], with the reason.
    ///
    /// ```no_run
    /// # use swim_quic::{RawError, RawSocket};
    /// # fn example(raw: &RawSocket) -> Result<(), Box<dyn std::error::Error>> {
    /// match raw.send_to(b"\x00punch", "198.51.100.3:7946".parse()?) {
    ///     Ok(()) => {}
    ///     Err(RawError::QueueFull) => println!("try again in a moment"),
    ///     Err(other) => return Err(other.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_to(&self, payload: &[u8], to: SocketAddr) -> Result<(), RawError> {
        if payload.first().is_none_or(|first| *first >= FIRST_QUIC_BYTE) {
            return Err(RawError::FirstByte);
        }
        if payload.len() > MAX_RAW_DATAGRAM {
            return Err(RawError::TooLarge { len: payload.len(), limit: MAX_RAW_DATAGRAM });
        }
        let payload = payload.to_vec();
        let taken = self.cluster.ask(|reply| Command::SendRaw { to, payload, reply })?;
        if taken { Ok(()) } else { Err(RawError::QueueFull) }
    }

    /// What arrives. Ends with the member, or when another raw socket takes its place.
    ///
    /// ```no_run
    /// # use swim_quic::RawSocket;
    /// # fn example(raw: &RawSocket) {
    /// for datagram in raw.incoming().try_iter() {
    ///     println!("{} bytes from {}", datagram.payload.len(), datagram.from);
    /// }
    /// # }
    /// ```
    pub fn incoming(&self) -> &Incoming<RawDatagram> {
        &self.incoming
    }
}

//! The calls of a [`Cluster`] that carry an application's bytes: messages, streams, datagrams.

use std::time::Duration;

use swim_core::{BroadcastRefusal, DeliveryReport, Outcome, SendRefusal};

use super::{Cluster, local, misplaced, wait};
use crate::answer::Answer;
use crate::application::{IncomingDatagram, IncomingStream, OpenReply, Stream};
use crate::command::Command;
use crate::deadline::{deadline_after, may_wait};
use crate::error::{
    BroadcastError, DoubtError, ListenError, OpenStreamError, PingError, SendDatagramError,
    SendError,
};
use crate::protocol;
use crate::receiver::Incoming;
use crate::to_member_name::{ToMemberName, member_name};

/// # Messages
///
/// They arrive as [`Event::Message`](crate::Event::Message), at Go members too. `send_reliable` and
/// `ping` wait for an answer of the peer; `send` and `broadcast` until the driver thread has taken
/// the message, which takes it no longer than a turn. Those that begin with `queue_` do not wait.
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::{Cluster, DeliveryReport, SendError};
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// cluster.send("bob", "may be lost")?;
/// cluster.broadcast("to everybody, may be lost")?;
/// match cluster.send_reliable("bob", vec![0; 1_000_000], Duration::from_secs(10)) {
///     Ok(DeliveryReport::Acknowledged) => println!("bob's application has it"),
///     Ok(DeliveryReport::Sent) => println!("bob, a Go member, has it"),
///     Err(SendError::Busy) => println!("bob has no room: try again later"),
///     Err(SendError::Unknown) => println!("bob may have it"),
///     Err(SendError::UnknownMember(name)) => println!("who is {name}?"),
///     Err(other) => return Err(other.into()),
/// }
/// println!("bob is {:?} away", cluster.ping("bob", Duration::from_secs(5))?);
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// Sends a message by datagram: unordered, may be lost, at most about 64 KiB. Larger than
    /// one datagram it travels on a stream of its own.
    ///
    /// # Errors
    ///
    /// [`SendError`] when the member is unknown or not alive, the payload too large, or this
    /// member has left. What is lost on the way is no error.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// for member in &cluster.members() {
    ///     if member.name() != cluster.name() && member.state().is_live() {
    ///         cluster.send(member, "load=0.7")?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(
        &self,
        to: impl ToMemberName,
        payload: impl Into<Vec<u8>>,
    ) -> Result<(), SendError> {
        may_wait()?;
        local(self.begin_send(to, payload.into())?)?.map_err(SendError::from_refusal)
    }

    pub(super) fn begin_send(
        &self,
        to: impl ToMemberName,
        payload: Vec<u8>,
    ) -> Result<Answer<Result<(), SendRefusal>>, SendError> {
        let to = member_name(&to)?;
        Ok(self.begin(|reply| Command::Send { to, payload, reply })?)
    }

    /// Sends a message over a stream and waits until the application there has it, at most
    /// `timeout`. At most 20 MiB less 128 bytes; messages under way have at most 128 MiB together.
    ///
    /// Messages to a member of this library arrive in the order of the calls, each once, also
    /// when connections are lost meanwhile; the report is then
    /// [`DeliveryReport::Acknowledged`]: every subscription there has the message. Go members,
    /// and older versions of this library, tell only that their transport took it:
    /// [`DeliveryReport::Sent`].
    ///
    /// # Errors
    ///
    /// [`SendError`], with the reason. The message is not delivered after any of them, except
    /// [`SendError::Unknown`], and [`SendError::Unreachable`] from a Go member: then it may be.
    ///
    /// ```no_run
    /// # use swim_quic::{Cluster, DeliveryReport};
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let report = cluster.send_reliable("bob", "order 17", Duration::from_secs(5))?;
    /// if report == DeliveryReport::Acknowledged {
    ///     println!("each subscription of bob has it");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_reliable(
        &self,
        to: impl ToMemberName,
        payload: impl Into<Vec<u8>>,
        timeout: Duration,
    ) -> Result<DeliveryReport, SendError> {
        may_wait()?;
        let sending = self.begin_reliable(to, payload.into(), timeout)?;
        delivered(wait(sending, timeout)?)
    }

    pub(super) fn begin_reliable(
        &self,
        to: impl ToMemberName,
        payload: Vec<u8>,
        timeout: Duration,
    ) -> Result<Answer<Outcome>, SendError> {
        let to = member_name(&to)?;
        let held = self.inner.held.hold(payload.len())?;
        Ok(self.begin(|reply| Command::SendReliable { to, payload, timeout, held, reply })?)
    }

    /// Sends a message once to every member alive at this moment, best effort. It must fit one
    /// packet beside nothing else: the packet limit of the configuration, about 1,200 bytes by
    /// default.
    ///
    /// # Errors
    ///
    /// [`BroadcastError`] when it is too large, too many are under way, or this member has left.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.broadcast("cache of 17 is stale")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn broadcast(&self, payload: impl Into<Vec<u8>>) -> Result<(), BroadcastError> {
        may_wait()?;
        local(self.begin_broadcast(payload.into())?)?.map_err(BroadcastError::from_refusal)
    }

    pub(super) fn begin_broadcast(
        &self,
        payload: Vec<u8>,
    ) -> Result<Answer<Result<(), BroadcastRefusal>>, BroadcastError> {
        Ok(self.begin(|reply| Command::Broadcast { payload, reply })?)
    }

    /// Measures the round trip to a member with one ping, without effect on its state. It waits
    /// for the probe timeout of the configuration, and at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`PingError::TimedOut`] when nothing came back, [`PingError::SendFailed`] with the cause
    /// when the transport could not send it, [`PingError::UnknownMember`] when nobody has the name.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let round_trip = cluster.ping("bob", Duration::from_secs(1))?;
    /// println!("bob is {round_trip:?} away");
    /// # Ok(())
    /// # }
    /// ```
    pub fn ping(&self, to: impl ToMemberName, timeout: Duration) -> Result<Duration, PingError> {
        may_wait()?;
        pong(wait(self.begin_ping(to)?, timeout)?)
    }

    /// Has a member probed at once: the application has a reason to think that it is gone, such as
    /// a request that nobody answered. Nothing follows from the doubt itself; if the member answers
    /// the probe, itself or through others, nothing happens. While doubts go on the probes become
    /// rarer, from one in a second to one in 64 s.
    ///
    /// # Errors
    ///
    /// [`DoubtError`] when no live member has that name, or this one has left.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.doubt("bob")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn doubt(&self, member: impl ToMemberName) -> Result<(), DoubtError> {
        let member = member_name(&member)?;
        self.ask(|reply| Command::Doubt { member, reply })?.map_err(DoubtError::of)
    }

    pub(super) fn begin_ping(&self, to: impl ToMemberName) -> Result<Answer<Outcome>, PingError> {
        let to = member_name(&to)?;
        Ok(self.begin(|reply| Command::Ping { to, reply })?)
    }
}

/// What a reliable message ended in; `None`: not in time.
pub(super) fn delivered(outcome: Option<Outcome>) -> Result<DeliveryReport, SendError> {
    match outcome {
        Some(Outcome::Delivered(report)) => Ok(report),
        Some(Outcome::Failed(error)) => Err(SendError::from_operation(error)),
        Some(other) => Err(misplaced(&other).into()),
        None => Err(SendError::Unknown),
    }
}

/// What a ping ended in; `None`: not in time.
pub(super) fn pong(outcome: Option<Outcome>) -> Result<Duration, PingError> {
    match outcome {
        Some(Outcome::Pong { rtt }) => Ok(rtt),
        Some(Outcome::Failed(error)) => Err(PingError::from_operation(error)),
        Some(other) => Err(misplaced(&other).into()),
        None => Err(PingError::TimedOut),
    }
}

/// # Streams and datagrams of application protocols
///
/// They share the members' connections and are known by a protocol name of 1 to 255 bytes that
/// both sides choose. Go members have none.
///
/// ```no_run
/// # use std::io::{Read, Write};
/// # use std::net::Shutdown;
/// # use std::time::Duration;
/// # use swim_quic::Cluster;
/// # fn example(ada: &Cluster, bob: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let calls = bob.listen("shout")?;
/// std::thread::spawn(move || {
///     for mut call in calls {
///         let mut text = String::new();
///         if call.stream.read_to_string(&mut text).is_ok() {
///             let _ = call.stream.write_all(text.to_uppercase().as_bytes());
///         }
///     }
/// });
/// let mut stream = ada.open_stream("bob", "shout", Duration::from_secs(5))?;
/// stream.set_read_timeout(Some(Duration::from_secs(5)));
/// stream.write_all(b"hello")?;
/// stream.shutdown(Shutdown::Write);
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer)?;
///
/// let ticks = bob.listen_datagrams("tick")?;
/// ada.send_datagram("bob", "tick", "1")?;
/// let tick = ticks.recv_timeout(Duration::from_secs(1))?;
/// println!("{} sent {:?}", tick.from, tick.payload);
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// Opens a stream to a live member for the protocol that it listens for, dialing if need be.
    /// Returns once the stream is open at the transport. A peer without a listener for the
    /// protocol resets it: the first read then fails.
    ///
    /// # Errors
    ///
    /// [`OpenStreamError`], with the reason. Go peers have no application streams.
    ///
    /// ```no_run
    /// # use std::io::{Read, Write};
    /// # use std::net::Shutdown;
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut stream = cluster.open_stream("bob", "files", Duration::from_secs(5))?;
    /// stream.write_all(b"GET a.txt")?;
    /// stream.shutdown(Shutdown::Write);
    /// let mut file = Vec::new();
    /// stream.read_to_end(&mut file)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_stream(
        &self,
        to: impl ToMemberName,
        protocol: &str,
        timeout: Duration,
    ) -> Result<Stream, OpenStreamError> {
        may_wait()?;
        let opening = self.begin_stream(to, protocol, timeout)?;
        wait(opening, timeout)?.unwrap_or(Err(OpenStreamError::TimedOut))
    }

    pub(super) fn begin_stream(
        &self,
        to: impl ToMemberName,
        protocol: &str,
        timeout: Duration,
    ) -> Result<Answer<OpenReply>, OpenStreamError> {
        let to = member_name(&to)?;
        let header = protocol::header(protocol).ok_or(OpenStreamError::Protocol)?;
        let (protocol, deadline) = (protocol.to_owned(), deadline_after(timeout));
        let open = |reply| Command::OpenStream { to, protocol, header, deadline, reply };
        Ok(self.begin(open)?)
    }

    /// Takes the streams that other members open for `protocol`. At most 256 wait to be received;
    /// further ones are reset. Listening again for the same protocol replaces the listener.
    ///
    /// # Errors
    ///
    /// [`ListenError::Protocol`] for a name that is not 1 to 255 bytes long.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// for call in cluster.listen("files")? {
    ///     println!("{} opened a stream of {}", call.from, call.stream.protocol());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn listen(&self, protocol: &str) -> Result<Incoming<IncomingStream>, ListenError> {
        protocol::header(protocol).ok_or(ListenError::Protocol)?;
        let protocol = protocol.to_owned();
        Ok(self.ask(|reply| Command::Listen { protocol, reply })?)
    }

    /// Sends a datagram of an application protocol: unordered, may be lost, at most 64 KiB with
    /// the protocol's name. Larger than one QUIC datagram it travels on a stream of its own.
    ///
    /// # Errors
    ///
    /// [`SendDatagramError`], with the reason. Go peers have no application datagrams. What is
    /// lost on the way is no error.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// cluster.send_datagram("bob", "position", "12,7")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_datagram(
        &self,
        to: impl ToMemberName,
        protocol: &str,
        payload: impl Into<Vec<u8>>,
    ) -> Result<(), SendDatagramError> {
        may_wait()?;
        local(self.begin_datagram(to, protocol, payload.into())?)?
    }

    pub(super) fn begin_datagram(
        &self,
        to: impl ToMemberName,
        protocol: &str,
        payload: Vec<u8>,
    ) -> Result<Answer<Result<(), SendDatagramError>>, SendDatagramError> {
        let to = member_name(&to)?;
        let header = protocol::header(protocol).ok_or(SendDatagramError::Protocol)?;
        Ok(self.begin(|reply| Command::SendDatagram { to, header, payload, reply })?)
    }

    /// Takes the datagrams that other members send for `protocol`. At most 256 wait to be
    /// received; further ones are dropped. Listening again replaces the listener.
    ///
    /// # Errors
    ///
    /// [`ListenError::Protocol`] for a name that is not 1 to 255 bytes long.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// for datagram in cluster.listen_datagrams("position")? {
    ///     println!("{} is at {:?}", datagram.from, datagram.payload);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn listen_datagrams(
        &self,
        protocol: &str,
    ) -> Result<Incoming<IncomingDatagram>, ListenError> {
        protocol::header(protocol).ok_or(ListenError::Protocol)?;
        let protocol = protocol.to_owned();
        Ok(self.ask(|reply| Command::ListenDatagrams { protocol, reply })?)
    }
}

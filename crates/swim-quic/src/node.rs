//! One member: the membership machine and the QUIC endpoint, glued together.
//!
//! Carries what one says to the other until both are quiet. Decides nothing about membership and
//! nothing about connections, and does no IO: the driver owns the socket and the clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use crossbeam_channel::Sender;
use quic_net::{
    CloseReason, Endpoint, MAX_PACKET, PeerIdentity, Protocol, Read, ReadError, StreamError,
    StreamHandle,
};

use swim_core::{
    Member, MemberName, Membership, OperationError, OperationId, Outcome, Output, Peer,
    StreamFailure, Time,
};

use crate::application::{self, Applications, OpenReply};
use crate::command::Command;
use crate::error::OpenStreamError;
use crate::event::{Connection, Event, Stats};
use crate::resolve::StandingSeeds;
use crate::streams::Streams;
use crate::subscribers::Subscribers;
use crate::warnings::Warnings;

/// How much of a stream is carried from the endpoint to the machine at a time.
const READ_CHUNK: usize = 64 * 1024;

/// How long connections stay open after a leave, for peers that still ask.
const LINGER_AFTER_LEAVE: Duration = Duration::from_secs(1);

/// What handles and driver thread share about one node.
#[derive(Default)]
pub(crate) struct Shared {
    /// The members as of the last turn that changed something.
    pub(crate) members: ArcSwap<Arc<[Member]>>,
    pub(crate) subscribers: Subscribers,
    /// The last handle is gone: stop hosting, send nothing.
    pub(crate) abandoned: AtomicBool,
}

/// A membership machine and its endpoint.
pub(crate) struct Node {
    membership: Membership,
    endpoint: Endpoint,
    origin: Instant,
    seeds: StandingSeeds,
    shared: Arc<Shared>,
    streams: Streams,
    applications: Applications,
    peers: Peers,
    waiting: BTreeMap<OperationId, Sender<Outcome>>,
    events: Vec<Event>,
    warnings: Warnings,
    members_changed: bool,
    read_buffer: Vec<u8>,
    linger_until: Option<Instant>,
}

impl Node {
    pub(crate) fn new(
        membership: Membership,
        endpoint: Endpoint,
        seeds: StandingSeeds,
        applications: Applications,
        shared: Arc<Shared>,
        origin: Instant,
    ) -> Self {
        let mut node = Self {
            membership,
            endpoint,
            origin,
            seeds,
            shared,
            streams: Streams::default(),
            applications,
            peers: Peers::default(),
            waiting: BTreeMap::new(),
            events: Vec::new(),
            warnings: Warnings::default(),
            members_changed: true,
            read_buffer: vec![0; READ_CHUNK],
            linger_until: None,
        };
        node.settle(origin);
        node.publish();
        node
    }

    pub(crate) fn endpoint_mut(&mut self) -> &mut Endpoint {
        &mut self.endpoint
    }

    pub(crate) fn endpoint_is_closed(&self) -> bool {
        self.endpoint.is_shut_down()
    }

    /// Whether the last handle is gone.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.shared.abandoned.load(Ordering::Acquire)
    }

    /// When the next turn is due if nothing arrives before.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let machine = self
            .membership
            .poll_timeout()
            .map(|time| self.origin + Duration::from_micros(time.as_micros()));
        [machine, self.endpoint.poll_timeout(), self.linger_until].into_iter().flatten().min()
    }

    /// Everything that a turn does between reading and writing the socket.
    pub(crate) fn turn(&mut self, now: Instant) {
        let time = self.time(now);
        if let Some(seeds) = self.seeds.changed(&mut self.events) {
            self.membership.set_seeds(seeds, time);
            self.settle(now);
        }
        self.endpoint.handle_timeout(now);
        self.settle(now);
        self.applications.turn(&mut self.endpoint);
        if self.membership.poll_timeout().is_some_and(|due| due <= time) {
            self.membership.handle_timeout(time);
            self.settle(now);
        }
        if self.linger_until.is_some_and(|until| until <= now) {
            self.linger_until = None;
            for connection in self.endpoint.connections() {
                self.endpoint.close(connection.peer.address, CloseReason::Requested, now);
            }
            self.settle(now);
        }
        self.publish();
    }

    /// Carries out a command of a handle.
    pub(crate) fn command(&mut self, command: Command, now: Instant) {
        let time = self.time(now);
        let text = |error: &dyn std::fmt::Display| error.to_string();
        // A caller that gave up has dropped its receiver: an answer nobody reads is no error.
        match command {
            Command::Join { address, name, reply } => {
                let operation = self.membership.join(address, name, time);
                self.waiting.insert(operation, reply);
            }
            Command::Leave { reply } => {
                self.seeds.stop();
                let operation = self.membership.leave(time);
                self.waiting.insert(operation, reply);
                self.linger_until = Some(now + LINGER_AFTER_LEAVE);
            }
            Command::SetMeta { meta, reply } => {
                let done = self.membership.set_meta(meta, time);
                let _ = reply.send(done.map_err(|error| text(&error)));
            }
            Command::Send { to, payload, reply } => {
                let done = self.membership.send(&to, &payload, time);
                let _ = reply.send(done.map_err(|error| text(&error)));
            }
            Command::Broadcast { payload, reply } => {
                let done = self.membership.broadcast(payload, time);
                let _ = reply.send(done.map_err(|error| text(&error)));
            }
            Command::SendReliable { to, payload, timeout, reply } => {
                let begun = self.membership.send_reliable(&to, &payload, timeout, time);
                self.await_outcome(begun, reply);
            }
            Command::Ping { to, reply } => {
                let begun = self.membership.ping(&to, time);
                self.await_outcome(begun, reply);
            }
            Command::OpenStream { to, protocol, deadline, reply } => {
                self.open_stream(&to, protocol, deadline, reply, now);
            }
            Command::Listen { protocol, reply } => {
                let _ = reply.send(self.applications.listen(protocol));
            }
            Command::SendDatagram { to, protocol, payload, reply } => {
                let _ = reply.send(self.send_datagram(&to, &protocol, &payload, now));
            }
            Command::ListenDatagrams { protocol, reply } => {
                let _ = reply.send(self.applications.listen_datagrams(protocol));
            }
            Command::Connections { reply } => {
                let connections = self.endpoint.connections();
                let _ = reply.send(connections.iter().map(Connection::from_info).collect());
            }
            Command::Stats { reply } => {
                let _ = reply.send(Stats {
                    membership: self.membership.stats(),
                    transport: self.endpoint.stats(),
                });
            }
        }
        self.settle(now);
    }

    fn open_stream(
        &mut self,
        to: &MemberName,
        protocol: String,
        deadline: Instant,
        reply: Sender<OpenReply>,
        now: Instant,
    ) {
        let opened = self.application_peer(to).and_then(|address| {
            let header = application::header(&protocol).ok_or(OpenStreamError::Protocol)?;
            let name = Some(to.as_bytes());
            let stream = self.endpoint.open_stream(address, name, deadline, now);
            self.endpoint
                .write(stream, &header, false)
                .map_err(|error| OpenStreamError::Unreachable(error.to_string()))?;
            Ok(stream)
        });
        match opened {
            Ok(stream) => self.applications.opening(stream, to.clone(), protocol, reply),
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    fn send_datagram(
        &mut self,
        to: &MemberName,
        protocol: &str,
        payload: &[u8],
        now: Instant,
    ) -> Result<(), OpenStreamError> {
        let address = self.application_peer(to)?;
        let mut bytes = application::header(protocol).ok_or(OpenStreamError::Protocol)?;
        bytes.extend_from_slice(payload);
        if bytes.len() > MAX_PACKET {
            let reason = format!("{} bytes are too many: send a stream instead", payload.len());
            return Err(OpenStreamError::TooLarge(reason));
        }
        self.endpoint.send_packet(address, Some(to.as_bytes()), &bytes, now);
        Ok(())
    }

    /// Where a member can be reached with application protocols.
    fn application_peer(&self, to: &MemberName) -> Result<SocketAddr, OpenStreamError> {
        let member = self
            .membership
            .member(to)
            .filter(|member| member.state().is_live())
            .ok_or_else(|| OpenStreamError::Unknown(to.clone()))?;
        let peer = self.endpoint.peer(member.address());
        if peer.is_some_and(|peer| peer.protocol == Protocol::Classic) {
            return Err(OpenStreamError::PeerSpeaksGo);
        }
        Ok(member.address())
    }

    /// The member behind a connection: the one its certificate names, else the one that announces
    /// its address.
    fn member_behind(&mut self, identity: &Arc<PeerIdentity>) -> Option<MemberName> {
        let peer = self.peers.get(identity);
        peer.names.first().cloned().or_else(|| {
            let mut members = self.membership.members();
            members.find(|member| member.address() == peer.address).map(|m| m.name().clone())
        })
    }

    fn await_outcome(
        &mut self,
        begun: Result<OperationId, swim_core::SendError>,
        reply: Sender<Outcome>,
    ) {
        match begun {
            Ok(operation) => {
                self.waiting.insert(operation, reply);
            }
            Err(error) => {
                let refused = OperationError::Refused(error.to_string());
                let _ = reply.send(Outcome::Failed(refused));
            }
        }
    }

    /// Moves everything between the two machines until both are quiet.
    fn settle(&mut self, now: Instant) {
        loop {
            self.drain(now);
            let Some(event) = self.endpoint.poll_event() else {
                break;
            };
            self.take_in(event, now);
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.membership.poll_output() {
            self.carry_out(output, now);
        }
    }

    /// The machine wants something done.
    fn carry_out(&mut self, output: Output, now: Instant) {
        match output {
            Output::Packet { to, bytes } => {
                let expected = to.name.as_ref().map(MemberName::as_bytes);
                self.endpoint.send_packet(to.address, expected, &bytes, now);
            }
            Output::OpenStream { id, to, bytes, deadline } => {
                let expected = to.name.as_ref().map(MemberName::as_bytes);
                let deadline = self.instant(deadline);
                let handle = self.endpoint.open_stream(to.address, expected, deadline, now);
                self.streams.pair(handle, id);
                self.streams.write(&mut self.endpoint, id, bytes, true);
            }
            Output::WriteStream { id, bytes, finish } => {
                self.streams.write(&mut self.endpoint, id, bytes, finish);
            }
            Output::CloseStream { id } => self.streams.stop(&mut self.endpoint, id),
            Output::ForgetPeer { address } => {
                self.endpoint.close(address, CloseReason::Requested, now);
            }
            Output::ResolveSeeds => self.seeds.resolve(),
            Output::Finished { operation, outcome } => {
                if let Some(reply) = self.waiting.remove(&operation) {
                    let _ = reply.send(outcome);
                }
            }
            Output::Event(swim_core::Event::Warning { kind, address, detail }) => {
                self.warn(kind.to_string(), format!("{address}: {detail}"), now);
            }
            Output::Event(event) => {
                self.members_changed = true;
                self.events.extend(Event::from_core(event));
            }
        }
    }

    fn warn(&mut self, what: String, detail: String, now: Instant) {
        self.events.extend(self.warnings.raise(what, detail, now));
    }

    /// The network has something to say.
    fn take_in(&mut self, event: quic_net::Event, now: Instant) {
        use quic_net::Event as Net;
        let time = self.time(now);
        match event {
            Net::Packet { peer, bytes } => {
                let peer = self.peers.get(&peer);
                self.membership.handle_packet(&peer, &bytes, time);
            }
            Net::StreamOpened { stream, peer, application: true } => {
                let from = self.member_behind(&peer);
                self.applications.opened(&mut self.endpoint, stream, from, now);
            }
            Net::ApplicationPacket { peer, bytes } => {
                let from = self.member_behind(&peer);
                self.applications.datagram(&bytes, from);
            }
            Net::StreamOpened { stream, peer, application: false } => {
                let peer = self.peers.get(&peer);
                let id = self.streams.accept(stream);
                self.membership.handle_stream_opened(id, &peer, time);
            }
            Net::StreamReadable { stream } => {
                if !self.applications.progress(&mut self.endpoint, stream) {
                    self.read(stream, now);
                }
            }
            Net::StreamFailed { stream, reason } => {
                if self.applications.failed(stream, &reason) {
                    return;
                }
                if let Some(id) = self.streams.forget(stream) {
                    self.membership.handle_stream_failed(id, stream_failure(&reason), time);
                }
            }
            Net::SendFailed { to, reason } => {
                log::debug!("sending to {to} failed: {reason}");
                self.membership.handle_send_failed(to, time);
            }
            Net::PacketLimit { to, limit } => self.membership.handle_packet_limit(to, limit, time),
            Net::Refused { from, what, detail } => {
                self.warn(what.to_string(), format!("{from}: {detail}"), now);
            }
            Net::Connected { peer } => log::debug!("connected to {}", peer.address),
            Net::Closed { peer, reason } => {
                log::debug!("connection to {} closed: {reason}", peer.address);
            }
            Net::StreamWritable { stream } => {
                if !self.applications.progress(&mut self.endpoint, stream) {
                    self.streams.resume(&mut self.endpoint, stream);
                }
            }
            Net::RawDatagram { .. } | _ => log::debug!("nobody takes raw datagrams"),
        }
    }

    /// Carries what has arrived on a stream to the machine, chunk by chunk.
    fn read(&mut self, stream: StreamHandle, now: Instant) {
        let time = self.time(now);
        while let Some(id) = self.streams.id(stream) {
            match self.endpoint.read(stream, &mut self.read_buffer) {
                Ok(Read { bytes: 0, fin: false }) => break,
                Ok(Read { bytes, fin }) => {
                    let chunk = self.read_buffer.get(..bytes).unwrap_or_default();
                    self.membership.handle_stream_data(id, chunk, fin, time);
                    self.drain(now);
                    if fin {
                        break;
                    }
                }
                Err(error) => {
                    self.streams.forget(stream);
                    let failure = match error {
                        ReadError::Reset(_) => StreamFailure::Reset,
                        ReadError::UnknownStream | _ => StreamFailure::Closed,
                    };
                    self.membership.handle_stream_failed(id, failure, time);
                    break;
                }
            }
        }
    }

    /// Shows the world what this turn changed: the snapshot first, so that whoever hears of a
    /// member finds it there.
    fn publish(&mut self) {
        if self.members_changed {
            self.members_changed = false;
            let members: Arc<[Member]> = self.membership.members().collect();
            self.shared.members.store(Arc::new(members));
        }
        if !self.events.is_empty() || self.shared.subscribers.owes_notice() {
            self.shared.subscribers.deliver(&self.events);
            self.events.clear();
        }
    }

    fn time(&self, now: Instant) -> Time {
        let micros = now.saturating_duration_since(self.origin).as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn instant(&self, time: Time) -> Instant {
        self.origin + Duration::from_micros(time.as_micros())
    }
}

/// Subscriptions end with the node they came from, also when its thread panics.
impl Drop for Node {
    fn drop(&mut self) {
        self.shared.subscribers.close();
    }
}

/// The machine's view of each connection's peer, made once for each connection.
#[derive(Default)]
struct Peers {
    last: Option<(Arc<PeerIdentity>, Peer)>,
}

impl Peers {
    fn get(&mut self, identity: &Arc<PeerIdentity>) -> Peer {
        if let Some((known, peer)) = &self.last
            && Arc::ptr_eq(known, identity)
        {
            return peer.clone();
        }
        let names = identity.names.iter();
        let names = names.filter_map(|name| MemberName::try_from(name.as_slice()).ok()).collect();
        let peer = Peer { address: identity.address, names };
        self.last = Some((Arc::clone(identity), peer.clone()));
        peer
    }
}

fn stream_failure(error: &StreamError) -> StreamFailure {
    match error {
        StreamError::TimedOut => StreamFailure::TimedOut,
        StreamError::Refused(_) => StreamFailure::Refused,
        StreamError::NameMismatch => StreamFailure::PeerMismatch,
        StreamError::Reset(_) => StreamFailure::Reset,
        StreamError::Unreachable | StreamError::Closed | StreamError::Unavailable | _ => {
            StreamFailure::Closed
        }
    }
}

//! One member: the membership machine and the QUIC endpoint, joined.
//!
//! What one says is carried to the other until both are quiet. No IO: the driver owns the socket
//! and the clock.

mod commands;
mod dials;
mod endpoint_events;
mod hook_events;
mod pending_dials;
mod pending_operations;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use quic_net::{CloseReason, Endpoint, PeerIdentity, Protocol};
use swim_core::{
    AcknowledgementId, DeliveryStatus, Member, MemberName, Membership, MembershipEvent, Output,
    TransportAdapter,
};

use crate::address_watch::AddressChange;
use crate::application::StreamRouter;
use crate::cluster_event::{Event, RawDatagram, StopReason};
use crate::delayed_tasks::{DelayedTask, DelayedTasks};
use crate::hook_link::HookLink;
use crate::host_watch::HostWatch;
use crate::live_identity::LiveIdentity;
use crate::members::{Members, PublishedMembers};
use crate::receiver::Feed;
use crate::standing_seeds::StandingSeeds;
use crate::subscribers::{Offer, Subscribers};
use crate::transport::{Clock, EndpointTransport, Peers};
use crate::warnings::Warnings;
use pending_operations::PendingOperations;

/// How long after its start a member greets Go peers, and when it repeats the greeting.
const GREETING_PERIOD: Duration = Duration::from_secs(60);
const SECOND_GREETING: Duration = Duration::from_millis(100);
/// How long connections stay open after a leave has ended, for peers that still ask.
const LINGER_AFTER_LEAVE: Duration = Duration::from_secs(1);

/// What handles and driver thread share about one node.
#[derive(Default)]
pub(crate) struct Shared {
    /// The members as of the last turn that changed something.
    pub(crate) members: ArcSwap<Members>,
    pub(crate) subscribers: Subscribers,
    /// The node exists no more: nobody will change what is shown here.
    pub(crate) stopped: AtomicBool,
    /// The last handle is gone: stop hosting, send nothing.
    pub(crate) abandoned: AtomicBool,
    /// Given where the application has hooks.
    pub(crate) hook_link: OnceLock<Arc<HookLink>>,
    /// Somebody asked for a polite end, until this moment. No queue is in its way.
    close_deadline: Mutex<Option<Instant>>,
}

impl Shared {
    pub(crate) fn with_subscribers(subscribers: Subscribers) -> Self {
        Self { subscribers, ..Self::default() }
    }

    /// Asks for a polite end; of several deadlines the earliest counts.
    pub(crate) fn close_until(&self, deadline: Instant) {
        let mut asked = self.close_deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = Some(asked.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    /// Until when a polite end may take, if one was asked for.
    pub(crate) fn close_deadline(&self) -> Option<Instant> {
        *self.close_deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Datagrams that are not QUIC, and who takes them.
#[derive(Default)]
struct RawDatagrams {
    listener: Option<Feed<RawDatagram>>,
    /// Those that nobody took.
    dropped: u64,
}

/// What a node is made of.
pub(crate) struct NodeParts {
    pub(crate) membership: Membership,
    pub(crate) endpoint: Endpoint,
    pub(crate) identity: LiveIdentity,
    pub(crate) seeds: StandingSeeds,
    pub(crate) applications: StreamRouter,
    pub(crate) shared: Arc<Shared>,
    pub(crate) host: HostWatch,
}

/// A membership machine and its endpoint.
pub(crate) struct Node {
    membership: Membership,
    endpoint: Endpoint,
    adapter: TransportAdapter,
    clock: Clock,
    host: HostWatch,
    identity: LiveIdentity,
    seeds: StandingSeeds,
    shared: Arc<Shared>,
    applications: StreamRouter,
    peers: Peers,
    raw: RawDatagrams,
    operations: PendingOperations,
    events: Vec<Event>,
    warnings: Warnings,
    published: PublishedMembers,
    delayed_tasks: DelayedTasks,
}

impl Node {
    pub(crate) fn new(parts: NodeParts, origin: Instant) -> Self {
        let NodeParts { membership, endpoint, identity, seeds, applications, shared, host } = parts;
        let mut node = Self {
            membership,
            endpoint,
            adapter: TransportAdapter::default(),
            clock: Clock::starting_at(origin),
            host,
            identity,
            seeds,
            shared,
            applications,
            peers: Peers::default(),
            raw: RawDatagrams::default(),
            operations: PendingOperations::default(),
            events: Vec::new(),
            warnings: Warnings::default(),
            published: PublishedMembers::default(),
            delayed_tasks: DelayedTasks::default(),
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
        let machine = [self.membership.poll_timeout(), self.adapter.poll_timeout()];
        let machine = machine.into_iter().flatten().min().map(|time| self.clock.instant(time));
        let identity = Some(self.identity.due());
        let watches = [self.delayed_tasks.next(), self.host.due(), identity, self.operations.due()];
        [machine, self.endpoint.poll_timeout()].into_iter().chain(watches).flatten().min()
    }

    /// Everything that a turn does between reading and writing the socket.
    pub(crate) fn turn(&mut self, now: Instant) {
        let time = self.clock.time(now);
        if let Some(seeds) = self.seeds.changed(&mut self.events) {
            self.membership.set_seeds(seeds, time);
            self.settle(now);
        }
        self.endpoint.handle_timeout(now);
        self.settle(now);
        self.applications.turn(&mut self.endpoint);
        self.events.extend(self.identity.reload(&mut self.endpoint, now));
        self.events.extend(self.identity.look(&mut self.endpoint, now));
        self.settle(now);
        if let Some(away) = self.host.take_suspension() {
            self.membership.handle_resumed(away, time);
            self.settle(now);
        }
        if let Some(change) = self.host.look(self.membership.local().address(), now) {
            self.address_changed(change, now);
        }
        if self.membership.poll_timeout().is_some_and(|due| due <= time) {
            self.membership.handle_timeout(time);
            self.settle(now);
        }
        let mut transport = EndpointTransport::new(&mut self.endpoint, self.clock);
        self.adapter.handle_timeout(&self.membership, &mut transport, time);
        self.operations.handle_timeout(now);
        while let Some(task) = self.delayed_tasks.take_due(now) {
            self.run(task, now);
            self.settle(now);
        }
        self.report_hooks(now);
        self.publish();
    }

    /// Moves everything between the two machines until both are quiet.
    fn settle(&mut self, now: Instant) {
        let time = self.clock.time(now);
        let mut transport = EndpointTransport::new(&mut self.endpoint, self.clock);
        self.adapter.perform(&mut self.membership, &mut transport, time);
        loop {
            while let Some(output) = self.adapter.poll_output() {
                self.handle_output(output, now);
            }
            let Some(event) = self.endpoint.poll_event() else {
                break;
            };
            self.handle_endpoint_event(event, now);
        }
    }

    /// What the machine has for the application.
    fn handle_output(&mut self, output: Output, now: Instant) {
        match output {
            Output::ResolveSeeds => self.seeds.resolve(),
            Output::Finished { operation, outcome } => {
                if self.operations.leaving.take_if(|leaving| *leaving == operation).is_some() {
                    self.delayed_tasks.add(now + LINGER_AFTER_LEAVE, DelayedTask::CloseAll);
                }
                if let Some(address) = self.operations.finish(operation, outcome) {
                    // A join is tried once; only what was set as a seed stands.
                    self.membership.forget_joined(address);
                }
            }
            Output::Event(MembershipEvent::Warning { kind, address, detail }) => {
                self.warn(kind.to_string(), format!("{address}: {detail}"), now);
            }
            Output::Event(event @ MembershipEvent::Message { acknowledgement: Some(id), .. }) => {
                self.offer(event, id, now)
            }
            Output::Event(event) => {
                if let MembershipEvent::Joined(member) = &event {
                    self.on_joined(member, now);
                }
                self.events.extend(Event::from_core(event));
            }
            Output::Packet { .. }
            | Output::OpenStream { .. }
            | Output::WriteStream { .. }
            | Output::CloseStream { .. }
            | Output::ResetStream { .. }
            | Output::ForgetPeer { .. } => {
                debug_assert!(false, "the adapter performs this itself: {output:?}");
            }
        }
    }

    /// Hands a reliable message to every subscription, or to none; its sender learns which. What
    /// happened before is delivered before.
    fn offer(&mut self, event: MembershipEvent, id: AcknowledgementId, now: Instant) {
        self.publish();
        let Some(event) = Event::from_core(event) else {
            return debug_assert!(false, "every message is an event");
        };
        let status = match self.shared.subscribers.offer(&event) {
            Offer::Taken => DeliveryStatus::Taken,
            Offer::NoRoom => DeliveryStatus::Busy,
            Offer::NobodySubscribed => DeliveryStatus::NoReceiver,
        };
        let time = self.clock.time(now);
        self.membership.acknowledge(id, status, time);
        self.perform(time);
    }

    /// The announced address is no longer one of this machine's.
    fn address_changed(&mut self, change: AddressChange, now: Instant) {
        let old = self.membership.local().address();
        let detail = match change {
            AddressChange::Announce(address) => {
                // After a leave there is nothing to announce.
                if self.set_advertise(address, now).is_err() {
                    return;
                }
                self.settle(now);
                format!("this machine is no longer at {old}: {address} is announced from here on")
            }
            AddressChange::Lost => format!(
                "this machine is no longer at {old}, which is announced: call set_advertise with \
                 the address at which others reach it; a socket bound to {old} needs a restart"
            ),
        };
        self.warn("address changed".to_owned(), detail, now);
    }

    /// What was put off until now.
    fn run(&mut self, task: DelayedTask, now: Instant) {
        match task {
            DelayedTask::Greet(name) => {
                // The round-trip time is nobody's concern, and neither is a failure.
                let _ = self.membership.ping(&name, self.clock.time(now));
            }
            DelayedTask::CloseAll => {
                for connection in self.endpoint.connections() {
                    self.endpoint.close(connection.peer.address, CloseReason::Requested, now);
                }
            }
        }
    }

    /// A member appeared, perhaps over a connection that is there already.
    fn on_joined(&mut self, member: &Member, now: Instant) {
        self.endpoint.set_peer_name(member.address(), member.name().as_bytes());
        if let Some(peer) = self.endpoint.peer(member.address()) {
            self.greet_if_go(member.name(), &peer, now);
        }
    }

    /// After a restart, a Go peer goes on using its connection to the process that was. Its ack
    /// to our first ping goes there and provokes a stateless reset; the second one makes it dial
    /// us. Not at a first start: each ack takes updates along, and Go transmits an update only
    /// a few times, so that others would not hear of us.
    fn greet_if_go(&mut self, name: &MemberName, peer: &PeerIdentity, now: Instant) {
        let young = self.clock.age(now) < GREETING_PERIOD;
        let returning = young && self.membership.is_returning();
        if returning && peer.protocol == Protocol::Classic {
            self.delayed_tasks.add(now, DelayedTask::Greet(name.clone()));
            self.delayed_tasks.add(now + SECOND_GREETING, DelayedTask::Greet(name.clone()));
        }
    }

    fn warn(&mut self, what: String, detail: String, now: Instant) {
        self.events.extend(self.warnings.raise(what, detail, now));
    }

    /// Shows the world what this turn changed: the snapshot first, so that whoever hears of a
    /// member finds it there.
    fn publish(&mut self) {
        let members = self.published.update(&mut self.membership);
        let changed = members.is_some();
        if !changed && self.events.is_empty() && !self.shared.subscribers.owes_notice() {
            return;
        }
        let show = || members.into_iter().for_each(|all| self.shared.members.store(Arc::new(all)));
        self.shared.subscribers.deliver(show, &self.events);
        self.events.clear();
    }

    /// Ends what handles see of this node. Only the first reason counts.
    pub(crate) fn stop(&self, reason: &StopReason) {
        self.shared.stopped.store(true, Ordering::Release);
        self.shared.subscribers.close(reason);
    }
}

/// Subscriptions end with the node they came from, whatever ended it.
impl Drop for Node {
    fn drop(&mut self) {
        self.stop(&StopReason::DriverEnded);
    }
}

//! The thread that runs nodes: one poll, one clock read a turn, one socket per node.
//!
//! A turn is: commands, socket, endpoint and membership, timers, socket. Of the application's code
//! only the hooks of the membership run here, which must not block.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use quic_net::{EventLoop, LoopWaker, SocketId};

use crate::answer::{Answer, GiveUps, Reply, answer};
use crate::cluster_event::StopReason;
use crate::command::Command;
use crate::command_queue::{CommandInlet, CommandOutlet, command_queue};
use crate::deadline::{become_driver_thread, may_wait};
use crate::error::{CommandError, DriverError, StartError};
use crate::node::{Node, Shared};
use crate::receiver::{self, Feed, Incoming};

/// Commands of one node that are carried out in a turn, and the bytes of their payloads. The rest
/// waits for the next turn, so that a busy caller delays neither a probe nor another node.
const COMMANDS_PER_TURN: usize = 256;
const COMMAND_BYTES_PER_TURN: usize = 256 << 10;

/// A thread that can host many clusters' members: for tests, benchmarks and services with many
/// tenants. A cluster started without one gets a thread of its own.
///
/// The thread ends once the last `Driver` handle and the last cluster on it are gone.
#[derive(Clone)]
pub struct Driver {
    nodes: Sender<NewNode>,
    waker: Arc<LoopWaker>,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}

impl Driver {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// [`DriverError`] when the operating system refuses a poll or a thread.
    ///
    /// ```
    /// # use swim_quic::{Cluster, Driver, DriverError};
    /// let driver = Driver::start()?;
    /// let tenants = ["tenant-a", "tenant-b"].map(|name| Cluster::builder(name).driver(&driver));
    /// # Ok::<(), DriverError>(())
    /// ```
    pub fn start() -> Result<Self, DriverError> {
        let event_loop = EventLoop::new().map_err(DriverError::Poll)?;
        // Each that is in it has a thread that waits: that is bound enough. A bounded channel takes
        // the memory for all its places at once.
        let (nodes, new_nodes) = unbounded();
        let waker = event_loop.waker();
        let thread = DriverThread { event_loop, new_nodes, hosted: Vec::new() };
        std::thread::Builder::new()
            .name("swim-quic".into())
            .spawn(move || {
                become_driver_thread();
                thread.run();
            })
            .map_err(DriverError::Thread)?;
        Ok(Self { nodes, waker })
    }

    /// Wakes the thread, without keeping it from ending.
    pub(crate) fn waker(&self) -> Arc<LoopWaker> {
        Arc::clone(&self.waker)
    }

    /// Binds a socket, makes a node on it and hosts it from here on. Waits until that is done.
    pub(crate) fn host(
        &self,
        bind: SocketAddr,
        shared: Arc<Shared>,
        make: MakeNode,
    ) -> Result<CommandSender, StartError> {
        may_wait()?;
        let (queue, commands) = command_queue();
        let (lives, ended) = receiver::bounded(0);
        let (reply, hosted) = bounded(1);
        let give_ups = GiveUps::new(self.waker());
        let new =
            NewNode { bind, make, commands, give_ups: Arc::clone(&give_ups), shared, lives, reply };
        self.nodes.send(new).map_err(|_| CommandError::Closed)?;
        let waker = self.waker();
        let sender = CommandSender { queue, ended, give_ups, waker };
        sender.wake();
        hosted.recv().map_err(|_| CommandError::Closed)??;
        Ok(sender)
    }
}

/// Makes a node once its socket is bound and its real port known.
pub(crate) type MakeNode = Box<dyn FnOnce(SocketAddr, Instant) -> Result<Node, StartError> + Send>;

/// A node that a driver thread is to host.
struct NewNode {
    bind: SocketAddr,
    make: MakeNode,
    commands: CommandOutlet,
    give_ups: Arc<GiveUps>,
    shared: Arc<Shared>,
    lives: Feed<Never>,
    reply: Sender<Result<(), StartError>>,
}

/// Nothing is ever sent: a channel of it only ends.
enum Never {}

/// The way to one node on a driver thread.
pub(crate) struct CommandSender {
    queue: CommandInlet,
    ended: Incoming<Never>,
    give_ups: Arc<GiveUps>,
    waker: Arc<LoopWaker>,
}

impl CommandSender {
    /// Queues a command and wakes the driver. Never waits.
    pub(crate) fn send(&self, command: Command) -> Result<(), CommandError> {
        let queued = self.queue.push(command);
        self.wake();
        queued
    }

    /// Queues a command that is answered.
    pub(crate) fn ask<T>(
        &self,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<Answer<T>, CommandError> {
        let (reply, answered) = answer(Some(Arc::clone(&self.give_ups)));
        self.send(command(reply))?;
        Ok(answered)
    }

    /// Bytes of payloads that wait for the driver.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Makes the driver run a turn.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("the driver thread cannot be woken: {error}");
        }
    }

    /// Returns when the node is gone and its port free, at `deadline` at the latest; at once on a
    /// driver thread, which would wait for itself.
    pub(crate) fn wait_for_end(&self, deadline: Instant) {
        if may_wait().is_ok() {
            let _ = self.ended.recv_deadline(deadline);
        }
    }

    /// Ready when the node is gone and its port free.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.recv_async().await;
    }
}

struct DriverThread {
    event_loop: EventLoop,
    new_nodes: Receiver<NewNode>,
    /// Each in a box of its own: a list of several KiB a place would move them when it grows, and
    /// have as many places unused as there are nodes.
    hosted: Vec<Box<Hosted>>,
}

/// A node with its socket. The fields are dropped in this order.
struct Hosted {
    node: Node,
    socket: SocketId,
    commands: CommandOutlet,
    give_ups: Arc<GiveUps>,
    shared: Arc<Shared>,
    /// Until when its connections may take to close.
    closing: Option<Instant>,
    /// When its next turn is due.
    due: Option<Instant>,
    panicked: bool,
    /// Ends with the node: who waits for its end waits for this.
    _lives: Feed<Never>,
}

impl DriverThread {
    fn run(mut self) {
        loop {
            if self.hosted.is_empty() {
                match self.new_nodes.recv() {
                    Ok(new) => self.host(new, now()),
                    Err(_) => return,
                }
            }
            let deadline = self.hosted.iter().filter_map(|hosted| hosted.due).min();
            let now = match self.event_loop.wait(deadline) {
                Ok(now) => now,
                Err(error) => {
                    log::error!("the driver thread cannot wait for its sockets: {error}");
                    return;
                }
            };
            while let Ok(new) = self.new_nodes.try_recv() {
                self.host(new, now);
            }
            for hosted in &mut self.hosted {
                // The waker does not say whom it is for.
                let is_asked = self.event_loop.take_ready(hosted.socket)
                    || self.event_loop.was_woken()
                    || hosted.due.is_some_and(|due| due <= now);
                if !is_asked {
                    continue;
                }
                let turn = || hosted.turn(&mut self.event_loop, now);
                // What the panic left half done is not used again, except by the node's end.
                if catch_unwind(AssertUnwindSafe(turn)).is_err() {
                    log::error!("the code of a member panicked: this member ends");
                    hosted.panicked = true;
                }
            }
            self.retire(now);
        }
    }

    fn host(&mut self, new: NewNode, now: Instant) {
        let NewNode { bind, make, commands, give_ups, shared, lives, reply } = new;
        let bound = self.event_loop.bind(bind);
        let (socket, local) = match bound {
            Ok(bound) => bound,
            Err(source) => {
                let _ = reply.send(Err(StartError::Socket { address: bind, source }));
                return;
            }
        };
        match catch_unwind(AssertUnwindSafe(|| make(local, now))) {
            Ok(Ok(node)) => {
                self.hosted.push(Box::new(Hosted {
                    node,
                    socket,
                    commands,
                    give_ups,
                    shared,
                    closing: None,
                    due: Some(now),
                    panicked: false,
                    _lives: lives,
                }));
                let _ = reply.send(Ok(()));
            }
            Ok(Err(error)) => {
                self.event_loop.remove(socket);
                let _ = reply.send(Err(error));
            }
            // The end of the reply says it.
            Err(_) => self.event_loop.remove(socket),
        }
    }

    /// Lets go of nodes whose handles are gone, that have closed or that panicked.
    fn retire(&mut self, now: Instant) {
        for hosted in self.hosted.extract_if(.., |hosted| hosted.end(now).is_some()) {
            let reason = hosted.end(now).unwrap_or(StopReason::Closed);
            self.event_loop.remove(hosted.socket);
            let end = || {
                hosted.node.stop(&reason);
                drop(hosted);
            };
            if catch_unwind(AssertUnwindSafe(end)).is_err() {
                log::error!("the end of a member panicked");
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no turn whose time a first node could take"
)]
fn now() -> Instant {
    Instant::now()
}

/// While the kernel has no room for datagrams, turns that are due at once would follow each other
/// without an end: they wait until the socket is writable, or for a few milliseconds.
fn next_turn(due: Option<Instant>, is_blocked: bool, now: Instant) -> Option<Instant> {
    if is_blocked {
        Some(due.map_or(now + BLOCKED_WAIT, |due| due.max(now + BLOCKED_WAIT)))
    } else {
        due
    }
}

/// The kernel frees its buffer at the speed of the network card: a megabyte in 8 ms at 1 Gbit/s.
const BLOCKED_WAIT: Duration = Duration::from_millis(10);

impl Hosted {
    fn turn(&mut self, event_loop: &mut EventLoop, now: Instant) {
        if self.panicked {
            return;
        }
        if !self.carry_out_commands(now) {
            // No wake-up will come for what is queued already.
            if let Err(error) = event_loop.waker().wake() {
                log::error!("the driver thread cannot wake itself: {error}");
            }
        }
        if self.give_ups.take() {
            self.node.forget_given_up();
        }
        self.close_if_asked(now);
        let received = event_loop.receive(self.socket, self.node.endpoint_mut(), now);
        self.node.turn(now);
        let flushed = event_loop.flush(self.socket, self.node.endpoint_mut(), now);
        // Both report only what is wrong with the socket itself, never a peer's fault; the next
        // turn tries again, and the probes show who can still be reached.
        for error in [received.err(), flushed.err()].into_iter().flatten() {
            log::warn!("socket of this member: {error}");
        }
        let due = [self.node.poll_timeout(), self.closing].into_iter().flatten().min();
        self.due = next_turn(due, event_loop.is_blocked(self.socket), now);
    }

    /// Whether all that was queued is done; if not, the rest waits for the next turn.
    fn carry_out_commands(&mut self, now: Instant) -> bool {
        let mut bytes = 0;
        for _ in 0..COMMANDS_PER_TURN {
            let Some(command) = self.commands.pop() else { return true };
            bytes += command.payload_len();
            self.node.command(command, now);
            if bytes >= COMMAND_BYTES_PER_TURN {
                break;
            }
        }
        self.commands.is_empty()
    }

    fn close_if_asked(&mut self, now: Instant) {
        let asked = self.shared.close_deadline();
        if let Some(deadline) = asked
            && self.closing.is_none_or(|closing| deadline < closing)
        {
            self.node.endpoint_mut().shutdown(deadline, now);
            self.closing = Some(deadline);
        }
    }

    /// Why this node is to be hosted no longer.
    fn end(&self, now: Instant) -> Option<StopReason> {
        let closed = |deadline: Instant| deadline <= now || self.node.endpoint_is_closed();
        if self.panicked {
            Some(StopReason::Panicked)
        } else if self.closing.is_some_and(closed) {
            Some(StopReason::Closed)
        } else if self.node.is_abandoned() {
            Some(StopReason::Dropped)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use certs::{Authority, Identity};
    use quic_net::{Endpoint, EndpointConfig};
    use swim_core::{Config, Hooks, LocalMember, Member, MemberName, Membership, RngSeed, Time};

    use super::*;
    use crate::application::StreamRouter;
    use crate::cluster_event::Event;
    use crate::command_queue::COMMANDS;
    use crate::deadline::wait_until;
    use crate::host_watch::HostWatch;
    use crate::live_identity::LiveIdentity;
    use crate::node::NodeParts;
    use crate::protocol::{CLASSIC_PROTOCOL, EXTENDED_PROTOCOL};
    use crate::reach::Reach;
    use crate::standing_seeds::StandingSeeds;

    const PATIENCE: Duration = Duration::from_secs(30);
    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn a_turn_waits_while_the_kernel_has_no_room() {
        let now = now();
        let soon = now + Duration::from_millis(10);
        assert_eq!(next_turn(Some(now), true, now), Some(soon));
        assert_eq!(next_turn(None, true, now), Some(soon));
        assert_eq!(next_turn(Some(now + DAY), true, now), Some(now + DAY));
        assert_eq!(next_turn(Some(now), false, now), Some(now));
        assert_eq!(next_turn(None, false, now), None);
    }

    struct Panics;

    impl Hooks for Panics {
        fn admit_member(&mut self, _: &Member) -> Result<(), String> {
            panic!("planted by the test");
        }
    }

    fn identity(authority: &Authority, name: &str) -> Identity {
        let issued = authority.issue(name, &[], DAY).unwrap();
        let parts = [authority.certificate_pem(), &issued.certificate_pem, &issued.key_pem];
        let [ca, certificate, key] = parts.map(str::as_bytes);
        Identity::from_pem(ca, certificate, key).unwrap()
    }

    /// Hosts a member that panics as soon as it hears of another one, or not at all.
    fn host(
        driver: &Driver,
        authority: &Authority,
        name: &'static str,
        panics: bool,
    ) -> (CommandSender, Arc<Shared>, SocketAddr) {
        let identity = identity(authority, name);
        let shared = Arc::<Shared>::default();
        let (node_shared, waker) = (Arc::clone(&shared), driver.waker());
        let (tell, address) = bounded(1);
        let make: MakeNode = Box::new(move |address, now| {
            let name = MemberName::try_from(name).unwrap();
            let trust = identity.trust();
            let tls = certs::tls_context(&identity, &trust).unwrap();
            let live = LiveIdentity::new(name.to_string(), identity, trust, now);
            let mut config = EndpointConfig::new(EXTENDED_PROTOCOL, CLASSIC_PROTOCOL, [1; 32]);
            config.name = name.as_bytes().to_vec();
            config.identify = live.identify();
            let endpoint = Endpoint::new(config, tls, now).unwrap();
            let me = LocalMember { name, address, meta: Vec::new() };
            let seed = RngSeed([2; 32]);
            let mut machine = Membership::new(Config::local(), me, seed, Time::ZERO).unwrap();
            if panics {
                machine.set_hooks(Box::new(Panics));
            }
            tell.send(address).unwrap();
            let applications = StreamRouter::new(Arc::clone(&waker));
            let seeds = StandingSeeds::new(Vec::new(), Reach::ANY, waker);
            let parts = NodeParts {
                membership: machine,
                endpoint,
                identity: live,
                seeds,
                applications,
                shared: node_shared,
                host: HostWatch::new(address),
            };
            Ok(Node::new(parts, now))
        });
        let sender = driver.host("127.0.0.1:0".parse().unwrap(), Arc::clone(&shared), make);
        (sender.unwrap(), shared, address.recv().unwrap())
    }

    fn answers(node: &CommandSender) -> bool {
        let asked = node.ask(|reply| Command::Stats { reply });
        asked.is_ok_and(|asked| matches!(wait_until(asked, deadline()), Some(Ok(_))))
    }

    #[test]
    fn a_panic_in_one_node_ends_that_node_only() {
        let driver = Driver::start().unwrap();
        let authority = Authority::generate("test", DAY).unwrap();
        let (bad, bad_shared, address) = host(&driver, &authority, "bad", true);
        let events = bad_shared.subscribers.add();
        let (good, good_shared, _) = host(&driver, &authority, "good", false);
        let join = Command::Join { address, name: None, reply: answer(None).0 };
        good.send(join).unwrap();
        let last = std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok()).last();
        assert!(matches!(last, Some(Event::Stopped { reason: StopReason::Panicked })), "{last:?}");
        bad.wait_for_end(deadline());
        assert!(!answers(&bad), "its callers do not wait for ever");
        assert!(answers(&good) && !good_shared.stopped.load(Ordering::Acquire));
        let (late, ..) = host(&driver, &authority, "late", false);
        assert!(answers(&late), "the thread takes new nodes");
    }

    #[test]
    fn a_node_closes_though_its_queue_is_full_and_the_others_have_queues_of_their_own() {
        let driver = Driver::start().unwrap();
        let authority = Authority::generate("test", DAY).unwrap();
        let (busy, busy_shared, _) = host(&driver, &authority, "busy", false);
        let (other, ..) = host(&driver, &authority, "other", false);
        // The thread stands still while it makes a node.
        let (go_on, stands_still) = bounded::<()>(0);
        let (reached, reaches) = bounded(1);
        let stopper = driver.clone();
        let standstill = std::thread::spawn(move || {
            let make: MakeNode = Box::new(move |_, _| {
                reached.send(()).unwrap();
                let _ = stands_still.recv();
                Err(StartError::Randomness)
            });
            stopper.host("127.0.0.1:0".parse().unwrap(), Arc::default(), make).err()
        });
        reaches.recv_timeout(PATIENCE).unwrap();
        let stats = || Command::Stats { reply: answer(None).0 };
        for _ in 0..COMMANDS {
            busy.send(stats()).unwrap();
        }
        assert_eq!(busy.send(stats()), Err(CommandError::Busy));
        assert_eq!(other.send(stats()), Ok(()), "its queue is not the busy one's");
        busy_shared.close_until(deadline());
        busy.wake();
        drop(go_on);
        assert!(matches!(standstill.join().unwrap(), Some(StartError::Randomness)));
        busy.wait_for_end(deadline());
        assert!(busy_shared.stopped.load(Ordering::Acquire));
        assert_eq!(busy.send(stats()), Err(CommandError::Closed));
        assert!(answers(&other));
    }

    #[expect(clippy::disallowed_methods, reason = "tests with a thread wait in real time")]
    fn deadline() -> Instant {
        Instant::now() + PATIENCE
    }
}

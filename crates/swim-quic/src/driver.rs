//! The thread that runs nodes: one poll, one clock read a turn, one socket per node.
//!
//! A turn is: commands, socket, endpoint and membership, timers, socket. Of the application's code
//! only the hooks of the membership run here, which must not block.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use quic_net::{EventLoop, LoopWaker, SocketId};

use crate::cluster_event::StopReason;
use crate::command::Command;
use crate::error::{CommandError, DriverError, StartError};
use crate::node::Node;

/// Commands that can wait for one driver thread; beyond it callers get [`CommandError::Busy`].
const COMMAND_QUEUE: usize = 1_024;

/// Commands taken in one turn; the rest wait so that a busy caller cannot delay a probe.
const COMMANDS_PER_TURN: usize = 256;

/// A thread that can host many clusters' members: for tests, benchmarks and services with many
/// tenants. A cluster started without one gets a thread of its own.
///
/// The thread ends once the last `Driver` handle and the last cluster on it are gone.
#[derive(Clone)]
pub struct Driver {
    sender: CommandSender,
    next_node: Arc<AtomicU64>,
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
    pub fn start() -> Result<Self, DriverError> {
        let event_loop = EventLoop::new().map_err(DriverError::Poll)?;
        let (queue, messages) = bounded(COMMAND_QUEUE);
        let sender = CommandSender::new(queue, event_loop.waker());
        let thread = DriverThread { event_loop, messages, hosted: BTreeMap::new() };
        std::thread::Builder::new()
            .name("swim-quic".into())
            .spawn(move || thread.run())
            .map_err(DriverError::Thread)?;
        Ok(Self { sender, next_node: Arc::default() })
    }

    pub(crate) fn sender(&self) -> &CommandSender {
        &self.sender
    }

    pub(crate) fn next_node(&self) -> NodeId {
        NodeId(self.next_node.fetch_add(1, Ordering::Relaxed))
    }
}

/// One node on a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(u64);

/// Makes a node once its socket is bound and its real port known.
pub(crate) type MakeNode = Box<dyn FnOnce(SocketAddr, Instant) -> Result<Node, StartError> + Send>;

/// Something for the driver thread.
pub(crate) enum Message {
    /// Bind a socket and host a node on it from here on.
    Host { id: NodeId, bind: SocketAddr, make: MakeNode, reply: Sender<Result<(), StartError>> },
    /// A command for one node.
    Node(NodeId, Command),
    /// Close a node's connections politely, then stop hosting it.
    Close { id: NodeId, deadline: Instant, reply: Sender<()> },
}

/// The way to a driver thread.
#[derive(Clone)]
pub(crate) struct CommandSender {
    queue: Sender<Message>,
    waker: Arc<LoopWaker>,
}

impl CommandSender {
    fn new(queue: Sender<Message>, waker: Arc<LoopWaker>) -> Self {
        Self { queue, waker }
    }

    /// Queues a message and wakes the driver. Never waits.
    pub(crate) fn send(&self, message: Message) -> Result<(), CommandError> {
        let queued = self.queue.try_send(message).map_err(|error| match error {
            TrySendError::Full(_) => CommandError::Busy,
            TrySendError::Disconnected(_) => CommandError::Closed,
        });
        self.wake();
        queued
    }

    /// Makes the driver run a turn.
    pub(crate) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            log::error!("the driver thread cannot be woken: {error}");
        }
    }

    /// The waker alone, for threads that must not keep the queue open.
    pub(crate) fn waker(&self) -> Arc<LoopWaker> {
        Arc::clone(&self.waker)
    }
}

struct DriverThread {
    event_loop: EventLoop,
    messages: Receiver<Message>,
    hosted: BTreeMap<NodeId, Hosted>,
}

struct Hosted {
    node: Node,
    socket: SocketId,
    closing: Option<(Instant, Sender<()>)>,
}

impl DriverThread {
    fn run(mut self) {
        loop {
            let first = if self.hosted.is_empty() {
                match self.messages.recv() {
                    Ok(message) => Some(message),
                    Err(_) => return,
                }
            } else {
                None
            };
            let deadline = self.hosted.values().filter_map(Hosted::deadline).min();
            let now = match self.event_loop.wait(deadline) {
                Ok(now) => now,
                Err(error) => {
                    log::error!("the driver thread cannot wait for its sockets: {error}");
                    return;
                }
            };
            self.take_messages(first, now);
            for hosted in self.hosted.values_mut() {
                hosted.turn(&mut self.event_loop, now);
            }
            self.retire(now);
        }
    }

    fn take_messages(&mut self, first: Option<Message>, now: Instant) {
        let more = COMMANDS_PER_TURN - usize::from(first.is_some());
        let messages: Vec<Message> =
            first.into_iter().chain(self.messages.try_iter().take(more)).collect();
        if messages.len() == COMMANDS_PER_TURN {
            // There may be more, and no wake-up will come for what is already queued.
            if let Err(error) = self.event_loop.waker().wake() {
                log::error!("the driver thread cannot wake itself: {error}");
            }
        }
        for message in messages {
            match message {
                Message::Host { id, bind, make, reply } => {
                    let _ = reply.send(self.host(id, bind, make, now));
                }
                Message::Node(id, command) => {
                    if let Some(hosted) = self.hosted.get_mut(&id) {
                        hosted.node.command(command, now);
                    }
                }
                Message::Close { id, deadline, reply } => {
                    if let Some(hosted) = self.hosted.get_mut(&id) {
                        hosted.node.endpoint_mut().shutdown(deadline, now);
                        hosted.closing = Some((deadline, reply));
                    }
                }
            }
        }
    }

    fn host(
        &mut self,
        id: NodeId,
        bind: SocketAddr,
        make: MakeNode,
        now: Instant,
    ) -> Result<(), StartError> {
        let (socket, local) = self
            .event_loop
            .bind(bind)
            .map_err(|source| StartError::Socket { address: bind, source })?;
        match make(local, now) {
            Ok(node) => {
                self.hosted.insert(id, Hosted { node, socket, closing: None });
                Ok(())
            }
            Err(error) => {
                self.event_loop.remove(socket);
                Err(error)
            }
        }
    }

    /// Lets go of nodes whose handles are gone or that have closed.
    fn retire(&mut self, now: Instant) {
        let event_loop = &mut self.event_loop;
        self.hosted.retain(|_, hosted| {
            let reason = if hosted.has_closed(now) {
                StopReason::Closed
            } else if hosted.node.is_abandoned() {
                StopReason::Dropped
            } else {
                return true;
            };
            hosted.node.stop(&reason);
            event_loop.remove(hosted.socket);
            false
        });
    }
}

impl Hosted {
    fn deadline(&self) -> Option<Instant> {
        let closing = self.closing.as_ref().map(|(deadline, _)| *deadline);
        [self.node.poll_timeout(), closing].into_iter().flatten().min()
    }

    fn turn(&mut self, event_loop: &mut EventLoop, now: Instant) {
        let received = event_loop.receive(self.socket, self.node.endpoint_mut(), now);
        self.node.turn(now);
        let flushed = event_loop.flush(self.socket, self.node.endpoint_mut(), now);
        // Both report only what is wrong with the socket itself, never a peer's fault; the next
        // turn tries again, and the probes show who can still be reached.
        for error in [received.err(), flushed.err()].into_iter().flatten() {
            log::warn!("socket of this member: {error}");
        }
    }

    fn has_closed(&self, now: Instant) -> bool {
        self.closing
            .as_ref()
            .is_some_and(|(deadline, _)| *deadline <= now || self.node.endpoint_is_closed())
    }
}

//! What a handle asks of its node on the driver thread, and the way there.
//!
//! Commands go through one bounded queue per driver and wake its thread; answers come back
//! through a channel that each command brings along. Decides nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use quic_net::LoopWaker;
use swim_core::{MemberName, Outcome, SecretKey};

use crate::application::{IncomingDatagram, IncomingStream, OpenReply};
use crate::error::{CommandError, OpenStreamError, StartError};
use crate::event::{Connection, Stats};
use crate::node::Node;
use crate::pool::ConnectError;
use crate::raw::RawDatagram;

/// Commands that can wait for one driver thread; beyond it callers get [`CommandError::Busy`].
pub(crate) const COMMAND_QUEUE: usize = 1_024;

/// One node on a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u64);

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

/// What is to happen to an encryption key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyChange {
    Add,
    Use,
    Remove,
}

/// Something for one node.
pub(crate) enum Command {
    /// One push-pull with this address.
    Join {
        address: SocketAddr,
        name: Option<MemberName>,
        reply: Sender<Outcome>,
    },
    Leave {
        reply: Sender<Outcome>,
    },
    SetMeta {
        meta: Vec<u8>,
        reply: Sender<Result<(), String>>,
    },
    Keys {
        reply: Sender<Vec<SecretKey>>,
    },
    ChangeKeys {
        change: KeyChange,
        key: SecretKey,
        reply: Sender<Result<(), String>>,
    },
    Send {
        to: MemberName,
        payload: Vec<u8>,
        reply: Sender<Result<(), String>>,
    },
    SendReliable {
        to: MemberName,
        payload: Vec<u8>,
        timeout: Duration,
        reply: Sender<Outcome>,
    },
    Broadcast {
        payload: Vec<u8>,
        reply: Sender<Result<(), String>>,
    },
    Ping {
        to: MemberName,
        reply: Sender<Outcome>,
    },
    Stats {
        reply: Sender<Stats>,
    },
    Connections {
        reply: Sender<Vec<Connection>>,
    },
    Connection {
        member: MemberName,
        reply: Sender<Result<Option<Connection>, ConnectError>>,
    },
    Connect {
        member: MemberName,
        reply: Sender<Result<Connection, ConnectError>>,
    },
    Disconnect {
        member: MemberName,
        reply: Sender<Result<usize, ConnectError>>,
    },
    ListenRaw {
        reply: Sender<Receiver<RawDatagram>>,
    },
    SendRaw {
        to: SocketAddr,
        payload: Vec<u8>,
        reply: Sender<bool>,
    },
    OpenStream {
        to: MemberName,
        protocol: String,
        deadline: Instant,
        reply: Sender<OpenReply>,
    },
    Listen {
        protocol: String,
        reply: Sender<Receiver<IncomingStream>>,
    },
    SendDatagram {
        to: MemberName,
        protocol: String,
        payload: Vec<u8>,
        reply: Sender<Result<(), OpenStreamError>>,
    },
    ListenDatagrams {
        protocol: String,
        reply: Sender<Receiver<IncomingDatagram>>,
    },
}

/// The way to a driver thread.
#[derive(Clone)]
pub(crate) struct CommandSender {
    queue: Sender<Message>,
    waker: Arc<LoopWaker>,
}

impl CommandSender {
    pub(crate) fn new(queue: Sender<Message>, waker: Arc<LoopWaker>) -> Self {
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

/// Waits for a command's answer. `None`: not in time.
pub(crate) fn answer<T>(
    receiver: &Receiver<T>,
    timeout: Duration,
) -> Result<Option<T>, CommandError> {
    match receiver.recv_timeout(timeout) {
        Ok(value) => Ok(Some(value)),
        Err(crossbeam_channel::RecvTimeoutError::Timeout) => Ok(None),
        Err(crossbeam_channel::RecvTimeoutError::Disconnected) => Err(CommandError::Closed),
    }
}

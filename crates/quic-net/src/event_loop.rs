//! Where a driver thread sleeps: one poll, one waker, any number of UDP sockets.
//!
//! The receive buffers are here, so that many endpoints share them. How much socket work fits into
//! a turn is bounded in `socket.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};

use crate::endpoint::Endpoint;
use crate::socket::{ReceiveBuffers, SCRATCH, Socket, SocketProgress};

/// The sockets and the sleep of one driver thread.
///
/// A turn is: [`wait`](Self::wait), then [`receive`](Self::receive) for each socket, the due
/// timers and commands, then [`flush`](Self::flush) for each socket. Work is bounded in each
/// turn; what is left makes the next `wait` return at once. Where nothing is due for a socket,
/// [`take_ready`](Self::take_ready) says whether it may be left out.
pub struct EventLoop {
    poll: Poll,
    events: Events,
    waker: Arc<LoopWaker>,
    sockets: BTreeMap<usize, Socket>,
    next: usize,
    buffers: ReceiveBuffers,
    scratch: Vec<u8>,
    more: bool,
    woken: bool,
}

impl EventLoop {
    /// A loop without sockets.
    ///
    /// # Errors
    /// The operating system gives no poll or waker: as a rule, too many descriptors are open.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            waker: Arc::new(LoopWaker { waker }),
            sockets: BTreeMap::new(),
            next: 0,
            buffers: ReceiveBuffers::new(),
            scratch: vec![0; SCRATCH],
            more: false,
            woken: false,
        })
    }

    /// The handle with which other threads end a [`wait`](Self::wait).
    pub fn waker(&self) -> Arc<LoopWaker> {
        Arc::clone(&self.waker)
    }

    /// Binds a UDP socket and returns it with its actual address (port 0 asks for any).
    ///
    /// # Errors
    /// What the operating system says: the port is taken, the address is not this machine's.
    pub fn bind(&mut self, address: SocketAddr) -> io::Result<(SocketId, SocketAddr)> {
        let mut socket = Socket::bind(address)?;
        let id = self.next;
        self.poll.registry().register(
            socket.source_mut(),
            Token(id),
            Interest::READABLE | Interest::WRITABLE,
        )?;
        let address = socket.address();
        self.next += 1;
        self.sockets.insert(id, socket);
        Ok((SocketId(id), address))
    }

    /// Closes a socket.
    pub fn remove(&mut self, socket: SocketId) {
        if let Some(mut socket) = self.sockets.remove(&socket.0)
            && let Err(error) = self.poll.registry().deregister(socket.source_mut())
        {
            log::debug!("cannot deregister a socket: {error}");
        }
    }

    /// Sleeps until a socket is ready, the waker is used, or `deadline` has come (`None`: no
    /// deadline), and returns the time. Returns at once if the previous turn left work.
    ///
    /// # Errors
    /// The poll itself failed; an interrupted sleep only ends early.
    #[expect(clippy::disallowed_methods, reason = "the loop is where the clock is read")]
    pub fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Instant> {
        self.woken = false;
        let timeout = if std::mem::take(&mut self.more) {
            Some(Duration::ZERO)
        } else {
            deadline.map(|deadline| {
                deadline.saturating_duration_since(Instant::now()).min(LONGEST_SLEEP)
            })
        };
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(Instant::now()),
            Err(error) => return Err(error),
        }
        for event in &self.events {
            self.woken |= event.token() == WAKER;
            if let Some(socket) = self.sockets.get_mut(&event.token().0) {
                // An error of the socket is read like a datagram.
                socket.note_ready(event.is_readable() || event.is_error());
            }
        }
        Ok(Instant::now())
    }

    /// Whether the [`LoopWaker`] has ended the last [`wait`](Self::wait): what for is not known
    /// here, it may be for any of the sockets.
    pub fn was_woken(&self) -> bool {
        self.woken
    }

    /// Whether a socket has become readable or writable, or had work left, since this was last
    /// asked.
    pub fn take_ready(&mut self, socket: SocketId) -> bool {
        self.sockets.get_mut(&socket.0).is_some_and(Socket::take_ready)
    }

    /// Hands a bounded number of received datagrams to `endpoint`: 8 batches of at most 32 buffers.
    ///
    /// # Errors
    /// The socket itself failed; ICMP errors that concern a peer are no errors here.
    pub fn receive(
        &mut self,
        socket: SocketId,
        endpoint: &mut Endpoint,
        now: Instant,
    ) -> io::Result<()> {
        let Some(socket) = self.sockets.get_mut(&socket.0) else {
            return Ok(());
        };
        // Readiness is reported once: what was not read must be remembered here.
        if socket.is_readable()
            && socket.receive(&mut self.buffers, endpoint, now)? == SocketProgress::More
        {
            socket.note_ready(true);
            self.more = true;
        }
        Ok(())
    }

    /// Whether datagrams wait for room in the kernel: there is no use in a turn before the socket
    /// is writable, which ends a [`wait`](Self::wait), or some milliseconds have passed.
    pub fn is_blocked(&self, socket: SocketId) -> bool {
        self.sockets.get(&socket.0).is_some_and(Socket::is_blocked)
    }

    /// Sends a bounded number of datagrams for `endpoint`: 256 transmits. When the kernel has no
    /// room, the rest waits until it has.
    ///
    /// # Errors
    /// None at present: a datagram that the kernel refuses is lost, and counted and reported by the
    /// endpoint.
    pub fn flush(
        &mut self,
        socket: SocketId,
        endpoint: &mut Endpoint,
        now: Instant,
    ) -> io::Result<()> {
        let Some(socket) = self.sockets.get_mut(&socket.0) else {
            return Ok(());
        };
        if socket.flush(&mut self.scratch, endpoint, now)? == SocketProgress::More {
            socket.note_ready(false);
            self.more = true;
        }
        Ok(())
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EventLoop")
            .field("sockets", &self.sockets.len())
            .field("more", &self.more)
            .finish_non_exhaustive()
    }
}

/// Ends the sleep of an [`EventLoop`] from any thread.
pub struct LoopWaker {
    waker: Waker,
}

impl LoopWaker {
    /// Makes the current or next [`EventLoop::wait`] return.
    ///
    /// # Errors
    /// What the operating system says; the loop may go on sleeping.
    pub fn wake(&self) -> io::Result<()> {
        self.waker.wake()
    }
}

impl fmt::Debug for LoopWaker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("LoopWaker").finish_non_exhaustive()
    }
}

/// One socket of an [`EventLoop`]; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(usize);

const WAKER: Token = Token(usize::MAX);

/// The kernel counts a sleep in milliseconds of 31 bits: a longer one would wrap around.
const LONGEST_SLEEP: Duration = Duration::from_secs(86_400);

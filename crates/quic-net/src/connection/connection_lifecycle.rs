//! How long a connection lives: when it was last used, whether its peer still answers, and when it
//! makes way for another one.

use std::time::{Duration, Instant};

use crate::limits::Limits;
use crate::reason::CloseReason;

/// The ages of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionLifecycle {
    /// When the handshake began.
    born: Instant,
    /// When a packet or stream payload last went either way.
    last_payload: Instant,
    /// Since when nothing has arrived although something was sent.
    unanswered_since: Option<Instant>,
    retirement: Option<Retirement>,
    next_keep_alive: Option<Instant>,
    /// Its number in the order in which the endpoint's connections were confirmed; 0 before.
    confirmation: u64,
    /// The application waits for the confirmation.
    awaited: bool,
    /// Begun with another certificate of ours than the one in use.
    outdated: bool,
}

/// A connection that is not used for sending any more.
#[derive(Clone, Debug)]
struct Retirement {
    reason: CloseReason,
    close_at: Instant,
}

impl ConnectionLifecycle {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            born: now,
            last_payload: now,
            unanswered_since: None,
            retirement: None,
            next_keep_alive: None,
            confirmation: 0,
            awaited: false,
            outdated: false,
        }
    }

    pub(crate) fn born(&self) -> Instant {
        self.born
    }

    pub(crate) fn last_payload(&self) -> Instant {
        self.last_payload
    }

    pub(crate) fn confirmation(&self) -> u64 {
        self.confirmation
    }

    pub(crate) fn is_awaited(&self) -> bool {
        self.awaited
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retirement.is_some()
    }

    pub(crate) fn is_outdated(&self) -> bool {
        self.outdated
    }

    /// Our certificate has changed.
    pub(crate) fn note_outdated(&mut self) {
        self.outdated = true;
    }

    /// Whether a payload ever went either way.
    pub(crate) fn was_used(&self) -> bool {
        self.last_payload > self.born
    }

    /// The connection is the endpoint's `number`th to be confirmed, from 1.
    pub(crate) fn note_confirmation(&mut self, number: u64) {
        self.confirmation = number;
    }

    /// Notes whether the application waits for the confirmation.
    pub(crate) fn set_awaited(&mut self, awaited: bool) {
        self.awaited = awaited;
    }

    /// Anything arrived. A connection that was given up for its silence is used again.
    pub(crate) fn note_received(&mut self) {
        self.unanswered_since = None;
        if self.retirement.as_ref().is_some_and(|retired| retired.reason == CloseReason::TimedOut) {
            self.retirement = None;
        }
    }

    /// A packet or stream payload arrived or was read.
    pub(crate) fn note_payload(&mut self, now: Instant) {
        self.last_payload = now;
    }

    /// A packet or stream payload was sent.
    pub(crate) fn note_sent(&mut self, now: Instant) {
        self.last_payload = now;
        self.expect_answer(now);
    }

    /// Something was asked of the peer.
    pub(crate) fn expect_answer(&mut self, now: Instant) {
        self.unanswered_since.get_or_insert(now);
    }

    /// Whether everything has gone unanswered for too long.
    pub(crate) fn is_stalled(&self, limits: &Limits, now: Instant) -> bool {
        self.unanswered_since
            .is_some_and(|since| now.saturating_duration_since(since) > limits.stall_timeout)
    }

    /// Uses the connection for nothing new, and closes it at `close_at`. The first retirement
    /// counts; whether this one is.
    pub(crate) fn retire(&mut self, reason: CloseReason, close_at: Instant) -> bool {
        let is_first = self.retirement.is_none();
        self.retirement.get_or_insert(Retirement { reason, close_at });
        is_first
    }

    /// The end of a retired connection, if it has come. One with open streams stays for as long as
    /// they carry something within each `stall`.
    pub(crate) fn overdue(
        &self,
        has_streams: bool,
        stall: Duration,
        now: Instant,
    ) -> Option<CloseReason> {
        let retired = self.retirement.as_ref()?;
        (now >= self.end_of(retired, has_streams, stall)).then(|| retired.reason.clone())
    }

    fn end_of(&self, retired: &Retirement, has_streams: bool, stall: Duration) -> Instant {
        match has_streams {
            true => retired.close_at.max(self.last_payload + stall),
            false => retired.close_at,
        }
    }

    /// Whether a keep-alive is due, and from now on when the next one is.
    pub(crate) fn take_keep_alive(&mut self, period: Duration, now: Instant) -> bool {
        if period.is_zero() || self.next_keep_alive.is_some_and(|next| now < next) {
            return false;
        }
        self.next_keep_alive.replace(now + period).is_some()
    }

    /// The next moment at which something is due.
    pub(crate) fn due(&self, has_streams: bool, stall: Duration) -> Option<Instant> {
        let retired = self.retirement.as_ref();
        let retired = retired.map(|retired| self.end_of(retired, has_streams, stall));
        [retired, self.next_keep_alive].into_iter().flatten().min()
    }
}

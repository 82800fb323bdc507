//! Whose turn it is: which connections have something to send, and which are due.
//!
//! Each connection sends at most its share of packets in a turn, so that a bulk transfer leaves the
//! others their latency.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Instant;

use crate::connection_key::ConnectionKey;

/// The send queue and the timers of all connections.
#[derive(Default)]
pub(crate) struct Scheduler {
    /// Superseded timers stay until their time; a connection's true one is in its entry.
    timers: BinaryHeap<Reverse<(Instant, ConnectionKey)>>,
    /// Connections that may have something to send.
    sending: VecDeque<ConnectionKey>,
    /// Connections that have sent their share of this turn.
    deferred: VecDeque<ConnectionKey>,
    turn: u64,
    /// By the index of the connection's key.
    entries: Vec<ScheduleEntry>,
}

#[derive(Clone, Copy, Debug, Default)]
struct ScheduleEntry {
    generation: u32,
    /// When the connection's timer fires.
    armed: Option<Instant>,
    /// In one of the two queues.
    is_queued: bool,
    /// The turn in which the connection has sent `packets`.
    turn: u64,
    packets: usize,
}

impl Scheduler {
    /// Queues a connection for sending, unless it is queued already.
    pub(crate) fn wake(&mut self, key: ConnectionKey) {
        if let Some(entry) = self.entry_mut(key)
            && !entry.is_queued
        {
            entry.is_queued = true;
            self.sending.push_back(key);
        }
    }

    /// Whether a connection waits to send.
    pub(crate) fn is_queued(&self, key: ConnectionKey) -> bool {
        self.entry(key).is_some_and(|entry| entry.is_queued)
    }

    /// Whether any connection waits to send.
    pub(crate) fn has_senders(&self) -> bool {
        !self.sending.is_empty()
    }

    /// The next connection to send, and how many packets are left of its `share` of this turn.
    /// After it has sent, call [`note_sent`](Self::note_sent).
    pub(crate) fn next_sender(&mut self, share: usize) -> Option<(ConnectionKey, usize)> {
        let key = self.sending.pop_front()?;
        let turn = self.turn;
        let sent = self.entry_mut(key).map_or(0, |entry| {
            if entry.turn != turn {
                (entry.turn, entry.packets) = (turn, 0);
            }
            entry.packets
        });
        Some((key, share.saturating_sub(sent)))
    }

    /// A connection has sent, and may have `more`; then it is queued again, for the next turn if
    /// its share is used up.
    pub(crate) fn note_sent(
        &mut self,
        key: ConnectionKey,
        packets: usize,
        more: bool,
        share: usize,
    ) {
        let Some(entry) = self.entry_mut(key) else { return };
        entry.packets += packets;
        entry.is_queued = more;
        if more {
            let has_share = entry.packets < share;
            let queue = if has_share { &mut self.sending } else { &mut self.deferred };
            queue.push_back(key);
        }
    }

    /// Everybody has sent: the next turn begins with those that have more.
    pub(crate) fn end_turn(&mut self) {
        self.turn += 1;
        std::mem::swap(&mut self.sending, &mut self.deferred);
    }

    /// Makes sure that a connection's timer fires by `due`. If it fires too early, the connection
    /// is to be armed again. `connections` is how many there are.
    pub(crate) fn arm(&mut self, key: ConnectionKey, due: Instant, connections: usize) {
        let Some(entry) = self.entry_mut(key) else { return };
        if entry.armed.is_none_or(|armed| due < armed) {
            entry.armed = Some(due);
            self.timers.push(Reverse((due, key)));
        }
        // A busy connection leaves many superseded timers.
        if self.timers.len() > 64 + 4 * connections {
            let mut timers = std::mem::take(&mut self.timers);
            timers.retain(|Reverse((due, key))| self.is_armed(*key, *due));
            self.timers = timers;
        }
    }

    /// The next connection whose timer fires by `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<ConnectionKey> {
        while let Some(&Reverse((due, key))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            if self.is_armed(key, due)
                && let Some(entry) = self.entry_mut(key)
            {
                entry.armed = None;
                return Some(key);
            }
        }
        None
    }

    /// When the first timer fires, or a superseded one.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((due, _))| *due)
    }

    /// The connection is gone.
    pub(crate) fn forget(&mut self, key: ConnectionKey) {
        if let Some(entry) = self.entry_mut(key) {
            *entry = ScheduleEntry { generation: key.generation(), ..ScheduleEntry::default() };
        }
    }

    fn is_armed(&self, key: ConnectionKey, due: Instant) -> bool {
        self.entry(key).is_some_and(|entry| entry.armed == Some(due))
    }

    fn entry(&self, key: ConnectionKey) -> Option<&ScheduleEntry> {
        let entry = self.entries.get(usize::try_from(key.index()).ok()?)?;
        Some(entry).filter(|entry| entry.generation == key.generation())
    }

    /// The entry of a connection; `None` if a later one has taken its place.
    fn entry_mut(&mut self, key: ConnectionKey) -> Option<&mut ScheduleEntry> {
        let index = usize::try_from(key.index()).ok()?;
        if self.entries.len() <= index {
            self.entries.resize(index + 1, ScheduleEntry::default());
        }
        let entry = self.entries.get_mut(index)?;
        let ahead = key.generation().wrapping_sub(entry.generation);
        if ahead > u32::MAX / 2 {
            return None;
        }
        if ahead > 0 {
            *entry = ScheduleEntry { generation: key.generation(), ..ScheduleEntry::default() };
        }
        Some(entry)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests {
    use std::time::Duration;

    use super::*;

    const SHARE: usize = 4;

    fn keys() -> [ConnectionKey; 2] {
        [ConnectionKey::new(0, 0), ConnectionKey::new(1, 0)]
    }

    #[test]
    fn connection_that_has_sent_its_share_waits_for_the_next_turn() {
        let mut scheduler = Scheduler::default();
        let [bulk, quick] = keys();
        scheduler.wake(bulk);
        scheduler.wake(bulk);
        scheduler.wake(quick);
        assert_eq!(scheduler.next_sender(SHARE), Some((bulk, 4)));
        scheduler.note_sent(bulk, 3, true, SHARE);
        assert_eq!(scheduler.next_sender(SHARE), Some((quick, 4)));
        scheduler.note_sent(quick, 1, false, SHARE);
        assert_eq!(scheduler.next_sender(SHARE), Some((bulk, 1)));
        scheduler.note_sent(bulk, 1, true, SHARE);
        assert_eq!(scheduler.next_sender(SHARE), None, "queued once, and deferred");
        assert!(scheduler.is_queued(bulk) && !scheduler.is_queued(quick));
        scheduler.end_turn();
        assert_eq!(scheduler.next_sender(SHARE), Some((bulk, 4)));
    }

    #[test]
    fn earliest_timer_of_a_connection_counts_and_those_of_the_gone_do_not() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut scheduler = Scheduler::default();
        let [first, second] = keys();
        for seconds in [9, 5, 7] {
            scheduler.arm(first, at(seconds), 2);
        }
        scheduler.arm(second, at(6), 2);
        assert_eq!(scheduler.next_timer(), Some(at(5)));
        assert_eq!(scheduler.pop_due(at(4)), None);
        assert_eq!(scheduler.pop_due(at(10)), Some(first));
        scheduler.forget(second);
        let later = ConnectionKey::new(second.index(), 1);
        scheduler.arm(later, at(8), 2);
        assert_eq!(scheduler.pop_due(at(10)), Some(later), "not the one that is gone");
        assert_eq!(scheduler.pop_due(at(10)), None, "a connection fires once");
        scheduler.wake(second);
        assert!(!scheduler.has_senders(), "the slot belongs to a later connection");
    }

    #[test]
    fn superseded_timers_do_not_pile_up() {
        let start = Instant::now();
        let mut scheduler = Scheduler::default();
        let [key, _] = keys();
        for step in (0..10_000).rev() {
            scheduler.arm(key, start + Duration::from_millis(step), 1);
            assert!(scheduler.timers.len() <= 64 + 4 + 1);
        }
        assert_eq!(scheduler.next_timer(), Some(start));
    }
}

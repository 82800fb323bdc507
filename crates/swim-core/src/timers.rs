//! The machine's deadlines: at most one for each timer.
//!
//! At equal times they are due in the order of [`Timer`], so that a seed replays.

use std::collections::{BTreeMap, BTreeSet};

use crate::member_index::MemberIndex;
use crate::output::StreamId;
use crate::time::Time;

/// What is due. The order is that of handling at equal times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The ack of a ping that is not the probe round's did not arrive in time.
    PendingAck(u32),
    /// The probe of a member goes on to its next phase, or has failed.
    ProbePhase(MemberIndex),
    /// A suspect is told for the last time that it is one.
    SuspicionNotice(MemberIndex),
    /// A suspicion was not refuted in time.
    Suspicion(MemberIndex),
    /// A suspect whose host refused us and others is probed once more.
    Refusal(MemberIndex),
    /// The places of a claimed name have had time to answer.
    AddressClaim(MemberIndex),
    /// The next turn in the dispute about our own name.
    Relocation,
    /// A stream that the remote opened has taken too long.
    Stream(StreamId),
    /// Something is due for a peer that we send reliable messages to.
    Reliable(u64),
    /// The members told of our leave had time enough to acknowledge it.
    Leave,
    /// Our turn to probe a member that we watch.
    Watch(MemberIndex),
    /// Whom we watch may have changed.
    Ranks,
    /// The next probe round.
    Probe,
    /// The next gossip round.
    Gossip,
    /// The next periodic full exchange.
    PushPull,
    /// The next round of joining seeds.
    Bootstrap,
    /// Who is live has stood still for long enough.
    StableView,
}

/// All deadlines; one for each timer, so bounded by what has timers: members, streams, pings.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Time, Timer)>,
    at: BTreeMap<Timer, Time>,
}

impl Timers {
    /// Replaces the timer's deadline.
    pub(crate) fn set(&mut self, timer: Timer, at: Time) {
        if let Some(before) = self.at.insert(timer, at) {
            self.due.remove(&(before, timer));
        }
        self.due.insert((at, timer));
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.due.remove(&(at, timer));
        }
    }

    /// Sets every timer that passes and is due before `earliest` to it.
    pub(crate) fn postpone(&mut self, earliest: Time, passes: impl Fn(&Timer) -> bool) {
        let early = self.due.iter().take_while(|(at, _)| *at < earliest);
        let early: Vec<Timer> = early.map(|(_, timer)| *timer).filter(passes).collect();
        for timer in early {
            self.set(timer, earliest);
        }
    }

    pub(crate) fn at(&self, timer: Timer) -> Option<Time> {
        self.at.get(&timer).copied()
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes the first timer that is due, with the time it was set to.
    pub(crate) fn pop(&mut self, now: Time) -> Option<(Time, Timer)> {
        let first = *self.due.first()?;
        if first.0 > now {
            return None;
        }
        self.due.remove(&first);
        self.at.remove(&first.1);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_due_in_order_and_only_once() {
        let mut timers = Timers::default();
        let at = Time::from_micros;
        timers.set(Timer::Gossip, at(20));
        timers.set(Timer::Probe, at(30));
        timers.set(Timer::ProbePhase(MemberIndex::ME), at(30));
        timers.set(Timer::Gossip, at(10));
        timers.set(Timer::Bootstrap, at(5));
        timers.clear(Timer::Bootstrap);

        assert_eq!((timers.next(), timers.at(Timer::Gossip)), (Some(at(10)), Some(at(10))));
        assert_eq!(timers.pop(at(9)), None);
        assert_eq!(timers.pop(at(30)), Some((at(10), Timer::Gossip)));
        assert_eq!(timers.pop(at(30)), Some((at(30), Timer::ProbePhase(MemberIndex::ME))));
        assert_eq!(timers.pop(at(30)), Some((at(30), Timer::Probe)));
        assert_eq!((timers.pop(at(30)), timers.next()), (None, None));
    }
}

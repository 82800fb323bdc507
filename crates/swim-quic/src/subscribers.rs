//! Fan-out of events: every subscriber has its own bounded queue and none can slow the cluster.
//!
//! A slow subscriber misses events and is told how many. Delivery never blocks, and never drops a
//! subscriber that still listens.

use std::sync::{Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};

use crate::cluster_event::Event;

/// Events one subscriber can be behind before it starts to miss some.
pub(crate) const SUBSCRIBER_QUEUE: usize = 4_096;

/// The subscribers of one cluster handle.
#[derive(Default)]
pub(crate) struct Subscribers {
    list: Mutex<Vec<Subscriber>>,
}

struct Subscriber {
    sender: Sender<Event>,
    missed: u64,
}

impl Subscribers {
    /// A new subscription; it sees every event delivered from here on.
    pub(crate) fn add(&self) -> Receiver<Event> {
        let (sender, receiver) = bounded(SUBSCRIBER_QUEUE);
        self.lock().push(Subscriber { sender, missed: 0 });
        receiver
    }

    /// Hands `events` to every subscriber, in order. Those who stopped listening are forgotten.
    pub(crate) fn deliver(&self, events: &[Event]) {
        self.lock().retain_mut(|subscriber| subscriber.offer(events));
    }

    /// Whether somebody has missed events and does not know it yet.
    pub(crate) fn owes_notice(&self) -> bool {
        self.lock().iter().any(|subscriber| subscriber.missed > 0)
    }

    /// Ends every subscription: receivers see the channel closed once they have read the rest.
    pub(crate) fn close(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Subscriber>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    fn offer(&mut self, events: &[Event]) -> bool {
        if self.missed > 0 {
            match self.sender.try_send(Event::Lagged { missed: self.missed }) {
                Ok(()) => self.missed = 0,
                Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        for event in events {
            // An event after a gap would hide the gap: the notice goes first.
            if self.missed > 0 {
                self.missed += 1;
                continue;
            }
            match self.sender.try_send(event.clone()) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => self.missed = 1,
                Err(TrySendError::Disconnected(_)) => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(missed: u64) -> Event {
        Event::Lagged { missed }
    }

    fn number(event: Event) -> u64 {
        let Event::Lagged { missed } = event else { panic!("only numbered events here") };
        missed
    }

    #[test]
    fn everybody_gets_everything_in_order() {
        let subscribers = Subscribers::default();
        let (ada, bob) = (subscribers.add(), subscribers.add());
        subscribers.deliver(&[numbered(10), numbered(11)]);
        for receiver in [ada, bob] {
            assert_eq!(receiver.try_iter().map(number).collect::<Vec<_>>(), [10, 11]);
        }
    }

    #[test]
    fn the_slow_one_is_told_how_many_it_missed_and_others_miss_none() {
        let subscribers = Subscribers::default();
        let slow = subscribers.add();
        let total = SUBSCRIBER_QUEUE as u64 + 5;
        let mut quick = Vec::new();
        let fast = subscribers.add();
        for index in 0..total {
            subscribers.deliver(&[numbered(1_000_000 + index)]);
            quick.extend(fast.try_iter().map(number));
        }
        assert_eq!(quick.len() as u64, total);
        assert!(subscribers.owes_notice());
        assert_eq!(slow.try_iter().count(), SUBSCRIBER_QUEUE);
        subscribers.deliver(&[numbered(77)]);
        assert_eq!(slow.try_iter().map(number).collect::<Vec<_>>(), [5, 77]);
        assert!(!subscribers.owes_notice());
    }

    #[test]
    fn who_stopped_listening_is_forgotten() {
        let subscribers = Subscribers::default();
        drop(subscribers.add());
        let stays = subscribers.add();
        subscribers.deliver(&[numbered(1)]);
        assert_eq!(subscribers.lock().len(), 1);
        subscribers.close();
        assert_eq!(stays.iter().count(), 1);
    }
}

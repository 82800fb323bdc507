//! Fan-out of events: every subscription has its own bounded queue and none can slow the cluster.
//!
//! A slow subscriber misses events and is told how many. Delivery never blocks, and it wakes tasks
//! with no lock held. Each kind of event
//! has room of its own in a queue, so that unread messages never cost a membership event.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cluster_event::{Event, EventKind, StopReason};
use crate::receiver::{Feed, Incoming, unbounded};
use crate::wakers::wake;

/// Warnings and reports of seeds that a subscriber may leave unread. They come at most once a
/// second and kind, so that this is minutes of the worst.
const NOTICES: usize = 1_024;

/// How far a subscriber may be behind before it misses events; each subscription has this much.
///
/// Memory is taken for what waits only: about 80 bytes an event, and the bytes of the messages,
/// which all subscriptions share. An idle subscription holds less than 4 KiB.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionLimits {
    /// Events about members that may wait, default 16,384. Raise it to several times the number
    /// of members: the first exchange of a newcomer brings one event for each of them at once.
    pub membership_events: usize,
    /// Messages and application states of peers that may wait, default 4,096.
    pub messages: usize,
    /// Bytes of these messages and states, default 16 MiB. A longer one is taken when no other
    /// waits. Raise it where bursts of long messages are normal; lower it on small machines.
    pub message_bytes: usize,
}

impl Default for SubscriptionLimits {
    fn default() -> Self {
        Self { membership_events: 16_384, messages: 4_096, message_bytes: 16 << 20 }
    }
}

/// The events of a member, in the order in which they happened.
///
/// By the time an event about a member comes, [`Cluster::members`](crate::Cluster::members) shows
/// what it tells, or something later. Of one member the events come in the order in which its
/// states followed each other, and a message after what happened to the member before the message
/// arrived. A gap is never silent: [`Event::Lagged`] stands where events were missed.
///
/// Clones share one queue: each event goes to one of them. The queue is freed when the last clone
/// is dropped. It ends with the member, after [`Event::Stopped`]; one that is made later has ended
/// already.
///
/// ```no_run
/// # use swim_quic::{Cluster, Event};
/// # fn example(cluster: &Cluster) {
/// for event in cluster.subscribe() {
///     match event {
///         Event::Joined(member) => println!("{} is at {}", member.name(), member.address()),
///         Event::Stopped { reason } => println!("the end: {reason}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
pub type Subscription = Incoming<Event>;

/// Takes the subscription off the list when the last clone goes.
struct Registration {
    list: Arc<Mutex<List>>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let removed = lock(&self.list).subscribers.remove(&self.number);
        drop(removed);
    }
}

/// What became of an event that all subscriptions had to take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// Every subscription has it.
    Taken,
    /// At least one has no room: none has it.
    NoRoom,
    /// There is no subscription.
    NobodySubscribed,
}

/// The subscriptions of one member.
#[derive(Default)]
pub(crate) struct Subscribers {
    list: Arc<Mutex<List>>,
}

#[derive(Default)]
struct List {
    subscribers: BTreeMap<u64, Subscriber>,
    added: u64,
    limits: SubscriptionLimits,
    closed: bool,
}

impl Subscribers {
    /// None yet; each will have this much room.
    pub(crate) fn with_limits(limits: SubscriptionLimits) -> Self {
        Self { list: Arc::new(Mutex::new(List { limits, ..List::default() })) }
    }

    /// Changes the room of all subscriptions, those that exist included.
    pub(crate) fn set_limits(&self, limits: SubscriptionLimits) {
        lock(&self.list).limits = limits;
    }

    pub(crate) fn limits(&self) -> SubscriptionLimits {
        lock(&self.list).limits
    }

    /// A new subscription; it sees every event delivered from here on.
    pub(crate) fn add(&self) -> Subscription {
        self.add_with(|| ()).1
    }

    /// A new subscription, and what `look` returns at the same moment: no event is delivered
    /// between the two.
    pub(crate) fn add_with<T>(&self, look: impl FnOnce() -> T) -> (T, Subscription) {
        let (feed, incoming) = unbounded();
        let mut list = lock(&self.list);
        list.added += 1;
        let number = list.added;
        if !list.closed {
            list.subscribers.insert(number, Subscriber::new(feed));
        }
        let seen = look();
        drop(list);
        let registration = Arc::new(Registration { list: Arc::clone(&self.list), number });
        (seen, incoming.owning(registration))
    }

    /// Publishes a snapshot, then hands `events` to every subscriber, in order.
    pub(crate) fn deliver(&self, publish: impl FnOnce(), events: &[Event]) {
        let mut list = lock(&self.list);
        publish();
        let limits = list.limits;
        let mut wakers = Vec::new();
        for subscriber in list.subscribers.values_mut() {
            subscriber.deliver(events, &limits);
            wakers.extend(subscriber.feed.wakers());
        }
        drop(list);
        wakers.into_iter().for_each(wake);
    }

    /// Hands `event` to every subscription if all have room for it, else to none.
    pub(crate) fn offer(&self, event: &Event) -> Offer {
        let mut list = lock(&self.list);
        let limits = list.limits;
        if list.subscribers.is_empty() {
            return Offer::NobodySubscribed;
        }
        if !list.subscribers.values_mut().all(|subscriber| subscriber.has_room(event, &limits)) {
            return Offer::NoRoom;
        }
        let mut wakers = Vec::new();
        for subscriber in list.subscribers.values_mut() {
            subscriber.deliver(std::slice::from_ref(event), &limits);
            wakers.extend(subscriber.feed.wakers());
        }
        drop(list);
        wakers.into_iter().for_each(wake);
        Offer::Taken
    }

    /// Whether somebody has missed events and does not know it yet.
    pub(crate) fn owes_notice(&self) -> bool {
        lock(&self.list).subscribers.values().any(Subscriber::owes_notice)
    }

    /// Ends every subscription: each gets the reason as its last event, and those made from here
    /// on have ended already. Only the first call counts.
    pub(crate) fn close(&self, reason: &StopReason) {
        let mut list = lock(&self.list);
        list.closed = true;
        let ended = std::mem::take(&mut list.subscribers);
        drop(list);
        for (_, mut subscriber) in ended {
            subscriber.end(reason);
        }
    }
}

/// Subscriptions hold the list and would wait for ever.
impl Drop for Subscribers {
    fn drop(&mut self) {
        self.close(&StopReason::NotStarted);
    }
}

fn lock(list: &Mutex<List>) -> MutexGuard<'_, List> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The sending side of one subscription.
struct Subscriber {
    /// Unbounded by itself, so that it takes memory for what waits only; `usage` bounds it.
    feed: Feed<Event>,
    /// What waits in the channel, in its order: once the receiver took an event, its entry goes.
    waiting: VecDeque<Entry>,
    usage: [Usage; EventKind::COUNT],
}

/// One event in the channel.
struct Entry {
    kind: EventKind,
    bytes: usize,
}

/// What waits of one kind, and what was missed of it.
#[derive(Clone, Copy, Default)]
struct Usage {
    count: usize,
    bytes: usize,
    missed: u64,
}

impl Usage {
    fn admits(&self, kind: EventKind, bytes: usize, limits: &SubscriptionLimits) -> bool {
        match kind {
            EventKind::Membership => self.count < limits.membership_events,
            EventKind::Notice => self.count < NOTICES,
            EventKind::Message => {
                // The longest message must get through, however small the limit.
                let fits = self.bytes == 0 || self.bytes + bytes <= limits.message_bytes;
                self.count < limits.messages && fits
            }
        }
    }
}

impl Subscriber {
    fn new(feed: Feed<Event>) -> Self {
        Self { feed, waiting: VecDeque::new(), usage: Default::default() }
    }

    fn deliver(&mut self, events: &[Event], limits: &SubscriptionLimits) {
        self.forget_what_was_taken();
        for kind in EventKind::ALL {
            // At least one byte of room: else the notice would wait in front of the gap's end.
            if self.usage(kind).admits(kind, 1, limits) {
                self.report_missed(kind);
            }
        }
        for event in events {
            let (kind, bytes) = (event.kind(), event.payload_len());
            if self.usage(kind).admits(kind, bytes, limits) {
                self.report_missed(kind);
                self.push(event.clone(), kind, bytes);
            } else {
                self.usage(kind).missed += 1;
            }
        }
    }

    fn has_room(&mut self, event: &Event, limits: &SubscriptionLimits) -> bool {
        self.forget_what_was_taken();
        let kind = event.kind();
        self.usage(kind).admits(kind, event.payload_len(), limits)
    }

    fn owes_notice(&self) -> bool {
        self.usage.iter().any(|usage| usage.missed > 0)
    }

    /// An event after a gap would hide the gap: the notice goes first. It counts as one of its
    /// kind, so that there are never more notices than the kind has room.
    fn report_missed(&mut self, kind: EventKind) {
        let missed = std::mem::take(&mut self.usage(kind).missed);
        if missed > 0 {
            let messages = if kind == EventKind::Message { missed } else { 0 };
            self.push(Event::Lagged { missed, messages }, kind, 0);
        }
    }

    fn push(&mut self, event: Event, kind: EventKind, bytes: usize) {
        // The receiver goes together with this entry of the list, or a moment before.
        if self.feed.send_silently(event).is_ok() {
            let usage = self.usage(kind);
            usage.count += 1;
            usage.bytes += bytes;
            self.waiting.push_back(Entry { kind, bytes });
        }
    }

    /// What is gone from the channel was taken from its front.
    fn forget_what_was_taken(&mut self) {
        let unread = self.feed.len();
        while self.waiting.len() > unread {
            let Some(Entry { kind, bytes }) = self.waiting.pop_front() else { break };
            let usage = self.usage(kind);
            usage.count -= 1;
            usage.bytes -= bytes;
        }
        if self.waiting.is_empty() {
            // An idle subscription holds no memory of its busiest moment.
            self.waiting = VecDeque::new();
        }
    }

    /// Beyond every limit, since it is the last: what was missed, and why there is no more.
    fn end(&mut self, reason: &StopReason) {
        for kind in EventKind::ALL {
            self.report_missed(kind);
        }
        self.push(Event::Stopped { reason: reason.clone() }, EventKind::Notice, 0);
    }

    fn usage(&mut self, kind: EventKind) -> &mut Usage {
        let [membership, message, notice] = &mut self.usage;
        match kind {
            EventKind::Membership => membership,
            EventKind::Message => message,
            EventKind::Notice => notice,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Event {
        let address = "127.0.0.1:1".parse().unwrap();
        Event::Message { from: None, address, reliable: true, payload: vec![0; bytes].into() }
    }

    fn warning(count: u64) -> Event {
        Event::Warning { what: "test".into(), detail: String::new(), count }
    }

    /// An event of the membership kind, told from others by its port.
    fn conflict(port: u16) -> Event {
        let mut config = swim_core::Config::local();
        config.label = Vec::new();
        let name = swim_core::MemberName::try_from("ada").unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let me = swim_core::LocalMember { name, address, meta: Vec::new() };
        let seed = swim_core::RngSeed([0; 32]);
        let machine = swim_core::Membership::new(config, me, seed, swim_core::Time::ZERO).unwrap();
        Event::Conflict { member: machine.local(), other: ([127, 0, 0, 1], port).into() }
    }

    fn limits(membership_events: usize, messages: usize, message_bytes: usize) -> Subscribers {
        Subscribers::with_limits(SubscriptionLimits { membership_events, messages, message_bytes })
    }

    /// One letter for each event, with the count of what was missed.
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other event is shown as it is")]
    fn read(subscription: &Subscription) -> Vec<String> {
        let shown = subscription.try_iter().map(|event| match event {
            Event::Message { payload, .. } => format!("m{}", payload.len()),
            Event::Conflict { other, .. } => format!("c{}", other.port()),
            Event::Warning { count, .. } => format!("w{count}"),
            Event::Lagged { missed, messages } => format!("missed {missed}, messages {messages}"),
            Event::Stopped { .. } => "end".to_owned(),
            other => format!("{other:?}"),
        });
        shown.collect()
    }

    #[test]
    fn everybody_gets_everything_in_order() {
        let subscribers = Subscribers::default();
        let (ada, bob) = (subscribers.add(), subscribers.add());
        subscribers.deliver(|| (), &[message(1), conflict(2), warning(3), message(4)]);
        for subscription in [ada, bob] {
            assert_eq!(read(&subscription), ["m1", "c2", "w3", "m4"]);
        }
    }

    #[test]
    fn no_kind_of_event_pushes_out_another() {
        let subscribers = limits(2, 2, 1_000);
        let slow = subscribers.add();
        let warnings: Vec<Event> = (0..5_000).map(warning).collect();
        let messages: Vec<Event> = (0..5_000).map(message).collect();
        subscribers.deliver(|| (), &warnings);
        subscribers.deliver(|| (), &messages);
        subscribers.deliver(|| (), &[conflict(1), conflict(2), conflict(3)]);
        let read_first = read(&slow);
        assert_eq!(read_first[NOTICES..], ["m0", "m1", "c1", "c2"]);
        assert!(subscribers.owes_notice());
        subscribers.deliver(|| (), &[message(7), conflict(7), warning(7)]);
        let read_then = read(&slow);
        let missed = 5_000 - NOTICES;
        assert_eq!(read_then[0], "missed 1, messages 0");
        assert_eq!(read_then[1], "missed 4998, messages 4998");
        assert_eq!(read_then[2], format!("missed {missed}, messages 0"));
        // The notice takes a place of its kind: with two places one is left for an event.
        assert_eq!(read_then[3..], ["m7", "c7", "w7"]);
        assert!(!subscribers.owes_notice());
    }

    #[test]
    fn messages_are_bounded_in_bytes_and_the_longest_still_gets_through() {
        let subscribers = limits(2, 1_000, 100);
        let slow = subscribers.add();
        subscribers.deliver(|| (), &[message(60), message(40), message(1)]);
        assert_eq!(read(&slow), ["m60", "m40"]);
        subscribers.deliver(|| (), &[message(500)]);
        assert_eq!(read(&slow), ["missed 1, messages 1", "m500"]);
        subscribers.deliver(|| (), &[message(101), message(0)]);
        assert_eq!(read(&slow), ["m101"], "the empty one has no room beside it");
    }

    #[test]
    fn a_slow_reader_of_one_at_a_time_is_never_over_its_bound() {
        let subscribers = limits(4, 4, 1 << 20);
        let slow = subscribers.add();
        let mut seen = 0;
        for round in 0..1_000 {
            subscribers.deliver(|| (), &[message(1), message(2), conflict(1), conflict(2)]);
            assert!(slow.len() <= 8, "round {round}: {} wait", slow.len());
            for event in slow.try_iter().take(3) {
                seen += if let Event::Lagged { missed, .. } = event { missed } else { 1 };
            }
        }
        subscribers.close(&StopReason::Closed);
        seen += slow
            .try_iter()
            .map(|event| {
                if let Event::Lagged { missed, .. } = event {
                    return missed;
                }
                u64::from(!matches!(event, Event::Stopped { .. }))
            })
            .sum::<u64>();
        assert_eq!(seen, 4_000, "each event was read or counted as missed");
    }

    #[test]
    fn an_offer_is_taken_by_all_or_by_none() {
        let subscribers = limits(1, 2, 1_000);
        assert_eq!(subscribers.offer(&message(1)), Offer::NobodySubscribed);
        let (quick, slow) = (subscribers.add(), subscribers.add());
        assert_eq!(subscribers.offer(&message(1)), Offer::Taken);
        assert_eq!(read(&quick), ["m1"]);
        assert_eq!(subscribers.offer(&message(999)), Offer::Taken);
        assert_eq!(read(&quick), ["m999"]);
        assert_eq!(subscribers.offer(&message(3)), Offer::NoRoom);
        assert_eq!(read(&quick), [""; 0]);
        assert_eq!(slow.try_iter().count(), 2);
        assert_eq!(subscribers.offer(&message(4)), Offer::Taken);
        drop((quick, slow));
        assert_eq!(subscribers.offer(&message(5)), Offer::NobodySubscribed);
    }

    #[test]
    fn the_last_clone_takes_the_subscription_and_its_events_with_it() {
        let subscribers = Subscribers::default();
        let first = subscribers.add();
        let second = first.clone();
        let bytes: Arc<[u8]> = vec![0; 10].into();
        let address = "127.0.0.1:1".parse().unwrap();
        let payload = Arc::clone(&bytes);
        subscribers
            .deliver(|| (), &[Event::Message { from: None, address, reliable: true, payload }]);
        drop(first);
        assert_eq!(lock(&subscribers.list).subscribers.len(), 1);
        assert_eq!(Arc::strong_count(&bytes), 2);
        drop(second);
        assert!(lock(&subscribers.list).subscribers.is_empty());
        assert_eq!(Arc::strong_count(&bytes), 1);
    }

    #[test]
    fn the_end_is_the_last_event_and_who_comes_later_has_ended() {
        let subscribers = limits(1, 1, 1);
        let early = subscribers.add();
        subscribers.deliver(|| (), &[conflict(1), conflict(2)]);
        subscribers.close(&StopReason::Closed);
        subscribers.close(&StopReason::DriverEnded);
        assert_eq!(read(&early), ["c1", "missed 1, messages 0", "end"]);
        assert!(early.recv().is_err());
        assert!(subscribers.add().recv().is_err());
        let never_started = Subscribers::default();
        let waits = never_started.add();
        drop(never_started);
        assert!(matches!(waits.recv(), Ok(Event::Stopped { reason: StopReason::NotStarted })));
        assert!(waits.into_iter().next().is_none());
    }
}

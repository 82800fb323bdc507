//! What a subscription holds: next to nothing while it is idle, a bounded number of bytes while
//! its reader sleeps, and nothing once it is dropped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "nothing is heard here")]
mod common;
#[path = "common/heap.rs"]
mod heap;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake};
use std::time::Duration;

use common::{Participants, eventually};
use futures_core::Stream;
use swim_quic::{Config, Event, SendError};

const SUBSCRIPTIONS: i64 = 10_000;
const MOST_WHEN_IDLE: i64 = 4 << 10;
const SECOND: Duration = Duration::from_secs(1);
const MEGABYTE: usize = 1 << 20;
/// The default bound of a subscription, and room for what is on its way in transport and machine.
const MOST_FOR_A_SLEEPER: i64 = (16 << 20) + (24 << 20);

/// Counts who holds it.
struct Counted;

impl Wake for Counted {
    fn wake(self: Arc<Self>) {}
}

/// One test, since the heap of the whole process is counted.
#[test]
fn subscriptions_hold_little_when_idle_a_bound_when_unread_and_nothing_when_dropped() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();

    let before = heap::held();
    let idle: Vec<_> = (0..SUBSCRIPTIONS).map(|_| ada.subscribe()).collect();
    let each = (heap::held() - before) / SUBSCRIPTIONS;
    assert!(each <= MOST_WHEN_IDLE, "{each} bytes for an idle subscription");
    // What they had to read and have read leaves next to nothing behind.
    ada.set_meta("changed").unwrap();
    for subscription in &idle {
        assert!(matches!(subscription.recv(), Ok(Event::Updated(_))));
    }
    let each = (heap::held() - before) / SUBSCRIPTIONS;
    assert!(each <= MOST_WHEN_IDLE, "{each} bytes for an idle subscription that has been read");
    // Nothing happens between the drop and the look: no event, and no turn that matters.
    drop(idle);
    let left = heap::held() - before;
    assert!(left < 100 * MOST_WHEN_IDLE, "{left} bytes after {SUBSCRIPTIONS} drops");

    // The same with a task that waits at each: no waker is left either.
    let counted = Arc::new(Counted);
    let waker = Arc::clone(&counted).into();
    let before = heap::held();
    let idle: Vec<_> = (0..SUBSCRIPTIONS).map(|_| ada.subscribe()).collect();
    let mut tasks: Vec<_> = idle.iter().map(|events| Box::pin(events.recv_async())).collect();
    for task in &mut tasks {
        assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert!(Arc::strong_count(&counted) > 10_000, "the tasks wait");
    let each = (heap::held() - before) / SUBSCRIPTIONS;
    assert!(each <= MOST_WHEN_IDLE, "{each} bytes for an idle subscription with a task");
    drop(tasks);
    assert_eq!(Arc::strong_count(&counted), 2, "wakers of cancelled tasks are left");
    let mut idle = idle;
    for events in &mut idle {
        let polled = Pin::new(events).poll_next(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    drop(idle);
    assert_eq!(Arc::strong_count(&counted), 2, "wakers of dropped subscriptions are left");
    let left = heap::held() - before;
    assert!(left < 100 * MOST_WHEN_IDLE, "{left} bytes after {SUBSCRIPTIONS} drops with tasks");

    let mut config = Config::local();
    config.compression = false;
    let bob = participants.member("bob").config(config).seeds([ada.address().to_string()]);
    let bob = bob.start().unwrap();
    eventually("they meet", || ada.members().len() == 2 && bob.members().len() == 2);
    let before = heap::held();
    let unread = ada.subscribe();
    let send = || bob.send_reliable("ada", vec![7; MEGABYTE], 30 * SECOND).err();
    let refused = (0..60).find_map(|_| send());
    assert_eq!(refused, Some(SendError::Busy), "all that was taken is held");
    let held = heap::held() - before;
    assert!(held < MOST_FOR_A_SLEEPER, "{held} bytes of unread messages of 1 MiB");
    assert!(unread.len() >= 16, "{} wait", unread.len());
    let before = heap::held();
    drop(unread);
    let freed = before - heap::held();
    assert!(freed >= 15 << 20, "{freed} bytes came back at once");
}

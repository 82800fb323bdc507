//! A reader that does not read holds up nobody, and itself neither: each call can be made while its
//! subscription is full, and from a waker.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "nothing is heard one by one here")]
mod common;
#[path = "common/driver_thread.rs"]
mod driver_thread;

use std::io::{ErrorKind, Read};
use std::pin::Pin;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use common::{PATIENCE, Participants, eventually};
use driver_thread::on_the_driver_thread;
use futures_core::Stream;
use swim_quic::{
    Cluster, CommandError, Driver, Event, JoinError, RecvError, RecvTimeoutError, SecretKey,
    StartError, Subscription, SubscriptionLimits, WaitAnyError, wait_any,
};

const SECOND: Duration = Duration::from_secs(1);

/// Runs each call on a thread of its own; one that does not return fails the test, by its name.
struct Watched<'a>(&'a Cluster);

impl Watched<'_> {
    fn call<T: Send + 'static>(
        &self,
        what: &str,
        call: impl FnOnce(&Cluster) -> T + Send + 'static,
    ) {
        let (sender, returned) = channel();
        let cluster = self.0.clone();
        std::thread::spawn(move || {
            drop(call(&cluster));
            sender.send(())
        });
        returned.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{what} does not return"));
    }
}

#[test]
fn each_call_returns_while_its_caller_reads_nothing() {
    let participants = Participants::new();
    let mut limits = SubscriptionLimits::default();
    (limits.membership_events, limits.messages) = (1, 1);
    let ada = participants.member("ada").subscription_limits(limits).start().unwrap();
    let unread = ada.subscribe();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    let address = bob.address().to_string();
    eventually("they meet", || ada.members().len() == 2 && bob.members().len() == 2);
    eventually("the subscription is full", || {
        bob.send("ada", "unread").unwrap();
        unread.len() >= 2
    });
    let _events = bob.subscribe();
    let identity = participants.identity("ada");
    let key = SecretKey::try_from(&[7; 32][..]).unwrap();

    let watched = Watched(&ada);
    watched.call("name", |ada| ada.name().clone());
    watched.call("address", |ada| ada.address());
    watched.call("members", |ada| ada.members());
    watched.call("subscribe", |ada| ada.subscribe());
    watched.call("subscribe_with_members", |ada| ada.subscribe_with_members());
    watched.call("is_running", |ada| ada.is_running());
    watched.call("stats", |ada| ada.stats().unwrap());
    watched.call("agreement", |ada| ada.agreement().unwrap());
    watched.call("wait_for", |ada| ada.wait_for(|_| true, SECOND).unwrap());
    watched.call("join", move |ada| ada.join([address], SECOND).unwrap());
    watched.call("set_meta", |ada| ada.set_meta("x").unwrap());
    watched.call("set_advertise", |ada| ada.set_advertise(ada.address()).unwrap());
    watched.call("keys", move |ada| {
        ada.add_key(&key).unwrap();
        ada.use_key(&key).unwrap();
        ada.remove_key(&key).unwrap_err();
        ada.keys().unwrap();
    });
    watched.call("send", |ada| ada.send("bob", "x").unwrap());
    watched.call("send to itself", |ada| ada.send("ada", "x"));
    watched.call("send_reliable", |ada| ada.send_reliable("bob", "x", SECOND));
    watched.call("send_reliable to itself", |ada| ada.send_reliable("ada", "x", SECOND));
    watched.call("broadcast", |ada| ada.broadcast("x").unwrap());
    watched.call("ping", |ada| ada.ping("bob", SECOND));
    watched.call("doubt", |ada| ada.doubt("bob").unwrap());
    watched.call("open_stream", |ada| ada.open_stream("bob", "x", SECOND));
    watched.call("listen", |ada| ada.listen("x").unwrap());
    watched.call("send_datagram", |ada| ada.send_datagram("bob", "x", "x").unwrap());
    watched.call("listen_datagrams", |ada| ada.listen_datagrams("x").unwrap());
    watched.call("queue_send", |ada| ada.queue_send("bob", "x").wait(SECOND));
    watched.call("queue_reliable", |ada| ada.queue_reliable("bob", "x", SECOND).wait(SECOND));
    watched.call("queue_broadcast", |ada| ada.queue_broadcast("x").wait(SECOND));
    watched.call("queue_datagram", |ada| ada.queue_datagram("bob", "x", "x").wait(SECOND));
    watched.call("connections", |ada| ada.connections().unwrap());
    watched.call("connection", |ada| ada.connection("bob").unwrap());
    watched.call("connect", |ada| ada.connect("bob", SECOND));
    watched.call("disconnect", |ada| ada.disconnect("bob").unwrap());
    watched.call("raw_socket", |ada| ada.raw_socket().unwrap());
    let (again, trust) = (identity.clone(), identity.trust());
    watched.call("rotate", move |ada| ada.rotate(&again, &trust).unwrap());
    watched.call("revoke", move |ada| ada.revoke(identity.fingerprint()));
    let full = unread.clone();
    watched.call("wait_any", move |_| wait_any(&[&full], SECOND));
    watched.call("leave", |ada| ada.leave(SECOND));
    watched.call("shutdown", |ada| ada.shutdown(SECOND));
    watched.call("close", |ada| ada.close(SECOND));
    assert!(matches!(unread.try_iter().last(), Some(Event::Stopped { .. })));
}

/// An executor that runs its task inside the call that wakes it, on the driver thread: it reads,
/// subscribes and drops, none of which may wait for a lock that is held there.
struct RunsAtOnce {
    cluster: OnceLock<Cluster>,
    events: Mutex<Option<Subscription>>,
    told: Mutex<usize>,
}

impl RunsAtOnce {
    fn run(self: &Arc<Self>) {
        let Some(mut events) = self.events.lock().unwrap().take() else { return };
        let waker = Arc::clone(self).into();
        let mut context = Context::from_waker(&waker);
        if let Some(cluster) = self.cluster.get() {
            drop(cluster.subscribe_with_members());
            drop(cluster.queue_send("ada", "x"));
            // Another clone takes its place: the former one is dropped here.
            let clone = events.clone();
            events = clone;
        }
        while let Poll::Ready(Some(_)) = Pin::new(&mut events).poll_next(&mut context) {
            *self.told.lock().unwrap() += 1;
        }
        *self.events.lock().unwrap() = Some(events);
    }
}

impl Wake for RunsAtOnce {
    fn wake(self: Arc<Self>) {
        self.run();
    }
}

#[test]
fn a_task_that_runs_inside_its_waker_finds_no_lock_held() {
    let ada = Participants::new().member("ada").start().unwrap();
    let runs = Arc::new(RunsAtOnce {
        cluster: OnceLock::new(),
        events: Mutex::new(Some(ada.subscribe())),
        told: Mutex::new(0),
    });
    runs.cluster.set(ada.clone()).unwrap();
    runs.run();
    for change in 1..=20_usize {
        ada.set_meta(change.to_string()).unwrap();
        eventually("the task has run", || *runs.told.lock().unwrap() >= change);
    }
    ada.close(SECOND);
}

#[test]
fn calls_that_would_wait_for_the_driver_thread_are_refused_on_it() {
    const REFUSED: CommandError = CommandError::OnDriverThread;
    let participants = Participants::new();
    let driver = Driver::start().unwrap();
    let ada = participants.member("ada").driver(&driver).start().unwrap();
    let seeds = [ada.address().to_string()];
    let bob = participants.member("bob").seeds(seeds).start().unwrap();
    eventually("they meet", || ada.members().len() == 2 && bob.members().len() == 2);
    let streams = bob.listen("echo").unwrap();
    let mut stream = ada.open_stream("bob", "echo", PATIENCE).unwrap();
    let _accepted = streams.recv_timeout(PATIENCE).unwrap();
    let (handle, address) = (ada.clone(), bob.address().to_string());
    let cyd = participants.member("cyd").driver(&driver);
    let long = 100 * PATIENCE;
    on_the_driver_thread(&ada, move || {
        let ada = handle;
        assert_eq!(ada.stats().unwrap_err(), REFUSED);
        assert_eq!(ada.agreement().unwrap_err(), REFUSED);
        assert_eq!(ada.wait_for(|_| false, long).unwrap_err(), REFUSED.into());
        assert_eq!(ada.set_meta("again").unwrap_err(), REFUSED.into());
        assert_eq!(ada.send("bob", "x").unwrap_err(), REFUSED.into());
        assert_eq!(ada.send_reliable("bob", "x", long).unwrap_err(), REFUSED.into());
        assert_eq!(ada.broadcast("x").unwrap_err(), REFUSED.into());
        assert_eq!(ada.send_datagram("bob", "x", "x").unwrap_err(), REFUSED.into());
        assert_eq!(ada.ping("bob", long).unwrap_err(), REFUSED.into());
        assert_eq!(ada.connect("bob", long).unwrap_err(), REFUSED.into());
        assert_eq!(ada.open_stream("bob", "x", long).unwrap_err(), REFUSED.into());
        let error = ada.join([address], long).unwrap_err();
        assert!(matches!(error, JoinError::Command(REFUSED)), "{error}");
        let error = cyd.start().unwrap_err();
        assert!(matches!(error, StartError::Command(REFUSED)), "{error}");
        let events = ada.subscribe();
        assert_eq!(events.recv().unwrap_err(), RecvError::OnDriverThread);
        assert_eq!(events.recv_timeout(long).unwrap_err(), RecvTimeoutError::OnDriverThread);
        assert!(events.iter().next().is_none());
        assert_eq!(wait_any(&[&events], long).unwrap_err(), WaitAnyError::OnDriverThread);
        assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(ada.queue_send("bob", "x").wait(long).is_none(), "it is queued");
        assert_eq!(ada.shutdown(long).unwrap_err(), REFUSED.into());
    });
    eventually("it is closed all the same", || !ada.is_running());
    assert!(participants.member("cyd").driver(&driver).start().is_ok(), "the thread goes on");
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("planted by the test");
    }
}

#[test]
fn a_waker_that_panics_ends_no_member() {
    let ada = Participants::new().member("ada").start().unwrap();
    let waker = Arc::new(Panics).into();
    let (events, later) = (ada.subscribe(), ada.subscribe());
    let mut task = Box::pin(events.recv_async());
    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    ada.set_meta("changed").unwrap();
    let next = later.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(next, Event::Updated(_)), "{next:?}");
    ada.set_meta("again").unwrap();
    assert!(ada.is_running());
}

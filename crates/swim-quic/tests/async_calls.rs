//! What is there for tasks: calls that wait, receivers, and streams; and what is left behind by
//! those that are cancelled, which is nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "nothing is heard by threads here")]
mod common;
#[path = "common/silence.rs"]
mod silence;

use std::future::poll_fn;
use std::net::{Shutdown, UdpSocket};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::{Duration, Instant};

use common::{PATIENCE, Participants, eventually, quick};
use silence::silence;
use swim_quic::{
    Builder, Cluster, ConnectError, DeliveryReport, Event, JoinError, JoinFailureReason,
    LeaveError, Limits, OpenStreamError, PingError, RecvError, SendError, StopReason, Stream, View,
    WaitForError,
};

const SECOND: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(100);

fn pair() -> (Cluster, Cluster) {
    let mut members = Participants::new().cluster(&["ada", "bob"]);
    let bob = members.pop().unwrap();
    (members.pop().unwrap(), bob)
}

/// A socket that nobody answers from.
fn silent() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(2 * PATIENCE, test).await }).unwrap()
}

#[test]
fn calls_in_tasks_do_what_they_do_in_threads() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let bob = participants.member("bob").start().unwrap();
    run(async {
        let joined = bob.join_async([ada.address().to_string()], PATIENCE).await.unwrap();
        assert_eq!((joined.joined, joined.failed.len()), (1, 0));
        bob.ping_async("ada", PATIENCE).await.unwrap();
        let agreed = |view: &View| view.live() == 2 && view.agreement.is_complete();
        assert_eq!(bob.wait_for_async(agreed, PATIENCE).await.unwrap().members.len(), 2);
        let late = bob.wait_for_async(|view| view.live() == 3, MOMENT).await;
        assert_eq!(late.unwrap_err(), WaitForError::TimedOut);
        assert_eq!(bob.connect_async("ada", PATIENCE).await.unwrap().address, ada.address());

        let events = ada.subscribe();
        let report = bob.send_reliable_async("ada", "hello", PATIENCE).await.unwrap();
        assert_eq!(report, DeliveryReport::Acknowledged);
        let heard = loop {
            if let Event::Message { payload, .. } = events.recv_async().await.unwrap() {
                break payload;
            }
        };
        assert_eq!(heard.as_ref(), b"hello");

        let left = bob.shutdown_async(PATIENCE).await.unwrap();
        assert_eq!((left.told, left.wanted), (1, 1));
        assert!(!bob.is_running());
        ada.close_async(PATIENCE).await;
        let mut last = None;
        while let Ok(event) = events.recv_async().await {
            last = Some(event);
        }
        assert!(matches!(last, Some(Event::Stopped { reason: StopReason::Closed })), "{last:?}");
        assert_eq!(events.recv_async().await.unwrap_err(), RecvError::Disconnected);
    });
}

#[test]
fn calls_in_tasks_fail_as_they_do_in_threads() {
    let (ada, bob) = pair();
    let (_socket, silent) = silent();
    run(async {
        let error = ada.join_async(["no port:x"], SECOND).await.unwrap_err();
        assert!(matches!(error, JoinError::Address(_)), "{error}");
        let error = ada.join_async([""; 0], SECOND).await.unwrap_err();
        assert!(matches!(error, JoinError::NoAddress), "{error}");
        let error = ada.join_async([silent, bob.address().to_string()], SECOND).await;
        let report = error.unwrap();
        assert_eq!((report.joined, report.failed.len()), (1, 1));
        assert!(matches!(report.failed[0].reason, JoinFailureReason::TimedOut), "{report:?}");
        let error = ada.ping_async("cyd", SECOND).await.unwrap_err();
        assert!(matches!(error, PingError::UnknownMember(_)), "{error}");
        let error = ada.send_reliable_async("bob", "x", SECOND).await.unwrap_err();
        assert_eq!(error, SendError::NoReceiver);
        let error = ada.open_stream_async("bob", "", SECOND).await.unwrap_err();
        assert_eq!(error, OpenStreamError::Protocol);
        let error = ada.connect_async("ada", SECOND).await.unwrap_err();
        assert!(matches!(error, ConnectError::OwnName(_)), "{error}");
        bob.close_async(SECOND).await;
        let error = bob.leave_async(SECOND).await.unwrap_err();
        assert!(matches!(error, LeaveError::Command(_)), "{error}");
        let error = bob.shutdown_async(SECOND).await.unwrap_err();
        assert!(matches!(error, LeaveError::Command(_)), "{error}");
    });
}

#[test]
fn a_stream_carries_megabytes_between_tasks() {
    let (ada, bob) = pair();
    let calls = bob.listen("echo").unwrap();
    let sent: Vec<u8> = (0..2_000_000_u32).map(|index| index.to_le_bytes()[1]).collect();
    run(async {
        let echo = async {
            let mut stream = calls.recv_async().await.unwrap().stream;
            let mut all = Vec::new();
            assert_eq!(stream.read_to_end_async(&mut all).await.unwrap(), 2_000_000);
            stream.write_all_async(&all).await.unwrap();
        };
        let ask = async {
            let mut stream = ada.open_stream_async("bob", "echo", PATIENCE).await.unwrap();
            stream.write_all_async(&sent).await.unwrap();
            stream.shutdown(Shutdown::Write);
            let mut back = Vec::new();
            stream.read_to_end_async(&mut back).await.unwrap();
            assert!(back == sent, "{} bytes came back", back.len());
            assert!(stream.write_async(b"more").await.is_err());
        };
        tokio::join!(echo, ask);
    });
}

/// Whether it compiles is the test: executors with several threads move tasks between them.
#[test]
fn what_tasks_wait_for_can_move_between_threads() {
    fn movable<T: Send>(_: &T) {}
    let ada = Participants::new().member("ada").start().unwrap();
    movable(&ada.join_async([ada.address().to_string()], SECOND));
    movable(&ada.leave_async(SECOND));
    movable(&ada.ping_async(ada.name(), SECOND));
    movable(&ada.send_reliable_async("bob", "x", SECOND));
    movable(&ada.open_stream_async("bob", "x", SECOND));
    movable(&ada.connect_async("bob", SECOND));
    movable(&ada.close_async(SECOND));
    movable(&ada.shutdown_async(SECOND));
    movable(&ada.queue_send("bob", "x"));
    let (events, calls) = (ada.subscribe(), ada.listen("x").unwrap());
    movable(&events.recv_async());
    movable(&calls.recv_async());
    async fn echo(mut stream: Stream) -> std::io::Result<()> {
        let mut all = Vec::new();
        stream.read_to_end_async(&mut all).await?;
        stream.write_all_async(&all).await
    }
    let call = async { echo(calls.recv_async().await.unwrap().stream).await };
    movable(&call);
    assert!(ada.is_running(), "nothing begins before it is polled");
}

/// Counts who holds it.
struct Counted;

impl Wake for Counted {
    fn wake(self: Arc<Self>) {}
}

/// Polls a future once, drops it, and checks that its waker went with it.
fn cancel<T>(what: &str, future: impl Future<Output = T>) {
    let counted = Arc::new(Counted);
    let waker = Arc::clone(&counted).into();
    {
        let mut future = pin!(future);
        let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending(), "{what} is ready at once");
        assert!(Arc::strong_count(&counted) > 2, "{what} keeps no waker, so nothing is tested");
    }
    assert_eq!(Arc::strong_count(&counted), 2, "{what} left its waker");
}

/// A member whose peers do not answer, and none of whose calls ends by itself while the test runs.
fn patient(participants: &Participants, name: &str) -> Builder {
    let mut config = quick();
    config.probe_interval = 2 * PATIENCE;
    config.probe_timeout = PATIENCE;
    config.stream_timeout = PATIENCE;
    let mut limits = Limits::default();
    limits.dial_timeout = PATIENCE;
    participants.member(name).config(config).limits(limits)
}

#[test]
fn who_gives_up_leaves_nothing_at_the_driver() {
    const ROUNDS: usize = 50;
    let participants = Participants::new();
    let ada = patient(&participants, "ada").start().unwrap();
    let seeds = [ada.address().to_string()];
    let bob = patient(&participants, "bob").seeds(seeds).start().unwrap();
    eventually("they meet", || ada.members().len() == 2 && bob.members().len() == 2);
    let bobs_socket = silence(bob);
    ada.disconnect("bob").unwrap();
    let pending = || ada.stats().unwrap().pending_calls;
    let nothing_is_left = |what: &str| {
        let began = now();
        eventually(what, || pending() == 0);
        assert!(began.elapsed() < PATIENCE / 2, "{what} ended by itself, perhaps");
    };

    let silent = bobs_socket.local_addr().unwrap().to_string();
    ada.join([&silent], MOMENT).unwrap_err();
    nothing_is_left("a join of a thread");
    ada.open_stream("bob", "echo", MOMENT).unwrap_err();
    nothing_is_left("a stream of a thread");

    let counted = Arc::new(Counted);
    let waker = Arc::clone(&counted).into();
    let mut calls: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    for _ in 0..ROUNDS {
        let to = [silent.clone()];
        calls.push(Box::pin(async { drop(ada.join_async(to, PATIENCE).await) }));
        calls.push(Box::pin(async { drop(ada.ping_async("bob", PATIENCE).await) }));
        calls.push(Box::pin(async { drop(ada.connect_async("bob", PATIENCE).await) }));
        calls.push(Box::pin(async { drop(ada.send_reliable_async("bob", "x", PATIENCE).await) }));
        calls.push(Box::pin(async { drop(ada.open_stream_async("bob", "x", PATIENCE).await) }));
    }
    for call in &mut calls {
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    // Three of the five have a timer as well.
    eventually("all are registered", || pending() == 8 * ROUNDS);
    drop(calls);
    assert_eq!(Arc::strong_count(&counted), 2, "wakers are left");
    nothing_is_left("cancelled calls");

    // The same, dropped before the driver has taken their commands.
    for _ in 0..ROUNDS {
        cancel("a join", ada.join_async([&silent], PATIENCE));
        cancel("a ping", ada.ping_async("bob", PATIENCE));
        cancel("a dial", ada.connect_async("bob", PATIENCE));
        cancel("a message", ada.send_reliable_async("bob", "x", PATIENCE));
        cancel("a stream", ada.open_stream_async("bob", "x", PATIENCE));
    }
    nothing_is_left("calls cancelled at once");
    let calls = ada.listen("echo").unwrap();
    cancel("an incoming stream", calls.recv_async());
    cancel("a leave", ada.leave_async(PATIENCE));
    nothing_is_left("a cancelled leave");
}

#[test]
fn a_join_of_a_task_is_tried_until_somebody_is_there() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let (place, address) = silent();
    drop(place);
    let joining = std::thread::spawn({
        let (ada, address) = (ada.clone(), address.clone());
        move || run(ada.join_async([address], PATIENCE))
    });
    eventually("a first try has failed", || {
        ada.stats().unwrap().membership.counters.exchanges_failed > 0
    });
    let bob = participants.member("bob").bind(address).start().unwrap();
    assert_eq!(joining.join().unwrap().unwrap().joined, 1);
    assert!(bob.is_running());
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_read_or_write_that_is_given_up_leaves_no_waker_and_loses_no_byte() {
    let (ada, bob) = pair();
    let calls = bob.listen("talk").unwrap();
    let mut stream = ada.open_stream("bob", "talk", PATIENCE).unwrap();
    let mut served = calls.recv_timeout(PATIENCE).unwrap().stream;
    let mut buffer = [0; 5];
    cancel("a read", stream.read_async(&mut buffer));
    run(async {
        served.write_all_async(b"hello").await.unwrap();
        let mut heard = Vec::new();
        while heard.len() < 5 {
            let length = stream.read_async(&mut buffer).await.unwrap();
            heard.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(heard, b"hello");
        // Until the buffers on the way are full.
        let part = vec![1; 64 * 1024];
        while tokio::time::timeout(SECOND, stream.write_async(&part)).await.is_ok() {}
    });
    cancel("a write", stream.write_async(&[2]));
}

/// Each number is awaited by one of several tasks on threads of their own; a lost wake-up would
/// leave one of them waiting.
#[test]
fn no_wake_up_is_lost_between_members_and_many_tasks() {
    const TASKS: usize = 8;
    const MESSAGES: usize = 2_000;
    let (ada, bob) = pair();
    let numbers = bob.listen_datagrams("numbers").unwrap();
    std::thread::scope(|scope| {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let numbers = numbers.clone();
                scope.spawn(move || {
                    run(async {
                        let mut count = 0;
                        while let Ok(number) = numbers.recv_async().await {
                            if number.payload == b"end" {
                                break;
                            }
                            count += 1;
                        }
                        count
                    })
                })
            })
            .collect();
        for number in 0..MESSAGES {
            ada.send_datagram("bob", "numbers", number.to_string()).unwrap();
            if number % 50 == 0 {
                eventually("all are taken", || numbers.is_empty());
            }
        }
        // Datagrams may be lost, so that some tasks are told more than once.
        eventually("all tasks end", || {
            ada.send_datagram("bob", "numbers", "end").unwrap();
            tasks.iter().all(std::thread::ScopedJoinHandle::is_finished)
        });
        let heard: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert!(heard > MESSAGES / 2, "{heard} of {MESSAGES}");
    });
}

#[test]
fn what_arrives_is_a_stream_of_futures_core() {
    let ada = Participants::new().member("ada").start().unwrap();
    let mut events = ada.subscribe();
    let counted = Arc::new(Counted);
    let waker = Arc::clone(&counted).into();
    let mut context = Context::from_waker(&waker);
    assert!(next(&mut events).as_mut().poll(&mut context).is_pending());
    assert_eq!(Arc::strong_count(&counted), 3, "one waker, however often it is polled");
    assert!(next(&mut events).as_mut().poll(&mut context).is_pending());
    assert_eq!(Arc::strong_count(&counted), 3);
    ada.set_meta("changed").unwrap();
    run(async {
        assert!(matches!(next(&mut events).await, Some(Event::Updated(_))));
        ada.close_async(PATIENCE).await;
        assert!(matches!(next(&mut events).await, Some(Event::Stopped { .. })));
        assert!(next(&mut events).await.is_none());
    });
    assert_eq!(Arc::strong_count(&counted), 2);
}

/// What `StreamExt::next` is.
fn next<S: futures_core::Stream + Unpin>(
    stream: &mut S,
) -> Pin<Box<dyn Future<Output = Option<S::Item>> + '_>> {
    Box::pin(poll_fn(|context| -> Poll<Option<S::Item>> {
        Pin::new(&mut *stream).poll_next(context)
    }))
}

//! Application streams and datagrams: by name and protocol, beside the membership, with
//! backpressure of their own.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use common::{PATIENCE, Participants, alive, eventually, hear};
use swim_quic::{Cluster, IncomingStream, OpenStreamError, SendDatagramError};

const SECOND: Duration = Duration::from_secs(1);

fn pair() -> (Cluster, Cluster) {
    let mut members = Participants::new().cluster(&["ada", "bob"]);
    let bob = members.pop().unwrap();
    (members.pop().unwrap(), bob)
}

#[test]
fn a_stream_reaches_its_listener_with_the_senders_name_and_both_directions_end() {
    let (ada, bob) = pair();
    let listener = bob.listen("echo").unwrap();
    let server = std::thread::spawn(move || {
        let IncomingStream { from, mut stream } = listener.recv_timeout(PATIENCE).unwrap();
        assert_eq!(from.as_bytes(), b"ada");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(&all).unwrap();
    });
    let mut stream = ada.open_stream("bob", "echo", 5 * SECOND).unwrap();
    assert_eq!(stream.peer().as_bytes(), b"bob");
    stream.set_read_timeout(Some(PATIENCE));
    // Several times what the buffers on the way hold.
    let sent: Vec<u8> = (0..5_000_000_u32).map(|index| index.to_le_bytes()[1]).collect();
    let mut writer = stream.try_clone();
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).unwrap();
        writer.shutdown(Shutdown::Write);
    });
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    assert!(received == sent, "{} bytes came back of {}", received.len(), sent.len());
    writing.join().unwrap();
    server.join().unwrap();
    let error = stream.write(b"more").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_slow_reader_stalls_its_own_stream_only() {
    let (ada, bob) = pair();
    let listener = bob.listen("bulk").unwrap();
    let mut slow = ada.open_stream("bob", "bulk", 5 * SECOND).unwrap();
    let _unread = listener.recv_timeout(PATIENCE).unwrap();
    slow.set_write_timeout(Some(Duration::from_millis(300)));
    let chunk = vec![1; 64 * 1024];
    let mut accepted = 0_usize;
    let error = loop {
        match slow.write(&chunk) {
            Ok(written) => accepted += written,
            Err(error) => break error,
        }
        assert!(accepted < 64 << 20, "nothing held the writer back");
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(accepted < 8 << 20, "{accepted} bytes were buffered for a reader that reads nothing");

    let mut other = ada.open_stream("bob", "bulk", 5 * SECOND).unwrap();
    let mut served = listener.recv_timeout(PATIENCE).unwrap().stream;
    other.write_all(b"quick").unwrap();
    served.set_read_timeout(Some(PATIENCE));
    let mut word = [0; 5];
    served.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"quick");
    ada.ping("bob", 5 * SECOND).unwrap();
    assert_eq!(alive(&ada), ["ada", "bob"]);
}

#[test]
fn without_a_listener_the_first_read_fails() {
    let (ada, _bob) = pair();
    let mut stream = ada.open_stream("bob", "nobody-listens", 5 * SECOND).unwrap();
    stream.set_read_timeout(Some(PATIENCE));
    let error = stream.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

#[test]
fn streams_end_with_their_peer() {
    let (ada, bob) = pair();
    let listener = bob.listen("echo").unwrap();
    let mut stream = ada.open_stream("bob", "echo", 5 * SECOND).unwrap();
    let served = listener.recv_timeout(PATIENCE).unwrap();
    bob.close(SECOND);
    stream.set_read_timeout(Some(PATIENCE));
    assert!(stream.read(&mut [0; 1]).is_err());
    assert!({ served }.stream.read(&mut [0; 1]).is_err());
}

#[test]
fn what_was_written_arrives_though_the_handle_is_dropped_at_once() {
    let (ada, bob) = pair();
    let listener = bob.listen("note").unwrap();
    let mut stream = ada.open_stream("bob", "note", 5 * SECOND).unwrap();
    stream.write_all(b"farewell").unwrap();
    drop(stream);
    let mut served = listener.recv_timeout(PATIENCE).unwrap().stream;
    served.set_read_timeout(Some(PATIENCE));
    let mut text = String::new();
    served.read_to_string(&mut text).unwrap();
    assert_eq!(text, "farewell");
}

/// A client that asks for half a megabyte and reads nothing of it for longer than a stopped stream
/// discards what arrives; the server has written everything and dropped its handle by then.
fn read_late(half_close: bool) {
    const ANSWER: usize = 450 << 10;
    let (ada, bob) = pair();
    let listener = bob.listen("late").unwrap();
    let server = std::thread::spawn(move || {
        let mut stream = listener.recv_timeout(PATIENCE).unwrap().stream;
        let mut question = [0; 4];
        stream.read_exact(&mut question).unwrap();
        if half_close {
            assert_eq!(stream.read(&mut question).unwrap(), 0);
        }
        stream.write_all(&vec![7; ANSWER]).unwrap();
    });
    let mut stream = ada.open_stream("bob", "late", 5 * SECOND).unwrap();
    stream.write_all(b"all?").unwrap();
    if half_close {
        stream.shutdown(Shutdown::Write);
    }
    server.join().unwrap();
    pause(7 * SECOND);
    stream.set_read_timeout(Some(PATIENCE));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer == vec![7; ANSWER], "{} of {ANSWER} bytes", answer.len());
    if !half_close {
        assert_eq!(stream.write(b"more?").unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[test]
fn an_answer_arrives_whole_though_both_sides_have_finished_and_the_reader_pauses() {
    read_late(true);
}

#[test]
fn an_answer_arrives_whole_though_the_reader_never_finished_and_pauses() {
    read_late(false);
}

#[test]
fn who_writes_to_a_dropped_handle_is_told() {
    let (ada, bob) = pair();
    let listener = bob.listen("deaf").unwrap();
    let mut stream = ada.open_stream("bob", "deaf", 5 * SECOND).unwrap();
    stream.write_all(b"hello").unwrap();
    drop(listener.recv_timeout(PATIENCE).unwrap());
    eventually("the writer is told", || stream.write(b"more").is_err());
}

#[test]
fn datagrams_go_to_the_listener_of_their_protocol() {
    let (ada, bob) = pair();
    let (left, right) =
        (bob.listen_datagrams("left").unwrap(), bob.listen_datagrams("right").unwrap());
    let messages = bob.subscribe();
    ada.send_datagram("bob", "right", "to the right").unwrap();
    ada.send_datagram("bob", "left", vec![7; 20_000]).unwrap();
    let datagram = right.recv_timeout(PATIENCE).unwrap();
    assert_eq!(
        (datagram.from.as_bytes(), &datagram.payload[..]),
        (&b"ada"[..], &b"to the right"[..])
    );
    assert_eq!(left.recv_timeout(PATIENCE).unwrap().payload, vec![7; 20_000]);
    // Membership sees none of it: the next message is the first.
    ada.send("bob", "a message").unwrap();
    let first = hear("a message", &messages, |event| match event {
        swim_quic::Event::Message { payload, .. } => Some(payload.clone()),
        _ => None,
    });
    assert_eq!(first.as_ref(), b"a message");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let (ada, bob) = pair();
    let error = ada.open_stream("nobody", "echo", SECOND).unwrap_err();
    assert!(matches!(error, OpenStreamError::UnknownMember(_)), "{error}");
    let error = ada.open_stream("bob", "", SECOND).unwrap_err();
    assert_eq!(error, OpenStreamError::Protocol);
    let error = ada.open_stream("bob", &"x".repeat(256), SECOND).unwrap_err();
    assert_eq!(error, OpenStreamError::Protocol);
    let error = ada.send_datagram("bob", "echo", vec![0; 70_000]).unwrap_err();
    assert!(matches!(error, SendDatagramError::TooLarge { len: 70_000, .. }), "{error}");
    bob.leave(SECOND).unwrap();
    eventually("bob is gone", || alive(&ada) == ["ada"]);
    let error = ada.open_stream("bob", "echo", SECOND).unwrap_err();
    assert!(matches!(error, OpenStreamError::NotAlive(_)), "{error}");
}

/// The connection outlives the leave.
#[test]
fn who_has_left_opens_no_stream_and_sends_no_datagram() {
    let (ada, bob) = pair();
    let streams = ada.listen("echo").unwrap();
    let datagrams = ada.listen_datagrams("echo").unwrap();
    bob.ping("ada", SECOND).unwrap();
    bob.leave(5 * SECOND).unwrap();
    eventually("bob is gone", || alive(&ada) == ["ada"]);
    assert_eq!(bob.open_stream("ada", "echo", SECOND).unwrap_err(), OpenStreamError::Left);
    let error = bob.send_datagram("ada", "echo", b"late".to_vec()).unwrap_err();
    assert_eq!(error, SendDatagramError::Left);
    assert!(streams.recv_timeout(SECOND / 2).is_err());
    assert!(datagrams.try_recv().is_err());
}

/// A reader that takes its time.
#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

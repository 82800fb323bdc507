//! What was written on a stream arrives as long as the peer takes some of it now and then, whoever
//! has finished what; else both sides learn that it does not.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::world::{World, limits, now};
use quic_net::{EndpointEvent, ReadError, StreamToken, WriteError};

const ADA: usize = 0;
const BOB: usize = 1;
/// The first byte of an application's stream.
const APPLICATION: u8 = 0xF5;
/// A stream's share of the send buffer: what one write takes.
const ANSWER: usize = 256 << 10;
/// Longer than a stopped stream discards what arrives.
const LONGER_THAN_DISCARDING: Duration = Duration::from_secs(6);

/// Ada asks, bob answers with [`ANSWER`] bytes and is done. Returns ada's stream.
fn ask(world: &mut World, first: u8, half_close: bool) -> StreamToken {
    let asked = world.open(ADA, BOB);
    world.actors[ADA].endpoint.write(asked, &[first, b'?'], half_close).unwrap();
    world.run_until("the question", |world| world.actors[BOB].opened().len() == 1);
    let answer = world.actors[BOB].opened()[0];
    let mut question = Vec::new();
    world.run_until("all of it", |world| {
        let fin = world.read_all(BOB, answer, &mut question);
        fin || (!half_close && question.len() == 2)
    });
    let bytes = vec![7; ANSWER];
    assert_eq!(world.actors[BOB].endpoint.write(answer, &bytes, true), Ok(ANSWER));
    world.actors[BOB].endpoint.stop(answer);
    asked
}

/// Reads until FIN or a reset; how many bytes came, and the reset's error.
fn read(world: &mut World, stream: StreamToken) -> (usize, Option<ReadError>) {
    let (mut bytes, mut error, mut buffer) = (0, None, [0; 4096]);
    world.run_until("the end of the stream", |world| {
        loop {
            match world.actors[ADA].endpoint.read(stream, &mut buffer) {
                Ok(read) if read.fin => {
                    bytes += read.bytes;
                    return true;
                }
                Ok(read) if read.bytes == 0 => return false,
                Ok(read) => bytes += read.bytes,
                Err(reason) => {
                    error = Some(reason);
                    return true;
                }
            }
        }
    });
    (bytes, error)
}

#[test]
fn an_answer_arrives_though_its_reader_pauses_and_both_sides_have_finished() {
    let mut world = World::new(&["ada", "bob"]);
    let stream = ask(&mut world, b'e', true);
    world.run_for(LONGER_THAN_DISCARDING);
    assert_eq!(read(&mut world, stream), (ANSWER, None), "{}", world.story());
}

#[test]
fn a_writer_that_is_stopped_can_still_read_to_the_end() {
    let mut world = World::new(&["ada", "bob"]);
    let stream = ask(&mut world, APPLICATION, false);
    world.run_until("bob reads no more", |world| {
        let stopped = EndpointEvent::StreamStopped { stream, code: 0 };
        world.actors[ADA].count(|event| *event == stopped) == 1
    });
    let written = world.actors[ADA].endpoint.write(stream, b"too late", false);
    assert_eq!(written, Err(WriteError::Finished));
    assert_eq!(read(&mut world, stream), (ANSWER, None), "{}", world.story());
}

#[test]
fn a_reader_that_wants_no_more_stops_the_writer_at_once() {
    let mut world = World::new(&["ada", "bob"]);
    let asked = world.open(ADA, BOB);
    world.actors[ADA].endpoint.write(asked, &[APPLICATION], false).unwrap();
    world.run_until("the stream", |world| world.actors[BOB].opened().len() == 1);
    let answer = world.actors[BOB].opened()[0];
    world.actors[BOB].endpoint.stop_reading(answer);
    world.run_until("ada knows, without writing anything", |world| {
        let stopped = EndpointEvent::StreamStopped { stream: asked, code: 0 };
        world.actors[ADA].count(|event| *event == stopped) == 1
    });
    world.actors[BOB].endpoint.write(answer, b"still here", true).unwrap();
    let mut answered = Vec::new();
    world.run_until("the answer", |world| world.read_all(ADA, asked, &mut answered));
    assert_eq!(answered, b"still here");
}

#[test]
fn who_takes_nothing_for_too_long_and_who_wrote_to_it_both_see_a_reset() {
    for half_close in [true, false] {
        let mut world = World::with(
            &["ada", "bob"],
            limits(|limits| limits.stream_stall_timeout = Duration::from_millis(500)),
        );
        let stream = ask(&mut world, APPLICATION, half_close);
        world.run_until("bob gives up", |world| {
            world.actors[BOB].endpoint.connections()[0].streams == 0
        });
        let (bytes, error) = read(&mut world, stream);
        assert!(bytes < ANSWER && error == Some(ReadError::Reset(0)), "{bytes} {error:?}");
    }
}

#[test]
fn progress_counts_and_not_the_time_since_the_beginning() {
    // The window opens anew when half of it was read: 64 KiB, or four reads.
    let stall = Duration::from_secs(3);
    let mut world =
        World::with(&["ada", "bob"], limits(|limits| limits.stream_stall_timeout = stall));
    let stream = ask(&mut world, b'e', true);
    let begin = now();
    let mut buffer = [0; 16 << 10];
    let mut bytes = 0;
    // The pauses between two progresses are shorter than the limit, all together are longer.
    while world.actors[BOB].endpoint.connections()[0].streams > 0 {
        world.run_for(Duration::from_millis(450));
        bytes += world.actors[ADA].endpoint.read(stream, &mut buffer).unwrap().bytes;
    }
    assert!(now() - begin > stall, "bob was done too soon to show anything");
    let (rest, error) = read(&mut world, stream);
    assert_eq!((bytes + rest, error), (ANSWER, None));
}

#[test]
fn a_connection_stays_until_the_peer_has_acknowledged_what_was_sent() {
    let mut world = World::with(
        &["ada", "bob"],
        limits(|limits| {
            limits.idle_timeout = Duration::from_millis(200);
            limits.sweep_interval = Duration::from_millis(50);
        }),
    );
    let asked = world.open(ADA, BOB);
    world.actors[ADA].endpoint.write(asked, b"e?", true).unwrap();
    world.run_until("the question", |world| world.actors[BOB].opened().len() == 1);
    let answer = world.actors[BOB].opened()[0];
    world.run_until("all of it", |world| world.read_all(BOB, answer, &mut Vec::new()));
    let cut = Rc::new(Cell::new(true));
    let is_cut = Rc::clone(&cut);
    world.lose = Box::new(move |from, _, _| from == BOB && is_cut.get());
    world.actors[BOB].endpoint.write(answer, &[7; 5000], true).unwrap();
    world.actors[BOB].endpoint.stop(answer);
    world.run_for(Duration::from_secs(1));
    cut.set(false);
    assert_eq!(read(&mut world, asked), (5000, None), "{}", world.story());
}

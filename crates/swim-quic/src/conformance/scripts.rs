//! What members do with their transports, in both worlds.

use std::time::Duration;

use super::Name::{Own, Theirs};
use super::{ADA, BOB, CYD, DIAL_TIMEOUT, LONG, MOMENT, NOBODY, compare};

#[test]
fn a_request_is_answered_and_both_sides_end() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, true);
        stage.read(BOB, Theirs(0));
        stage.write(BOB, Theirs(0), 700, true);
        stage.stop(BOB, Theirs(0));
        stage.pass(MOMENT);
        stage.read(ADA, Own(1));
        stage.stop(ADA, Own(1));
        stage.pass(MOMENT);
    });
}

#[test]
fn an_end_without_an_answer_is_an_end() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, true);
        stage.read(BOB, Theirs(0));
        stage.write(BOB, Theirs(0), 0, true);
        stage.stop(BOB, Theirs(0));
        stage.pass(MOMENT);
        stage.read(ADA, Own(1));
        stage.stop(ADA, Own(1));
        stage.pass(MOMENT);
    });
}

#[test]
fn a_stream_that_is_stopped_unread_ends_for_its_opener() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, true);
        stage.stop(BOB, Theirs(0));
        stage.pass(MOMENT);
        stage.read(ADA, Own(1));
        stage.stop(ADA, Own(1));
        stage.pass(MOMENT);
    });
}

#[test]
fn a_refused_stream_fails_for_its_opener() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, true);
        stage.reset(BOB, Theirs(0));
        stage.pass(MOMENT);
        stage.read(ADA, Own(1));
        stage.pass(MOMENT);
    });
}

#[test]
fn a_stream_refused_while_it_is_written_fails_for_its_opener() {
    compare(|stage| {
        stage.request(ADA, BOB, 300_000, false);
        stage.reset(BOB, Theirs(0));
        stage.pass(MOMENT);
        stage.write(ADA, Own(1), 10, true);
        stage.pass(MOMENT);
    });
}

#[test]
fn an_opener_that_gives_up_is_a_reset_for_its_peer() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, false);
        stage.reset(ADA, Own(1));
        stage.pass(MOMENT);
        stage.read(BOB, Theirs(0));
        stage.pass(MOMENT);
    });
}

#[test]
fn an_opener_that_loses_interest_hears_nothing_more() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, true);
        stage.stop(ADA, Own(1));
        stage.read(BOB, Theirs(0));
        stage.write(BOB, Theirs(0), 700, true);
        stage.pass(MOMENT);
        stage.stop(BOB, Theirs(0));
        stage.pass(MOMENT);
    });
}

#[test]
fn an_overdue_stream_fails_for_its_opener_and_is_reset_for_its_peer() {
    compare(|stage| {
        stage.open(ADA, 1, BOB, Duration::from_millis(300));
        stage.write(ADA, Own(1), 500, false);
        stage.pass(MOMENT);
        stage.read(BOB, Theirs(0));
        stage.pass(Duration::from_millis(400));
        stage.read(BOB, Theirs(0));
        stage.write(ADA, Own(1), 10, true);
        stage.pass(MOMENT);
    });
}

#[test]
fn nothing_is_written_behind_the_end() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, true);
        stage.write(ADA, Own(1), 10, true);
        stage.read(BOB, Theirs(0));
        stage.pass(MOMENT);
    });
}

#[test]
fn long_streams_arrive_whole_both_ways() {
    compare(|stage| {
        stage.request(ADA, BOB, 10, false);
        stage.read(BOB, Theirs(0));
        stage.write(ADA, Own(1), 1_000_000, true);
        stage.read_to_end(BOB, Theirs(0));
        stage.pass(MOMENT);
        stage.write(BOB, Theirs(0), 200_000, true);
        stage.read_to_end(ADA, Own(1));
        stage.stop(BOB, Theirs(0));
        stage.stop(ADA, Own(1));
        stage.pass(MOMENT);
    });
}

#[test]
fn an_unread_stream_holds_up_no_other() {
    compare(|stage| {
        stage.request(ADA, BOB, 300_000, false);
        stage.open(ADA, 2, BOB, LONG);
        stage.write(ADA, Own(2), 500, true);
        stage.pass(MOMENT);
        stage.read(BOB, Theirs(1));
        stage.write(BOB, Theirs(1), 500, true);
        stage.pass(MOMENT);
        stage.read(ADA, Own(2));
    });
}

#[test]
fn whoever_proves_another_name_gets_nothing() {
    compare(|stage| {
        stage.open_expecting(ADA, 1, BOB, "cyd");
        stage.write(ADA, Own(1), 500, true);
        stage.pass(MOMENT);
        stage.packet_expecting(ADA, BOB, Some("cyd"), 100);
        stage.pass(MOMENT);
        stage.packet(ADA, BOB, 100);
        stage.pass(MOMENT);
    });
}

#[test]
fn packets_arrive_in_order_whatever_their_length() {
    compare(|stage| {
        for length in [100, 1_000, 60_000, 20] {
            stage.packet(ADA, BOB, length);
            stage.pass(MOMENT);
        }
        stage.packet(BOB, ADA, 200);
        stage.pass(MOMENT);
    });
}

#[test]
fn packets_and_streams_for_a_silent_address_fail_with_the_dial() {
    compare(|stage| {
        stage.packet(ADA, NOBODY, 100);
        stage.open(ADA, 1, NOBODY, LONG);
        stage.write(ADA, Own(1), 500, true);
        stage.pass(DIAL_TIMEOUT / 2);
        stage.pass(DIAL_TIMEOUT);
    });
}

#[test]
fn a_stream_whose_deadline_comes_before_the_dial_s_times_out() {
    compare(|stage| {
        stage.open(ADA, 1, NOBODY, DIAL_TIMEOUT / 4);
        stage.write(ADA, Own(1), 500, true);
        stage.pass(DIAL_TIMEOUT / 2);
    });
}

#[test]
fn a_peer_behind_a_cut_is_as_silent_as_nobody() {
    compare(|stage| {
        stage.cut(ADA, CYD);
        stage.packet(ADA, CYD, 100);
        stage.open(ADA, 1, CYD, LONG);
        stage.write(ADA, Own(1), 500, true);
        stage.pass(2 * DIAL_TIMEOUT);
        stage.heal(ADA, CYD);
        stage.open(ADA, 2, CYD, LONG);
        stage.write(ADA, Own(2), 500, true);
        stage.pass(2 * MOMENT);
        stage.read(CYD, Theirs(0));
    });
}

#[test]
fn a_restart_ends_the_streams_of_the_former_life() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, false);
        stage.read(BOB, Theirs(0));
        stage.restart(BOB);
        stage.packet(ADA, BOB, 100);
        stage.pass(MOMENT);
        stage.packet(ADA, BOB, 101);
        stage.pass(MOMENT);
    });
}

#[test]
fn closing_a_peer_ends_its_streams_on_both_sides() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, false);
        stage.read(BOB, Theirs(0));
        stage.close_peer(BOB, ADA);
        stage.pass(MOMENT);
        stage.packet(ADA, BOB, 100);
        stage.pass(MOMENT);
    });
}

#[test]
fn twenty_mebibytes_arrive_whole() {
    compare(|stage| {
        stage.request(ADA, BOB, 10, false);
        stage.read(BOB, Theirs(0));
        stage.write(ADA, Own(1), 20 << 20, true);
        stage.read_to_end(BOB, Theirs(0));
        stage.stop(BOB, Theirs(0));
        stage.stop(ADA, Own(1));
        stage.pass(MOMENT);
    });
}

#[test]
fn a_stream_that_is_read_slowly_arrives_whole() {
    compare(|stage| {
        stage.reading_pause = Some(Duration::from_millis(150));
        stage.request(ADA, BOB, 10, false);
        stage.read(BOB, Theirs(0));
        stage.write(ADA, Own(1), 2_000_000, true);
        stage.packet(BOB, ADA, 100);
        stage.pass(MOMENT);
        stage.read_to_end(BOB, Theirs(0));
        stage.write(BOB, Theirs(0), 0, true);
        stage.pass(MOMENT);
        stage.read(ADA, Own(1));
    });
}

#[test]
fn a_stream_that_nobody_reads_is_over_at_its_deadline_for_both() {
    compare(|stage| {
        stage.reading_pause = None;
        stage.open(ADA, 1, BOB, Duration::from_millis(600));
        stage.write(ADA, Own(1), 10 << 20, true);
        stage.pass(MOMENT);
        stage.read(BOB, Theirs(0));
        stage.pass(MOMENT);
    });
}

#[test]
fn a_stream_goes_on_after_a_cut() {
    compare(|stage| {
        stage.request(ADA, BOB, 500, false);
        stage.read(BOB, Theirs(0));
        stage.cut(ADA, BOB);
        stage.write(ADA, Own(1), 50_000, true);
        stage.write(BOB, Theirs(0), 50_000, true);
        stage.pass(3 * MOMENT);
        stage.heal(ADA, BOB);
        stage.read_to_end(BOB, Theirs(0));
        stage.read_to_end(ADA, Own(1));
        stage.stop(ADA, Own(1));
        stage.stop(BOB, Theirs(0));
        stage.pass(MOMENT);
    });
}

/// Both dial at once, so that one of the two connections makes way a moment later.
#[test]
fn a_connection_that_makes_way_stays_for_its_streams_and_new_ones_use_the_other() {
    compare(|stage| {
        for (who, to) in [(ADA, BOB), (BOB, ADA)] {
            stage.open(who, 1, to, LONG);
            stage.write(who, Own(1), 500, false);
        }
        stage.pass(MOMENT);
        for round in 1..=3 {
            for who in [ADA, BOB] {
                stage.read(who, Theirs(0));
                stage.write(who, Own(1), 1_000 * round, false);
            }
            stage.pass(Duration::from_millis(1_500));
        }
        stage.open(ADA, 2, BOB, LONG);
        stage.write(ADA, Own(2), 700, true);
        stage.pass(MOMENT);
        stage.read(BOB, Theirs(1));
        for who in [ADA, BOB] {
            stage.write(who, Own(1), 10, true);
            stage.pass(MOMENT);
            stage.read(1 - who, Theirs(0));
        }
    });
}

#[test]
fn a_path_that_carries_less_loses_a_few_packets_and_then_none() {
    compare(|stage| {
        stage.packet(ADA, BOB, 100);
        stage.pass(5 * MOMENT);
        stage.packet(ADA, BOB, 1_350);
        stage.pass(MOMENT);
        stage.narrow(1_300);
        stage.packets_until_one_arrives(ADA, BOB, 1_351);
        for length in [1_352, 1_100] {
            stage.packet(ADA, BOB, length);
            stage.pass(MOMENT);
        }
        stage.request(ADA, BOB, 100_000, true);
        stage.read_to_end(BOB, Theirs(0));
        stage.stop(BOB, Theirs(0));
        stage.stop(ADA, Own(1));
        stage.pass(MOMENT);
    });
}

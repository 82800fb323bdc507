//! What the cases tell, one page for each subject.
//!
//! Stories start members, let things happen to them, and wait until both kinds say what they
//! owe. Members `r…` are nodes, members `g…` are Go peers.

pub(super) mod certificates;
pub(super) mod crash;
pub(super) mod credit;
pub(super) mod gather;
pub(super) mod indirect;
pub(super) mod leave;
pub(super) mod pause;
pub(super) mod restart;
pub(super) mod user_messages;
pub(super) mod wire_layers;
pub(super) mod wrong_cluster;

use std::time::Duration;

use crate::Stop;
use crate::fleet::Program;
use crate::fleet::event::SeenState;
use crate::fleet::stage::{Stage, fail};

/// How long a few members on one idle machine may take to see each other.
pub(super) const GATHER: Duration = Duration::from_secs(8);

/// Two nodes and two Go peers, joined crosswise so that both kinds have dialed both.
pub(super) fn two_and_two(stage: &mut Stage) -> Result<[&'static str; 4], Stop> {
    let first = stage.start("r1", &[])?;
    let second = stage.start("g1", &["--join", &first])?;
    let third = stage.start("r2", &["--join", &second])?;
    stage.start("g2", &["--join", &third])?;
    let all = ["r1", "r2", "g1", "g2"];
    stage.gathered(&all, GATHER)?;
    stage.agree(&all)?;
    Ok(all)
}

/// The first member that somebody said to be gone, or suspect, where nobody should be.
pub(super) fn first_suspicion(stage: &Stage) -> Option<String> {
    stage.names().into_iter().find_map(|observer| {
        let changes = &stage.history(&observer).changes;
        let (about, state) = changes.iter().find(|(_, state)| *state != SeenState::Alive)?;
        Some(format!("{observer} says that {about} {state}, and nothing happened to it"))
    })
}

/// Text that compression gains nothing on, the same for the same tag.
pub(super) fn noise(tag: &str, size: usize) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";
    // A 64-bit linear congruential generator; Knuth's multiplier (MMIX).
    let mut seed = tag.bytes().fold(1_u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    let filler = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(LETTERS[usize::try_from(seed >> 58).unwrap_or(0)])
    });
    tag.chars().chain(filler).take(size).collect()
}

/// Sends one message and waits until it is received, whole and on the right way.
pub(super) fn deliver(
    stage: &mut Stage,
    from: &str,
    to: &str,
    reliable: bool,
    text: &str,
) -> Result<(), Stop> {
    let command = if reliable { "sendr" } else { "send" };
    stage.ask(from, &format!("{command} {to} {text}"))?;
    received(stage, from, to, Some(reliable), text)
}

/// Waits until a message is received; nodes must also know from whom.
pub(super) fn received(
    stage: &mut Stage,
    from: &str,
    to: &str,
    reliable: Option<bool>,
    text: &str,
) -> Result<(), Stop> {
    let way = match reliable {
        Some(true) => "reliable message",
        Some(false) => "best-effort message",
        None => "broadcast",
    };
    let what = format!("a {way} of {} bytes from {from} is received by {to}", text.len());
    stage.wait(&what, Duration::from_secs(5), |stage| {
        stage.history(to).messages.iter().any(|message| message.text == text)
    })?;
    let messages = &stage.history(to).messages;
    let Some(message) = messages.iter().find(|message| message.text == text) else {
        return fail(what);
    };
    if reliable.is_some_and(|reliable| message.reliable != reliable) {
        return fail(format!("{to} took a {way} for the other kind"));
    }
    if message.from.as_ref().is_some_and(|sender| sender != from) {
        return fail(format!("{to} says that {:?} sent what {from} sent", message.from));
    }
    let told_from = message.from.is_some();
    if told_from == (Program::named(to) == Program::GoPeer) {
        return fail(format!("{to} says that the sender is {:?}", message.from));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_its_size_and_repeats_for_the_same_tag_only() {
        assert_eq!(noise("a", 1), "a");
        assert_eq!(noise("a1 ", 5000), noise("a1 ", 5000));
        assert_ne!(noise("a1 ", 50)[3..], noise("a2 ", 50)[3..]);
        assert_eq!(noise("a1 ", 65_500).len(), 65_500);
    }
}

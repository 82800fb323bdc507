//! What several cases do: gather, send both ways, change metadata, watch that nothing happens.
//!
//! Members `r…` are nodes, members `g…` are Go peers.

use std::time::Duration;

use crate::Stop;
use crate::fleet::Program;
use crate::fleet::event::SeenState::{self, Failed, Left, Suspect};
use crate::fleet::stage::{Stage, fail};

/// How a story ends.
pub(super) type Told = Result<(), Stop>;

/// How long a few members on one idle machine may take to see each other.
pub(super) const GATHER: Duration = Duration::from_secs(8);
/// Updates are gossiped a limited number of times to random members, so in a cluster of six one
/// member in a hundred misses them; it learns them from its next push-pull. The first that a
/// Go peer begins comes 30 to 60 s after its start.
pub(super) const SPREAD: Duration = Duration::from_secs(65);

/// Two nodes and two Go peers, joined crosswise so that both kinds have dialed both.
pub(super) fn two_and_two(stage: &mut Stage) -> Result<[&'static str; 4], Stop> {
    let mut last = stage.start("r1", &[])?;
    for name in ["g1", "r2", "g2"] {
        last = stage.start(name, &["--join", &last])?;
    }
    let all = ["r1", "r2", "g1", "g2"];
    stage.gathered(&all, GATHER)?;
    stage.agree(&all)?;
    Ok(all)
}

/// Three of each kind, each of which joins the one before, of the other kind, with its name for
/// metadata.
pub(super) fn three_and_three(stage: &mut Stage) -> Result<[&'static str; 6], Stop> {
    let names = ["g1", "r1", "g2", "r2", "g3", "r3"];
    let mut last = String::new();
    for name in names {
        let flags = ["--meta", name, "--join", &last];
        last = stage.start(name, if last.is_empty() { &flags[..2] } else { &flags })?;
    }
    stage.gathered(&names, SPREAD)?;
    Ok(names)
}

/// The first member that somebody said to be in one of these states.
pub(super) fn somebody_told(stage: &Stage, states: &[SeenState]) -> Option<String> {
    stage.names().into_iter().find_map(|observer| {
        let (about, state) = stage.member(&observer).told(states)?;
        Some(format!("{observer} says that {about} {state}, and it should not"))
    })
}

/// The same where nothing happens to anybody.
pub(super) fn first_suspicion(stage: &Stage) -> Option<String> {
    somebody_told(stage, &[Suspect, Failed, Left])
}

/// Changes a member's metadata and waits until all others have seen it.
pub(super) fn update(stage: &mut Stage, name: &str, meta: &str, all: &[&str]) -> Told {
    stage.ask(name, &format!("meta {meta}"))?;
    updated(stage, name, meta, all)
}

/// Waits until all others have seen a member's metadata.
pub(super) fn updated(stage: &mut Stage, name: &str, meta: &str, all: &[&str]) -> Told {
    for observer in all.iter().filter(|observer| **observer != name) {
        let what = format!("{observer} sees the new metadata of {name}");
        stage.wait(&what, SPREAD, |stage| stage.member(observer).sees_meta(name, meta))?;
    }
    Ok(())
}

/// Text that compression gains nothing on, the same for the same tag.
pub(super) fn noise(tag: &str, size: usize) -> String {
    let seed = tag.bytes().fold(1_u64, |seed, byte| seed.wrapping_mul(31) + u64::from(byte));
    tag.chars().chain(crate::fleet::letters(seed)).take(size).collect()
}

/// Sends one message and waits until it is received, whole and on the right way.
pub(super) fn deliver(stage: &mut Stage, from: &str, to: &str, reliable: bool, text: &str) -> Told {
    let command = if reliable { "sendr" } else { "send" };
    stage.ask(from, &format!("{command} {to} {text}"))?;
    received(stage, from, to, Some(reliable), text)
}

/// A few messages each way, for cases about what lies beneath them.
pub(super) fn a_few(stage: &mut Stage, pairs: &[(&str, &str)]) -> Told {
    for (from, to) in pairs {
        for (reliable, size) in [(false, 300), (false, 9_000), (true, 3_000)] {
            let kind = if reliable { 'k' } else { 'e' };
            deliver(stage, from, to, reliable, &noise(&format!("{kind}{from}{to} "), size))?;
        }
    }
    Ok(())
}

/// Waits until a message is received; nodes must also know from whom. `None` is a broadcast.
pub(super) fn received(
    stage: &mut Stage,
    from: &str,
    to: &str,
    reliable: Option<bool>,
    text: &str,
) -> Told {
    let way = match reliable {
        Some(true) => "reliable message",
        Some(false) => "best-effort message",
        None => "broadcast",
    };
    let what = format!("a {way} of {} bytes from {from} is received by {to}", text.len());
    let find = |stage: &Stage| {
        stage.member(to).messages.iter().find(|message| message.payload() == text).cloned()
    };
    stage.wait(&what, Duration::from_secs(5), |stage| find(stage).is_some())?;
    let Some(message) = find(stage) else { return fail(what) };
    if reliable.is_some_and(|reliable| message.reliable != reliable) {
        return fail(format!("{to} took a {way} for the other kind"));
    }
    // A Go peer is not told the sender.
    let expected = (Program::named(to) == Program::Node).then_some(from);
    if message.from.as_deref() != expected {
        return fail(format!("{to} says that {:?} sent what {from} sent", message.from));
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

//! User messages both ways between the kinds, and broadcasts to everybody.
//!
//! Every message is checked byte for byte, together with the way it took and, where the receiver
//! is told, its sender.

use super::{noise, received};
use crate::Stop;
use crate::fleet::Program;
use crate::fleet::stage::{Stage, fail};

/// Two within a datagram at first, three that need a stream of their own. The longest leaves
/// room for the type byte and a checksum within the 65,536 bytes that Go takes.
const BEST_EFFORT: [usize; 6] = [1, 1_000, 1_300, 5_000, 20_000, 65_500];
const RELIABLE: [usize; 5] = [1, 1_000, 5_000, 20_000, 100_000];
const PAIRS: [(&str, &str); 4] = [("r1", "g1"), ("g1", "r1"), ("r1", "r2"), ("g2", "r2")];

pub(in crate::interop) fn all_ways(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    let first = stage.start("r1", &["--compress", "off"])?;
    // Often enough that everybody gets each broadcast: Go tells three random members a round.
    let go = ["--compress", "off", "--broadcast-mult", "40", "--join", &first];
    stage.start("g1", &go)?;
    stage.start("r2", &["--join", &first])?;
    stage.start("g2", &go)?;
    let all = ["r1", "r2", "g1", "g2"];
    stage.gathered(&all, super::GATHER)?;

    let mut sent = Vec::new();
    // The first letter alone tells the messages of one byte apart.
    let mut letters = 'a'..;
    for (from, to) in PAIRS {
        for (reliable, sizes) in [(false, &BEST_EFFORT[..]), (true, &RELIABLE[..])] {
            let letter = letters.next().unwrap_or('?');
            for size in sizes {
                let text = noise(&format!("{letter}{from}{to} "), *size);
                let command = if reliable { "sendr" } else { "send" };
                let left_out = sabotaged && (from, to, *size) == ("r1", "g1", 20_000);
                if !left_out {
                    stage.ask(from, &format!("{command} {to} {text}"))?;
                }
                sent.push((from, to, reliable, text));
            }
        }
    }
    for (from, to, reliable, text) in &sent {
        received(stage, from, to, Some(*reliable), text)?;
    }
    // Datagrams would have to carry what is larger than any datagram.
    if stage.count("g1", "/transport/unis_in")? < 3 {
        return fail("g1 received no large best-effort message over a stream of its own");
    }
    if stage.count("r1", "/transport/packets/in_by_stream")? < 3 {
        return fail("r1 received no large best-effort message over a stream of its own");
    }
    broadcasts(stage, &all)
}

fn broadcasts(stage: &mut Stage, all: &[&'static str]) -> Result<(), Stop> {
    let mut sent = Vec::new();
    for from in ["r1", "g1", "r2"] {
        for size in [8, 1_000] {
            let text = noise(&format!("b{from} "), size);
            stage.ask(from, &format!("bcast {text}"))?;
            sent.push((from, text));
        }
    }
    for (from, text) in &sent {
        for to in all.iter().filter(|to| *to != from) {
            received(stage, from, to, None, text)?;
            let copies =
                stage.history(to).messages.iter().filter(|message| message.text == *text).count();
            // Go repeats its gossip without an end that a receiver could know of.
            if copies != 1 && Program::named(from) == Program::Node {
                return fail(format!("{to} got {copies} copies of a broadcast of {from}"));
            }
        }
    }
    Ok(())
}

/// A few messages each way, for cases about what lies beneath them.
pub(super) fn a_few(stage: &mut Stage, pairs: &[(&str, &str)]) -> Result<(), Stop> {
    for (from, to) in pairs {
        for (reliable, size) in [(false, 300), (false, 9_000), (true, 3_000)] {
            let kind = if reliable { 'k' } else { 'e' };
            let text = noise(&format!("{kind}{from}{to} "), size);
            super::deliver(stage, from, to, reliable, &text)?;
        }
    }
    Ok(())
}

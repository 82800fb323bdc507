//! Stories about what members send: user messages, labels, keys, compression, exchanges of states.

use std::time::Duration;

use super::steps::{GATHER, Told, a_few, deliver, noise, received, updated};
use crate::Stop;
use crate::fleet::Program;
use crate::fleet::stage::{Stage, fail};

/// Two within a datagram at first, three that need a stream of their own. The longest leaves
/// room for the type byte and a checksum within the 65,536 bytes that Go takes.
const BEST_EFFORT: [usize; 6] = [1, 1_000, 1_300, 5_000, 20_000, 65_500];
const RELIABLE: [usize; 5] = [1, 1_000, 5_000, 20_000, 100_000];

/// User messages both ways between the kinds, and broadcasts to everybody: each is checked byte
/// for byte, with the way it took and, where the receiver is told, its sender.
pub(super) fn all_ways(stage: &mut Stage, sabotaged: bool) -> Told {
    let first = stage.start("r1", &["--compress", "off"])?;
    // Often enough that everybody gets each broadcast: Go tells three random members a round.
    let go = ["--compress", "off", "--broadcast-mult", "40", "--join", &first];
    stage.start("g1", &go)?;
    stage.start("r2", &["--join", &first])?;
    stage.start("g2", &go)?;
    let all = ["r1", "r2", "g1", "g2"];
    stage.gathered(&all, GATHER)?;
    let mut sent = Vec::new();
    // The first letter alone tells the messages of one byte apart.
    let mut letters = 'a'..;
    for (from, to) in [("r1", "g1"), ("g1", "r1"), ("r1", "r2"), ("g2", "r2")] {
        for (reliable, sizes) in [(false, &BEST_EFFORT[..]), (true, &RELIABLE[..])] {
            let letter = letters.next().unwrap_or('?');
            for size in sizes {
                let text = noise(&format!("{letter}{from}{to} "), *size);
                let command = if reliable { "sendr" } else { "send" };
                if !(sabotaged && (from, to, *size) == ("r1", "g1", 20_000)) {
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
    let ways = [("g1", "/transport/unis_in"), ("r1", "/transport/packets/in_by_stream")];
    for (name, by_stream) in ways {
        if stage.count(name, by_stream)? < 3 {
            return fail(format!("{name} got no large best-effort message by a stream of its own"));
        }
    }
    broadcasts(stage, &all)
}

/// Each kind joins the other once, and both sides of a join get the other's state.
pub(super) fn states(stage: &mut Stage, sabotaged: bool) -> Told {
    let mut addresses = Vec::new();
    for name in ["g1", "r1", "g2"] {
        addresses.push(stage.start(name, &[])?);
        if !(sabotaged && name == "r1") {
            stage.ask(name, &format!("state of {name}"))?;
        }
    }
    for (newcomer, member, address) in [("r1", "g1", 0), ("g2", "r1", 1)] {
        stage.ask(newcomer, &format!("join {}", addresses[address]))?;
        for (to, from) in [(member, newcomer), (newcomer, member)] {
            let state = (format!("of {from}"), true);
            let what = format!("{to} gets the state of {from}");
            stage.wait(&what, GATHER, |stage| stage.member(to).states.contains(&state))?;
        }
    }
    stage.gathered(&["r1", "g1", "g2"], GATHER)
}

fn broadcasts(stage: &mut Stage, all: &[&str]) -> Told {
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
            let messages = stage.member(to).messages.iter();
            let copies = messages.filter(|message| message.payload() == *text).count();
            // Go repeats its gossip without an end that a receiver could know of.
            if copies != 1 && Program::named(from) == Program::Node {
                return fail(format!("{to} got {copies} copies of a broadcast of {from}"));
            }
        }
    }
    Ok(())
}

const EXCHANGES: usize = 300;

/// More exchanges on one connection than Go grants streams.
///
/// Go grants 100 bidirectional streams and takes one back only when it has read its end, which
/// it does not if the end comes after its reply. The sabotage lets two Go peers show it.
pub(super) fn credit(stage: &mut Stage, sabotaged: bool) -> Told {
    let peer = stage.start("g1", &[])?;
    let node = stage.start("r1", &["--join", &peer])?;
    let mut all = vec!["r1", "g1"];
    if sabotaged {
        stage.start("g2", &["--join", &peer])?;
        all.push("g2");
    }
    stage.gathered(&all, GATHER)?;
    let before = connections(stage)?;
    for (from, address) in [(if sabotaged { "g2" } else { "r1" }, &peer), ("g1", &node)] {
        for number in 1..=EXCHANGES {
            let reply = stage.attempt(from, &format!("join {address}"))?;
            if !reply.ok {
                let failed = &reply.fields["failed"];
                return fail(format!("exchange {number} of {from} failed: {failed}"));
            }
        }
    }
    let after = connections(stage)?;
    if after != before {
        return fail(format!("there were {before} connections in all, and {after} afterwards"));
    }
    stage.notes.push(format!("{} exchanges, no new connection", 2 * EXCHANGES));
    Ok(())
}

/// How many connections the Go peer has ever had.
fn connections(stage: &mut Stage) -> Result<u64, Stop> {
    Ok(stage.count("g1", "/transport/dialed")? + stage.count("g1", "/transport/accepted")?)
}

pub(super) const KEY_16: &str = "000102030405060708090a0b0c0d0e0f";
pub(super) const KEY_24: &str = "000102030405060708090a0b0c0d0e0f1011121314151617";
pub(super) const KEY_32: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
pub(super) const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f";

/// What tells the pairs below apart: a node answers Go, is answered, gossips and sends both ways.
const PAIRS: [(&str, &str); 4] = [("r1", "g1"), ("g1", "r1"), ("g2", "r1"), ("r1", "g2")];

/// A node between two Go peers: one that it joins, and one that joins it.
pub(super) fn cluster(stage: &mut Stage, node_flags: &[&str], go_flags: &[&str]) -> Told {
    let peer = stage.start("g1", go_flags)?;
    let node = stage.start("r1", &[node_flags, &["--join", &peer]].concat())?;
    stage.gathered(&["r1", "g1"], Duration::from_secs(4))?;
    stage.start("g2", &[go_flags, &["--join", &node]].concat())?;
    converse(stage)
}

/// All see each other, exchange messages and see each other's new metadata.
fn converse(stage: &mut Stage) -> Told {
    let all = ["r1", "g1", "g2"];
    stage.gathered(&all, GATHER)?;
    a_few(stage, &PAIRS)?;
    stage.ask("r1", "meta changed")?;
    stage.ask("g2", "meta changed too")?;
    updated(stage, "r1", "changed", &["g1"])?;
    updated(stage, "g2", "changed too", &["r1"])?;
    stage.agree(&all).map(drop)
}

/// A member of protocol version 1 takes its own port for everybody's, so all have the same one,
/// on addresses of their own.
pub(super) fn old_format(stage: &mut Stage, sabotaged: bool) -> Told {
    for (name, host) in [("g1", 1), ("r1", 2), ("g2", 3)] {
        stage.fleet.certify(name, Some([127, 78, 0, host].into()))?;
    }
    let go = ["--key", KEY_16, "--protocol-1", "--bind"];
    let key = if sabotaged { OTHER_KEY } else { KEY_16 };
    let peer = stage.start("g1", &[&go[..], &["127.78.0.1:0"]].concat())?;
    let at = |host: u8| peer.replacen("127.78.0.1", &format!("127.78.0.{host}"), 1);
    let node = stage.start("r1", &["--key", key, "--bind", &at(2), "--join", &peer])?;
    stage.gathered(&["r1", "g1"], Duration::from_secs(4))?;
    stage.start("g2", &[&go[..], &[&at(3), "--join", &node]].concat())?;
    converse(stage)
}

/// Each step is taken everywhere before the next; in between, everything that is sealed with
/// either key arrives.
pub(super) fn key_rotation(stage: &mut Stage, sabotaged: bool) -> Told {
    let all = ["r1", "g1", "g2"];
    let first = ["--key", KEY_16];
    let peer = stage.start("g1", &first)?;
    let node = stage.start("r1", &["--key", KEY_16, "--join", &peer])?;
    stage.start("g2", &["--key", KEY_16, "--join", &node])?;
    stage.gathered(&all, GATHER)?;
    for name in all.into_iter().filter(|name| !(sabotaged && *name == "r1")) {
        stage.ask(name, &format!("key-add {KEY_32}"))?;
    }
    // One kind after the other begins to seal with the new key.
    for name in ["g1", "r1", "g2"] {
        if !(sabotaged && name == "r1") {
            stage.ask(name, &format!("key-use {KEY_32}"))?;
        }
        a_few(stage, &PAIRS)?;
    }
    for name in all {
        stage.ask(name, &format!("key-remove {KEY_16}"))?;
        let keys = stage.ask(name, "keys")?;
        if keys.fields["keys"] != serde_json::json!([KEY_32]) {
            return fail(format!("{name} holds other keys than the new one: {keys:?}"));
        }
    }
    converse(stage)
}

/// What compresses to a fraction: 20 kB that fit into one datagram, or do not.
pub(super) fn compression(stage: &mut Stage, sabotaged: bool) -> Told {
    let compress = if sabotaged { "off" } else { "on" };
    let first = stage.start("r1", &["--compress", compress])?;
    stage.start("g1", &["--compress", "off", "--join", &first])?;
    stage.start("r2", &["--compress", "off", "--join", &first])?;
    stage.start("g2", &["--compress", compress, "--join", &first])?;
    stage.gathered(&["r1", "r2", "g1", "g2"], GATHER)?;
    let text = "compress me ".repeat(1_700);
    let text = text.trim_end();
    for (from, to, is_small) in
        [("r1", "g1", true), ("g2", "r2", true), ("r2", "g2", false), ("g1", "r1", false)]
    {
        let out_by_stream = match Program::named(from) {
            Program::Node => "/transport/packets/out_by_stream",
            Program::GoPeer => "/transport/unis_out",
        };
        let before = stage.count(from, out_by_stream)?;
        deliver(stage, from, to, false, text)?;
        let by_stream = stage.count(from, out_by_stream)? - before;
        if is_small && by_stream > 0 {
            return fail(format!("{from}'s compressible message did not go in one datagram"));
        }
        if !is_small && by_stream == 0 {
            return fail(format!("{from} compressed although it was told not to"));
        }
        deliver(stage, from, to, true, text.get(1..).unwrap_or(text))?;
    }
    a_few(stage, &[("r1", "g1"), ("g1", "r1"), ("r2", "g2"), ("g2", "r2")])
}

/// Clusters that must not mix, by label or by key: each kind tries to join the other and is
/// refused, and the node says why, in an event and in its log.
pub(super) fn refused(stage: &mut Stage, why: &str, ours: &str, theirs: &str) -> Told {
    let flag = format!("--{why}");
    let peer = stage.start("g1", &[&flag, theirs])?;
    let node = stage.start("r1", &[&flag, ours, "--join", &peer])?;
    let ended = "r1's attempt to join ends";
    stage.wait(ended, Duration::from_secs(15), |stage| !stage.member("r1").seeds.is_empty())?;
    if stage.member("r1").seeds[0].is_none() {
        return fail(format!("r1 joined g1 with the wrong {why}"));
    }
    if stage.attempt("g1", &format!("join {node}"))?.ok {
        return fail(format!("g1 joined r1 with the wrong {why}"));
    }
    let names_it = |text: &str| text.to_lowercase().contains(why);
    let what = format!("r1 says that it refused the wrong {why}");
    stage.wait(&what, Duration::from_secs(5), |stage| {
        let mut warnings = stage.member("r1").warnings.iter();
        warnings.any(|(what, detail)| names_it(what) || names_it(detail))
    })?;
    let log = stage.log("r1");
    let Some(line) = log.lines().find(|line| line.contains(" WARN ") && names_it(line)) else {
        return fail(format!("r1's log does not say that it refused the wrong {why}"));
    };
    let said = line.splitn(4, ' ').last().unwrap_or_default();
    stage.notes.push(format!("\"{said}\""));
    stage.watch(Duration::from_secs(1), |stage| {
        ["r1", "g1"].into_iter().find_map(|name| {
            let seen = stage.member(name).beliefs.keys().next()?;
            Some(format!("{name} took {seen} in with the wrong {why}"))
        })
    })
}

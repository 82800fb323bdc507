//! Labels, encryption and compression: clusters of both kinds that agree on them.
//!
//! In each the node answers a Go peer and is answered by one, gossips, and sends messages both
//! ways.

use std::time::Duration;

use super::{GATHER, user_messages};
use crate::Stop;
use crate::fleet::stage::{Stage, fail};

const KEY_16: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_24: &str = "000102030405060708090a0b0c0d0e0f1011121314151617";
const KEY_32: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY: &str = "ff0102030405060708090a0b0c0d0e0f";

type Told = Result<(), Stop>;

pub(in crate::interop) fn label(stage: &mut Stage, sabotaged: bool) -> Told {
    let other = ["--label", "green"];
    cluster(stage, &["--label", "blue"], &["--label", "blue"], sabotaged.then_some(&other[..]))
}

pub(in crate::interop) fn key_16(stage: &mut Stage, sabotaged: bool) -> Told {
    key(stage, KEY_16, sabotaged)
}

pub(in crate::interop) fn key_24(stage: &mut Stage, sabotaged: bool) -> Told {
    key(stage, KEY_24, sabotaged)
}

pub(in crate::interop) fn key_32(stage: &mut Stage, sabotaged: bool) -> Told {
    key(stage, KEY_32, sabotaged)
}

fn key(stage: &mut Stage, key: &str, sabotaged: bool) -> Told {
    let other = ["--key", OTHER_KEY];
    cluster(stage, &["--key", key], &["--key", key], sabotaged.then_some(&other[..]))
}

pub(in crate::interop) fn key_ring(stage: &mut Stage, sabotaged: bool) -> Told {
    let node = ["--key", KEY_16, "--key", KEY_32];
    let go = ["--key", KEY_32, "--key", KEY_16];
    cluster(stage, &node, &go, sabotaged.then_some(&node[..2]))
}

/// Each step is taken everywhere before the next; in between, everything that is sealed with
/// either key arrives.
pub(in crate::interop) fn key_rotation(stage: &mut Stage, sabotaged: bool) -> Told {
    let all = ["r1", "g1", "g2"];
    let pairs = [("r1", "g1"), ("g1", "r1"), ("g2", "r1"), ("r1", "g2")];
    let first = ["--key", KEY_16];
    let peer = stage.start("g1", &first)?;
    let node = stage.start("r1", &with_join(&first, &peer))?;
    stage.start("g2", &with_join(&first, &node))?;
    stage.gathered(&all, GATHER)?;
    for name in all {
        if !(sabotaged && name == "r1") {
            stage.ask(name, &format!("key-add {KEY_32}"))?;
        }
    }
    // One kind after the other begins to seal with the new key.
    for name in ["g1", "r1", "g2"] {
        if !(sabotaged && name == "r1") {
            stage.ask(name, &format!("key-use {KEY_32}"))?;
        }
        user_messages::a_few(stage, &pairs)?;
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

/// A member of protocol version 1 takes its own port for everybody's, so all have the same one,
/// on addresses of their own.
pub(in crate::interop) fn key_old_format(stage: &mut Stage, sabotaged: bool) -> Told {
    let homes = [("g1", "127.78.0.1"), ("r1", "127.78.0.2"), ("g2", "127.78.0.3")];
    for (name, ip) in homes {
        stage.certify(name, ip)?;
    }
    let go = ["--key", KEY_16, "--protocol-1"];
    let key = if sabotaged { OTHER_KEY } else { KEY_16 };
    let peer = stage.start("g1", &[&go[..], &["--bind", "127.78.0.1:0"]].concat())?;
    let port = peer.rsplit(':').next().unwrap_or_default();
    let at = |ip: &str| format!("{ip}:{port}");
    let node = stage.start("r1", &["--key", key, "--bind", &at(homes[1].1), "--join", &peer])?;
    stage.gathered(&["r1", "g1"], Duration::from_secs(4))?;
    stage.start("g2", &[&go[..], &["--bind", &at(homes[2].1), "--join", &node]].concat())?;
    converse(stage)
}

pub(in crate::interop) fn label_and_key(stage: &mut Stage, sabotaged: bool) -> Told {
    let both = ["--label", "blue", "--key", KEY_24];
    let other = ["--label", "green", "--key", KEY_24];
    cluster(stage, &both, &both, sabotaged.then_some(&other[..]))
}

/// A node between two Go peers: one that it joins, and one that joins it.
fn cluster(
    stage: &mut Stage,
    node_flags: &[&str],
    go_flags: &[&str],
    instead: Option<&[&str]>,
) -> Told {
    let peer = stage.start("g1", go_flags)?;
    let node = stage.start("r1", &with_join(instead.unwrap_or(node_flags), &peer))?;
    stage.gathered(&["r1", "g1"], Duration::from_secs(4))?;
    stage.start("g2", &with_join(go_flags, &node))?;
    converse(stage)
}

/// All see each other, exchange messages and see each other's new metadata.
fn converse(stage: &mut Stage) -> Told {
    stage.gathered(&["r1", "g1", "g2"], GATHER)?;
    user_messages::a_few(stage, &[("r1", "g1"), ("g1", "r1"), ("g2", "r1"), ("r1", "g2")])?;
    stage.ask("r1", "meta changed")?;
    stage.ask("g2", "meta changed too")?;
    let seen = |stage: &Stage, observer: &str, of: &str, meta: &str| {
        stage.history(observer).beliefs.get(of).is_some_and(|belief| belief.meta == meta)
    };
    stage.wait("both see the new metadata", GATHER, |stage| {
        seen(stage, "g1", "r1", "changed") && seen(stage, "r1", "g2", "changed too")
    })?;
    stage.agree(&["r1", "g1", "g2"])?;
    Ok(())
}

fn with_join<'a>(flags: &[&'a str], address: &'a str) -> Vec<&'a str> {
    flags.iter().copied().chain(["--join", address]).collect()
}

/// What compresses to a fraction: 20 kB that fit into one datagram, or do not.
pub(in crate::interop) fn compression(stage: &mut Stage, sabotaged: bool) -> Told {
    let compress = if sabotaged { "off" } else { "on" };
    let first = stage.start("r1", &["--compress", compress])?;
    stage.start("g1", &["--compress", "off", "--join", &first])?;
    stage.start("r2", &["--compress", "off", "--join", &first])?;
    stage.start("g2", &["--compress", compress, "--join", &first])?;
    stage.gathered(&["r1", "r2", "g1", "g2"], GATHER)?;
    let text = "compress me ".repeat(1_700);
    let text = text.trim_end();
    let out_by_stream = |name: &str| match name {
        "r1" | "r2" => "/transport/packets/out_by_stream",
        _ => "/transport/unis_out",
    };
    for (from, to, is_small) in
        [("r1", "g1", true), ("g2", "r2", true), ("r2", "g2", false), ("g1", "r1", false)]
    {
        let before = stage.count(from, out_by_stream(from))?;
        super::deliver(stage, from, to, false, text)?;
        let by_stream = stage.count(from, out_by_stream(from))? - before;
        if is_small && by_stream > 0 {
            return fail(format!("{from}'s compressible message did not go in one datagram"));
        }
        if !is_small && by_stream == 0 {
            return fail(format!("{from} compressed although it was told not to"));
        }
        super::deliver(stage, from, to, true, text.get(1..).unwrap_or(text))?;
    }
    user_messages::a_few(stage, &[("r1", "g1"), ("g1", "r1"), ("r2", "g2"), ("g2", "r2")])
}

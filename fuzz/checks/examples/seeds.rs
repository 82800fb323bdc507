//! Writes the first inputs of every corpus: `cargo run -p swim-quic-fuzz-checks --example seeds`.
//!
//! Packets, streams, messages and compressed bytes are those that Go wrote (the vectors of the
//! codec's own tests), behind the bytes that choose the layers; stories are short ones that reach
//! each kind of step. Names of files are numbers. What a fuzzer found is added by
//! `cargo xtask fuzz --minimise`, which also throws out what adds nothing.

#![expect(clippy::print_stdout, reason = "a program for developers reports on stdout")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

const VECTORS: &str = include_str!("../../../crates/swim-core/tests/data/vectors.json");

/// The longest vector that becomes a seed.
const LONGEST: usize = 4096;

/// Type bytes with a body that `messages` decodes, in the order of its choices.
const BODIES: [Option<u8>; 12] = [
    Some(0),
    Some(1),
    Some(2),
    Some(3),
    Some(4),
    Some(5),
    None,
    None,
    None,
    Some(9),
    Some(13),
    Some(11),
];

/// What people write, right and wrong.
const TEXTS: &[(&str, &[&str])] = &[
    (
        "address_text",
        &[
            "10.0.0.2:7946",
            "10.0.0.2",
            "[fd00::1]:7946",
            "fd00::1",
            "[fe80::1%3]:7946",
            "seed.example:7946",
            "seed.example",
            "ada/10.0.0.2:7946",
            "ada/seed.example",
            "_swim._udp.example.com",
            "/10.0.0.2",
            "10.0.0.2:0",
            "10.0.0.2:70000",
            "[10.0.0.2]:7946",
            "10.0.0.0/8",
            "fd00::/8",
            "10.0.0.0/33",
            "::ffff:10.0.0.1/100",
            "eth0",
            "spiffe://example.org/member/{name}",
            "spiffe://example.org/*/{name}",
            "spiffe:///{name}",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "01:23:45:67:89:ab:cd:ef:01:23:45:67:89:ab:cd:ef:01:23:45:67:89",
        ],
    ),
    (
        "settings_text",
        &[
            "{}",
            r#"{"config":{}}"#,
            r#"{"config":{"label":"blue","probe_interval":"250ms"}}"#,
            r#"{"config":{"probe_interval":"1h","probe_timeout":"2h"}}"#,
            r#"{"config":{"gossip_interval":"0s","push_pull_interval":"1m 30s"}}"#,
            r#"{"config":{"allowed_networks":["10.0.0.0/8","fd00::/8"]}}"#,
            r#"{"config":{"stream_fallback_exceptions":["ada"],"stream_fallback":false}}"#,
            r#"{"config":{"versions":{"delegate_max":3,"delegate_current":3}}}"#,
            r#"{"config":{"packet_budget":1,"max_members":0}}"#,
            r#"{"config":{"packet_budget":65535,"max_members":4294967296}}"#,
            r#"{"config":{"awareness_max_multiplier":0,"suspicion_multiplier":0}}"#,
            r#"{"config":{"dead_node_reclaim_time":"1000y"}}"#,
            r#"{"config":{"dead_node_reclaim_time":"-1s"}}"#,
            r#"{"config":{"compression":true,"verify_incoming":false}}"#,
            r#"{"limits":{"dial_timeout":"1s 500ms","connections":64}}"#,
            r#"{"limits":{"connections":0,"handshakes":0}}"#,
            r#"{"limits":{"streams":1,"half_open":1}}"#,
            r#"{"subscriptions":{"messages":10}}"#,
            r#"{"subscriptions":{"messages":0,"message_bytes":0}}"#,
            r#"{"advertise":"10.0.0.0/8"}"#,
            r#"{"advertise":"eth0","name_policy":"any"}"#,
            r#"{"name_fields":{"spiffe":["spiffe://example.org/member/{name}"]}}"#,
            r#"{"name_fields":{"dns":true}}"#,
            r#"{"config":{"unknown":1}}"#,
        ],
    ),
];

fn main() -> Result<(), Box<dyn Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let vectors: Vec<Value> = serde_json::from_str(VECTORS)?;
    let mut seeds = Seeds { corpus, written: 0 };
    for vector in &vectors {
        let name = vector["name"].as_str().ok_or("a vector has no name")?;
        let bytes = unhex(vector["hex"].as_str().ok_or("a vector has no bytes")?)?;
        if bytes.len() <= LONGEST {
            seeds.add_vector(name, &bytes)?;
        }
    }
    for step in 0..24 {
        seeds.add("membership", &[&story_of_one(step)])?;
    }
    for step in 5..16 {
        for settings in [1, 15] {
            seeds.add("cluster", &[&story_of_three(settings, step)])?;
        }
    }
    for (target, texts) in TEXTS {
        for text in *texts {
            seeds.add(target, &[text.as_bytes()])?;
        }
    }
    for length in 0..24_u8 {
        // Whole names, cut ones, and names that are not UTF-8.
        let name = [b"a-protocol's-name-of-this-length".as_slice(), &[0xff; 8]].concat();
        let cut = usize::from(length) + usize::from(length % 3 == 0) * 8;
        seeds.add("application_header", &[&[0xf5, length], &name[..cut], b"rest"])?;
    }
    for number in 0..32 {
        // Materials whole and damaged; tokens; what arrives at a live connection.
        let damage = if number < 12 { 0 } else { number };
        let pem = [1 + number % 7, number, damage % 6];
        seeds.add("pem_text", &[&pem, &program(number)[..usize::from(damage)]])?;
        seeds.add("retry_tokens", &[&[number % 4], &program(number)])?;
        seeds.add("live_connections", &[&program(number)])?;
    }
    println!("{} seeds in {}", seeds.written, seeds.corpus.display());
    Ok(())
}

struct Seeds {
    corpus: PathBuf,
    written: usize,
}

impl Seeds {
    fn add_vector(&mut self, name: &str, bytes: &[u8]) -> Result<(), Box<dyn Error>> {
        if name.starts_with("lzw_") {
            self.add("compression", &[&[0], bytes])?;
            return self.add("compression", &[&[1], bytes]);
        }
        if name.starts_with("stream_") || name.starts_with("real_") {
            for side in [0, 1] {
                self.add("stream", &[&[0, side, 3, 0, 9, 40], bytes])?;
            }
            // The same encrypted and compressed, behind a label.
            self.add("stream", &[&[0x83, 0, 7, 7, 7, 7], bytes])?;
        }
        self.add("packet", &[&[0], bytes])?;
        self.add("packet", &[&[0x85, 1, 0, 20, 1], bytes])?;
        if let Some((first, body)) = bytes.split_first() {
            let choices = (0u8..).zip(BODIES).filter(|(_, kind)| *kind == Some(*first));
            for (choice, _) in choices {
                self.add("messages", &[&[choice, 0, 7], body])?;
            }
        }
        for (prefix, choice) in
            [("push_pull_header_", 6), ("push_node_state_", 7), ("user_msg_header", 8)]
        {
            if name.starts_with(prefix) {
                self.add("messages", &[&[choice, 0, 5], bytes])?;
            }
        }
        Ok(())
    }

    fn add(&mut self, target: &str, parts: &[&[u8]]) -> Result<(), Box<dyn Error>> {
        let folder = self.corpus.join(target);
        fs::create_dir_all(&folder)?;
        self.written += 1;
        fs::write(folder.join(format!("seed-{:04}", self.written)), parts.concat())?;
        Ok(())
    }
}

/// Claims, deadlines and one kind of step, with growing numbers.
fn story_of_one(step: u8) -> Vec<u8> {
    let settings = [step % 2 * 0xff, 0, 0, 0, 0, 2, b'm', b'e', step, 0, 0, 0, 1];
    let turns = (0..12).flat_map(|turn| [8, turn, 0, turn, turn, 1, 12, step, turn, 4]);
    settings.into_iter().chain(turns).collect()
}

/// Two members join the third; then deadlines, deliveries and one kind of step take turns.
fn story_of_three(settings: u8, step: u8) -> Vec<u8> {
    let join = |who| [15, who, 0, 0].into_iter().chain([0; 10]);
    let turns = (0..20).flat_map(|turn| [9, 0, 0, 0, step, turn, turn % 3, turn]);
    [settings].into_iter().chain(join(1)).chain(join(2)).chain(turns).collect()
}

/// Bytes that choose steps of every kind, other ones for each number.
fn program(number: u8) -> Vec<u8> {
    (0..200)
        .map(|at: u8| at.wrapping_mul(number.wrapping_mul(2) | 1) ^ (at >> 3) ^ number)
        .collect()
}

fn unhex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

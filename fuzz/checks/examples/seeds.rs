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

fn unhex(text: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?)).collect()
}

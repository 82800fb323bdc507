//! Prints what memberlist packets and streams hold, one JSON object per input.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use serde_json::{Value, json};
use swim_core::wire::{Keyring, Label, Side, WireSettings};

use tree::Failure;

mod tree;

/// Decode packets and streams of Go's memberlist, given as hex.
///
/// Prints one JSON object per input, or {"type":"error","offset":N,"reason":"…"}. Exit code 1 if
/// any input failed, 2 for bad arguments.
///
/// Field names are memberlist's; bytes are hex and nil is null. Names are text (bytes that are
/// not UTF-8 as \xNN), except with --body, where Node, From and SourceNode are hex. Layers are
/// nested: label, hasCrc, compress, compound; encryption is undone without a trace. A message of
/// a type that packets do not carry is shown as {"type":"unknown"}.
#[derive(Parser)]
#[command(name = "decode", verbatim_doc_comment)]
struct Arguments {
    /// The input is all that one side wrote on a stream.
    #[arg(long, conflicts_with = "body")]
    stream: bool,

    /// That side is the one that answers: it writes no label header, though the label counts.
    #[arg(long, requires = "stream")]
    reply: bool,

    /// The input is one bare msgpack value without type byte (or, for lzw, an LZW stream).
    #[arg(long, value_name = "TYPE", value_parser = PossibleValuesParser::new(BODIES))]
    body: Option<String>,

    /// The cluster's label; without it, any label is shown.
    #[arg(long, default_value = "", hide_default_value = true, value_parser = parse_label)]
    label: Label,

    /// A key of 16, 24 or 32 bytes in hex; may be given several times.
    #[arg(long, value_name = "HEX", value_parser = parse_key)]
    key: Vec<Key>,

    /// The input; without it, each line of standard input is one.
    #[arg(value_name = "HEX")]
    input: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut keyring = Keyring::default();
    for Key(key) in &arguments.key {
        if let Err(error) = keyring.add(key) {
            eprintln!("decode: --key: {error}");
            return ExitCode::from(2);
        }
    }
    let settings =
        WireSettings { label: arguments.label.clone(), keyring, ..WireSettings::default() };
    match run(&arguments, &settings) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("decode: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every input could be decoded.
fn run(arguments: &Arguments, settings: &WireSettings) -> io::Result<bool> {
    let mut output = io::stdout().lock();
    let mut all_good = true;
    let mut show = |input: &str| {
        let tree = decode(input, arguments, settings).unwrap_or_else(|failure| {
            all_good = false;
            json!({ "type": "error", "offset": failure.offset, "reason": failure.reason })
        });
        writeln!(output, "{tree}")
    };
    match &arguments.input {
        Some(input) => show(input)?,
        None => {
            for line in io::stdin().lock().lines() {
                show(&line?)?;
            }
        }
    }
    Ok(all_good)
}

fn decode(input: &str, arguments: &Arguments, settings: &WireSettings) -> Result<Value, Failure> {
    let bytes = tree::unhex(input)?;
    match &arguments.body {
        Some(kind) => tree::body(kind, &bytes),
        None if arguments.reply => tree::stream(&bytes, settings, Side::Answerer),
        None if arguments.stream => tree::stream(&bytes, settings, Side::Opener),
        None => tree::packet(&bytes, settings),
    }
}

fn parse_label(text: &str) -> Result<Label, String> {
    Label::new(text).map_err(|error| error.to_string())
}

fn parse_key(text: &str) -> Result<Key, String> {
    tree::unhex(text).map(Key).map_err(|failure| failure.reason)
}

/// A key's bytes; a type of its own, for clap takes a plain vector to be a list.
#[derive(Clone)]
struct Key(Vec<u8>);

/// The values that `--body` can decode.
const BODIES: [&str; 13] = [
    "ping",
    "indirectPing",
    "ack",
    "nack",
    "suspect",
    "alive",
    "dead",
    "err",
    "compress",
    "pushPullHeader",
    "nodeState",
    "userHeader",
    "lzw",
];

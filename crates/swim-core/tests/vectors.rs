//! Every byte that real Go code wrote is read as Go meant it, and written again as Go wrote it.
//!
//! `data/vectors.json` holds the output of Go's memberlist, go-msgpack and compress/lzw. Each
//! vector is tried in both directions where both make sense; the count per family is printed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};
use swim_core::wire::schema::{
    Ack, Alive, Compress, Dead, ErrorMessage, IndirectPing, Message, Nack, NodeState, Ping,
    PushPullHeader, Suspect, UserHeader,
};
use swim_core::wire::{
    EncryptionVersion, Keyring, Label, PacketDecoder, Side, StreamDecoder, StreamMessage,
    WireSettings, compound, compress, crc, encode_packet, encode_stream, label,
};
use swim_core::wire::{encode_push_pull, encode_user};

#[path = "../examples/decode/tree.rs"]
mod tree;

use tree::{hex, unhex};

const TOTAL: usize = 311;
const NONCE: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

static VECTORS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("data/vectors.json")).expect("vectors are JSON")
});

#[test]
fn all_vectors_hold_in_both_directions() {
    let mut families = BTreeMap::new();
    for vector in VECTORS.iter() {
        let vector = Vector {
            name: vector["name"].as_str().unwrap(),
            fields: &vector["fields"],
            bytes: unhex(vector["hex"].as_str().unwrap()).unwrap(),
        };
        *families.entry(vector.check()).or_insert(0) += 1;
    }
    for (family, count) in &families {
        println!("{count:4}  {family}");
    }
    println!("{:4}  in all", families.values().sum::<usize>());
    assert_eq!(families.values().sum::<usize>(), TOTAL);
}

type Check = fn(&Vector);

/// The first family whose prefix a vector's name has is its own.
const FAMILIES: [(&str, Check); 28] = [
    ("label_bad_", Vector::bad_label),
    ("label_packet", Vector::labelled),
    ("compound_split_", Vector::split_compound),
    ("compound_", Vector::compound),
    ("has_crc_", Vector::checksummed),
    ("crc_compress_", Vector::checksummed),
    ("compress_msg_", Vector::compress_message),
    ("compress_compound", Vector::compressed_packet),
    ("encrypted_", Vector::encrypted),
    ("push_pull_header_", Vector::bare_value),
    ("push_node_state_", Vector::bare_value),
    ("user_msg_header", Vector::bare_value),
    ("stream_", Vector::stream),
    ("packet_", Vector::packet),
    ("decode_", Vector::odd_value),
    ("lzw_decode_", Vector::odd_lzw),
    ("lzw_", Vector::lzw),
    ("real_", Vector::captured),
    ("ping_name_len_", Vector::long_name),
    ("ping_", Vector::message),
    ("indirect_ping_", Vector::message),
    ("ack_", Vector::message),
    ("nack_", Vector::message),
    ("err", Vector::message),
    ("suspect_", Vector::message),
    ("dead_", Vector::message),
    ("alive_", Vector::message),
    ("user_packet", Vector::user_packet),
];

struct Vector {
    name: &'static str,
    fields: &'static Value,
    bytes: Vec<u8>,
}

impl Vector {
    /// Checks the vector and names its family.
    fn check(&self) -> &'static str {
        let family = FAMILIES.iter().find(|(prefix, _)| self.name.starts_with(prefix));
        let Some((prefix, check)) = family else {
            panic!("no family is known for vector {}", self.name);
        };
        check(self);
        prefix
    }

    /// One message with its type byte.
    fn message(&self) {
        let kind = match self.name.split('_').next().unwrap() {
            "indirect" => "indirectPing",
            kind => kind,
        };
        let mut expected = self.fields.clone();
        expected["type"] = kind.into();
        let tree = tree::packet(&self.bytes, &WireSettings::default()).unwrap();
        assert_eq!(tree, expected, "{}", self.name);
        self.same(&encode(kind, self.fields));
    }

    fn user_packet(&self) {
        let payload = self.hex("payload");
        let mut decoder = PacketDecoder::default();
        let packet = decoder.decode(&self.bytes, &WireSettings::default()).unwrap();
        assert_eq!(packet.messages, [Message::User(&payload)]);
        self.same(&Message::User(&payload).to_vec());
    }

    /// Some of these hold only the first bytes of what Go wrote.
    fn long_name(&self) {
        let byte = self.text("NodeByte");
        let node = byte.repeat(self.number("NodeLen"));
        let seq_no = u32::try_from(self.number("SeqNo")).unwrap();
        let ping = Ping { seq_no, node: node.as_bytes(), ..Ping::default() };
        let encoded = Message::Ping(ping).to_vec();
        let mut decoder = PacketDecoder::default();
        if self.name.ends_with("_prefix") {
            assert!(encoded.starts_with(&self.bytes), "{}", self.name);
            assert!(
                decoder.decode(&self.bytes, &WireSettings::default()).is_err(),
                "{}",
                self.name
            );
        } else {
            self.same(&encoded);
        }
        let packet = decoder.decode(&encoded, &WireSettings::default()).unwrap();
        assert_eq!(packet.messages, [Message::Ping(ping)], "{}", self.name);
    }

    /// One msgpack value without type byte.
    fn bare_value(&self) {
        let kind = match self.name {
            "user_msg_header" => "userHeader",
            name if name.starts_with("push_pull") => "pushPullHeader",
            _ => "nodeState",
        };
        let mut expected = self.fields.clone();
        expected["type"] = kind.into();
        assert_eq!(tree::body(kind, &self.bytes).unwrap(), expected, "{}", self.name);
        self.same(&encode(kind, self.fields));
    }

    fn split_compound(&self) {
        let messages: Vec<Vec<u8>> =
            (0..300u16).map(|n| [&[8], n.to_le_bytes().as_slice()].concat()).collect();
        let split = compound::join(&messages).unwrap();
        self.same(&split[self.number("index")]);
        let mut decoder = PacketDecoder::default();
        let packet = decoder.decode(&self.bytes, &WireSettings::default()).unwrap();
        let first = self.number("index") * 255;
        let expected: Vec<_> =
            messages[first..].iter().take(255).map(|m| Message::User(&m[1..])).collect();
        assert_eq!(packet.messages, expected);
    }

    fn compound(&self) {
        let parts: Vec<Vec<u8>> = self.fields["parts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| unhex(part.as_str().unwrap()).unwrap())
            .collect();
        let mut walk = compound::CompoundParts::of(&self.bytes).unwrap();
        let mut found = Vec::new();
        while let Some(part) = walk.next(&self.bytes) {
            found.push(self.bytes[part].to_vec());
        }
        assert_eq!(found, parts, "{}", self.name);

        let truncated = self.fields["truncated"].as_u64().unwrap_or(0);
        assert_eq!(walk.truncated() as u64, truncated, "{}", self.name);
        let mut decoder = PacketDecoder::default();
        let packet = decoder.decode(&self.bytes, &WireSettings::default()).unwrap();
        assert_eq!(packet.truncated as u64, truncated, "{}", self.name);
        let messages: Vec<_> = packet.messages.iter().map(Message::to_vec).collect();
        assert_eq!(messages, parts, "{}", self.name);
        if truncated == 0 {
            self.same(&compound::join(&parts).unwrap()[0]);
        }
    }

    fn checksummed(&self) {
        let inner = self.hex("inner");
        let checked = crc::split_header(&self.bytes).unwrap();
        assert!(checked.is_ok(), "{}", self.name);
        self.decodes_to(&inner, &WireSettings::default());
        // Here Go compressed although that made it longer, which its packet sender never does.
        let compressed = self.name.contains("compress");
        let rest = if compressed { compress::compress_message(&inner) } else { inner };
        self.same(&[crc::header(&rest).as_slice(), &rest].concat());

        let mut damaged = self.bytes.clone();
        *damaged.last_mut().unwrap() ^= 1;
        assert!(PacketDecoder::default().decode(&damaged, &WireSettings::default()).is_err());
    }

    fn compressed_packet(&self) {
        let inner = self.hex("inner");
        self.decodes_to(&inner, &WireSettings::default());
        self.same(&compress::compress_message(&inner));
    }

    fn compress_message(&self) {
        let input = self.input();
        let mut scratch = Vec::new();
        let (message, consumed) = Compress::decode(&self.bytes[1..], &mut scratch).unwrap();
        assert_eq!(1 + consumed, self.bytes.len(), "{}", self.name);
        let mut output = Vec::new();
        compress::decompress_message(&message, input.len(), &mut output).unwrap();
        assert!(output == input, "{}", self.name);
        self.same(&compress::compress_message(&input));
    }

    fn lzw(&self) {
        let input = self.input();
        let mut output = Vec::new();
        compress::decompress(&self.bytes, input.len(), &mut output).unwrap();
        assert!(output == input, "{}", self.name);
        self.same(&compress::compress(&input));
        if let Some(limit) = input.len().checked_sub(1) {
            let refused = compress::decompress(&self.bytes, limit, &mut Vec::new());
            assert_eq!(
                refused,
                Err(compress::DecompressError::TooLarge { limit }),
                "{}",
                self.name
            );
        }
    }

    fn odd_lzw(&self) {
        let mut output = Vec::new();
        let result = compress::decompress(&self.bytes, 1 << 20, &mut output);
        assert_eq!(result.is_err(), self.is_refused(), "{}: {result:?}", self.name);
        if !self.is_refused() {
            assert_eq!(output, self.hex("output"), "{}", self.name);
        }
    }

    fn labelled(&self) {
        let inner = self.hex("inner");
        let settings = WireSettings { label: Label::new(self.text("label")).unwrap(), ..plain() };
        self.decodes_to(&inner, &settings);
        self.same(&encode_packet(&inner, &settings, false, NONCE));
        assert!(PacketDecoder::default().decode(&self.bytes, &plain()).is_err());
    }

    fn bad_label(&self) {
        assert!(self.is_refused());
        assert!(label::split_header(&self.bytes).is_err(), "{}", self.name);
        let failure = tree::packet(&self.bytes, &plain()).unwrap_err();
        assert!(failure.reason.contains("label"), "{}: {failure:?}", self.name);
        assert_eq!(failure.offset, 0);
    }

    /// The plain bytes need not be a message.
    fn encrypted(&self) {
        let settings = self.settings("version");
        let plain = self.hex("plain");
        assert_eq!(self.hex("nonce"), NONCE);
        assert_eq!(self.hex("aad"), settings.label.as_bytes(), "{}", self.name);
        let (label, encrypted) = label::split_header(&self.bytes).unwrap();
        let mut decrypted = encrypted.to_vec();
        let associated = settings.label.as_bytes();
        let range = settings.keyring.decrypt_in_place(&mut decrypted, associated).unwrap();
        assert_eq!(decrypted[range], plain, "{}", self.name);

        let mut written = Vec::new();
        if label.is_some() {
            settings.label.put_header(&mut written);
        }
        let start = written.len();
        // Room for version and nonce.
        written.extend_from_slice(&[0; 1 + NONCE.len()]);
        written.extend_from_slice(&plain);
        let version = settings.encryption_version;
        settings.keyring.encrypt_in_place(version, NONCE, associated, &mut written, start);
        self.same(&written);

        let received = WireSettings { skip_inbound_label_check: label.is_none(), ..settings };
        let mut decoder = PacketDecoder::default();
        assert!(decoder.decode(&self.bytes, &received).is_ok(), "{}", self.name);
        let other = Keyring::with_primary(&[7; 16]).unwrap();
        let others = WireSettings { keyring: other, ..received };
        assert!(decoder.decode(&self.bytes, &others).is_err(), "{}", self.name);
    }

    /// What Go's packet sender makes of one message.
    fn packet(&self) {
        let settings = self.settings("encryptionVersion");
        let plain = self.hex("plain");
        let checksum = self.fields["withNode"].as_bool().unwrap();
        self.decodes_to(&plain, &settings);
        self.same(&encode_packet(&plain, &settings, checksum, NONCE));
    }

    /// A whole stream, one way.
    fn stream(&self) {
        let settings = self.settings("encryptionVersion");
        let (side, plain, expected) = match self.name.trim_start_matches("stream_") {
            kind if kind.starts_with("push_pull") => {
                let nodes = self.fields["nodes"].as_array().unwrap();
                let owned: Vec<_> = nodes.iter().map(Fields::of).collect();
                let mut plain = Vec::new();
                let join = self.fields["join"].as_bool().unwrap();
                let states = owned.iter().map(Fields::node_state);
                encode_push_pull(join, states, &self.hex("userState"), &mut plain);
                let tree = json!({
                    "type": "pushPull", "Join": join, "nodes": nodes,
                    "UserState": self.fields["userState"],
                });
                (Side::Opener, plain, tree)
            }
            kind if kind.starts_with("user") => {
                let mut plain = Vec::new();
                encode_user(&self.hex("payload"), &mut plain);
                let tree = json!({ "type": "user", "Payload": self.fields["payload"] });
                (Side::Opener, plain, tree)
            }
            kind if kind.starts_with("ping") => {
                let tree = json!({
                    "type": "ping", "Node": self.fields["Node"], "SeqNo": self.fields["SeqNo"],
                });
                (Side::Opener, encode("ping", self.fields), tree)
            }
            kind if kind.starts_with("ack") => {
                let tree = json!({
                    "type": "ack", "Payload": null, "SeqNo": self.fields["SeqNo"],
                });
                (Side::Answerer, encode("ack", self.fields), tree)
            }
            _ => {
                let tree = json!({ "type": "err", "Error": self.fields["Error"] });
                (Side::Answerer, encode("err", self.fields), tree)
            }
        };
        self.same(&encode_stream(&plain, &settings, side, NONCE).unwrap());

        let mut tree = tree::stream(&self.bytes, &settings, side).unwrap();
        assert_eq!(tree.get("trailing"), None, "{}", self.name);
        while let Some(inner) = tree.get("inner") {
            tree = inner.clone();
        }
        assert_eq!(tree, expected, "{}", self.name);

        let shorter = &self.bytes[..self.bytes.len() - 1];
        assert!(tree::stream(shorter, &settings, side).is_err(), "{}", self.name);
    }

    /// Odd msgpack that Go was fed: accepted with the same values, or refused.
    fn odd_value(&self) {
        let kind = self.name.split('_').nth(1).unwrap();
        let result = tree::body(kind, &self.bytes);
        assert_eq!(result.is_err(), self.is_refused(), "{}: {result:?}", self.name);
        let Ok(tree) = result else {
            return;
        };
        for (field, expected) in self.fields.as_object().unwrap() {
            if field != "err" {
                assert_eq!(tree[field], *expected, "{}: {field}", self.name);
            }
        }
    }

    /// Captured from running nodes.
    fn captured(&self) {
        let compression = self.fields["compress"].as_bool().unwrap();
        let settings = WireSettings { compression, ..WireSettings::default() };
        if self.name.ends_with("_packet") {
            let tree = tree::packet(&self.bytes, &settings).unwrap();
            assert_eq!(tree, self.fields["tree"], "{}", self.name);
            let mut decoder = PacketDecoder::default();
            let packet = decoder.decode(&self.bytes, &settings).unwrap();
            let messages: Vec<_> = packet.messages.iter().map(Message::to_vec).collect();
            let message = match messages.as_slice() {
                [message] => message.clone(),
                parts => compound::join(parts).unwrap().remove(0),
            };
            self.same(&encode_packet(&message, &settings, tree["type"] == "hasCrc", NONCE));
            return;
        }
        let side = if self.name.ends_with("-out") { Side::Opener } else { Side::Answerer };
        let mut decoder = StreamDecoder::new(side);
        let message = decoder.push(&self.bytes, true, &settings).unwrap().unwrap();
        let mut plain = Vec::new();
        match message {
            StreamMessage::Ping(ping) => ping.encode(&mut plain),
            StreamMessage::Ack(ack) => ack.encode(&mut plain),
            StreamMessage::Error(error) => error.encode(&mut plain),
            StreamMessage::User(payload) => encode_user(payload, &mut plain),
            StreamMessage::PushPull(state) => {
                encode_push_pull(state.join, state.nodes, state.user_state, &mut plain);
            }
        }
        assert_eq!(decoder.trailing(), 0, "{}", self.name);
        self.same(&encode_stream(&plain, &settings, side, NONCE).unwrap());
    }

    /// The packet's messages are those of the plain bytes.
    fn decodes_to(&self, plain: &[u8], settings: &WireSettings) {
        let (mut wrapped, mut bare) = (PacketDecoder::default(), PacketDecoder::default());
        let expected = bare.decode(plain, &WireSettings::default()).unwrap();
        assert_eq!(wrapped.decode(&self.bytes, settings).unwrap(), expected, "{}", self.name);
        assert!(!expected.messages.is_empty(), "{}", self.name);
        let tree = tree::packet(&self.bytes, settings);
        assert!(tree.is_ok(), "{}: {tree:?}", self.name);
    }

    fn same(&self, encoded: &[u8]) {
        assert!(
            encoded == self.bytes,
            "{}:\n  Go   {}\n  ours {}",
            self.name,
            hex(&self.bytes),
            hex(encoded)
        );
    }

    fn settings(&self, version: &str) -> WireSettings {
        WireSettings {
            label: Label::new(self.text("label")).unwrap(),
            keyring: match self.fields["key"].as_str() {
                Some(key) => Keyring::with_primary(&unhex(key).unwrap()).unwrap(),
                None => Keyring::default(),
            },
            encryption_version: match self.number(version) {
                0 => EncryptionVersion::Padded,
                _ => EncryptionVersion::Plain,
            },
            compression: self.fields["compress"].as_bool().unwrap_or(false),
            ..WireSettings::default()
        }
    }

    /// What was compressed: given as bytes, or as a rule.
    fn input(&self) -> Vec<u8> {
        match self.fields["input_rule"].as_str() {
            Some("100000 bytes 00") => vec![0; 100_000],
            Some(rule) => panic!("unknown rule: {rule}"),
            None => self.hex("input"),
        }
    }

    fn is_refused(&self) -> bool {
        self.fields["err"].is_string()
    }

    fn text(&self, field: &str) -> &str {
        self.fields[field].as_str().unwrap()
    }

    fn hex(&self, field: &str) -> Vec<u8> {
        unhex(self.text(field)).unwrap()
    }

    fn number(&self, field: &str) -> usize {
        usize::try_from(self.fields[field].as_u64().unwrap()).unwrap()
    }
}

/// Neither label nor keys nor compression.
fn plain() -> WireSettings {
    WireSettings { compression: false, ..WireSettings::default() }
}

fn encode(kind: &str, fields: &Value) -> Vec<u8> {
    let owned = Fields::of(fields);
    let mut out = Vec::new();
    owned.encode(kind, &mut out);
    out
}

/// A vector's fields, as the messages borrow them.
struct Fields<'a> {
    json: &'a Value,
    addr: Option<Vec<u8>>,
    meta: Option<Vec<u8>>,
    vsn: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    source_addr: Option<Vec<u8>>,
}

impl<'a> Fields<'a> {
    fn of(json: &'a Value) -> Self {
        let bytes = |field: &str| json[field].as_str().map(|digits| unhex(digits).unwrap());
        Self {
            json,
            addr: bytes("Addr"),
            meta: bytes("Meta"),
            vsn: bytes("Vsn"),
            payload: bytes("Payload"),
            target: bytes("Target"),
            source_addr: bytes("SourceAddr"),
        }
    }

    fn encode(&self, kind: &str, out: &mut Vec<u8>) {
        let seq_no = self.number("SeqNo").unwrap_or_default();
        let incarnation = self.number("Incarnation").unwrap_or_default();
        let node = self.name("Node");
        let from = self.name("From");
        let port = self.number("Port").unwrap_or_default();
        let source_addr = self.source_addr.as_deref().unwrap_or_default();
        let source_port = self.number("SourcePort").unwrap_or_default();
        let source_node = self.name("SourceNode");
        match kind {
            "ping" => {
                Ping { seq_no, node, source_addr, source_port, source_node, ..Ping::default() }
                    .encode(out)
            }
            "indirectPing" => IndirectPing {
                seq_no,
                target: self.target.as_deref(),
                port,
                node,
                nack: self.flag("Nack"),
                source_addr,
                source_port,
                source_node,
            }
            .encode(out),
            "ack" => Ack { seq_no, payload: self.payload.as_deref(), ..Ack::default() }.encode(out),
            "nack" => Nack { seq_no, ..Nack::default() }.encode(out),
            "suspect" => Suspect { incarnation, node, from }.encode(out),
            "dead" => Dead { incarnation, node, from }.encode(out),
            "err" => ErrorMessage { error: self.name("Error") }.encode(out),
            "alive" => Alive {
                incarnation,
                node,
                addr: self.addr.as_deref(),
                port,
                meta: self.meta.as_deref(),
                vsn: self.vsn.as_deref(),
            }
            .encode(out),
            "pushPullHeader" => PushPullHeader {
                nodes: self.number("Nodes").unwrap(),
                user_state_len: self.number("UserStateLen").unwrap(),
                join: self.flag("Join"),
            }
            .encode(out),
            "userHeader" => {
                UserHeader { user_msg_len: self.number("UserMsgLen").unwrap() }.encode(out);
            }
            "nodeState" => self.node_state().encode(out),
            _ => panic!("no message is called {kind}"),
        }
    }

    fn node_state(&self) -> NodeState<'_> {
        NodeState {
            name: self.name("Name"),
            addr: self.addr.as_deref(),
            port: self.number("Port").unwrap(),
            meta: self.meta.as_deref(),
            incarnation: self.number("Incarnation").unwrap(),
            state: self.number("State").unwrap(),
            vsn: self.vsn.as_deref(),
        }
    }

    fn name(&self, field: &str) -> &[u8] {
        self.json[field].as_str().unwrap_or_default().as_bytes()
    }

    fn number<T: TryFrom<u64>>(&self, field: &str) -> Option<T> {
        T::try_from(self.json[field].as_u64()?).ok()
    }

    fn flag(&self, field: &str) -> bool {
        self.json[field].as_bool().unwrap_or_default()
    }
}

//! What a packet, a stream or a bare value holds, as JSON in memberlist's own field names.
//!
//! The product's decoder decides whether bytes are acceptable; only then are the settings shown one
//! inside the other. Bytes are hex, nil is null, fields that were omitted stay omitted.

use std::error::Error;

use serde_json::{Map, Value, json};
use swim_core::wire::schema::{
    Ack, Alive, Compress, Dead, ErrorMessage, IndirectPing, Nack, NodeState, Ping, PushPullHeader,
    Suspect, UserHeader,
};
use swim_core::wire::{
    DecodeError, Label, MAX_PACKET_EXPANSION, MAX_STREAM_EXPANSION, MessageType, PacketDecoder,
    Side, StreamDecoder, StreamMessage, WireSettings, compound, compress, crc, label,
};
use swim_core::with_sources;

/// A refusal: where, and why.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Bytes from the start of the bytes in which the fault lies.
    pub(crate) offset: usize,
    /// What is wrong there.
    pub(crate) reason: String,
}

/// How names are shown.
#[derive(Clone, Copy)]
enum Names {
    /// As text, bytes that are not UTF-8 as `\xNN`.
    Text,
    /// As hex.
    Hex,
}

/// A packet, layer by layer.
///
/// A packet without label header is taken even where `settings` has a label, if it is encrypted:
/// the label is then only authenticated. A label that `settings` does not name is shown.
pub(crate) fn packet(bytes: &[u8], settings: &WireSettings) -> Result<Value, Failure> {
    let (label, rest) = label::split_header(bytes).map_err(|error| failure(0, error))?;
    let settings = lenient(settings, label);
    PacketDecoder::default()
        .decode(bytes, &settings)
        .map_err(|error| failure(error.offset(), error))?;

    let mut decrypted = rest.to_vec();
    let plain = if settings.keyring.is_empty() {
        rest
    } else {
        let plain = settings.keyring.decrypt_in_place(&mut decrypted, settings.label.as_bytes());
        &decrypted[plain.map_err(|error| failure(0, error))?]
    };
    let tree = match crc::split_header(plain) {
        Some(checked) => json!({
            "type": "hasCrc", "crc_ok": checked.is_ok(), "inner": message(checked.rest)?,
        }),
        None => message(plain)?,
    };
    Ok(labelled(label, tree))
}

/// All that one side wrote on a stream.
pub(crate) fn stream(bytes: &[u8], settings: &WireSettings, side: Side) -> Result<Value, Failure> {
    let label = match side {
        Side::Opener => label::split_header(bytes).map_err(|error| failure(0, error))?.0,
        Side::Answerer => None,
    };
    let settings = lenient(settings, label);
    let mut decoder = StreamDecoder::new(side);
    let mut tree = match decoder.push(bytes, true, &settings) {
        Ok(Some(message)) => stream_message(message),
        Ok(None) => return Err(failure(bytes.len(), "stream ends before its message does")),
        Err(error) => return Err(failure(error.offset(), error)),
    };
    if decoder.is_compressed() {
        tree = json!({ "type": "compress", "inner": tree });
    }
    tree = labelled(label, tree);
    if decoder.trailing() > 0 {
        tree["trailing"] = decoder.trailing().into();
    }
    Ok(tree)
}

/// One bare msgpack value, or an LZW stream; what follows it is ignored.
pub(crate) fn body(kind: &str, bytes: &[u8]) -> Result<Value, Failure> {
    if kind == "lzw" {
        let mut output = Vec::new();
        compress::decompress(bytes, MAX_STREAM_EXPANSION, &mut output)
            .map_err(|error| failure(0, error))?;
        return Ok(json!({ "type": "lzw", "output": hex(&output) }));
    }
    let names = if kind == "nodeState" || kind == "err" { Names::Text } else { Names::Hex };
    let mut tree = fields(kind, bytes, names).map_err(|error| failure(error.offset, error.kind))?;
    if kind == "compress" {
        let mut output = Vec::new();
        let mut scratch = Vec::new();
        let decoded = Compress::decode(bytes, &mut scratch)
            .map_err(|error| failure(error.offset, error.kind))?;
        compress::decompress_message(&decoded.0, MAX_STREAM_EXPANSION, &mut output)
            .map_err(|error| failure(0, error))?;
        tree["output"] = hex(&output).into();
    }
    Ok(tree)
}

/// Bytes from hex digits, either case.
pub(crate) fn unhex(text: &str) -> Result<Vec<u8>, Failure> {
    let digits: Vec<u8> = text.trim().bytes().collect();
    let digit = |offset: usize| {
        let digit = digits.get(offset).and_then(|&digit| char::from(digit).to_digit(16));
        let digit = digit.and_then(|digit| u8::try_from(digit).ok());
        digit.ok_or_else(|| failure(offset / 2, "not an even number of hex digits"))
    };
    (0..digits.len())
        .step_by(2)
        .map(|offset| Ok(digit(offset)? << 4 | digit(offset + 1)?))
        .collect()
}

/// Lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn message(bytes: &[u8]) -> Result<Value, Failure> {
    let Some((&first, body)) = bytes.split_first() else {
        return Ok(json!({ "type": "empty" }));
    };
    let kind = MessageType::from_byte(first);
    match kind {
        Some(MessageType::Compound) => compound(bytes),
        Some(MessageType::Compress) => decompressed(body),
        Some(MessageType::User) => Ok(json!({ "type": "user", "Payload": hex(body) })),
        Some(
            MessageType::PushPull | MessageType::Encrypt | MessageType::HasCrc | MessageType::Label,
        )
        | None => Ok(json!({ "type": "unknown", "id": first, "bytes": hex(body) })),
        Some(
            MessageType::Ping
            | MessageType::IndirectPing
            | MessageType::Ack
            | MessageType::Nack
            | MessageType::Suspect
            | MessageType::Alive
            | MessageType::Dead
            | MessageType::Error,
        ) => {
            let name = kind.map_or("", MessageType::name);
            fields(name, body, Names::Text).map_err(|error| failure(1 + error.offset, error.kind))
        }
    }
}

fn compound(bytes: &[u8]) -> Result<Value, Failure> {
    let mut walk = compound::CompoundParts::of(bytes).map_err(|error| failure(0, error))?;
    let mut parts = Vec::new();
    while let Some(part) = walk.next(bytes) {
        parts.push(message(&bytes[part])?);
    }
    let mut tree = json!({ "type": "compound", "parts": parts });
    if walk.truncated() > 0 {
        tree["truncated"] = walk.truncated().into();
    }
    Ok(tree)
}

fn decompressed(body: &[u8]) -> Result<Value, Failure> {
    let mut scratch = Vec::new();
    let (compressed, _) = Compress::decode(body, &mut scratch)
        .map_err(|error| failure(1 + error.offset, error.kind))?;
    let mut inner = Vec::new();
    compress::decompress_message(&compressed, MAX_PACKET_EXPANSION, &mut inner)
        .map_err(|error| failure(0, error))?;
    Ok(json!({ "type": "compress", "inner": message(&inner)? }))
}

fn stream_message(message: StreamMessage<'_>) -> Value {
    match message {
        StreamMessage::Ping(ping) => tagged("ping", ping_fields(&ping, Names::Text)),
        StreamMessage::Ack(ack) => tagged("ack", ack_fields(&ack)),
        StreamMessage::Error(error) => tagged("err", error_fields(&error)),
        StreamMessage::User(payload) => json!({ "type": "user", "Payload": hex(payload) }),
        StreamMessage::PushPull(state) => {
            let nodes: Vec<Value> = state.nodes.map(|node| node_fields(&node)).collect();
            json!({
                "type": "pushPull", "Join": state.join, "nodes": nodes,
                "UserState": hex(state.user_state),
            })
        }
    }
}

fn fields(kind: &str, bytes: &[u8], names: Names) -> Result<Value, DecodeError> {
    let mut scratch = Vec::new();
    let scratch = &mut scratch;
    let fields = match kind {
        "ping" => ping_fields(&Ping::decode(bytes, scratch)?.0, names),
        "indirectPing" => indirect_fields(&IndirectPing::decode(bytes, scratch)?.0, names),
        "ack" => ack_fields(&Ack::decode(bytes, scratch)?.0),
        "nack" => json!({ "SeqNo": Nack::decode(bytes)?.0.seq_no }),
        "suspect" => {
            let Suspect { incarnation, node, from } = Suspect::decode(bytes, scratch)?.0;
            suspicion_fields(incarnation, node, from, names)
        }
        "dead" => {
            let Dead { incarnation, node, from } = Dead::decode(bytes, scratch)?.0;
            suspicion_fields(incarnation, node, from, names)
        }
        "alive" => alive_fields(&Alive::decode(bytes, scratch)?.0, names),
        "err" => error_fields(&ErrorMessage::decode(bytes, scratch)?.0),
        "compress" => {
            let compressed = Compress::decode(bytes, scratch)?.0;
            json!({ "Algo": compressed.algo, "Buf": compressed.buf.map(hex) })
        }
        "pushPullHeader" => {
            let header = PushPullHeader::decode(bytes)?.0;
            json!({
                "Join": header.join, "Nodes": header.nodes,
                "UserStateLen": header.user_state_len,
            })
        }
        "nodeState" => node_fields(&NodeState::decode(bytes, scratch)?.0),
        _ => json!({ "UserMsgLen": UserHeader::decode(bytes)?.0.user_msg_len }),
    };
    Ok(tagged(kind, fields))
}

fn ping_fields(ping: &Ping<'_>, names: Names) -> Value {
    let mut fields = Map::new();
    fields.insert("Node".into(), names.show(ping.node));
    fields.insert("SeqNo".into(), ping.seq_no.into());
    source(ping.source_addr, ping.source_node, ping.source_port, names, &mut fields);
    fields.into()
}

fn indirect_fields(request: &IndirectPing<'_>, names: Names) -> Value {
    let mut fields = Map::new();
    fields.insert("Nack".into(), request.nack.into());
    fields.insert("Node".into(), names.show(request.node));
    fields.insert("Port".into(), request.port.into());
    fields.insert("SeqNo".into(), request.seq_no.into());
    source(request.source_addr, request.source_node, request.source_port, names, &mut fields);
    fields.insert("Target".into(), request.target.map(hex).into());
    fields.into()
}

fn source(addr: &[u8], node: &[u8], port: u16, names: Names, fields: &mut Map<String, Value>) {
    if !addr.is_empty() {
        fields.insert("SourceAddr".into(), hex(addr).into());
    }
    if !node.is_empty() {
        fields.insert("SourceNode".into(), names.show(node));
    }
    if port != 0 {
        fields.insert("SourcePort".into(), port.into());
    }
}

fn ack_fields(ack: &Ack<'_>) -> Value {
    json!({ "Payload": ack.payload.map(hex), "SeqNo": ack.seq_no })
}

fn error_fields(error: &ErrorMessage<'_>) -> Value {
    json!({ "Error": Names::Text.show(error.error) })
}

fn suspicion_fields(incarnation: u32, node: &[u8], from: &[u8], names: Names) -> Value {
    json!({ "From": names.show(from), "Incarnation": incarnation, "Node": names.show(node) })
}

fn alive_fields(alive: &Alive<'_>, names: Names) -> Value {
    json!({
        "Addr": alive.addr.map(hex), "Incarnation": alive.incarnation,
        "Meta": alive.meta.map(hex), "Node": names.show(alive.node), "Port": alive.port,
        "Vsn": alive.vsn.map(hex),
    })
}

fn node_fields(node: &NodeState<'_>) -> Value {
    json!({
        "Addr": node.addr.map(hex), "Incarnation": node.incarnation, "Meta": node.meta.map(hex),
        "Name": Names::Text.show(node.name), "Port": node.port, "State": node.state,
        "Vsn": node.vsn.map(hex),
    })
}

fn tagged(kind: &str, mut fields: Value) -> Value {
    fields["type"] = kind.into();
    fields
}

impl Names {
    fn show(self, name: &[u8]) -> Value {
        match self {
            Self::Hex => hex(name).into(),
            Self::Text => name
                .utf8_chunks()
                .map(|chunk| {
                    let invalid = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}"));
                    chunk.valid().to_owned() + &invalid.collect::<String>()
                })
                .collect::<String>()
                .into(),
        }
    }
}

fn labelled(label: Option<&[u8]>, inner: Value) -> Value {
    match label {
        Some(label) => {
            json!({ "type": "label", "label": Names::Text.show(label), "inner": inner })
        }
        None => inner,
    }
}

/// The given settings, adapted to whether the bytes carry a label header.
fn lenient(settings: &WireSettings, found: Option<&[u8]>) -> WireSettings {
    let mut settings = settings.clone();
    match found {
        Some(label) if settings.label.is_empty() => {
            settings.label = Label::new(label).unwrap_or_default();
        }
        None if !settings.keyring.is_empty() => settings.skip_inbound_label_check = true,
        Some(_) | None => {}
    }
    settings
}

fn failure(offset: usize, reason: impl Into<Box<dyn Error>>) -> Failure {
    Failure { offset, reason: with_sources(&*reason.into()) }
}

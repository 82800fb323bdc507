//! The keys of each message, in Go's spelling and in both of Go's orders.
//!
//! `write` is in ascending order of keys, as Go's encoder writes them; `DECLARED` is Go's order of
//! declaration, in which the positional form lists the values. A missing key leaves the field's
//! zero value, an unknown one is skipped, both as in Go.

use super::{
    Ack, Alive, Compress, Dead, ErrorMessage, IndirectPing, Nack, NodeState, Ping, PushPullHeader,
    Suspect, UserHeader,
};
use crate::wire::decode_error::DecodeError;
use crate::wire::msgpack::{
    MsgpackStruct, Reader, put_bool, put_bytes, put_int, put_map, put_text, put_uint,
};

impl<'a> MsgpackStruct<'a> for Ping<'a> {
    const DECLARED: &'static [&'static [u8]] =
        &[b"SeqNo", b"Node", b"SourceAddr", b"SourcePort", b"SourceNode"];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"Digest" => self.digest = reader.bytes()?.unwrap_or_default(),
            b"Node" => self.node = reader.text()?,
            b"Observer" => self.observer = reader.bool()?,
            b"SeqNo" => self.seq_no = reader.u32()?,
            b"SourceAddr" => self.source_addr = reader.bytes()?.unwrap_or_default(),
            b"SourceNode" => self.source_node = reader.text()?,
            b"SourcePort" => self.source_port = reader.u16()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        let source = Source::of(self.source_addr, self.source_node, self.source_port);
        let own = u8::from(!self.digest.is_empty()) + u8::from(self.observer);
        put_map(out, 2 + source.keys() + own);
        put_digest(out, self.digest);
        put_text(out, "Node", self.node);
        if self.observer {
            put_bool(out, "Observer", true);
        }
        put_uint(out, "SeqNo", self.seq_no);
        source.write(out);
    }
}

impl<'a> MsgpackStruct<'a> for IndirectPing<'a> {
    const DECLARED: &'static [&'static [u8]] = &[
        b"SeqNo",
        b"Target",
        b"Port",
        b"Node",
        b"Nack",
        b"SourceAddr",
        b"SourcePort",
        b"SourceNode",
    ];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"Nack" => self.nack = reader.bool()?,
            b"Node" => self.node = reader.text()?,
            b"Port" => self.port = reader.u16()?,
            b"SeqNo" => self.seq_no = reader.u32()?,
            b"SourceAddr" => self.source_addr = reader.bytes()?.unwrap_or_default(),
            b"SourceNode" => self.source_node = reader.text()?,
            b"SourcePort" => self.source_port = reader.u16()?,
            b"Target" => self.target = reader.bytes()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        let source = Source::of(self.source_addr, self.source_node, self.source_port);
        put_map(out, 5 + source.keys());
        put_bool(out, "Nack", self.nack);
        put_text(out, "Node", self.node);
        put_uint(out, "Port", self.port.into());
        put_uint(out, "SeqNo", self.seq_no);
        source.write(out);
        put_bytes(out, "Target", self.target);
    }
}

/// The field that Go does not know, which members of this library alone are sent.
fn put_digest(out: &mut Vec<u8>, digest: &[u8]) {
    if !digest.is_empty() {
        put_bytes(out, "Digest", Some(digest));
    }
}

/// The three fields that Go omits when they are empty.
struct Source<'a> {
    addr: Option<&'a [u8]>,
    node: Option<&'a [u8]>,
    port: Option<u16>,
}

impl<'a> Source<'a> {
    fn of(addr: &'a [u8], node: &'a [u8], port: u16) -> Self {
        Self {
            addr: Some(addr).filter(|addr| !addr.is_empty()),
            node: Some(node).filter(|node| !node.is_empty()),
            port: Some(port).filter(|&port| port != 0),
        }
    }

    fn keys(&self) -> u8 {
        u8::from(self.addr.is_some())
            + u8::from(self.node.is_some())
            + u8::from(self.port.is_some())
    }

    fn write(&self, out: &mut Vec<u8>) {
        if let Some(addr) = self.addr {
            put_bytes(out, "SourceAddr", Some(addr));
        }
        if let Some(node) = self.node {
            put_text(out, "SourceNode", node);
        }
        if let Some(port) = self.port {
            put_uint(out, "SourcePort", port.into());
        }
    }
}

impl<'a> MsgpackStruct<'a> for Ack<'a> {
    const DECLARED: &'static [&'static [u8]] = &[b"SeqNo", b"Payload"];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"Digest" => self.digest = reader.bytes()?.unwrap_or_default(),
            b"Payload" => self.payload = reader.bytes()?,
            b"SeqNo" => self.seq_no = reader.u32()?,
            b"Wait" => self.wait = reader.u32()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_map(out, 2 + u8::from(!self.digest.is_empty()) + u8::from(self.wait > 0));
        put_digest(out, self.digest);
        put_bytes(out, "Payload", self.payload);
        put_uint(out, "SeqNo", self.seq_no);
        if self.wait > 0 {
            put_uint(out, "Wait", self.wait);
        }
    }
}

impl<'a> MsgpackStruct<'a> for Nack {
    const DECLARED: &'static [&'static [u8]] = &[b"SeqNo"];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"Refused" => self.refused = reader.bool()?,
            b"SeqNo" => self.seq_no = reader.u32()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_map(out, 1 + u8::from(self.refused));
        if self.refused {
            put_bool(out, "Refused", true);
        }
        put_uint(out, "SeqNo", self.seq_no);
    }
}

/// Suspect and dead have the same three fields.
macro_rules! suspect_or_dead {
    ($($message:ident),*) => {$(
        impl<'a> MsgpackStruct<'a> for $message<'a> {
            const DECLARED: &'static [&'static [u8]] = &[b"Incarnation", b"Node", b"From"];

            fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
                match key {
                    b"From" => self.from = reader.text()?,
                    b"Incarnation" => self.incarnation = reader.u32()?,
                    b"Node" => self.node = reader.text()?,
                    _ => reader.skip()?,
                }
                Ok(())
            }

            fn write(&self, out: &mut Vec<u8>) {
                put_map(out, 3);
                put_text(out, "From", self.from);
                put_uint(out, "Incarnation", self.incarnation);
                put_text(out, "Node", self.node);
            }
        }
    )*};
}

suspect_or_dead!(Suspect, Dead);

impl<'a> MsgpackStruct<'a> for Alive<'a> {
    const DECLARED: &'static [&'static [u8]] =
        &[b"Incarnation", b"Node", b"Addr", b"Port", b"Meta", b"Vsn"];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"Addr" => self.addr = reader.bytes()?,
            b"Incarnation" => self.incarnation = reader.u32()?,
            b"Meta" => self.meta = reader.bytes()?,
            b"Node" => self.node = reader.text()?,
            b"Port" => self.port = reader.u16()?,
            b"Vsn" => self.vsn = reader.bytes()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_map(out, 6);
        put_bytes(out, "Addr", self.addr);
        put_uint(out, "Incarnation", self.incarnation);
        put_bytes(out, "Meta", self.meta);
        put_text(out, "Node", self.node);
        put_uint(out, "Port", self.port.into());
        put_bytes(out, "Vsn", self.vsn);
    }
}

impl<'a> MsgpackStruct<'a> for ErrorMessage<'a> {
    const DECLARED: &'static [&'static [u8]] = &[b"Error"];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"Error" => self.error = reader.text()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_map(out, 1);
        put_text(out, "Error", self.error);
    }
}

impl<'a> MsgpackStruct<'a> for Compress<'a> {
    const DECLARED: &'static [&'static [u8]] = &[b"Algo", b"Buf"];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"Algo" => self.algo = reader.u8()?,
            b"Buf" => self.buf = reader.bytes()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_map(out, 2);
        put_uint(out, "Algo", self.algo.into());
        put_bytes(out, "Buf", self.buf);
    }
}

impl<'a> MsgpackStruct<'a> for PushPullHeader {
    const DECLARED: &'static [&'static [u8]] = &[b"Nodes", b"UserStateLen", b"Join"];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"Join" => self.join = reader.bool()?,
            b"Nodes" => self.nodes = reader.int()?,
            b"UserStateLen" => self.user_state_len = reader.int()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_map(out, 3);
        put_bool(out, "Join", self.join);
        put_int(out, "Nodes", self.nodes);
        put_int(out, "UserStateLen", self.user_state_len);
    }
}

impl<'a> MsgpackStruct<'a> for NodeState<'a> {
    const DECLARED: &'static [&'static [u8]] =
        &[b"Name", b"Addr", b"Port", b"Meta", b"Incarnation", b"State", b"Vsn"];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"Addr" => self.addr = reader.bytes()?,
            b"Incarnation" => self.incarnation = reader.u32()?,
            b"Meta" => self.meta = reader.bytes()?,
            b"Name" => self.name = reader.text()?,
            b"Port" => self.port = reader.u16()?,
            b"State" => self.state = reader.int()?,
            b"Vsn" => self.vsn = reader.bytes()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_map(out, 7);
        put_bytes(out, "Addr", self.addr);
        put_uint(out, "Incarnation", self.incarnation);
        put_bytes(out, "Meta", self.meta);
        put_text(out, "Name", self.name);
        put_uint(out, "Port", self.port.into());
        put_int(out, "State", self.state);
        put_bytes(out, "Vsn", self.vsn);
    }
}

impl<'a> MsgpackStruct<'a> for UserHeader {
    const DECLARED: &'static [&'static [u8]] = &[b"UserMsgLen"];

    fn set(&mut self, key: &[u8], reader: &mut Reader<'a>) -> Result<(), DecodeError> {
        match key {
            b"UserMsgLen" => self.user_msg_len = reader.int()?,
            _ => reader.skip()?,
        }
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        put_map(out, 1);
        put_int(out, "UserMsgLen", self.user_msg_len);
    }
}

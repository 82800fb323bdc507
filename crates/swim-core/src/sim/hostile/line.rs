//! What hostile members know and what they send with.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::features::Features;
use crate::member_name::MemberName;
use crate::output::{Destination, StreamId};
use crate::sim::transport::HostTransport;
use crate::time::Time;
use crate::transport::Transport;
use crate::wire::{
    Message, NONCE_LENGTH, NodeState, Side, WireSettings, compound, encode_packet,
    encode_push_pull, encode_stream,
};

/// Hostile seeds have no keys, so that no nonce is ever used.
const NONCE: [u8; NONCE_LENGTH] = [0; NONCE_LENGTH];

/// The versions of every simulated member: memberlist's protocols 1 to 5, of which it speaks 2.
pub(crate) const VERSIONS: [u8; 6] = [1, 5, 2, 0, 0, 0];

/// An honest member, as a hostile one knows it.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) name: MemberName,
    pub(crate) address: SocketAddr,
    /// At which incarnation the hostile member's own machine holds it; 1 if it does not.
    pub(crate) incarnation: u32,
    /// Whether it runs, so that it is worth telling anything.
    pub(crate) is_up: bool,
}

impl Known {
    /// Its IP as the wire has it.
    pub(crate) fn ip(&self) -> Vec<u8> {
        ip_bytes(self.address)
    }
}

/// What a hostile member sees when it acts.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) me: MemberName,
    pub(crate) my_address: SocketAddr,
    /// All honest members that were ever started; there is always one that runs.
    pub(crate) honest: Vec<Known>,
}

impl Scene {
    /// Those that hear what is said.
    pub(crate) fn listeners(&self) -> Vec<&Known> {
        self.honest.iter().filter(|known| known.is_up).collect()
    }

    /// Our IP as the wire has it.
    pub(crate) fn my_ip(&self) -> Vec<u8> {
        ip_bytes(self.my_address)
    }
}

fn ip_bytes(address: SocketAddr) -> Vec<u8> {
    match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// A hostile member's own way to the network, for one turn.
pub(crate) struct Line<'a, 'b> {
    transport: &'a mut HostTransport<'b>,
    settings: &'a WireSettings,
    /// How long its streams last.
    stream_timeout: Duration,
    now: Time,
    /// The number of the next stream, far above those of its machine.
    next_stream: &'a mut u64,
}

impl<'a, 'b> Line<'a, 'b> {
    pub(crate) fn new(
        transport: &'a mut HostTransport<'b>,
        (settings, stream_timeout): (&'a WireSettings, Duration),
        next_stream: &'a mut u64,
        now: Time,
    ) -> Self {
        Self { transport, settings, stream_timeout, now, next_stream }
    }

    /// Sends messages in one packet, or in several where one does not hold them; says how many
    /// messages.
    pub(crate) fn tell(&mut self, to: &Known, messages: &[Message<'_>]) -> u64 {
        let destination = destination(to);
        let parts: Vec<Vec<u8>> = messages.iter().map(Message::to_vec).collect();
        let packets = match parts.as_slice() {
            [alone] => vec![alone.clone()],
            several => compound::join(several).unwrap_or_default(),
        };
        for packet in packets {
            let bytes = encode_packet(&packet, self.settings, false, NONCE);
            self.transport.send_packet(&destination, &bytes, self.now);
        }
        messages.len() as u64
    }

    /// Begins an exchange with our own entry and perhaps another one. Nobody reads the answer
    /// unless somebody [takes](Self::take) it.
    pub(crate) fn exchange(
        &mut self,
        scene: &Scene,
        to: &Known,
        entry: Option<NodeState<'_>>,
    ) -> Option<StreamId> {
        let ip = scene.my_ip();
        let own = NodeState {
            name: scene.me.as_bytes(),
            addr: Some(&ip),
            port: scene.my_address.port(),
            meta: None,
            incarnation: 1,
            state: 0,
            vsn: Some(&VERSIONS),
        };
        let nodes: Vec<NodeState<'_>> = [own].into_iter().chain(entry).collect();
        let mut message = Vec::new();
        encode_push_pull(false, nodes.into_iter(), &[], &mut message);
        let bytes = encode_stream(&message, self.settings, Side::Opener, NONCE).ok()?;
        let id = self.open(to);
        self.transport.write(id, &bytes, true).ok()?;
        Some(id)
    }

    /// Opens a stream and says nothing on it.
    pub(crate) fn open(&mut self, to: &Known) -> StreamId {
        let id = StreamId::outgoing(*self.next_stream);
        *self.next_stream += 1;
        let deadline = self.now + self.stream_timeout;
        self.transport.open_stream(id, &destination(to), deadline, self.now);
        id
    }

    /// Writes a first part of something and leaves it at that.
    pub(crate) fn begin(&mut self, id: StreamId, bytes: &[u8]) {
        // What became of the stream makes no difference to who leaves it anyway.
        let _ = self.transport.write(id, bytes, false);
    }

    /// Greets everybody that we are connected with anew, and says that we speak this and started
    /// as that process.
    pub(crate) fn greet_anew(&mut self, features: Option<Features>, start: u64) {
        self.transport.greet_anew(features, start);
    }

    /// Takes one byte of an answer; `None` when there will be no more.
    pub(crate) fn take(&mut self, id: StreamId) -> Option<usize> {
        let read = self.transport.read(id, &mut [0]).ok()?;
        (!read.fin).then_some(read.bytes)
    }
}

fn destination(to: &Known) -> Destination {
    Destination { address: to.address, name: Some(to.name.clone()) }
}

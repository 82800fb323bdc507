//! What a handle asks of its node on the driver thread.
//!
//! Each command brings a channel along for its answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use certs::{Fingerprint, Identity, Trust};
use crossbeam_channel::{Receiver, Sender};
use swim_core::{BroadcastRefusal, MemberName, Outcome, SendRefusal};

use crate::application::{IncomingDatagram, IncomingStream, OpenReply};
use crate::cluster_event::{ConnectionInfo, RawDatagram, Stats};
use crate::error::{ConnectError, ConnectionError, RevokeError, RotateError, SendDatagramError};
use crate::settings_command::SettingsCommand;

impl Command {
    /// Bytes of the caller that the driver has to work through.
    pub(crate) fn payload_len(&self) -> usize {
        match self {
            Self::Send { payload, .. }
            | Self::SendReliable { payload, .. }
            | Self::Broadcast { payload, .. }
            | Self::SendRaw { payload, .. }
            | Self::SendDatagram { payload, .. } => payload.len(),
            Self::Settings(command) => command.payload_len(),
            Self::Join { .. }
            | Self::Leave { .. }
            | Self::Ping { .. }
            | Self::Stats { .. }
            | Self::Connections { .. }
            | Self::PreferredConnection { .. }
            | Self::Connect { .. }
            | Self::Disconnect { .. }
            | Self::Rotate { .. }
            | Self::Revoke { .. }
            | Self::ListenRaw { .. }
            | Self::OpenStream { .. }
            | Self::Listen { .. }
            | Self::ListenDatagrams { .. } => 0,
        }
    }
}

/// Something for one node.
pub(crate) enum Command {
    /// One push-pull with this address.
    Join {
        address: SocketAddr,
        name: Option<MemberName>,
        reply: Sender<Outcome>,
    },
    Leave {
        reply: Sender<Outcome>,
    },
    Settings(SettingsCommand),
    Send {
        to: MemberName,
        payload: Vec<u8>,
        reply: Sender<Result<(), SendRefusal>>,
    },
    SendReliable {
        to: MemberName,
        payload: Vec<u8>,
        timeout: Duration,
        reply: Sender<Outcome>,
    },
    Broadcast {
        payload: Vec<u8>,
        reply: Sender<Result<(), BroadcastRefusal>>,
    },
    Ping {
        to: MemberName,
        reply: Sender<Outcome>,
    },
    Stats {
        reply: Sender<Stats>,
    },
    Connections {
        reply: Sender<Vec<ConnectionInfo>>,
    },
    PreferredConnection {
        member: MemberName,
        reply: Sender<Result<Option<ConnectionInfo>, ConnectionError>>,
    },
    Connect {
        member: MemberName,
        reply: Sender<Result<ConnectionInfo, ConnectError>>,
    },
    Disconnect {
        member: MemberName,
        reply: Sender<Result<usize, ConnectionError>>,
    },
    Rotate {
        identity: Identity,
        trust: Trust,
        reply: Sender<Result<(), RotateError>>,
    },
    Revoke {
        fingerprint: Fingerprint,
        reply: Sender<Result<usize, RevokeError>>,
    },
    ListenRaw {
        reply: Sender<Receiver<RawDatagram>>,
    },
    SendRaw {
        to: SocketAddr,
        payload: Vec<u8>,
        reply: Sender<bool>,
    },
    OpenStream {
        to: MemberName,
        protocol: String,
        header: Vec<u8>,
        deadline: Instant,
        reply: Sender<OpenReply>,
    },
    Listen {
        protocol: String,
        reply: Sender<Receiver<IncomingStream>>,
    },
    SendDatagram {
        to: MemberName,
        header: Vec<u8>,
        payload: Vec<u8>,
        reply: Sender<Result<(), SendDatagramError>>,
    },
    ListenDatagrams {
        protocol: String,
        reply: Sender<Receiver<IncomingDatagram>>,
    },
}

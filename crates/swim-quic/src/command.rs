//! What a handle asks of its node on the driver thread.
//!
//! Each command brings along where its answer goes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use certs::{Fingerprint, Identity, Trust};
use swim_core::{Agreement, BroadcastRefusal, MemberName, Outcome, SendRefusal};

use crate::answer::Reply;
use crate::application::{IncomingDatagram, IncomingStream, OpenReply};
use crate::cluster_event::{ConnectionInfo, RawDatagram, Stats};
use crate::error::{ConnectError, ConnectionError, RevokeError, RotateError, SendDatagramError};
use crate::held_bytes::Held;
use crate::receiver::Incoming;
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
            | Self::Doubt { .. }
            | Self::Stats { .. }
            | Self::Agreement { .. }
            | Self::Connections { .. }
            | Self::PreferredConnection { .. }
            | Self::Connect { .. }
            | Self::Disconnect { .. }
            | Self::Rotate { .. }
            | Self::Revoke { .. }
            | Self::ListenRaw { .. }
            | Self::OpenStream { .. }
            | Self::Listen { .. }
            | Self::ListenDatagrams { .. }
            | Self::AwaitTime { .. } => 0,
        }
    }
}

/// Something for one node.
pub(crate) enum Command {
    /// One push-pull with this address.
    Join {
        address: SocketAddr,
        name: Option<MemberName>,
        reply: Reply<Outcome>,
    },
    Leave {
        reply: Reply<Outcome>,
    },
    Settings(SettingsCommand),
    Send {
        to: MemberName,
        payload: Vec<u8>,
        reply: Reply<Result<(), SendRefusal>>,
    },
    SendReliable {
        to: MemberName,
        payload: Vec<u8>,
        timeout: Duration,
        /// Dropped when the message has ended.
        held: Held,
        reply: Reply<Outcome>,
    },
    Broadcast {
        payload: Vec<u8>,
        reply: Reply<Result<(), BroadcastRefusal>>,
    },
    Ping {
        to: MemberName,
        reply: Reply<Outcome>,
    },
    Doubt {
        member: MemberName,
        reply: Reply<Result<(), SendRefusal>>,
    },
    Stats {
        reply: Reply<Stats>,
    },
    Agreement {
        reply: Reply<Agreement>,
    },
    Connections {
        reply: Reply<Vec<ConnectionInfo>>,
    },
    PreferredConnection {
        member: MemberName,
        reply: Reply<Result<Option<ConnectionInfo>, ConnectionError>>,
    },
    Connect {
        member: MemberName,
        reply: Reply<Result<ConnectionInfo, ConnectError>>,
    },
    Disconnect {
        member: MemberName,
        reply: Reply<Result<usize, ConnectionError>>,
    },
    Rotate {
        identity: Identity,
        trust: Trust,
        reply: Reply<Result<(), RotateError>>,
    },
    Revoke {
        fingerprint: Fingerprint,
        reply: Reply<Result<usize, RevokeError>>,
    },
    ListenRaw {
        reply: Reply<Incoming<RawDatagram>>,
    },
    SendRaw {
        to: SocketAddr,
        payload: Vec<u8>,
        reply: Reply<bool>,
    },
    OpenStream {
        to: MemberName,
        protocol: String,
        header: Vec<u8>,
        deadline: Instant,
        reply: Reply<OpenReply>,
    },
    Listen {
        protocol: String,
        reply: Reply<Incoming<IncomingStream>>,
    },
    SendDatagram {
        to: MemberName,
        header: Vec<u8>,
        payload: Vec<u8>,
        reply: Reply<Result<(), SendDatagramError>>,
    },
    /// For callers that wait without a thread, and so without a clock.
    AwaitTime {
        time: Instant,
        reply: Reply<()>,
    },
    ListenDatagrams {
        protocol: String,
        reply: Reply<Incoming<IncomingDatagram>>,
    },
}

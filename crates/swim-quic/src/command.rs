//! What a handle asks of its node on the driver thread.
//!
//! Each command brings a channel along for its answer.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use certs::{Fingerprint, Identity, Trust};
use crossbeam_channel::Sender;
use swim_core::wire::KeyError;
use swim_core::{
    AdvertiseRefusal, BroadcastRefusal, MemberName, MetaRefusal, Outcome, SecretKey, SendRefusal,
};

use crate::application::{IncomingDatagram, IncomingStream, OpenReply};
use crate::cluster_event::{ConnectionInfo, RawDatagram, Stats};
use crate::error::{ConnectError, ConnectionError, RevokeError, RotateError, SendDatagramError};
use crate::receiver::Incoming;

/// What is to happen to an encryption key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyChange {
    Add,
    Use,
    Remove,
}

impl Command {
    /// Bytes of the caller that the driver has to work through.
    pub(crate) fn payload_len(&self) -> usize {
        match self {
            Self::Send { payload, .. }
            | Self::SendReliable { payload, .. }
            | Self::Broadcast { payload, .. }
            | Self::SendRaw { payload, .. }
            | Self::SendDatagram { payload, .. } => payload.len(),
            Self::Join { .. }
            | Self::Leave { .. }
            | Self::SetMeta { .. }
            | Self::SetAdvertise { .. }
            | Self::Keys { .. }
            | Self::ChangeKeys { .. }
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
    SetMeta {
        meta: Vec<u8>,
        reply: Sender<Result<(), MetaRefusal>>,
    },
    SetAdvertise {
        address: SocketAddr,
        reply: Sender<Result<(), AdvertiseRefusal>>,
    },
    Keys {
        reply: Sender<Vec<SecretKey>>,
    },
    ChangeKeys {
        change: KeyChange,
        key: SecretKey,
        reply: Sender<Result<(), KeyError>>,
    },
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
        reply: Sender<Incoming<RawDatagram>>,
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
        reply: Sender<Incoming<IncomingStream>>,
    },
    SendDatagram {
        to: MemberName,
        header: Vec<u8>,
        payload: Vec<u8>,
        reply: Sender<Result<(), SendDatagramError>>,
    },
    ListenDatagrams {
        protocol: String,
        reply: Sender<Incoming<IncomingDatagram>>,
    },
}

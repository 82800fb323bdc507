//! What a handle asks of its node about what the member says of itself, and its keys.

use std::net::SocketAddr;

use swim_core::wire::KeyError;
use swim_core::{
    AdvertiseRefusal, Config, MetaRefusal, PayloadTooLarge, ReconfigureRefusal, SecretKey,
};

use crate::address::JoinAddress;
use crate::address_watch::AddressSource;
use crate::answer::Reply;

/// What is to happen to an encryption key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyChange {
    Add,
    Use,
    Remove,
}

/// A change of what may change while a member runs, or a question about it.
pub(crate) enum SettingsCommand {
    Meta {
        meta: Vec<u8>,
        reply: Reply<Result<(), MetaRefusal>>,
    },
    UserState {
        state: Vec<u8>,
        reply: Reply<Result<(), PayloadTooLarge>>,
    },
    Advertise {
        address: SocketAddr,
        source: AddressSource,
        reply: Reply<Result<(), AdvertiseRefusal>>,
    },
    Config {
        reply: Reply<Config>,
    },
    Reconfigure {
        config: Box<Config>,
        reply: Reply<Result<(), ReconfigureRefusal>>,
    },
    SetSeeds {
        seeds: Vec<JoinAddress>,
        reply: Reply<()>,
    },
    ForgetSeed {
        seed: JoinAddress,
        reply: Reply<bool>,
    },
    Keys {
        reply: Reply<Vec<SecretKey>>,
    },
    ChangeKeys {
        change: KeyChange,
        key: SecretKey,
        reply: Reply<Result<(), KeyError>>,
    },
}

impl SettingsCommand {
    /// Bytes of the caller that the driver has to work through.
    pub(crate) fn payload_len(&self) -> usize {
        match self {
            Self::UserState { state, .. } => state.len(),
            Self::Meta { .. }
            | Self::Advertise { .. }
            | Self::Config { .. }
            | Self::Reconfigure { .. }
            | Self::SetSeeds { .. }
            | Self::ForgetSeed { .. }
            | Self::Keys { .. }
            | Self::ChangeKeys { .. } => 0,
        }
    }
}

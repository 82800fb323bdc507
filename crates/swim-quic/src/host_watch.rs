//! What a member must notice of its host: suspensions, and that the announced address is gone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::address_watch::{AddressChange, AddressSource, AddressWatch};
use crate::host::ThisHost;
use crate::reach::Reach;
use crate::suspension::SuspensionWatch;

/// Watches the host of one member.
pub(crate) struct HostWatch {
    bind: SocketAddr,
    suspensions: SuspensionWatch,
    addresses: Option<AddressWatch>,
}

impl HostWatch {
    pub(crate) fn new(bind: SocketAddr) -> Self {
        Self { bind, suspensions: SuspensionWatch::new(), addresses: None }
    }

    /// This address is announced from here on; `source` says where another one is from when this
    /// machine loses it.
    pub(crate) fn announced(&mut self, address: SocketAddr, source: AddressSource, now: Instant) {
        self.addresses = AddressWatch::new(self.bind, address, source, &ThisHost::new(), now);
    }

    /// Which addresses the member's socket can send to.
    pub(crate) fn reach(&self) -> Reach {
        Reach::of(self.bind)
    }

    /// How long the host was suspended since the last call, if it was for two seconds or more.
    pub(crate) fn take_suspension(&mut self) -> Option<Duration> {
        self.suspensions.take()
    }

    /// When the next look at the addresses is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.addresses.as_ref().map(AddressWatch::due)
    }

    /// What became of the announced address, if there is something to do about it.
    pub(crate) fn look(&mut self, announced: SocketAddr, now: Instant) -> Option<AddressChange> {
        self.addresses.as_mut()?.look(announced, &ThisHost::new(), now)
    }
}

//! Handles that wait for a dial.

use std::net::SocketAddr;

use crossbeam_channel::Sender;
use swim_core::MemberName;

use crate::cluster_event::ConnectionInfo;
use crate::error::ConnectError;

/// Who waits for which dial; bounded by the threads that wait, and by the time a dial may take.
#[derive(Default)]
pub(super) struct PendingDials {
    waiting: Vec<PendingDial>,
}

/// One handle that waits.
pub(super) struct PendingDial {
    pub(super) address: SocketAddr,
    pub(super) member: MemberName,
    pub(super) reply: Sender<Result<ConnectionInfo, ConnectError>>,
}

impl PendingDials {
    pub(super) fn add(&mut self, dial: PendingDial) {
        self.waiting.push(dial);
    }

    /// Takes out those who wait for `address`.
    pub(super) fn take(&mut self, address: SocketAddr) -> Vec<PendingDial> {
        self.waiting.extract_if(.., |dial| dial.address == address).collect()
    }
}

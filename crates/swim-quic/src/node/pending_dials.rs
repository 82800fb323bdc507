//! Handles that wait for a dial.

use std::net::SocketAddr;

use swim_core::MemberName;

use crate::answer::Reply;
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
    pub(super) reply: Reply<Result<ConnectionInfo, ConnectError>>,
}

impl PendingDials {
    pub(super) fn add(&mut self, dial: PendingDial) {
        if !dial.reply.is_given_up() {
            self.waiting.push(dial);
        }
    }

    pub(super) fn forget_given_up(&mut self) {
        self.waiting.retain(|dial| !dial.reply.is_given_up());
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes out those who wait for `address`.
    pub(super) fn take(&mut self, address: SocketAddr) -> Vec<PendingDial> {
        self.waiting.extract_if(.., |dial| dial.address == address).collect()
    }
}

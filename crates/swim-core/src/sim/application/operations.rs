//! Operations that applications have begun: each ends once, as what it is, and tells the truth.

use std::collections::BTreeMap;

use crate::output::{OperationId, Outcome};
use crate::sim::application::message_log::MessageNumber;
use crate::sim::fault::HostId;

/// An operation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Join,
    Leave,
    Ping,
    /// A reliable message.
    Send(MessageNumber),
}

/// What must not happen to an operation; hosts are given by their numbers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OperationViolation {
    #[error("an operation ends once: one that host {host} had not under way ended")]
    NotUnderWay { host: usize },
    #[error("an operation ends as what it is: {operation:?} of host {host} did not")]
    OtherOutcome { host: usize, operation: Operation },
    #[error("what counts as delivered has arrived: message {number} of host {host} has not")]
    NotArrived { host: usize, number: MessageNumber },
}

/// All operations under way.
#[derive(Default)]
pub(crate) struct Operations {
    open: BTreeMap<(HostId, OperationId), Operation>,
}

impl Operations {
    pub(crate) fn begin(&mut self, host: HostId, id: OperationId, operation: Operation) {
        self.open.insert((host, id), operation);
    }

    /// A crashed host's operations never end.
    pub(crate) fn forget(&mut self, host: HostId) {
        self.open.retain(|(other, _), _| *other != host);
    }

    /// An operation ended: whether it succeeded. `arrived` tells whether a message has reached
    /// the host it was sent to.
    pub(crate) fn finish(
        &mut self,
        host: HostId,
        id: OperationId,
        outcome: &Outcome,
        arrived: impl Fn(MessageNumber) -> bool,
    ) -> Result<bool, OperationViolation> {
        let Some(operation) = self.open.remove(&(host, id)) else {
            return Err(OperationViolation::NotUnderWay { host: host.index() });
        };
        match (operation, outcome) {
            (Operation::Send(number), Outcome::Delivered(_)) if !arrived(number) => {
                Err(OperationViolation::NotArrived { host: host.index(), number })
            }
            (Operation::Send(_), Outcome::Delivered(_))
            | (Operation::Join, Outcome::Joined)
            | (Operation::Leave, Outcome::Left { .. })
            | (Operation::Ping, Outcome::Pong { .. }) => Ok(true),
            (_, Outcome::Failed(_)) => Ok(false),
            (
                _,
                Outcome::Joined
                | Outcome::Left { .. }
                | Outcome::Pong { .. }
                | Outcome::Delivered(_),
            ) => Err(OperationViolation::OtherOutcome { host: host.index(), operation }),
        }
    }

    /// Operations that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::DeliveryReport;

    const ADA: HostId = HostId(0);
    const ID: OperationId = OperationId(1);
    const ACKNOWLEDGED: Outcome = Outcome::Delivered(DeliveryReport::Acknowledged);

    fn send(operations: &mut Operations) {
        operations.begin(ADA, ID, Operation::Send(7));
    }

    #[test]
    fn an_operation_ends_once() {
        let mut operations = Operations::default();
        send(&mut operations);
        assert_eq!(operations.finish(ADA, ID, &ACKNOWLEDGED, |_| true), Ok(true));
        let twice = operations.finish(ADA, ID, &ACKNOWLEDGED, |_| true);
        assert_eq!(twice, Err(OperationViolation::NotUnderWay { host: 0 }));
    }

    #[test]
    fn a_message_that_has_not_arrived_must_not_count_as_delivered() {
        let mut operations = Operations::default();
        send(&mut operations);
        let lie = operations.finish(ADA, ID, &ACKNOWLEDGED, |_| false);
        assert_eq!(lie, Err(OperationViolation::NotArrived { host: 0, number: 7 }));
    }

    #[test]
    fn an_operation_ends_as_what_it_is() {
        let mut operations = Operations::default();
        send(&mut operations);
        let joined = operations.finish(ADA, ID, &Outcome::Joined, |_| true);
        let operation = Operation::Send(7);
        assert_eq!(joined, Err(OperationViolation::OtherOutcome { host: 0, operation }));
    }

    #[test]
    fn the_operations_of_a_crashed_host_are_forgotten() {
        let mut operations = Operations::default();
        send(&mut operations);
        operations.forget(HostId(1));
        assert_eq!(operations.len(), 1);
        operations.forget(ADA);
        assert_eq!(operations.len(), 0);
    }
}

//! What can be planned in a simulation.

use crate::sim::arrival::Arrival;
use crate::sim::fault::HostId;
use crate::sim::hosts::ProcessNumber;

/// A planned event.
pub(crate) enum SimEvent {
    /// A deadline of the member's own.
    Wake(HostId),
    /// Something reaches a host; lost unless the process it is meant for still runs.
    Arrive(SimDelivery),
    /// Something is due in the transport.
    Transport,
    /// A stalling host blocks.
    Block { host: HostId, cycle: u32 },
    /// A stalling host runs again.
    Unblock { host: HostId, process: ProcessNumber, cycle: u32 },
    /// All views are checked, where they are not checked after every step.
    CheckViews,
}

/// Something that reaches one process of a host.
pub(crate) struct SimDelivery {
    pub(crate) host: HostId,
    pub(crate) process: ProcessNumber,
    pub(crate) arrival: Arrival,
}

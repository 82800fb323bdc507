//! What the values of all series are taken from.

use crate::cluster_event::Stats;

/// All that the values are taken from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) stats: Stats,
    pub(crate) memory: HeldMemory,
}

/// What handles of a member hold.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeldMemory {
    /// Bytes of reliable messages under way.
    pub(crate) reliable_messages: usize,
    /// Bytes of payloads in the command queue.
    pub(crate) queued_commands: usize,
}

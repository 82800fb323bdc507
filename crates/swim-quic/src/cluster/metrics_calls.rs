//! The call of a [`Cluster`] that concerns what it counts, as monitoring systems take it.

use super::Cluster;
use crate::error::CommandError;
use crate::metrics::{HeldMemory, Metrics, Snapshot};

impl Cluster {
    /// What [`stats`](Self::stats) counts and the memory that calls hold, as a fixed list of at
    /// most 60 series. Takes a turn of the driver thread, so ask at each scrape.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver thread does not take or answer the question.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// print!("{}", cluster.metrics()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn metrics(&self) -> Result<Metrics, CommandError> {
        let stats = self.stats()?;
        let memory = HeldMemory {
            reliable_messages: self.inner.held.bytes(),
            queued_commands: self.inner.sender.queued_bytes(),
        };
        Ok(Metrics::of(&Snapshot { stats, memory }))
    }
}

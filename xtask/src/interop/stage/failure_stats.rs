//! What the members of a failed case counted.
//!
//! A failure that is seen once in hundreds of runs must be told from its transcript alone: whether
//! a question was not asked, not carried or not answered stands in the members' counters. Never
//! changes the case's outcome.

use std::io::Write as _;
use std::time::Duration;

use super::Stage;
use crate::Stop;

/// A paused or stuck member does not hold up the report for longer.
const FAREWELL: Duration = Duration::from_secs(2);

impl Stage<'_> {
    /// Writes every living member's counters into the transcript, whole. The only error is an
    /// interrupt: whatever else goes wrong from here on is not what the case failed by.
    pub(in crate::interop) fn failure_stats(&mut self) -> Result<(), Stop> {
        let living = self.participants.iter().filter(|(_, actor)| actor.exit.is_none());
        let mut silent: Vec<&'static str> = living.map(|(name, _)| *name).collect();
        for name in &silent {
            self.tell(name, "stats");
        }
        let deadline = self.elapsed() + FAREWELL;
        loop {
            silent.retain(|name| !self.has_counted(name));
            if silent.is_empty() {
                return Ok(());
            }
            match self.pump(deadline) {
                Ok(false) => break,
                Err(Stop::Interrupted) => return Err(Stop::Interrupted),
                Ok(true) | Err(_) => {}
            }
        }
        let _ = writeln!(self.transcript, "no counters from {}", silent.join(", "));
        Ok(())
    }

    /// Takes the member's waiting replies, and says whether its counters were among them.
    fn has_counted(&mut self, name: &str) -> bool {
        let Some(actor) = self.participants.get_mut(name) else { return true };
        let mut counted = actor.exit.is_some();
        for reply in actor.record.replies.drain(..).filter(|reply| reply["cmd"] == "stats") {
            let _ = writeln!(self.transcript, "{name} counted {reply}");
            counted = true;
        }
        counted
    }
}

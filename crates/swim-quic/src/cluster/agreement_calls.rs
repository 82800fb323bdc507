//! The calls of a [`Cluster`] about whether the members share one view.

use std::time::{Duration, Instant};

use swim_core::Agreement;

use super::{Cluster, LOCAL_ANSWER};
use crate::command::Command;
use crate::deadline::{deadline_after, wait_until};
use crate::error::{CommandError, WaitForError};
use crate::members::Members;

/// How often a condition is looked at: an agreement changes with each ping and ack, of which there
/// are no events.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// What a member knows at one moment: whom it knows, and who is known to agree.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct View {
    /// As [`Cluster::members`] gives them.
    pub members: Members,
    /// As [`Cluster::agreement`] gives it.
    pub agreement: Agreement,
}

impl View {
    /// How many members are alive or suspect, this one included.
    ///
    /// ```
    /// assert_eq!(swim_quic::View::default().live(), 0);
    /// ```
    #[must_use]
    pub fn live(&self) -> usize {
        self.members.iter().filter(|member| member.state().is_live()).count()
    }
}

impl Cluster {
    /// Whether the live members share this member's view, by what each has told last with a ping
    /// or an ack: an observation, which is as old as those, and no guarantee. Go members tell
    /// nothing of their views.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver thread does not take or answer the question.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let agreement = cluster.agreement()?;
    /// if !agreement.is_undisputed() {
    ///     println!("{:?} know something else", agreement.differing);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn agreement(&self) -> Result<Agreement, CommandError> {
        self.ask(|reply| Command::Agreement { reply })
    }

    /// Waits until a condition holds for what this member knows, at most `timeout`, and returns the
    /// view for which it held. The condition is looked at every 20 ms, and once at least.
    ///
    /// # Errors
    ///
    /// [`WaitForError`]: it did not hold in time, or the driver thread does not answer.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// // Five members that know each other, and know that they do.
    /// let formed = |view: &swim_quic::View| view.live() == 5 && view.agreement.is_complete();
    /// cluster.wait_for(formed, Duration::from_secs(30))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for(
        &self,
        condition: impl FnMut(&View) -> bool,
        timeout: Duration,
    ) -> Result<View, WaitForError> {
        Looks::new(self, condition, timeout).wait()
    }

    /// [`wait_for`](Self::wait_for) for a task.
    ///
    /// # Errors
    ///
    /// As [`wait_for`](Self::wait_for).
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let gone = |view: &swim_quic::View| view.members.get("bob").is_none();
    /// cluster.wait_for_async(gone, Duration::from_secs(60)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_for_async(
        &self,
        condition: impl FnMut(&View) -> bool,
        timeout: Duration,
    ) -> Result<View, WaitForError> {
        Looks::new(self, condition, timeout).wait_async().await
    }
}

/// The looks at what a member knows, until a condition holds.
struct Looks<'a, C> {
    cluster: &'a Cluster,
    condition: C,
    deadline: Instant,
    last: Option<Instant>,
}

impl<'a, C: FnMut(&View) -> bool> Looks<'a, C> {
    fn new(cluster: &'a Cluster, condition: C, timeout: Duration) -> Self {
        Self { cluster, condition, deadline: deadline_after(timeout), last: None }
    }

    fn wait(&mut self) -> Result<View, WaitForError> {
        loop {
            let agreement = self.cluster.agreement()?;
            if let Some(view) = self.look(agreement) {
                return Ok(view);
            }
            let time = self.next()?;
            let waited = self.cluster.begin(|reply| Command::AwaitTime { time, reply })?;
            wait_until(waited, time + LOCAL_ANSWER).ok_or(CommandError::Unanswered)??;
        }
    }

    async fn wait_async(&mut self) -> Result<View, WaitForError> {
        loop {
            let agreement = self.cluster.begin(|reply| Command::Agreement { reply })?.await?;
            if let Some(view) = self.look(agreement) {
                return Ok(view);
            }
            let time = self.next()?;
            self.cluster.begin(|reply| Command::AwaitTime { time, reply })?.await?;
        }
    }

    /// The view with this agreement, if the condition holds for it. Whom we know may have changed
    /// since we were asked, but not back.
    fn look(&mut self, agreement: Agreement) -> Option<View> {
        let view = View { members: self.cluster.members(), agreement };
        (self.condition)(&view).then_some(view)
    }

    /// When the next look is due: the last one when the deadline has come.
    fn next(&mut self) -> Result<Instant, WaitForError> {
        if self.last == Some(self.deadline) {
            return Err(WaitForError::TimedOut);
        }
        let time = deadline_after(BETWEEN_LOOKS).min(self.deadline);
        self.last = Some(time);
        Ok(time)
    }
}

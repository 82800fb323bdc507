//! Joining: the addresses are resolved, then joined, all at once, and tried until one answers.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use swim_core::{DialFailure, Outcome, StreamFailure};

use super::{Cluster, misplaced};
use crate::address::JoinAddress;
use crate::answer::{Answer, answer};
use crate::command::Command;
use crate::deadline::{deadline_after, may_wait, wait_until};
use crate::error::{
    CommandError, JoinError, JoinFailure, JoinFailureReason, JoinFailures, ResolveError,
};
use crate::resolve::Resolved;

/// How long a join that nobody answered pauses before it tries again. A dial that stays unanswered
/// takes seconds in addition.
const PAUSE: Duration = Duration::from_millis(500);

/// What a join achieved.
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinReport {
    /// How many addresses answered as members.
    pub joined: usize,
    /// The addresses that did not, and why.
    pub failed: Vec<JoinFailure>,
}

/// # Joining
impl Cluster {
    /// Exchanges state with every address (`[name/]host[:port]`) at once. While none has answered,
    /// those at which somebody may still turn up are tried again, until `timeout`; what another try
    /// would not change, as a certificate that is refused or a route that is missing, ends it
    /// before.
    ///
    /// The addresses are forgotten then: only [seeds](crate::Builder::seeds) are tried for as long
    /// as this member runs, which heals partitions.
    ///
    /// # Errors
    ///
    /// [`JoinError::Address`] when one is malformed (nothing is tried then), and
    /// [`JoinError::NobodyAnswered`] when none answered within `timeout`, with the reason for
    /// each.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let report = cluster.join(["10.0.0.2:7946", "bob/10.0.0.3"], Duration::from_secs(10))?;
    /// for failure in &report.failed {
    ///     println!("{}: {}", failure.address, failure.reason);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn join<A: AsRef<str>>(
        &self,
        addresses: impl IntoIterator<Item = A>,
        timeout: Duration,
    ) -> Result<JoinReport, JoinError> {
        may_wait()?;
        let mut joining = self.begin_join(addresses)?;
        if let Some(Err(error)) = wait_until(&mut joining, deadline_after(timeout)) {
            return Err(error.into());
        }
        joining.report()
    }

    pub(super) fn begin_join<A: AsRef<str>>(
        &self,
        addresses: impl IntoIterator<Item = A>,
    ) -> Result<Joining<'_>, JoinError> {
        let addresses = addresses
            .into_iter()
            .map(|address| address.as_ref().parse::<JoinAddress>())
            .collect::<Result<Vec<_>, _>>()?;
        if addresses.is_empty() {
            return Err(JoinError::NoAddress);
        }
        Ok(Joining::begin(self, addresses))
    }
}

/// All addresses of one join, tried again and again while nobody answers.
pub(super) struct Joining<'a> {
    cluster: &'a Cluster,
    attempts: Vec<JoinAttempt>,
    /// The end of the pause before another try, which the driver thread tells, as a task has no
    /// clock.
    pause: Option<Answer<()>>,
}

/// One address.
struct JoinAttempt {
    address: JoinAddress,
    progress: Progress,
    /// Why the try before this one failed.
    former: Option<JoinFailureReason>,
}

enum Progress {
    Resolving(Answer<Resolved>),
    /// One exchange for each socket address behind it that has not failed, and why the latest of
    /// the others failed.
    Trying {
        tries: Vec<Answer<Outcome>>,
        failed: JoinFailureReason,
    },
    Ended(Result<(), JoinFailureReason>),
}

impl Progress {
    fn resolving(cluster: &Cluster, address: &JoinAddress) -> Self {
        let (reply, resolved) = answer(None);
        cluster.inner.resolver.look_up(address.clone(), |resolved| reply.send(resolved));
        Self::Resolving(resolved)
    }
}

impl<'a> Joining<'a> {
    /// Begins to resolve all of them.
    fn begin(cluster: &'a Cluster, addresses: Vec<JoinAddress>) -> Self {
        let begin = |address: JoinAddress| {
            let progress = Progress::resolving(cluster, &address);
            JoinAttempt { address, progress, former: None }
        };
        let attempts = addresses.into_iter().map(begin).collect();
        Self { cluster, attempts, pause: None }
    }

    /// What came of it by now.
    pub(super) fn report(self) -> Result<JoinReport, JoinError> {
        let mut report = JoinReport { joined: 0, failed: Vec::new() };
        for attempt in self.attempts {
            let address = attempt.address.text.clone();
            match attempt.result() {
                Ok(()) => report.joined += 1,
                Err(reason) => report.failed.push(JoinFailure { address, reason }),
            }
        }
        if report.joined == 0 {
            return Err(JoinError::NobodyAnswered(JoinFailures::new(report.failed)));
        }
        Ok(report)
    }

    /// Whether each was joined or has failed.
    fn poll_attempts(&mut self, context: &mut Context<'_>) -> Result<bool, CommandError> {
        let mut ended = true;
        for attempt in &mut self.attempts {
            attempt.poll(self.cluster, context)?;
            ended &= matches!(attempt.progress, Progress::Ended(_));
        }
        Ok(ended)
    }

    /// Whether nobody has answered, and another try may change that.
    fn is_worth_another_try(&self) -> bool {
        let joined = |attempt: &JoinAttempt| matches!(attempt.progress, Progress::Ended(Ok(())));
        !self.attempts.iter().any(joined) && self.attempts.iter().any(JoinAttempt::may_change)
    }
}

/// Ready when each address was joined or has failed for good, or one was joined and the others have
/// failed: as long as nobody answers, those that may answer later are tried again.
impl Future for Joining<'_> {
    type Output = Result<(), CommandError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let joining = self.get_mut();
        loop {
            if let Some(pause) = &mut joining.pause {
                let Poll::Ready(over) = Pin::new(pause).poll(context) else {
                    return Poll::Pending;
                };
                over?;
                joining.pause = None;
                for attempt in joining.attempts.iter_mut().filter(|attempt| attempt.may_change()) {
                    attempt.begin_again(joining.cluster);
                }
            }
            if !joining.poll_attempts(context)? {
                return Poll::Pending;
            }
            if !joining.is_worth_another_try() {
                return Poll::Ready(Ok(()));
            }
            let time = deadline_after(PAUSE);
            joining.pause =
                Some(joining.cluster.begin(|reply| Command::AwaitTime { time, reply })?);
        }
    }
}

impl JoinAttempt {
    /// Whether it has failed, and another try may end otherwise.
    fn may_change(&self) -> bool {
        matches!(&self.progress, Progress::Ended(Err(reason)) if may_change(reason))
    }

    fn begin_again(&mut self, cluster: &Cluster) {
        let again = Progress::resolving(cluster, &self.address);
        let progress = std::mem::replace(&mut self.progress, again);
        if let Progress::Ended(Err(reason)) = progress {
            self.former = Some(self.telling(reason));
        }
    }

    /// What became of it by now.
    fn result(mut self) -> Result<(), JoinFailureReason> {
        let ended = Progress::Ended(Err(JoinFailureReason::TimedOut));
        let reason = match std::mem::replace(&mut self.progress, ended) {
            Progress::Ended(Ok(())) => return Ok(()),
            Progress::Ended(Err(reason)) => reason,
            Progress::Resolving(_) => ResolveError::TimedOut(self.address.text.clone()).into(),
            Progress::Trying { .. } => JoinFailureReason::TimedOut,
        };
        Err(self.telling(reason))
    }

    /// Of an address that was tried again, what became of it counts, unless it says less.
    fn telling(&mut self, reason: JoinFailureReason) -> JoinFailureReason {
        self.former.take().filter(|_| says_little(&reason)).unwrap_or(reason)
    }

    fn poll(&mut self, cluster: &Cluster, context: &mut Context<'_>) -> Result<(), CommandError> {
        if let Progress::Resolving(resolving) = &mut self.progress {
            let Poll::Ready(resolved) = Pin::new(resolving).poll(context) else { return Ok(()) };
            // The reply is gone without an answer if the thread of the lookup panicked.
            let found = match resolved {
                Ok(resolved) => resolved.found,
                Err(_) => Err(ResolveError::TimedOut(self.address.text.clone())),
            };
            self.progress = match found {
                Ok(found) => {
                    let name = &self.address.name;
                    let join = |address| {
                        let name = name.clone();
                        cluster.begin(|reply| Command::Join { address, name, reply })
                    };
                    let tries = found.into_iter().map(join).collect::<Result<_, _>>()?;
                    Progress::Trying { tries, failed: JoinFailureReason::TimedOut }
                }
                Err(error) => Progress::Ended(Err(error.into())),
            };
        }
        if let Progress::Trying { tries, failed } = &mut self.progress {
            let mut joined = false;
            let mut broken = None;
            tries.retain_mut(|tried| {
                let Poll::Ready(outcome) = Pin::new(tried).poll(context) else { return true };
                match outcome {
                    Ok(Outcome::Joined) => joined = true,
                    Ok(Outcome::Failed(error)) => {
                        *failed = JoinFailureReason::from_operation(error);
                    }
                    Ok(other) => broken = Some(misplaced(&other)),
                    Err(error) => broken = Some(error),
                }
                false
            });
            if let Some(error) = broken {
                return Err(error);
            }
            if joined {
                self.progress = Progress::Ended(Ok(()));
            } else if tries.is_empty() {
                let failed = std::mem::replace(failed, JoinFailureReason::TimedOut);
                self.progress = Progress::Ended(Err(failed));
            }
        }
        Ok(())
    }
}

/// Whether another try may end otherwise.
fn may_change(reason: &JoinFailureReason) -> bool {
    match reason {
        JoinFailureReason::Resolve(ResolveError::OtherFamily { .. })
        | JoinFailureReason::OwnAddress(_)
        | JoinFailureReason::LeadsToOurselves(_)
        | JoinFailureReason::NameTaken { .. }
        | JoinFailureReason::PeerRefused(_)
        | JoinFailureReason::UnacceptableAnswer(_)
        | JoinFailureReason::MergeRefused(_)
        | JoinFailureReason::TooLarge { .. }
        | JoinFailureReason::Left => false,
        JoinFailureReason::Unreachable(failure) => failure.may_pass(),
        JoinFailureReason::Resolve(_)
        | JoinFailureReason::TimedOut
        | JoinFailureReason::ClosedWithoutAnswer
        | JoinFailureReason::TooManyOperations { .. } => true,
    }
}

/// Whether a reason only says that there was no time to find out.
fn says_little(reason: &JoinFailureReason) -> bool {
    matches!(
        reason,
        JoinFailureReason::TimedOut
            | JoinFailureReason::Resolve(ResolveError::TimedOut(_))
            | JoinFailureReason::Unreachable(StreamFailure::NotConnected(DialFailure::Pausing))
    )
}

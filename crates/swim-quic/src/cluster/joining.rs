//! A join under way: its addresses are resolved, then joined, all at once.

use std::pin::Pin;
use std::task::{Context, Poll};

use swim_core::Outcome;

use super::{Cluster, misplaced};
use crate::address::JoinAddress;
use crate::answer::{Answer, answer};
use crate::command::Command;
use crate::error::{CommandError, JoinError, JoinFailure, JoinFailureReason, ResolveError};
use crate::resolve::Resolved;

/// What a join achieved.
#[derive(Clone, Debug)]
pub struct JoinReport {
    /// How many addresses answered as members.
    pub joined: usize,
    /// The addresses that did not, and why.
    pub failed: Vec<JoinFailure>,
}

/// All addresses of one join.
pub(super) struct Joining<'a> {
    cluster: &'a Cluster,
    attempts: Vec<JoinAttempt>,
}

/// One address.
struct JoinAttempt {
    address: JoinAddress,
    progress: Progress,
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

impl<'a> Joining<'a> {
    /// Begins to resolve all of them.
    pub(super) fn begin(cluster: &'a Cluster, addresses: Vec<JoinAddress>) -> Self {
        let begin = |address: JoinAddress| {
            let (reply, resolved) = answer(None);
            let deliver = |resolved| reply.send(resolved);
            cluster.inner.resolver.look_up(address.clone(), deliver);
            JoinAttempt { address, progress: Progress::Resolving(resolved) }
        };
        Self { cluster, attempts: addresses.into_iter().map(begin).collect() }
    }

    /// What came of it by now.
    pub(super) fn report(self) -> Result<JoinReport, JoinError> {
        let mut report = JoinReport { joined: 0, failed: Vec::new() };
        for JoinAttempt { address: JoinAddress { text, .. }, progress } in self.attempts {
            let reason = match progress {
                Progress::Ended(Ok(())) => {
                    report.joined += 1;
                    continue;
                }
                Progress::Ended(Err(reason)) => reason,
                Progress::Resolving(_) => ResolveError::TimedOut(text.clone()).into(),
                Progress::Trying { .. } => JoinFailureReason::TimedOut,
            };
            report.failed.push(JoinFailure { address: text, reason });
        }
        if report.joined == 0 {
            return Err(JoinError::NobodyAnswered(report.failed.into()));
        }
        Ok(report)
    }
}

/// Ready when each address was joined or has failed.
impl Future for Joining<'_> {
    type Output = Result<(), CommandError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let joining = self.get_mut();
        let mut pending = false;
        for attempt in &mut joining.attempts {
            if let Err(error) = attempt.poll(joining.cluster, context) {
                return Poll::Ready(Err(error));
            }
            pending |= !matches!(attempt.progress, Progress::Ended(_));
        }
        if pending { Poll::Pending } else { Poll::Ready(Ok(())) }
    }
}

impl JoinAttempt {
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
                    Ok(Outcome::Failed(error)) => *failed = error.into(),
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

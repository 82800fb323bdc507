//! What honest members and the network do in a hostile seed.
//!
//! The plan is mild: nothing in it breaks a rule by itself. No honest member restarts, moves,
//! leaves or hangs, and packets are lost, held back and sent twice at low rates only.

use std::time::Duration;

use crate::sim::application::MIN_PAYLOAD;
use crate::sim::fault::{Fault, HostId};
use crate::sim::sim_rng::SimRng;

/// One step of the plan.
#[derive(Clone, Debug)]
pub(crate) enum HonestStep {
    /// A new honest member joins.
    Join,
    /// An honest member crashes for good.
    Crash(HostId),
    /// An honest member changes its metadata to so many bytes.
    Metadata(HostId, usize),
    Broadcast(HostId, usize),
    SendReliable(HostId, HostId, usize),
    /// A mild fault, which the plan calls by a number.
    Begin(usize, Fault),
    End(usize),
}

/// The steps, in order of time, over `length`. The first host never crashes: newcomers join
/// through it.
pub(crate) fn draw(
    rng: &mut SimRng,
    honest: &[HostId],
    length: Duration,
) -> Vec<(Duration, HonestStep)> {
    let mut steps = Vec::new();
    let moment = |rng: &mut SimRng| rng.span(Duration::ZERO, length);
    for _ in 0..rng.below(4) {
        steps.push((moment(rng), HonestStep::Join));
    }
    // At least three stay.
    let may_crash = honest.get(3..).unwrap_or_default();
    let crashes = rng.below(3).min(may_crash.len());
    for host in rng.sample(may_crash, crashes) {
        steps.push((moment(rng), HonestStep::Crash(host)));
    }
    for _ in 0..rng.between(4, 16) {
        let (host, to) = (rng.pick(honest), rng.pick(honest));
        let step = match rng.below(4) {
            0 => HonestStep::Broadcast(host, rng.between(MIN_PAYLOAD, 300)),
            1 => HonestStep::SendReliable(host, to, rng.between(MIN_PAYLOAD, 20_000)),
            _ => HonestStep::Metadata(host, rng.between(1, 200)),
        };
        steps.push((moment(rng), step));
    }
    for number in 0..rng.below(3) {
        let fault = match rng.below(3) {
            0 => {
                let (inbound, outbound) = (rng.rate(1_000, 20_000), rng.rate(1_000, 20_000));
                Fault::Loss { hosts: honest.to_vec(), inbound, outbound }
            }
            1 => Fault::Duplicate { rate: rng.rate(1_000, 100_000) },
            _ => Fault::HoldBack {
                rate: rng.rate(1_000, 100_000),
                at_most: Duration::from_millis(50),
            },
        };
        let from = moment(rng);
        let to = (from + rng.span(Duration::from_secs(1), Duration::from_secs(30))).min(length);
        steps.push((from, HonestStep::Begin(number, fault)));
        steps.push((to, HonestStep::End(number)));
    }
    // Stable: steps of one moment keep the order in which they were drawn.
    steps.sort_by_key(|(at, _)| *at);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_honest_members_stay_and_the_steps_are_in_order() {
        for seed in 0..200 {
            let honest: Vec<HostId> =
                (0..3 + u32::try_from(seed % 5).unwrap()).map(HostId).collect();
            let plan = draw(&mut SimRng::new(seed, 9), &honest, Duration::from_secs(60));
            assert!(plan.is_sorted_by_key(|(at, _)| *at), "seed {seed}");
            let crashed = plan.iter().filter_map(|(_, step)| match step {
                HonestStep::Crash(host) => Some(host.index()),
                HonestStep::Join
                | HonestStep::Metadata(..)
                | HonestStep::Broadcast(..)
                | HonestStep::SendReliable(..)
                | HonestStep::Begin(..)
                | HonestStep::End(_) => None,
            });
            assert!(crashed.into_iter().all(|host| host >= 3), "seed {seed}");
        }
    }
}

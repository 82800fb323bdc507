//! A member of each kind stands still for 3 s, is suspected, and clears its name.
//!
//! Nobody may be removed: suspicions in a small cluster last 4 s at least. Which member is probed
//! when is random, so the stop lasts until the suspicion is seen, should that take longer.

use std::time::Duration;

use rustix::process::Signal;

use super::two_and_two;
use crate::Stop;
use crate::fleet::event::SeenState;
use crate::fleet::stage::{Stage, fail};

const STANDSTILL: Duration = Duration::from_secs(3);
/// Each of three others probes a given one every 3 s, and suspects it 1 s later.
const SUSPECTED: Duration = Duration::from_secs(6);
const REFUTED: Duration = Duration::from_secs(6);

pub(in crate::interop) fn of_a_node(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    pause(stage, "r2", sabotaged)
}

pub(in crate::interop) fn of_a_go_peer(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    pause(stage, "g2", sabotaged)
}

fn pause(stage: &mut Stage, name: &'static str, sabotaged: bool) -> Result<(), Stop> {
    let all = two_and_two(stage)?;
    let before = stage.agree(&all)?[name].incarnation;
    let since = stage.elapsed();
    if !sabotaged {
        stage.signal(name, Signal::STOP);
    }
    let removed = move |stage: &Stage| {
        all.into_iter().find_map(|observer| {
            let gone = stage
                .history(observer)
                .changes
                .iter()
                .find(|(_, state)| matches!(state, SeenState::Failed | SeenState::Left))?;
            Some(format!("{observer} removed {} ({})", gone.0, gone.1))
        })
    };
    // Nodes tell of suspicions, their own and others'; Go peers do not.
    let what = format!("{name} is suspected");
    stage.wait(&what, SUSPECTED, |stage| stage.history("r1").told(name, SeenState::Suspect))?;
    let suspected = stage.elapsed() - since;
    stage.watch(STANDSTILL.saturating_sub(suspected), removed)?;
    stage.signal(name, Signal::CONT);
    stage.all_see(&["r1"], name, SeenState::Alive, REFUTED)?;
    let refuted = (stage.elapsed() - since).as_secs_f64();
    stage.watch(Duration::from_secs(2), removed)?;
    let after = stage.agree(&all)?[name].incarnation;
    if after <= before {
        return fail(format!("{name} cleared its name without a higher incarnation than {before}"));
    }
    stage.note(format!(
        "suspected after {:.1} s, cleared at {refuted:.1} s",
        suspected.as_secs_f64()
    ));
    Ok(())
}

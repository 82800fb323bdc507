//! A member of each kind leaves on purpose, and nobody takes it for a failure.
//!
//! Also checks that a process which was told to quit ends with code 0.

use std::time::Duration;

use super::two_and_two;
use crate::Stop;
use crate::fleet::event::SeenState;
use crate::fleet::stage::{Stage, fail};

pub(in crate::interop) fn each_way(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    two_and_two(stage)?;
    for (leaver, others) in [("r2", &["r1", "g1", "g2"][..]), ("g2", &["r1", "g1"][..])] {
        let since = stage.elapsed();
        if !sabotaged {
            stage.tell(leaver, "leave");
        }
        stage.all_see(others, leaver, SeenState::Left, Duration::from_secs(5))?;
        let took = (stage.elapsed() - since).as_secs_f64();
        stage.note(format!("{leaver} after {took:.2} s"));
        if let Some(reason) = stage.reply(leaver)?.refusal() {
            return fail(format!("{leaver} says that its leave failed: {reason}"));
        }
        stage.tell(leaver, "quit");
        stage.ended(leaver)?;
    }
    let gone = stage.names().into_iter().find(|observer| {
        let changes = &stage.history(observer).changes;
        changes.iter().any(|(_, state)| *state == SeenState::Failed)
    });
    if let Some(observer) = gone {
        return fail(format!("{observer} took a leave for a failure"));
    }
    stage.agree(&["r1", "g1"])?;
    Ok(())
}

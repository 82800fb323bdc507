//! A member of each kind leaves on purpose, and nobody takes it for a failure.
//!
//! Also checks that a process which was told to quit ends with code 0.

use std::time::Duration;

use super::two_and_two;
use crate::Stop;
use crate::demo::node_event::State;
use crate::interop::stage::{Stage, fail};

pub(in crate::interop) fn each_way(stage: &mut Stage<'_>, sabotaged: bool) -> Result<(), Stop> {
    two_and_two(stage)?;
    for (leaver, others) in [("r2", &["r1", "g1", "g2"][..]), ("g2", &["r1", "g1"][..])] {
        let since = stage.elapsed();
        if !sabotaged {
            stage.tell(leaver, "leave");
        }
        stage.all_see(others, leaver, State::Left, Duration::from_secs(5))?;
        let took = (stage.elapsed() - since).as_secs_f64();
        stage.note(format!("{leaver} after {took:.2} s"));
        let reply = stage.reply(leaver)?;
        if reply["ok"] != true {
            return fail(format!("{leaver} says that its leave failed: {}", reply["error"]));
        }
        stage.tell(leaver, "quit");
        let code = stage.ended(leaver)?;
        if code != Some(0) {
            return fail(format!("{leaver} quit with {code:?}"));
        }
    }
    let gone = stage.names().into_iter().find(|observer| {
        let changes = &stage.record(observer).changes;
        changes.iter().any(|(_, state)| *state == State::Failed)
    });
    if let Some(observer) = gone {
        return fail(format!("{observer} took a leave for a failure"));
    }
    stage.agree(&["r1", "g1"])?;
    Ok(())
}

//! A member of each kind is killed, and both kinds declare it dead.
//!
//! Lifeguard's suspicion in a small cluster lasts at most 24 s. A Go peer that dials the dead one
//! handles no packet for 5 s each time, which makes it look dead itself and costs confirmations.

use std::time::Duration;

use super::two_and_two;
use crate::Stop;
use crate::fleet::event::SeenState;
use crate::fleet::stage::Stage;

const NOTICE: Duration = Duration::from_secs(40);
/// Go gossips to the dead for 30 s and handles no packet while it dials one: until then it may
/// suspect others and not read that they object.
const CALM: Duration = Duration::from_secs(45);

pub(in crate::interop) fn of_a_node(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    kill(stage, "r2", &["r1", "g1", "g2"], sabotaged)
}

pub(in crate::interop) fn of_a_go_peer(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    kill(stage, "g2", &["r1", "r2", "g1"], sabotaged)
}

fn kill(stage: &mut Stage, victim: &str, others: &[&str], sabotaged: bool) -> Result<(), Stop> {
    two_and_two(stage)?;
    let since = stage.elapsed();
    if !sabotaged {
        stage.kill(victim)?;
    }
    stage.all_see(others, victim, SeenState::Failed, NOTICE)?;
    let took = (stage.elapsed() - since).as_secs_f64();
    stage.note(format!("seen by all after {took:.1} s"));
    stage.agree_within(others, CALM)?;
    Ok(())
}

//! A node is killed and starts again on its port, and Go talks to it at once.
//!
//! Go keeps sending on the connection to the killed process until its idle timeout of 30 s,
//! unless a stateless reset ends it. Tried with a connection that Go dialed and with one that the
//! node dialed, since the reset token reaches Go on different ways. Go's own ping tells: it takes
//! the connection that Go holds for the address, and an answer means that this is a new one.

use std::time::Duration;

use super::GATHER;
use crate::Stop;
use crate::fleet::event::SeenState;
use crate::fleet::stage::{Stage, fail};

/// From the restarted node's first packet to Go's first one on a new connection.
const BOUND: Duration = Duration::from_secs(2);
/// How long it is watched afterwards that there is no pause.
const WATCHED: Duration = Duration::from_secs(4);

pub(in crate::interop) fn of_a_node_that_go_dialed(
    stage: &mut Stage,
    sabotaged: bool,
) -> Result<(), Stop> {
    let node = stage.start("r1", &[])?;
    stage.start("g1", &["--join", &node])?;
    stage.gathered(&["r1", "g1"], GATHER)?;
    if stage.count("g1", "/transport/dialed")? != 1
        || stage.count("g1", "/transport/accepted")? != 0
    {
        return fail("the one connection is not Go's, as this case needs it");
    }
    restart(stage, &node, sabotaged)
}

pub(in crate::interop) fn of_a_node_that_dialed(
    stage: &mut Stage,
    sabotaged: bool,
) -> Result<(), Stop> {
    let peer = stage.start("g1", &[])?;
    let node = stage.start("r1", &["--join", &peer])?;
    stage.gathered(&["r1", "g1"], GATHER)?;
    if stage.count("g1", "/transport/dialed")? != 0
        || stage.count("g1", "/transport/accepted")? != 1
    {
        return fail("the one connection is not the node's, as this case needs it");
    }
    restart(stage, &node, sabotaged)
}

fn restart(stage: &mut Stage, node: &str, sabotaged: bool) -> Result<(), Stop> {
    // The connection is in use both ways before it breaks.
    stage.ask("g1", "ping r1")?;
    stage.ask("r1", "ping g1")?;
    stage.kill("r1")?;
    if sabotaged {
        let forgotten = stage.fleet.folder().join("r1.reset");
        std::fs::write(&forgotten, "5a".repeat(32))
            .map_err(|error| Stop::Failed(format!("cannot write r1.reset: {error}")))?;
    }
    let peer = stage.address("g1");
    stage.start("r1", &["--bind", node, "--join", &peer])?;
    let began = stage.history("r1").ready.as_ref().map_or(Duration::ZERO, |(_, at)| *at);
    let deadline = began + BOUND + Duration::from_millis(500);
    // A ping of Go's that gets no answer takes half a second.
    let answered = loop {
        if stage.attempt("g1", "ping r1")?.ok {
            break stage.elapsed();
        }
        if stage.elapsed() > deadline {
            return fail(format!("none of Go's pings reaches the restarted node within {BOUND:?}"));
        }
    };
    let took = answered.saturating_sub(began);
    if took > BOUND {
        return fail(format!("Go's first ping reaches the restarted node after {took:?}"));
    }
    stage.note(format!("Go's ping answered {} ms after the restart", took.as_millis()));
    no_pause(stage)?;
    stage.agree(&["r1", "g1"])?;
    Ok(())
}

/// Pings both ways for a while; each must be answered.
fn no_pause(stage: &mut Stage) -> Result<(), Stop> {
    let end = stage.elapsed() + WATCHED;
    while stage.elapsed() < end {
        stage.ask("g1", "ping r1")?;
        stage.ask("r1", "ping g1")?;
        stage.watch(Duration::from_millis(250), |stage| {
            let failed = stage.history("g1").told("r1", SeenState::Failed);
            failed.then(|| "g1 says that the restarted r1 failed".to_owned())
        })?;
    }
    Ok(())
}

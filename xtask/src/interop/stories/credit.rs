//! More exchanges on one connection than Go grants streams.
//!
//! Go grants 100 bidirectional streams and takes one back only when it has read its end, which
//! it does not if the end comes after its reply. The sabotage lets two Go peers show it.

use super::GATHER;
use crate::Stop;
use crate::fleet::stage::{Stage, fail};

const EXCHANGES: usize = 300;

pub(in crate::interop) fn three_hundred_exchanges(
    stage: &mut Stage,
    sabotaged: bool,
) -> Result<(), Stop> {
    let peer = stage.start("g1", &[])?;
    let node = stage.start("r1", &["--join", &peer])?;
    stage.gathered(&["r1", "g1"], GATHER)?;
    let initiator = if sabotaged { "g2" } else { "r1" };
    if sabotaged {
        stage.start("g2", &["--join", &peer])?;
        stage.gathered(&["r1", "g1", "g2"], GATHER)?;
    }
    let before = connections(stage)?;
    for (from, address) in [(initiator, &peer), ("g1", &node)] {
        for number in 1..=EXCHANGES {
            let reply = stage.attempt(from, &format!("join {address}"))?;
            if !reply.ok {
                let failed = &reply.fields["failed"];
                return fail(format!("exchange {number} of {from} failed: {failed}"));
            }
        }
    }
    let after = connections(stage)?;
    if after != before {
        return fail(format!("there were {before} connections in all, and {after} afterwards"));
    }
    stage.note(format!("{} exchanges, no new connection", 2 * EXCHANGES));
    Ok(())
}

/// How many connections the Go peer has ever had.
fn connections(stage: &mut Stage) -> Result<u64, Stop> {
    Ok(stage.count("g1", "/transport/dialed")? + stage.count("g1", "/transport/accepted")?)
}

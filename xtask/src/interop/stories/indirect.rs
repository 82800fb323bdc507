//! Members that cannot reach each other are probed through members of the other kind.
//!
//! The links between the two nodes and between the two Go peers are cut, with all connections
//! up: the nodes probe each other through Go peers, and the Go peers through nodes.

use std::time::Duration;

use super::{GATHER, first_suspicion};
use crate::Stop;
use crate::fleet::stage::{Stage, fail};

/// Three members to probe, one a second: three or four rounds for each pair, well before a
/// silent connection is idle for the 30 s that Go allows it.
const CUT: Duration = Duration::from_secs(11);
/// What memberlist logs when a direct probe was not answered in time.
const GO_PROBE_FAILED: &str = "Failed UDP ping";

pub(in crate::interop) fn across_kinds(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    let first = stage.start_proxied("r1", &[])?;
    stage.start_proxied("g1", &["--join", &first])?;
    stage.start_proxied("r2", &["--join", &first])?;
    stage.start_proxied("g2", &["--join", &first])?;
    let all = ["r1", "r2", "g1", "g2"];
    stage.gathered(&all, GATHER)?;
    stage.agree(&all)?;
    // A dial that fails would end a probe of Go's before it asks anybody.
    for (from, to) in [("g1", "g2"), ("g2", "g1"), ("r1", "r2"), ("r2", "r1")] {
        stage.ask(from, &format!("ping {to}"))?;
    }
    let udp_proxy = stage.fleet.proxy().map_err(|error| Stop::cannot("make a proxy", error))?;
    udp_proxy.cut("r1", "r2");
    udp_proxy.cut("g1", "g2");
    if sabotaged {
        udp_proxy.cut("g1", "r2");
        udp_proxy.cut("r1", "g2");
    }
    stage.watch(CUT, first_suspicion)?;
    for node in ["r1", "r2"] {
        let relayed = stage.count(node, "/membership/counters/probes_indirect")?;
        if relayed < 2 {
            return fail(format!(
                "{node} asked others to probe {relayed} times: nothing was tried"
            ));
        }
        stage.note(format!("{node} asked {relayed} times"));
    }
    for peer in ["g1", "g2"] {
        let log = stage.log(peer);
        let failed = log.lines().filter(|line| line.contains(GO_PROBE_FAILED)).count();
        if failed < 2 {
            return fail(format!("{peer} missed {failed} direct answers: nothing was tried"));
        }
    }
    stage.agree(&all)?;
    Ok(())
}

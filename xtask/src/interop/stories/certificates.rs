//! Certificates of Go's helper and of ours in one cluster, under an authority of either.
//!
//! Go checks that a certificate carries the address that it dials; a node whose certificate is
//! for another address is reached by no Go peer.

use super::{GATHER, user_messages};
use crate::Stop;
use crate::fleet::stage::{Stage, fail};

pub(in crate::interop) fn of_both_tools(stage: &mut Stage, sabotaged: bool) -> Result<(), Stop> {
    // Whoever makes the first certificate of a folder makes the authority.
    for makers in [["g1", "r1"], ["r2", "g2"]] {
        for file in ["ca.pem", "ca.key"] {
            let _ = std::fs::remove_file(stage.fleet.folder().join(file));
        }
        for name in makers {
            let wrong = sabotaged && name == "r1";
            stage.certify(name, if wrong { "10.9.9.9" } else { "127.0.0.1" })?;
        }
        let (node, peer) = if makers[0] == "r2" { ("r2", "g2") } else { ("r1", "g1") };
        let at_node = stage.start(node, &[])?;
        stage.start(peer, &[])?;
        // Go dials, so Go checks.
        let joined = stage.attempt(peer, &format!("join {at_node}"))?;
        if !joined.ok {
            return fail(format!("{peer} cannot join {node}: {}", joined.fields["failed"]));
        }
        stage.gathered(&[node, peer], GATHER)?;
        user_messages::a_few(stage, &[(node, peer), (peer, node)])?;
    }
    // The check is one of Go's: the same certificate for another address is refused.
    stage.certify("r3", "10.9.9.9")?;
    let address = stage.start("r3", &[])?;
    let joined = stage.attempt("g2", &format!("join {address}"))?;
    let reason = joined.fields["failed"].to_string();
    if joined.ok || !reason.contains("certificate is valid for 10.9.9.9") {
        return fail(format!("Go did not check the address in r3's certificate: {joined:?}"));
    }
    Ok(())
}

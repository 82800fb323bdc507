//! Stories about who is there: members of both kinds gather, leave, crash, restart, stand still
//! and lose links; certificates of both tools.

use std::time::Duration;

use rustix::process::Signal;

use super::steps::{
    GATHER, Told, a_few, first_suspicion, somebody_told, three_and_three, two_and_two, update,
    updated,
};
use crate::Stop;
use crate::fleet::event::SeenState::{Alive, Failed, Left, Suspect};
use crate::fleet::stage::{Stage, fail};
use crate::fleet::{Program, logs};

/// As much metadata as a member may have.
const LARGEST_META: usize = 512;

/// All list the same members, addresses, incarnations and metadata.
pub(super) fn one_joins_two(stage: &mut Stage, names: [&str; 3], sabotaged: bool) -> Told {
    let [first, second, third] = names;
    let large = "m".repeat(LARGEST_META);
    let metas = ["größe=∞, first", "", large.as_str()];
    let address = stage.start(first, &["--meta", metas[0]])?;
    stage.start(second, &["--meta", metas[1], "--join", &address])?;
    stage.gathered(&[first, second], GATHER)?;
    let flags = ["--meta", metas[2], "--join", &address];
    stage.start(third, if sabotaged { &flags[..2] } else { &flags })?;
    stage.gathered(&names, GATHER)?;
    let took = stage.elapsed();
    let rows = stage.agree(&names)?;
    for (name, meta) in names.into_iter().zip(metas) {
        let row = &rows[name];
        if row.meta != meta || row.addr != stage.address(name) {
            return fail(format!("all see {name} at {} with \"{}\"", row.addr, row.meta));
        }
    }
    stage.notes.push(format!("gathered after {:.1} s", took.as_secs_f64()));
    update(stage, third, "changed by the newcomer", &names)?;
    update(stage, first, "geändert", &names)?;
    stage.agree(&names).map(drop)
}

pub(super) fn six(stage: &mut Stage, sabotaged: bool) -> Told {
    let names = three_and_three(stage)?;
    let rows = stage.agree(&names)?;
    if let Some((name, row)) = rows.iter().find(|(name, row)| row.meta != **name) {
        return fail(format!("all see the metadata \"{}\" of {name}", row.meta));
    }
    let changed = ["g3", "r3", "g1", "r1"];
    for name in changed.into_iter().filter(|name| !(sabotaged && *name == "g1")) {
        stage.ask(name, &format!("meta second of {name}"))?;
    }
    for name in changed {
        updated(stage, name, &format!("second of {name}"), &names)?;
    }
    stage.agree(&names).map(drop)
}

/// A member of each kind leaves on purpose, and nobody takes it for a failure; a process that was
/// told to quit ends with code 0.
pub(super) fn leave(stage: &mut Stage, sabotaged: bool) -> Told {
    two_and_two(stage)?;
    for (leaver, others) in [("r2", &["r1", "g1", "g2"][..]), ("g2", &["r1", "g1"][..])] {
        let since = stage.elapsed();
        if !sabotaged {
            stage.tell(leaver, "leave");
        }
        stage.all_see(others, leaver, Left, Duration::from_secs(5))?;
        let took = (stage.elapsed() - since).as_secs_f64();
        stage.notes.push(format!("{leaver} after {took:.2} s"));
        if let Some(reason) = stage.reply(leaver)?.refusal() {
            return fail(format!("{leaver} says that its leave failed: {reason}"));
        }
        stage.tell(leaver, "quit");
        stage.ended(leaver)?;
    }
    somebody_told(stage, &[Failed]).map_or(Ok(()), fail)?;
    stage.agree(&["r1", "g1"]).map(drop)
}

/// Lifeguard's suspicion in a small cluster lasts at most 24 s. A Go peer that dials the dead one
/// handles no packet for 5 s each time, which makes it look dead itself and costs confirmations.
pub(super) const NOTICE: Duration = Duration::from_secs(40);
/// Go gossips to the dead for 30 s and handles no packet while it dials one: until then it may
/// suspect others and not read that they object.
const CALM: Duration = Duration::from_secs(45);

pub(super) fn crash(stage: &mut Stage, victim: &str, others: [&str; 3], sabotaged: bool) -> Told {
    two_and_two(stage)?;
    let since = stage.elapsed();
    if !sabotaged {
        stage.kill(victim)?;
    }
    stage.all_see(&others, victim, Failed, NOTICE)?;
    let took = (stage.elapsed() - since).as_secs_f64();
    stage.notes.push(format!("seen by all after {took:.1} s"));
    stage.agree_within(&others, CALM).map(drop)
}

const STANDSTILL: Duration = Duration::from_secs(3);
/// Each of three others probes a given one every 3 s, and suspects it 1 s later.
const SUSPECTED: Duration = Duration::from_secs(6);
const REFUTED: Duration = Duration::from_secs(6);

/// A member stands still for 3 s, is suspected, and clears its name.
///
/// Nobody may be removed: suspicions in a small cluster last 4 s at least. Which member is probed
/// when is random, so the stop lasts until the suspicion is seen, should that take longer.
pub(super) fn pause(stage: &mut Stage, name: &str, sabotaged: bool) -> Told {
    let all = two_and_two(stage)?;
    let before = stage.agree(&all)?[name].incarnation;
    let since = stage.elapsed();
    if !sabotaged {
        stage.signal(name, Signal::STOP);
    }
    let removed = |stage: &Stage| somebody_told(stage, &[Failed, Left]);
    // Nodes tell of suspicions, their own and others'; Go peers do not.
    let suspicion = (name.to_owned(), Suspect);
    stage.wait(&format!("{name} is suspected"), SUSPECTED, |stage| {
        stage.member("r1").changes.contains(&suspicion)
    })?;
    let suspected = stage.elapsed() - since;
    stage.watch(STANDSTILL.saturating_sub(suspected), removed)?;
    stage.signal(name, Signal::CONT);
    stage.all_see(&["r1"], name, Alive, REFUTED)?;
    let refuted = stage.elapsed() - since;
    stage.watch(Duration::from_secs(2), removed)?;
    let after = stage.agree(&all)?[name].incarnation;
    if after <= before {
        return fail(format!("{name} cleared its name without a higher incarnation than {before}"));
    }
    stage.notes.push(format!("suspected after {suspected:.1?}, cleared at {refuted:.1?}"));
    Ok(())
}

/// From the restarted node's first packet to Go's first one on a new connection.
const BOUND: Duration = Duration::from_secs(2);
/// How long it is watched afterwards that there is no pause.
const WATCHED: Duration = Duration::from_secs(4);

/// A node is killed and starts again on its port, and Go talks to it at once.
///
/// Go keeps sending on the connection to the killed process until its idle timeout of 30 s,
/// unless a stateless reset ends it. Tried with a connection that Go dialed and with one that the
/// node dialed, since the reset token reaches Go on different ways. Go's own ping tells: it takes
/// the connection that Go holds for the address, and an answer means that this is a new one.
pub(super) fn restart(stage: &mut Stage, go_dials: bool, sabotaged: bool) -> Told {
    let [first, second] = if go_dials { ["r1", "g1"] } else { ["g1", "r1"] };
    let address = stage.start(first, &[])?;
    stage.start(second, &["--join", &address])?;
    stage.gathered(&["r1", "g1"], GATHER)?;
    let (dialed, accepted) =
        (stage.count("g1", "/transport/dialed")?, stage.count("g1", "/transport/accepted")?);
    if (dialed, accepted) != (u64::from(go_dials), u64::from(!go_dials)) {
        return fail(format!("{second} did not dial the one connection, as this case needs it"));
    }
    // The connection is in use both ways before it breaks.
    stage.ask("g1", "ping r1")?;
    stage.ask("r1", "ping g1")?;
    stage.kill("r1")?;
    if sabotaged {
        std::fs::write(stage.fleet.folder().join("r1.reset"), "5a".repeat(32))
            .map_err(|error| Stop::cannot("write r1.reset", error))?;
    }
    let (node, peer) = (stage.address("r1"), stage.address("g1"));
    stage.start("r1", &["--bind", &node, "--join", &peer])?;
    let began = stage.member("r1").ready.as_ref().map_or(Duration::ZERO, |(_, at)| *at);
    let deadline = began + BOUND + Duration::from_millis(500);
    // A ping of Go's that gets no answer takes half a second.
    while !stage.attempt("g1", "ping r1")?.ok {
        if stage.elapsed() > deadline {
            return fail(format!("none of Go's pings reaches the restarted node within {BOUND:?}"));
        }
    }
    let took = stage.elapsed().saturating_sub(began);
    if took > BOUND {
        return fail(format!("Go's first ping reaches the restarted node after {took:?}"));
    }
    stage.notes.push(format!("Go's ping answered {} ms after the restart", took.as_millis()));
    let (end, failure) = (stage.elapsed() + WATCHED, ("r1".to_owned(), Failed));
    while stage.elapsed() < end {
        stage.ask("g1", "ping r1")?;
        stage.ask("r1", "ping g1")?;
        stage.watch(Duration::from_millis(250), |stage| {
            let told = stage.member("g1").changes.contains(&failure);
            told.then(|| "g1 says that the restarted r1 failed".to_owned())
        })?;
    }
    stage.agree(&["r1", "g1"]).map(drop)
}

/// How long the members of a small cluster may take to list who moved at its new address.
const MOVED: Duration = Duration::from_secs(5);

/// A node is killed and comes back under its name at another port: at once, or when it is held
/// dead. Both kinds list it there, and go on to.
pub(super) fn moves(stage: &mut Stage, when_dead: bool, sabotaged: bool) -> Told {
    let all = two_and_two(stage)?;
    let others = ["r1", "g1", "g2"];
    // memberlist says so of each claim of a name at another address before the steps end.
    stage.explained.push("Conflicting address for r2".to_owned());
    stage.kill("r2")?;
    if when_dead {
        stage.all_see(&others, "r2", Failed, NOTICE)?;
    }
    let (before, seed) = (stage.address("r2"), stage.address("r1"));
    let back = stage.elapsed();
    let bind = if sabotaged { &*before } else { "127.0.0.1:0" };
    let place = stage.start("r2", &["--join", &seed, "--bind", bind])?;
    if place == before {
        return fail("r2 came back where it was and not at another address");
    }
    for observer in others {
        loop {
            let rows = stage.list(observer)?;
            if rows.get("r2").is_some_and(|row| row.state == Alive && row.addr == place) {
                break;
            }
            if stage.elapsed() > back + MOVED {
                return fail(format!(
                    "{observer} does not list r2 at {place}: {:?}",
                    rows.get("r2")
                ));
            }
        }
    }
    stage.notes.push(format!("listed after {:.2} s", (stage.elapsed() - back).as_secs_f64()));
    // Longer than the steps towards memberlist take.
    stage.watch(MOVED, |_| None)?;
    let rows = stage.agree_within(&all, CALM)?;
    if rows["r2"].addr != place || rows["r2"].state != Alive {
        return fail(format!("r2 at {place} became {:?}", rows["r2"]));
    }
    a_few(stage, &[("r1", "r2"), ("g1", "r2"), ("r2", "g2")])
}

/// Three members to probe, one a second: three or four rounds for each pair, well before a
/// silent connection is idle for the 30 s that Go allows it.
const CUT: Duration = Duration::from_secs(11);
/// What memberlist logs when a direct probe was not answered in time.
const GO_PROBE_FAILED: &str = "Failed UDP ping";

/// Members that cannot reach each other are probed through members of the other kind: the links
/// between the two nodes and between the two Go peers are cut, with all connections up.
pub(super) fn indirect(stage: &mut Stage, sabotaged: bool) -> Told {
    stage.fleet.use_proxy();
    let first = stage.start("r1", &[])?;
    for name in ["g1", "r2", "g2"] {
        stage.start(name, &["--join", &first])?;
    }
    let all = ["r1", "r2", "g1", "g2"];
    stage.gathered(&all, GATHER)?;
    stage.agree(&all)?;
    // A dial that fails would end a probe of Go's before it asks anybody.
    for (from, to) in [("g1", "g2"), ("g2", "g1"), ("r1", "r2"), ("r2", "r1")] {
        stage.ask(from, &format!("ping {to}"))?;
    }
    let cuts = [("r1", "r2"), ("g1", "g2"), ("g1", "r2"), ("r1", "g2")];
    for (one, other) in &cuts[..if sabotaged { 4 } else { 2 }] {
        stage.fleet.cut(one, other);
    }
    stage.watch(CUT, first_suspicion)?;
    for name in all {
        let missed = if Program::named(name) == Program::Node {
            stage.count(name, "/membership/counters/probes_indirect")?
        } else {
            let log = stage.log(name);
            log.lines().map(|line| u64::from(line.contains(GO_PROBE_FAILED))).sum()
        };
        if missed < 2 {
            return fail(format!("{name} missed {missed} direct answers: nothing was tried"));
        }
        stage.notes.push(format!("{name} missed {missed} direct answers"));
    }
    stage.agree(&all).map(drop)
}

/// Certificates of Go's helper and of ours in one cluster, under an authority of either. Go
/// checks that a certificate carries the address that it dials.
pub(super) fn certificates(stage: &mut Stage, sabotaged: bool) -> Told {
    let elsewhere = Some([10, 9, 9, 9].into());
    // Whoever makes the first certificate of a folder makes the authority.
    for (makers, node, peer) in [(["g1", "r1"], "r1", "g1"), (["r2", "g2"], "r2", "g2")] {
        for file in ["ca.pem", "ca.key"] {
            let _ = std::fs::remove_file(stage.fleet.folder().join(file));
        }
        for name in makers {
            stage.fleet.certify(name, elsewhere.filter(|_| sabotaged && name == "r1"))?;
        }
        let at_node = stage.start(node, &[])?;
        stage.start(peer, &[])?;
        // Go dials, so Go checks.
        let joined = stage.attempt(peer, &format!("join {at_node}"))?;
        if !joined.ok {
            return fail(format!("{peer} cannot join {node}: {}", joined.fields["failed"]));
        }
        stage.gathered(&[node, peer], GATHER)?;
        a_few(stage, &[(node, peer), (peer, node)])?;
    }
    // The check is one of Go's: the same certificate for another address is refused.
    stage.fleet.certify("r3", elsewhere)?;
    let address = stage.start("r3", &[])?;
    let joined = stage.attempt("g2", &format!("join {address}"))?;
    let reason = joined.fields["failed"].to_string();
    if joined.ok || !reason.contains("certificate is valid for 10.9.9.9") {
        return fail(format!("Go did not check the address in r3's certificate: {joined:?}"));
    }
    Ok(())
}

/// Three nodes and three Go peers that nothing happens to, for as long as asked.
///
/// Fails at the first change of anybody's view, and if a Go peer logged a warning or an error:
/// where nothing happens, there is nothing to complain of.
pub(super) fn quiet(stage: &mut Stage, minutes: u16) -> Told {
    let names = three_and_three(stage)?;
    let before = stage.agree(&names)?;
    println!("three nodes and three Go peers see each other; watching for {minutes} minutes");
    for minute in 1..=minutes {
        stage.watch(Duration::from_secs(60), first_suspicion)?;
        println!("minute {minute}: no change");
    }
    let after = stage.agree(&names)?;
    if after != before {
        return fail(format!("the lists changed from {before:?} to {after:?}"));
    }
    let mut warnings = 0;
    for name in names.into_iter().filter(|name| Program::named(name) == Program::GoPeer) {
        for (kind, count) in logs::count_warnings_of_go(&stage.log(name)) {
            warnings += count;
            println!("{name}: {count} × {kind}");
        }
    }
    if warnings > 0 {
        return fail(format!("the Go peers logged {warnings} warnings or errors"));
    }
    println!("quiet for {minutes} minutes");
    Ok(())
}

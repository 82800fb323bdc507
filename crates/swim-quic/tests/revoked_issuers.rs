//! An issuer is revoked, not a member: who is below it goes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the identities of this test have certificates of another kind")]
mod common;
#[path = "common/issuer.rs"]
mod issuer;

use std::time::Duration;

use common::{PATIENCE, alive, eventually, quick};
use issuer::Issuer;
use swim_quic::{Cluster, ConnectError, Refusal, SendFailure, Trust};

#[test]
fn a_live_connection_below_a_revoked_intermediate_ends_and_others_stay() {
    let root = Issuer::new();
    let [between, other] = ["between", "other"].map(|name| root.intermediate(name));
    let below = between.intermediate("below");
    // Bob is one below the intermediate that goes, dan two, cyd below another one.
    let issuers = [("ada", &root), ("bob", &between), ("cyd", &other), ("dan", &below)];
    let members = start(&issuers, &root.root_pem());
    let ada = &members[0];
    for name in ["bob", "cyd", "dan"] {
        ada.connect(name, PATIENCE).unwrap();
    }
    let stays = ada.connection("cyd").unwrap().unwrap();
    assert!(ada.revoke(between.fingerprint()).unwrap() >= 2);
    let left: Vec<_> = ada.connections().unwrap();
    assert!(left.iter().all(|connection| connection.fingerprint == stays.fingerprint), "{left:?}");
    for name in ["bob", "dan"] {
        assert!(ada.connection(name).unwrap().is_none(), "{name}");
        is_refused(ada, name);
        is_refused(&members[if name == "bob" { 1 } else { 3 }], "ada");
    }
    ada.ping("cyd", PATIENCE).unwrap();
    // The others have not revoked it.
    members[2].ping("bob", PATIENCE).unwrap();
}

#[test]
fn a_revoked_root_refuses_new_connections_and_ends_no_live_ones() {
    let [ours, theirs] = ["ours", "theirs"].map(Issuer::named);
    let between = theirs.intermediate("between");
    let both = [ours.root_pem(), theirs.root_pem()].concat();
    let members = start(&[("ada", &ours), ("bob", &between)], &both);
    let (ada, bob) = (&members[0], &members[1]);
    let before = ada.connect("bob", PATIENCE).unwrap().fingerprint;
    assert_eq!(ada.revoke(theirs.fingerprint()).unwrap(), 0);
    ada.ping("bob", PATIENCE).unwrap();
    assert_eq!(ada.connection("bob").unwrap().map(|live| live.fingerprint), Some(before));
    ada.disconnect("bob").unwrap();
    is_refused(ada, "bob");
    is_refused(bob, "ada");
}

/// All join the first, and trust the same roots; what one revokes is its own.
fn start(issuers: &[(&str, &Issuer)], roots: &[u8]) -> Vec<Cluster> {
    let mut members: Vec<Cluster> = Vec::new();
    for (name, issuer) in issuers {
        let identity = issuer.identity(name, &format!("DNS:{name},IP:127.0.0.1"));
        let seed = members.first().map(|first| first.address().to_string());
        let member = Cluster::builder(*name).bind("127.0.0.1:0").identity(identity);
        let member = member.trust(Trust::from_pem(roots).unwrap());
        members.push(member.config(quick()).seeds(seed).start().unwrap());
    }
    for member in &members {
        eventually("all see all", || alive(member).len() == members.len());
    }
    members
}

fn is_refused(from: &Cluster, to: &str) {
    let error = from.connect(to, Duration::from_secs(10)).unwrap_err();
    let revoked = SendFailure::Refused(Refusal::Revoked);
    let is_revoked = matches!(error, ConnectError::Unreachable(failure) if failure == revoked);
    assert!(is_revoked, "to {to}: {error:?}");
}

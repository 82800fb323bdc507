//! The cases: each a story about Go peers and nodes in one cluster, with its sabotage.
//!
//! A sabotage leaves out or breaks what the story is about; a story that ends well all the same is
//! a defect.

use super::earlier_cases::{comings_and_goings, messages};
use super::lifecycle_cases::{
    certificates, crash, indirect, leave, moves, one_joins_two, pause, restart, six,
};
use super::message_cases::{
    KEY_16, KEY_24, KEY_32, OTHER_KEY, all_ways, cluster, compression, credit, key_rotation,
    old_format, refused, states,
};
use super::steps::Told;
use crate::fleet::stage::Stage;

/// One story and what is needed to run it.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// How the sabotage breaks its cause.
    pub(super) sabotage: &'static str,
    /// A word of the reason that the sabotaged story must fail with.
    pub(super) notices: &'static str,
    /// Seconds that it takes, roughly; the longest are started first.
    pub(super) seconds: u16,
    /// Nothing happens in it that a Go peer would have to complain of.
    pub(super) calm: bool,
    /// Tells the story, sabotaged or not.
    pub(super) tell: fn(&mut Stage, bool) -> Told,
}

/// A sabotage that is noticed within about this many seconds belongs to the quick ones.
const QUICK: u16 = 12;

impl Case {
    pub(super) fn is_quick(&self) -> bool {
        self.seconds <= QUICK
    }
}

/// Writes the table below: name, seconds, whether calm, story; what it is about; its sabotage and
/// how that is noticed.
macro_rules! cases {
    ($($name:literal $seconds:literal $calm:literal $tell:expr
        => $about:literal, $sabotage:literal => $notices:literal;)*) => {
        &[$(Case {
            name: $name,
            about: $about,
            sabotage: $sabotage,
            notices: $notices,
            seconds: $seconds,
            calm: $calm,
            tell: $tell,
        }),*]
    };
}

/// Those with the node of an earlier commit.
pub(super) const EARLIER_CASES: &[Case] = cases! {
    "earlier-messages" 5 true messages =>
        "two nodes and two earlier ones gather, change metadata, and send both ways",
        "one message is not sent" => "is received";
    "earlier-lifecycle" 20 true comings_and_goings =>
        "an earlier node is killed and returns, a node is killed, an earlier one leaves",
        "nobody is killed" => "see r2 failed";
};

/// Each with its seconds, and `true` where a Go peer has nothing to warn of.
pub(super) const CASES: &[Case] = cases! {
    "rust-joins-go" 3 true |s, broken| one_joins_two(s, ["g1", "g2", "r1"], broken) =>
        "one node joins two Go peers: views, metadata, updates",
        "the node is told of nobody" => "see each other";
    "go-joins-rust" 3 true |s, broken| one_joins_two(s, ["r1", "r2", "g1"], broken) =>
        "one Go peer joins two nodes: views, metadata, updates",
        "the Go peer is told of nobody" => "see each other";
    "three-and-three" 13 true six =>
        "three nodes and three Go peers join in turn",
        "one update is not made" => "the new metadata of g1";
    "messages" 4 true all_ways =>
        "user messages, best effort and reliable, 1 B to 64 KiB, and broadcasts",
        "one message is not sent" => "is received";
    "state" 4 true states =>
        "the applications' states travel with joins, from each kind to the other",
        "the node is given no state" => "gets the state of r1";
    "leave" 6 false leave =>
        "a node leaves, then a Go peer does",
        "nobody leaves" => "see r2 left";
    "crash-rust" 20 false |s, broken| crash(s, "r2", ["r1", "g1", "g2"], broken) =>
        "a node is killed: both kinds notice",
        "nobody is killed" => "see r2 failed";
    "crash-go" 20 false |s, broken| crash(s, "g2", ["r1", "r2", "g1"], broken) =>
        "a Go peer is killed: both kinds notice",
        "nobody is killed" => "see g2 failed";
    "restart-dialed-by-go" 8 false |s, broken| restart(s, true, broken) =>
        "a node restarts on its port; the old connection was Go's",
        "the node forgets its reset secret" => "reaches the restarted node";
    "restart-dialed-by-us" 8 false |s, broken| restart(s, false, broken) =>
        "a node restarts on its port; the old connection was its own",
        "the node forgets its reset secret" => "reaches the restarted node";
    "move" 12 false |s, broken| moves(s, false, broken) =>
        "a node is killed and comes back at another port at once",
        "it comes back where it was" => "not at another address";
    "move-when-dead" 20 false |s, broken| moves(s, true, broken) =>
        "a node comes back at another port when it is held dead",
        "it comes back where it was" => "not at another address";
    "pause-rust" 9 false |s, broken| pause(s, "r2", broken) =>
        "a node stands still for 3 s: suspected, refuted, not removed",
        "it does not stand still" => "r2 is suspected";
    "pause-go" 9 false |s, broken| pause(s, "g2", broken) =>
        "a Go peer stands still for 3 s: suspected, refuted, not removed",
        "it does not stand still" => "g2 is suspected";
    "indirect" 15 false indirect =>
        "probes are relayed across kinds, under the name policy match",
        "the relays reach the target no more than the prober does" => "suspect";
    "credit" 6 true credit =>
        "300 push-pulls each way on one connection",
        "a Go peer does them with a Go peer, which leaks its credit" => "too many open streams";
    "label" 3 true |s, broken| {
        cluster(s, &["--label", if broken { "green" } else { "blue" }], &["--label", "blue"])
    } =>
        "a cluster with a label",
        "the node has another label" => "see each other";
    "key-16" 3 true |s, broken| key(s, KEY_16, broken) =>
        "a cluster with an AES-128 key",
        "the node has another key" => "see each other";
    "key-24" 3 true |s, broken| key(s, KEY_24, broken) =>
        "a cluster with an AES-192 key",
        "the node has another key" => "see each other";
    "key-32" 3 true |s, broken| key(s, KEY_32, broken) =>
        "a cluster with an AES-256 key",
        "the node has another key" => "see each other";
    "key-rotation" 5 true key_rotation =>
        "both kinds add a key, use it and remove the old one while they talk",
        "the node is not given the new key" => "is received";
    "key-ring" 3 true |s, broken| {
        let node = ["--key", KEY_16, "--key", KEY_32];
        cluster(s, &node[..if broken { 2 } else { 4 }], &["--key", KEY_32, "--key", KEY_16])
    } =>
        "two keys, and each kind encrypts with the other one",
        "the node lacks the key that Go encrypts with" => "see each other";
    "key-old-format" 3 true old_format =>
        "a Go peer that encrypts in the format of protocol version 1",
        "the node has another key" => "see each other";
    "label-and-key" 3 true |s, broken| {
        let node = ["--label", if broken { "green" } else { "blue" }, "--key", KEY_24];
        cluster(s, &node, &["--label", "blue", "--key", KEY_24])
    } =>
        "a cluster with a label and a key",
        "the node has another label" => "see each other";
    "compression" 4 true compression =>
        "compression on at one kind and off at the other, both ways",
        "nobody compresses" => "in one datagram";
    "wrong-label" 8 false |s, broken| {
        refused(s, "label", if broken { "blue" } else { "green" }, "blue")
    } =>
        "another label is refused, with a reason in our log",
        "the labels are the same" => "the wrong label";
    "wrong-key" 8 false |s, broken| {
        refused(s, "key", if broken { KEY_16 } else { OTHER_KEY }, KEY_16)
    } =>
        "another key is refused, with a reason in our log",
        "the keys are the same" => "the wrong key";
    "certificates" 6 true certificates =>
        "certificates of both tools under authorities of both; Go checks IP SANs",
        "a certificate is for another address than Go dials" => "certificate is valid for";
};

fn key(stage: &mut Stage, key: &str, sabotaged: bool) -> Told {
    cluster(stage, &["--key", if sabotaged { OTHER_KEY } else { key }], &["--key", key])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cases_share_a_name_and_some_are_quick() {
        let mut names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
        assert!(CASES.iter().any(Case::is_quick) && !CASES.iter().all(Case::is_quick));
    }

    #[test]
    fn every_sabotage_says_what_it_breaks_and_how_it_is_noticed() {
        for case in CASES {
            assert!(!case.sabotage.is_empty() && !case.notices.is_empty(), "{}", case.name);
        }
    }
}

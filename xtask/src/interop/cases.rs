//! The cases: each a story about Go peers and nodes in one cluster, with its sabotage.
//!
//! A sabotage leaves out or breaks what the story is about; a story that ends well all the same is
//! a defect.

use super::stories::{
    certificates, crash, credit, gather, indirect, leave, pause, refusals, restart, user_messages,
    wire_layers,
};
use crate::Stop;
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
    pub(super) tell: fn(&mut Stage, bool) -> Result<(), Stop>,
}

/// A sabotage that is noticed within about this many seconds belongs to the quick ones.
const QUICK: u16 = 12;

impl Case {
    pub(super) fn is_quick(&self) -> bool {
        self.seconds <= QUICK
    }
}

/// In the order in which they run.
pub(super) const CASES: &[Case] = &[
    Case {
        name: "rust-joins-go",
        about: "one node joins two Go peers: views, metadata, updates",
        sabotage: "the node is told of nobody",
        notices: "see each other",
        seconds: 3,
        calm: true,
        tell: gather::rust_joins_go,
    },
    Case {
        name: "go-joins-rust",
        about: "one Go peer joins two nodes: views, metadata, updates",
        sabotage: "the Go peer is told of nobody",
        notices: "see each other",
        seconds: 3,
        calm: true,
        tell: gather::go_joins_rust,
    },
    Case {
        name: "three-and-three",
        about: "three nodes and three Go peers join in turn",
        sabotage: "one update is not made",
        notices: "the new metadata of g1",
        seconds: 13,
        calm: true,
        tell: gather::three_and_three,
    },
    Case {
        name: "messages",
        about: "user messages, best effort and reliable, 1 B to 64 KiB, and broadcasts",
        sabotage: "one message is not sent",
        notices: "is received",
        seconds: 4,
        calm: true,
        tell: user_messages::all_ways,
    },
    Case {
        name: "leave",
        about: "a node leaves, then a Go peer does",
        sabotage: "nobody leaves",
        notices: "see r2 left",
        seconds: 6,
        calm: false,
        tell: leave::each_way,
    },
    Case {
        name: "crash-rust",
        about: "a node is killed: both kinds notice",
        sabotage: "nobody is killed",
        notices: "see r2 failed",
        seconds: 20,
        calm: false,
        tell: crash::of_a_node,
    },
    Case {
        name: "crash-go",
        about: "a Go peer is killed: both kinds notice",
        sabotage: "nobody is killed",
        notices: "see g2 failed",
        seconds: 20,
        calm: false,
        tell: crash::of_a_go_peer,
    },
    Case {
        name: "restart-dialed-by-go",
        about: "a node restarts on its port; the old connection was Go's",
        sabotage: "the node forgets its reset secret",
        notices: "reaches the restarted node",
        seconds: 8,
        calm: false,
        tell: restart::of_a_node_that_go_dialed,
    },
    Case {
        name: "restart-dialed-by-us",
        about: "a node restarts on its port; the old connection was its own",
        sabotage: "the node forgets its reset secret",
        notices: "reaches the restarted node",
        seconds: 8,
        calm: false,
        tell: restart::of_a_node_that_dialed,
    },
    Case {
        name: "pause-rust",
        about: "a node stands still for 3 s: suspected, refuted, not removed",
        sabotage: "it does not stand still",
        notices: "r2 is suspected",
        seconds: 9,
        calm: false,
        tell: pause::of_a_node,
    },
    Case {
        name: "pause-go",
        about: "a Go peer stands still for 3 s: suspected, refuted, not removed",
        sabotage: "it does not stand still",
        notices: "g2 is suspected",
        seconds: 9,
        calm: false,
        tell: pause::of_a_go_peer,
    },
    Case {
        name: "indirect",
        about: "probes are relayed across kinds, under the name policy match",
        sabotage: "the relays reach the target no more than the prober does",
        notices: "suspect",
        seconds: 15,
        calm: false,
        tell: indirect::across_kinds,
    },
    Case {
        name: "credit",
        about: "300 push-pulls each way on one connection",
        sabotage: "a Go peer does them with a Go peer, which leaks its credit",
        notices: "too many open streams",
        seconds: 6,
        calm: true,
        tell: credit::three_hundred_exchanges,
    },
    Case {
        name: "label",
        about: "a cluster with a label",
        sabotage: "the node has another label",
        notices: "see each other",
        seconds: 3,
        calm: true,
        tell: wire_layers::label,
    },
    Case {
        name: "key-16",
        about: "a cluster with an AES-128 key",
        sabotage: "the node has another key",
        notices: "see each other",
        seconds: 3,
        calm: true,
        tell: wire_layers::key_16,
    },
    Case {
        name: "key-24",
        about: "a cluster with an AES-192 key",
        sabotage: "the node has another key",
        notices: "see each other",
        seconds: 3,
        calm: true,
        tell: wire_layers::key_24,
    },
    Case {
        name: "key-32",
        about: "a cluster with an AES-256 key",
        sabotage: "the node has another key",
        notices: "see each other",
        seconds: 3,
        calm: true,
        tell: wire_layers::key_32,
    },
    Case {
        name: "key-rotation",
        about: "both kinds add a key, use it and remove the old one while they talk",
        sabotage: "the node is not given the new key",
        notices: "is received",
        seconds: 5,
        calm: true,
        tell: wire_layers::key_rotation,
    },
    Case {
        name: "key-ring",
        about: "two keys, and each kind encrypts with the other one",
        sabotage: "the node lacks the key that Go encrypts with",
        notices: "see each other",
        seconds: 3,
        calm: true,
        tell: wire_layers::key_ring,
    },
    Case {
        name: "key-old-format",
        about: "a Go peer that encrypts in the format of protocol version 1",
        sabotage: "the node has another key",
        notices: "see each other",
        seconds: 3,
        calm: true,
        tell: wire_layers::key_old_format,
    },
    Case {
        name: "label-and-key",
        about: "a cluster with a label and a key",
        sabotage: "the node has another label",
        notices: "see each other",
        seconds: 3,
        calm: true,
        tell: wire_layers::label_and_key,
    },
    Case {
        name: "compression",
        about: "compression on at one kind and off at the other, both ways",
        sabotage: "nobody compresses",
        notices: "in one datagram",
        seconds: 4,
        calm: true,
        tell: wire_layers::compression,
    },
    Case {
        name: "wrong-label",
        about: "another label is refused, with a reason in our log",
        sabotage: "the labels are the same",
        notices: "the wrong label",
        seconds: 8,
        calm: false,
        tell: refusals::wrong_label,
    },
    Case {
        name: "wrong-key",
        about: "another key is refused, with a reason in our log",
        sabotage: "the keys are the same",
        notices: "the wrong key",
        seconds: 8,
        calm: false,
        tell: refusals::wrong_key,
    },
    Case {
        name: "certificates",
        about: "certificates of both tools under authorities of both; Go checks IP SANs",
        sabotage: "a certificate is for another address than the one that Go dials",
        notices: "certificate is valid for",
        seconds: 6,
        calm: true,
        tell: certificates::of_both_tools,
    },
];

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

//! Words that this repository does not use, and what it says instead.
//!
//! A name is one that the SWIM or the Lifeguard paper, Go's memberlist, RFC 9000 or the standard
//! library uses. [`WORDS`] must not occur at all, in names, comments, texts and documents alike;
//! [`NAMES`] are ordinary words that must not name an item, a field or a variant there.

use syn::visit::{self, Visit};

use super::source::{numbered, words};
use super::syntax::line;
use super::tree::{Finding, Tree, finding};

/// A word in any of these forms, or with these beginnings where a form ends with `*`.
struct Word {
    forms: &'static [&'static str],
    say: &'static str,
}

const fn word(forms: &'static [&'static str], say: &'static str) -> Word {
    Word { forms, say }
}

const WORDS: &[Word] = &[
    word(&["news"], "updates"),
    word(&["accus*"], "suspicion, suspect, suspected by"),
    word(&["dice"], "random number generator, rng"),
    word(&["roster*"], "member table"),
    word(&["errand*"], "delayed task"),
    word(&["weather*"], "fault plan, faults"),
    word(&["tally", "tallies"], "coverage, count"),
    word(&["breach*"], "violation"),
    word(&["happenings"], "events"),
    word(&["upkeep"], "scheduling"),
    word(&["hasten*"], "expedite"),
    word(&["distrust*"], "require address validation"),
    word(&["unpacker*"], "LZW decoder"),
    word(&["envelope*"], "encrypted message"),
];

/// Phrases in which such a word is meant literally, or names what was renamed.
const PHRASES: &[&str] = &["`Unpacker` `LzwDecoder`"];

/// Names that must not be defined below a folder, each with what to say.
struct Names {
    under: &'static str,
    /// Whether variants of an enum count, too; elsewhere the enum's name tells them apart.
    variants: bool,
    pairs: &'static [(&'static str, &'static str)],
}

const NAMES: &[Names] = &[
    Names {
        under: "",
        variants: false,
        pairs: &[
            ("pulse", "stall_detector"),
            ("Pulse", "StallDetector"),
            ("switchboard", "udp_proxy"),
            ("Switchboard", "UdpProxy"),
            ("last_words", "failure_stats"),
            ("truth", "model"),
            ("Truth", "Model"),
            ("cast", "participants"),
            ("Cast", "Participants"),
            ("is_content", "a verb where it changes state"),
            ("is_genuine", "a verb where it changes state"),
            ("is_for_me", "a verb where it changes state"),
        ],
    },
    Names {
        under: "crates/swim-core/src/",
        variants: false,
        pairs: &[
            ("Broadcasts", "UpdateQueue"),
            ("UserBroadcasts", "BroadcastQueue"),
            ("user_broadcast", "broadcast"),
            ("claim_alive", "handle_alive"),
            ("adopt_life", "apply_alive"),
            ("adopt_death", "apply_dead"),
            ("judge_my_life", "judge_self_alive"),
            ("Place", "AddressMatch"),
            ("Expected", "PendingAck"),
            ("beat", "min_report_interval"),
            ("Standing", "LeaveState"),
            ("ask_others", "start_indirect_probe"),
            ("ask_relay", "send_indirect_ping"),
            ("conclude_probe", "finish_probe"),
            ("late_probe", "probe_overdue"),
            ("worsen", "apply_delta"),
            ("improve", "apply_delta"),
            ("Chance", "Rng, or SimRng in the simulator"),
            ("Seeds", "Bootstrap"),
            ("Slot", "MemberIndex"),
            ("delegate", "hooks"),
            ("Event", "MembershipEvent"),
            ("Record", "MemberRecord"),
        ],
    },
    Names {
        under: "crates/swim-core/src/verdict",
        variants: true,
        pairs: &[
            ("Adopt", "Apply"),
            ("Takeover", "Reclaim"),
            ("Remember", "RaiseIncarnation"),
            ("Answer", "NotifyStale"),
        ],
    },
    Names {
        under: "crates/swim-core/src/wire/",
        variants: false,
        pairs: &[
            ("Fault", "DecodeError"),
            ("seal", "encrypt"),
            ("open", "decrypt"),
            ("Layers", "WireSettings"),
            ("StreamError", "StreamDecodeError"),
            ("PacketError", "PacketDecodeError"),
        ],
    },
    Names {
        under: "crates/swim-core/src/sim/",
        variants: false,
        pairs: &[
            ("endure", "chaos"),
            ("rest", "heal"),
            ("gather", "formation"),
            ("Happening", "SimEvent"),
            ("memory", "tombstones"),
        ],
    },
    Names {
        under: "crates/quic-net/src/",
        variants: false,
        pairs: &[
            ("settle", "scheduling"),
            ("demand_proof", "send_retry"),
            ("early", "undecryptable"),
            ("held", "pre_confirmation"),
            ("Event", "EndpointEvent"),
            ("Key", "ConnectionKey"),
            ("Record", "AddressRecord"),
            ("StreamHandle", "StreamToken"),
        ],
    },
    Names {
        under: "crates/swim-quic/src/",
        variants: false,
        pairs: &[
            ("take_in", "handle_endpoint_event"),
            ("carry_out", "handle_output"),
            ("arrivals", "endpoint_events"),
            ("Attention", "WakeSet"),
            ("Applications", "StreamRouter"),
            ("Connection", "ConnectionInfo"),
            ("welcome", "on_joined"),
        ],
    },
];

/// Abbreviations that are no part of a name here, whatever a dependency calls its own.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("dgram", "datagram"),
    ("pkt", "packet"),
    ("cfg", "config"),
    ("scid", "source connection id"),
    ("dcid", "destination connection id"),
    ("mgr", "what it manages"),
];

/// Where the words themselves are listed.
const LIST: &str = "xtask/src/tidy/vocabulary.rs";

/// The words in all files, and the names in the Rust files.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files.iter().filter(|(path, _)| *path != LIST) {
        if path.ends_with(".rs") || path.ends_with(".md") || path.ends_with(".toml") {
            findings.extend(forbidden_words(path, text));
        }
        if path.ends_with(".rs") {
            findings.extend(forbidden_names(path, text));
        }
    }
    findings
}

fn forbidden_words(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in numbered(text) {
        let line = PHRASES.iter().fold(line.to_owned(), |line, phrase| line.replace(phrase, ""));
        let said = words(&line);
        for word in WORDS {
            let is_it = |said: &&String| {
                word.forms.iter().any(|form| match form.strip_suffix('*') {
                    Some(stem) => said.starts_with(stem),
                    None => said == form,
                })
            };
            if let Some(hit) = said.iter().find(is_it) {
                findings.push(finding(path, number, format!("\"{hit}\": say {}", word.say)));
            }
        }
    }
    findings
}

fn forbidden_names(path: &str, text: &str) -> Vec<Finding> {
    let Ok(file) = syn::parse_file(text) else {
        return Vec::new();
    };
    let mut defined = Defined::default();
    defined.visit_file(&file);
    let mut findings = Vec::new();
    for Definition { name, line, is_variant } in defined.0 {
        let here = NAMES
            .iter()
            .filter(|names| path.starts_with(names.under) && (names.variants || !is_variant));
        for (today, say) in here.flat_map(|names| names.pairs).filter(|(today, _)| *today == name) {
            findings.push(finding(path, line, format!("{today} as a name: say {say}")));
        }
        for (short, long) in ABBREVIATIONS {
            if words(&name).iter().any(|word| word == short) {
                findings.push(finding(path, line, format!("\"{short}\" in {name}: say {long}")));
            }
        }
    }
    findings
}

/// The names that a file defines: items, methods, fields, variants, modules.
#[derive(Default)]
struct Defined(Vec<Definition>);

struct Definition {
    name: String,
    line: usize,
    is_variant: bool,
}

impl Defined {
    fn add(&mut self, name: &syn::Ident, is_variant: bool) {
        self.0.push(Definition { name: name.to_string(), line: line(name.span()), is_variant });
    }
}

impl<'ast> Visit<'ast> for Defined {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if let Some(name) = super::syntax::name(item) {
            self.add(name, false);
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, method: &'ast syn::ImplItemFn) {
        self.add(&method.sig.ident, false);
        visit::visit_impl_item_fn(self, method);
    }

    fn visit_trait_item_fn(&mut self, method: &'ast syn::TraitItemFn) {
        self.add(&method.sig.ident, false);
        visit::visit_trait_item_fn(self, method);
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        self.add(&variant.ident, true);
        visit::visit_variant(self, variant);
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.add(name, false);
        }
        visit::visit_field(self, field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[(path, text)]);
        check(&tree).into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn each_word_is_found_in_names_and_in_prose() {
        for word in WORDS {
            for form in word.forms {
                let form = form.replace('*', "");
                let title = form[..1].to_uppercase() + &form[1..];
                for text in [
                    format!("// Tell the {form} here.\n"),
                    format!("fn f() {{ let my_{form} = 1; }}\n"),
                    format!("fn f() {{ say(\"{title}, twice\"); }}\n"),
                ] {
                    assert_eq!(rules("a/src/b.rs", &text).len(), 1, "{text}");
                }
                assert_eq!(rules("docs/A.md", &format!("**{title}** of all\n")).len(), 1);
                assert_eq!(rules("a/b.patch", &form), Vec::<String>::new());
            }
        }
    }

    #[test]
    fn words_that_look_alike_are_not_found() {
        for text in ["// The newsletter.", "// It indicates what totally happens.", "// Install."] {
            assert_eq!(rules("a/src/b.rs", text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn each_name_is_found_where_it_is_defined_below_its_folder() {
        for names in NAMES {
            let path = format!("{}/x.rs", names.under);
            for (name, _) in names.pairs {
                let function = rules(&path, &format!("impl A {{ fn {name}(&self) {{}} }}"));
                assert!(function.iter().any(|rule| rule.contains("as a name")), "{name}");
                let field = rules(&path, &format!("struct A {{ {name}: u8 }}"));
                assert!(field.iter().any(|rule| rule.contains("as a name")), "{name}");
                let used = rules(&path, &format!("fn f() {{ x.{name}(); y::{name}; }}"));
                assert!(used.iter().all(|rule| !rule.contains("as a name")), "{name}");
            }
        }
        assert_eq!(rules("crates/other/src/x.rs", "struct Slot { open: u8 }"), [""; 0]);
        let variant = "enum Output { Event(u8) }";
        assert_eq!(rules("crates/swim-core/src/x.rs", variant), [""; 0]);
        let variant = "enum Verdict { Adopt }";
        assert_eq!(rules("crates/swim-core/src/verdict.rs", variant).len(), 1);
    }

    #[test]
    fn abbreviations_are_found_in_names_that_are_defined() {
        for (text, long) in [
            ("impl A { pub fn send_dgram(&self) {} }", "say datagram"),
            ("struct A { first_pkt: u8 }", "say packet"),
            ("struct RoundCfg;", "say config"),
        ] {
            assert!(rules("a/src/b.rs", text)[0].contains(long), "{text}");
        }
        assert_eq!(rules("a/src/b.rs", "fn f() { quiche.dgram_send(); }"), [""; 0]);
    }
}

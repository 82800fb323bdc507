//! What the fuzz targets check: one function for each, from bytes to a panic or none.
//!
//! The same functions run under libFuzzer (`cargo xtask fuzz`) and over the committed corpora
//! (`cargo test`). An input is a program for its check: the first bytes choose settings, the rest
//! is what is decoded or done. A check never reads anything but its input.

#![forbid(unsafe_code)]

pub mod canary;
pub mod cluster;
pub mod compression;
mod draw;
pub mod hello;
mod layers;
mod lzw;
pub mod membership;
pub mod messages;
pub mod packet;
mod participants;
pub mod reliable;
pub mod stream;
mod watch;

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of the program, of the module and of the corpus folder.
    pub name: &'static str,
    /// Panics on a finding. Returns whether the input got past the door: something decoded, or
    /// something happened. A corpus of inputs that all stop at the door checks nothing.
    pub check: fn(&[u8]) -> bool,
}

/// Every target that must hold; the canary, which must not, is apart.
pub const TARGETS: &[Target] = &[
    Target { name: "packet", check: packet::check },
    Target { name: "stream", check: stream::check },
    Target { name: "hello", check: hello::check },
    Target { name: "reliable", check: reliable::check },
    Target { name: "messages", check: messages::check },
    Target { name: "compression", check: compression::check },
    Target { name: "membership", check: membership::check },
    Target { name: "cluster", check: cluster::check },
];

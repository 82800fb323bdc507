//! What the fuzz targets check: one function for each, from bytes to a panic or none.
//!
//! The same functions run under libFuzzer (`cargo xtask fuzz`) and over the committed corpora
//! (`cargo test`). An input is a program for its check: the first bytes choose settings, the rest
//! is what is decoded or done. A check reads nothing but its input, except that BoringSSL draws
//! random numbers and that quiche reads the clock.

#![forbid(unsafe_code)]

#[cfg(feature = "service")]
pub mod address_text;
#[cfg(feature = "service")]
pub mod application_header;
pub mod canary;
pub mod cluster;
pub mod compression;
mod draw;
#[cfg(feature = "service")]
mod endpoints;
pub mod hello;
mod layers;
#[cfg(feature = "service")]
pub mod live_connections;
mod lzw;
pub mod membership;
pub mod messages;
pub mod packet;
mod participants;
#[cfg(feature = "service")]
pub mod pem_text;
pub mod reliable;
#[cfg(feature = "service")]
pub mod retry_tokens;
#[cfg(feature = "service")]
pub mod settings_text;
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

/// Those that link BoringSSL.
#[cfg(feature = "service")]
pub const SERVICE_TARGETS: &[Target] = &[
    Target { name: "application_header", check: application_header::check },
    Target { name: "address_text", check: address_text::check },
    Target { name: "settings_text", check: settings_text::check },
    Target { name: "pem_text", check: pem_text::check },
    Target { name: "retry_tokens", check: retry_tokens::check },
    Target { name: "live_connections", check: live_connections::check },
];

/// Without those that link BoringSSL.
#[cfg(not(feature = "service"))]
pub const SERVICE_TARGETS: &[Target] = &[];

//! Fuzzes addresses, networks, fingerprints and patterns as people write them.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::address_text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::address_text::check(input);
});

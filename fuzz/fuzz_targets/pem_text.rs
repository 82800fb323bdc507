//! Fuzzes certificates and keys in PEM.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::pem_text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::pem_text::check(input);
});

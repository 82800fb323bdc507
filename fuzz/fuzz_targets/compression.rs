//! Fuzzes LZW against an independent decoder.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::compression`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::compression::check(input);
});

//! Fuzzes the stream decoder, fed in pieces.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::stream`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::stream::check(input);
});

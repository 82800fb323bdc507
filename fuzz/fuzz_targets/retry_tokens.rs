//! Fuzzes the tokens of Retry packets.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::retry_tokens`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::retry_tokens::check(input);
});

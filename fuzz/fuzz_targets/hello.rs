//! Fuzzes HELLO, the first packet of the extended protocol.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::hello`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::hello::check(input);
});

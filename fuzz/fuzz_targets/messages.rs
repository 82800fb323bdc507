//! Fuzzes the encoding and decoding of every message.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::messages`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::messages::check(input);
});

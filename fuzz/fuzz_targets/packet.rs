//! Fuzzes the packet decoder through all its layers.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::packet`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::packet::check(input);
});

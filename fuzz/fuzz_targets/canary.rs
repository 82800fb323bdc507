//! Fuzzes a function with a planted bug, which must be found.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::canary`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::canary::check(input);
});

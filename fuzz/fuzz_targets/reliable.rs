//! Fuzzes the frames of reliable messages.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::reliable`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::reliable::check(input);
});

//! Fuzzes the header of applications' streams and datagrams.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::application_header`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::application_header::check(input);
});

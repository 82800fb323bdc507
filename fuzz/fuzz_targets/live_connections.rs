//! Fuzzes an endpoint with a live connection.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::live_connections`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::live_connections::check(input);
});

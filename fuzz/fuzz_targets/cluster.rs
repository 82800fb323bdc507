//! Fuzzes three machines on a network that loses, repeats, reorders and damages.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::cluster`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::cluster::check(input);
});

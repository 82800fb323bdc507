//! Fuzzes one machine under an arbitrary sequence of inputs and commands.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::membership`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::membership::check(input);
});

//! Fuzzes settings in JSON.
//!
//! What is checked, and how an input is read, is in `fuzz_checks::settings_text`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    fuzz_checks::settings_text::check(input);
});

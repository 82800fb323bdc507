//! A function with a planted bug: a fuzzer that does not find it within seconds is broken.
//!
//! The bug is of the kind that decoders have: a length is believed. It hides behind a magic word,
//! a version and a checksum of one byte, so that it is found by following coverage and not by
//! luck: each byte of the word is looked at by itself, as a program without traced comparisons has
//! to find one after the other.

use std::hint::black_box;

const MAGIC: [u8; 4] = *b"swim";

/// Panics on inputs that the planted bug mishandles.
///
/// # Panics
/// That is its purpose.
pub fn check(input: &[u8]) -> bool {
    let Some((magic, rest)) = input.split_first_chunk::<4>() else {
        return false;
    };
    let Some(([version, sum, length], body)) = rest.split_first_chunk::<3>() else {
        return false;
    };
    for (byte, wanted) in magic.iter().zip(MAGIC) {
        if black_box(*byte) != wanted {
            return false;
        }
    }
    if *version != 1 || *sum != version ^ length {
        return false;
    }
    let announced = usize::from(*length);
    // The planted bug: nobody compares the announced length with the one there is.
    !body[..announced].is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_honest_length_is_fine() {
        assert!(check(b"swim\x01\x03\x02ab"));
        assert!(!check(b"swim\x02\x00\x02a"));
    }

    #[test]
    #[should_panic(expected = "out of range")]
    fn a_length_that_lies_is_fatal() {
        check(b"swim\x01\x03\x02a");
    }
}

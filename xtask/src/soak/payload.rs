//! The text of a user message, by which its receiver's copy is checked whole.
//!
//! `soak NUMBER LENGTH CHECKSUM BODY`: the message's number in this soak, the body's length in
//! bytes and its CRC-32 in hexadecimal, and random letters that compression cannot shorten much.

use super::rng::PlanRng;

/// What a receiver got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Received {
    /// The message with this number, unharmed.
    Whole(u32),
    /// Something else; its beginning and what is wrong with it.
    Damaged { start: String, why: &'static str },
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-";

/// The text of message `number` with a body of `size` bytes, at least one.
pub(super) fn compose(number: u32, size: usize) -> String {
    let mut rng = PlanRng::new(u64::from(number));
    let letter = |_| char::from(LETTERS[rng.below(LETTERS.len())]);
    let body: String = (0..size.max(1)).map(letter).collect();
    format!("soak {number} {} {:08x} {body}", body.len(), checksum(number, &body))
}

fn checksum(number: u32, body: &str) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_be_bytes());
    hasher.update(body.as_bytes());
    hasher.finalize()
}

impl Received {
    pub(super) fn parse(text: &str) -> Self {
        let damaged = |why| {
            let start = text.chars().take(60).collect();
            Self::Damaged { start, why }
        };
        let words: Vec<&str> = text.splitn(5, ' ').collect();
        let ["soak", number, length, sum, body] = words.as_slice() else {
            return damaged("nobody composes such a text");
        };
        let Ok(number) = number.parse() else { return damaged("its number is none") };
        if length.parse() != Ok(body.len()) {
            return damaged("its length is wrong");
        }
        if u32::from_str_radix(sum, 16) != Ok(checksum(number, body)) {
            return damaged("its checksum is wrong");
        }
        Self::Whole(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> &'static str {
        match Received::parse(text) {
            Received::Whole(_) => "",
            Received::Damaged { why, .. } => why,
        }
    }

    #[test]
    fn a_text_is_whole_or_damaged() {
        let text = compose(7, 300);
        assert_eq!(Received::parse(&text), Received::Whole(7));
        assert_ne!(text, compose(8, 300));
        assert_eq!(Received::parse(&compose(9, 0)), Received::Whole(9));
        assert_eq!(why(&text[..text.len() - 1]), "its length is wrong");
        assert_eq!(why(&text[..12]), "nobody composes such a text");
        assert_eq!(why(&text.replacen("soak 7", "soak 8", 1)), "its checksum is wrong");
        let flipped: String = text.chars().rev().enumerate().map(swap_first).collect();
        assert_eq!(why(&flipped.chars().rev().collect::<String>()), "its checksum is wrong");
    }

    fn swap_first((index, letter): (usize, char)) -> char {
        match (index, letter) {
            (0, 'A') => 'B',
            (0, _) => 'A',
            _ => letter,
        }
    }
}

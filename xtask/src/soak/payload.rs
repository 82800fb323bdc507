//! The text of a user message, by which its receiver's copy is checked whole.
//!
//! `soak NUMBER LENGTH CHECKSUM BODY`: the message's number in this soak, the body's length in
//! bytes and its CRC-32 in hexadecimal, and random letters that compression cannot shorten much.

use crate::fleet::letters;

/// The text of message `number` with a body of `size` bytes, at least one.
pub(super) fn compose(number: u32, size: usize) -> String {
    let body: String = letters(u64::from(number)).take(size.max(1)).collect();
    format!("soak {number} {} {:08x} {body}", body.len(), checksum(number, &body))
}

fn checksum(number: u32, body: &str) -> u32 {
    crc32fast::hash(format!("{number} {body}").as_bytes())
}

/// The number of a message that is unharmed, or what is wrong with it.
pub(super) fn parse(text: &str) -> Result<u32, &'static str> {
    let words: Vec<&str> = text.splitn(5, ' ').collect();
    let ["soak", number, length, sum, body] = words.as_slice() else {
        return Err("nobody composes such a text");
    };
    let number = number.parse().map_err(|_| "its number is none")?;
    if length.parse() != Ok(body.len()) {
        return Err("its length is wrong");
    }
    if u32::from_str_radix(sum, 16) != Ok(checksum(number, body)) {
        return Err("its checksum is wrong");
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_whole_or_damaged() {
        let text = compose(7, 300);
        assert_eq!((parse(&text), parse(&compose(9, 0))), (Ok(7), Ok(9)));
        assert_ne!(text, compose(8, 300));
        assert_eq!(parse(&text[..text.len() - 1]), Err("its length is wrong"));
        assert_eq!(parse(&text[..12]), Err("nobody composes such a text"));
        assert_eq!(parse(&text.replacen("soak 7", "soak 8", 1)), Err("its checksum is wrong"));
        let flipped = if text.ends_with('A') { "B" } else { "A" };
        let flipped = format!("{}{flipped}", &text[..text.len() - 1]);
        assert_eq!(parse(&flipped), Err("its checksum is wrong"));
    }
}

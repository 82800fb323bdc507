//! A simple LZW decoder, to compare the library's with.
//!
//! Follows the rules of Go's `compress/lzw` (least significant bit first, 8-bit literals): a code
//! completes the table's next entry until the table holds 4,096, and from then on changes nothing.
//! Slow on purpose: it keeps every entry as its whole string.

const CLEAR: usize = 256;
const END: usize = 257;
const MAX_WIDTH: usize = 12;

/// Why bytes are no LZW stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    InvalidCode,
    Truncated,
    TooLarge,
}

/// What `compressed` expands to, `limit` bytes at most.
pub(crate) fn decompress(compressed: &[u8], limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut bits = Bits { compressed, at: 0 };
    let mut out: Vec<u8> = Vec::new();
    // Where in the output the string of each entry beyond `END` is.
    let mut table: Vec<(usize, usize)> = Vec::new();
    let mut width = 9;
    let mut last: Option<(usize, usize)> = None;
    loop {
        let code = bits.take(width).ok_or(Refusal::Truncated)?;
        let start = out.len();
        match code {
            0..CLEAR => out.extend(u8::try_from(code)),
            CLEAR => {
                (width, last) = (9, None);
                table.clear();
                continue;
            }
            END => return Ok(out),
            _ => {
                let known = table.get(code - END - 1).copied();
                match (known, last) {
                    (Some((from, to)), _) => out.extend_from_within(from..to),
                    // The entry that this very code completes: its string ends as it begins.
                    (None, Some((from, to))) if code - END - 1 == table.len() => {
                        out.extend_from_within(from..to);
                        out.extend_from_within(from..=from);
                    }
                    (None, _) => return Err(Refusal::InvalidCode),
                }
            }
        }
        if out.len() > limit {
            return Err(Refusal::TooLarge);
        }
        if let Some((from, to)) = last {
            // The last string and the first byte of this one lie side by side in the output.
            debug_assert_eq!(to, start);
            table.push((from, to + 1));
        }
        last = Some((start, out.len()));
        let entries = END + 1 + table.len();
        if entries == 1 << width {
            if width < MAX_WIDTH {
                width += 1;
            } else {
                last = None;
            }
        }
    }
}

struct Bits<'a> {
    compressed: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `width` bits, the first one being the least significant.
    fn take(&mut self, width: usize) -> Option<usize> {
        let end = self.at + width;
        if end > 8 * self.compressed.len() {
            return None;
        }
        // Up to 12 bits lie in at most three bytes.
        let first = self.at / 8;
        let bytes = self.compressed.get(first..)?.iter().take(3).rev();
        let word = bytes.fold(0, |word, byte| word << 8 | usize::from(*byte));
        let code = word >> (self.at % 8) & ((1 << width) - 1);
        self.at = end;
        Some(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of 9 bits.
    fn bytes_of(codes: &[u32]) -> Vec<u8> {
        let mut compressed = vec![0; (codes.len() * 9).div_ceil(8)];
        for (index, code) in codes.iter().enumerate() {
            for bit in 0..9 {
                let at = index * 9 + bit;
                compressed[at / 8] |= u8::from(code >> bit & 1 == 1) << (at % 8);
            }
        }
        compressed
    }

    #[test]
    fn strings_repeat_by_their_code() {
        let a = u32::from(b'a');
        assert_eq!(decompress(&bytes_of(&[256, a, 258, 259, 257]), 99), Ok(b"aaaaaa".to_vec()));
        assert_eq!(decompress(&bytes_of(&[a, a + 1, 258, 257]), 99), Ok(b"abab".to_vec()));
    }

    #[test]
    fn impossible_streams_are_refused() {
        let a = u32::from(b'a');
        assert_eq!(decompress(&bytes_of(&[258]), 9), Err(Refusal::InvalidCode));
        assert_eq!(decompress(&bytes_of(&[a, 259, 257]), 9), Err(Refusal::InvalidCode));
        assert_eq!(decompress(&bytes_of(&[a, a, 256, 258]), 9), Err(Refusal::InvalidCode));
        assert_eq!(decompress(&bytes_of(&[a]), 9), Err(Refusal::Truncated));
        assert_eq!(decompress(&bytes_of(&[a, a, 257]), 1), Err(Refusal::TooLarge));
    }
}

//! Reading an input as a sequence of choices.
//!
//! Never fails: where the input has ended, every number is 0 and every slice empty. So a fuzzer
//! may cut an input anywhere and it still means something.

/// The rest of an input.
#[derive(Clone, Debug)]
pub(crate) struct Draw<'a> {
    rest: &'a [u8],
}

impl<'a> Draw<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    /// A number in `0..bound`, from one byte; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()).checked_rem(bound).unwrap_or(0)
    }

    pub(crate) fn choice<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.below(N)]
    }

    /// Up to `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> &'a [u8] {
        let (head, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.rest = rest;
        head
    }

    /// A slice after its length: one byte, or two where that is 255.
    pub(crate) fn slice(&mut self) -> &'a [u8] {
        let length = match self.byte() {
            255 => usize::from(self.u16()),
            short => usize::from(short),
        };
        self.bytes(length)
    }

    pub(crate) fn optional_slice(&mut self) -> Option<&'a [u8]> {
        self.flag().then(|| self.slice())
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        for (to, from) in array.iter_mut().zip(self.bytes(N)) {
            *to = *from;
        }
        array
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_read_to_its_end_and_beyond() {
        let mut draw = Draw::new(&[7, 1, 2, 2, b'a', b'b', 1, 1, b'c', 9]);
        assert_eq!((draw.byte(), draw.u16()), (7, 0x102));
        assert_eq!(draw.slice(), b"ab");
        assert_eq!(draw.optional_slice(), Some(b"c".as_slice()));
        assert_eq!(draw.u32(), 0x0900_0000);
        assert!(draw.is_empty());
        assert_eq!((draw.below(3), draw.slice(), draw.rest()), (0, &[][..], &[][..]));
    }
}

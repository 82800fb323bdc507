//! Names of members: 1 to 255 bytes, short ones stored in place.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// A member's unique name: 1 to 255 bytes, compared as bytes.
///
/// Go members may have names that are not UTF-8; `Display` shows such bytes as `\xNN`.
#[derive(Clone)]
pub struct MemberName(Storage);

/// Cloning never copies more than 24 bytes: a short name, or a pointer to a shared longer one.
#[derive(Clone)]
enum Storage {
    Inline { len: u8, bytes: [u8; INLINE] },
    Shared(Arc<[u8]>),
}

/// What fits beside the tag and the length into the 24 bytes that a pointer, its length and the
/// tag take anyway.
const INLINE: usize = 22;

const _: () = assert!(size_of::<MemberName>() == 24);

impl Storage {
    /// `None` if the name is too long to be stored in place.
    fn inline(name: &[u8]) -> Result<Option<Self>, NameError> {
        let len = match u8::try_from(name.len()) {
            Ok(0) => return Err(NameError::Empty),
            Ok(len) => len,
            Err(_) => return Err(NameError::TooLong { len: name.len() }),
        };
        let mut bytes = [0; INLINE];
        Ok(bytes
            .get_mut(..name.len())
            .map(|room| room.copy_from_slice(name))
            .map(|()| Self::Inline { len, bytes }))
    }
}

impl MemberName {
    /// The longest name, in bytes: what fits the one-byte lengths of certificates and headers.
    pub const MAX_LEN: usize = 255;

    /// The name's bytes.
    ///
    /// ```
    /// # use swim_core::{MemberName, NameError};
    /// let name: MemberName = "zoë".parse()?;
    /// assert_eq!(name.as_bytes(), "zoë".as_bytes());
    /// # Ok::<(), NameError>(())
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Storage::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or(bytes),
            Storage::Shared(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for MemberName {
    fn borrow(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for MemberName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for MemberName {}

impl PartialOrd for MemberName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MemberName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for MemberName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // As the bytes it borrows as.
        self.as_bytes().hash(state);
    }
}

impl TryFrom<&[u8]> for MemberName {
    type Error = NameError;

    fn try_from(name: &[u8]) -> Result<Self, NameError> {
        let storage = Storage::inline(name)?.unwrap_or_else(|| Storage::Shared(name.into()));
        Ok(Self(storage))
    }
}

impl TryFrom<Arc<[u8]>> for MemberName {
    type Error = NameError;

    /// Copies a short name, and shares the bytes of a longer one.
    fn try_from(name: Arc<[u8]>) -> Result<Self, NameError> {
        let inline = Storage::inline(&name)?;
        Ok(Self(inline.unwrap_or(Storage::Shared(name))))
    }
}

impl TryFrom<&str> for MemberName {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        Self::try_from(text.as_bytes())
    }
}

impl TryFrom<String> for MemberName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::try_from(text.as_bytes())
    }
}

/// The bytes of the text, as they are: what [`Display`](fmt::Display) escapes is not unescaped.
impl FromStr for MemberName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::try_from(text.as_bytes())
    }
}

/// Whether a character does something to the text around it: control characters, and those that
/// change the direction of writing.
fn changes_its_surroundings(character: char) -> bool {
    let changes_direction = matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    character.is_control() || changes_direction
}

/// Text from the network, fit to be printed: what would change its surroundings is replaced.
pub(crate) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace(changes_its_surroundings, "\u{fffd}")
}

/// For people: what is not UTF-8 stands as `\xff`, and control characters as `\u{1b}`.
impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.as_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                // What a name says must not move a terminal's cursor, or begin a line of a log.
                if changes_its_surroundings(character) {
                    write!(f, "{}", character.escape_unicode())?;
                } else {
                    f.write_char(character)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// Why bytes are no member name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There are none.
    #[error("a member name is empty: give it 1 to 255 bytes")]
    Empty,
    /// There are more than [`MemberName::MAX_LEN`].
    #[error("a member name has {len} bytes: shorten it to at most 255")]
    TooLong {
        /// How many there are.
        len: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_disturbs_what_it_is_printed_in() {
        let name = MemberName::try_from("a\nb\u{1b}[2J\u{202e}c\u{9b}").unwrap();
        assert_eq!(name.to_string(), "a\\u{a}b\\u{1b}[2J\\u{202e}c\\u{9b}");
        assert_eq!(printable(b"two\nlines\x1b"), "two\u{fffd}lines\u{fffd}");
        let plain = MemberName::try_from("Zo\u{eb} 1.example").unwrap();
        assert_eq!(plain.to_string(), "Zo\u{eb} 1.example");
    }

    #[test]
    fn names_have_one_to_255_bytes() {
        assert_eq!(MemberName::try_from(""), Err(NameError::Empty));
        assert_eq!("".parse::<MemberName>(), Err(NameError::Empty));
        assert_eq!("ada".parse::<MemberName>(), MemberName::try_from("ada".to_owned()));
        assert!(MemberName::try_from([7; 255].as_slice()).is_ok());
        assert_eq!(MemberName::try_from([7; 256].as_slice()), Err(NameError::TooLong { len: 256 }));
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_escaped() {
        let name = MemberName::try_from(b"a\xff\xc3b".as_slice()).unwrap();
        assert_eq!(name.to_string(), "a\\xff\\xc3b");
    }

    #[test]
    fn names_of_every_length_keep_their_bytes_and_their_order() {
        let bytes: Vec<u8> = (0..=u8::MAX).collect();
        let names: Vec<MemberName> =
            (1..=255).map(|len| MemberName::try_from(&bytes[..len]).unwrap()).collect();
        for (name, len) in names.iter().zip(1..) {
            assert_eq!((name.as_bytes(), &name.clone()), (&bytes[..len], name));
            assert_eq!(MemberName::try_from(Arc::from(&bytes[..len])).as_ref(), Ok(name));
        }
        assert!(names.is_sorted());
    }
}

//! An error as people read it.

use std::error::Error;

/// The text of an error, then those of its [sources](Error::source), joined by `: `.
///
/// The errors of these crates say nothing that their source says too; this is for logs and screens
/// that have room for one text. A source that is in the text before, as other libraries do it, is
/// left out.
///
/// ```
/// use certs::{Identity, with_sources};
///
/// let missing = Identity::from_pem_files("no/ca.pem", "no/ada.pem", "no/ada.key").unwrap_err();
/// assert_eq!(missing.to_string(), "cannot read no/ca.pem: check the path and its permissions");
/// let whole = with_sources(&missing);
/// assert!(whole.ends_with("permissions: No such file or directory (os error 2)"), "{whole}");
/// ```
#[must_use]
pub fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut before = text.clone();
    let mut source = error.source();
    while let Some(error) = source {
        let said = error.to_string();
        if !before.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        before = said;
        source = error.source();
    }
    text
}

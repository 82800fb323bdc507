//! An error as people read it.

use std::error::Error;

/// The text of an error, then those of its [sources](Error::source), joined by `: `.
///
/// The errors of these crates say nothing that their source says too; this is for logs and screens
/// that have room for one text. A source that is in the text before, as other libraries do it, is
/// left out.
///
/// ```
/// use swim_core::{OperationError, StreamFailure, with_sources};
///
/// let error = OperationError::Unreachable(StreamFailure::Closed);
/// assert_eq!(error.to_string(), "could not reach the peer");
/// assert_eq!(with_sources(&error), "could not reach the peer: the connection closed");
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

//! What the operating system said, in errors that can be cloned and compared.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// What the operating system said. Unlike [`io::Error`], it can be cloned and compared: two are
/// equal if they are of the same kind and say the same.
///
/// ```
/// use std::io;
/// use certs::SharedIoError;
///
/// let missing = SharedIoError::from(io::Error::from(io::ErrorKind::NotFound));
/// assert_eq!(missing, missing.clone());
/// assert_eq!(missing.get_ref().kind(), io::ErrorKind::NotFound);
/// ```
#[derive(Clone, Debug)]
pub struct SharedIoError(Arc<io::Error>);

impl SharedIoError {
    /// The error as the standard library has it.
    #[must_use]
    pub fn get_ref(&self) -> &io::Error {
        &self.0
    }
}

impl From<io::Error> for SharedIoError {
    fn from(error: io::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl PartialEq for SharedIoError {
    fn eq(&self, other: &Self) -> bool {
        self.0.kind() == other.0.kind() && self.to_string() == other.to_string()
    }
}

impl Eq for SharedIoError {}

impl fmt::Display for SharedIoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for SharedIoError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

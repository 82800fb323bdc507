//! A temporary folder for certificates and logs.

use std::path::Path;

use tempfile::TempDir;

use crate::Stop;

/// Readable by its owner alone, since it holds private keys. Removed when dropped, unless it was
/// told to stay.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// A new, empty folder among the temporary files, named after its purpose.
    pub(crate) fn create(purpose: &str) -> Result<Self, Stop> {
        let prefix = format!("swim-quic-{purpose}-");
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let made = builder.prefix(&prefix).tempdir();
        made.map(Self).map_err(|error| Stop::cannot("make a temporary folder", error))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves the folder in place for good.
    pub(crate) fn keep(&mut self) {
        self.0.disable_cleanup(true);
    }
}

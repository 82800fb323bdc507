//! A temporary folder for certificates and logs.
//!
//! Readable by its owner alone, since it holds private keys. Removed when dropped, unless it was
//! told to stay.

use std::fs::DirBuilder;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) struct Folder {
    path: PathBuf,
    stays: AtomicBool,
}

impl Folder {
    /// A new, empty folder among the temporary files, named after its purpose.
    pub(crate) fn create(purpose: &str) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for attempt in 0..100 {
            let path = std::env::temp_dir()
                .join(format!("swim-quic-{purpose}-{}-{attempt}", std::process::id()));
            match builder.create(&path) {
                Ok(()) => return Ok(Self { path, stays: AtomicBool::new(false) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the folder in place for good.
    pub(crate) fn keep(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.stays.load(Ordering::Relaxed) {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_contents_unless_it_is_kept() {
        let (first, second) = (Folder::create("test").unwrap(), Folder::create("test").unwrap());
        let (gone, kept) = (first.path().to_owned(), second.path().to_owned());
        assert_ne!(gone, kept);
        std::fs::write(gone.join("ca.key"), "secret").unwrap();
        second.keep();
        drop((first, second));
        assert!(!gone.exists());
        assert!(kept.exists());
        std::fs::remove_dir(kept).unwrap();
    }
}

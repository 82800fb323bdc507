//! Writing certificates and keys to disk so that no reader sees half of one.
//!
//! Each file is written under a temporary name beside its target with its final permissions, and
//! then linked or renamed into place. Nothing that exists is replaced unless the caller says so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::issue_error::SaveError;

/// What to do with a file that is already there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Existing {
    /// Leave it and fail with [`SaveError::Exists`].
    #[default]
    Keep,
    /// Replace it in one step.
    Replace,
}

/// Who may read a file.
#[derive(Clone, Copy)]
pub(crate) enum Readers {
    /// Its owner alone (0600): private keys.
    Owner,
    /// Everybody (0644): certificates.
    All,
}

/// The paths of a member's certificate and key in a directory.
pub(crate) fn member_paths(directory: &Path, name: &str) -> Result<(PathBuf, PathBuf), SaveError> {
    let reserved = matches!(name, "" | "." | ".." | "ca");
    // 255 bytes is what common file systems take, the suffix included.
    if reserved || name.contains(['/', '\\', '\0']) || name.len() + ".pem".len() > 255 {
        return Err(SaveError::FileName { name: name.to_owned() });
    }
    Ok((directory.join(format!("{name}.pem")), directory.join(format!("{name}.key"))))
}

/// Sets apart the temporary files of threads that save at the same time.
static SAVES: AtomicU64 = AtomicU64::new(0);

/// Writes `text` to `target` in one visible step.
pub(crate) fn write(
    target: &Path,
    text: &str,
    readers: Readers,
    existing: Existing,
) -> Result<(), SaveError> {
    let unwritable = |source: io::Error| SaveError::Unwritable { file: target.to_owned(), source };
    let serial = SAVES.fetch_add(1, Ordering::Relaxed);
    let temporary = target.with_file_name(format!(".{}.{serial}.tmp", std::process::id()));
    // A process id can come again: what an earlier run left behind under this name is debris.
    match fs::remove_file(&temporary) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unwritable(error)),
    }
    let written = fill(&temporary, text, readers).and_then(|()| match existing {
        // A hard link fails if the target exists, whoever made it a moment ago.
        Existing::Keep => fs::hard_link(&temporary, target),
        Existing::Replace => fs::rename(&temporary, target),
    });
    let leftover = fs::remove_file(&temporary);
    match written {
        Ok(()) => {
            if existing == Existing::Keep {
                leftover.map_err(unwritable)?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(SaveError::Exists { file: target.to_owned() })
        }
        Err(error) => Err(unwritable(error)),
    }
}

/// The permission bits of a key file that others than its owner may read, if so.
pub(crate) fn readable_by_others(path: &Path) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then_some(mode)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

fn fill(path: &Path, text: &str, readers: Readers) -> io::Result<()> {
    let mut file = create(path, readers)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn create(path: &Path, readers: Readers) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(match readers {
            Readers::Owner => 0o600,
            Readers::All => 0o644,
        });
    }
    #[cfg(not(unix))]
    let _ = readers;
    options.open(path)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_that_others_may_read_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let key = directory.path().join("ada.key");
        write(&key, "key", Readers::Owner, Existing::Keep).unwrap();
        assert_eq!(readable_by_others(&key), None);
        for mode in [0o640, 0o604, 0o644] {
            fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(readable_by_others(&key), Some(mode));
        }
        assert_eq!(readable_by_others(&directory.path().join("bob.key")), None);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let file = Path::new("/nowhere/at/all/ada.pem");
        let refused = write(file, "text", Readers::All, Existing::Replace).unwrap_err();
        assert!(matches!(refused, SaveError::Unwritable { .. }), "{refused:?}");
        assert!(refused.to_string().contains("/nowhere/at/all/ada.pem"), "{refused}");
    }
}

//! Where fuzzing keeps its files.
//!
//! Committed: `fuzz/corpus/TARGET`. Everything else lies in `fuzz/target/fuzz`, which git ignores
//! and which may be deleted at any time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::Stop;

/// The folders of one repository.
pub(super) struct Folders {
    workspace: PathBuf,
    /// Programs with other flags are built apart.
    build: &'static str,
}

impl Folders {
    pub(super) fn new(workspace: &Path, compares: bool) -> Self {
        let build = if compares { "compares" } else { "" };
        Self { workspace: workspace.to_owned(), build }
    }

    pub(super) fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// Where the programs are built.
    pub(super) fn build(&self) -> PathBuf {
        self.target().join(self.build)
    }

    fn target(&self) -> PathBuf {
        self.workspace.join("target")
    }

    pub(super) fn program(&self, host: &str, target: &str) -> PathBuf {
        self.build().join(host).join("release").join(target)
    }

    pub(super) fn corpus(&self, target: &str) -> PathBuf {
        self.workspace.join("corpus").join(target)
    }

    /// What runs from the corpus, or fresh ones, have added.
    pub(super) fn grown(&self, target: &str, fresh: bool) -> PathBuf {
        self.own(if fresh { "fresh" } else { "grown" }, target)
    }

    pub(super) fn merged(&self, target: &str) -> PathBuf {
        self.own("merged", target)
    }

    pub(super) fn findings(&self, target: &str) -> PathBuf {
        self.own("findings", target)
    }

    pub(super) fn log(&self, target: &str) -> PathBuf {
        self.own("findings", target).with_extension("log")
    }

    fn own(&self, purpose: &str, target: &str) -> PathBuf {
        self.target().join("fuzz").join(purpose).join(target)
    }
}

/// Makes a folder, empty if asked.
pub(super) fn make(folder: &Path, empty: bool) -> Result<(), Stop> {
    let emptied = if empty { fs::remove_dir_all(folder) } else { Ok(()) };
    let made = match emptied {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => fs::create_dir_all(folder),
    };
    made.map_err(|error| failed(folder, error))
}

/// Puts the files of `new` in the place of those in `old`; how many there are, and their bytes.
pub(super) fn replace(old: &Path, new: &Path) -> Result<(usize, u64), Stop> {
    let moved = || {
        fs::remove_dir_all(old)?;
        fs::create_dir_all(old)?;
        let mut sum = (0, 0);
        for entry in fs::read_dir(new)? {
            let entry = entry?;
            sum = (sum.0 + 1, sum.1 + entry.metadata()?.len());
            fs::copy(entry.path(), old.join(entry.file_name()))?;
        }
        Ok(sum)
    };
    moved().map_err(|error: io::Error| failed(old, error))
}

fn failed(folder: &Path, error: io::Error) -> Stop {
    Stop::cannot(format!("write {}", folder.display()), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::folder::Folder;

    #[test]
    fn a_corpus_is_replaced_whole() {
        let folder = Folder::create("fuzz-test").unwrap();
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        make(&old, false).unwrap();
        make(&new, true).unwrap();
        fs::write(old.join("gone"), "gone").unwrap();
        fs::write(new.join("a"), "four").unwrap();
        fs::write(new.join("b"), "three").unwrap();
        assert_eq!(replace(&old, &new).unwrap(), (2, 9));
        assert!(!old.join("gone").exists() && old.join("a").exists());
        make(&old, false).unwrap();
        assert!(old.join("a").exists());
        make(&old, true).unwrap();
        assert_eq!(fs::read_dir(&old).unwrap().count(), 0);
    }
}

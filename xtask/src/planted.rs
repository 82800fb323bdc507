//! Known faults, kept as patches, planted one at a time into a copy of the sources.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::{Stop, process, workspace};

/// What the programs are built from.
const SOURCES: [&str; 5] = ["Cargo.toml", "Cargo.lock", "crates", "fuzz/checks", "xtask"];

/// The patches in a folder, by name.
///
/// # Errors
/// [`Stop::Cannot`].
pub(crate) fn patches(folder: &Path) -> Result<Vec<PathBuf>, Stop> {
    let listed = fs::read_dir(folder)
        .map_err(|error| Stop::cannot(format!("list {}", folder.display()), error))?;
    let mut patches: Vec<PathBuf> = listed
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "patch"))
        .collect();
    patches.sort();
    Ok(patches)
}

/// Makes a copy, one for each `purpose`, equal to the sources below `root` and applies the patch;
/// says where it is.
///
/// # Errors
/// [`Stop::Cannot`], or [`Stop::Failed`] when the patch does not apply.
pub(crate) fn plant(root: &Path, patch: &Path, purpose: &str) -> Result<PathBuf, Stop> {
    let copy = root.join("target/planted").join(purpose);
    let copied = SOURCES.iter().try_for_each(|name| update(&root.join(name), &copy.join(name)));
    copied
        .and_then(|()| workspace::mark_version(&copy, &format!("planted.{purpose}")))
        .map_err(|error| Stop::cannot("copy the sources", error))?;
    let mut apply = Command::new("git");
    apply.current_dir(&copy).arg("apply").arg(patch);
    // Else git looks for the repository around and applies nothing.
    apply.env("GIT_CEILING_DIRECTORIES", copy.parent().unwrap_or(&copy));
    if process::run(&mut apply, "planting a fault")?.success() {
        return Ok(copy);
    }
    Err(Stop::Failed(format!("{} does not apply: make it anew", patch.display())))
}

/// Writes only what differs, so that cargo builds only what depends on the patch.
fn update(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        let wanted = fs::read(from)?;
        if fs::read(to).is_ok_and(|present| present == wanted) {
            return Ok(());
        }
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        return fs::write(to, wanted);
    }
    fs::create_dir_all(to)?;
    let mut wanted: BTreeSet<OsString> = BTreeSet::new();
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        update(&from.join(&name), &to.join(&name))?;
        wanted.insert(name);
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if wanted.contains(&entry.file_name()) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_writes_what_differs_and_removes_what_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("a")).unwrap();
        fs::write(from.join("a/same"), "same").unwrap();
        fs::write(from.join("changed"), "new").unwrap();
        update(&from, &to).unwrap();
        fs::write(to.join("changed"), "old").unwrap();
        fs::write(to.join("a/planted"), "x").unwrap();
        let before = fs::metadata(to.join("a/same")).unwrap().modified().unwrap();
        update(&from, &to).unwrap();
        assert_eq!(fs::metadata(to.join("a/same")).unwrap().modified().unwrap(), before);
        assert_eq!(fs::read_to_string(to.join("changed")).unwrap(), "new");
        assert!(!to.join("a/planted").exists());
    }
}

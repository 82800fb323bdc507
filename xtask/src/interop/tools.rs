//! The programs that a run needs: the node, the certificate tool, the Go peer.
//!
//! Builds them, and says what to do where Go is missing or its modules cannot be fetched. Never
//! installs Go: there is no package of the version that is needed on most machines.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Stop, certs, prerequisites, process, workspace};

/// The oldest Go that can fetch the one that the Go peer asks for.
const OLDEST_GO: (u32, u32) = (1, 21);

const HOW_TO_GET_GO: &str = "\
get Go 1.25 or newer with
    curl -fsSL https://go.dev/dl/go1.25.0.linux-amd64.tar.gz | sudo tar -C /usr/local -xz
    export PATH=$PATH:/usr/local/go/bin
(arm64: go1.25.0.linux-arm64.tar.gz; macOS: brew install go; Fedora: sudo dnf install golang)";

pub(super) struct Tools {
    pub(super) node: PathBuf,
    pub(super) certs: PathBuf,
    pub(super) go_peer: PathBuf,
}

/// Builds all of them.
///
/// # Errors
/// [`Stop::BadInput`] where Go is missing, [`Stop::Failed`] where something does not build.
pub(super) fn build(newest: bool) -> Result<Tools, Stop> {
    let go = find_go()?;
    prerequisites::ensure()?;
    Ok(Tools {
        go_peer: build_go_peer(&go, newest)?,
        node: workspace::build_example("swim-quic", "node")?,
        certs: certs::build()?,
    })
}

/// Builds the Go peer alone.
///
/// # Errors
/// As [`build`].
pub(crate) fn go_peer(newest: bool) -> Result<PathBuf, Stop> {
    build_go_peer(&find_go()?, newest)
}

/// Go on the path, or where its own installer puts it.
///
/// # Errors
/// [`Stop::BadInput`] says how to get it.
pub(crate) fn find_go() -> Result<PathBuf, Stop> {
    let places = ["go", "/usr/local/go/bin/go"].map(PathBuf::from);
    let found = places.into_iter().find_map(|place| {
        let said = process::answer(Command::new(&place).arg("version"))?;
        Some((place, said))
    });
    let Some((go, said)) = found else {
        return Err(Stop::BadInput(format!(
            "the interop tests need Go, and there is none here; {HOW_TO_GET_GO}"
        )));
    };
    match version(&said) {
        Some(version) if version >= OLDEST_GO => Ok(go),
        _ => Err(Stop::BadInput(format!("\"{said}\" is too old; {HOW_TO_GET_GO}"))),
    }
}

/// The version in `go version go1.25.1 linux/amd64`.
fn version(said: &str) -> Option<(u32, u32)> {
    let word = said.split_whitespace().find_map(|word| word.strip_prefix("go1."))?;
    let minor = word.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((1, minor.parse().ok()?))
}

fn build_go_peer(go: &Path, newest: bool) -> Result<PathBuf, Stop> {
    let folder = workspace::root().join("xtask").join("go-peer");
    let modules = if newest { "go.new.mod" } else { "go.mod" };
    eprintln!("xtask: building go-peer with {modules}");
    let built = process::run(
        Command::new(go)
            .current_dir(&folder)
            .args(["build", &format!("-modfile={modules}")])
            .args(["-o", "go-peer", "."]),
        "building go-peer",
    )?;
    if built.success() {
        return Ok(folder.join("go-peer"));
    }
    Err(Stop::Failed(format!(
        "the Go peer does not build: see Go's messages above; its modules are fetched once, with \
         access to a Go module proxy: (cd xtask/go-peer && go mod download -modfile={modules})"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read_from_what_go_says() {
        assert_eq!(version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(version("go version go1.25rc1 linux/amd64"), Some((1, 25)));
        assert!(version("go version go1.19 linux/amd64") < Some(OLDEST_GO));
        assert_eq!(version("bash: go: command not found"), None);
    }
}

//! The programs of a fleet: the node, the certificate tool, the Go peer.
//!
//! Go is never installed from here: most machines have no package of the version that is needed.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Program;
use crate::{Stop, certs, prerequisites, process, workspace};

/// The oldest Go that can fetch the one that the Go peer asks for.
const OLDEST_GO: (u32, u32) = (1, 21);

const HOW_TO_GET_GO: &str = "\
get Go 1.25 or newer with
    curl -fsSL https://go.dev/dl/go1.25.0.linux-amd64.tar.gz | sudo tar -C /usr/local -xz
    export PATH=$PATH:/usr/local/go/bin
(arm64: go1.25.0.linux-arm64.tar.gz; macOS: brew install go; Fedora: sudo dnf install golang)";

/// Which Go peer a fleet needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoPeer {
    /// None.
    No,
    /// With the memberlist that users run today.
    Pinned,
    /// With the newest memberlist.
    Newest,
}

/// Where the programs are.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    node: PathBuf,
    certs: PathBuf,
    go_peer: Option<PathBuf>,
    earlier_node: Option<PathBuf>,
}

impl Programs {
    /// Builds them.
    ///
    /// # Errors
    /// [`Stop::BadInput`] where Go or another prerequisite is missing, [`Stop::Failed`] where
    /// something does not build.
    pub(crate) fn build(go: GoPeer) -> Result<Self, Stop> {
        let modules = match go {
            GoPeer::No => None,
            GoPeer::Pinned => Some("go.mod"),
            GoPeer::Newest => Some("go.new.mod"),
        };
        // A missing Go is told before anything is installed or built.
        let go = modules.map(|_| find_go()).transpose()?;
        prerequisites::ensure()?;
        let go_peer = go.zip(modules).map(|(go, modules)| build_go_peer(&go, modules));
        Ok(Self {
            go_peer: go_peer.transpose()?,
            node: workspace::build_example("node")?,
            certs: certs::build()?,
            earlier_node: None,
        })
    }

    /// Builds the node of an earlier commit too, for members whose names begin with `e`; `None`
    /// where the repository lacks that commit.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub(crate) fn with_earlier(mut self, commit: &str) -> Result<Option<Self>, Stop> {
        let folder = workspace::root().join("target/earlier");
        let Some(source) = workspace::checked_out(commit, &folder)? else { return Ok(None) };
        let node = workspace::build_planted_example(&source, "node")?;
        self.earlier_node = Some(folder.join("node"));
        std::fs::copy(&node, folder.join("node"))
            .map_err(|error| Stop::cannot(format!("copy {}", node.display()), error))?;
        Ok(Some(self))
    }

    /// The same, with copies of the members' programs in `folder`, so that a build in the
    /// meantime changes nothing for who restarts.
    ///
    /// # Errors
    /// [`Stop::Cannot`].
    pub(crate) fn copied_to(mut self, folder: &Path) -> Result<Self, Stop> {
        for program in std::iter::once(&mut self.node).chain(&mut self.go_peer) {
            let copy = folder.join(program.file_name().unwrap_or_default());
            std::fs::copy(&*program, &copy)
                .map_err(|error| Stop::cannot(format!("copy {}", program.display()), error))?;
            *program = copy;
        }
        Ok(self)
    }

    /// The same with another node, such as one with a planted fault.
    pub(crate) fn with_node(mut self, node: PathBuf) -> Self {
        self.node = node;
        self
    }

    /// The program of a member of this name.
    pub(super) fn of(&self, name: &str) -> &Path {
        match (Program::named(name), &self.go_peer, &self.earlier_node) {
            (Program::GoPeer, Some(go_peer), _) => go_peer,
            (Program::GoPeer, None, _) => Path::new("go-peer"),
            (Program::Node, _, Some(earlier)) if name.starts_with('e') => earlier,
            (Program::Node, ..) => &self.node,
        }
    }

    /// Makes a certificate with the tool of the member's own kind.
    pub(super) fn certify(&self, folder: &Path, name: &str, ip: IpAddr) -> Result<(), Stop> {
        let mut command = match Program::named(name) {
            Program::GoPeer => Command::new(self.of(name)),
            Program::Node => Command::new(&self.certs),
        };
        if Program::named(name) == Program::GoPeer {
            command.arg("certs");
        }
        command.args(certs::flags(folder, name, &[ip]));
        let made = command.stdin(Stdio::null()).output();
        let made = made.map_err(|error| Stop::cannot("start the certificate tool", error))?;
        if made.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&made.stderr).trim().to_owned();
        Err(Stop::Failed(format!("no certificate for {name}: {words}")))
    }
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
            "the Go peer needs Go, and there is none here; {HOW_TO_GET_GO}"
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

/// Builds the Go peer alone, with the memberlist that users run today.
///
/// # Errors
/// As [`Programs::build`].
pub(crate) fn go_peer() -> Result<PathBuf, Stop> {
    build_go_peer(&find_go()?, "go.mod")
}

fn build_go_peer(go: &Path, modules: &str) -> Result<PathBuf, Stop> {
    let folder = workspace::root().join("xtask").join("go-peer");
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

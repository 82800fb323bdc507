//! Where the repository is, and how its examples are built.
//!
//! Builds run as children of this program, in the one profile that tests and the demo share, so
//! that BoringSSL is built once.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Stop, clock, process};

/// The repository's root folder.
pub(crate) fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// The cargo that runs this program, or the one on the path, with the environment of a shell.
///
/// What cargo tells this program about its own package is withheld: some build scripts are run
/// again, and all that depends on them is built again, when it differs.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(describes_package) {
            cargo.env_remove(variable);
        }
    }
    cargo
}

fn describes_package(variable: &str) -> bool {
    variable.starts_with("CARGO_PKG_") || variable.starts_with("CARGO_MANIFEST_")
}

/// Has cargo take the BoringSSL that was built last, where one was.
pub(crate) fn use_built_boringssl(cargo: &mut Command) {
    let builds = std::fs::read_dir(root().join("target/debug/build"));
    let built = builds.into_iter().flatten().filter_map(|folder| {
        let out = folder.ok()?.path().join("out");
        let modified = out.join("build/libssl.a").metadata().ok()?.modified().ok()?;
        Some((modified, out))
    });
    if let Some((_, out)) = built.max() {
        cargo.env("BORING_BSSL_PATH", out.join("build"));
        cargo.env("BORING_BSSL_INCLUDE_PATH", out.join("boringssl/include"));
    }
}

/// Archives that cargo unpacks and builds in order to verify them. It unpacks those that depend on
/// each other into its home, in a folder that is named by the path of the target folder alone; what
/// is there, and what was built of it, is taken for good as long as the version is the same, though
/// it is of an earlier commit. So both go when they have served.
pub(crate) struct Archives {
    fingerprints: PathBuf,
    /// Lists what had been built before; it is there only while archives are being built.
    before: PathBuf,
    /// Where cargo unpacks them.
    registries: Option<PathBuf>,
}

impl Archives {
    /// Those that are built in this repository's target folder, where what they depend on is built
    /// for the tests as well.
    pub(crate) fn here() -> Self {
        let target = root().join("target");
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
        Self {
            fingerprints: target.join("debug/.fingerprint"),
            before: target.join("archives-being-built"),
            registries: home.map(|home| home.join("registry/src")),
        }
    }

    /// To be called before cargo.
    ///
    /// # Errors
    /// [`Stop::Cannot`]: a folder cannot be removed, or the list not be written.
    pub(crate) fn begin(&self) -> Result<(), Stop> {
        if self.before.exists() {
            // Nobody knows which of them an interrupted build has left.
            remove_all(&folders(&self.fingerprints, OURS))?;
        }
        let names: Vec<String> =
            folders(&self.fingerprints, OURS).iter().map(|path| file_name(path)).collect();
        let written = std::fs::create_dir_all(self.before.parent().unwrap_or(&self.before))
            .and_then(|()| std::fs::write(&self.before, names.join("\n")));
        written.map_err(|error| Stop::cannot(format!("write {}", self.before.display()), error))?;
        // Registries that are folders have no host before the dash.
        let registries = self.registries.iter().flat_map(|folder| folders(folder, "-"));
        registries.map(|folder| folders(&folder, OURS)).try_for_each(|ours| remove_all(&ours))
    }

    /// To be called when cargo has ended.
    ///
    /// # Errors
    /// [`Stop::Cannot`]: a folder cannot be removed, or the list not be read.
    pub(crate) fn end(&self) -> Result<(), Stop> {
        let listed = std::fs::read_to_string(&self.before)
            .map_err(|error| Stop::cannot(format!("read {}", self.before.display()), error))?;
        let mut built = folders(&self.fingerprints, OURS);
        built.retain(|path| !listed.lines().any(|name| name == file_name(path)));
        remove_all(&built)?;
        std::fs::remove_file(&self.before)
            .map_err(|error| Stop::cannot(format!("remove {}", self.before.display()), error))
    }
}

/// With this the names of this repository's packages begin.
const OURS: &str = "swim-quic";

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn remove_all(folders: &[PathBuf]) -> Result<(), Stop> {
    folders.iter().try_for_each(|folder| {
        std::fs::remove_dir_all(folder)
            .map_err(|error| Stop::cannot(format!("remove {}", folder.display()), error))
    })
}

/// What begins with `prefix` in a folder; nothing without that folder.
fn folders(below: &Path, prefix: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(below).into_iter().flatten().flatten();
    let begins = |folder: &std::fs::DirEntry| {
        folder.file_name().to_str().is_some_and(|name| name.starts_with(prefix))
    };
    all.filter(begins).map(|folder| folder.path()).collect()
}

/// Builds an example and says where its executable is.
///
/// # Errors
/// [`Stop::Failed`] when it does not build; the compiler has said why by then.
pub(crate) fn build_example(example: &str) -> Result<PathBuf, Stop> {
    build_at(cargo().current_dir(root()), (EXAMPLE, example))
}

/// Builds a benchmark and says where its executable is: in release mode, or in the profile of the
/// tests where figures do not matter.
///
/// # Errors
/// As [`build_example`].
pub(crate) fn build_bench(bench: &str, release: bool) -> Result<PathBuf, Stop> {
    let kind = if release { RELEASED_BENCH } else { BENCH };
    build_at(cargo().current_dir(root()), (kind, bench))
}

/// The cargo for a copy of the sources. What it has in common with the sources, such as BoringSSL,
/// is not built again; programs go to a folder of their own.
pub(crate) fn planted_cargo(copy: &Path) -> Command {
    let target = root().join("target");
    let mut cargo = cargo();
    cargo
        .current_dir(copy)
        .env("CARGO_BUILD_BUILD_DIR", &target)
        .env("CARGO_TARGET_DIR", target.join("planted/programs"));
    cargo
}

/// Builds an example from a copy of the sources.
///
/// # Errors
/// As [`build_example`].
pub(crate) fn build_planted_example(copy: &Path, example: &str) -> Result<PathBuf, Stop> {
    build_at(&mut planted_cargo(copy), (EXAMPLE, example))
}

/// The commit that is checked out; empty without git.
pub(crate) fn commit() -> String {
    let mut head = Command::new("git");
    process::answer(head.current_dir(root()).args(["rev-parse", "HEAD"])).unwrap_or_default()
}

/// Which of `count` things a commit chooses, where a check has time for one of them.
pub(crate) fn turn(commit: &str, count: usize) -> usize {
    commit.bytes().map(usize::from).sum::<usize>() % count.max(1)
}

/// Adds a mark to the version of a copy of the sources. Cargo takes packages of one name and
/// version for the same wherever they are, if they share a build folder: the sources would be
/// taken for built where the copy was.
///
/// # Errors
/// The manifest cannot be read or written.
pub(crate) fn mark_version(copy: &Path, mark: &str) -> io::Result<()> {
    let manifest = copy.join("Cargo.toml");
    let text = std::fs::read_to_string(&manifest)?;
    let Some(marked) = with_mark(&text, mark) else {
        return Err(io::Error::other(format!("{} states no version", manifest.display())));
    };
    std::fs::write(manifest, marked)
}

/// The manifest with `version = "1.2.3+mark"`.
fn with_mark(manifest: &str, mark: &str) -> Option<String> {
    let start = manifest.find("\nversion = \"")? + "\nversion = \"".len();
    let end = start + manifest.get(start..)?.find('"')?;
    Some(format!("{}+{mark}{}", manifest.get(..end)?, manifest.get(end..)?))
}

/// The sources of a commit, in a folder below `folder` that is kept; `None` where the repository
/// lacks that commit.
///
/// # Errors
/// [`Stop::Cannot`], or [`Stop::Failed`] where git or tar does not do it.
pub(crate) fn checked_out(commit: &str, folder: &Path) -> Result<Option<PathBuf>, Stop> {
    let source = folder.join(commit);
    if source.is_dir() {
        return Ok(Some(source));
    }
    let mut git = Command::new("git");
    git.current_dir(root()).args(["cat-file", "-e", &format!("{commit}^{{commit}}")]);
    if !git.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return Ok(None);
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| Stop::cannot(format!("make {}", folder.display()), error))?;
    // A folder that is only half written must not be taken for the sources.
    let unpacked = tempfile::tempdir_in(folder)
        .map_err(|error| Stop::cannot(format!("write below {}", folder.display()), error))?;
    let archive = folder.join("sources.tar");
    let mut pack = Command::new("git");
    pack.current_dir(root()).args(["archive", "--output"]).arg(&archive).arg(commit);
    let mut unpack = Command::new("tar");
    unpack.arg("-xf").arg(&archive).arg("-C").arg(unpacked.path());
    for command in [&mut pack, &mut unpack] {
        if !process::run(command, "writing the sources of an earlier commit")?.success() {
            return Err(Stop::Failed(format!("cannot write the sources of {commit}")));
        }
    }
    mark_version(unpacked.path(), "earlier")
        .map_err(|error| Stop::cannot("mark the version of an earlier commit", error))?;
    std::fs::rename(unpacked.keep(), &source)
        .map_err(|error| Stop::cannot(format!("make {}", source.display()), error))?;
    Ok(Some(source))
}

/// A kind of program as cargo calls it, and the flags that build one.
type Kind = (&'static str, &'static [&'static str]);
/// As `cargo test --workspace --all-features` builds it: with fewer packages or features, what both
/// depend on would be built once more.
const EXAMPLE: Kind = ("example", &["--workspace", "--all-features", "--example"]);
const BENCH: Kind = ("bench", &["--workspace", "--all-features", "--bench"]);
/// With the features that users get who ask for none.
const RELEASED_BENCH: Kind =
    ("bench", &["--package", "swim-quic", "--profile", "bench", "--bench"]);

fn build_at(cargo: &mut Command, ((kind, flags), program): (Kind, &str)) -> Result<PathBuf, Stop> {
    let what = format!("building {program}");
    eprintln!("xtask: {what}");
    let began = clock::now();
    let built = process::capture(
        cargo.arg("build").args(flags).arg(program).arg("--message-format=json-render-diagnostics"),
        &what,
    )?;
    if !built.status.success() {
        return Err(Stop::Failed(format!("{what} failed: see the compiler's messages above")));
    }
    let seconds = began.elapsed().as_secs_f64();
    if seconds > 5.0 {
        eprintln!("xtask: built {program} in {seconds:.0} s");
    }
    executable(&built.lines, (kind, program))
        .ok_or_else(|| Stop::Failed(format!("{what}: cargo names no executable")))
}

/// The executable that cargo's messages name for the program.
fn executable(messages: &[String], (kind, program): (&str, &str)) -> Option<PathBuf> {
    messages
        .iter()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| {
            message["reason"] == "compiler-artifact"
                && message["target"]["name"] == program
                && message["target"]["kind"][0] == kind
        })
        .find_map(|message| message["executable"].as_str().map(PathBuf::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_holds_the_workspace() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }

    #[test]
    fn a_copy_is_no_package_of_the_sources() {
        let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
        let (before, marked) = (manifest.lines(), with_mark(&manifest, "planted").unwrap());
        let changed: Vec<_> = before.zip(marked.lines()).filter(|(one, two)| one != two).collect();
        let version = env!("CARGO_PKG_VERSION");
        let line = format!("version = \"{version}+planted\"");
        assert_eq!(changed, [(&*format!("version = \"{version}\""), &*line)]);
    }

    #[test]
    fn what_was_built_of_archives_goes_and_what_was_built_before_stays() {
        let folder = tempfile::tempdir().unwrap();
        let [fingerprints, registries] = ["prints", "src"].map(|name| folder.path().join(name));
        let make = |below: &Path, name: &str| {
            std::fs::create_dir_all(below.join(name).join("src")).unwrap();
        };
        let left = |below: &Path| {
            let mut left: Vec<String> =
                folders(below, "").iter().map(|one| file_name(one)).collect();
            left.sort_unstable();
            left
        };
        let before = folder.path().join("before");
        let unpacked = registries.join("-4f2a");
        let archives =
            Archives { fingerprints: fingerprints.clone(), before, registries: Some(registries) };
        make(&fingerprints, "swim-quic-1");
        make(&unpacked, "swim-quic-core-0.1.0");
        make(&unpacked, "other-0.1.0");
        archives.begin().unwrap();
        assert_eq!(left(&unpacked), ["other-0.1.0"], "archives of an earlier commit");
        for name in ["swim-quic-2", "other-3"] {
            make(&fingerprints, name);
        }
        archives.end().unwrap();
        assert_eq!(left(&fingerprints), ["other-3", "swim-quic-1"]);
        // One that is interrupted leaves nothing that a later one would take for its own.
        archives.begin().unwrap();
        make(&fingerprints, "swim-quic-4");
        archives.begin().unwrap();
        assert_eq!(left(&fingerprints), ["other-3"]);
        archives.end().unwrap();
    }

    #[test]
    fn a_nested_cargo_is_told_nothing_of_this_package() {
        assert!(describes_package("CARGO_MANIFEST_DIR") && describes_package("CARGO_PKG_NAME"));
        assert!(!describes_package("CARGO_TARGET_DIR") && !describes_package("CARGO_NET_OFFLINE"));
        let withheld: Vec<_> = cargo().get_envs().map(|(name, _)| name.to_owned()).collect();
        assert!(withheld.contains(&"CARGO_MANIFEST_DIR".into()), "{withheld:?}");
    }

    #[test]
    fn the_executable_is_read_from_cargos_messages() {
        let artifact = |kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"name":"node","kind":["{kind}"]}},
                    "executable":{executable}}}"#
            )
        };
        let messages = [
            artifact("lib", "null"),
            "not json".to_owned(),
            artifact("example", "\"/t/node\""),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        assert_eq!(executable(&messages, ("example", "node")), Some(PathBuf::from("/t/node")));
        assert_eq!(executable(&messages, ("example", "certs")), None);
    }
}

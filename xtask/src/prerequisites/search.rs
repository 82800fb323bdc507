//! Finds build tools where the build itself looks for them.
//!
//! Programs: their environment variable, then the path. libclang: `LIBCLANG_PATH` alone when it
//! is set, else llvm-config's folders, the library paths of the environment, and the system's
//! usual folders, as the bindgen crate does. libclang-cpp is another library and does not count.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;

/// One thing that BoringSSL's build needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Cmake,
    Make,
    Git,
    Compiler,
    Libclang,
}

impl Need {
    pub(super) const ALL: [Self; 5] =
        [Self::Cmake, Self::Make, Self::Git, Self::Compiler, Self::Libclang];
}

impl fmt::Display for Need {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cmake => "cmake",
            Self::Make => "make",
            Self::Git => "git",
            Self::Compiler => "a C++ compiler",
            Self::Libclang => "libclang",
        })
    }
}

/// What this machine lacks.
pub(super) fn missing() -> Vec<Need> {
    Need::ALL
        .into_iter()
        .filter(|need| !match need {
            Need::Cmake => named_or_on_path("CMAKE", &["cmake"]),
            Need::Make => named_or_on_path("CMAKE_GENERATOR", &["make", "gmake"]),
            Need::Git => on_path("git"),
            Need::Compiler => named_or_on_path("CXX", &["c++", "g++", "clang++"]),
            Need::Libclang => libclang(),
        })
        .collect()
}

fn named_or_on_path(variable: &str, programs: &[&str]) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
        || programs.iter().any(|program| on_path(program))
}

/// Whether a program of this name is in a folder of `PATH`.
pub(super) fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| {
        folder.join(program).is_file() || folder.join(program).with_extension("exe").is_file()
    })
}

fn libclang() -> bool {
    if let Some(told) = std::env::var_os("LIBCLANG_PATH") {
        let told = PathBuf::from(told);
        return is_libclang(&told) && is_usable(&told) || holds_libclang(&told);
    }
    folders().iter().any(|folder| holds_libclang(folder))
}

fn folders() -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let llvm_config = std::env::var_os("LLVM_CONFIG_PATH").unwrap_or_else(|| "llvm-config".into());
    if let Some(prefix) = process::answer(Command::new(llvm_config).arg("--prefix")) {
        let prefix = PathBuf::from(prefix);
        folders.extend(["bin", "lib", "lib64"].map(|part| prefix.join(part)));
    }
    for variable in ["LD_LIBRARY_PATH", "LIBRARY_PATH"] {
        if let Some(paths) = std::env::var_os(variable) {
            folders.extend(std::env::split_paths(&paths));
        }
    }
    if cfg!(target_os = "macos") {
        folders.extend(MACOS.map(PathBuf::from));
    }
    // /usr/lib*, /usr/lib*/* and /usr/lib*/*/*, likewise under /usr/local.
    for parent in ["/usr", "/usr/local"] {
        for library in children(Path::new(parent), |name| {
            name.starts_with("lib") || parent == "/usr/local" && name.starts_with("llvm")
        }) {
            let below = children(&library, |_| true);
            folders.extend(below.iter().flat_map(|folder| children(folder, |_| true)));
            folders.extend(below);
            folders.push(library);
        }
    }
    folders
}

/// The command line tools, Xcode and Homebrew on both processors.
const MACOS: [&str; 4] = [
    "/Library/Developer/CommandLineTools/usr/lib",
    "/Applications/Xcode.app/Contents/Frameworks",
    "/usr/local/opt/llvm/lib",
    "/opt/homebrew/opt/llvm/lib",
];

fn children(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_str().is_some_and(&wanted))
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

fn holds_libclang(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return false;
    };
    entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .any(|path| is_libclang(&path) && is_usable(&path))
}

/// Whether the file has one of the names under which libclang is loaded.
fn is_libclang(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(OsStr::to_str) else {
        return false;
    };
    if name.contains("-cpp.") {
        return false;
    }
    if cfg!(target_os = "macos") {
        return name == "libclang.dylib";
    }
    if cfg!(target_os = "windows") {
        return name == "libclang.dll" || name == "clang.dll";
    }
    let version = name.strip_prefix("libclang").map(|rest| rest.split_once(".so"));
    version.flatten().is_some_and(|(infix, suffix)| {
        (infix.is_empty() || infix.starts_with('-'))
            && (suffix.is_empty() || suffix.starts_with('.'))
    })
}

/// Whether it is there (a dangling link is not) and not a library for another word size.
fn is_usable(path: &Path) -> bool {
    use std::io::Read as _;
    let mut head = [0; 5];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    if read.is_err() {
        return false;
    }
    let class = if cfg!(target_pointer_width = "64") { 2 } else { 1 };
    head[..4] != *b"\x7fELF" || head[4] == class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn libclang_is_told_from_its_neighbours() {
        for name in ["libclang.so", "libclang-14.so", "libclang.so.1", "libclang-14.so.14.0.6"] {
            assert!(is_libclang(Path::new(name)), "{name}");
        }
        for name in ["libclang-cpp.so.14", "libclangAST.a", "libclang.a", "clang.so", "libclang"] {
            assert!(!is_libclang(Path::new(name)), "{name}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_dangling_link_is_not_a_library() {
        let folder = std::env::temp_dir().join(format!("xtask-search-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let link = folder.join("libclang.so.1");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(folder.join("gone"), &link).unwrap();
        let dangling = holds_libclang(&folder);
        std::fs::write(folder.join("libclang-9.so"), b"\x7fELF\x02 and so on").unwrap();
        let present = holds_libclang(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(!dangling);
        assert_eq!(present, cfg!(target_pointer_width = "64"));
    }

    #[test]
    fn a_shell_is_on_the_path_and_nonsense_is_not() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program"));
    }
}

//! What a build of BoringSSL needs, by the names that people know.

use std::fmt;

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

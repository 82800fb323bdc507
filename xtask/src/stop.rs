//! Why a command ended without success, and the exit code that says so.

use std::error::Error;
use std::io;

/// Why a command ended without success.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// Bad input or a missing prerequisite: one line with cause and remedy.
    #[error("{0}")]
    BadInput(String),
    /// It ran and failed; what there is to say.
    #[error("{0}")]
    Failed(String),
    /// The system refused something that this program needs.
    #[error("cannot {what}")]
    Cannot {
        /// What was tried, as in "read Cargo.toml".
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// It ran, failed, and has already said so; the exit code.
    #[error("")]
    Said(u8),
    /// Ctrl-C, or a request to terminate.
    #[error("interrupted")]
    Interrupted,
}

impl Stop {
    pub(crate) fn cannot(what: impl Into<String>, source: io::Error) -> Self {
        Self::Cannot { what: what.into(), source }
    }

    /// 1 for a failure, 2 for bad input or a missing prerequisite, 130 after an interrupt.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::BadInput(_) => 2,
            Self::Failed(_) | Self::Cannot { .. } => 1,
            Self::Said(code) => *code,
            Self::Interrupted => 130,
        }
    }

    /// The whole chain of causes on one line, empty when all is said.
    pub(crate) fn told(&self) -> String {
        let mut told = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            told.push_str(&format!(": {error}"));
            cause = error.source();
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_system_is_told_with_its_cause() {
        let stop = Stop::cannot("read a.rs", io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(stop.told(), "cannot read a.rs: entity not found");
        assert_eq!(stop.exit_code(), 1);
        assert_eq!(Stop::Said(1).told(), "");
    }
}

//! A setting that would not work: which, its value, and the remedy.

/// A setting that would not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} = {value} does not work: {remedy}")]
pub struct ConfigError {
    /// Which one.
    pub field: &'static str,
    /// What it was set to.
    pub value: String,
    /// What to do about it.
    pub remedy: &'static str,
}

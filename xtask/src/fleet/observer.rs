//! Whoever shows or keeps what happens to the members of a story.

use std::time::Duration;

use rustix::process::Signal;

use super::{MemberSpec, Observed};

/// What is done to a member.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed<'a> {
    Start(&'a MemberSpec),
    Signal(Signal),
    Command(&'a str),
}

/// Whoever shows or keeps what happens on a stage.
pub(crate) trait Observer {
    fn did(&mut self, name: &str, deed: Deed<'_>, at: Duration);
    fn saw(&mut self, name: &str, what: &Observed, at: Duration);
    /// From now on the story waits for this.
    fn waits(&mut self, what: &str);
}

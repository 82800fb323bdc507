//! Why a test cluster does not do what it is asked for.

use std::io;
use std::time::Duration;

use certs::DevelopmentError;
use thiserror::Error;

use crate::error::{SeedsError, StartError};

/// Why a call of a [`TestCluster`](super::TestCluster) failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TestClusterError {
    /// No member was added under this name.
    #[error("no member is called {name:?}: add it, or name one of {}", known.join(", "))]
    UnknownMember {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// A member was added under this name before.
    #[error("a member is called {0:?} already: choose another name, or restart that one")]
    NameTaken(String),
    /// The member does not run.
    #[error("{0:?} has crashed: restart it first")]
    Crashed(String),
    /// What should be lost is no share.
    #[error("{0} is no share of the datagrams: give 0 (none) to 1 (all)")]
    Share(f64),
    /// The operating system has no socket, poll or thread left.
    #[error("no socket, poll or thread for the test's network: run fewer tests at once")]
    Network(#[source] io::Error),
    /// There is no certificate for the name.
    #[error("no certificate for {name:?}: choose a name that fits one")]
    Identity {
        /// The member's name.
        name: String,
        /// Why not.
        source: Box<DevelopmentError>,
    },
    /// A member does not start.
    #[error("{name:?} does not start: look at what it was configured with")]
    Start {
        /// The member's name.
        name: String,
        /// Why not.
        source: Box<StartError>,
    },
    /// A member runs and takes no seeds.
    #[error("{name:?} takes no seeds: look whether its driver thread still runs")]
    Seeds {
        /// The member's name.
        name: String,
        /// Why not.
        source: Box<SeedsError>,
    },
    /// What was waited for has not happened.
    #[error("not within {timeout:?}: {what}. Wait longer, or find out why: {views}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        timeout: Duration,
        /// Whom each member sees.
        views: String,
    },
}

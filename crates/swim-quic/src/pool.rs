//! The calls of a [`Cluster`] that concern its connections.
//!
//! Members dial each other as they need to, and close what they no longer use; these calls look
//! at that, warm a connection up, or cut one. Decides nothing: no call here says anything about
//! who is alive.

use std::fmt;
use std::time::Duration;

use crossbeam_channel::bounded;
use swim_core::MemberName;

use crate::cluster::{Cluster, REPORT_MARGIN};
use crate::command::{Command, answer};
use crate::error::CommandError;
use crate::event::Connection;

impl Cluster {
    /// The connections of this member's pool: at most
    /// [`Limits::connections`](quic_net::Limits::connections).
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver does not take the question.
    pub fn connections(&self) -> Result<Vec<Connection>, CommandError> {
        self.ask(|reply| Command::Connections { reply })
    }

    /// The connection that what we send to a member goes over, if there is one.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unknown`] when nobody has that name.
    pub fn connection(&self, member: &str) -> Result<Option<Connection>, ConnectError> {
        let member = known(member)?;
        self.ask(|reply| Command::Connection { member, reply })?
    }

    /// The connection to a member; dials it if there is none and waits until its certificate is
    /// verified, at most `timeout`. A dial that fails is reported at once, and one that is not
    /// answered after [`Limits::dial_timeout`](quic_net::Limits::dial_timeout).
    ///
    /// # Errors
    ///
    /// [`ConnectError`], with the reason.
    pub fn connect(&self, member: &str, timeout: Duration) -> Result<Connection, ConnectError> {
        let member = known(member)?;
        let (reply, connected) = bounded(1);
        self.send_command(Command::Connect { member, reply })?;
        answer(&connected, timeout.saturating_add(REPORT_MARGIN))?
            .unwrap_or(Err(ConnectError::TimedOut))
    }

    /// Closes every connection to a member, dropping what was not sent, and returns how many
    /// there were. The next packet or stream dials anew: this is no way to keep a member out.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Unknown`] when nobody has that name.
    pub fn disconnect(&self, member: &str) -> Result<usize, ConnectError> {
        let member = known(member)?;
        self.ask(|reply| Command::Disconnect { member, reply })?
    }
}

fn known(name: &str) -> Result<MemberName, ConnectError> {
    MemberName::try_from(name).map_err(|_| ConnectError::Unknown(name.to_owned()))
}

/// Why there is no connection to a member.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// No member of that name is known.
    Unknown(String),
    /// The dial failed: why.
    Unreachable(String),
    /// Nothing came back in time.
    TimedOut,
    /// The command did not get through.
    Command(CommandError),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => {
                write!(f, "nobody here is called {name:?}: look at members() for who is")
            }
            Self::Unreachable(reason) => write!(
                f,
                "the member cannot be reached: {reason}; is it running, and is its UDP port open?"
            ),
            Self::TimedOut => {
                f.write_str("no answer in time: is the member running and reachable?")
            }
            Self::Command(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConnectError {}

impl From<CommandError> for ConnectError {
    fn from(error: CommandError) -> Self {
        Self::Command(error)
    }
}

//! Why nothing was received.

use thiserror::Error;

/// The receiver has ended, and all that it brought has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("nothing more will come: the member has stopped, or another listener took over")]
pub struct RecvError;

/// Why nothing could be received at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TryRecvError {
    /// Nothing waits at this moment.
    #[error("nothing has come: try again later, or wait")]
    Empty,
    /// The receiver has ended, and all that it brought has been received.
    #[error("nothing more will come: the member has stopped, or another listener took over")]
    Disconnected,
}

/// Why nothing was received in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecvTimeoutError {
    /// Nothing came until then.
    #[error("nothing has come in time: try again, or allow more time")]
    Timeout,
    /// The receiver has ended, and all that it brought has been received.
    #[error("nothing more will come: the member has stopped, or another listener took over")]
    Disconnected,
}

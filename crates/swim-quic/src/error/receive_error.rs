//! Why nothing was received.

use thiserror::Error;

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecvError {
    /// The receiver has ended, and all that it brought has been received.
    #[error("nothing more will come: the member has stopped, or another listener took over")]
    Disconnected,
    /// The call waits for a driver thread and was made on one: in a hook, or in a waker that runs
    /// its task at once. Nothing was taken, even if something waits.
    #[error("called on a driver thread, from a hook or a waker: hand the call to another thread")]
    OnDriverThread,
}

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
    /// The call waits for a driver thread and was made on one: in a hook, or in a waker that runs
    /// its task at once. Nothing was taken, even if something waits.
    #[error("called on a driver thread, from a hook or a waker: hand the call to another thread")]
    OnDriverThread,
}

/// Why none of several receivers is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WaitAnyError {
    /// None has an item or has ended in time, or there is none.
    #[error("nothing has come in time: try again, or allow more time")]
    Timeout,
    /// The call waits for a driver thread and was made on one: in a hook, or in a waker that runs
    /// its task at once.
    #[error("called on a driver thread, from a hook or a waker: hand the call to another thread")]
    OnDriverThread,
}

//! Requests and replies over streams: one stream for each, with a deadline for the whole call.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use swim_quic::{Cluster, ListenError, OpenStreamError, Stream};
use thiserror::Error;

/// The longest request and the longest reply.
const MAX_LENGTH: usize = 1 << 20;

/// How long a server waits for a request, and for room to reply.
const SERVER_PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no reply.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    /// Nothing was asked.
    #[error("no stream to the other member")]
    Unreachable(#[from] OpenStreamError),
    /// It may have been asked, and may have acted.
    #[error("no reply in time")]
    TimedOut,
    /// The stream broke, or the reply is too long.
    #[error("no complete reply")]
    Broken(#[source] io::Error),
}

/// Asks a member, and waits for its reply, at most `timeout` for everything.
pub(crate) fn call(
    cluster: &Cluster,
    to: &str,
    protocol: &str,
    request: &[u8],
    timeout: Duration,
) -> Result<Vec<u8>, CallError> {
    let deadline = now() + timeout;
    let opened = cluster.open_stream(to, protocol, timeout);
    if matches!(opened, Err(OpenStreamError::TimedOut)) {
        return Err(CallError::TimedOut);
    }
    let mut stream = opened?;
    let broken = |error: io::Error| {
        let is_late = error.kind() == ErrorKind::TimedOut;
        if is_late { CallError::TimedOut } else { CallError::Broken(error) }
    };
    stream.set_write_timeout(Some(deadline.saturating_duration_since(now())));
    stream.write_all(request).map_err(broken)?;
    stream.shutdown(Shutdown::Write);
    read_until(&mut stream, deadline).map_err(broken)
}

/// Answers every call of `protocol` with what `answer` makes of it, until the member ends. Calls
/// are answered at the same time, each on a thread of its own.
pub(crate) fn serve(
    cluster: &Cluster,
    protocol: &str,
    answer: impl Fn(Vec<u8>) -> Vec<u8> + Clone + Send + 'static,
) -> Result<(), ListenError> {
    let calls = cluster.listen(protocol)?;
    std::thread::spawn(move || {
        for mut call in calls {
            let answer = answer.clone();
            std::thread::spawn(move || {
                call.stream.set_write_timeout(Some(SERVER_PATIENCE));
                // Who does not end its request, or does not take its reply, gets none.
                if let Ok(request) = read_until(&mut call.stream, now() + SERVER_PATIENCE) {
                    let _ = call.stream.write_all(&answer(request));
                }
            });
        }
    });
    Ok(())
}

/// Everything up to the end, which a peer that sends little by little cannot put off.
fn read_until(stream: &mut Stream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut part = [0; 4096];
    loop {
        let left = deadline.saturating_duration_since(now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left));
        match stream.read(&mut part)? {
            0 => return Ok(text),
            length if text.len() + length > MAX_LENGTH => {
                return Err(io::Error::new(ErrorKind::InvalidData, "more than 1 MiB"));
            }
            length => text.extend_from_slice(&part[..length]),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a call's time runs from when it is made")]
fn now() -> Instant {
    Instant::now()
}

//! The handle of an application stream: `Read + Write` with timeouts.
//!
//! Blocks its caller, or makes its task wait, never the driver thread; the bytes wait in a pipe
//! between the two.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use swim_core::MemberName;

use super::pipe::Pipe;
#[cfg(doc)]
use crate::error::StreamIoError;
use crate::wakers::WakerPlace;

/// A bidirectional stream to another member, multiplexed with everything else between the two.
///
/// Reads and writes block, with a timeout if one is set; a slow reader slows down its own stream
/// only. Their `io::Error` holds a [`StreamIoError`]. Each direction buffers 256 KiB on this side,
/// beside QUIC's own windows ([`Limits`](crate::Limits)).
///
/// Dropping the last handle finishes writing and reads no more. What was written still arrives, as
/// long as the peer takes some of it within each
/// [`stream_stall_timeout`](crate::Limits::stream_stall_timeout); else the stream is reset, and
/// the peer's reads fail. If the peer has not finished by then, its writes fail, and what it wrote
/// and we did not read is lost.
///
/// ```no_run
/// # use std::io::{ErrorKind, Read};
/// # use std::time::Duration;
/// # use swim_quic::{Stream, StreamIoError};
/// # fn example(stream: &mut Stream) -> std::io::Result<()> {
/// stream.set_read_timeout(Some(Duration::from_secs(5)));
/// let mut writer = stream.try_clone(); // for another thread
/// let mut buffer = [0; 1024];
/// match stream.read(&mut buffer) {
///     Ok(0) => println!("{} has finished writing", stream.peer()),
///     Ok(length) => println!("{length} bytes on {:?}", stream.protocol()),
///     Err(error) if error.kind() == ErrorKind::TimedOut => println!("nothing yet"),
///     Err(error) => {
///         let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<StreamIoError>());
///         println!("the stream is gone: {cause:?}");
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Stream {
    pub(super) inner: Arc<Inner>,
    /// Where a task waits for this handle's reads, and its writes.
    pub(super) reading: WakerPlace,
    pub(super) writing: WakerPlace,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

pub(super) struct Inner {
    pub(super) pipe: Arc<Pipe>,
    peer: MemberName,
    protocol: String,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pipe.abandon();
    }
}

impl Stream {
    pub(super) fn new(pipe: Arc<Pipe>, peer: MemberName, protocol: String) -> Self {
        Self::with(Arc::new(Inner { pipe, peer, protocol }), None, None)
    }

    fn with(
        inner: Arc<Inner>,
        read_timeout: Option<Duration>,
        write_timeout: Option<Duration>,
    ) -> Self {
        let place = || WakerPlace::new(inner.pipe.wakers());
        let (reading, writing) = (place(), place());
        Self { inner, reading, writing, read_timeout, write_timeout }
    }

    /// The member at the other end.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # fn example(stream: &Stream) {
    /// println!("connected to {}", stream.peer());
    /// # }
    /// ```
    pub fn peer(&self) -> &MemberName {
        &self.inner.peer
    }

    /// The protocol that the stream was opened for.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # fn example(stream: &Stream) {
    /// match stream.protocol() {
    ///     "files" => println!("a file is wanted"),
    ///     other => println!("nobody serves {other}"),
    /// }
    /// # }
    /// ```
    pub fn protocol(&self) -> &str {
        &self.inner.protocol
    }

    /// How long one read may wait (default: for ever). Beyond it, reads fail with
    /// [`io::ErrorKind::TimedOut`] and can be tried again.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # use std::time::Duration;
    /// # use std::io::Read;
    /// # fn example(stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
    /// stream.set_read_timeout(Some(Duration::from_secs(5)));
    /// let mut header = [0; 8];
    /// stream.read_exact(&mut header)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.read_timeout = timeout;
    }

    /// How long one write may wait for room (default: for ever). Beyond it, writes fail with
    /// [`io::ErrorKind::TimedOut`] and can be tried again.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # use std::time::Duration;
    /// # use std::io::{ErrorKind, Write};
    /// # fn example(stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
    /// stream.set_write_timeout(Some(Duration::from_secs(5)));
    /// match stream.write(b"hello") {
    ///     Err(error) if error.kind() == ErrorKind::TimedOut => println!("the peer does not read"),
    ///     other => println!("{} bytes", other?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.write_timeout = timeout;
    }

    /// Another handle to the same stream, with the same timeouts: one thread can read while
    /// another writes.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # fn example(stream: &Stream) {
    /// let mut reader = stream.try_clone();
    /// std::thread::spawn(move || std::io::copy(&mut reader, &mut std::io::stdout()));
    /// # }
    /// ```
    #[must_use]
    pub fn try_clone(&self) -> Self {
        Self::with(Arc::clone(&self.inner), self.read_timeout, self.write_timeout)
    }

    /// Ends one or both directions: the peer reads the end of the stream after what was written.
    /// When reading ends before the peer has finished, what it still sends is thrown away, and its
    /// writes fail from then on.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # use std::io::Write;
    /// # use std::net::Shutdown;
    /// # fn example(stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
    /// stream.write_all(b"the whole request")?;
    /// stream.shutdown(Shutdown::Write); // the peer reads its end
    /// # Ok(())
    /// # }
    /// ```
    pub fn shutdown(&self, how: Shutdown) {
        match how {
            Shutdown::Write => self.inner.pipe.finish_writing(),
            Shutdown::Read => self.inner.pipe.stop_reading(),
            Shutdown::Both => {
                self.inner.pipe.finish_writing();
                self.inner.pipe.stop_reading();
            }
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("peer", &self.inner.peer)
            .field("protocol", &self.inner.protocol)
            .finish_non_exhaustive()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.pipe.read(buffer, self.read_timeout)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner.pipe.write(bytes, self.write_timeout)
    }

    /// What was written is on its way already.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that another member opened to us.
#[derive(Debug)]
pub struct IncomingStream {
    /// Who opened it; verified by certificate under the name policy `match`.
    pub from: MemberName,
    /// Its handle; the header with the protocol's name has been read.
    pub stream: Stream,
}

/// A datagram of an application protocol that another member sent to us.
#[derive(Clone, Debug)]
pub struct IncomingDatagram {
    /// Who sent it; verified by certificate under the name policy `match`.
    pub from: MemberName,
    /// The bytes that were sent.
    pub payload: Vec<u8>,
}

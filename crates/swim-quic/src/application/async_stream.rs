//! Reading and writing a [`Stream`] in tasks.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use super::app_stream::Stream;

/// Bytes that [`Stream::read_to_end_async`] asks for at once.
const READ_SIZE: usize = 16 * 1024;

/// # Reading and writing in tasks
///
/// On any executor; the timeouts of the handle do not count here. A future that is dropped before
/// its end has read or written nothing, except by the two calls that take several steps, and leaves
/// no waker behind.
///
/// There are several traits for asynchronous reading, none of them in std. With
/// [`poll_read`](Self::poll_read) and [`poll_write`](Self::poll_write) you can implement any of
/// them for a type of your own that holds a stream.
///
/// ```no_run
/// # use std::net::Shutdown;
/// # use std::time::Duration;
/// # use swim_quic::Cluster;
/// # async fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let mut stream = cluster.open_stream_async("bob", "shout", Duration::from_secs(5)).await?;
/// stream.write_all_async(b"hello").await?;
/// stream.shutdown(Shutdown::Write);
/// let mut answer = Vec::new();
/// stream.read_to_end_async(&mut answer).await?;
/// # Ok(())
/// # }
/// ```
impl Stream {
    /// Reads what has arrived, and waits for it if need be; 0 bytes are the end.
    ///
    /// # Errors
    ///
    /// As [`Read::read`](io::Read::read) of this type.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # async fn example(stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut buffer = [0; 1024];
    /// let length = stream.read_async(&mut buffer).await?;
    /// println!("{:?}", &buffer[..length]);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_async(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waits = Waits { stream: self };
        poll_fn(|context| waits.stream.poll_read(context, buffer)).await
    }

    /// Appends everything up to the end to `buffer`, which grows as much as the peer wants it to.
    ///
    /// # Errors
    ///
    /// As [`Read::read`](io::Read::read) of this type; `buffer` has what came before.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # async fn example(stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut reply = Vec::new();
    /// stream.read_to_end_async(&mut reply).await?;
    /// println!("{} bytes", reply.len());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read_to_end_async(&mut self, buffer: &mut Vec<u8>) -> io::Result<usize> {
        let before = buffer.len();
        let mut part = vec![0; READ_SIZE];
        loop {
            let length = self.read_async(&mut part).await?;
            if length == 0 {
                return Ok(buffer.len() - before);
            }
            buffer.extend_from_slice(part.get(..length).unwrap_or_default());
        }
    }

    /// Writes as much as there is room for, at least one byte, and waits for room if need be.
    ///
    /// # Errors
    ///
    /// As [`Write::write`](io::Write::write) of this type.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # async fn example(stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
    /// let text = b"as much as there is room for";
    /// let written = stream.write_async(text).await?;
    /// println!("{} bytes are left", text.len() - written);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write_async(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let waits = Waits { stream: self };
        poll_fn(|context| waits.stream.poll_write(context, bytes)).await
    }

    /// Writes everything.
    ///
    /// # Errors
    ///
    /// As [`Write::write`](io::Write::write) of this type; how much was written is not told.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # use std::net::Shutdown;
    /// # async fn example(stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
    /// stream.write_all_async(b"a request").await?;
    /// stream.shutdown(Shutdown::Write);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn write_all_async(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let length = self.write_async(bytes).await?;
            bytes = bytes.get(length..).unwrap_or_default();
        }
        Ok(())
    }

    /// One step of reading. When it is pending, the task is woken when there may be more, as long
    /// as this handle lives; of several tasks that poll one handle the last is.
    ///
    /// # Errors
    ///
    /// As [`Read::read`](io::Read::read) of this type.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # use std::future::poll_fn;
    /// # async fn example(stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut buffer = [0; 1024];
    /// let length = poll_fn(|context| stream.poll_read(context, &mut buffer)).await?;
    /// println!("{length} bytes");
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.pipe.poll_read(buffer, context, &mut self.reading)
    }

    /// One step of writing, like [`poll_read`](Self::poll_read).
    ///
    /// # Errors
    ///
    /// As [`Write::write`](io::Write::write) of this type.
    ///
    /// ```no_run
    /// # use swim_quic::Stream;
    /// # use std::future::poll_fn;
    /// # async fn example(stream: &mut Stream) -> Result<(), Box<dyn std::error::Error>> {
    /// let length = poll_fn(|context| stream.poll_write(context, b"hello")).await?;
    /// println!("{length} bytes");
    /// # Ok(())
    /// # }
    /// ```
    pub fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.pipe.poll_write(bytes, context, &mut self.writing)
    }
}

/// One call that waits on a handle.
struct Waits<'a> {
    stream: &'a mut Stream,
}

/// Whoever gives up is not woken.
impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.stream.reading.clear();
        self.stream.writing.clear();
    }
}

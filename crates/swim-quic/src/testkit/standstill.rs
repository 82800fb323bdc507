//! A driver thread that stands still, as that of a stopped process does.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};

use crate::driver::{Driver, MakeNode};
use crate::error::{CommandError, StartError};

/// Until it is dropped, the driver thread does nothing.
pub(super) struct Standstill {
    /// The driver thread waits for the end of this.
    until: Option<Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl Standstill {
    /// Returns when the thread stands still.
    ///
    /// It does so while it makes a node, which is the one job that it takes from outside and does
    /// in one piece. No node comes of it. Whoever gives that job waits for its end: hence the
    /// thread.
    pub(super) fn begin(driver: &Driver) -> io::Result<Self> {
        let (until, ended) = bounded::<Infallible>(0);
        let (reached, reaches) = bounded(1);
        let driver = driver.clone();
        let thread =
            std::thread::Builder::new().name("swim-quic-freeze".into()).spawn(move || {
                let make: MakeNode = Box::new(move |_, _| {
                    let _ = reached.send(());
                    let _ = ended.recv();
                    Err(StartError::Command(CommandError::Closed))
                });
                let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let _ = driver.host(anywhere, Arc::default(), make);
            })?;
        let standstill = Self { until: Some(until), thread: Some(thread) };
        reaches.recv().map_err(|_| io::Error::other("the driver thread has no socket left"))?;
        Ok(standstill)
    }
}

impl Drop for Standstill {
    fn drop(&mut self) {
        self.until = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

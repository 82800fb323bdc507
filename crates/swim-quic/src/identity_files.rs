//! Follows the files of a member's identity, on a thread of its own: a file system that hangs holds
//! nobody up.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use certs::{Identity, IdentityError, IdentityFiles, Notice, Reloader};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use quic_net::LoopWaker;

/// Between two looks at the files. What cannot be used is told at the second look that finds it.
const INTERVAL: Duration = Duration::from_secs(3);

/// What was found in the files, in place of what was there before.
pub(crate) enum FoundIdentity {
    Renewed(Identity),
    Unusable(IdentityError),
}

/// The files of an identity, and the thread that looks at them for as long as this exists.
#[derive(Debug)]
pub(crate) struct IdentityFilesWatch {
    found: Receiver<FoundIdentity>,
    /// The thread ends when this is gone.
    _running: Sender<Infallible>,
}

/// Where the identity of a member that is to start is from.
#[derive(Clone, Debug)]
pub(crate) enum IdentitySource {
    Given(Identity),
    Files(IdentityFiles),
}

/// An identity, and what follows its files if it is from files.
pub(crate) struct LoadedIdentity {
    pub(crate) identity: Identity,
    pub(crate) files: Option<Reloader>,
}

impl IdentitySource {
    pub(crate) fn load(self) -> Result<LoadedIdentity, IdentityError> {
        Ok(match self {
            Self::Given(identity) => LoadedIdentity { identity, files: None },
            Self::Files(files) => {
                let files = Reloader::new(files, wall_clock())?;
                LoadedIdentity { identity: files.identity().clone(), files: Some(files) }
            }
        })
    }
}

impl IdentityFilesWatch {
    pub(crate) fn start(mut files: Reloader, waker: Arc<LoopWaker>) -> io::Result<Self> {
        // One waits to be taken; the thread looks no further until it is.
        let (sender, found) = bounded(1);
        let (running, is_running) = bounded::<Infallible>(0);
        std::thread::Builder::new().name("swim-identity".into()).spawn(move || {
            while is_running.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                for found in files.poll(wall_clock()).into_iter().filter_map(found_identity) {
                    if sender.send(found).is_err() {
                        return;
                    }
                    // The next turn finds it even without the wake-up.
                    let _ = waker.wake();
                }
            }
        })?;
        Ok(Self { found, _running: running })
    }

    /// What was found since the last call.
    pub(crate) fn take(&self) -> Option<FoundIdentity> {
        self.found.try_recv().ok()
    }
}

/// The end of the certificate is told by whoever uses it.
fn found_identity(notice: Notice) -> Option<FoundIdentity> {
    match notice {
        Notice::Renewed(identity) => Some(FoundIdentity::Renewed(identity)),
        Notice::Kept(error) => Some(FoundIdentity::Unusable(error)),
        Notice::Expiring { .. } | _ => None,
    }
}

#[expect(clippy::disallowed_methods, reason = "certificates are dated in wall-clock time")]
fn wall_clock() -> SystemTime {
    SystemTime::now()
}

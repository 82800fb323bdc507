//! Code of the application on a driver thread: in a waker, which runs there.

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake};
use std::time::Duration;

use swim_quic::Cluster;

/// Longer than a turn takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A task that makes calls inside its waker, once.
struct CallsOnce {
    calls: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Wake for CallsOnce {
    fn wake(self: Arc<Self>) {
        if let Some(calls) = self.calls.lock().unwrap().take() {
            calls();
        }
    }
}

/// Makes calls on the driver thread of `cluster`, and returns what they returned.
pub(crate) fn on_the_driver_thread<T: Send + 'static>(
    cluster: &Cluster,
    calls: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (sender, returned) = channel();
    let calls = Box::new(move || sender.send(calls()).unwrap());
    let waker = Arc::new(CallsOnce { calls: Mutex::new(Some(calls)) }).into();
    let events = cluster.subscribe();
    let mut task = Box::pin(events.recv_async());
    assert!(task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    cluster.set_meta("changed").unwrap();
    returned.recv_timeout(PATIENCE).expect("the calls return")
}

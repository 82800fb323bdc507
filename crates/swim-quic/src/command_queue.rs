//! The commands that wait for one node.
//!
//! When the node ends, what waits ends with it, so that no caller waits for an answer that cannot
//! come: a channel alone would keep what is in it for as long as there are handles.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::command::Command;
use crate::error::CommandError;

/// Commands that can wait for one node; beyond it callers get [`CommandError::Busy`]. Each node has
/// a queue of its own, so that one with many callers takes no place of another.
pub(crate) const COMMANDS: usize = 1_024;

/// Bytes of payloads that can wait for one node, a few of the longest messages: callers that do not
/// wait would fill the queue with gigabytes.
pub(crate) const BYTES: usize = 64 << 20;

/// The end at which handles put commands in.
pub(crate) struct CommandInlet(Arc<Queue>);

/// The end at which the driver takes them out. The queue ends when it is dropped.
pub(crate) struct CommandOutlet(Arc<Queue>);

struct Queue {
    /// Without a bound of its own: a bounded channel takes the memory for all its places at once,
    /// 112 KiB for each node, where hardly ever more than one is used.
    sender: Sender<Command>,
    receiver: Receiver<Command>,
    /// Of the commands that wait.
    count: AtomicUsize,
    /// Of the payloads that wait.
    bytes: AtomicUsize,
    ended: AtomicBool,
}

/// An empty queue.
pub(crate) fn command_queue() -> (CommandInlet, CommandOutlet) {
    let (sender, receiver) = unbounded();
    let (count, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let queue = Arc::new(Queue { sender, receiver, count, bytes, ended: AtomicBool::new(false) });
    (CommandInlet(Arc::clone(&queue)), CommandOutlet(queue))
}

impl CommandInlet {
    /// Bytes of payloads that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Acquire)
    }

    pub(crate) fn push(&self, command: Command) -> Result<(), CommandError> {
        let queue = &self.0;
        if queue.ended.load(Ordering::SeqCst) {
            return Err(CommandError::Closed);
        }
        let bytes = command.payload_len();
        // Both are counted before the command is there, so that what is taken out was counted.
        let ahead = queue.count.fetch_add(1, Ordering::AcqRel);
        let before = queue.bytes.fetch_add(bytes, Ordering::AcqRel);
        let has_no_room = bytes > 0 && before > 0 && before + bytes > BYTES;
        if ahead >= COMMANDS || has_no_room || queue.sender.send(command).is_err() {
            queue.uncount(bytes);
            return Err(CommandError::Busy);
        }
        // Either this sees the end, or the end sees the command.
        if queue.ended.load(Ordering::SeqCst) {
            queue.clear();
        }
        Ok(())
    }
}

impl CommandOutlet {
    pub(crate) fn pop(&self) -> Option<Command> {
        self.0.pop()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.receiver.is_empty()
    }
}

impl Drop for CommandOutlet {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::SeqCst);
        self.0.clear();
    }
}

impl Queue {
    fn pop(&self) -> Option<Command> {
        let command = self.receiver.try_recv().ok()?;
        self.uncount(command.payload_len());
        Some(command)
    }

    /// A command with so many bytes is not in the queue, or is there no more.
    fn uncount(&self, bytes: usize) {
        self.count.fetch_sub(1, Ordering::AcqRel);
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Drops what waits; the callers learn that it is closed.
    fn clear(&self) {
        while self.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::answer::answer;
    use crate::deadline::{deadline_after, wait_until};

    const PATIENCE: Duration = Duration::from_secs(30);

    fn stats() -> Command {
        Command::Stats { reply: answer(None).0 }
    }

    #[test]
    fn it_is_bounded_in_commands_and_in_bytes() {
        let (inlet, outlet) = command_queue();
        let long = |bytes| Command::Broadcast { payload: vec![0; bytes], reply: answer(None).0 };
        assert_eq!(inlet.push(long(BYTES + 1)), Ok(()), "the first one always fits");
        assert_eq!(inlet.push(long(1)), Err(CommandError::Busy), "no room for its bytes");
        assert_eq!(inlet.push(stats()), Ok(()), "one without a payload has room");
        assert!(matches!(outlet.pop(), Some(Command::Broadcast { .. })));
        assert_eq!(inlet.push(long(1)), Ok(()), "the long one has been taken");
        while inlet.push(stats()).is_ok() {}
        assert_eq!(std::iter::from_fn(|| outlet.pop()).count(), COMMANDS);
        assert!(outlet.is_empty());
    }

    #[test]
    fn the_end_is_told_to_those_who_wait_and_those_who_come() {
        for _ in 0..1_000 {
            let (inlet, outlet) = command_queue();
            std::thread::scope(|scope| {
                let inlet = &inlet;
                scope.spawn(move || {
                    for _ in 0..20 {
                        let (reply, answered) = answer(None);
                        if inlet.push(Command::Stats { reply }).is_ok() {
                            let ended = wait_until(answered, deadline_after(PATIENCE));
                            assert_eq!(
                                ended.map(|ended| ended.err()),
                                Some(Some(CommandError::Closed))
                            );
                        }
                    }
                });
                scope.spawn(move || drop(outlet));
            });
            assert_eq!(inlet.push(stats()), Err(CommandError::Closed));
        }
    }
}

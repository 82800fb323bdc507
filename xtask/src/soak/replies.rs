//! Commands that await their reply: exactly one each, within its time.
//!
//! What a reply says is judged elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) command: &'static str,
    pub(super) at: Duration,
    due: Duration,
    /// The message that it sends.
    pub(super) message: Option<u32>,
}

/// What one process was asked and has not answered. Bounded: a process is asked a few things a
/// second, and one that does not answer in time fails the soak.
#[derive(Debug, Default)]
pub(super) struct Replies {
    waiting: VecDeque<Asked>,
}

impl Replies {
    /// A command was written. Commands queue behind each other, so each may begin its time when
    /// the one before it has used up its own.
    pub(super) fn ask(
        &mut self,
        command: &'static str,
        message: Option<u32>,
        at: Duration,
        patience: Duration,
    ) {
        let begins = self.waiting.back().map_or(at, |before| before.due.max(at));
        self.waiting.push_back(Asked { command, at, due: begins + patience, message });
    }

    /// Takes out what this is the reply to.
    ///
    /// # Errors
    /// Nobody asked.
    pub(super) fn answer(&mut self, command: &str) -> Result<Asked, String> {
        let place = self.waiting.iter().position(|asked| asked.command == command);
        let asked = place.and_then(|place| self.waiting.remove(place));
        asked.ok_or_else(|| format!("answered \"{command}\" without being asked"))
    }

    /// The process slept for so long.
    pub(super) fn postpone(&mut self, by: Duration) {
        for asked in &mut self.waiting {
            asked.due += by;
        }
    }

    /// The process is gone.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The first command whose reply is overdue; it is not waited for any longer.
    pub(super) fn overdue(&mut self, at: Duration) -> Option<Asked> {
        let place = self.waiting.iter().position(|asked| asked.due < at)?;
        self.waiting.remove(place)
    }

    /// Whether this command is still unanswered.
    pub(super) fn awaits(&self, command: &str) -> bool {
        self.waiting.iter().any(|asked| asked.command == command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_reply_answers_one_command() {
        let mut replies = Replies::default();
        replies.ask("members", None, SECOND, SECOND);
        assert!(replies.awaits("members"));
        assert_eq!(replies.answer("members").map(|asked| asked.at), Ok(SECOND));
        assert!(replies.answer("members").is_err(), "a second reply");
    }

    #[test]
    fn a_missing_reply_is_noticed_after_its_time_and_that_of_those_before_it() {
        let mut replies = Replies::default();
        replies.ask("sendr", Some(7), SECOND, 10 * SECOND);
        replies.ask("members", None, 2 * SECOND, SECOND);
        assert_eq!(replies.overdue(11 * SECOND), None);
        assert!(replies.answer("sendr").is_ok());
        assert_eq!(replies.overdue(12 * SECOND), None);
        assert_eq!(replies.overdue(13 * SECOND).map(|asked| asked.command), Some("members"));
        assert_eq!(replies.overdue(13 * SECOND), None, "said once");
    }

    #[test]
    fn sleepers_and_the_dead_owe_nothing_in_the_meantime() {
        let mut replies = Replies::default();
        replies.ask("members", None, SECOND, SECOND);
        replies.postpone(5 * SECOND);
        assert_eq!(replies.overdue(6 * SECOND), None);
        replies.clear();
        assert_eq!(replies.overdue(60 * SECOND), None);
    }
}

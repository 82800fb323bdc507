//! What became of the messages that members sent each other.
//!
//! Reliable ones between healthy members must arrive, all at most once, at nobody else, and under
//! their sender's name. Best-effort ones and broadcasts may be lost; how many are is judged at
//! the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::participants::Participants;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    BestEffort,
    Reliable,
    Broadcast,
}

/// So many of those that may be lost must arrive between healthy members.
const ARRIVING_PERCENT: usize = 95;
const ENOUGH: usize = 20;

struct Message {
    kind: Kind,
    from: usize,
    sent: Duration,
    due: Duration,
    /// The sender has carried the command out. It carries out one after the other, and each may
    /// wait for a peer that does not answer.
    carried_out: bool,
    /// Who should get it; none for a broadcast: everybody else may.
    to: Option<usize>,
    /// Who got it how often.
    arrived: BTreeMap<usize, u32>,
    /// Who has to get it, until that is judged.
    awaited: BTreeSet<usize>,
}

/// The figures for one kind: copies between healthy members, and how many of them arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Figures {
    pub(super) due: usize,
    pub(super) arrived: usize,
    /// All that were sent, to whomever.
    pub(super) sent: usize,
}

pub(super) struct Messages {
    participants: Participants,
    /// By number; forgotten some time after they were due.
    messages: BTreeMap<u32, Message>,
    last: u32,
    figures: BTreeMap<Kind, Figures>,
}

/// How long copies are still recognised after they were due: a Go member that is deaf for half a
/// minute and frozen right after it may read them that late.
const REMEMBERED: Duration = Duration::from_secs(180);

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::BestEffort => "best effort",
            Self::Reliable => "reliable",
            Self::Broadcast => "broadcast",
        }
    }
}

impl Messages {
    pub(super) fn new(participants: Participants) -> Self {
        Self { participants, messages: BTreeMap::new(), last: 0, figures: BTreeMap::new() }
    }

    /// A message is sent; returns its number and its text, which is the only one of its kind.
    pub(super) fn send(
        &mut self,
        kind: Kind,
        from: usize,
        to: Option<usize>,
        size: usize,
        (sent, due): (Duration, Duration),
    ) -> (u32, String) {
        self.last += 1;
        let awaited = self
            .participants
            .everybody()
            .filter(|node| *node != from && to.is_none_or(|to| to == *node));
        let awaited = awaited.collect();
        let message = Message {
            kind,
            from,
            sent,
            due,
            carried_out: false,
            to,
            arrived: BTreeMap::new(),
            awaited,
        };
        self.messages.insert(self.last, message);
        self.figures.entry(kind).or_default().sent += 1;
        (self.last, format!("soak {} {}", self.last, "x".repeat(size + 1)))
    }

    /// Its sender has carried the command out: it must arrive by `due`.
    pub(super) fn carried_out(&mut self, number: u32, due: Duration) {
        if let Some(message) = self.messages.get_mut(&number) {
            message.carried_out = true;
            message.due = message.due.max(due);
        }
    }

    /// Sending it was refused; it need not arrive.
    pub(super) fn refused(&mut self, number: u32) {
        if let Some(message) = self.messages.get_mut(&number) {
            message.awaited.clear();
        }
    }

    /// From whom and to whom it was sent, and when.
    pub(super) fn parties(&self, number: u32) -> Option<(usize, Option<usize>, Duration)> {
        let message = self.messages.get(&number)?;
        Some((message.from, message.to, message.sent))
    }

    /// A member got a message.
    ///
    /// # Errors
    /// What is wrong with that.
    pub(super) fn arrived(
        &mut self,
        node: usize,
        from: Option<&str>,
        reliable: bool,
        text: &str,
    ) -> Result<(), String> {
        let words: Vec<&str> = text.split(' ').collect();
        let number = match words.as_slice() {
            ["soak", number, _] => number.parse().ok(),
            _ => None,
        };
        let shown = text.chars().take(40).collect::<String>();
        let message = number.and_then(|number: u32| self.messages.get_mut(&number));
        let Some(message) = message else {
            return Err(format!("got a message that nobody sent: \"{shown}\""));
        };
        let sender = self.participants.name(message.from);
        if from.is_some_and(|from| from != sender)
            || from.is_none() && !self.participants.is_go(node)
        {
            return Err(format!("got \"{shown}\" of {sender} as from {from:?}"));
        }
        if message.from == node || message.to.is_some_and(|to| to != node) {
            return Err(format!("got \"{shown}\", which was not for it"));
        }
        if reliable != (message.kind == Kind::Reliable) {
            return Err(format!("got \"{shown}\" another way than it was sent"));
        }
        let copies = message.arrived.entry(node).or_default();
        *copies += 1;
        // A Go member gossips its broadcasts, and each may take several ways.
        let may_repeat = message.kind == Kind::Broadcast && self.participants.is_go(message.from);
        if *copies > 1 && !may_repeat {
            return Err(format!("got \"{shown}\" {copies} times"));
        }
        Ok(())
    }

    /// Judges what is due by now; returns reliable messages that are missing, by receiver.
    pub(super) fn tick(
        &mut self,
        at: Duration,
        was_well: impl Fn(usize, Duration) -> bool,
    ) -> Vec<(usize, String)> {
        let mut missing = Vec::new();
        for (number, message) in &mut self.messages {
            let waits = !message.carried_out && was_well(message.from, message.sent);
            if at < message.due || waits {
                continue;
            }
            for node in std::mem::take(&mut message.awaited) {
                if !was_well(node, message.sent) || !was_well(message.from, message.sent) {
                    continue;
                }
                // Go members lose each other for half a minute when one restarts.
                if self.participants.is_go(node) && self.participants.is_go(message.from) {
                    continue;
                }
                // The budget of a Go member's gossip may end before it has reached everybody.
                if message.kind == Kind::Broadcast && self.participants.is_go(message.from) {
                    continue;
                }
                let figures = self.figures.entry(message.kind).or_default();
                figures.due += 1;
                if message.arrived.contains_key(&node) {
                    figures.arrived += 1;
                } else if message.kind == Kind::Reliable {
                    let sender = self.participants.name(message.from);
                    missing.push((
                        node,
                        format!("never got the reliable message {number} of {sender}"),
                    ));
                }
            }
        }
        self.messages.retain(|_, message| at < message.due + REMEMBERED);
        missing
    }

    pub(super) fn figures(&self) -> &BTreeMap<Kind, Figures> {
        &self.figures
    }

    /// What is lost more often than it should be.
    pub(super) fn complaints(&self) -> Vec<String> {
        let lossy = self.figures.iter().filter(|(_, figures)| {
            figures.due >= ENOUGH && figures.arrived * 100 < figures.due * ARRIVING_PERCENT
        });
        lossy
            .map(|(kind, figures)| {
                let (arrived, due) = (figures.arrived, figures.due);
                format!(
                    "of {due} {} messages between healthy members {arrived} arrived",
                    kind.word()
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAST: Participants = Participants { members: 4, go: 1 };
    const SPAN: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(5));

    fn judged(messages: &mut Messages) -> Vec<(usize, String)> {
        for number in 1..=messages.last {
            messages.carried_out(number, SPAN.1);
        }
        messages.tick(Duration::from_secs(5), |_, _| true)
    }

    #[test]
    fn a_message_that_arrives_once_is_fine() {
        let mut messages = Messages::new(CAST);
        let (_, text) = messages.send(Kind::Reliable, 0, Some(1), 10, SPAN);
        assert_eq!(messages.arrived(1, Some("n1"), true, &text), Ok(()));
        assert_eq!(judged(&mut messages), []);
        let figures = messages.figures()[&Kind::Reliable];
        assert_eq!(figures, Figures { due: 1, arrived: 1, sent: 1 });
    }

    #[test]
    fn a_missing_reliable_message_is_noticed_and_an_excused_one_is_not() {
        let mut messages = Messages::new(CAST);
        messages.send(Kind::Reliable, 0, Some(1), 0, SPAN);
        let (refused, _) = messages.send(Kind::Reliable, 0, Some(2), 0, SPAN);
        messages.refused(refused);
        messages.send(Kind::BestEffort, 0, Some(2), 0, SPAN);
        assert_eq!(messages.tick(Duration::from_secs(4), |_, _| true), []);
        let missing = judged(&mut messages);
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert_eq!(missing[0].0, 1);
        messages.send(Kind::Reliable, 0, Some(1), 0, SPAN);
        assert_eq!(messages.tick(Duration::from_secs(5), |node, _| node != 1), []);
    }

    #[test]
    fn a_message_is_not_missed_while_its_sender_is_busy_with_an_earlier_one() {
        let mut messages = Messages::new(CAST);
        let (number, _) = messages.send(Kind::Reliable, 0, Some(1), 0, SPAN);
        let tick =
            |messages: &mut Messages, at| messages.tick(Duration::from_secs(at), |_, _| true);
        assert_eq!(tick(&mut messages, 6), []);
        messages.carried_out(number, Duration::from_secs(12));
        assert_eq!(tick(&mut messages, 11), []);
        assert_eq!(tick(&mut messages, 12).len(), 1);
    }

    #[test]
    fn copies_strangers_and_mistaken_senders_are_noticed() {
        let mut messages = Messages::new(CAST);
        let (_, text) = messages.send(Kind::BestEffort, 0, Some(1), 10, SPAN);
        assert!(messages.arrived(1, Some("n2"), false, &text).is_err());
        assert!(messages.arrived(1, None, false, &text).is_err());
        assert!(messages.arrived(2, Some("n1"), false, &text).is_err());
        assert!(messages.arrived(1, Some("n1"), true, &text).is_err());
        assert!(messages.arrived(1, Some("n1"), false, "soak 99 x").is_err());
        assert!(messages.arrived(1, Some("n1"), false, "hello").is_err());
        assert_eq!(messages.arrived(1, Some("n1"), false, &text), Ok(()));
        assert!(messages.arrived(1, Some("n1"), false, &text).is_err());
    }

    #[test]
    fn a_broadcast_reaches_all_others_and_go_members_may_repeat_theirs() {
        let mut messages = Messages::new(CAST);
        let (_, ours) = messages.send(Kind::Broadcast, 0, None, 10, SPAN);
        let (_, go) = messages.send(Kind::Broadcast, 3, None, 10, SPAN);
        for node in [1, 2] {
            assert_eq!(messages.arrived(node, Some("n1"), false, &ours), Ok(()));
            assert_eq!(messages.arrived(node, Some("g1"), false, &go), Ok(()));
            assert_eq!(messages.arrived(node, Some("g1"), false, &go), Ok(()));
        }
        assert_eq!(messages.arrived(3, None, false, &ours), Ok(()));
        assert!(messages.arrived(3, None, false, &ours).is_err());
        assert!(messages.arrived(0, Some("n1"), false, &ours).is_err());
    }

    #[test]
    fn losses_are_judged_by_their_share() {
        for (lost, complaints) in [(1, 0), (4, 1)] {
            let mut messages = Messages::new(CAST);
            for index in 0..30 {
                let (_, text) = messages.send(Kind::BestEffort, 0, Some(1), 0, SPAN);
                if index >= lost {
                    messages.arrived(1, Some("n1"), false, &text).unwrap();
                }
            }
            judged(&mut messages);
            assert_eq!(messages.complaints().len(), complaints, "{lost} lost");
        }
    }
}

//! Service: messages arrive once, unharmed and in order, commands are answered, pings and streams
//! work.

use std::collections::BTreeMap;
use std::time::Duration;

use super::verdict::{Judge, Rule, Statistic};
use crate::soak::model::Exchange;
use crate::soak::timeline::{Command, What};

/// A message as it was sent.
struct Message<'a> {
    exchange: &'a Exchange<'a>,
    reliable: bool,
    to: Option<usize>,
}

type Messages<'a> = BTreeMap<u32, Message<'a>>;

/// When each message arrived where.
type Arrivals = BTreeMap<(u32, usize), Duration>;

pub(super) fn check(judge: &Judge<'_>) {
    let sent = judge.exchanges.iter().filter_map(|exchange| match *exchange.command {
        Command::Send { number, reliable, to } => {
            Some((number, Message { exchange, reliable, to }))
        }
        _ => None,
    });
    let messages: Messages<'_> = sent.collect();
    let arrivals = arrivals(judge, &messages);
    losses(judge, &messages, &arrivals);
    replies(judge);
}

/// Every copy: unharmed, to the right member, from the right one, the way it was sent, once, and
/// reliable ones in the order in which their sender's process sent them.
fn arrivals(judge: &Judge<'_>, messages: &Messages<'_>) -> Arrivals {
    let mut arrivals = Arrivals::new();
    let mut last: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for entry in &judge.timeline.entries {
        let (at, receiver) = (entry.at, entry.member);
        let broken = |what| judge.breaks(Rule::Service, at, receiver, what);
        let (from, reliable, received) = match &entry.what {
            What::Started(_) => {
                last.retain(|(to, _), _| *to != receiver);
                continue;
            }
            What::Message { from, reliable, received } => (*from, *reliable, received),
            _ => continue,
        };
        judge.count("messages", 1);
        let number = match received {
            Ok(number) => *number,
            Err((start, why)) => {
                broken(format!("got a damaged message ({why}): {start:?}"));
                continue;
            }
        };
        let Some(message) = messages.get(&number) else {
            broken(format!("got message {number}, which nobody sent"));
            continue;
        };
        let sender = message.exchange.member;
        let sender_is_go = judge.participants.is_go(sender);
        for mistake in mistakes(judge, message, (receiver, from, reliable)) {
            broken(format!("got message {number} {mistake}"));
        }
        // A Go member gossips its broadcasts, and each may take several ways.
        let may_repeat = message.to.is_none() && sender_is_go;
        if arrivals.insert((number, receiver), at).is_some() && !may_repeat {
            broken(format!("got message {number} twice"));
        }
        // A Go member does not wait for an acknowledgement, and each message has its own stream.
        if message.reliable && !sender_is_go {
            let before = last.insert((receiver, sender), number);
            if let Some(before) = before.filter(|before| *before > number) {
                let name = judge.name(sender);
                broken(format!("got reliable message {number} of {name} after {before}"));
            }
        }
    }
    arrivals
}

fn mistakes(
    judge: &Judge<'_>,
    message: &Message<'_>,
    (receiver, from, reliable): (usize, Option<usize>, bool),
) -> Vec<String> {
    let sender = message.exchange.member;
    let mut mistakes = Vec::new();
    // Go members are not told from whom.
    if from != Some(sender) && !(from.is_none() && judge.participants.is_go(receiver)) {
        let from = from.map(|from| judge.name(from));
        mistakes.push(format!("of {} as one of {from:?}", judge.name(sender)));
    }
    if receiver == sender || message.to.is_some_and(|to| to != receiver) {
        mistakes.push("that was not for it".to_owned());
    }
    if reliable != message.reliable {
        mistakes.push("another way than it was sent".to_owned());
    }
    mistakes
}

/// Between members that are well nothing is lost; broadcasts are gossip and a statistic.
fn losses(judge: &Judge<'_>, messages: &Messages<'_>, arrivals: &Arrivals) {
    let usual = judge.bounds.usual_spread();
    let mut broadcasts = Statistic::new("broadcasts arrived", usual, Rule::Service);
    for (number, message) in messages {
        let Exchange { member: from, asked, reply, due, .. } = *message.exchange;
        let carried_out = reply.map_or(due, |(at, _)| at);
        let bounds = judge.bounds;
        let bound = if message.to.is_some() { bounds.delivery() } else { bounds.spread() };
        let until = carried_out.max(asked).saturating_add(bound);
        if until > judge.end || !judge.is_steady(from, asked, until) {
            continue;
        }
        let arrived =
            |receiver| arrivals.get(&(*number, receiver)).copied().filter(|at| *at <= until);
        let is_steady = |receiver: &usize| judge.is_steady(*receiver, asked, until);
        let Some(to) = message.to else {
            let is_ours = |receiver: &usize| !judge.participants.is_go(*receiver);
            let receivers = judge.participants.others(from).filter(is_ours).filter(is_steady);
            for receiver in receivers.filter(|_| is_ours(&from)) {
                let took = arrived(receiver).map(|at| at.saturating_sub(carried_out));
                broadcasts.add(took, (judge, asked), (from, receiver));
            }
            continue;
        };
        if is_steady(&to) && arrived(to).is_none() && !judge.excuses(&[from, to], asked, until) {
            let kind = if message.reliable { "reliable" } else { "best-effort" };
            let what = format!("never got the {kind} message {number} of {}", judge.name(from));
            judge.breaks(Rule::Service, until, to, what);
        }
    }
    judge.conclude(broadcasts);
}

/// Each command of a member that runs is answered in time, and carried out where nothing prevents
/// that.
fn replies(judge: &Judge<'_>) {
    for (at, member) in &judge.unasked {
        judge.breaks(Rule::Service, *at, *member, "answered what nobody asked".to_owned());
    }
    for exchange in &judge.exchanges {
        let Exchange { member, asked, due, command, reply } = *exchange;
        let answered = reply.map_or(due, |(at, _)| at);
        let was_there = !judge.absences[member]
            .iter()
            .any(|one| one.from <= answered.max(due) && asked <= judge.settled(one));
        judge.count("replies", usize::from(reply.is_some()));
        let is_late = reply.is_none_or(|(at, _)| at > due);
        if was_there && due < judge.end && is_late {
            if !judge.excuses(&[member], asked, answered) {
                let what = format!("has not answered in time: {command:?}");
                judge.breaks(Rule::Service, due, member, what);
            }
        } else if let Some((at, What::Replied(result))) = reply {
            outcome(judge, exchange, at, result);
        }
    }
}

fn outcome(
    judge: &Judge<'_>,
    exchange: &Exchange<'_>,
    at: Duration,
    result: &Result<Option<String>, String>,
) {
    let Exchange { member, asked, command, .. } = *exchange;
    let (to, kind) = match command {
        Command::Send { to, .. } => (*to, "message"),
        Command::Ping { to } => (Some(*to), "ping"),
        Command::Stream { to, .. } => (Some(*to), "stream"),
        Command::Meta(_) => (None, "new metadata"),
        Command::Members | Command::Stats | Command::Leave | Command::Quit => return,
    };
    let who: Vec<usize> = std::iter::once(member).chain(to).collect();
    if !who.iter().all(|one| judge.is_steady(*one, asked, at)) {
        return;
    }
    let name = to.map_or(String::new(), |to| judge.name(to));
    match (result, command) {
        (Err(reason), _) => {
            if !judge.excuses(&who, asked, at) {
                let towards = if to.is_some() { format!(" to {name}") } else { String::new() };
                let what = format!("refused a {kind}{towards}: {reason}");
                judge.breaks(Rule::Service, at, member, what);
            }
        }
        (Ok(answer), Command::Stream { text, .. }) if answer.as_ref() != Some(text) => {
            let got = answer.as_ref().map_or(0, String::len);
            let what = format!("{name} echoed {got} bytes of {}, or changed them", text.len());
            judge.breaks(Rule::Service, at, member, what);
        }
        (Ok(_), _) => {}
    }
}

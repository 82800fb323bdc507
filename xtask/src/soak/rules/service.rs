//! Service: messages arrive once, unharmed and in order, commands are answered, pings and streams
//! work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::rule::Rule;
use super::statistic::Statistic;
use super::verdict::Verdict;
use crate::soak::model::{Exchange, Model};
use crate::soak::payload::Received;
use crate::soak::timeline::{Command, Said, What};

/// A message as it was sent.
struct Message<'a> {
    exchange: &'a Exchange<'a>,
    reliable: bool,
    to: Option<usize>,
}

/// When each message arrived where.
type Arrivals = BTreeMap<(u32, usize), Duration>;

pub(super) fn judge(model: &Model<'_>, verdict: &mut Verdict) {
    let messages: BTreeMap<u32, Message<'_>> = model
        .exchanges
        .iter()
        .filter_map(|exchange| match *exchange.command {
            Command::Send { number, reliable, to } => {
                Some((number, Message { exchange, reliable, to }))
            }
            _ => None,
        })
        .collect();
    let arrivals = arrivals(model, &messages, verdict);
    losses(model, &messages, &arrivals, verdict);
    replies(model, verdict);
}

/// Every copy: unharmed, to the right member, from the right one, the way it was sent, once, and
/// reliable ones in the order in which their sender's process sent them.
fn arrivals(
    model: &Model<'_>,
    messages: &BTreeMap<u32, Message<'_>>,
    verdict: &mut Verdict,
) -> Arrivals {
    let mut arrivals = Arrivals::new();
    let mut last: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    for entry in &model.timeline.entries {
        let (at, receiver) = (entry.at, entry.member);
        let (from, reliable, received) = match &entry.what {
            What::Started(_) => {
                last.retain(|(to, _), _| *to != receiver);
                continue;
            }
            What::Said(Said::Message { from, reliable, received }) => (*from, *reliable, received),
            _ => continue,
        };
        verdict.count("messages");
        let number = match received {
            Received::Whole(number) => *number,
            Received::Damaged { start, why } => {
                let what = format!("got a damaged message ({why}): {start:?}");
                verdict.breaks(Rule::Service, at, receiver, what);
                continue;
            }
        };
        let Some(message) = messages.get(&number) else {
            let what = format!("got message {number}, which nobody sent");
            verdict.breaks(Rule::Service, at, receiver, what);
            continue;
        };
        let sender = message.exchange.member;
        for complaint in mistakes(model, message, (receiver, from, reliable)) {
            let what = format!("got message {number} {complaint}");
            verdict.breaks(Rule::Service, at, receiver, what);
        }
        // A Go member gossips its broadcasts, and each may take several ways.
        let may_repeat = message.to.is_none() && model.participants.is_go(sender);
        if arrivals.insert((number, receiver), at).is_some() && !may_repeat {
            let what = format!("got message {number} twice");
            verdict.breaks(Rule::Service, at, receiver, what);
        }
        // A Go member does not wait for an acknowledgement, and each message has its own stream.
        if message.reliable && !model.participants.is_go(sender) {
            let before = last.insert((receiver, sender), number);
            if let Some(before) = before.filter(|before| *before > number) {
                let name = model.participants.name(sender);
                let what = format!("got reliable message {number} of {name} after {before}");
                verdict.breaks(Rule::Service, at, receiver, what);
            }
        }
    }
    arrivals
}

fn mistakes(
    model: &Model<'_>,
    message: &Message<'_>,
    (receiver, from, reliable): (usize, Option<usize>, bool),
) -> Vec<String> {
    let sender = message.exchange.member;
    let mut mistakes = Vec::new();
    // Go members are not told from whom.
    if from != Some(sender) && !(from.is_none() && model.participants.is_go(receiver)) {
        let name = |member| model.participants.name(member);
        mistakes.push(format!("of {} as one of {:?}", name(sender), from.map(name)));
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
fn losses(
    model: &Model<'_>,
    messages: &BTreeMap<u32, Message<'_>>,
    arrivals: &Arrivals,
    verdict: &mut Verdict,
) {
    let usual = model.bounds.usual_spread();
    let mut broadcasts = Statistic::new("broadcasts arrived", usual, Rule::Service);
    for (number, message) in messages {
        let Exchange { member: from, asked, reply, due, .. } = *message.exchange;
        let carried_out = reply.map_or(due, |(at, _)| at);
        let bound = match message.to {
            Some(_) => model.bounds.delivery(),
            None => model.bounds.spread(),
        };
        let until = carried_out.max(asked).saturating_add(bound);
        if until > model.end || !model.is_steady(from, asked, until) {
            continue;
        }
        let receivers: BTreeSet<usize> = match message.to {
            Some(to) => BTreeSet::from([to]),
            None if model.participants.is_go(from) => BTreeSet::new(),
            None => model.participants.all().filter(|member| *member != from).collect(),
        };
        for receiver in receivers {
            if !model.is_steady(receiver, asked, until) {
                continue;
            }
            let arrived = arrivals.get(&(*number, receiver)).filter(|at| **at <= until);
            if message.to.is_none() {
                if !model.participants.is_go(receiver) {
                    let took = arrived.map(|at| at.saturating_sub(carried_out));
                    broadcasts.add(took, (model, asked), (from, receiver));
                }
            } else if arrived.is_none() && !verdict.excuses(model, &[from, receiver], asked, until)
            {
                let kind = if message.reliable { "reliable" } else { "best-effort" };
                let name = model.participants.name(from);
                let what = format!("never got the {kind} message {number} of {name}");
                verdict.breaks(Rule::Service, until, receiver, what);
            }
        }
    }
    verdict.conclude(broadcasts, model);
}

/// Each command of a member that runs is answered in time, and carried out where nothing prevents
/// that.
fn replies(model: &Model<'_>, verdict: &mut Verdict) {
    for (at, member) in &model.unasked {
        verdict.breaks(Rule::Service, *at, *member, "answered what nobody asked".to_owned());
    }
    for exchange in &model.exchanges {
        let Exchange { member, asked, due, command, reply } = exchange;
        let answered = reply.map_or(*due, |(at, _)| at);
        let was_there = !model
            .absences(*member)
            .iter()
            .any(|one| one.from <= answered.max(*due) && *asked <= model.settled(one));
        if reply.is_some() {
            verdict.count("replies");
        }
        let is_late = reply.is_none_or(|(at, _)| at > *due);
        if was_there && *due < model.end && is_late {
            if !verdict.excuses(model, &[*member], *asked, answered) {
                let what = format!("has not answered in time: {command:?}");
                verdict.breaks(Rule::Service, *due, *member, what);
            }
            continue;
        }
        if let Some((at, Said::Replied(result))) = *reply {
            outcome(model, exchange, at, result, verdict);
        }
    }
}

fn outcome(
    model: &Model<'_>,
    exchange: &Exchange<'_>,
    at: Duration,
    result: &Result<Option<String>, String>,
    verdict: &mut Verdict,
) {
    let Exchange { member, asked, command, .. } = exchange;
    let (to, kind) = match command {
        Command::Send { to, .. } => (*to, "message"),
        Command::Ping { to } => (Some(*to), "ping"),
        Command::Stream { to, .. } => (Some(*to), "stream"),
        Command::Meta => (None, "new metadata"),
        Command::Members | Command::Stats | Command::Leave | Command::Quit => return,
    };
    let are_steady = std::iter::once(*member).chain(to).all(|m| model.is_steady(m, *asked, at));
    if !are_steady {
        return;
    }
    match (result, command) {
        (Err(reason), _) => {
            let who: Vec<usize> = std::iter::once(*member).chain(to).collect();
            if !verdict.excuses(model, &who, *asked, at) {
                let towards =
                    to.map_or(String::new(), |to| format!(" to {}", model.participants.name(to)));
                let what = format!("refused a {kind}{towards}: {reason}");
                verdict.breaks(Rule::Service, at, *member, what);
            }
        }
        (Ok(answer), Command::Stream { to, text }) if answer.as_ref() != Some(text) => {
            let got = answer.as_ref().map_or(0, String::len);
            let name = model.participants.name(*to);
            let what = format!("{name} echoed {got} bytes of {}, or changed them", text.len());
            verdict.breaks(Rule::Service, at, *member, what);
        }
        (Ok(_), _) => {}
    }
}

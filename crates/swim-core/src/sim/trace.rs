//! What happened, line by line: for reading a failed run. No check depends on it.

use std::collections::VecDeque;
use std::fmt;

use crate::config::Config;
use crate::sim::arrival::Arrival;
use crate::sim::fault::HostId;
use crate::sim::hosts::Hosts;
use crate::sim::packet_inspector::PacketInspector;
use crate::time::Time;
use crate::transport::TransportEvent;
use crate::with_sources::with_sources;

/// How many lines are kept where only the last ones are.
const LAST_LINES: usize = 20;

/// The lines of a run.
pub(crate) struct Trace {
    sink: Sink,
    inspector: PacketInspector,
}

enum Sink {
    /// No line is made.
    Off,
    /// The last lines are kept.
    Last(VecDeque<String>),
    /// Every line goes to the caller.
    To(Box<dyn FnMut(&str)>),
}

impl Trace {
    /// A trace without lines.
    pub(crate) fn new(config: &Config) -> Self {
        Self { sink: Sink::Off, inspector: PacketInspector::new(config) }
    }

    /// Keeps the last lines from here on.
    pub(crate) fn keep_last(&mut self) {
        self.sink = Sink::Last(VecDeque::new());
    }

    /// Gives every line to `sink` from here on.
    pub(crate) fn send_to(&mut self, sink: Box<dyn FnMut(&str)>) {
        self.sink = Sink::To(sink);
    }

    /// Whether lines are wanted: making one takes longer than a step.
    pub(crate) fn is_on(&self) -> bool {
        !matches!(self.sink, Sink::Off)
    }

    pub(crate) fn line(&mut self, now: Time, who: impl fmt::Display, what: fmt::Arguments<'_>) {
        match &mut self.sink {
            Sink::Off => {}
            Sink::Last(lines) => {
                if lines.len() == LAST_LINES {
                    lines.pop_front();
                }
                lines.push_back(format!("{now} {who}: {what}"));
            }
            Sink::To(sink) => sink(&format!("{now} {who}: {what}")),
        }
    }

    /// Something reaches a host.
    pub(crate) fn arrival(&mut self, now: Time, host: HostId, arrival: &Arrival, hosts: &Hosts) {
        if !self.is_on() {
            return;
        }
        let text = match arrival {
            Arrival::Transport(TransportEvent::Packet { from, bytes }) => {
                let from = hosts
                    .at(from.address)
                    .map_or("nobody".to_owned(), |from| hosts.name(from).to_string());
                match self.inspector.decode(bytes) {
                    Ok(packet) => format!("from {from}: {:?}", packet.messages),
                    Err(error) => {
                        format!("from {from}: {} bytes: {}", bytes.len(), with_sources(&error))
                    }
                }
            }
            Arrival::Transport(event) => format!("{event:?}"),
            Arrival::Request(request) => format!("{request:?}"),
        };
        self.line(now, hosts.name(host), format_args!("{text}"));
    }

    /// The lines kept.
    pub(crate) fn lines(&self) -> Vec<String> {
        match &self.sink {
            Sink::Last(lines) => lines.iter().cloned().collect(),
            Sink::Off | Sink::To(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut trace = Trace::new(&Config::lan());
        trace.keep_last();
        for n in 0..30 {
            trace.line(Time::ZERO, "ada", format_args!("line {n}"));
        }
        assert_eq!(trace.lines().len(), LAST_LINES);
        assert!(trace.lines()[0].ends_with("ada: line 10"));
    }
}

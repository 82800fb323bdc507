//! What is true of each member at each time, read from a timeline.
//!
//! The rules ask it who is there, who is gone and since when, and whether a fault may still be
//! felt; the times come from the [bounds](Bounds).

use std::collections::VecDeque;
use std::time::Duration;

use super::bounds::Bounds;
use super::roles::Participants;
use super::timeline::{Command, Listed, Timeline, What};

/// Why a member is absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Killed,
    Left,
    Frozen,
}

/// A time in which a member is not there; `back` is when it listens, or runs, again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Absence {
    pub(super) cause: Cause,
    pub(super) from: Duration,
    pub(super) back: Duration,
}

impl Absence {
    pub(super) fn lasts(&self) -> Duration {
        self.back.saturating_sub(self.from)
    }
}

/// A command and what became of it.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    pub(super) member: usize,
    pub(super) command: &'a Command,
    pub(super) asked: Duration,
    /// When it must be answered, given that those before it are answered first.
    pub(super) due: Duration,
    pub(super) reply: Option<(Duration, &'a What)>,
}

/// One process from its start to its end, if it has ended.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) member: usize,
    pub(super) started: Duration,
    pub(super) ready: Option<Duration>,
    pub(super) ended: Option<Duration>,
}

impl Life {
    pub(super) fn contains(&self, member: usize, at: Duration) -> bool {
        member == self.member && at >= self.started && self.ended.is_none_or(|ended| at < ended)
    }
}

/// Metadata that a member was given.
#[derive(Debug, Clone, Copy)]
struct Given<'a> {
    asked: Duration,
    /// [`NEVER`] while the member has not answered.
    carried_out: Duration,
    meta: &'a str,
}

/// A time of which the effects may be felt from its begin to its end.
type Span = (Duration, Duration);

/// See the [module](self).
pub(super) struct Model<'a> {
    pub(super) participants: Participants,
    pub(super) bounds: Bounds,
    pub(super) timeline: &'a Timeline,
    /// Nobody is held to anything before.
    pub(super) formed: Duration,
    pub(super) end: Duration,
    pub(super) exchanges: Vec<Exchange<'a>>,
    /// Replies that nobody asked for.
    pub(super) unasked: Vec<(Duration, usize)>,
    /// Processes that ended by themselves, and how.
    pub(super) unasked_exits: Vec<(Duration, usize, Option<i32>)>,
    pub(super) lives: Vec<Life>,
    /// By member.
    pub(super) absences: Vec<Vec<Absence>>,
    /// What each was given.
    metadata: Vec<Vec<Given<'a>>>,
    deaf: Vec<Vec<Span>>,
    stalls: Vec<Span>,
}

/// Beyond the end of any soak.
pub(super) const NEVER: Duration = Duration::MAX;

impl<'a> Model<'a> {
    pub(super) fn new(participants: Participants, timeline: &'a Timeline) -> Self {
        let members = participants.members;
        let mut model = Self {
            participants,
            bounds: Bounds::new(members),
            timeline,
            formed: NEVER,
            end: timeline.end(),
            exchanges: Vec::new(),
            unasked: Vec::new(),
            unasked_exits: Vec::new(),
            lives: Vec::new(),
            absences: vec![Vec::new(); members],
            metadata: vec![Vec::new(); members],
            deaf: vec![Vec::new(); members],
            stalls: Vec::new(),
        };
        model.read();
        model
    }

    fn read(&mut self) {
        let mut open: Vec<VecDeque<usize>> = vec![VecDeque::new(); self.participants.members];
        for entry in &self.timeline.entries {
            let (at, member) = (entry.at, entry.member);
            match &entry.what {
                What::Formed => self.formed = at,
                What::Started(meta) => {
                    self.lives.push(Life { member, started: at, ready: None, ended: None });
                    self.metadata[member].push(Given { asked: at, carried_out: at, meta });
                    open[member].clear();
                }
                What::Killed => self.goes(member, Cause::Killed, at),
                What::ToldToLeave => self.goes(member, Cause::Left, at),
                What::Frozen => self.goes(member, Cause::Frozen, at),
                What::Thawed => self.returns(member, at),
                What::Stalled(from) => self.stalls.push((*from, at)),
                What::Exited(code) => {
                    if self.gone(member, at).is_none() {
                        self.unasked_exits.push((at, member, *code));
                        self.goes(member, Cause::Killed, at);
                    }
                    if let Some(life) = self.life_mut(member) {
                        life.ended = Some(at);
                    }
                }
                What::Asked(command) => {
                    if let Command::Meta(meta) = command {
                        self.metadata[member].push(Given { asked: at, carried_out: NEVER, meta });
                    }
                    open[member].push_back(self.exchanges.len());
                    let reply = None;
                    let exchange = Exchange { member, command, asked: at, due: NEVER, reply };
                    self.exchanges.push(exchange);
                }
                What::Ready => {
                    self.returns(member, at);
                    if let Some(life) = self.life_mut(member) {
                        life.ready = Some(at);
                    }
                }
                What::Deaf(lasted) => self.deaf[member].push((at.saturating_sub(*lasted), at)),
                said @ (What::Listed(_) | What::Uses(_) | What::Replied(_)) => {
                    match open[member].pop_front() {
                        Some(place) => self.answered(place, at, said),
                        None => self.unasked.push((at, member)),
                    }
                }
                _ => {}
            }
        }
        self.set_due();
    }

    fn answered(&mut self, place: usize, at: Duration, said: &'a What) {
        let exchange = &mut self.exchanges[place];
        exchange.reply = Some((at, said));
        if let Command::Meta(_) = exchange.command {
            let given = self.metadata[exchange.member].iter_mut().rev();
            for given in given.filter(|given| given.asked == exchange.asked) {
                given.carried_out = at;
            }
        }
    }

    /// Commands queue behind each other, so the time of each begins when the one before it is
    /// answered, or has used up its own.
    fn set_due(&mut self) {
        let (participants, bounds) = (self.participants, self.bounds);
        let mut free = vec![Duration::ZERO; participants.members];
        for Exchange { member, command, asked, due, reply } in &mut self.exchanges {
            let is_quick = match command {
                Command::Members | Command::Stats => true,
                // Go's best-effort send waits for its dial.
                Command::Send { reliable, to, .. } => {
                    !reliable && (to.is_none() || !participants.is_go(*member))
                }
                _ => false,
            };
            let patience = if is_quick { bounds.reply() } else { bounds.patient_reply() };
            *due = free[*member].max(*asked) + patience;
            free[*member] = reply.map_or(*due, |(at, _)| at);
        }
    }

    fn life_mut(&mut self, member: usize) -> Option<&mut Life> {
        self.lives.iter_mut().rev().find(|life| life.member == member)
    }

    fn goes(&mut self, member: usize, cause: Cause, from: Duration) {
        self.returns(member, from);
        self.absences[member].push(Absence { cause, from, back: NEVER });
    }

    fn returns(&mut self, member: usize, at: Duration) {
        if let Some(absence) = self.absences[member].last_mut()
            && absence.back == NEVER
        {
            absence.back = at;
        }
    }

    /// All absences of all members.
    pub(super) fn all_absences(&self) -> impl Iterator<Item = (usize, &Absence)> {
        let members = self.absences.iter().enumerate();
        members.flat_map(|(member, absences)| absences.iter().map(move |one| (member, one)))
    }

    /// Whether a stop was so short that nobody may declare the member dead.
    pub(super) fn is_brief(&self, absence: &Absence) -> bool {
        absence.cause == Cause::Frozen && absence.lasts() <= self.bounds.harmless_freeze()
    }

    /// When the effects of an absence are over.
    pub(super) fn settled(&self, absence: &Absence) -> Duration {
        let bound =
            if self.is_brief(absence) { self.bounds.spread() } else { self.bounds.repair() };
        absence.back.saturating_add(bound)
    }

    /// The absence in which the member is at this time.
    pub(super) fn gone(&self, member: usize, at: Duration) -> Option<&Absence> {
        self.absences[member].iter().find(|absence| absence.from <= at && at < absence.back)
    }

    /// Every list of members with its question: the exchange, when it was told, the rows.
    pub(super) fn lists(&self) -> impl Iterator<Item = (&Exchange<'a>, Duration, &'a Listed)> {
        self.exchanges.iter().filter_map(|exchange| match (exchange.command, exchange.reply) {
            (Command::Members, Some((told, What::Listed(rows)))) => Some((exchange, told, rows)),
            _ => None,
        })
    }

    pub(super) fn name(&self, member: usize) -> String {
        self.participants.name(member)
    }

    /// Whether the member was there all the time and no fault of it could be felt.
    pub(super) fn is_steady(&self, member: usize, from: Duration, to: Duration) -> bool {
        from >= self.formed
            && !self.absences[member]
                .iter()
                .any(|absence| absence.from <= to && from < self.settled(absence))
    }

    /// Whether nothing entitles anybody to hold the member dead at this time. A stopped member may
    /// be held dead once it has been stopped for longer than is harmless.
    pub(super) fn must_live(&self, member: usize, at: Duration) -> bool {
        at >= self.formed
            && !self.absences[member].iter().any(|absence| {
                let is_freeze = absence.cause == Cause::Frozen;
                let grace = if is_freeze { self.bounds.harmless_freeze() } else { Duration::ZERO };
                !self.is_brief(absence) && absence.from + grace <= at && at < self.settled(absence)
            })
    }

    /// The metadata that was asked for last, and since when it has been so: [`NEVER`] while the
    /// member has not answered, since commands wait for those before them.
    pub(super) fn meta(&self, member: usize, at: Duration) -> (Duration, &'a str) {
        let given = self.metadata[member].iter().rev().find(|given| given.asked <= at);
        given.map_or((Duration::ZERO, ""), |given| (given.carried_out, given.meta))
    }

    /// Evidence that a Go member was deaf: for any time of this span, or shortly before, so that
    /// what it missed may still be felt.
    pub(super) fn was_deaf(&self, member: usize, from: Duration, to: Duration) -> bool {
        let felt = self.bounds.shortest_suspicion() + self.bounds.spread();
        overlaps(&self.deaf[member], from.saturating_sub(felt), to)
    }

    /// Evidence that the machine itself stood still.
    pub(super) fn stood_still(&self, from: Duration, to: Duration) -> bool {
        overlaps(&self.stalls, from, to)
    }

    /// When the last fault had ended.
    pub(super) fn last_fault(&self) -> Duration {
        let ends = self.all_absences().map(|(_, absence)| match absence.back {
            NEVER => absence.from,
            back => back,
        });
        ends.max().unwrap_or(self.formed)
    }
}

fn overlaps(spans: &[Span], from: Duration, to: Duration) -> bool {
    spans.iter().any(|(begin, end)| *begin <= to && from <= *end)
}

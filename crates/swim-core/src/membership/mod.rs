//! The SWIM machine of one member: what it believes, whom it probes, what it gossips.
//!
//! Decides everything; performs nothing. Bytes, time and randomness come in as arguments,
//! [`Output`]s go out. The rules themselves are in `verdict`; the submodules carry them out:
//! `packets`, `claims`, `answers`, `probing`, `gossip`, `streams`, `exchange`, `seeding`,
//! `leaving`, and `commands` for the application.

mod answers;
mod claims;
mod codec;
pub(crate) mod commands;
mod exchange;
mod gossip;
mod leaving;
mod packets;
mod probing;
mod seeding;
pub(crate) mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::awareness::Awareness;
use crate::broadcast::Broadcasts;
use crate::config::{Config, ConfigError, MAX_META};
use crate::delegate::Hooks;
use crate::error::StreamFailure;
use crate::member::{Advertised, LocalMember, Member, MemberName, MemberState, Peer, Record};
use crate::output::{Destination, Event, OperationId, Outcome, Output, StreamId, WarningKind};
use crate::probe::ProbeRound;
use crate::roster::{Roster, Slot};
use crate::seed::{Dice, Seed};
use crate::seeds::Seeds;
use crate::stats::{Counters, MembershipStats};
use crate::time::Time;
use crate::timers::{Timer, Timers};
use crate::user_broadcast::UserBroadcasts;
use claims::Accusation;
use codec::Codec;
use leaving::Standing;
use packets::Expected;
use streams::Stream;

/// One member's view of its cluster.
///
/// Methods come in four kinds:
///
/// - `handle_*`: something arrived from the network, or a deadline passed;
/// - commands (`join`, `leave`, `broadcast`, ...): the application wants something;
/// - `poll_*`: what must now leave the machine;
/// - getters, taking `&self`.
///
/// After each `handle_*` or command, call [`poll_output`](Self::poll_output) until it returns
/// `None`; then sleep until [`poll_timeout`](Self::poll_timeout). `now` must never decrease.
/// Debug builds assert both.
///
/// Bounds: members by [`Config::max_members`], application broadcasts by
/// [`Config::max_user_broadcasts`], inbound streams 512, pings under way for others 1,024,
/// operations 1,024, standing seeds 64 of each kind. What is beyond is refused and counted.
///
/// ```
/// use std::net::SocketAddr;
/// use std::time::Duration;
/// use swim_core::{Config, LocalMember, MemberName, Membership, Output, Seed, Time};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let me = LocalMember {
///     name: MemberName::try_from("ada")?,
///     address: SocketAddr::from(([10, 0, 0, 1], 7946)),
///     meta: b"role=db".to_vec(),
/// };
/// // Take the seed from the operating system: see `Seed`.
/// let mut membership = Membership::new(Config::lan(), me, Seed([7; 32]), Time::ZERO)?;
/// let mut now = Time::ZERO;
/// for _turn in 0..3 {
///     while let Some(output) = membership.poll_output() {
///         match output {
///             Output::Packet { to, bytes } => println!("{} bytes to {}", bytes.len(), to.address),
///             Output::Event(event) => println!("{event:?}"),
///             other => println!("for the transport: {other:?}"),
///         }
///     }
///     // A real driver waits for a packet or the deadline, then reads its clock.
///     now = membership.poll_timeout().unwrap_or(now + Duration::from_secs(1));
///     membership.handle_timeout(now);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Membership {
    config: Config,
    codec: Codec,
    dice: Dice,
    hooks: Option<Box<dyn Hooks + Send>>,
    now: Time,
    outputs: VecDeque<Output>,
    timers: Timers,
    counters: Counters,

    roster: Roster,
    /// Of every member that is not alive: who said so, and how it goes on.
    accusations: BTreeMap<Slot, Accusation>,
    /// The last conflict reported about a member, so that each is reported once.
    conflicts: BTreeMap<Slot, SocketAddr>,
    awareness: Awareness,

    news: Broadcasts,
    user_broadcasts: UserBroadcasts,
    user_turn: u32,
    /// The gossip rounds' rhythm: rounds are whole intervals from here.
    gossip_phase: Time,
    last_gossip: Option<Time>,
    packet_limits: BTreeMap<SocketAddr, usize>,

    probe: Option<ProbeRound>,
    /// A tick came while a round was under way; it counts once.
    late_probe: bool,
    sequence: u32,
    expected: BTreeMap<u32, Expected>,
    ack_payload: Vec<u8>,
    user_state: Vec<u8>,

    streams: BTreeMap<StreamId, Stream>,
    next_stream: u64,
    next_operation: u64,
    operations: usize,
    seeds: Seeds,
    standing: Standing,
    is_returning: bool,
}

/// Without a probe interval, what is limited to once per probe interval is limited to this.
const DEFAULT_BEAT: Duration = Duration::from_secs(1);
/// Peers whose datagram limit is remembered; others get full packets, which may cost a stream.
const MAX_PACKET_LIMITS: usize = 4096;

impl Membership {
    /// A machine that knows only itself.
    ///
    /// # Errors
    /// When a setting would not work, our name is not UTF-8, or our metadata is too long.
    pub fn new(
        config: Config,
        me: LocalMember,
        seed: Seed,
        now: Time,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        check_local(&me)?;
        let codec = Codec::new(&config, seed)?;
        let mut dice = Dice::new(seed);
        let record = Record {
            name: me.name,
            meta: (!me.meta.is_empty()).then(|| me.meta.into()),
            changed: now,
            incarnation: 1,
            advertised: Advertised::from_socket(me.address),
            versions: Some(config.versions),
            state: MemberState::Alive,
        };
        let mut membership = Self {
            codec,
            hooks: None,
            now,
            outputs: VecDeque::new(),
            timers: Timers::default(),
            counters: Counters::default(),
            roster: Roster::new(Member::new(record), dice.next_u64()),
            accusations: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            awareness: Awareness::new(config.awareness_max_multiplier),
            news: Broadcasts::default(),
            user_broadcasts: UserBroadcasts::default(),
            user_turn: 0,
            gossip_phase: now + dice.span(config.gossip_interval),
            last_gossip: None,
            packet_limits: BTreeMap::new(),
            probe: None,
            late_probe: false,
            sequence: 0,
            expected: BTreeMap::new(),
            ack_payload: Vec::new(),
            user_state: Vec::new(),
            streams: BTreeMap::new(),
            next_stream: 0,
            next_operation: 0,
            operations: 0,
            seeds: Seeds::new(),
            standing: Standing::Member,
            is_returning: false,
            dice,
            config,
        };
        membership.start();
        Ok(membership)
    }

    fn start(&mut self) {
        let offsets = [
            (Timer::Probe, self.config.probe_interval),
            (Timer::PushPull, self.config.push_pull_interval),
        ];
        for (timer, interval) in offsets {
            if !interval.is_zero() {
                let offset = self.dice.span(interval);
                self.timers.set(timer, self.now + offset);
            }
        }
        self.gossip_about_me();
        self.emit(Event::Joined(self.local()));
    }

    /// One packet arrived from `from`: a datagram, or what the transport carried instead.
    pub fn handle_packet(&mut self, from: &Peer, bytes: &[u8], now: Time) {
        self.begin(now);
        self.receive_packet(from, bytes);
    }

    /// The remote opened the stream `id`, an [incoming](StreamId::incoming) one.
    pub fn handle_stream_opened(&mut self, id: StreamId, from: &Peer, now: Time) {
        self.begin(now);
        self.accept_stream(id, from);
    }

    /// Bytes arrived on a stream; `fin` when they are the last ones.
    pub fn handle_stream_data(&mut self, id: StreamId, bytes: &[u8], fin: bool, now: Time) {
        self.begin(now);
        self.receive_stream(id, bytes, fin);
    }

    /// The transport gave a stream up.
    pub fn handle_stream_failed(&mut self, id: StreamId, reason: StreamFailure, now: Time) {
        self.begin(now);
        self.fail_stream(id, reason);
    }

    /// A packet to `to` could not be sent: as good as an answer that never comes.
    pub fn handle_send_failed(&mut self, to: SocketAddr, now: Time) {
        self.begin(now);
        self.counters.sends_failed += 1;
        self.note_send_failure(to);
    }

    /// The largest payload that still fits one datagram to `peer` is `limit` bytes from here on.
    pub fn handle_packet_limit(&mut self, peer: SocketAddr, limit: usize, now: Time) {
        self.begin(now);
        let known = self.packet_limits.contains_key(&peer);
        if known || self.packet_limits.len() < MAX_PACKET_LIMITS {
            self.packet_limits.insert(peer, limit);
        }
    }

    /// A deadline passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.begin(now);
        while let Some((at, timer)) = self.timers.pop(now) {
            match timer {
                Timer::Expected(sequence) => self.give_up_expecting(sequence),
                Timer::ProbePhase => self.advance_probe(),
                Timer::Suspicion(slot) => self.suspicion_ran_out(slot),
                Timer::Stream(id) => self.stream_took_too_long(id),
                Timer::Leave => self.advance_leave(),
                Timer::Probe => self.probe_tick(at),
                Timer::Gossip => self.gossip_round(),
                Timer::PushPull => self.push_pull_tick(),
                Timer::Seeds => self.seed_round(),
            }
        }
    }

    /// The next thing that must leave the machine.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); may lie in the past.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Every member remembered, ourselves included, ordered by name: also the dead and those that
    /// left, until they are purged.
    pub fn members(&self) -> impl Iterator<Item = Member> {
        self.roster.iter().map(|(_, member)| member.clone())
    }

    /// A number that is another one whenever [`members`](Self::members) may show something else:
    /// whoever keeps a copy need not compare.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.roster.generation()
    }

    /// The member of that name, if remembered.
    #[must_use]
    pub fn member(&self, name: &MemberName) -> Option<Member> {
        self.roster.find(name.as_bytes()).map(|slot| self.roster.get(slot).clone())
    }

    /// Ourselves.
    #[must_use]
    pub fn local(&self) -> Member {
        self.me().clone()
    }

    /// Local health: 0 is good, larger means that we ourselves seem slow.
    #[must_use]
    pub fn health(&self) -> u8 {
        self.awareness.score()
    }

    /// Whether the first member that we exchanged states with knew us already: we have been here
    /// before, and others may still talk to the process that was.
    #[must_use]
    pub fn is_returning(&self) -> bool {
        self.is_returning
    }

    /// Whether our leave has finished.
    #[must_use]
    pub fn has_left(&self) -> bool {
        matches!(self.standing, Standing::Left { .. })
    }

    /// Whether the machine still waits for something on this stream.
    #[must_use]
    pub fn wants_stream(&self, id: StreamId) -> bool {
        self.streams.contains_key(&id)
    }

    /// Whether a member that is alive or suspect announces this address.
    #[must_use]
    pub fn has_live_member_at(&self, address: SocketAddr) -> bool {
        let is_there = |member: &Member| member.address() == address && member.state().is_live();
        self.roster.iter().any(|(_, member)| is_there(member))
    }

    /// Counters and lengths.
    #[must_use]
    pub fn stats(&self) -> MembershipStats {
        MembershipStats {
            alive: self.roster.count(MemberState::Alive),
            suspect: self.roster.count(MemberState::Suspect),
            dead: self.roster.count(MemberState::Dead),
            left: self.roster.count(MemberState::Left),
            health: self.health(),
            queued_broadcasts: self.news.len(),
            queued_user_broadcasts: self.user_broadcasts.len(),
            streams: self.streams.len(),
            counters: self.counters,
        }
    }

    /// Every mutation begins here.
    fn begin(&mut self, now: Time) {
        debug_assert!(self.outputs.is_empty(), "drain poll_output before the next call");
        debug_assert!(now >= self.now, "time went back from {} to {now}", self.now);
        self.now = self.now.max(now);
    }

    fn me(&self) -> &Member {
        self.roster.get(Slot::ME)
    }

    fn is_me(&self, name: &[u8]) -> bool {
        self.me().name().as_bytes() == name
    }

    fn emit(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn warn(&mut self, kind: WarningKind, address: SocketAddr, detail: String) {
        log::debug!("refused something from {address}: {kind}: {detail}");
        self.emit(Event::Warning { kind, address, detail });
    }

    fn finish(&mut self, operation: OperationId, outcome: Outcome) {
        self.operations -= 1;
        self.outputs.push_back(Output::Finished { operation, outcome });
    }

    fn new_operation(&mut self) -> OperationId {
        self.operations += 1;
        self.next_operation += 1;
        OperationId(self.next_operation)
    }

    fn destination(&self, slot: Slot) -> Destination {
        let member = self.roster.get(slot);
        Destination { address: member.address(), name: Some(member.name().clone()) }
    }

    /// What is limited to once per probe interval is limited to once per this.
    fn beat(&self) -> Duration {
        if self.config.probe_interval.is_zero() { DEFAULT_BEAT } else { self.config.probe_interval }
    }
}

fn check_local(me: &LocalMember) -> Result<(), ConfigError> {
    if std::str::from_utf8(me.name.as_bytes()).is_err() {
        return Err(ConfigError {
            field: "name",
            value: me.name.to_string(),
            remedy: "choose a name that is UTF-8, so that every tool can show it",
        });
    }
    if me.meta.len() > MAX_META {
        return Err(ConfigError {
            field: "meta",
            value: format!("{} bytes", me.meta.len()),
            remedy: "shorten it to at most 512 bytes",
        });
    }
    if me.address.ip().is_unspecified() || me.address.port() == 0 {
        return Err(ConfigError {
            field: "address",
            value: me.address.to_string(),
            remedy: "announce an address and port that others can dial",
        });
    }
    Ok(())
}

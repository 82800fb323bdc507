//! The application's hooks: who may be a member, what travels with the exchanged states, and what
//! a hook can do to the thread that it runs on.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

mod common;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use common::{PATIENCE, Participants, alive, eventually, hear};
use swim_quic::{
    Cluster, CommandError, Driver, Event, Hooks, JoinError, JoinFailureReason, Member,
    PeerCertificate, SetUserStateError, StateSender, Subscription, wait_any,
};

/// A member, and the names in its certificate.
type Asked = (String, Vec<String>);

/// Writes down which certificates it was shown, and refuses those of one name.
#[derive(Clone, Default)]
struct Gate {
    refused: &'static str,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Hooks for Gate {
    fn admit_member(
        &mut self,
        member: &Member,
        certificate: Option<&PeerCertificate>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let names = certificate.map_or_else(Vec::new, |shown| shown.common_names().to_vec());
        let is_refused = names.iter().any(|name| name == self.refused);
        self.asked.lock().unwrap().push((member.name().to_string(), names));
        if is_refused { Err("not this certificate".into()) } else { Ok(()) }
    }
}

#[test]
fn a_member_is_asked_about_with_its_certificate_and_kept_out() {
    let participants = Participants::new();
    let gate = Gate { refused: "bob", ..Gate::default() };
    let ada = participants.member("ada").hooks(gate.clone()).start().unwrap();
    let seed = ada.address().to_string();
    let cyd = participants.member("cyd").seeds([seed.clone()]).start().unwrap();
    eventually("ada admits cyd", || alive(&ada) == ["ada", "cyd"]);
    let events = ada.subscribe();
    let _bob = participants.member("bob").seeds([seed]).start().unwrap();
    let detail = hear("ada says that bob is not admitted", &events, |event| match event {
        Event::Warning { what, detail, .. } if what == "not admitted" => Some(detail.clone()),
        Event::Joined(member) => panic!("{} was let in", member.name()),
        _ => None,
    });
    assert!(detail.contains("bob") && detail.contains("not this certificate"), "{detail}");
    eventually("cyd admits bob, who was told of it", || alive(&cyd) == ["ada", "bob", "cyd"]);
    assert_eq!(alive(&ada), ["ada", "cyd"]);
    let asked = gate.asked.lock().unwrap();
    assert!(asked.contains(&("cyd".into(), vec!["cyd".into()])), "{asked:?}");
    assert!(asked.contains(&("bob".into(), vec!["bob".into()])), "{asked:?}");
}

#[test]
fn a_member_that_was_only_heard_of_is_removed_when_its_certificate_is_seen() {
    let participants = Participants::new();
    let members = participants.cluster(&["cyd", "bob"]);
    let [cyd, bob] = &members[..] else { panic!("two were started") };
    let seed = cyd.address().to_string();
    let gate = Gate { refused: "bob", ..Gate::default() };
    let builder = participants.member("ada").hooks(gate.clone()).seeds([seed]);
    let events = builder.subscribe();
    let ada = builder.start().unwrap();
    let (member, reason) = hear("ada removes bob", &events, |event| match event {
        Event::Removed { member, reason } => Some((member.name().to_string(), reason.clone())),
        _ => None,
    });
    assert_eq!((member.as_str(), reason.as_str()), ("bob", "not this certificate"));
    let mut of_bob = gate.asked.lock().unwrap().clone();
    of_bob.retain(|(name, _)| name == "bob");
    assert_eq!(of_bob.first().unwrap().1, [""; 0], "it was only heard of");
    assert_eq!(of_bob.last().unwrap().1, ["bob"]);
    eventually("bob is gone from ada's view", || alive(&ada) == ["ada", "cyd"]);
    let mut heard = Vec::new();
    eventually("bob's gossip is refused as well", || {
        bob.set_meta("new").unwrap();
        heard.extend(events.try_iter());
        heard.iter().any(|event| match event {
            Event::Warning { what, detail, .. } => what == "not admitted" && detail.contains("bob"),
            _ => false,
        })
    });
    assert_eq!(alive(&ada), ["ada", "cyd"]);
    for other in [bob, cyd] {
        assert_eq!(alive(other), ["ada", "bob", "cyd"], "the refusal is ada's alone");
    }
    let returns = heard.iter().find(|event| matches!(event, Event::Joined(_)));
    assert!(returns.is_none(), "{returns:?}");
}

/// Refuses every join.
struct Closed;

impl Hooks for Closed {
    fn admit_merge(&mut self, members: &[Member]) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(format!("{} members are too many", members.len()).into())
    }
}

#[test]
fn a_join_is_refused_with_the_hooks_reason() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let bob = participants.member("bob").hooks(Closed).start().unwrap();
    let error = bob.join([ada.address().to_string()], PATIENCE).unwrap_err();
    let JoinError::NobodyAnswered(failures) = error else { panic!("{error}") };
    let reason = &failures.iter().next().unwrap().reason;
    assert!(
        matches!(reason, JoinFailureReason::MergeRefused(why) if why == "1 members are too many"),
        "{reason:?}"
    );
}

/// Panics in every method, or is slow in the first.
struct Faulty {
    panics: bool,
}

impl Hooks for Faulty {
    #[expect(clippy::disallowed_methods, reason = "it is to be slow")]
    fn admit_member(
        &mut self,
        _: &Member,
        _: Option<&PeerCertificate>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        assert!(!self.panics, "planted by the test");
        std::thread::sleep(Duration::from_millis(30));
        Ok(())
    }

    fn local_state(&mut self, _: bool) -> Option<Vec<u8>> {
        assert!(!self.panics, "planted by the test");
        None
    }
}

#[test]
fn a_panic_is_a_refusal_and_the_member_goes_on() {
    let participants = Participants::new();
    let builder = participants.member("ada").hooks(Faulty { panics: true });
    let events = builder.subscribe();
    let ada = builder.start().unwrap();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    for name in ["local_state", "admit_member"] {
        let wanted = format!("panicking hook {name}");
        hear(&wanted, &events, |event| match event {
            Event::Warning { what, .. } => (*what == wanted).then_some(()),
            _ => None,
        });
    }
    assert_eq!(alive(&ada), ["ada"], "a panic is a refusal");
    eventually("bob has joined all the same", || alive(&bob) == ["ada", "bob"]);
    assert!(ada.is_running() && ada.stats().is_ok());
}

#[test]
fn a_slow_hook_is_named_with_its_time() {
    let participants = Participants::new();
    let builder = participants.member("ada").hooks(Faulty { panics: false });
    let events = builder.subscribe();
    let ada = builder.start().unwrap();
    let _bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    let detail = hear("the slow hook is named", &events, |event| match event {
        Event::Warning { what, detail, .. } if what == "slow hook admit_member" => {
            Some(detail.clone())
        }
        _ => None,
    });
    assert!(detail.starts_with("admit_member took "), "{detail}");
}

/// The calls that did not say where they were made, and how long all took.
type Outcome = (Vec<&'static str>, Duration);

/// Calls everything that a [`Cluster`] has, once.
struct Calls {
    cluster: Arc<OnceLock<Cluster>>,
    driver: Driver,
    participants: Participants,
    /// In which something waits, that is not taken.
    events: Subscription,
    outcome: Arc<Mutex<Option<Outcome>>>,
}

#[expect(clippy::disallowed_methods, reason = "a deadline is a moment of the real clock")]
fn far() -> Instant {
    Instant::now() + PATIENCE
}

/// Whether the call failed because it was made from a hook.
fn is_told<T>(result: Result<T, impl Error>) -> bool {
    result.err().is_some_and(|error| error.to_string() == CommandError::OnDriverThread.to_string())
}

impl Calls {
    /// The names of the calls that did not say where they were made.
    fn all(&self, cluster: &Cluster, other: SocketAddr) -> Vec<&'static str> {
        let other = other.to_string();
        let identity = self.participants.identity("ada");
        let start = self.participants.member("new").driver(&self.driver).start();
        let key = swim_quic::SecretKey::try_from(&[7; 32][..]).unwrap();
        let told = [
            ("join", is_told(cluster.join([&other], PATIENCE))),
            ("leave", is_told(cluster.leave(PATIENCE))),
            ("set_meta", is_told(cluster.set_meta("x"))),
            ("set_user_state", is_told(cluster.set_user_state("x"))),
            ("set_seeds", is_told(cluster.set_seeds([other.as_str()]))),
            ("forget_seed", is_told(cluster.forget_seed(&other))),
            ("config", is_told(cluster.config())),
            ("reconfigure", is_told(cluster.reconfigure(common::quick()))),
            ("set_advertise", is_told(cluster.set_advertise(cluster.address()))),
            ("keys", is_told(cluster.keys())),
            ("add_key", is_told(cluster.add_key(&key))),
            ("use_key", is_told(cluster.use_key(&key))),
            ("remove_key", is_told(cluster.remove_key(&key))),
            ("send", is_told(cluster.send("bob", b"x"))),
            ("send_reliable", is_told(cluster.send_reliable("bob", b"x", PATIENCE))),
            ("broadcast", is_told(cluster.broadcast(b"x"))),
            ("ping", is_told(cluster.ping("bob", PATIENCE))),
            ("doubt", is_told(cluster.doubt("bob"))),
            ("stats", is_told(cluster.stats())),
            ("agreement", is_told(cluster.agreement())),
            ("wait_for", is_told(cluster.wait_for(|_| false, PATIENCE))),
            ("connections", is_told(cluster.connections())),
            ("connection", is_told(cluster.connection("bob"))),
            ("connect", is_told(cluster.connect("bob", PATIENCE))),
            ("disconnect", is_told(cluster.disconnect("bob"))),
            ("open_stream", is_told(cluster.open_stream("bob", "echo", PATIENCE))),
            ("listen", is_told(cluster.listen("echo"))),
            ("send_datagram", is_told(cluster.send_datagram("bob", "echo", b"x"))),
            ("listen_datagrams", is_told(cluster.listen_datagrams("echo"))),
            ("raw_socket", is_told(cluster.raw_socket())),
            ("rotate", is_told(cluster.rotate(&identity, &identity.trust()))),
            ("revoke", is_told(cluster.revoke(identity.fingerprint()))),
            ("start", is_told(start)),
            ("recv", is_told(self.events.recv())),
            ("recv_timeout", is_told(self.events.recv_timeout(PATIENCE))),
            ("recv_deadline", is_told(self.events.recv_deadline(far()))),
            ("wait_any", is_told(wait_any(&[&self.events], PATIENCE))),
            ("wait_any of none", is_told(wait_any(&[], PATIENCE))),
            ("iter", self.events.iter().next().is_none()),
            ("a for loop", (&self.events).into_iter().next().is_none()),
            ("into_iter", self.events.clone().into_iter().next().is_none()),
            ("try_recv takes what waits", self.events.try_recv().is_ok()),
        ];
        told.into_iter().filter(|(_, told)| !told).map(|(name, _)| name).collect()
    }
}

impl Hooks for Calls {
    #[expect(clippy::disallowed_methods, reason = "the test measures how long its calls take")]
    fn admit_member(
        &mut self,
        member: &Member,
        _: Option<&PeerCertificate>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Some(cluster) = self.cluster.get() else { return Err("not yet".into()) };
        if self.outcome.lock().unwrap().is_some() {
            return Ok(());
        }
        let began = Instant::now();
        let silent = self.all(cluster, member.address());
        // These look, or only ask for something.
        let _ = (cluster.name(), cluster.address(), cluster.members(), cluster.is_running());
        drop((cluster.subscribe(), cluster.subscribe_with_members()));
        cluster.close(PATIENCE);
        *self.outcome.lock().unwrap() = Some((silent, began.elapsed()));
        Ok(())
    }
}

#[test]
fn no_call_from_a_hook_waits() {
    let participants = Participants::new();
    let (cluster, outcome) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(None)));
    let driver = Driver::start().unwrap();
    let cyd = participants.member("cyd").start().unwrap();
    let events = cyd.subscribe();
    cyd.set_meta("changed").unwrap();
    eventually("an event waits", || !events.is_empty());
    let calls = Calls {
        cluster: Arc::clone(&cluster),
        driver: driver.clone(),
        participants: Participants::new(),
        events,
        outcome: Arc::clone(&outcome),
    };
    let ada = participants.member("ada").driver(&driver).hooks(calls).start().unwrap();
    assert!(cluster.set(ada.clone()).is_ok());
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("the hook has returned", || outcome.lock().unwrap().is_some());
    let (silent, took) = outcome.lock().unwrap().clone().unwrap();
    assert!(silent.is_empty(), "these did not say that they were called from a hook: {silent:?}");
    assert!(took < Duration::from_secs(2), "the calls took {took:?}");
    eventually("the close that the hook asked for was carried out", || !ada.is_running());
    assert!(bob.is_running());
}

/// Who sent a state, and the state.
type Received = (String, Vec<u8>);

/// Gives a state, and keeps what it gets.
#[derive(Clone, Default)]
struct State {
    merged: Arc<Mutex<Vec<Received>>>,
}

impl Hooks for State {
    fn local_state(&mut self, join: bool) -> Option<Vec<u8>> {
        Some(format!("join {join}").into_bytes())
    }

    fn merge_remote_state(&mut self, state: &[u8], _: bool, from: StateSender<'_>) {
        let name = from.name.map(ToString::to_string).unwrap_or_default();
        self.merged.lock().unwrap().push((name, state.to_vec()));
    }
}

#[test]
fn the_applications_state_travels_both_ways() {
    let participants = Participants::new();
    let hooks = State::default();
    let ada = participants.member("ada").hooks(hooks.clone()).start().unwrap();
    let builder = participants.member("bob").seeds([ada.address().to_string()]);
    let events = builder.subscribe();
    let bob = builder.start().unwrap();
    let state = hear("bob gets ada's state", &events, |event| match event {
        Event::RemoteState { state, .. } => Some(state.to_vec()),
        _ => None,
    });
    assert_eq!(state, b"join true");
    bob.set_user_state("of bob").unwrap();
    bob.join([ada.address().to_string()], PATIENCE).unwrap();
    eventually("ada gets bob's state", || {
        hooks.merged.lock().unwrap().contains(&("bob".to_owned(), b"of bob".to_vec()))
    });
    let error = bob.set_user_state(vec![0; 10 * 1024 * 1024 + 1]).unwrap_err();
    assert!(matches!(error, SetUserStateError::TooLarge { limit: 10_485_760, .. }), "{error}");
}

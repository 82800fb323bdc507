//! Every refusal of every public call, by its variant, made by really calling.
//!
//! Each error enum is listed once with all its variants, which is compared with the sources. One
//! that is added does not pass until a call here brings it about, or until it is named with the
//! reason why a test cannot.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

mod common;
#[path = "common/driver_thread.rs"]
mod driver_thread;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, UdpSocket};
use std::time::Duration;

use common::{PATIENCE, Participants, alive, eventually};
use driver_thread::on_the_driver_thread;
use swim_quic::{
    AdvertiseError, AnnounceError, BroadcastError, Cluster, CommandError, Config, ConfigError,
    ConnectError, ConnectionError, DeliveryReport, DoubtError, DriverError, Event, Identity,
    IdentityFiles, IdentityFilesError, JoinError, JoinFailure, JoinFailureReason, JoinFailures,
    KeysError, LeaveError, Limits, LimitsError, ListenError, NameError, NamePolicy,
    OpenStreamError, PingError, RawError, ReconfigureError, ResolveError, RevokeError, RotateError,
    SecretKey, SeedsError, SendDatagramError, SendError, SendFailure, SetMetaError,
    SetUserStateError, SharedIoError, StartError, StreamError, StreamFailure, StreamIoError, Trust,
    UnacceptableAnswer, with_sources,
};

const SECOND: Duration = Duration::from_secs(1);

/// An enum of errors whose variants are all known by name.
trait Variants: std::fmt::Debug {
    const ALL: &[&str];
    fn variant(&self) -> &'static str;
}

/// Users must expect further variants, and so must the match; another test compares the lists with
/// the sources.
macro_rules! variants {
    ($($of:ident { $($variant:ident),+ $(,)? })+) => {
        const LISTED: &[(&str, &[&str])] = &[$((stringify!($of), <$of as Variants>::ALL)),+];
        $(
            impl Variants for $of {
                const ALL: &[&str] = &[$(stringify!($variant)),+];
                fn variant(&self) -> &'static str {
                    match self {
                        $(Self::$variant { .. } => stringify!($variant),)+
                        other => panic!("{other:?} is not in the list"),
                    }
                }
            }
        )+
    };
}

variants! {
    AdvertiseError { NotDialable, Announce, Left, Command }
    AnnounceError { Unspecified, NotUnderstood, NotFound, NoAddress, SeveralAddresses }
    BroadcastError { TooLarge, QueueFull, Left, Command }
    CommandError { Busy, Unanswered, OnDriverThread, Closed }
    ConnectError { InvalidName, UnknownMember, OwnName, Unreachable, Closed, TimedOut, Command }
    ConnectionError { InvalidName, UnknownMember, OwnName, Command }
    DoubtError { InvalidName, UnknownMember, NotAlive, Left, Command }
    DriverError { Poll, Thread }
    JoinError { Address, NoAddress, NobodyAnswered, Command }
    JoinFailureReason {
        Resolve, TimedOut, Unreachable, OwnAddress, LeadsToOurselves, NameTaken, PeerRefused,
        ClosedWithoutAnswer,
        UnacceptableAnswer, MergeRefused, TooLarge, TooManyOperations, Left,
    }
    KeysError { Full, UnknownKey, InUse, Command }
    LeaveError { TimedOut, TooManyOperations, Command }
    ListenError { Protocol, Command }
    OpenStreamError {
        Protocol, InvalidName, UnknownMember, NotAlive, PeerSpeaksGo, Unreachable, Write,
        TimedOut, Left, Command,
    }
    PingError { InvalidName, UnknownMember, TimedOut, SendFailed, TooManyOperations, Command }
    RawError { FirstByte, TooLarge, QueueFull, Command }
    ResolveError { Failed, NoAddress, OtherFamily, TimedOut, TooManyLookups, NoThread }
    ReconfigureError { Config, Left, Command }
    RevokeError { TooMany, Command }
    RotateError {
        NameNotInCertificate, DevelopmentIdentity, Expired, TooManyRevoked, Tls, Endpoint, Command,
    }
    IdentityFilesError { Unusable, Refused }
    SendDatagramError {
        Protocol, InvalidName, UnknownMember, NotAlive, PeerSpeaksGo, TooLarge, Left, Command,
    }
    SendError {
        InvalidName, UnknownMember, NotAlive, TooLarge, Busy, NoReceiver, Unknown, Unreachable,
        PeerRefused, ClosedWithoutAnswer, UnacceptableAnswer, TimedOut, TooManyOperations,
        QueueFull, Left, Command,
    }
    SeedsError { Address, TooMany, Command }
    SetMetaError { TooLarge, Left, Command }
    SetUserStateError { TooLarge, Command }
    StartError {
        Name, Seeds, Bind, NoIdentity, Identity, NameNotInCertificate, DevelopmentIdentity,
        NotLoopback, Config, Limits, Announce, Tls, Endpoint, Socket, Randomness, Driver, Command,
    }
    StreamIoError { TimedOut, ShutDown, Failed, Read, Closed }
}

#[test]
fn every_variant_of_every_error_is_listed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/error");
    let mut declared = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        for body in text.split("\npub enum ").skip(1) {
            let (name, body) = body.split_once(" {\n").unwrap();
            let (body, _) = body.split_once("\n}").unwrap();
            // A variant stands alone at its depth; its fields and what is said of it do not.
            let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
            let variants = variants.filter(|line| line.starts_with(char::is_uppercase));
            let word =
                |line: &str| line.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
            declared.insert(name.to_owned(), variants.filter_map(word).collect::<BTreeSet<_>>());
        }
    }
    // Of receivers and conditions, which their own tests bring about.
    let awaited = ["RecvError", "TryRecvError", "RecvTimeoutError", "WaitAnyError", "WaitForError"];
    for awaited in awaited {
        assert!(declared.remove(awaited).is_some(), "{awaited}");
    }
    let owned = |all: &&[&str]| all.iter().map(|&variant| variant.to_owned()).collect();
    let listed: BTreeMap<_, BTreeSet<_>> =
        LISTED.iter().map(|(name, all)| ((*name).to_owned(), owned(all))).collect();
    assert_eq!(declared, listed);
}

/// The variants of one enum that were brought about.
struct Seen<E> {
    seen: BTreeSet<&'static str>,
    of: std::marker::PhantomData<E>,
}

impl<E: Variants> Seen<E> {
    fn new() -> Self {
        Self { seen: BTreeSet::new(), of: std::marker::PhantomData }
    }

    fn expect(&mut self, variant: &'static str, error: &E) {
        assert_eq!(error.variant(), variant, "{error:?}");
        self.seen.insert(variant);
    }

    /// Each variant was seen, or stands here with the reason why a test cannot bring it about.
    fn complete_but_for(self, unseen: &[(&'static str, &str)]) {
        let mut named: BTreeSet<&str> = unseen.iter().map(|(variant, _)| *variant).collect();
        assert_eq!(named.len(), unseen.len(), "named twice");
        assert!(named.is_disjoint(&self.seen), "seen, and named as unseen: {named:?}");
        named.extend(&self.seen);
        assert_eq!(named, E::ALL.iter().copied().collect::<BTreeSet<_>>());
    }
}

/// The error's direct source, which must be of this type.
fn source<T: Error + 'static>(error: &dyn Error) -> &T {
    let source = error.source().unwrap_or_else(|| panic!("{error:?} has no source"));
    source.downcast_ref().unwrap_or_else(|| panic!("{source:?} is of another type"))
}

/// Ada's cluster: bob lives, cyd has left.
fn ada_bob_and_cyd_who_left() -> (Cluster, Cluster) {
    let mut members = Participants::new().cluster(&["ada", "bob", "cyd"]);
    members.pop().unwrap().leave(5 * SECOND).unwrap();
    let bob = members.pop().unwrap();
    let ada = members.pop().unwrap();
    eventually("cyd has left", || alive(&ada) == ["ada", "bob"]);
    (ada, bob)
}

/// A member that was closed.
fn closed() -> Cluster {
    let member = Participants::new().member("dan").start().unwrap();
    member.close(SECOND);
    member
}

/// A member that has left, and still runs.
fn left() -> Cluster {
    let member = Participants::new().member("eve").start().unwrap();
    member.leave(SECOND).unwrap();
    member
}

/// Ends a member at once, and returns when its port is free.
fn vanish(member: Cluster) {
    let address = member.address();
    drop(member);
    eventually("the port is free", || UdpSocket::bind(address).is_ok());
}

/// A port that takes datagrams and answers none.
fn silent() -> (UdpSocket, String) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    (socket, address)
}

/// Limits under which a dial without an answer fails within half a second.
fn quick_dials() -> Limits {
    let mut limits = Limits::default();
    limits.dial_timeout = SECOND / 2;
    limits
}

/// Why the one address of a join failed.
fn reason(member: &Cluster, address: &str, timeout: Duration) -> JoinFailureReason {
    match member.join([address], timeout) {
        Err(JoinError::NobodyAnswered(failures)) => failures.iter().next().unwrap().reason.clone(),
        other => panic!("{other:?}"),
    }
}

/// Three calls with 400 addresses each: together more than the 1,024 that are allowed.
fn beyond_the_operations_allowed(ada: &Cluster, silent: &str) -> JoinFailureReason {
    let crowded = std::thread::scope(|scope| {
        let calls: Vec<_> = (1..=3)
            .map(|call| {
                let join = scope.spawn(move || ada.join(vec![silent; 400], SECOND / 3));
                eventually("the joins are under way", || {
                    let started = ada.stats().unwrap().membership.streams;
                    started >= (call * 400).min(1_000) || join.is_finished()
                });
                join
            })
            .collect();
        calls
            .into_iter()
            .flat_map(|call| match call.join().unwrap() {
                Err(JoinError::NobodyAnswered(failures)) => {
                    failures.into_iter().collect::<Vec<JoinFailure>>()
                }
                other => panic!("{other:?}"),
            })
            .find(|failure| matches!(failure.reason, JoinFailureReason::TooManyOperations { .. }))
    });
    crowded.unwrap().reason
}

const GO_ONLY: &str = "only Go's memberlist answers with an error message";
const MANY_THREADS: &str = "takes 1,024 threads that wait at once";

#[test]
fn a_start_is_refused() {
    let participants = Participants::new();
    let ada = || participants.member("ada");
    let mut seen = Seen::new();

    let error = Cluster::builder("").start().unwrap_err();
    seen.expect("Name", &error);
    assert_eq!(source::<NameError>(&error), &NameError::Empty);
    seen.expect("Seeds", &ada().seeds(["no port:x"]).start().unwrap_err());
    let error = ada().bind("localhost:1").start().unwrap_err();
    seen.expect("Bind", &error);
    source::<std::net::AddrParseError>(&error);
    seen.expect("NoIdentity", &Cluster::builder("ada").start().unwrap_err());
    let nowhere = IdentityFiles::in_directory("/nowhere", "ada");
    seen.expect("Identity", &ada().identity_files(nowhere).start().unwrap_err());
    let error = ada().identity(participants.identity("bob")).start().unwrap_err();
    seen.expect("NameNotInCertificate", &error);

    let development = || ada().identity(Identity::development("ada").unwrap());
    seen.expect("DevelopmentIdentity", &development().start().unwrap_err());
    let exposed = development().allow_development_identity().bind("0.0.0.0:0");
    seen.expect("NotLoopback", &exposed.start().unwrap_err());

    let mut config = Config::lan();
    config.packet_budget = 0;
    let error = ada().config(config).start().unwrap_err();
    seen.expect("Config", &error);
    assert!(matches!(&error, StartError::Config(ConfigError { field: "packet_budget", .. })));
    let mut limits = Limits::default();
    limits.connections = 0;
    let error = ada().limits(limits).start().unwrap_err();
    seen.expect("Limits", &error);
    assert!(matches!(&error, StartError::Limits(LimitsError { .. })));

    let error = ada().advertise("0.0.0.0:1").start().unwrap_err();
    seen.expect("Announce", &error);
    let mut announce = Seen::new();
    let StartError::Announce(error) = error else { panic!("just seen") };
    announce.expect("Unspecified", &error);
    for (text, variant) in [("10.0.0.0/40", "NotUnderstood"), ("no-such-interface", "NotFound")] {
        let error = ada().advertise(text).start().unwrap_err();
        let StartError::Announce(error) = error else { panic!("{error}") };
        announce.expect(variant, &error);
        assert!(error.to_string().contains(text), "{error}");
    }
    let machine = "depends on the addresses of the machine";
    announce.complete_but_for(&[("NoAddress", machine), ("SeveralAddresses", machine)]);

    let (_taken, address) = silent();
    let error = ada().bind(address).start().unwrap_err();
    seen.expect("Socket", &error);
    assert_eq!(source::<io::Error>(&error).kind(), io::ErrorKind::AddrInUse);

    let resources = "takes a machine without file descriptors or threads";
    Seen::<DriverError>::new().complete_but_for(&[("Poll", resources), ("Thread", resources)]);
    seen.complete_but_for(&[
        ("Tls", "an identity that loads can be used"),
        ("Endpoint", "the configuration and the limits were checked before"),
        ("Randomness", "the operating system has random bytes"),
        ("Driver", resources),
        ("Command", "takes a shared driver whose queue is full at this very moment"),
    ]);
}

#[test]
fn another_certificate_is_refused() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let mut seen = Seen::new();

    let bob = participants.identity("bob");
    seen.expect("NameNotInCertificate", &ada.rotate(&bob, &bob.trust()).unwrap_err());
    let (then, day) = (std::time::UNIX_EPOCH + 1_000_000 * 1_600 * SECOND, 86_400 * SECOND);
    let authority = certs::Authority::generate_at("then", day, then).unwrap();
    let issued = authority.issue_at("ada", &[], day, then).unwrap();
    let parts = [authority.certificate_pem(), &issued.certificate_pem, &issued.key_pem];
    let [ca, certificate, key] = parts.map(str::as_bytes);
    let former = Identity::from_pem_at(ca, certificate, key, then).unwrap();
    seen.expect("Expired", &ada.rotate(&former, &former.trust()).unwrap_err());

    let development = Identity::development("ada").unwrap();
    let error = ada.rotate(&development, &development.trust()).unwrap_err();
    seen.expect("DevelopmentIdentity", &error);

    ada.revoke([7; 32]).unwrap();
    let renewed = participants.identity("ada");
    let full = full(&renewed);
    seen.expect("TooManyRevoked", &ada.rotate(&renewed, &full).unwrap_err());
    seen.expect("Command", &closed().rotate(&renewed, &renewed.trust()).unwrap_err());
    seen.complete_but_for(&[
        ("Tls", "an identity that loads can be used"),
        ("Endpoint", "quiche takes every context that certs makes"),
    ]);
}

#[test]
fn what_is_in_the_files_is_refused() {
    let participants = Participants::new();
    let directory = tempfile::tempdir().unwrap();
    let authority = &participants.authority;
    authority.save(directory.path()).unwrap();
    let write = |name: &str| {
        let issued = authority.issue(name, &[], 86_400 * SECOND).unwrap();
        fs::write(directory.path().join("ada.key"), &issued.key_pem).unwrap();
        fs::write(directory.path().join("ada.pem"), &issued.certificate_pem).unwrap();
    };
    write("ada");
    let files = IdentityFiles::in_directory(directory.path(), "ada");
    let ada = participants.member("ada").identity_files(files).start().unwrap();
    let events = ada.subscribe();
    let problem = || {
        common::hear("a problem", &events, |event| match event {
            Event::IdentityProblem { error } => Some(IdentityFilesError::clone(error)),
            _ => None,
        })
    };
    let mut seen = Seen::new();
    fs::write(directory.path().join("ada.pem"), "half of it").unwrap();
    let error = problem();
    assert!(with_sources(&error).contains("ada.pem"), "{error}");
    seen.expect("Unusable", &error);
    write("bob");
    seen.expect("Refused", &problem());
    seen.complete_but_for(&[]);
}

/// A trust in which as many certificates are revoked as can be.
fn full(identity: &Identity) -> Trust {
    let trust = identity.trust();
    for number in 0..certs::MAX_REVOKED {
        let mut fingerprint = [0; 32];
        fingerprint[..8].copy_from_slice(&number.to_be_bytes());
        trust.revoke(fingerprint).unwrap();
    }
    trust
}

#[test]
fn a_certificate_is_not_revoked() {
    let participants = Participants::new();
    let full = full(&participants.identity("ada"));
    let ada = participants.member("ada").trust(full).start().unwrap();
    let mut seen = Seen::new();
    seen.expect("TooMany", &ada.revoke([7; 32]).unwrap_err());
    assert_eq!(ada.revoke([0; 32]).unwrap(), 0, "it is revoked already");
    seen.expect("Command", &closed().revoke([7; 32]).unwrap_err());
    seen.complete_but_for(&[]);
}

#[test]
fn a_join_is_refused() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let mut seen = Seen::new();
    let (_silent, silent) = silent();

    let error = ada.join(["no port:x"], SECOND).unwrap_err();
    seen.expect("Address", &error);
    seen.expect("NoAddress", &ada.join([""; 0], SECOND).unwrap_err());
    let error = ada.join([silent.as_str()], SECOND / 5).unwrap_err();
    seen.expect("NobodyAnswered", &error);
    let failures = source::<JoinFailures>(&error);
    assert_eq!(failures.len(), 1);
    let failure: &JoinFailure = failures.into_iter().next().unwrap();
    assert_eq!(failure.address, silent);
    let told = format!("{silent}: {}", JoinFailureReason::TimedOut);
    assert!(with_sources(&error).ends_with(&told), "{}", with_sources(&error));
    assert!(matches!(source::<JoinFailureReason>(failure), JoinFailureReason::TimedOut));
    let error = closed().join([silent.as_str()], SECOND).unwrap_err();
    seen.expect("Command", &error);
    seen.complete_but_for(&[]);
}

#[test]
fn an_address_is_not_joined() {
    let participants = Participants::new();
    let member = |name| participants.member(name).name_policy(NamePolicy::Any);
    let ada = member("ada").limits(quick_dials()).start().unwrap();
    let bob = member("bob").start().unwrap();
    let stranger = Participants::new().member("sam").start().unwrap();
    let (_silent, silent) = silent();
    let mut seen = Seen::new();
    seen.expect("TimedOut", &reason(&ada, &silent, SECOND / 10));
    let refused = reason(&ada, &stranger.address().to_string(), 10 * SECOND);
    seen.expect("Unreachable", &refused);
    source::<StreamFailure>(&refused);
    seen.expect("OwnAddress", &reason(&ada, &ada.address().to_string(), SECOND));
    let refused = reason(&ada, &format!("cyd/{}", bob.address()), 10 * SECOND);
    seen.expect("UnacceptableAnswer", &refused);
    assert!(matches!(source(&refused), UnacceptableAnswer::WrongMember(_)));

    // Ben checks names, and mallory's certificate does not name the member that she speaks for.
    let ben = participants.member("ben").start().unwrap();
    let mallory = member("bobby").identity(participants.identity("mallory")).start().unwrap();
    let refused = reason(&mallory, &ben.address().to_string(), 10 * SECOND);
    seen.expect("Unreachable", &refused);
    assert!(matches!(source(&refused), StreamFailure::Refused), "{refused:?}");

    let second = member("ada").start().unwrap();
    bob.join([ada.address().to_string()], PATIENCE).unwrap();
    let refused = reason(&second, &bob.address().to_string(), 10 * SECOND);
    seen.expect("NameTaken", &refused);
    let text = refused.to_string();
    assert!(text.contains(&ada.address().to_string()), "{text}");
    assert!(text.contains(&second.address().to_string()), "{text}");

    seen.expect("Resolve", &reason(&ada, "no-such-host.invalid", SECOND));
    seen.expect("TooManyOperations", &beyond_the_operations_allowed(&ada, &silent));

    ada.leave(SECOND).unwrap();
    seen.expect("Left", &reason(&ada, &bob.address().to_string(), SECOND));
    seen.complete_but_for(&[
        ("LeadsToOurselves", "takes a relay: other_addresses.rs has one"),
        ("PeerRefused", GO_ONLY),
        ("ClosedWithoutAnswer", "our own members answer an exchange, or reset its stream"),
        ("MergeRefused", "a cluster takes no hooks"),
        ("TooLarge", "takes a state of more than 20 MiB"),
    ]);
}

#[test]
fn a_host_name_is_not_resolved() {
    let ada = Participants::new().member("ada").start().unwrap();
    let unresolved = reason(&ada, "no-such-host.invalid", SECOND);
    let mut seen = Seen::new();
    let JoinFailureReason::Resolve(error) = &unresolved else { panic!("{unresolved:?}") };
    seen.expect("Failed", error);
    source::<SharedIoError>(error);
    let crowd: Vec<String> = (0..3_000).map(|number| format!("host-{number}.invalid")).collect();
    let Err(JoinError::NobodyAnswered(failures)) = ada.join(crowd, SECOND / 4) else {
        panic!("no host of them exists")
    };
    let mut reasons = failures.iter().map(|failure| &failure.reason);
    let crowded = reasons.find_map(|reason| {
        let JoinFailureReason::Resolve(error) = reason else { return None };
        matches!(error, ResolveError::TooManyLookups { .. }).then_some(error)
    });
    seen.expect("TooManyLookups", crowded.unwrap());
    seen.complete_but_for(&[
        ("OtherFamily", "takes a name with IPv6 addresses only: unit tests have one"),
        ("NoAddress", "resolvers report a name without addresses as a failure"),
        ("TimedOut", "takes a resolver that does not answer"),
        ("NoThread", "takes a machine without threads"),
    ]);
}

#[test]
fn a_command_is_not_taken() {
    let mut seen = Seen::new();
    seen.expect("Closed", &closed().stats().unwrap_err());
    seen.expect("Closed", &closed().connections().unwrap_err());
    seen.expect("Closed", &closed().keys().unwrap_err());
    seen.expect("Closed", &closed().raw_socket().unwrap_err());

    let ada = Participants::new().member("ada").start().unwrap();
    let handle = ada.clone();
    let refused = on_the_driver_thread(&ada, move || handle.stats().unwrap_err());
    seen.expect("OnDriverThread", &refused);

    // Each address of a join is a command that waits for nothing: far more than the queue holds.
    let (_silent, silent) = silent();
    let mut full = None;
    for _ in 0..10 {
        if let Err(JoinError::Command(error)) = ada.join(vec![&silent; 20_000], SECOND / 10) {
            full = Some(error);
            break;
        }
    }
    seen.expect("Busy", &full.unwrap());
    seen.complete_but_for(&[("Unanswered", "takes a driver thread that stands still for 5 s")]);
}

#[test]
fn a_leave_is_not_confirmed() {
    let participants = Participants::new();
    let mut seen = Seen::new();
    let slow = |name| participants.member(name).config(Config::lan());
    let ada = slow("ada").start().unwrap();
    let bob = slow("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("they meet", || alive(&ada).len() == 2);
    vanish(bob);
    // More callers than may wait for one leave.
    let errors: Vec<LeaveError> = std::thread::scope(|scope| {
        let leave = || ada.leave(Duration::ZERO).unwrap_err();
        let calls: Vec<_> = (0..80).map(|_| scope.spawn(leave)).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    for variant in ["TimedOut", "TooManyOperations"] {
        let error = errors.iter().find(|error| error.variant() == variant);
        seen.expect(variant, error.unwrap());
    }
    seen.expect("Command", &closed().leave(SECOND).unwrap_err());
    seen.complete_but_for(&[]);
}

#[test]
fn metadata_is_refused() {
    let mut seen = Seen::new();
    let ada = Participants::new().member("ada").start().unwrap();
    let error = ada.set_meta([0; 513]).unwrap_err();
    seen.expect("TooLarge", &error);
    assert_eq!(error, SetMetaError::TooLarge { len: 513, limit: 512 });
    seen.expect("Left", &left().set_meta("x").unwrap_err());
    seen.expect("Command", &closed().set_meta("x").unwrap_err());
    seen.complete_but_for(&[]);
}

#[test]
fn settings_are_refused() {
    let mut seen = Seen::new();
    let ada = Participants::new().member("ada").start().unwrap();
    let mut config = ada.config().unwrap();
    config.probe_interval = Duration::from_nanos(1);
    let error = ada.reconfigure(config).unwrap_err();
    seen.expect("Config", &error);
    assert!(error.to_string().starts_with("probe_interval = 1ns does not work: "), "{error}");
    let mut config = ada.config().unwrap();
    config.label = b"green".to_vec();
    seen.expect("Config", &ada.reconfigure(config).unwrap_err());
    seen.expect("Left", &left().reconfigure(Config::wan()).unwrap_err());
    seen.expect("Command", &closed().reconfigure(Config::wan()).unwrap_err());
    seen.complete_but_for(&[]);
}

#[test]
fn seeds_are_refused() {
    let mut seen = Seen::new();
    let ada = Participants::new().member("ada").start().unwrap();
    seen.expect("Address", &ada.set_seeds(["127.0.0.1:1", "no port:x"]).unwrap_err());
    seen.expect("Address", &ada.forget_seed("no port:x").unwrap_err());
    seen.expect("TooMany", &ada.set_seeds(["127.0.0.1:1"; 65]).unwrap_err());
    seen.expect("Command", &closed().set_seeds(["127.0.0.1:1"]).unwrap_err());
    seen.complete_but_for(&[]);
}

#[test]
fn a_state_for_exchanges_is_refused() {
    let mut seen = Seen::new();
    let ada = Participants::new().member("ada").start().unwrap();
    let error = ada.set_user_state(vec![0; (10 << 20) + 1]).unwrap_err();
    seen.expect("TooLarge", &error);
    assert_eq!(error, SetUserStateError::TooLarge { len: (10 << 20) + 1, limit: 10 << 20 });
    ada.set_user_state(vec![0; 10 << 20]).unwrap();
    seen.expect("Command", &closed().set_user_state("x").unwrap_err());
    seen.complete_but_for(&[]);
}

#[test]
fn a_key_is_refused() {
    let key = |number: u8| SecretKey::try_from(&[number; 16][..]).unwrap();
    let ada = Participants::new().member("ada").start().unwrap();
    let mut seen = Seen::new();
    seen.expect("UnknownKey", &ada.use_key(&key(0)).unwrap_err());
    for number in 0..64 {
        ada.add_key(&key(number)).unwrap();
    }
    seen.expect("Full", &ada.add_key(&key(64)).unwrap_err());
    seen.expect("InUse", &ada.remove_key(&key(0)).unwrap_err());
    seen.expect("Command", &closed().add_key(&key(0)).unwrap_err());
    seen.complete_but_for(&[]);
}

#[test]
fn a_message_is_refused_or_lost() {
    let (ada, bob) = ada_bob_and_cyd_who_left();
    let mut seen = Seen::new();
    for reliable in [false, true] {
        let send = |from: &Cluster, to: &str, len: usize| match reliable {
            true => from.send_reliable(to, vec![0; len], SECOND).unwrap_err(),
            false => from.send(to, vec![0; len]).unwrap_err(),
        };
        seen.expect("InvalidName", &send(&ada, "", 1));
        seen.expect("InvalidName", &send(&ada, &"x".repeat(256), 1));
        seen.expect("UnknownMember", &send(&ada, "nobody", 1));
        seen.expect("NotAlive", &send(&ada, "cyd", 1));
        seen.expect("TooLarge", &send(&ada, "bob", 21 << 20));
        seen.expect("Command", &send(&closed(), "bob", 1));
        seen.expect("Left", &send(&left(), "eve", 1));
    }
    // What is refused here never reads as the peer's refusal.
    let error = ada.send_reliable("nobody", "x", SECOND).unwrap_err();
    assert!(!error.to_string().contains("peer"), "{error}");

    // Bob's application does not listen, then has no room for a second such message.
    seen.expect("NoReceiver", &ada.send_reliable("bob", "x", 10 * SECOND).unwrap_err());
    let unread = bob.subscribe();
    let long = vec![7; 10 << 20];
    let taken = ada.send_reliable("bob", long.clone(), 30 * SECOND);
    assert_eq!(taken, Ok(DeliveryReport::Acknowledged));
    seen.expect("Busy", &ada.send_reliable("bob", long, 30 * SECOND).unwrap_err());
    drop(unread);

    // Bob vanishes. Over the connection that is there nothing comes back, and no other is made.
    vanish(bob);
    seen.expect("Unknown", &ada.send_reliable("bob", "x", SECOND / 5).unwrap_err());
    ada.disconnect("bob").unwrap();
    seen.expect("TimedOut", &ada.send_reliable("bob", "x", SECOND / 5).unwrap_err());
    let (mut under_way, mut full) = (Vec::new(), None);
    eventually("no room for another message", || {
        let mut receipt = ada.queue_reliable("bob", vec![7; 19 << 20], 10 * SECOND);
        match receipt.wait(SECOND / 20) {
            None => under_way.push(receipt),
            // The driver thread has not taken those before yet.
            Some(Err(SendError::Command(CommandError::Busy))) => {}
            Some(ended) => full = ended.err(),
        }
        full.is_some()
    });
    seen.expect("QueueFull", &full.unwrap());
    assert_eq!(under_way.len(), 6, "all that have room");
    seen.complete_but_for(&[
        ("Unreachable", "a_message_cannot_be_carried"),
        ("PeerRefused", GO_ONLY),
        ("ClosedWithoutAnswer", "our own members take a message, or reset its stream"),
        ("UnacceptableAnswer", "our own members answer a message with nothing"),
        ("TooManyOperations", MANY_THREADS),
    ]);
}

#[test]
fn a_message_cannot_be_carried() {
    let participants = Participants::new();
    let ada = participants.member("ada").limits(quick_dials()).config(Config::lan());
    let ada = ada.start().unwrap();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("they meet", || alive(&ada).len() == 2);
    vanish(bob);
    ada.disconnect("bob").unwrap();
    let error = ada.send_reliable("bob", "x", 10 * SECOND).unwrap_err();
    Seen::new().expect("Unreachable", &error);
    source::<StreamFailure>(&error);
}

#[test]
fn a_broadcast_is_refused() {
    let participants = Participants::new();
    let mut config = Config::lan();
    config.max_broadcasts = 1;
    let ada = participants.member("ada").config(config).start().unwrap();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("they meet", || alive(&ada).len() == 2);
    let mut seen = Seen::new();
    seen.expect("TooLarge", &ada.broadcast([0; 65_000]).unwrap_err());
    // One gossip round later the first is gone: the second comes within the same round.
    let mut full = None;
    eventually("the queue is full", || {
        let _ = ada.broadcast("first");
        full = ada.broadcast("second").err();
        full.is_some()
    });
    seen.expect("QueueFull", &full.unwrap());
    seen.expect("Left", &left().broadcast("x").unwrap_err());
    seen.expect("Command", &closed().broadcast("x").unwrap_err());
    seen.complete_but_for(&[]);
    drop(bob);
}

#[test]
fn a_ping_fails() {
    let participants = Participants::new();
    let ada = participants.member("ada").limits(quick_dials()).config(Config::lan());
    let ada = ada.start().unwrap();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("they meet", || alive(&ada).len() == 2);
    let mut seen = Seen::new();
    seen.expect("InvalidName", &ada.ping("", SECOND).unwrap_err());
    let error = ada.ping("nobody", SECOND).unwrap_err();
    seen.expect("UnknownMember", &error);
    assert!(!error.to_string().contains("peer"), "{error}");
    vanish(bob);
    seen.expect("TimedOut", &ada.ping("bob", 5 * SECOND).unwrap_err());
    ada.disconnect("bob").unwrap();
    ada.connect("bob", 5 * SECOND).unwrap_err();
    seen.expect("SendFailed", &ada.ping("bob", 5 * SECOND).unwrap_err());
    seen.expect("Command", &closed().ping("bob", SECOND).unwrap_err());
    seen.complete_but_for(&[("TooManyOperations", MANY_THREADS)]);
}

const NO_GO_HERE: &str = "takes a Go peer; `cargo xtask interop` has one";

#[test]
fn a_stream_is_not_opened() {
    let (ada, bob) = ada_bob_and_cyd_who_left();
    let open = |from: &Cluster, to: &str, protocol: &str| {
        from.open_stream(to, protocol, SECOND / 5).unwrap_err()
    };
    let mut seen = Seen::new();
    seen.expect("Protocol", &open(&ada, "bob", ""));
    seen.expect("Protocol", &open(&ada, "bob", &"x".repeat(256)));
    seen.expect("InvalidName", &open(&ada, "", "echo"));
    seen.expect("UnknownMember", &open(&ada, "nobody", "echo"));
    seen.expect("NotAlive", &open(&ada, "cyd", "echo"));
    seen.expect("Command", &open(&closed(), "bob", "echo"));
    vanish(bob);
    ada.disconnect("bob").unwrap();
    seen.expect("TimedOut", &open(&ada, "bob", "echo"));

    // A dial that fails within the time of the call.
    let participants = Participants::new();
    let ada = participants.member("ada").limits(quick_dials()).config(Config::lan());
    let ada = ada.start().unwrap();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("they meet", || alive(&ada).len() == 2);
    vanish(bob);
    ada.disconnect("bob").unwrap();
    let error = ada.open_stream("bob", "echo", 10 * SECOND).unwrap_err();
    seen.expect("Unreachable", &error);
    assert_eq!(source::<StreamError>(&error), &StreamError::DialTimedOut);
    ada.leave(PATIENCE).unwrap();
    seen.expect("Left", &open(&ada, "bob", "echo"));
    seen.complete_but_for(&[
        ("PeerSpeaksGo", NO_GO_HERE),
        ("Write", "a stream that was just opened takes its first bytes"),
    ]);
}

#[test]
fn an_address_is_not_announced() {
    let ada = Participants::new().member("ada").start().unwrap();
    let own = ada.address();
    let announce = |member: &Cluster, address: &str| member.set_advertise(address).unwrap_err();
    let mut seen = Seen::new();
    seen.expect("NotDialable", &announce(&ada, "0.0.0.0:7946"));
    seen.expect("NotDialable", &announce(&ada, "10.0.0.1:0"));
    assert_eq!(ada.address(), own);
    seen.expect("Announce", &announce(&ada, "no-such-interface"));
    ada.set_advertise("10.0.0.1:7946").unwrap();
    eventually("it is announced", || ada.address().to_string() == "10.0.0.1:7946");
    ada.leave(SECOND).unwrap();
    seen.expect("Left", &announce(&ada, "10.0.0.2:7946"));
    seen.expect("Command", &announce(&closed(), "10.0.0.2:7946"));
    seen.complete_but_for(&[]);
}

#[test]
fn a_listener_is_refused() {
    let ada = Participants::new().member("ada").start().unwrap();
    let mut seen = Seen::new();
    seen.expect("Protocol", &ada.listen("").unwrap_err());
    seen.expect("Protocol", &ada.listen_datagrams(&"x".repeat(256)).unwrap_err());
    seen.expect("Command", &closed().listen("echo").unwrap_err());
    seen.complete_but_for(&[]);
}

#[test]
fn a_datagram_is_refused() {
    let (ada, _bob) = ada_bob_and_cyd_who_left();
    let send = |from: &Cluster, to: &str, protocol: &str, len: usize| {
        from.send_datagram(to, protocol, vec![0; len]).unwrap_err()
    };
    let mut seen = Seen::new();
    seen.expect("Protocol", &send(&ada, "bob", "", 1));
    seen.expect("InvalidName", &send(&ada, "", "echo", 1));
    seen.expect("UnknownMember", &send(&ada, "nobody", "echo", 1));
    seen.expect("NotAlive", &send(&ada, "cyd", "echo", 1));
    let error = send(&ada, "bob", "echo", 70_000);
    seen.expect("TooLarge", &error);
    assert_eq!(error, SendDatagramError::TooLarge { len: 70_000, limit: 65_536 - 6 });
    ada.send_datagram("bob", "echo", vec![0; 65_536 - 6]).unwrap();
    seen.expect("Command", &send(&closed(), "bob", "echo", 1));
    ada.leave(5 * SECOND).unwrap();
    seen.expect("Left", &send(&ada, "bob", "echo", 1));
    seen.complete_but_for(&[("PeerSpeaksGo", NO_GO_HERE)]);
}

#[test]
fn a_read_or_a_write_of_a_stream_fails() {
    let mut members = Participants::new().cluster(&["ada", "bob"]);
    let bob = members.pop().unwrap();
    let ada = members.pop().unwrap();
    let held = |error: io::Error| {
        let held = *error.get_ref().unwrap().downcast_ref::<StreamIoError>().unwrap();
        (error.kind(), held)
    };
    let mut seen = Seen::new();
    let mut expect = |variant, kind, error: io::Error| {
        let (found, held) = held(error);
        assert_eq!(found, kind);
        seen.expect(variant, &held);
    };
    let calls = bob.listen("echo").unwrap();
    let mut stream = ada.open_stream("bob", "echo", 5 * SECOND).unwrap();
    let _call = calls.recv_timeout(PATIENCE).unwrap();

    stream.set_read_timeout(Some(SECOND / 20));
    expect("TimedOut", io::ErrorKind::TimedOut, stream.read(&mut [0]).unwrap_err());
    stream.shutdown(Shutdown::Write);
    expect("ShutDown", io::ErrorKind::BrokenPipe, stream.write(b"x").unwrap_err());

    let mut unheard = ada.open_stream("bob", "nobody listens", 5 * SECOND).unwrap();
    unheard.set_read_timeout(Some(PATIENCE));
    let reset = unheard.read(&mut [0]).unwrap_err();
    expect("Read", io::ErrorKind::ConnectionReset, reset);

    ada.disconnect("bob").unwrap();
    stream.set_read_timeout(Some(PATIENCE));
    let cut = stream.read(&mut [0]).unwrap_err();
    expect("Failed", io::ErrorKind::ConnectionReset, cut);

    let mut stream = ada.open_stream("bob", "echo", 5 * SECOND).unwrap();
    let mut call = calls.recv_timeout(PATIENCE).unwrap();
    stream.write_all(b"x").unwrap();
    call.stream.read_exact(&mut [0]).unwrap();
    drop(bob);
    let mut closed = None;
    eventually("bob's end of the stream is gone", || {
        closed = call.stream.write(b"x").err();
        closed.is_some()
    });
    expect("Closed", io::ErrorKind::ConnectionReset, closed.unwrap());
    seen.complete_but_for(&[]);
}

#[test]
fn a_connection_is_not_looked_up() {
    let ada = Participants::new().member("ada").start().unwrap();
    let mut seen = Seen::new();
    seen.expect("InvalidName", &ada.connection("").unwrap_err());
    seen.expect("UnknownMember", &ada.connection("nobody").unwrap_err());
    seen.expect("OwnName", &ada.disconnect("ada").unwrap_err());
    seen.expect("Command", &closed().disconnect("bob").unwrap_err());
    seen.complete_but_for(&[]);
}

#[test]
fn a_connection_is_not_made() {
    let participants = Participants::new();
    let ada = participants.member("ada").limits(quick_dials()).config(Config::lan());
    let ada = ada.start().unwrap();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("they meet", || alive(&ada).len() == 2);
    let mut seen = Seen::new();
    seen.expect("InvalidName", &ada.connect("", SECOND).unwrap_err());
    seen.expect("UnknownMember", &ada.connect("nobody", SECOND).unwrap_err());
    seen.expect("OwnName", &ada.connect("ada", SECOND).unwrap_err());
    seen.expect("Command", &closed().connect("bob", SECOND).unwrap_err());
    vanish(bob);
    ada.disconnect("bob").unwrap();
    let error = ada.connect("bob", 10 * SECOND).unwrap_err();
    seen.expect("Unreachable", &error);
    source::<SendFailure>(&error);

    // The same without the quick end of a dial.
    let ada = participants.member("ada").config(Config::lan()).start().unwrap();
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("they meet", || alive(&ada).len() == 2);
    vanish(bob);
    ada.disconnect("bob").unwrap();
    seen.expect("TimedOut", &ada.connect("bob", Duration::ZERO).unwrap_err());
    seen.complete_but_for(&[("Closed", "takes a peer that closes in the turn of its handshake")]);
}

#[test]
fn a_raw_datagram_is_refused() {
    let ada = Participants::new().member("ada").start().unwrap();
    let (_silent, silent) = silent();
    let to = silent.parse().unwrap();
    let raw = ada.raw_socket().unwrap();
    let mut seen = Seen::new();
    seen.expect("FirstByte", &raw.send_to(b"", to).unwrap_err());
    seen.expect("FirstByte", &raw.send_to(b"\x40", to).unwrap_err());
    let error = raw.send_to(&[0; 1_201], to).unwrap_err();
    seen.expect("TooLarge", &error);
    assert_eq!(error, RawError::TooLarge { len: 1_201, limit: 1_200 });
    ada.close(SECOND);
    seen.expect("Command", &raw.send_to(b"\0", to).unwrap_err());
    seen.complete_but_for(&[("QueueFull", "takes a socket that the kernel does not empty")]);
}

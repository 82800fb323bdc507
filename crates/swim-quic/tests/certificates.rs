//! Certificates change while members run: they are renewed, replaced, revoked, and end.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

#[expect(dead_code, reason = "larger clusters are for other tests")]
mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use common::{PATIENCE, Participants, alive, eventually, hear};
use swim_quic::{
    Authority, Cluster, Config, ConnectError, Event, Fingerprint, Identity, IdentityFiles, Limits,
    Refusal, RotateError, SendFailure, Stream, StreamError, StreamIoError, Trust,
};

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

/// Connections are made anew 300 ms after their beginning instead of 3 s.
fn hasty() -> Limits {
    let mut limits = Limits::default();
    limits.dial_timeout = Duration::from_millis(300);
    limits.duplicate_grace = Duration::from_millis(300);
    limits
}

fn issue(authority: &Authority, name: &str, validity: Duration) -> Identity {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    authority.issue(name, &[here], validity).unwrap().identity().unwrap()
}

/// Ten renewals of certificates, or as many as `RENEWALS` says, and five changes of the authority.
#[test]
fn renewals_and_new_authorities_lose_no_ping_and_reset_no_stream() {
    let renewals = std::env::var("RENEWALS").map_or(10, |number| number.parse().unwrap());
    let participants = Participants::new();
    let members = pair(&participants, hasty());
    let traffic = Traffic::start(&members);
    let mut authority = participants.authority;
    for renewal in 0..renewals {
        let renewed: &[usize] = [&[0][..], &[1], &[0, 1]][renewal % 3];
        let trust = Trust::from_pem(authority.certificate_pem().as_bytes()).unwrap();
        rotate(&members, renewed, &authority, &trust);
    }
    for _ in 0..5 {
        let next = Authority::generate("next", 30 * DAY).unwrap();
        let both = [authority.certificate_pem(), next.certificate_pem()].concat();
        let both = Trust::from_pem(both.as_bytes()).unwrap();
        rotate(&members, &[0, 1], &authority, &both);
        rotate(&members, &[0, 1], &next, &both);
        let alone = Trust::from_pem(next.certificate_pem().as_bytes()).unwrap();
        rotate(&members, &[0, 1], &next, &alone);
        authority = next;
    }
    traffic.end();
}

/// Gives these members new certificates, and waits until the others see them.
fn rotate(members: &[Cluster; 2], who: &[usize], authority: &Authority, trust: &Trust) {
    let renew = |index: &usize| {
        let identity = issue(authority, ["ada", "bob"][*index], DAY);
        members[*index].rotate(&identity, trust).unwrap();
        (*index, identity.fingerprint())
    };
    let renewed: Vec<_> = who.iter().map(renew).collect();
    for (index, fingerprint) in renewed {
        eventually("the other one sees the new certificate", || {
            let (name, other) = (["ada", "bob"][index], &members[1 - index]);
            seen(other, name) == Some(fingerprint)
        });
    }
}

#[test]
fn three_members_of_one_process_need_no_file() {
    let mut members: Vec<Cluster> = Vec::new();
    for name in ["ada", "bob", "cyd"] {
        let seed = members.first().map(|first| first.address().to_string());
        let member = Cluster::builder(name)
            .bind("127.0.0.1:0")
            .identity(Identity::development(name).unwrap())
            .allow_development_identity()
            .seeds(seed);
        members.push(member.start().unwrap());
    }
    eventually("all meet", || members.iter().all(|member| alive(member).len() == 3));
    let heard = members[1].subscribe();
    members[2].send_reliable("bob", "hello", PATIENCE).unwrap();
    hear("hello", &heard, |event| match event {
        Event::Message { payload, .. } => (**payload == *b"hello").then_some(()),
        _ => None,
    });
    // Another authority's member is a stranger to them.
    let strangers = Participants::new();
    let dan = strangers.member("dan").start().unwrap();
    assert!(dan.join([members[0].address().to_string()], PATIENCE).is_err());
}

/// The certificate behind the connection that packets for a member use.
fn seen(cluster: &Cluster, member: &str) -> Option<Fingerprint> {
    cluster.connection(member).unwrap().map(|connection| connection.fingerprint)
}

fn pair(participants: &Participants, limits: Limits) -> [Cluster; 2] {
    // Nobody is to be given up while the machine is busy.
    let member = |name| participants.member(name).config(Config::lan()).limits(limits.clone());
    let ada = member("ada").start().unwrap();
    let bob = member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("both meet", || [&ada, &bob].iter().all(|one| one.members().len() == 2));
    [ada, bob]
}

/// Pings and a stream in each direction.
struct Traffic {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Traffic {
    fn start(members: &[Cluster; 2]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let mut threads = Vec::new();
        for (index, to) in [(0, "bob"), (1, "ada")] {
            let incoming = members[1 - index].listen("echo").unwrap();
            let stream = members[index].open_stream(to, "echo", PATIENCE).unwrap();
            let echo = incoming.recv_timeout(PATIENCE).unwrap().stream;
            threads.push(std::thread::spawn(move || return_all(echo)));
            let stopped = Arc::clone(&stop);
            threads.push(std::thread::spawn(move || send_numbers(stream, &stopped)));
            let (stopped, from) = (Arc::clone(&stop), members[index].clone());
            threads.push(std::thread::spawn(move || ping(&from, to, &stopped)));
        }
        Self { stop, threads }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads {
            assert!(thread.join().unwrap() > 100);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the rate of pings")]
fn ping(from: &Cluster, to: &str, stop: &AtomicBool) -> u64 {
    let mut pings = 0;
    while !stop.load(Ordering::Acquire) {
        from.ping(to, PATIENCE).unwrap_or_else(|error| panic!("ping {pings} to {to}: {error}"));
        pings += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    pings
}

#[expect(clippy::disallowed_methods, reason = "the rate of numbers")]
fn send_numbers(mut stream: Stream, stop: &AtomicBool) -> u64 {
    let mut number = 0_u64;
    while !stop.load(Ordering::Acquire) {
        stream.write_all(&number.to_be_bytes()).unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(u64::from_be_bytes(answer), number);
        number += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    number
}

fn return_all(mut stream: Stream) -> u64 {
    let (mut bytes, mut buffer) = (0, [0; 1024]);
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return bytes,
            read => {
                stream.write_all(&buffer[..read]).unwrap();
                bytes += u64::try_from(read).unwrap();
            }
        }
    }
}

#[test]
fn a_certificate_of_another_name_is_refused_and_the_former_one_stays() {
    let participants = Participants::new();
    let [ada, bob] = pair(&participants, Limits::default());
    let before = seen(&bob, "ada").unwrap();
    let mallory = participants.identity("mallory");
    let error = ada.rotate(&mallory, &mallory.trust()).unwrap_err();
    assert!(matches!(error, RotateError::NameNotInCertificate { .. }), "{error:?}");
    assert!(error.to_string().contains("is for mallory, not for \"ada\""), "{error}");
    bob.disconnect("ada").unwrap();
    assert_eq!(bob.connect("ada", PATIENCE).unwrap().fingerprint, before);
}

#[test]
fn a_rotation_is_told_with_both_certificates_and_the_end_of_the_new_one() {
    let participants = Participants::new();
    let ada = participants.member("ada").start().unwrap();
    let events = ada.subscribe();
    let (first, second) = (participants.identity("ada"), participants.identity("ada"));
    for identity in [&first, &second] {
        ada.rotate(identity, &identity.trust()).unwrap();
    }
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(hear("the rotation", &events, |event| match event {
            Event::IdentityRotated { former, fingerprint, not_after } => {
                Some((**former, **fingerprint, *not_after))
            }
            _ => None,
        }));
    }
    assert_eq!(told[0].1, first.fingerprint());
    assert_eq!(told[1], (first.fingerprint(), second.fingerprint(), second.not_after()));
}

/// As cert-manager's volumes do it: the files are links into `..data`, which is a link to one
/// generation, and is swapped as a whole.
#[cfg(unix)]
#[test]
fn files_behind_a_swapped_link_are_taken_up_and_damage_is_told_once() {
    use std::os::unix::fs::symlink;

    let participants = Participants::new();
    let volume = tempfile::tempdir().unwrap();
    let swap = |generation: &str, is_whole: bool| {
        let directory = volume.path().join(generation);
        std::fs::create_dir(&directory).unwrap();
        let issued = participants.authority.issue("ada", &[], DAY).unwrap();
        let certificate = if is_whole { &issued.certificate_pem } else { "half of it" };
        std::fs::write(directory.join("ca.pem"), participants.authority.certificate_pem()).unwrap();
        std::fs::write(directory.join("ada.pem"), certificate).unwrap();
        std::fs::write(directory.join("ada.key"), &issued.key_pem).unwrap();
        let next = volume.path().join("..next");
        symlink(generation, &next).unwrap();
        std::fs::rename(&next, volume.path().join("..data")).unwrap();
    };
    swap("1", true);
    for file in ["ca.pem", "ada.pem", "ada.key"] {
        symlink(format!("..data/{file}"), volume.path().join(file)).unwrap();
    }
    let files = IdentityFiles::in_directory(volume.path(), "ada");
    let ada = participants.member("ada").identity_files(files).start().unwrap();
    let events = ada.subscribe();
    let rotated = |event: &Event| match event {
        Event::IdentityRotated { .. } => Some(true),
        Event::IdentityProblem { .. } => Some(false),
        _ => None,
    };
    for (generation, is_whole) in [("2", true), ("3", false), ("4", true)] {
        let begun = now();
        swap(generation, is_whole);
        assert_eq!(hear("the new files", &events, rotated), is_whole, "generation {generation}");
        println!("generation {generation} after {:?}", begun.elapsed());
    }
    let bob = participants.member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("both meet", || [&ada, &bob].iter().all(|one| one.members().len() == 2));
    let newest = std::fs::read(volume.path().join("ada.pem")).unwrap();
    let newest = Identity::from_pem(
        participants.authority.certificate_pem().as_bytes(),
        &newest,
        &std::fs::read(volume.path().join("ada.key")).unwrap(),
    );
    assert_eq!(seen(&bob, "ada"), Some(newest.unwrap().fingerprint()));
}

#[test]
fn a_connection_ends_with_its_certificate_on_both_sides() {
    let participants = Participants::new();
    let ada = participants.member("ada").config(Config::lan()).start().unwrap();
    let ephemeral = issue(&participants.authority, "bob", 4 * SECOND);
    let bob = participants.member("bob").identity(ephemeral).config(Config::lan());
    let bob = bob.seeds([ada.address().to_string()]).start().unwrap();
    eventually("both meet", || [&ada, &bob].iter().all(|one| one.members().len() == 2));
    let events = [ada.subscribe(), bob.subscribe()];
    let calendar = bob.subscribe();
    let incoming = bob.listen("echo").unwrap();
    let stream = ada.open_stream("bob", "echo", PATIENCE).unwrap();
    let accepted = incoming.recv_timeout(PATIENCE).unwrap().stream;
    for mut end in [stream, accepted] {
        end.set_read_timeout(Some(PATIENCE));
        let error = end.read(&mut [0; 8]).unwrap_err();
        let cause = error.get_ref().unwrap().downcast_ref::<StreamIoError>().unwrap();
        let expired = StreamError::Refused(Refusal::Expired);
        assert!(matches!(cause, StreamIoError::Failed(reason) if *reason == expired), "{cause:?}");
    }
    for events in &events {
        let detail = hear("the end of a connection", events, |event| match event {
            Event::Warning { what, detail, .. } if what == "expired certificate" => {
                Some(detail.clone())
            }
            _ => None,
        });
        assert!(detail.contains("expired"), "{detail}");
    }
    hear("bob's certificate ended", &calendar, |event| {
        matches!(event, Event::CertificateExpiring { left: Duration::ZERO, .. }).then_some(())
    });
}

#[test]
fn a_revoked_certificate_is_parted_with_at_once_and_refused_both_ways() {
    let participants = Participants::new();
    let [ada, bob] = pair(&participants, Limits::default());
    let events = [ada.subscribe(), bob.subscribe()];
    let revoked = seen(&ada, "bob").unwrap();
    let begun = now();
    assert!(ada.revoke(revoked).unwrap() >= 1);
    assert_eq!(ada.connections().unwrap().len(), 0);
    let told = hear("bob is told", &events[1], |event| match event {
        Event::Warning { what, detail, .. } if what == "revoked certificate" => {
            Some(detail.clone())
        }
        _ => None,
    });
    assert!(told.contains("closed: the certificate is revoked"), "{told}");
    println!("told after {:?}", begun.elapsed());
    let renewed = participants.identity("ada");
    for _ in 0..2 {
        for (from, to) in [(&ada, "bob"), (&bob, "ada")] {
            let error = from.connect(to, PATIENCE).unwrap_err();
            let refused = SendFailure::Refused(Refusal::Revoked);
            assert!(
                matches!(error, ConnectError::Unreachable(failure) if failure == refused),
                "to {to}: {error:?}"
            );
            assert!(error.to_string().contains("revoked"), "{error}");
        }
        // It stays so.
        ada.rotate(&renewed, &renewed.trust()).unwrap();
    }
    let detail = hear("the TLS alert", &events[1], |event| match event {
        Event::Warning { what, detail, .. } if what == "revoked certificate" => {
            detail.contains("the peer refused us").then(|| detail.clone())
        }
        _ => None,
    });
    assert!(detail.contains("the certificate is revoked"), "{detail}");
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn now() -> Instant {
    Instant::now()
}

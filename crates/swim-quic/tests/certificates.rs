//! Certificates change while members run: they are renewed, replaced, revoked, and end.
#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails by panicking, and looks at one kind of event"
)]

#[expect(dead_code, reason = "larger clusters are for other tests")]
mod common;

use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use common::{PATIENCE, Participants, alive, eventually, hear};
use swim_quic::{
    Authority, Cluster, Config, ConnectError, Event, Fingerprint, Identity, IdentityFiles, Refusal,
    RotateError, SendFailure, StreamError, StreamIoError, with_sources,
};

const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);

fn issue(authority: &Authority, name: &str, validity: Duration) -> Identity {
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    authority.issue(name, &[here], validity).unwrap().identity().unwrap()
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

fn pair(participants: &Participants) -> [Cluster; 2] {
    // Nobody is to be given up while the machine is busy.
    let member = |name| participants.member(name).config(Config::lan());
    let ada = member("ada").start().unwrap();
    let bob = member("bob").seeds([ada.address().to_string()]).start().unwrap();
    eventually("both meet", || [&ada, &bob].iter().all(|one| one.members().len() == 2));
    [ada, bob]
}

#[test]
fn a_certificate_of_another_name_is_refused_and_the_former_one_stays() {
    let participants = Participants::new();
    let [ada, bob] = pair(&participants);
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
    let [ada, bob] = pair(&participants);
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
            assert!(with_sources(&error).contains("revoked"), "{error}");
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

//! The example `kubernetes` as three processes: its probes, its metrics, and its end on SIGTERM;
//! and that the manifests set what it reads.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/example_process.rs"]
mod example_process;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use certs::Authority;
use example_process::ExampleProcess;
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(86_400);

/// A running member.
struct Pod {
    process: ExampleProcess,
    address: String,
    health: String,
}

impl Pod {
    /// Starts a member with the files that cert-manager's secrets hold, and waits until it serves.
    fn start(authority: &Authority, certificates: &Path, name: &str, seeds: &str) -> Self {
        let directory = certificates.join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let issued = authority.issue(name, &[], 10 * DAY).unwrap();
        std::fs::write(directory.join("ca.crt"), authority.certificate_pem()).unwrap();
        std::fs::write(directory.join("tls.crt"), issued.certificate_pem).unwrap();
        std::fs::write(directory.join("tls.key"), issued.key_pem).unwrap();
        let process = ExampleProcess::start("kubernetes", |command| {
            command
                .env("MEMBER_NAME", name)
                .env("MEMBER_CERTIFICATES", &directory)
                .env("MEMBER_BIND", "127.0.0.1:0")
                .env("MEMBER_ADDRESS", "127.0.0.1")
                .env("MEMBER_SEEDS", seeds)
                .env("MEMBER_HEALTH", "127.0.0.1:0");
        });
        let address = process.wait_for_word("listens at");
        let health = process.wait_for_word("health at");
        Self { process, address, health }
    }

    /// What a page says: its status and its text.
    fn get(&self, page: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.health).unwrap();
        write!(stream, "GET {page} HTTP/1.1\r\nHost: pod\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    fn terminate(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

#[test]
fn pods_become_ready_by_finding_each_other_and_leave_on_sigterm() {
    let directory = TempDir::new().unwrap();
    let authority = Authority::generate("kubernetes test", 30 * DAY).unwrap();
    let first = Pod::start(&authority, directory.path(), "member-0", "");
    assert_eq!(first.get("/live"), (200, "alive\n".into()));
    assert_eq!(first.get("/ready").0, 503, "it is alone");

    let second = Pod::start(&authority, directory.path(), "member-1", &first.address);
    let mut third = Pod::start(&authority, directory.path(), "member-2", &first.address);
    for pod in [&first, &second] {
        pod.process.wait_for("member-2 joined");
        assert_eq!(pod.get("/ready"), (200, "3 members\n".into()));
    }
    let (status, metrics) = second.get("/metrics");
    assert_eq!(status, 200);
    assert!(metrics.contains("swim_quic_members_alive 3"), "{metrics}");
    assert_eq!(second.get("/nothing").0, 404);

    third.terminate();
    third.process.wait_for("left: ");
    assert!(third.process.child.wait().unwrap().success());
    for pod in [&first, &second] {
        pod.process.wait_for("member-2 left");
        assert_eq!(pod.get("/ready"), (200, "2 members\n".into()), "ready whoever goes");
    }
}

#[test]
fn the_manifests_set_what_the_program_reads() {
    let manifest = include_str!("../../../docs/kubernetes/members.yaml");
    let program = include_str!("../examples/kubernetes/main.rs");
    let set: Vec<_> =
        manifest.lines().filter_map(|line| line.split_once("- name: MEMBER_")).collect();
    assert!(set.len() >= 4, "{set:?}");
    for (_, variable) in set {
        assert!(program.contains(&format!("MEMBER_{}\"", variable.trim())), "{variable}");
    }
    for page in ["/live", "/ready"] {
        assert!(manifest.contains(&format!("path: {page}")), "{page}");
    }
}

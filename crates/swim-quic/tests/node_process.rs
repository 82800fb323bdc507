//! The reference member as a process: its command line, its commands, and how it ends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/example_path.rs"]
mod example_path;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime};

use certs::{Authority, Existing};
use example_path::path_of;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);
const DAY: Duration = Duration::from_secs(86_400);

/// A certificate directory that goes away with the test.
struct Certificates {
    directory: PathBuf,
    authority: Authority,
}

impl Certificates {
    fn new(test: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("node-{test}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let authority = Authority::generate("node test", 30 * DAY).unwrap();
        authority.save(&directory).unwrap();
        Self { directory, authority }
    }

    fn issue(&self, name: &str) {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let issued = self.authority.issue(name, &loopback, 10 * DAY).unwrap();
        issued.save(&self.directory, Existing::Replace).unwrap();
    }

    fn path(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A running node; killed with the test.
struct Node {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<Value>,
}

impl Node {
    fn start(certificates: &Certificates, name: &str, more: &[&str]) -> Self {
        let mut child = Command::new(path_of("node"))
            .args(["--name", name, "--profile", "local", "--json"])
            .args(if more.contains(&"--bind") {
                &[] as &[&str]
            } else {
                &["--bind", "127.0.0.1:0"]
            })
            .arg("--certs")
            .arg(certificates.path())
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("not JSON ({error}): {line}"));
                if sender.send(value).is_err() {
                    break;
                }
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines }
    }

    fn await_event(&self, kind: &str, node: &str) -> Value {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("no {kind} about {node}"));
            assert!(line["ts"].as_f64().is_some_and(|ts| ts > 1.0e9), "{line}");
            if line["ev"] == kind && line["node"] == node {
                return line;
            }
        }
    }

    fn await_message(&self, from: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a message arrives");
            if line["ev"] == "msg" && line["from"] == from {
                return;
            }
        }
    }

    /// A warning, or a join attempt that failed.
    fn await_refusal(&self) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a refusal is reported");
            if line["ev"] == "warn" || (line["ev"] == "seed" && line["ok"] == false) {
                return;
            }
            assert_ne!(line["ev"], "join", "{line}");
        }
    }

    fn ask(&mut self, command: &str) -> Value {
        writeln!(self.stdin.as_mut().unwrap(), "{command}").unwrap();
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("no reply to {command}"));
            if line["ev"] == "reply" {
                let word = command.split_whitespace().next().unwrap();
                assert_eq!(line["cmd"], word, "{line}");
                return line;
            }
        }
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(certs: &Path, arguments: &[&str]) -> Output {
    Command::new(path_of("node"))
        .args(arguments)
        .arg("--certs")
        .arg(certs)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// One line on stderr that holds every one of `words`, nothing on stdout, exit code 2.
fn assert_refused(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "one line, please: {text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(output.stdout.is_empty(), "nothing was started");
}

#[test]
fn renewed_files_are_taken_up_once_and_damaged_ones_are_told() {
    let certificates = Certificates::new("renewal");
    certificates.issue("a");
    let mut node = Node::start(&certificates, "a", &[]);
    node.await_event("ready", "a");
    let next = |node: &Node| loop {
        let line = node.lines.recv_timeout(PATIENCE).expect("the files are looked at");
        if line["ev"] == "rotated" || (line["ev"] == "warn" && line["what"] == "certificate") {
            return line;
        }
    };
    // The reply and the event come in either order.
    let rotate = |node: &mut Node| {
        writeln!(node.stdin.as_mut().unwrap(), "rotate").unwrap();
        let (mut rotated, mut replied) = (None, false);
        while rotated.is_none() || !replied {
            let line = node.lines.recv_timeout(PATIENCE).expect("an event and a reply");
            replied |= line["ev"] == "reply" && line["ok"] == true;
            rotated = rotated.or_else(|| (line["ev"] == "rotated").then_some(line));
        }
        rotated.unwrap()
    };
    certificates.issue("a");
    let renewed = next(&node);
    assert_eq!(renewed["ev"], "rotated", "{renewed}");

    // They were looked at a moment ago. Who is asked to rotate does it at once, and not a second
    // time when they are looked at.
    certificates.issue("a");
    assert_eq!(rotate(&mut node)["former"], renewed["fingerprint"]);
    let later = std::iter::from_fn(|| node.lines.recv_timeout(Duration::from_secs(7)).ok());
    let said: Vec<Value> = later.filter(|line| line["ev"] == "rotated").collect();
    assert!(said.is_empty(), "{said:?}");

    fs::write(certificates.path().join("a.pem"), "half of it").unwrap();
    let damaged = next(&node);
    assert_eq!(damaged["ev"], "warn", "{damaged}");
    assert!(damaged["detail"].as_str().unwrap().contains("a.pem is not PEM"), "{damaged}");
    assert_eq!(node.ask("members")["ok"], true);
}

#[test]
fn bad_command_lines_are_refused_in_one_line() {
    let certificates = Certificates::new("refused");
    certificates.issue("ada");
    let base = ["--name", "ada", "--bind", "127.0.0.1:0"];
    for (more, words) in [
        (&["--frobnicate"] as &[&str], &["--frobnicate", "--help"] as &[&str]),
        (&["--profile", "moon"], &["moon", "lan"]),
        (&["--name-policy", "perhaps"], &["perhaps", "match"]),
        (&["--join", "127.0.0.1:7946,no port:x"], &["no port:x", "host:port"]),
        (&["--join", ""], &["malformed address"]),
        (&["--advertise", "seed.example"], &["seed.example"]),
        (&["--compress", "perhaps"], &["perhaps"]),
        (&["--log", "loud"], &["loud"]),
        (&["--key", "0g"], &["--key", "hex"]),
        (&["--key", "00112233"], &["--key", "16"]),
    ] {
        let arguments: Vec<&str> = base.iter().chain(more).copied().collect();
        assert_refused(&run(certificates.path(), &arguments), words);
    }
    assert_refused(&run(certificates.path(), &["--name", "ada"]), &["--bind"]);
    let output = run(certificates.path(), &["--name", "ada", "--bind", "localhost"]);
    assert_refused(&output, &["localhost", "IP:PORT"]);
    let output = run(certificates.path(), &["--name", "../ada", "--bind", "127.0.0.1:0"]);
    assert_refused(&output, &["../ada"]);
}

#[test]
fn bad_certificates_are_refused_in_one_line() {
    let certificates = Certificates::new("certificates");
    for name in ["ada", "bob", "old", "early"] {
        certificates.issue(name);
    }
    let try_name =
        |name: &str| run(certificates.path(), &["--name", name, "--bind", "127.0.0.1:0"]);
    assert_refused(&try_name("nobody"), &["nobody.pem"]);

    let file = |name: &str| certificates.path().join(name);
    let past = |name: &str, born: SystemTime| {
        let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST)];
        let issued = certificates.authority.issue_at(name, &loopback, DAY, born).unwrap();
        fs::write(file(&format!("{name}.pem")), issued.certificate_pem).unwrap();
        fs::write(file(&format!("{name}.key")), issued.key_pem).unwrap();
    };
    #[expect(clippy::disallowed_methods, reason = "certificates expire by the time of day")]
    let now = SystemTime::now();
    past("old", now - 10 * DAY);
    assert_refused(&try_name("old"), &["old.pem", "expired"]);
    past("early", now + 10 * DAY);
    assert_refused(&try_name("early"), &["early.pem", "not valid"]);

    fs::copy(file("bob.key"), file("ada.key")).unwrap();
    assert_refused(&try_name("ada"), &["ada.key"]);
    fs::write(file("ada.key"), "no key at all").unwrap();
    assert_refused(&try_name("ada"), &["ada.key"]);
    fs::copy(file("bob.pem"), file("ada.pem")).unwrap();
    fs::copy(file("bob.key"), file("ada.key")).unwrap();
    assert_refused(&try_name("ada"), &["bob", "ada"]);
    fs::write(file("ca.pem"), "no certificate at all").unwrap();
    assert_refused(&try_name("bob"), &["ca.pem"]);
}

#[test]
fn a_taken_port_is_refused_in_one_line() {
    let certificates = Certificates::new("port");
    certificates.issue("ada");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = socket.local_addr().unwrap().to_string();
    let output = run(certificates.path(), &["--name", "ada", "--bind", &taken]);
    assert_refused(&output, &[&taken, "port taken"]);
}

#[test]
fn every_command_gets_exactly_one_reply() {
    let certificates = Certificates::new("commands");
    certificates.issue("ada");
    certificates.issue("bob");
    let mut ada = Node::start(&certificates, "ada", &["--meta", "m-a"]);
    let ready = ada.await_event("ready", "ada");
    assert_eq!(ready["pid"], ada.child.id());
    let seed = ready["addr"].as_str().unwrap().to_owned();
    let mut bob = Node::start(&certificates, "bob", &["--meta", "m-b", "--join", &seed]);
    assert_eq!(ada.await_event("join", "bob")["meta"], "m-b");
    assert_eq!(bob.await_event("join", "ada")["addr"], seed.as_str());

    let members = ada.ask("members");
    let names: Vec<&str> = members["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| member["node"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["ada", "bob"]);
    assert_eq!(members["members"][1]["state"], "alive");
    assert!(members["members"][0]["incarnation"].as_u64().unwrap() >= 1);

    assert_eq!(ada.ask("meta new text")["ok"], true);
    assert_eq!(bob.await_event("update", "ada")["meta"], "new text");
    assert!(ada.ask("ping bob")["rtt_us"].as_u64().unwrap() > 0);
    // The ack of that ping told ada what bob knows.
    let agreement = ada.ask("agreement");
    assert_eq!(agreement["agreeing"], serde_json::json!(["bob"]), "{agreement}");
    assert_eq!(ada.ask("doubt bob")["ok"], true);
    assert_eq!(ada.ask("doubt zoe")["ok"], false);
    assert_eq!(ada.ask("explain bob")["error"], "not yet");
    let stats = ada.ask("stats");
    assert_eq!(stats["membership"]["members"]["alive"], 2);
    assert!(stats["transport"]["bytes"]["in"].as_u64().unwrap() > 0);
    assert!(stats["process"]["rss_bytes"].as_u64().unwrap() > 0);
    assert!(stats["process"]["fds"].as_u64().unwrap() > 0);
    let metrics = ada.ask("metrics");
    let text = metrics["text"].as_str().unwrap();
    assert!(text.contains("\nswim_quic_members_alive{member=\"ada\"} 2\n"), "{text}");

    for bad in ["frobnicate", "members now", "send bob", "ping", "sendn bob x 1", "join", "bcast"] {
        let reply = ada.ask(bad);
        assert_eq!(reply["ok"], false, "{bad}: {reply}");
        assert!(!reply["error"].as_str().unwrap().is_empty(), "{bad}: {reply}");
    }
    assert_eq!(ada.ask("stream bob echo hello")["answer"], "hello");
    assert_eq!(ada.ask("stream bob nobody hello")["ok"], false);

    let left = bob.ask("leave");
    assert_eq!((&left["ok"], &left["told"]), (&Value::Bool(true), &Value::from(1)));
    ada.await_event("leave", "bob");
    assert_eq!(bob.ask("members")["ok"], true, "it stays up as a non-member");
    assert_eq!(bob.ask("leave")["ok"], false);
    assert_eq!(bob.ask("quit")["ok"], true);
    assert_eq!(bob.exit_code(), Some(0));
    assert_eq!(ada.ask("quit")["ok"], true);
    assert_eq!(ada.exit_code(), Some(0));
}

#[test]
fn die_exits_at_once_and_sends_nothing() {
    let certificates = Certificates::new("die");
    certificates.issue("ada");
    certificates.issue("bob");
    let ada = Node::start(&certificates, "ada", &[]);
    let seed = ada.await_event("ready", "ada")["addr"].as_str().unwrap().to_owned();
    let mut bob = Node::start(&certificates, "bob", &["--join", &seed]);
    ada.await_event("join", "bob");
    writeln!(bob.stdin.as_mut().unwrap(), "die").unwrap();
    assert_eq!(bob.exit_code(), Some(0));
    let fail = ada.await_event("fail", "bob");
    assert_eq!(fail["by"], "ada");
    assert!(fail["after_ms"].as_u64().unwrap() > 0);
}

#[test]
fn the_end_of_stdin_ends_a_node_only_on_request() {
    let certificates = Certificates::new("eof");
    certificates.issue("ada");
    certificates.issue("bob");
    let mut ada = Node::start(&certificates, "ada", &["--exit-on-eof"]);
    ada.await_event("ready", "ada");
    ada.stdin = None;
    assert_eq!(ada.exit_code(), Some(0));

    let mut bob = Node::start(&certificates, "bob", &[]);
    bob.await_event("ready", "bob");
    bob.stdin = None;
    while let Ok(line) = bob.lines.recv_timeout(Duration::from_millis(500)) {
        assert_eq!(line["ev"], "stable_view", "it is alone, and well");
    }
    assert!(bob.child.try_wait().unwrap().is_none(), "bob lives on");
}

#[test]
fn a_signal_makes_a_node_leave() {
    let certificates = Certificates::new("signal");
    certificates.issue("ada");
    certificates.issue("bob");
    let ada = Node::start(&certificates, "ada", &[]);
    let seed = ada.await_event("ready", "ada")["addr"].as_str().unwrap().to_owned();
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let mut bob = Node::start(&certificates, "bob", &["--join", &seed]);
        ada.await_event("join", "bob");
        let pid = rustix::process::Pid::from_child(&bob.child);
        rustix::process::kill_process(pid, signal).unwrap();
        assert_eq!(bob.exit_code(), Some(0));
        ada.await_event("leave", "bob");
    }
}

#[test]
fn a_seed_that_does_not_answer_is_retried_until_it_does() {
    let certificates = Certificates::new("seed");
    certificates.issue("ada");
    certificates.issue("bob");
    let parked = UdpSocket::bind("127.0.0.1:0").unwrap();
    let seed = parked.local_addr().unwrap().to_string();
    let ada = Node::start(&certificates, "ada", &["--join", &seed]);
    ada.await_event("ready", "ada");
    let failed = loop {
        let line = ada.lines.recv_timeout(PATIENCE).unwrap();
        if line["ev"] == "seed" {
            break line;
        }
    };
    assert_eq!((&failed["ok"], &failed["addr"]), (&Value::Bool(false), &Value::from(seed.clone())));
    drop(parked);
    let bob = Node::start(&certificates, "bob", &["--bind", &seed]);
    bob.await_event("ready", "bob");
    ada.await_event("join", "bob");
}

#[test]
fn label_and_key_admit_only_those_who_have_them() {
    const KEY: &str = "000102030405060708090a0b0c0d0e0f1011121314151617";
    let certificates = Certificates::new("label");
    for name in ["ada", "bob", "eve", "mal"] {
        certificates.issue(name);
    }
    let start = |name: &str, label: &str, key: &str, seed: &str| {
        let mut arguments = vec!["--label", label, "--key", key];
        if !seed.is_empty() {
            arguments.extend(["--join", seed]);
        }
        Node::start(&certificates, name, &arguments)
    };
    let mut ada = start("ada", "blue", KEY, "");
    let seed = ada.await_event("ready", "ada")["addr"].as_str().unwrap().to_owned();
    let eve = start("eve", "red", KEY, &seed);
    let mal = start("mal", "blue", "00112233445566778899aabbccddeeff", &seed);
    for refused in [&eve, &mal] {
        refused.await_refusal();
    }
    ada.await_refusal();
    let _bob = start("bob", "blue", KEY, &seed);
    ada.await_event("join", "bob");
    let members = ada.ask("members");
    assert_eq!(members["members"].as_array().unwrap().len(), 2, "{members}");
}

#[test]
fn keys_are_replaced_while_members_talk() {
    const OLD: &str = "000102030405060708090a0b0c0d0e0f";
    const NEW: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let certificates = Certificates::new("rotation");
    for name in ["ada", "bob", "eve"] {
        certificates.issue(name);
    }
    let mut ada = Node::start(&certificates, "ada", &["--key", OLD]);
    let seed = ada.await_event("ready", "ada")["addr"].as_str().unwrap().to_owned();
    let mut bob = Node::start(&certificates, "bob", &["--key", OLD, "--join", &seed]);
    ada.await_event("join", "bob");
    bob.await_event("join", "ada");

    let refused = ada.ask(&format!("key-use {NEW}"));
    assert!(refused["error"].as_str().unwrap().contains("add it first"), "{refused}");
    for step in ["key-add", "key-use"] {
        for node in [&mut ada, &mut bob] {
            assert_eq!(node.ask(&format!("{step} {NEW}"))["ok"], true);
        }
    }
    let refused = ada.ask(&format!("key-remove {NEW}"));
    assert!(refused["error"].as_str().unwrap().contains("switch to another"), "{refused}");
    let refused = ada.ask("key-add 0011");
    assert!(refused["error"].as_str().unwrap().contains("16, 24 or 32"), "{refused}");
    for node in [&mut ada, &mut bob] {
        assert_eq!(node.ask(&format!("key-remove {OLD}"))["ok"], true);
        assert_eq!(node.ask("keys")["keys"], serde_json::json!([NEW]));
    }
    assert_eq!(ada.ask("sendr bob hello")["ok"], true);
    bob.await_message("ada");
    assert_eq!(bob.ask("send ada hello")["ok"], true);
    ada.await_message("bob");
    // Who knows only the old key stays outside.
    let eve = Node::start(&certificates, "eve", &["--key", OLD, "--join", &seed]);
    eve.await_refusal();
    ada.await_refusal();
}

#[test]
fn the_reset_secret_is_made_once_and_checked() {
    let certificates = Certificates::new("reset");
    certificates.issue("ada");
    let path = certificates.path().join("ada.reset");
    let start = || {
        let mut ada = Node::start(&certificates, "ada", &[]);
        ada.await_event("ready", "ada");
        ada.ask("quit");
        ada.exit_code();
        fs::read_to_string(&path).unwrap()
    };
    let secret = start();
    assert_eq!(secret.trim().len(), 64);
    assert_eq!(start(), secret);
    // What an earlier version left behind where the disk was full counts as absent.
    fs::write(&path, "").unwrap();
    let made_anew = start();
    assert!(made_anew.trim().len() == 64 && made_anew != secret);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&path, "not hex").unwrap();
    let output = run(certificates.path(), &["--name", "ada", "--bind", "127.0.0.1:0"]);
    assert_refused(&output, &["ada.reset", "delete"]);
}

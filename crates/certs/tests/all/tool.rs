//! The certificate tool: Ada's files are made, shown and verified from a command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Where cargo puts examples, seen from a test's own executable.
fn tool() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples/certs");
    assert!(
        path.exists(),
        "{} is missing: cargo test -p swim-quic-certs builds it",
        path.display()
    );
    path
}

fn run(directory: &Path, line: &str) -> Output {
    let words = line.split_whitespace();
    Command::new(tool()).current_dir(directory).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn what_the_tool_makes_it_shows_and_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let done = |line: &str| {
        let output = run(directory.path(), line);
        assert!(output.status.success(), "{line}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(done("ca --out made"), "wrote made/ca.pem\nwrote made/ca.key\n");
    let node = "node ada --ca made --out ada --ip 127.0.0.1,::1 --dns ada.example \
                --spiffe spiffe://example.org/member/ada --days 30";
    assert_eq!(done(node), "wrote ada/ada.pem\nwrote ada/ada.key\n");
    let shown = done("show ada/ada.pem");
    for part in [
        "certificate 1 of 1",
        "CN=ada",
        "DNS \"ada\", DNS \"ada.example\", URI \"spiffe://example.org/member/ada\", IP 127.0.0.1, \
         IP ::1",
        "proves the names  ada, ada.example\n",
        "EC P-256",
        "digitalSignature; extended: serverAuth, clientAuth; no authority",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let pem = std::fs::read(directory.path().join("ada/ada.pem")).unwrap();
    let leaf = boring::x509::X509::from_pem(&pem).unwrap();
    let digest = leaf.digest(boring::hash::MessageDigest::sha256()).unwrap();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(shown.contains(&hex), "{hex} in {shown}");
    let by_id = done("show ada/ada.pem --spiffe spiffe://example.org/{name}/ada");
    assert!(by_id.contains("proves the names  member\n"), "{by_id}");
    assert!(done("show made/ca.pem").contains("keyCertSign, cRLSign; extended: any; an authority"));

    let verify = "verify --ca made/ca.pem --cert ada/ada.pem --key ada/ada.key";
    for name in ["", " --name ada", " --name ada.example"] {
        let said = done(&format!("{verify}{name}"));
        assert_eq!(said, "accepted on both sides: ada/ada.pem, for ada, ada.example\n");
    }
    done(&format!("{verify} --spiffe spiffe://example.org/member/{{name}} --name ada"));
    // The flat form goes on as before, beside.
    assert_eq!(
        done("--dir made --name bob --ip 127.0.0.1"),
        "wrote made/bob.pem\nwrote made/bob.key\n"
    );
}

#[test]
fn a_refused_certificate_is_1_and_bad_input_2_each_with_a_reason() {
    let directory = tempfile::tempdir().unwrap();
    for line in ["ca --out made", "ca --out other", "node ada --ca made --ip 127.0.0.1"] {
        assert!(run(directory.path(), line).status.success(), "{line}");
    }
    let verify = |rest: &str| format!("verify --cert made/ada.pem --key made/ada.key --ca {rest}");
    for (line, code, reason) in [
        (&*verify("other/ca.pem"), 1, "was issued with another key"),
        (&*verify("made/ca.pem --name bob"), 1, "does not prove the name \"bob\""),
        (&*verify("none.pem"), 1, "cannot read none.pem"),
        (&*verify("made/ca.pem --spiffe x"), 2, "does not begin with spiffe://"),
        ("verify --ca made/ca.pem", 2, "--cert <CERT> --key <KEY>"),
        ("show made/ada.key", 2, "where CERTIFICATE belongs"),
        ("show", 2, "<FILE>"),
        ("ca --out made", 2, "exists and is kept"),
        ("ca --out x --organisation=", 2, "1 to 64 characters"),
        ("node ada --ca none", 2, "certs ca --out DIR"),
        ("node ada --ca made", 2, "pass --replace"),
        ("node a*b --ca made", 2, "wildcard"),
        ("node b --ca made --dns *.b", 2, "is no DNS name"),
        ("node zo\u{eb} --ca made --dns b", 2, "proves nothing beside"),
        ("node b --ca made --spiffe spiffe://b", 2, "no SPIFFE ID"),
        ("node b --ca made --days 0", 2, "--days"),
        ("--dir made --name b", 2, "--ip <IP>"),
        ("", 2, "--dir <DIR>"),
    ] {
        let output = run(directory.path(), line);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        assert!(said.contains(reason), "{line}: {said}");
        assert!(output.stdout.is_empty(), "{line}");
    }
}

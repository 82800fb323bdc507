//! Ada's certificate before others: openssl verifies it, and Go shakes hands with it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use boring::ssl::Ssl;
use certs::{Authority, Existing, IdentityFiles, MemberRequest, tls_context};

use crate::participants::DAY;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What we issue: with all there is, with little, with a long name, with one that is no DNS name.
fn requests() -> Vec<MemberRequest> {
    let with_address = |name: &str| MemberRequest {
        addresses: vec![HERE, "::1".parse().unwrap()],
        ..MemberRequest::new(name)
    };
    vec![
        with_address("ada"),
        MemberRequest {
            dns_names: vec!["ada.example.org".into(), "ada_2".into()],
            spiffe_id: Some("spiffe://example.org/member/ada".into()),
            ..with_address("ada")
        },
        with_address(&format!("{0}.{0}.{0}", "a".repeat(60))),
        with_address("zo\u{eb} of the north"),
        MemberRequest::new("ada"),
        MemberRequest::new("zo\u{eb}"),
    ]
}

/// Our own authority, and one that openssl made, if it is there.
fn authorities(directory: &Path) -> Vec<PathBuf> {
    let own = directory.join("own");
    fs::create_dir(&own).unwrap();
    Authority::generate("Example", 30 * DAY).unwrap().save(&own).unwrap();
    let rsa = directory.join("rsa");
    fs::create_dir(&rsa).unwrap();
    let line = "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -subj /CN=root \
        -days 30 -addext keyUsage=critical,keyCertSign";
    let made = Command::new("openssl").current_dir(&rsa).args(line.split_whitespace()).output();
    match made {
        Ok(made) => {
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            vec![own, rsa]
        }
        Err(_) => vec![own],
    }
}

/// The files of a member in the folder of its authority, under another name than its own, which may
/// not be the name of a file.
fn issue(authority: &Path, request: &MemberRequest, file: &str) -> IdentityFiles {
    let mut issued =
        Authority::load(authority).unwrap().issue_request(request, DAY, now()).unwrap();
    file.clone_into(&mut issued.name);
    issued.save(authority, Existing::Keep).unwrap();
    IdentityFiles::in_directory(authority, file)
}

#[test]
fn openssl_verifies_what_we_issue_for_both_sides() {
    let directory = tempfile::tempdir().unwrap();
    let authorities = authorities(directory.path());
    if authorities.len() == 1 {
        println!("not tested: openssl is not installed");
        return;
    }
    for authority in authorities {
        for (index, request) in requests().iter().enumerate() {
            let files = issue(&authority, request, &format!("member-{index}"));
            for purpose in ["sslserver", "sslclient"] {
                let mut verify = Command::new("openssl");
                verify.args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile"]);
                verify.arg(&files.authority).arg(&files.certificate);
                let done = verify.output().unwrap();
                let said = String::from_utf8_lossy(&done.stderr);
                assert!(done.status.success(), "{purpose} {request:?}: {said}");
            }
            let mut verify = Command::new("openssl");
            verify.args(["verify", "-verify_ip", "127.0.0.1", "-CAfile"]);
            verify.arg(&files.authority).arg(&files.certificate);
            let is_for_address = !request.addresses.is_empty();
            assert_eq!(verify.output().unwrap().status.success(), is_for_address, "{request:?}");
        }
    }
}

#[test]
fn go_shakes_hands_with_what_we_issue_dialing_and_dialed() {
    let directory = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/handshake.go");
    let program = directory.path().join("handshake");
    let built = Command::new("go").arg("build").arg("-o").arg(&program).arg(source).output();
    let Ok(built) = built else {
        println!("not tested: Go is not installed");
        return;
    };
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for authority in authorities(directory.path()) {
        for (index, request) in requests().iter().enumerate() {
            let files = issue(&authority, request, &format!("member-{index}"));
            let dialed = go_accepts(&program, &files);
            assert!(dialed.contains("accepted"), "Go is dialed with {request:?}: {dialed}");
            // Go looks for the address that it dials in the certificate.
            let is_accepted = !request.addresses.is_empty();
            let dials = go_dials(&program, &files);
            assert_eq!(dials.contains("accepted"), is_accepted, "Go dials {request:?}: {dials}");
            assert!(is_accepted || dials.contains("IP SANs"), "{dials}");
        }
    }
}

/// We dial a program in Go; both have this certificate. What it says in the end.
fn go_accepts(program: &Path, files: &IdentityFiles) -> String {
    let mut go = go(program, "accept", files).spawn().unwrap();
    let mut said = BufReader::new(go.stdout.take().unwrap());
    let mut address = String::new();
    said.read_line(&mut address).unwrap();
    let stream = TcpStream::connect(address.trim()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let connecting = ours(files).setup_connect(stream).handshake();
    let exchanged = connecting.map_err(|error| error.to_string()).and_then(|mut connected| {
        let mut answer = [0; 1];
        let done = connected.write_all(b"?").and_then(|()| connected.read_exact(&mut answer));
        done.map_err(|error| error.to_string())
    });
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    go.wait().unwrap();
    match exchanged {
        Ok(()) => rest,
        Err(error) => format!("we: {error}; Go: {}", rest.replace("accepted", "")),
    }
}

/// A program in Go dials us; both have this certificate. What it says in the end.
fn go_dials(program: &Path, files: &IdentityFiles) -> String {
    let listener = TcpListener::bind((HERE, 0)).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let go = go(program, "dial", files).arg(address).spawn().unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut question = [0; 1];
    // A refusal is told by the side that refuses.
    if let Ok(mut connected) = ours(files).setup_accept(stream).handshake()
        && connected.read_exact(&mut question).is_ok()
    {
        connected.write_all(&question).unwrap();
    }
    let done = go.wait_with_output().unwrap();
    String::from_utf8(done.stdout).unwrap()
}

fn go(program: &Path, side: &str, files: &IdentityFiles) -> Command {
    let mut go = Command::new(program);
    go.arg(side).arg(&files.authority).arg(&files.certificate).arg(&files.key);
    go.stdout(Stdio::piped());
    go
}

fn ours(files: &IdentityFiles) -> Ssl {
    let identity = certs::Identity::load(files, now()).unwrap();
    Ssl::new(&tls_context(&identity, &identity.trust()).unwrap().build()).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "openssl and Go go by the wall clock")]
fn now() -> SystemTime {
    SystemTime::now()
}

//! Certificates that others made: openssl, programs in Go, cert-manager, SPIRE. Needs openssl, and
//! Go; where one is missing, it says so and tests the rest.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "the identities of this test have certificates of another kind")]
mod common;
#[path = "common/relay.rs"]
mod relay;

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use common::{PATIENCE, alive, eventually, quick};
use relay::Relay;
use swim_quic::{Builder, Cluster, Config, IdentityFiles, NameFields};

const SECOND: Duration = Duration::from_secs(1);

/// Kinds of keys, in the words of openssl.
const KEYS: [(&str, &str); 6] = [
    ("p256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"),
    ("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
    ("p521", "-algorithm EC -pkeyopt ec_paramgen_curve:P-521"),
    ("ed25519", "-algorithm ED25519"),
    ("rsa2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"),
    ("rsa4096", "-algorithm RSA -pkeyopt rsa_keygen_bits:4096"),
];

/// Every kind of key, in PKCS#8 and in the older form, below none, one and two intermediates.
#[test]
fn members_with_certificates_of_openssl_meet() {
    let Some(openssl) = Openssl::find() else { return };
    for (kind, _) in KEYS {
        let mut issuer = openssl.authority(kind, "root", None);
        for intermediates in 0..=2 {
            for form in ["pkcs8", "traditional"] {
                // There is no older form of these.
                if kind == "ed25519" && form == "traditional" {
                    continue;
                }
                let [ada, bob] =
                    ["ada", "bob"].map(|name| openssl.member(kind, name, &issuer, form));
                let what = format!("{kind}, {form}, {intermediates} intermediates");
                meet(&what, &NameFields::default(), [&ada, &bob]);
            }
            issuer = openssl.authority(kind, &format!("between-{intermediates}"), Some(&issuer));
        }
    }
}

/// Each trusts all the roots, which have names of their own: of two with one name and without key
/// identifiers only the first would be looked at.
#[test]
fn members_with_every_kind_of_key_are_one_cluster() {
    let Some(openssl) = Openssl::find() else { return };
    let mut roots = String::new();
    let mut files = Vec::new();
    for (kind, _) in KEYS {
        let root = openssl.authority(kind, &format!("root-{kind}"), None);
        roots += &fs::read_to_string(root.join("chain.pem")).unwrap();
        let between = openssl.authority(kind, "between", Some(&root));
        files.push((kind, openssl.member(kind, kind, &between, "pkcs8")));
    }
    let mut members: Vec<Cluster> = Vec::new();
    for (name, files) in &files {
        fs::write(&files.authority, &roots).unwrap();
        let first = members.first().map(|first| first.address().to_string());
        members.push(member(name, files, &NameFields::default()).seeds(first).start().unwrap());
    }
    for from in &members {
        eventually("all see all", || alive(from).len() == members.len());
        for to in members.iter().filter(|to| to.name() != from.name()) {
            from.disconnect(to.name().to_string().as_str()).unwrap();
            from.connect(to.name().to_string().as_str(), PATIENCE).unwrap();
        }
    }
}

#[test]
fn members_with_certificates_of_programs_in_go_meet() {
    let made = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/foreign.go");
    let go = Command::new("go").arg("run").arg(source).arg(made.path()).output();
    let Ok(go) = go else {
        println!("not tested: Go is not installed");
        return;
    };
    assert!(go.status.success(), "{}", String::from_utf8_lossy(&go.stderr));
    let by_id = NameFields::spiffe("spiffe://example.org/member/{name}".parse().unwrap());
    let mut shapes: Vec<PathBuf> =
        fs::read_dir(made.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    shapes.sort();
    assert_eq!(shapes.len(), 2 * KEYS.len() + 2, "{shapes:?}");
    for shape in shapes {
        let what = shape.file_name().unwrap().to_string_lossy();
        let [ada, bob] = ["ada", "bob"].map(|name| files_in(&shape.join(name)));
        let fields = if what.starts_with("spire") { by_id.clone() } else { NameFields::default() };
        meet(&what, &fields, [&ada, &bob]);
    }
}

/// Some 3,900 bytes of certificates in each direction, below two intermediates: more than a server
/// may send before the client's address is proven, which is three times 1,200 bytes (RFC 9000,
/// section 8.1).
#[test]
fn rsa_4096_with_a_chain_joins_at_100_ms_of_delay() {
    let Some(openssl) = Openssl::find() else { return };
    let root = openssl.authority("rsa4096", "root", None);
    let between = openssl.authority("rsa4096", "between", Some(&root));
    let below = openssl.authority("rsa4096", "below", Some(&between));
    let files = ["ada", "bob"].map(|name| openssl.member("rsa4096", name, &below, "pkcs8"));
    let [for_ada, for_bob] = [0, 0].map(|_: u8| UdpSocket::bind("127.0.0.1:0").unwrap());
    let addresses = [&for_ada, &for_bob].map(|socket| socket.local_addr().unwrap());
    let own = [0, 0].map(|_: u8| free_address());
    let start = |name: &str, place: usize| {
        let member = member(name, &files[place], &NameFields::default()).config(Config::lan());
        member.advertise(addresses[place]).bind(own[place].to_string()).start().unwrap()
    };
    let (ada, bob) = (start("ada", 0), start("bob", 1));
    let path = relay::Path {
        delay: Duration::from_millis(100),
        lost: 0,
        cut: (3_600 * SECOND, Duration::ZERO),
        narrow: (Duration::ZERO, Duration::ZERO),
    };
    let _relay = Relay::start([(for_bob, own[0]), (for_ada, own[1])], path);
    for (from, to, address) in [(&ada, "bob", addresses[1]), (&bob, "ada", addresses[0])] {
        let begun = now();
        assert_eq!(from.join([address.to_string()], 10 * SECOND).unwrap().joined, 1);
        println!("joined after {:?}", begun.elapsed());
        eventually("both meet", || [&ada, &bob].iter().all(|one| alive(one).len() == 2));
        from.disconnect(to).unwrap();
        let begun = now();
        from.connect(to, 10 * SECOND).unwrap();
        println!("connected after {:?}", begun.elapsed());
        assert!(begun.elapsed() < 3 * SECOND, "a dial has three seconds");
    }
}

/// Ada joins Bob, and each dials the other one.
fn meet(what: &str, fields: &NameFields, [ada, bob]: [&IdentityFiles; 2]) {
    let start = |name, files| {
        let started = member(name, files, fields).start();
        started.unwrap_or_else(|error| panic!("{what}: {name}: {error}"))
    };
    let (ada, bob) = (start("ada", ada), start("bob", bob));
    let joined = ada.join([bob.address().to_string()], PATIENCE);
    joined.unwrap_or_else(|error| panic!("{what}: {error}"));
    eventually("both meet", || [&ada, &bob].iter().all(|one| alive(one).len() == 2));
    for (from, to) in [(&ada, "bob"), (&bob, "ada")] {
        from.disconnect(to).unwrap();
        let dialed = from.connect(to, PATIENCE);
        dialed.unwrap_or_else(|error| panic!("{what}: {to} is dialed: {error}"));
    }
}

fn member(name: &str, files: &IdentityFiles, fields: &NameFields) -> Builder {
    let member = Cluster::builder(name).bind("127.0.0.1:0").identity_files(files.clone());
    member.name_fields(fields.clone()).config(quick())
}

fn files_in(folder: &Path) -> IdentityFiles {
    IdentityFiles {
        authority: folder.join("ca.pem"),
        certificate: folder.join("cert.pem"),
        key: folder.join("key.pem"),
    }
}

/// openssl's command line, in a folder.
struct Openssl {
    folder: tempfile::TempDir,
}

impl Openssl {
    #[expect(clippy::print_stdout, reason = "says what is not tested")]
    fn find() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            println!("not tested: openssl is not installed");
            return None;
        }
        Some(Self { folder: tempfile::tempdir().unwrap() })
    }

    fn run(&self, line: &str) {
        let words = line.split_whitespace();
        let done = Command::new("openssl").current_dir(&self.folder).args(words).output().unwrap();
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// One key of each kind for all: those of RSA take seconds to make.
    fn key(&self, kind: &str) -> String {
        let key = format!("{kind}.key");
        if !self.folder.path().join(&key).exists() {
            let (_, words) = KEYS.iter().find(|(known, _)| *known == kind).unwrap();
            self.run(&format!("genpkey {words} -out {key}"));
        }
        key
    }

    /// A root, or an intermediate: a folder with its certificate, those above it but the root, the
    /// root, and the files that openssl issues with.
    fn authority(&self, kind: &str, name: &str, issuer: Option<&Path>) -> PathBuf {
        let extensions = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n";
        self.issue(kind, name, issuer, extensions)
    }

    fn member(&self, kind: &str, name: &str, issuer: &Path, form: &str) -> IdentityFiles {
        let extensions = format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=DNS:{name},IP:127.0.0.1\n"
        );
        let folder = self.issue(kind, name, Some(issuer), &extensions);
        let key = folder.join("key.pem");
        let traditional = if form == "traditional" { "-traditional" } else { "" };
        self.run(&format!("pkey -in {} {traditional} -out {}", self.key(kind), key.display()));
        let first_line = fs::read_to_string(&key).unwrap();
        let is_pkcs8 = first_line.starts_with("-----BEGIN PRIVATE KEY-----");
        assert_eq!(is_pkcs8, form == "pkcs8", "{kind} {form}");
        fs::write(folder.join("cert.pem"), fs::read(folder.join("chain.pem")).unwrap()).unwrap();
        files_in(&folder)
    }

    fn issue(&self, kind: &str, name: &str, issuer: Option<&Path>, extensions: &str) -> PathBuf {
        let above = issuer.map_or("none", |issuer| issuer.file_name().unwrap().to_str().unwrap());
        let folder = self.folder.path().join(format!("{kind}-{name}-below-{above}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("extensions"), extensions).unwrap();
        let (key, folder_text) = (self.key(kind), folder.display());
        let digest = if kind == "ed25519" { "" } else { "-sha256" };
        self.run(&format!("req -new -key {key} -subj /CN={name} -out {folder_text}/csr.pem"));
        let signed_by = match issuer.map(|issuer| issuer.join("own.pem")) {
            None => format!("-signkey {key}"),
            Some(own) => format!("-CA {} -CAkey {key} -CAcreateserial", own.display()),
        };
        self.run(&format!(
            "x509 -req {digest} -in {folder_text}/csr.pem {signed_by} -days 2 -extfile \
             {folder_text}/extensions -out {folder_text}/own.pem"
        ));
        let own = fs::read_to_string(folder.join("own.pem")).unwrap();
        let (root, above) = match issuer {
            None => (own.clone(), String::new()),
            Some(issuer) => {
                let read = |file| fs::read_to_string(issuer.join(file)).unwrap();
                (read("ca.pem"), read("chain.pem"))
            }
        };
        // A chain ends below the root.
        let above = if above == root { String::new() } else { above };
        fs::write(folder.join("ca.pem"), root).unwrap();
        fs::write(folder.join("chain.pem"), own + &above).unwrap();
        folder
    }
}

/// A loopback address that is free for now.
fn free_address() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[expect(clippy::disallowed_methods, reason = "real sockets need real time")]
fn now() -> Instant {
    Instant::now()
}

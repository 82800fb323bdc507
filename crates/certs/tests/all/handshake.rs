//! Ada dials, Bob accepts: two TLS contexts shake hands in memory, or refuse to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::participants::{CENTURY, DAY, authority, data, day_one, member, member_from};
use boring::ssl::{
    HandshakeError, Ssl, SslContext, SslContextBuilder, SslMethod, SslSessionCacheMode, SslStream,
    SslVerifyMode, SslVersion,
};
use boring::x509::X509VerifyError;
use certs::{
    Authority, Fingerprint, Identity, IdentityFiles, KeyExchange, NamePolicy, Trust, peer_names,
    tls_context, tls_context_with,
};

#[test]
fn members_of_one_authority_meet_and_know_each_other() {
    let authority = authority();
    let (ada, bob) = (member(&authority, "ada"), member(&authority, "bob"));

    let mut met = meet(context(&ada), context(&bob)).unwrap();

    assert_eq!(met.names_seen_by_acceptor(), ["ada"]);
    assert_eq!(met.names_seen_by_dialer(), ["bob"]);
    assert_eq!(met.dialer.ssl().version2(), Some(SslVersion::TLS1_3));
    assert_eq!(met.dialer.ssl().curve_name(), Some("X25519"));
    met.exchange().unwrap();
}

#[test]
fn certificates_made_elsewhere_meet() {
    let members = [
        ("go-ca", "go"),
        ("rsa-ca", "rsa"),
        ("ed25519-ca", "ed25519"),
        ("ec-ca", "p384"),
        ("ec-ca", "below-chain"),
    ];
    for (authority, name) in members {
        let key = name.trim_end_matches("-chain");
        let files = IdentityFiles {
            authority: data(&format!("{authority}.pem")),
            certificate: data(&format!("{name}.pem")),
            key: data(&format!("{key}.key")),
        };
        let ada = Identity::load(&files, day_one()).unwrap();
        let mut met = meet(context(&ada), context(&ada)).unwrap();
        assert_eq!(met.names_seen_by_acceptor()[0], "ada", "{name}");
        met.exchange().unwrap();
    }
}

#[test]
fn a_dialer_without_certificate_is_refused() {
    let authority = authority();
    let bob = member(&authority, "bob");
    let mut nobody = SslContext::builder(SslMethod::tls()).unwrap();
    nobody.set_verify(SslVerifyMode::NONE);

    let refusal = meet(nobody, context(&bob)).unwrap_err();

    assert_eq!(refusal.by, Side::Acceptor);
    assert!(refusal.reason.contains("PEER_DID_NOT_RETURN_A_CERTIFICATE"), "{refusal:?}");
    assert!(refusal.told.contains("CERTIFICATE_REQUIRED"), "{refusal:?}");
}

#[test]
fn members_of_another_authority_are_refused_on_both_sides() {
    let (ours, theirs) = (authority(), authority());
    let (ada, bob) = (member(&ours, "ada"), member(&theirs, "bob"));
    let unknown = Some(X509VerifyError::UNABLE_TO_GET_ISSUER_CERT_LOCALLY);

    let refusal = meet(context(&ada), context(&bob)).unwrap_err();
    assert_eq!((refusal.by, refusal.verdict), (Side::Dialer, unknown));
    assert!(refusal.told.contains("UNKNOWN_CA"), "{refusal:?}");

    // Ada trusts both authorities: Bob has to refuse her by himself.
    let both = format!("{}{}", ours.certificate_pem(), theirs.certificate_pem());
    let trusting = tls_context(&ada, &Trust::from_pem(both.as_bytes()).unwrap()).unwrap();
    let refusal = meet(trusting, context(&bob)).unwrap_err();
    assert_eq!((refusal.by, refusal.verdict), (Side::Acceptor, unknown));
}

#[test]
fn certificates_outside_their_time_are_refused() {
    let authority = authority();
    let bob = member(&authority, "bob");
    let old = member_from(&authority, "ada", day_one(), DAY);
    let early = member_from(&authority, "ada", day_one() + CENTURY / 2, DAY);

    for (ada, verdict, alert) in [
        (old, X509VerifyError::CERT_HAS_EXPIRED, "CERTIFICATE_EXPIRED"),
        (early, X509VerifyError::CERT_NOT_YET_VALID, "CERTIFICATE_EXPIRED"),
    ] {
        let refusal = meet(context(&ada), context(&bob)).unwrap_err();
        assert_eq!((refusal.by, refusal.verdict), (Side::Acceptor, Some(verdict)));
        assert!(refusal.told.contains(alert), "{refusal:?}");
        let refusal = meet(context(&bob), context(&ada)).unwrap_err();
        assert_eq!((refusal.by, refusal.verdict), (Side::Dialer, Some(verdict)));
    }
}

#[test]
fn revocation_acts_at_once_on_contexts_that_exist() {
    let authority = authority();
    let (ada, bob) = (member(&authority, "ada"), member(&authority, "bob"));
    let trust = bob.trust();
    let acceptor = tls_context(&bob, &trust).unwrap().build();
    meet_built(&context(&ada).build(), &acceptor).unwrap();

    assert_eq!(trust.revoke(ada.fingerprint()), Ok(true));
    assert_eq!(trust.revoke(ada.fingerprint()), Ok(false));

    let refusal = meet_built(&context(&ada).build(), &acceptor).unwrap_err();
    assert_eq!(
        (refusal.by, refusal.verdict),
        (Side::Acceptor, Some(X509VerifyError::CERT_REVOKED))
    );
    assert!(refusal.told.contains("CERTIFICATE_REVOKED"), "{refusal:?}");

    // A reissued certificate is another certificate; renewed trust keeps the revocations.
    meet_built(&context(&member(&authority, "ada")).build(), &acceptor).unwrap();
    let renewed = tls_context(&bob, &trust.renewed(&bob)).unwrap();
    assert!(meet(context(&ada), renewed).is_err());
}

#[test]
fn revoking_an_intermediate_refuses_all_below_it() {
    let files = IdentityFiles {
        authority: data("ec-ca.pem"),
        certificate: data("below-chain.pem"),
        key: data("below.key"),
    };
    let below = Identity::load(&files, day_one()).unwrap();
    let trust = below.trust();
    let pem = std::fs::read(data("intermediate.pem")).unwrap();
    let intermediate = boring::x509::X509::from_pem(&pem).unwrap();
    let digest = intermediate.digest(boring::hash::MessageDigest::sha256()).unwrap();
    trust.revoke(Fingerprint::try_from(&digest[..]).unwrap()).unwrap();

    let refusal = meet(context(&below), tls_context(&below, &trust).unwrap()).unwrap_err();
    assert_eq!(refusal.verdict, Some(X509VerifyError::CERT_REVOKED));
}

#[test]
fn a_certificate_that_names_nobody_is_refused_unless_names_do_not_matter() {
    let authority = authority();
    let bob = member(&authority, "bob");
    let anonymous = anonymous(&authority);

    let refusal = meet(context(&anonymous), context(&bob)).unwrap_err();
    assert_eq!(
        (refusal.by, refusal.verdict),
        (Side::Acceptor, Some(X509VerifyError::HOSTNAME_MISMATCH))
    );

    let any = bob.trust().with_policy(NamePolicy::Any);
    let met = meet(context(&anonymous), tls_context(&bob, &any).unwrap()).unwrap();
    assert_eq!(met.names_seen_by_acceptor(), Vec::<String>::new());
}

#[test]
fn names_bind_under_match_and_not_under_any() {
    let authority = authority();
    let (ada, bob) = (member(&authority, "ada"), member(&authority, "bob"));
    let met = meet(context(&ada), context(&bob)).unwrap();
    let leaf = met.acceptor.ssl().peer_certificate().unwrap().to_der().unwrap();

    assert_eq!(bob.trust().binding_names(&leaf), [Arc::from(&b"ada"[..])]);
    let any = bob.trust().with_policy(NamePolicy::Any);
    assert!(any.binding_names(&leaf).is_empty());
}

#[test]
fn tls_below_1_3_is_impossible() {
    let authority = authority();
    let (ada, bob) = (member(&authority, "ada"), member(&authority, "bob"));
    let old = |identity: &Identity| {
        let mut builder = context(identity);
        builder.set_min_proto_version(Some(SslVersion::TLS1_2)).unwrap();
        builder.set_max_proto_version(Some(SslVersion::TLS1_2)).unwrap();
        builder
    };
    // Two old ones do meet, so it is the version that the mixed pairs fail over.
    meet(old(&ada), old(&bob)).unwrap();
    for (dialer, acceptor) in [(old(&ada), context(&bob)), (context(&ada), old(&bob))] {
        let refusal = meet(dialer, acceptor).unwrap_err();
        assert_eq!(refusal.by, Side::Acceptor);
        assert!(refusal.told.contains("PROTOCOL_VERSION"), "{refusal:?}");
    }
}

#[test]
fn no_session_can_be_resumed() {
    let authority = authority();
    let (ada, bob) = (member(&authority, "ada"), member(&authority, "bob"));
    let sessions = Arc::new(AtomicUsize::new(0));
    let mut dialer = context(&ada);
    dialer.set_session_cache_mode(SslSessionCacheMode::CLIENT);
    let counted = Arc::clone(&sessions);
    dialer.set_new_session_callback(move |_, _| {
        counted.fetch_add(1, Ordering::Relaxed);
    });

    // Tickets would come with the acceptor's first bytes after the handshake.
    meet(dialer, context(&bob)).unwrap().exchange().unwrap();

    assert_eq!(sessions.load(Ordering::Relaxed), 0);
}

#[test]
fn post_quantum_is_an_option_that_falls_back() {
    let authority = authority();
    let (ada, bob) = (member(&authority, "ada"), member(&authority, "bob"));
    let quantum = |identity: &Identity| {
        tls_context_with(identity, &identity.trust(), KeyExchange::PostQuantum).unwrap()
    };
    let met = meet(quantum(&ada), quantum(&bob)).unwrap();
    assert_eq!(met.dialer.ssl().curve_name(), Some("X25519MLKEM768"));
    for (dialer, acceptor) in [(quantum(&ada), context(&bob)), (context(&ada), quantum(&bob))] {
        let met = meet(dialer, acceptor).unwrap();
        assert_eq!(met.dialer.ssl().curve_name(), Some("X25519"));
        assert!(!met.dialer.ssl().used_hello_retry_request());
    }
}

fn context(identity: &Identity) -> SslContextBuilder {
    tls_context(identity, &identity.trust()).unwrap()
}

/// A member of `authority` whose certificate holds an address and no name.
fn anonymous(authority: &Authority) -> Identity {
    use boring::pkey::PKey;
    use boring::x509::{X509, X509Name};

    let directory = tempfile::tempdir().unwrap();
    authority.save(directory.path()).unwrap();
    let issuer_key = std::fs::read(directory.path().join("ca.key")).unwrap();
    let issuer_key = PKey::private_key_from_pem(&issuer_key).unwrap();
    let issuer = X509::from_pem(authority.certificate_pem().as_bytes()).unwrap();
    let member = authority.issue_at("ada", &[], CENTURY, day_one()).unwrap();
    let named = X509::from_pem(member.certificate_pem.as_bytes()).unwrap();

    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(named.serial_number()).unwrap();
    builder.set_subject_name(&X509Name::builder().unwrap().build()).unwrap();
    builder.set_issuer_name(issuer.subject_name()).unwrap();
    builder.set_not_before(named.not_before()).unwrap();
    builder.set_not_after(named.not_after()).unwrap();
    builder.set_pubkey(&named.public_key().unwrap()).unwrap();
    builder.sign(&issuer_key, boring::hash::MessageDigest::sha256()).unwrap();
    let pem = builder.build().to_pem().unwrap();
    let root = authority.certificate_pem().as_bytes();
    Identity::from_pem_at(root, &pem, member.key_pem.as_bytes(), day_one()).unwrap()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Dialer,
    Acceptor,
}

#[derive(Debug)]
struct Met {
    dialer: SslStream<Pipe>,
    acceptor: SslStream<Pipe>,
}

impl Met {
    fn names_seen_by_acceptor(&self) -> Vec<String> {
        names_seen(&self.acceptor)
    }

    fn names_seen_by_dialer(&self) -> Vec<String> {
        names_seen(&self.dialer)
    }

    fn exchange(&mut self) -> io::Result<()> {
        let mut byte = [0; 1];
        self.dialer.write_all(b"?")?;
        self.acceptor.read_exact(&mut byte)?;
        assert_eq!(&byte, b"?");
        self.acceptor.write_all(b"!")?;
        self.dialer.read_exact(&mut byte)?;
        assert_eq!(&byte, b"!");
        Ok(())
    }
}

fn names_seen(stream: &SslStream<Pipe>) -> Vec<String> {
    let leaf = stream.ssl().peer_certificate().unwrap();
    peer_names(&leaf.to_der().unwrap()).unwrap()
}

/// Who refused, with which words and verdict, and what the other side heard of it.
#[derive(Debug)]
struct Refusal {
    by: Side,
    reason: String,
    verdict: Option<X509VerifyError>,
    told: String,
}

fn meet(dialer: SslContextBuilder, acceptor: SslContextBuilder) -> Result<Met, Refusal> {
    meet_built(&dialer.build(), &acceptor.build())
}

fn meet_built(dialer: &SslContext, acceptor: &SslContext) -> Result<Met, Refusal> {
    let (near, far) = Pipe::pair();
    let mut dialing = Progress::of(Ssl::new(dialer).unwrap().setup_connect(near).handshake());
    let mut accepting = Progress::of(Ssl::new(acceptor).unwrap().setup_accept(far).handshake());
    for _ in 0..10 {
        dialing = dialing.step();
        accepting = accepting.step();
    }
    // TLS 1.3: the dialer is done before the acceptor has judged it, and hears of it in a read.
    match (dialing, accepting) {
        (Progress::Done(dialer), Progress::Done(acceptor)) => Ok(Met { dialer, acceptor }),
        (Progress::Done(mut dialer), Progress::Failed(reason, verdict)) => {
            let told = dialer.read(&mut [0; 1]).unwrap_err().to_string();
            Err(Refusal { by: Side::Acceptor, reason, verdict, told })
        }
        (Progress::Failed(dialer, verdict), Progress::Failed(acceptor, other)) => {
            // The one that heard an alert is not the one that refused.
            if dialer.contains("_ALERT_") {
                let (by, told) = (Side::Acceptor, dialer);
                Err(Refusal { by, reason: acceptor, verdict: other, told })
            } else {
                Err(Refusal { by: Side::Dialer, reason: dialer, verdict, told: acceptor })
            }
        }
        (_, Progress::Done(_) | Progress::Waiting(_)) | (Progress::Waiting(_), _) => {
            panic!("the handshake neither succeeded nor failed")
        }
    }
}

enum Progress {
    Waiting(boring::ssl::MidHandshakeSslStream<Pipe>),
    Done(SslStream<Pipe>),
    Failed(String, Option<X509VerifyError>),
}

impl Progress {
    fn of(result: Result<SslStream<Pipe>, HandshakeError<Pipe>>) -> Self {
        match result {
            Ok(stream) => Self::Done(stream),
            Err(HandshakeError::WouldBlock(waiting)) => Self::Waiting(waiting),
            Err(HandshakeError::Failure(failed)) => {
                let verdict = failed.ssl().verify_result().err();
                Self::Failed(failed.error().to_string(), verdict)
            }
            Err(HandshakeError::SetupFailure(error)) => panic!("{error}"),
        }
    }

    fn step(self) -> Self {
        match self {
            Self::Waiting(waiting) => Self::of(waiting.handshake()),
            other @ (Self::Done(_) | Self::Failed(..)) => other,
        }
    }
}

/// One end of an in-memory stream that never blocks.
#[derive(Debug)]
struct Pipe {
    incoming: Rc<RefCell<VecDeque<u8>>>,
    outgoing: Rc<RefCell<VecDeque<u8>>>,
}

impl Pipe {
    fn pair() -> (Self, Self) {
        let (a, b) = (Rc::default(), Rc::default());
        (
            Self { incoming: Rc::clone(&a), outgoing: Rc::clone(&b) },
            Self { incoming: b, outgoing: a },
        )
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.incoming.borrow_mut().read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

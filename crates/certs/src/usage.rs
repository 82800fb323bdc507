//! Whether a certificate may be used on both sides of a connection: a member dials and accepts.
//!
//! A handshake of the certificate with itself, in memory, tells: so this check and those of peers
//! cannot differ.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;

use boring::error::ErrorStack;
use boring::pkey::{PKeyRef, Private};
use boring::ssl::{
    HandshakeError, MidHandshakeSslStream, Ssl, SslContext, SslMethod, SslStream, SslVerifyMode,
    SslVersion,
};
use boring::x509::{X509, X509Ref, X509VerifyError};

use crate::error::MissingUsage;

/// Flights of a handshake, and some more: each side acts at most so often.
const MOST_STEPS: usize = 8;

/// Whose usages count. Those of an issuer that may not issue at all are a fault of the chain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    Leaf,
    Chain,
}

/// The usages that the certificates do not allow. Everything else about them is judged elsewhere.
///
/// # Errors
/// BoringSSL cannot make the two sides.
pub(crate) fn missing(
    leaf: &X509Ref,
    intermediates: &[X509],
    key: &PKeyRef<Private>,
    judged: Judged,
) -> Result<Vec<MissingUsage>, ErrorStack> {
    let mut missing = Vec::new();
    // One that refuses ends the handshake, before the other one could: each judges alone.
    for judges in [Judges::Dialer, Judges::Acceptor] {
        match handshake(leaf, intermediates, key, (judges, judged)) {
            Err(error) if is_key_usage(&error) => return Ok(vec![MissingUsage::Signature]),
            found => missing.extend(found?),
        }
    }
    Ok(missing)
}

/// Who looks at what the other one's certificate may be used for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judges {
    Dialer,
    Acceptor,
}

/// BoringSSL looks at the key usage of a certificate when it is to be used, and again in the peer.
fn is_key_usage(error: &impl ToString) -> bool {
    error.to_string().contains("KEY_USAGE_BIT_INCORRECT")
}

fn handshake(
    leaf: &X509Ref,
    intermediates: &[X509],
    key: &PKeyRef<Private>,
    (judges, judged): (Judges, Judged),
) -> Result<Option<MissingUsage>, ErrorStack> {
    let of = |side| context(leaf, intermediates, key, (judges == side).then_some(judged));
    let (dials, accepts) = (of(Judges::Dialer)?, of(Judges::Acceptor)?);
    let (near, far) = Pipe::pair();
    let mut dialer = Side::begin(Ssl::new(&dials)?.setup_connect(near).handshake())?;
    let mut acceptor = Side::begin(Ssl::new(&accepts)?.setup_accept(far).handshake())?;
    for _ in 0..MOST_STEPS {
        dialer = dialer.step()?;
        acceptor = acceptor.step()?;
    }
    // Each side judges what the other one does.
    Ok(match (dialer, acceptor) {
        (Side::Refused, _) => Some(MissingUsage::Server),
        (_, Side::Refused) => Some(MissingUsage::Client),
        (Side::Waiting(_) | Side::Over, Side::Waiting(_) | Side::Over) => None,
    })
}

/// A context that objects to nothing but the usage, of what it judges.
fn context(
    leaf: &X509Ref,
    intermediates: &[X509],
    key: &PKeyRef<Private>,
    judged: Option<Judged>,
) -> Result<SslContext, ErrorStack> {
    let mut builder = SslContext::builder(SslMethod::tls())?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_3))?;
    builder.set_certificate(leaf)?;
    builder.set_private_key(key)?;
    for intermediate in intermediates {
        builder.add_extra_chain_cert(intermediate.clone())?;
    }
    builder.set_verify_callback(
        SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
        move |_, context| {
            let is_judged = match judged {
                Some(Judged::Chain) => true,
                Some(Judged::Leaf) => context.error_depth() == 0,
                None => false,
            };
            if !is_judged {
                context.set_error(Ok(()));
            }
            context.verify_result() != Err(X509VerifyError::INVALID_PURPOSE)
        },
    );
    Ok(builder.build())
}

/// One side of the handshake.
enum Side {
    Waiting(MidHandshakeSslStream<Pipe>),
    /// The usage of the other side's certificate was refused.
    Refused,
    /// It ended, well or for another reason.
    Over,
}

impl Side {
    fn begin(begun: Result<SslStream<Pipe>, HandshakeError<Pipe>>) -> Result<Self, ErrorStack> {
        match begun {
            Ok(_) => Ok(Self::Over),
            Err(HandshakeError::WouldBlock(waiting)) => Ok(Self::Waiting(waiting)),
            Err(HandshakeError::SetupFailure(error)) => Err(error),
            Err(HandshakeError::Failure(failed)) => {
                let verdict = failed.ssl().verify_result();
                let is_refused = verdict == Err(X509VerifyError::INVALID_PURPOSE)
                    || is_key_usage(failed.error());
                Ok(if is_refused { Self::Refused } else { Self::Over })
            }
        }
    }

    fn step(self) -> Result<Self, ErrorStack> {
        match self {
            Self::Waiting(waiting) => Self::begin(waiting.handshake()),
            other @ (Self::Refused | Self::Over) => Ok(other),
        }
    }
}

/// One end of a stream in memory that never blocks. What is in it is bounded by the flights.
#[derive(Debug)]
struct Pipe {
    incoming: Rc<RefCell<VecDeque<u8>>>,
    outgoing: Rc<RefCell<VecDeque<u8>>>,
}

impl Pipe {
    fn pair() -> (Self, Self) {
        let (one, other) = (Rc::default(), Rc::default());
        let near = Self { incoming: Rc::clone(&one), outgoing: Rc::clone(&other) };
        (near, Self { incoming: other, outgoing: one })
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

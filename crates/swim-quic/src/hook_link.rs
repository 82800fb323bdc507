//! What a node and its hooks tell each other: certificates that peers have shown, and hooks that
//! were slow or panicked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use certs::PeerCertificate;
use quic_net::PeerIdentity;
use swim_core::Member;

/// How many bytes of certificates are kept, those of the peers heard last. A certificate of one
/// name takes some 300 bytes.
const MAX_BYTES: usize = 8 * 1024 * 1024;
/// What a certificate costs beside its entries.
const OVERHEAD: usize = 256;
/// Reports that wait for the end of a turn; further ones are dropped.
const MAX_REPORTS: usize = 64;

/// The link between one node and its hooks, which run on the same thread.
#[derive(Debug, Default)]
pub(crate) struct HookLink {
    state: Mutex<LinkState>,
}

#[derive(Debug, Default)]
struct LinkState {
    certificates: ShownCertificates,
    reports: Vec<HookReport>,
}

/// A hook that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HookReport {
    /// The kind of a warning.
    pub(crate) what: String,
    /// In a sentence.
    pub(crate) detail: String,
}

impl HookLink {
    /// A peer has shown its certificate, which `read` reads. Whether it is another one than before,
    /// or the first.
    pub(crate) fn note_certificate(
        &self,
        peer: &Arc<PeerIdentity>,
        read: impl FnOnce() -> Option<PeerCertificate>,
    ) -> bool {
        self.lock().certificates.note(peer, read)
    }

    /// The certificate that a member has shown last.
    pub(crate) fn certificate_of(&self, member: &Member) -> Option<Arc<PeerCertificate>> {
        self.lock().certificates.of(member)
    }

    pub(crate) fn report(&self, report: HookReport) {
        let mut state = self.lock();
        if state.reports.len() < MAX_REPORTS {
            state.reports.push(report);
        }
    }

    pub(crate) fn take_reports(&self) -> Vec<HookReport> {
        std::mem::take(&mut self.lock().reports)
    }

    fn lock(&self) -> MutexGuard<'_, LinkState> {
        // Nothing is left half done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who has shown a certificate: the member to which the connection belongs or, where that is open
/// or certificates prove no names, whoever is at its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shower {
    Name(Arc<[u8]>),
    Address(SocketAddr),
}

/// The certificate that each peer has shown last, bounded in bytes.
#[derive(Debug, Default)]
struct ShownCertificates {
    shown: BTreeMap<Shower, Shown>,
    /// In the order in which they were shown.
    order: BTreeMap<u64, Shower>,
    last: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Shown {
    number: u64,
    peer: Arc<PeerIdentity>,
    certificate: Arc<PeerCertificate>,
}

impl ShownCertificates {
    fn note(
        &mut self,
        peer: &Arc<PeerIdentity>,
        read: impl FnOnce() -> Option<PeerCertificate>,
    ) -> bool {
        let shower = match peer.possible_names() {
            [name] => Shower::Name(Arc::clone(name)),
            _ => Shower::Address(peer.address),
        };
        let is_known = |shown: &Shown| shown.peer.fingerprint == peer.fingerprint;
        if self.shown.get(&shower).is_some_and(is_known) {
            return false;
        }
        let Some(certificate) = read() else { return false };
        self.forget(&shower);
        self.last += 1;
        self.bytes += certificate.size() + OVERHEAD;
        self.order.insert(self.last, shower.clone());
        let (peer, certificate) = (Arc::clone(peer), Arc::new(certificate));
        self.shown.insert(shower, Shown { number: self.last, peer, certificate });
        while self.bytes > MAX_BYTES
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.forget(&oldest);
        }
        true
    }

    fn forget(&mut self, shower: &Shower) {
        if let Some(shown) = self.shown.remove(shower) {
            self.order.remove(&shown.number);
            self.bytes -= shown.certificate.size() + OVERHEAD;
        }
    }

    fn of(&self, member: &Member) -> Option<Arc<PeerCertificate>> {
        let name = member.name().as_bytes();
        let by_name = self.shown.get(&Shower::Name(name.into()));
        let by_address = || {
            let shown = self.shown.get(&Shower::Address(member.address()))?;
            shown.peer.is(name).then_some(shown)
        };
        by_name.or_else(by_address).map(|shown| Arc::clone(&shown.certificate))
    }
}

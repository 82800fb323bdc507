//! Turns host names into addresses on threads of their own.
//!
//! A lookup through the standard library can block for half a minute, so neither the driver nor a
//! caller with a deadline ever makes one itself. How many run at once is bounded.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};
use quic_net::LoopWaker;

use crate::address::{Host, JoinAddress};
use crate::cluster_event::Event;
use crate::error::ResolveError;

/// Lookups that may run at once for one cluster; more fail at once and are tried again later.
const CONCURRENT_LOOKUPS: usize = 16;

/// The lookup threads of one cluster.
#[derive(Clone, Default)]
pub(crate) struct Resolver {
    running: Arc<AtomicUsize>,
}

/// What became of one address.
pub(crate) struct Resolved {
    /// What was asked for.
    pub(crate) address: JoinAddress,
    /// Every address behind it, or why there is none.
    pub(crate) found: Result<Vec<SocketAddr>, ResolveError>,
}

impl Resolver {
    /// Looks one address up and calls `deliver` with the result. Literals are answered at once.
    pub(crate) fn look_up(
        &self,
        address: JoinAddress,
        deliver: impl FnOnce(Resolved) + Send + 'static,
    ) {
        let host = match &address.host {
            Host::Ip(ip) => {
                let found = Ok(vec![SocketAddr::new(*ip, address.port)]);
                deliver(Resolved { address, found });
                return;
            }
            Host::Name(name) => name.clone(),
        };
        if self.running.fetch_add(1, Ordering::AcqRel) >= CONCURRENT_LOOKUPS {
            self.running.fetch_sub(1, Ordering::AcqRel);
            let found = Err(ResolveError::TooManyLookups { limit: CONCURRENT_LOOKUPS });
            deliver(Resolved { address, found });
            return;
        }
        let slot = Slot(Arc::clone(&self.running));
        // Taken by the thread, or by us if there is none.
        let deliver = Arc::new(Mutex::new(Some(deliver)));
        let (thread_deliver, thread_address) = (Arc::clone(&deliver), address.clone());
        let started = std::thread::Builder::new().name("swim-resolver".into()).spawn(move || {
            let found = look_up_now(&host, thread_address.port);
            drop(slot);
            deliver_once(&thread_deliver, Resolved { address: thread_address, found });
        });
        if let Err(error) = started {
            let found = Err(ResolveError::NoThread(Arc::new(error)));
            deliver_once(&deliver, Resolved { address, found });
        }
    }
}

/// The addresses a member keeps trying, names looked up anew whenever the machine asks.
pub(crate) struct StandingSeeds {
    seeds: Vec<(JoinAddress, Vec<SocketAddr>)>,
    resolver: Resolver,
    waker: Arc<LoopWaker>,
    sender: Sender<Resolved>,
    results: Receiver<Resolved>,
    in_flight: usize,
    changed: bool,
}

impl StandingSeeds {
    pub(crate) fn new(seeds: Vec<JoinAddress>, waker: Arc<LoopWaker>) -> Self {
        let (sender, results) = bounded(seeds.len().max(1));
        let seeds: Vec<_> = seeds
            .into_iter()
            .map(|seed| {
                let known = seed.socket_address().into_iter().collect();
                (seed, known)
            })
            .collect();
        let changed = !seeds.is_empty();
        let resolver = Resolver::default();
        let mut standing = Self { seeds, resolver, waker, sender, results, in_flight: 0, changed };
        standing.resolve();
        standing
    }

    /// Looks every name up again, unless that is under way.
    pub(crate) fn resolve(&mut self) {
        if self.in_flight > 0 {
            return;
        }
        for (seed, _) in &self.seeds {
            if seed.socket_address().is_none() {
                self.in_flight += 1;
                let (sender, waker) = (self.sender.clone(), Arc::clone(&self.waker));
                self.resolver.look_up(seed.clone(), move |resolved| {
                    // The member may be gone; and the next turn finds it without the wake-up.
                    let _ = sender.try_send(resolved);
                    let _ = waker.wake();
                });
            }
        }
    }

    /// All addresses, when a lookup has changed them since the last call. A name that does not
    /// resolve keeps the addresses it had and is reported.
    pub(crate) fn changed(&mut self, events: &mut Vec<Event>) -> Option<Vec<SocketAddr>> {
        while let Ok(Resolved { address, found }) = self.results.try_recv() {
            self.in_flight = self.in_flight.saturating_sub(1);
            match found {
                Ok(found) => {
                    for (_, known) in self.seeds.iter_mut().filter(|(seed, _)| *seed == address) {
                        self.changed |= *known != found;
                        known.clone_from(&found);
                    }
                }
                Err(error) => {
                    log::warn!("seed {}: {error}; it will be tried again", address.text);
                    let error = Some(Box::new(error.into()));
                    events.push(Event::Seed { address: address.text, error });
                }
            }
        }
        std::mem::take(&mut self.changed)
            .then(|| self.seeds.iter().flat_map(|(_, known)| known).copied().collect())
    }

    /// A member that left wants no seeds.
    pub(crate) fn stop(&mut self) {
        self.seeds.clear();
        self.changed = false;
    }
}

/// Counts a running lookup for as long as it lives.
struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn deliver_once(deliver: &Mutex<Option<impl FnOnce(Resolved)>>, resolved: Resolved) {
    let deliver = deliver.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(deliver) = deliver {
        deliver(resolved);
    }
}

fn look_up_now(host: &str, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    let mut found: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error: io::Error| ResolveError::Failed {
            host: host.to_owned(),
            source: Arc::new(error),
        })?
        .collect();
    found.sort_unstable();
    found.dedup();
    if found.is_empty() { Err(ResolveError::NoAddress(host.to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_answered_at_once_and_a_name_by_a_thread() {
        let (reply, answers) = bounded(4);
        let resolver = Resolver::default();
        let deliver = || {
            let reply = reply.clone();
            move |resolved| reply.send(resolved).unwrap()
        };
        resolver.look_up("127.0.0.1:7001".parse().unwrap(), deliver());
        let literal = answers.try_recv().unwrap();
        assert_eq!(literal.found.unwrap(), ["127.0.0.1:7001".parse().unwrap()]);
        resolver.look_up("localhost:7001".parse().unwrap(), deliver());
        let named = answers.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
        let found = named.found.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7001));
        assert!(!found.is_empty());
    }

    #[test]
    fn beyond_the_bound_a_lookup_fails_at_once_and_says_so() {
        let (reply, answers) = bounded(4);
        let resolver = Resolver::default();
        resolver.running.store(CONCURRENT_LOOKUPS, Ordering::Release);
        resolver
            .look_up("localhost:7001".parse().unwrap(), move |found| reply.send(found).unwrap());
        let refusal = answers.try_recv().unwrap().found.unwrap_err();
        assert!(matches!(refusal, ResolveError::TooManyLookups { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains("try again"), "{refusal}");
        assert_eq!(resolver.running.load(Ordering::Acquire), CONCURRENT_LOOKUPS);
    }
}

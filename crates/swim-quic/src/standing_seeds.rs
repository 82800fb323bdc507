//! The addresses that a member keeps trying for as long as it runs.

use std::net::SocketAddr;
use std::sync::Arc;

use certs::with_sources;
use crossbeam_channel::{Receiver, Sender, bounded};
use quic_net::LoopWaker;

use crate::address::JoinAddress;
use crate::cluster_event::Event;
use crate::error::SeedsError;
use crate::reach::Reach;
use crate::resolve::{Resolved, Resolver};

/// The most seeds of one member: as many addresses as the machine keeps.
const MAX_SEEDS: usize = 64;

/// Reads the seeds of a member.
///
/// # Errors
/// The first that is malformed, or that there are too many.
pub(crate) fn parse_seeds<A: AsRef<str>>(
    seeds: impl IntoIterator<Item = A>,
) -> Result<Vec<JoinAddress>, SeedsError> {
    let seeds = seeds.into_iter().map(|seed| seed.as_ref().parse::<JoinAddress>());
    let seeds = seeds.collect::<Result<Vec<_>, _>>()?;
    match seeds.len() > MAX_SEEDS {
        true => Err(SeedsError::TooMany { count: seeds.len(), limit: MAX_SEEDS }),
        false => Ok(seeds),
    }
}

/// The seeds of one member, names looked up anew whenever the machine asks.
pub(crate) struct StandingSeeds {
    seeds: Vec<StandingSeed>,
    resolver: Resolver,
    waker: Arc<LoopWaker>,
    sender: Sender<Resolved>,
    results: Receiver<Resolved>,
    in_flight: usize,
    changed: bool,
}

struct StandingSeed {
    address: JoinAddress,
    /// What it led to last.
    known: Vec<SocketAddr>,
}

impl StandingSeed {
    fn new(address: JoinAddress) -> Self {
        let known = address.socket_address().into_iter().collect();
        Self { address, known }
    }
}

impl StandingSeeds {
    /// `reach` says which addresses behind the names are of use.
    pub(crate) fn new(seeds: Vec<JoinAddress>, reach: Reach, waker: Arc<LoopWaker>) -> Self {
        let (sender, results) = bounded(seeds.len().max(1));
        let changed = !seeds.is_empty();
        let seeds = seeds.into_iter().map(StandingSeed::new).collect();
        let resolver = Resolver::new(reach);
        let mut standing = Self { seeds, resolver, waker, sender, results, in_flight: 0, changed };
        standing.resolve();
        standing
    }

    /// Takes these in place of all others. What is known of those that stay is kept.
    pub(crate) fn replace(&mut self, seeds: Vec<JoinAddress>) {
        let mut former = std::mem::take(&mut self.seeds);
        let keep = |address: JoinAddress| {
            let held = former.iter().position(|seed| seed.address.leads_to_same(&address));
            held.map_or_else(|| StandingSeed::new(address), |place| former.swap_remove(place))
        };
        self.seeds = seeds.into_iter().map(keep).collect();
        // What is still looked up may be of no interest any more: nobody waits for it.
        (self.sender, self.results) = bounded(self.seeds.len().max(1));
        self.in_flight = 0;
        self.changed = true;
        self.resolve();
    }

    /// Tries this one no more; false if it was none.
    pub(crate) fn forget(&mut self, seed: &JoinAddress) -> bool {
        let before = self.seeds.len();
        self.seeds.retain(|held| !held.address.leads_to_same(seed));
        let was_one = self.seeds.len() < before;
        self.changed |= was_one;
        was_one
    }

    /// Looks every name up again, unless that is under way.
    pub(crate) fn resolve(&mut self) {
        if self.in_flight > 0 {
            return;
        }
        for StandingSeed { address, .. } in &self.seeds {
            if address.socket_address().is_none() {
                self.in_flight += 1;
                let (sender, waker) = (self.sender.clone(), Arc::clone(&self.waker));
                self.resolver.look_up(address.clone(), move |resolved| {
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
                    for seed in self.seeds.iter_mut().filter(|seed| seed.address == address) {
                        self.changed |= seed.known != found;
                        seed.known.clone_from(&found);
                    }
                }
                Err(error) => {
                    let cause = with_sources(&error);
                    log::warn!("seed {}: {cause}; it will be tried again", address.text);
                    let error = Some(Box::new(error.into()));
                    events.push(Event::Seed { address: address.text, error });
                }
            }
        }
        std::mem::take(&mut self.changed)
            .then(|| self.seeds.iter().flat_map(|seed| &seed.known).copied().collect())
    }

    /// A member that left wants no seeds.
    pub(crate) fn stop(&mut self) {
        self.seeds.clear();
        self.changed = false;
    }
}

//! Turns host names into addresses on threads of their own.
//!
//! A lookup through the standard library can block for half a minute, so neither the driver nor a
//! caller with a deadline ever makes one itself. How many run at once is bounded.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::address::{Host, JoinAddress};
use crate::error::ResolveError;
use crate::reach::Reach;

/// Lookups that run at once for one cluster. A slow one takes one place, so that others go on.
const CONCURRENT_LOOKUPS: usize = 16;
/// Lookups that wait for a place, in the order in which they came; further ones fail at once.
const WAITING_LOOKUPS: usize = 1_024;

/// The lookup threads of one cluster.
#[derive(Clone)]
pub(crate) struct Resolver {
    reach: Reach,
    queue: Arc<Mutex<LookupQueue>>,
    look_up_now: LookUp,
}

/// Asks the system for the addresses of a host.
type LookUp = fn(&str, u16) -> io::Result<Vec<SocketAddr>>;

#[derive(Default)]
struct LookupQueue {
    /// Threads, each of which takes what waits when it is done.
    running: usize,
    waiting: VecDeque<Lookup>,
}

/// A name that is to be looked up.
struct Lookup {
    host: String,
    address: JoinAddress,
    deliver: Deliver,
}

/// Takes what became of a lookup.
type Deliver = Box<dyn FnOnce(Resolved) + Send>;

/// What became of one address.
pub(crate) struct Resolved {
    /// What was asked for.
    pub(crate) address: JoinAddress,
    /// Every address behind it that the socket reaches, or why there is none.
    pub(crate) found: Result<Vec<SocketAddr>, ResolveError>,
}

impl Resolver {
    /// `reach` says which addresses are of use.
    pub(crate) fn new(reach: Reach) -> Self {
        Self { reach, queue: Arc::default(), look_up_now: ask_the_system }
    }

    /// Looks one address up and calls `deliver` with the result. Literals are answered at once.
    pub(crate) fn look_up(
        &self,
        address: JoinAddress,
        deliver: impl FnOnce(Resolved) + Send + 'static,
    ) {
        let host = match &address.host {
            Host::Ip(ip) => {
                let found = Ok(vec![SocketAddr::new(*ip, address.port)]);
                return deliver(Resolved { address, found });
            }
            Host::Name(name) => name.clone(),
            #[cfg(feature = "srv")]
            Host::Service(name) => name.clone(),
        };
        let lookup = Lookup { host, address, deliver: Box::new(deliver) };
        let Some(lookup) = self.enqueue(lookup) else { return };
        // Taken by the thread, or by us if there is none.
        let first = Arc::new(Mutex::new(Some(lookup)));
        let (thread_first, resolver) = (Arc::clone(&first), self.clone());
        let work = move || resolver.work(take(&thread_first));
        let started = std::thread::Builder::new().name("swim-resolver".into()).spawn(work);
        if let Err(error) = started {
            self.lock().running -= 1;
            let found = Err(ResolveError::NoThread(error.into()));
            if let Some(Lookup { address, deliver, .. }) = take(&first) {
                deliver(Resolved { address, found });
            }
        }
    }

    /// The lookup back if a thread is to be started for it, which counts as running then.
    fn enqueue(&self, lookup: Lookup) -> Option<Lookup> {
        let mut queue = self.lock();
        if queue.running < CONCURRENT_LOOKUPS {
            queue.running += 1;
            return Some(lookup);
        }
        if queue.waiting.len() < WAITING_LOOKUPS {
            queue.waiting.push_back(lookup);
            return None;
        }
        drop(queue);
        let found = Err(ResolveError::TooManyLookups { limit: WAITING_LOOKUPS });
        (lookup.deliver)(Resolved { address: lookup.address, found });
        None
    }

    /// Looks up one name after the other until none waits.
    fn work(&self, mut next: Option<Lookup>) {
        while let Some(Lookup { host, address, deliver }) = next {
            let found = self.find(&host, &address);
            deliver(Resolved { address, found });
            let mut queue = self.lock();
            next = queue.waiting.pop_front();
            queue.running -= usize::from(next.is_none());
        }
    }

    fn find(&self, host: &str, address: &JoinAddress) -> Result<Vec<SocketAddr>, ResolveError> {
        let asked = match &address.host {
            #[cfg(feature = "srv")]
            Host::Service(name) => self.find_service(name),
            Host::Ip(_) | Host::Name(_) => (self.look_up_now)(host, address.port),
        };
        let mut found = asked.map_err(|error| ResolveError::Failed {
            host: host.to_owned(),
            source: error.into(),
        })?;
        found.sort_unstable();
        found.dedup();
        let Some(first) = found.first().copied() else {
            return Err(ResolveError::NoAddress(host.to_owned()));
        };
        found.retain(|address| self.reach.includes(address));
        if found.is_empty() {
            return Err(ResolveError::OtherFamily { host: host.to_owned(), found: first.ip() });
        }
        Ok(found)
    }

    /// The addresses of all targets of a service that have some.
    #[cfg(feature = "srv")]
    fn find_service(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        let targets = crate::srv::targets(name)?;
        let look_up = |(host, port): &(String, u16)| {
            // With the dot at its end no search list is tried; files of hosts have no such names.
            let found = (self.look_up_now)(host, *port);
            found.or_else(|error| match host.strip_suffix('.') {
                Some(host) => (self.look_up_now)(host, *port),
                None => Err(error),
            })
        };
        let found = targets.iter().map(look_up);
        let (found, failed): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
        match failed.into_iter().find_map(Result::err) {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found.into_iter().flatten().flatten().collect()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LookupQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take(lookup: &Mutex<Option<Lookup>>) -> Option<Lookup> {
    lookup.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn ask_the_system(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok((host, port).to_socket_addrs()?.collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::{Sender, bounded};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// `slow…` takes as long as the test, `v6` has an IPv6 address only, others have both.
    fn looks_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let (four, six) =
            (([10, 0, 0, 1], port).into(), ([0xfd00, 0, 0, 0, 0, 0, 0, 1], port).into());
        if host.starts_with("slow") {
            crossbeam_channel::never::<()>().recv_timeout(PATIENCE).unwrap_err();
        }
        Ok(if host == "v6" { vec![six] } else { vec![six, four, four] })
    }

    fn resolver(bind: &str) -> Resolver {
        let reach = Reach::of(bind.parse().unwrap());
        Resolver { look_up_now: looks_up, ..Resolver::new(reach) }
    }

    fn tell(reply: &Sender<Resolved>) -> impl FnOnce(Resolved) + Send + use<> {
        let reply = reply.clone();
        // A slow lookup may end after the test.
        move |resolved| drop(reply.try_send(resolved))
    }

    fn look_up(resolver: &Resolver, name: &str) -> Result<Vec<SocketAddr>, ResolveError> {
        let (reply, answers) = bounded(1);
        resolver.look_up(name.parse().unwrap(), tell(&reply));
        answers.recv_timeout(PATIENCE / 2).unwrap().found
    }

    #[test]
    fn a_literal_is_answered_at_once_and_a_name_by_a_thread() {
        let (reply, answers) = bounded(4);
        let resolver = Resolver::new(Reach::ANY);
        resolver.look_up("127.0.0.1:7001".parse().unwrap(), tell(&reply));
        let literal = answers.try_recv().unwrap();
        assert_eq!(literal.found.unwrap(), ["127.0.0.1:7001".parse().unwrap()]);
        let found = look_up(&resolver, "localhost:7001").unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7001));
        assert!(!found.is_empty());
    }

    #[test]
    fn only_addresses_that_the_socket_reaches_are_found_and_else_it_says_so() {
        let (four, six) = ("10.0.0.1:7".parse().unwrap(), "[fd00::1]:7".parse().unwrap());
        assert_eq!(look_up(&resolver("0.0.0.0:1"), "both:7").unwrap(), [four]);
        assert_eq!(look_up(&resolver("[::]:1"), "both:7").unwrap(), [four, six]);
        assert_eq!(look_up(&resolver("[fd00::9]:1"), "both:7").unwrap(), [six]);
        let refusal = look_up(&resolver("0.0.0.0:1"), "v6:7").unwrap_err();
        assert!(matches!(refusal, ResolveError::OtherFamily { .. }), "{refusal:?}");
        let text = refusal.to_string();
        assert!(text.contains("fd00::1") && text.contains("bind to [::]"), "{text}");
    }

    #[test]
    fn slow_names_hold_up_no_others_and_what_is_beyond_the_bound_waits() {
        let (resolver, (reply, answers)) = (resolver("0.0.0.0:1"), bounded(4));
        let slow = |number: usize| format!("slow{number}").parse().unwrap();
        for number in 1..CONCURRENT_LOOKUPS {
            resolver.look_up(slow(number), tell(&reply));
        }
        // All of them by the one thread that is left.
        for _ in 0..20 {
            assert!(look_up(&resolver, "quick").is_ok());
        }
        for number in 0..=WAITING_LOOKUPS {
            resolver.look_up(slow(number), tell(&reply));
        }
        assert!(answers.try_recv().is_err(), "they wait");
        resolver.look_up(slow(0), tell(&reply));
        let refusal = answers.try_recv().unwrap().found.unwrap_err();
        assert!(matches!(refusal, ResolveError::TooManyLookups { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains("try again"), "{refusal}");
    }
}

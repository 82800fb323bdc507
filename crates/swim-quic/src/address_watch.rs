//! Whether the announced address is still one of this machine's, and what to do when it is not.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::advertise::Advertise;
use crate::announce::routed_source;
use crate::host::Host;

/// How long between two looks. A suspicion lasts four seconds at least: until then others know.
const INTERVAL: Duration = Duration::from_secs(1);
/// Looks in a row that miss the address: a lease that is renewed takes it away for a moment.
const MISSES: u32 = 2;

/// Looks after the address that a member announces.
#[derive(Debug)]
pub(crate) struct AddressWatch {
    bind: SocketAddr,
    source: AddressSource,
    misses: u32,
    next: Instant,
}

/// Where the announced address is from, and so another one may be.
#[derive(Clone, Debug)]
pub(crate) enum AddressSource {
    /// It was given.
    Given,
    /// It was found in a network or at an interface.
    Found(Advertise),
    /// The kernel takes it towards these seeds, or for the default route.
    Routed(Vec<SocketAddr>),
}

impl AddressSource {
    /// Where the address of a member is from that is bound and told to announce so.
    pub(crate) fn of(
        bind: SocketAddr,
        advertise: Option<&Advertise>,
        towards: Vec<SocketAddr>,
    ) -> Self {
        match advertise {
            Some(given) if given.address().is_some() => Self::Given,
            Some(place) => Self::Found(place.clone()),
            None if bind.ip().is_unspecified() => Self::Routed(towards),
            None => Self::Given,
        }
    }

    /// The address that is to be announced now, if there is one.
    fn find(&self, bind: SocketAddr, host: &impl Host) -> Option<IpAddr> {
        match self {
            Self::Given => None,
            Self::Found(place) => place.resolve(bind, host).ok().map(|found| found.ip()),
            Self::Routed(towards) => routed_source(bind, towards, host),
        }
    }
}

/// What a look has shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum AddressChange {
    /// This address is to be announced instead.
    Announce(SocketAddr),
    /// The announced one is gone, and somebody has to say what to do.
    Lost,
}

impl AddressWatch {
    /// `None` where the announced address was never this machine's: what stands before it is not
    /// watched.
    pub(crate) fn new(
        bind: SocketAddr,
        announced: SocketAddr,
        source: AddressSource,
        host: &impl Host,
        now: Instant,
    ) -> Option<Self> {
        let is_ours = host.addresses().contains(&announced.ip().to_canonical());
        is_ours.then(|| Self { bind, source, misses: 0, next: now + INTERVAL })
    }

    /// When the next look is due.
    pub(crate) fn due(&self) -> Instant {
        self.next
    }

    /// Looks, if it is time to. A loss is told once, until the address is there again.
    pub(crate) fn look(
        &mut self,
        announced: SocketAddr,
        host: &impl Host,
        now: Instant,
    ) -> Option<AddressChange> {
        if now < self.next {
            return None;
        }
        self.next = now + INTERVAL;
        let ours = host.addresses();
        // No list is no sign of a change.
        if ours.is_empty() || ours.contains(&announced.ip().to_canonical()) {
            self.misses = 0;
            return None;
        }
        self.misses = self.misses.saturating_add(1);
        if self.misses < MISSES {
            return None;
        }
        if let Some(ip) = self.source.find(self.bind, host) {
            self.misses = 0;
            return Some(AddressChange::Announce(SocketAddr::new(ip, announced.port())));
        }
        (self.misses == MISSES).then_some(AddressChange::Lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::JoinAddress;

    /// A machine with one address, or none, and a default route.
    struct Machine(Option<&'static str>);

    impl Host for Machine {
        fn source_towards(&self, _: SocketAddr, peer: SocketAddr) -> Option<IpAddr> {
            let own: Option<IpAddr> = self.0.map(|ip| ip.parse().unwrap());
            own.filter(|own| own.is_ipv4() == peer.is_ipv4())
        }

        fn resolve(&mut self, _: &JoinAddress) -> Vec<SocketAddr> {
            Vec::new()
        }

        fn interfaces(&self) -> Vec<(String, IpAddr)> {
            let own = self.0.iter().map(|ip| ("eth0", *ip)).chain([("lo", "127.0.0.1")]);
            own.map(|(name, ip)| (name.to_owned(), ip.parse().unwrap())).collect()
        }
    }

    const ANY: &str = "0.0.0.0:7946";
    const OLD: &str = "10.0.0.5:7946";

    #[expect(clippy::disallowed_methods, reason = "a time to begin with")]
    fn watch(source: AddressSource) -> (AddressWatch, Instant) {
        let (bind, old, now) = (ANY.parse().unwrap(), OLD.parse().unwrap(), Instant::now());
        let host = Machine(Some("10.0.0.5"));
        (AddressWatch::new(bind, old, source, &host, now).unwrap(), now)
    }

    /// What the looks of some seconds show.
    fn looks(
        source: &AddressSource,
        seconds: &[Option<&'static str>],
    ) -> Vec<Option<AddressChange>> {
        let (mut watch, mut now) = watch(source.clone());
        let mut announced: SocketAddr = OLD.parse().unwrap();
        let mut look = |own: &Option<&'static str>| {
            assert_eq!(watch.look(announced, &Machine(*own), now), None, "too early");
            now += INTERVAL;
            let change = watch.look(announced, &Machine(*own), now);
            if let Some(AddressChange::Announce(address)) = &change {
                announced = *address;
            }
            change
        };
        seconds.iter().map(&mut look).collect()
    }

    #[test]
    fn a_chosen_address_that_is_gone_is_replaced() {
        let (old, new) = (Some("10.0.0.5"), Some("10.0.0.9"));
        let announce = || Some(AddressChange::Announce("10.0.0.9:7946".parse().unwrap()));
        for source in [AddressSource::Routed(vec![]), AddressSource::Found("eth0".into())] {
            assert_eq!(looks(&source, &[old, new, new, new]), [None, None, announce(), None]);
            assert_eq!(looks(&source, &[None, old, new, old]), [None, None, None, None]);
            let lost = Some(AddressChange::Lost);
            assert_eq!(looks(&source, &[None, None, None, new]), [None, lost, None, announce()]);
        }
    }

    #[test]
    fn a_given_address_that_is_gone_is_reported_once() {
        let (old, new) = (Some("10.0.0.5"), Some("10.0.0.9"));
        let lost = || Some(AddressChange::Lost);
        let changes = looks(&AddressSource::Given, &[new, new, new, old, new, new]);
        assert_eq!(changes, [None, lost(), None, None, None, lost()]);
    }

    #[test]
    fn an_address_that_was_never_ours_is_not_watched() {
        let (_, now) = watch(AddressSource::Given);
        let (bind, outside) = (ANY.parse().unwrap(), "203.0.113.1:7946".parse().unwrap());
        let host = Machine(Some("10.0.0.5"));
        assert!(AddressWatch::new(bind, outside, AddressSource::Given, &host, now).is_none());
    }
}

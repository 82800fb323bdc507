//! What members tell each other of their views, and views that have stood still.

use std::net::SocketAddr;
use std::time::Duration;

use super::Membership;
use crate::exchange_role::Purpose;
use crate::features::Features;
#[cfg(feature = "sim")]
use crate::live_changes::LiveView;
use crate::member::Peer;
use crate::member_index::MemberIndex;
use crate::output::{Destination, MembershipEvent};
use crate::push_pull;
use crate::suspicion::as_f64;
use crate::timers::Timer;
#[cfg(feature = "sim")]
use crate::view_digest::Share;
use crate::view_digest::{DIGEST_LENGTH, ViewDigest};
use crate::views::Agreement;

/// How long it is at least from one exchange of views that differ to the next.
const LEAST_BETWEEN_REPAIRS: Duration = Duration::from_secs(5);

impl Membership {
    /// Whether the live members share our view, by what they told last.
    #[must_use]
    pub fn agreement(&self) -> Agreement {
        let (view, interval) = (self.members.view(), self.config.min_report_interval());
        view.told().agreement(view.halves(), self.members.iter(), interval, self.effects.now())
    }

    /// Whether the digest that follows every change is the one that the members have.
    #[cfg(feature = "sim")]
    pub(crate) fn digest_is_right(&self) -> bool {
        let mut anew = LiveView::new(&self.config.label);
        self.members.iter().for_each(|(_, member)| anew.follow(Share::default(), false, member));
        anew.halves() == self.members.view().halves()
    }

    /// The digest in a ping or ack to a peer; none to one that has not said that it reads them.
    pub(super) fn digest_for(&self, to: SocketAddr) -> Option<[u8; DIGEST_LENGTH]> {
        let features = self.dissemination.features(to).filter(|_| self.config.view_digests)?;
        let digest = self.members.view().digest(self.effects.now());
        features.contains(Features::DIGEST).then(|| digest.to_bytes())
    }

    /// A ping or an ack told of its sender's view.
    pub(super) fn hear_digest(&mut self, from: &Peer, digest: &[u8]) {
        let Some(digest) = ViewDigest::from_bytes(digest) else { return };
        let name = self.members.name_of(from);
        let index = name.and_then(|name| self.members.find(name.as_bytes()));
        let Some(index) = index else { return };
        let (settled, now) = (self.stands_still_for(), self.effects.now());
        if self.members.view_mut().hear(index, digest, settled, now) {
            self.repair_view(index);
        }
    }

    /// Of two members the one with the lesser name begins, so that one exchange is enough.
    fn repair_view(&mut self, index: MemberIndex) {
        let (me, peer) = (self.members.me(), self.members.get(index));
        let is_ours = me.name() < peer.name() && peer.state().is_live() && self.repairs_views();
        let (peer, now, apart) = (Destination::of(peer), self.effects.now(), self.repairs_apart());
        if is_ours && self.members.view_mut().begins_repair(index, apart, now) {
            self.effects.count().repairs_started += 1;
            self.begin_push_pull(peer, Purpose::Periodic);
        }
    }

    fn repairs_views(&self) -> bool {
        self.config.view_digests && !self.lifecycle.is_leaving()
    }

    /// Exchanges of whole states must not be much more frequent than the periodic ones, which
    /// become rare in large clusters.
    fn repairs_apart(&self) -> Duration {
        let interval = push_pull::interval(self.config.push_pull_interval, self.counted_members());
        (interval / 6).max(LEAST_BETWEEN_REPAIRS)
    }

    /// All that came is handled: if who is live has changed, that is told once it stood still.
    pub(super) fn settle_view(&mut self) {
        let now = self.effects.now();
        let Some(began) = self.members.view_mut().settle(now) else { return };
        if self.config.stable_view_age.is_zero() {
            return;
        }
        let latest = began + self.config.stable_view_age;
        let still = now + self.stands_still_for();
        self.effects.set_timer(Timer::StableView, still.min(latest));
    }

    /// Twice the time in which a change reaches everybody; without gossip it travels with pings.
    fn stands_still_for(&self) -> Duration {
        let interval = match self.config.gossip_interval {
            Duration::ZERO => self.config.min_report_interval(),
            interval => interval,
        };
        let rounds = libm::ceil(libm::log(as_f64(self.members.len())) + 2.0);
        (2 * interval).mul_f64(rounds)
    }

    pub(super) fn view_stood_still(&mut self) {
        if let Some(view) = self.members.settle_view() {
            self.effects.emit(MembershipEvent::StableView(Box::new(view)));
        }
    }
}

//! Whoever has heard of a suspicion or a death never again believes less.
//!
//! Needs every packet decoded; campaigns do that for some of their seeds.

use crate::config::Config;
use crate::member_name::MemberName;
use crate::sim::fault::HostId;
use crate::sim::packet_inspector::PacketInspector;
use crate::wire::Message;

/// The suspicions and deaths in the packet that is being handed over.
pub(crate) struct Tombstones {
    inspector: PacketInspector,
    heard: Vec<Heard>,
}

/// One suspicion or death of a member that the listener knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) subject: MemberName,
    pub(crate) incarnation: u32,
    /// Whose claim it is; the subject's own for a leave.
    pub(crate) by: Vec<u8>,
    pub(crate) is_death: bool,
}

/// A member holds another one at a lower incarnation than it has heard a claim about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a suspicion or death is never forgotten: host {host} heard one about {subject} at \
     {incarnation} and holds it at {held}"
)]
pub(crate) struct ClaimForgotten {
    host: usize,
    subject: MemberName,
    incarnation: u32,
    held: u32,
}

impl Tombstones {
    pub(crate) fn new(config: &Config) -> Self {
        Self { inspector: PacketInspector::new(config), heard: Vec::new() }
    }

    /// Notes what a packet claims about members that its receiver `knows`; itself not included,
    /// since it refutes such claims.
    pub(crate) fn read(
        &mut self,
        packet: &[u8],
        receiver: &MemberName,
        knows: impl Fn(&MemberName) -> bool,
    ) {
        self.heard.clear();
        let Ok(packet) = self.inspector.decode(packet) else {
            return;
        };
        for message in &packet.messages {
            let (node, incarnation, from, is_death) = match message {
                Message::Suspect(suspect) => {
                    (suspect.node, suspect.incarnation, suspect.from, false)
                }
                Message::Dead(dead) => (dead.node, dead.incarnation, dead.from, true),
                Message::Ping(_)
                | Message::IndirectPing(_)
                | Message::Ack(_)
                | Message::Nack(_)
                | Message::Alive(_)
                | Message::User(_) => continue,
            };
            if let Ok(subject) = MemberName::try_from(node)
                && subject != *receiver
                && knows(&subject)
            {
                self.heard.push(Heard { subject, incarnation, by: from.to_vec(), is_death });
            }
        }
    }

    /// What the last packet claimed; forgotten by this.
    pub(crate) fn take(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }
}

/// Compares what was heard with the incarnations that the listener holds afterwards: `None` for
/// the unknown, and for those who left, since a leave keeps its own incarnation.
pub(crate) fn check(
    listener: HostId,
    heard: &[Heard],
    held: impl Fn(&MemberName) -> Option<u32>,
) -> Result<(), ClaimForgotten> {
    for Heard { subject, incarnation, .. } in heard {
        if let Some(held) = held(subject).filter(|held| held < incarnation) {
            let (host, subject) = (listener.index(), subject.clone());
            return Err(ClaimForgotten { host, subject, incarnation: *incarnation, held });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(claimed_at: u32, held_at: Option<u32>) -> bool {
        let subject = MemberName::try_from("dan").unwrap();
        let (incarnation, by) = (claimed_at, b"bob".to_vec());
        let heard = [Heard { subject, incarnation, by, is_death: true }];
        check(HostId(0), &heard, |_| held_at).is_ok()
    }

    #[test]
    fn a_forgotten_claim_is_noticed_and_a_stale_one_is_not() {
        assert!(!passes(7, Some(6)));
        assert!(passes(7, Some(7)) && passes(7, Some(9)));
        assert!(passes(7, None));
    }

    #[test]
    fn claims_about_oneself_and_about_strangers_are_not_noted() {
        let mut packet = Vec::new();
        let suspect = crate::wire::Suspect { incarnation: 3, node: b"dan", from: b"bob" };
        Message::Suspect(suspect).encode(&mut packet);
        let [ada, dan] = ["ada", "dan"].map(|name| MemberName::try_from(name).unwrap());
        let mut tombstones = Tombstones::new(&Config::lan());
        tombstones.read(&packet, &ada, |_| true);
        let by = b"bob".to_vec();
        let heard = Heard { subject: dan.clone(), incarnation: 3, by, is_death: false };
        assert_eq!(tombstones.take(), [heard]);
        tombstones.read(&packet, &ada, |_| false);
        assert_eq!(tombstones.take(), []);
        tombstones.read(&packet, &dan, |_| true);
        assert_eq!(tombstones.take(), []);
    }
}

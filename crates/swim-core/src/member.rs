//! Members: their states, versions and addresses, and the shared record of what is known of each.
//!
//! A [`Member`] is a snapshot that shares its record with the member table; a change of the table
//! makes a new record where snapshots of the old one exist.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::member_name::MemberName;
use crate::protocol_versions::ProtocolVersions;
use crate::time::Time;
use crate::wire::Alive;

/// What is believed of a member.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MemberState {
    /// It answers, or nobody has said otherwise.
    Alive,
    /// Somebody could not reach it; it is declared dead unless it refutes in time.
    Suspect,
    /// It was declared dead.
    Dead,
    /// It said that it leaves.
    Left,
}

impl MemberState {
    /// Alive or suspect: it still counts as being there.
    ///
    /// ```
    /// # use swim_core::MemberState;
    /// assert!(MemberState::Suspect.is_live());
    /// assert!(!MemberState::Left.is_live());
    /// ```
    #[must_use]
    pub fn is_live(self) -> bool {
        match self {
            Self::Alive | Self::Suspect => true,
            Self::Dead | Self::Left => false,
        }
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
            Self::Left => "left",
        })
    }
}

/// An address as a member announced it: its byte form is part of its identity, since Go compares
/// it byte by byte (10.0.0.2 in 4 bytes and in 16 are two addresses).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Advertised {
    bytes: [u8; 16],
    len: u8,
    pub(crate) port: u16,
}

impl Advertised {
    /// `None` unless `ip` has 4 or 16 bytes.
    pub(crate) fn from_wire(ip: &[u8], port: u16) -> Option<Self> {
        if let Ok([a, b, c, d]) = <[u8; 4]>::try_from(ip) {
            let mut bytes = [0; 16];
            [bytes[0], bytes[1], bytes[2], bytes[3]] = [a, b, c, d];
            return Some(Self { bytes, len: 4, port });
        }
        let bytes = ip.try_into().ok()?;
        Some(Self { bytes, len: 16, port })
    }

    /// Our own form: IPv4 always in 4 bytes.
    pub(crate) fn from_socket(address: SocketAddr) -> Self {
        let mut bytes = [0; 16];
        let len = match address.ip().to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, d] = ip.octets();
                [bytes[0], bytes[1], bytes[2], bytes[3]] = [a, b, c, d];
                4
            }
            IpAddr::V6(ip) => {
                bytes = ip.octets();
                16
            }
        };
        Self { bytes, len, port: address.port() }
    }

    pub(crate) fn ip_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }

    /// What to dial: an IPv4-mapped address is plain IPv4 here.
    pub(crate) fn to_socket(self) -> SocketAddr {
        let [a, b, c, d, ..] = self.bytes;
        let ip = if self.len == 4 {
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            IpAddr::V6(Ipv6Addr::from(self.bytes)).to_canonical()
        };
        SocketAddr::new(ip, self.port)
    }
}

/// What is known of one member, at the moment this snapshot was taken. Cloning shares it.
#[derive(Clone)]
pub struct Member(Arc<MemberRecord>);

/// What is known of one member. 72 bytes: there are as many as members.
#[derive(Clone)]
pub(crate) struct MemberRecord {
    pub(crate) name: MemberName,
    /// Behind one pointer, since most members have none. Shared by successive records.
    pub(crate) meta: Option<Arc<Vec<u8>>>,
    /// When the state last changed.
    pub(crate) changed: Time,
    pub(crate) incarnation: u32,
    pub(crate) advertised: Advertised,
    /// In the wire's order; `None` while it has announced none, or fewer than six bytes.
    pub(crate) versions: Option<[u8; 6]>,
    pub(crate) state: MemberState,
}

const _: () = assert!(size_of::<MemberRecord>() == 72);

impl MemberRecord {
    /// The metadata; often empty.
    pub(crate) fn meta(&self) -> &[u8] {
        self.meta.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Whether an alive message changes nothing, whoever brings it: the member is held alive there,
    /// as late and with the same versions. Gossip repeats itself, so most messages are like that.
    pub(crate) fn covers(&self, alive: &Alive<'_>, advertised: Advertised) -> bool {
        self.state == MemberState::Alive
            && alive.incarnation <= self.incarnation
            && advertised == self.advertised
            && alive.vsn.is_none_or(|vsn| vsn.first_chunk() == self.versions.as_ref())
    }

    /// What is held of it as an alive message. The versions are zeros where it announced none, as
    /// in Go.
    pub(crate) fn to_alive(&self) -> Alive<'_> {
        Alive {
            incarnation: self.incarnation,
            node: self.name.as_bytes(),
            addr: Some(self.advertised.ip_bytes()),
            port: self.advertised.port,
            meta: self.meta.as_ref().map(|meta| meta.as_slice()),
            vsn: Some(self.versions.as_ref().unwrap_or(&[0; 6])),
        }
    }

    /// Whether its highest protocol version is at least `protocol`.
    pub(crate) fn understands(&self, protocol: u8) -> bool {
        self.versions.is_some_and(|[_, max, ..]| max >= protocol)
    }

    /// Whether it checks the checksums of packets; Go adds one exactly then.
    pub(crate) fn checks_checksums(&self) -> bool {
        self.understands(5)
    }
}

impl Member {
    pub(crate) fn new(record: MemberRecord) -> Self {
        Self(Arc::new(record))
    }

    pub(crate) fn record(&self) -> &MemberRecord {
        &self.0
    }

    /// For writing; snapshots handed out before keep what they showed.
    pub(crate) fn record_mut(&mut self) -> &mut MemberRecord {
        Arc::make_mut(&mut self.0)
    }

    /// Unique within its cluster.
    ///
    /// ```no_run
    /// # fn example(member: &swim_core::Member) {
    /// println!("{}", member.name());
    /// # }
    /// ```
    #[must_use]
    pub fn name(&self) -> &MemberName {
        &self.0.name
    }

    /// Where to reach it; an IPv4-mapped address is shown as IPv4.
    ///
    /// ```no_run
    /// # fn example(member: &swim_core::Member) {
    /// println!("{} is at {}", member.name(), member.address());
    /// # }
    /// ```
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.advertised.to_socket()
    }

    /// The bytes of its address exactly as it announced them: 4 or 16.
    ///
    /// ```no_run
    /// # fn example(member: &swim_core::Member) {
    /// println!("announced in {} bytes", member.advertised().len());
    /// # }
    /// ```
    #[must_use]
    pub fn advertised(&self) -> &[u8] {
        self.0.advertised.ip_bytes()
    }

    /// What the application at that member wants others to know; often empty.
    ///
    /// ```no_run
    /// # fn example(member: &swim_core::Member) {
    /// println!("{}", String::from_utf8_lossy(member.meta()));
    /// # }
    /// ```
    #[must_use]
    pub fn meta(&self) -> &[u8] {
        self.0.meta()
    }

    /// What is believed of it.
    ///
    /// ```no_run
    /// # fn example(member: &swim_core::Member) {
    /// println!("{} is {}", member.name(), member.state());
    /// # }
    /// ```
    #[must_use]
    pub fn state(&self) -> MemberState {
        self.0.state
    }

    /// The highest incarnation heard of it. Only the member itself raises it, to refute
    /// suspicions and to announce changes.
    ///
    /// ```no_run
    /// # fn example(member: &swim_core::Member) {
    /// println!("{} refutations and changes", member.incarnation());
    /// # }
    /// ```
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.0.incarnation
    }

    /// The versions it announced, if it did.
    ///
    /// ```no_run
    /// # fn example(member: &swim_core::Member) {
    /// if let Some(versions) = member.versions() {
    ///     println!("speaks {} to {}", versions.protocol_min, versions.protocol_max);
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn versions(&self) -> Option<ProtocolVersions> {
        self.0.versions.map(ProtocolVersions::from_bytes)
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("name", self.name())
            .field("address", &self.address())
            .field("state", &self.state())
            .field("incarnation", &self.incarnation())
            .field("meta", &self.meta())
            .field("versions", &self.versions())
            .finish()
    }
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        let (a, b) = (&*self.0, &*other.0);
        Arc::ptr_eq(&self.0, &other.0)
            || (a.name == b.name
                && a.meta == b.meta
                && a.incarnation == b.incarnation
                && a.advertised == b.advertised
                && a.versions == b.versions
                && a.state == b.state)
    }
}

impl Eq for Member {}

/// Who this machine is.
#[derive(Clone, Debug)]
pub struct LocalMember {
    /// Our name; must be UTF-8, so that every tool can show it.
    pub name: MemberName,
    /// The address others reach us at. IPv4 is announced in 4 bytes, IPv4-mapped included.
    pub address: SocketAddr,
    /// What others shall know of us: at most [`MAX_META`](crate::MAX_META) bytes.
    pub meta: Vec<u8>,
}

impl LocalMember {
    /// The record of ourselves when we start.
    pub(crate) fn into_member(self, versions: ProtocolVersions, now: Time) -> Member {
        Member::new(MemberRecord {
            name: self.name,
            meta: (!self.meta.is_empty()).then(|| self.meta.into()),
            changed: now,
            incarnation: 1,
            advertised: Advertised::from_socket(self.address),
            versions: Some(versions.to_bytes()),
            state: MemberState::Alive,
        })
    }
}

/// Whom a connection leads to, as far as the transport proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The remote address of the connection.
    pub address: SocketAddr,
    /// The names its certificate proves; empty when nothing was verified.
    pub names: Arc<[MemberName]>,
}

impl Peer {
    /// A peer that proved nothing: it may speak for anybody, as in Go.
    #[must_use]
    pub fn unverified(address: SocketAddr) -> Self {
        Self { address, names: Arc::new([]) }
    }

    /// Whether it may say something in the name of `name`: true for every name while unverified.
    #[must_use]
    pub fn speaks_for(&self, name: &MemberName) -> bool {
        self.speaks_for_bytes(name.as_bytes())
    }

    pub(crate) fn speaks_for_bytes(&self, name: &[u8]) -> bool {
        self.names.is_empty() || self.names.iter().any(|own| own.as_bytes() == name)
    }
}

/// The metadata of an alive message, shared with what is held where it is the same.
pub(crate) fn merge_meta(meta: Option<&[u8]>, held: Option<&MemberRecord>) -> Option<Arc<Vec<u8>>> {
    let meta = meta?;
    match held.and_then(|held| held.meta.as_ref()) {
        Some(held) if held.as_slice() == meta => Some(Arc::clone(held)),
        Some(_) | None => Some(Arc::new(meta.to_vec())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_byte_form_but_dials_plainly() {
        let mapped = Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped().octets();
        let long = Advertised::from_wire(&mapped, 7946).unwrap();
        let short = Advertised::from_wire(&[10, 0, 0, 2], 7946).unwrap();
        assert_ne!(long, short);
        assert_eq!(long.to_socket(), short.to_socket());
        assert_eq!(long.ip_bytes(), mapped);
        assert_eq!(Advertised::from_wire(&[10, 0, 0], 7946), None);
        assert_eq!(Advertised::from_socket("[::ffff:10.0.0.2]:7946".parse().unwrap()), short);
    }

    #[test]
    fn a_verified_peer_speaks_only_for_its_own_names() {
        let ada = MemberName::try_from("ada").unwrap();
        let bob = MemberName::try_from("bob").unwrap();
        let address = "10.0.0.1:7946".parse().unwrap();
        let verified = Peer { address, names: Arc::new([ada.clone()]) };
        assert!(verified.speaks_for(&ada) && !verified.speaks_for(&bob));
        assert!(Peer::unverified(address).speaks_for(&bob));
    }

    #[test]
    fn a_snapshot_does_not_change_afterwards() {
        let mut member = Member::new(MemberRecord {
            name: MemberName::try_from("ada").unwrap(),
            meta: None,
            changed: Time::ZERO,
            incarnation: 1,
            advertised: Advertised::from_wire(&[10, 0, 0, 1], 1).unwrap(),
            versions: Some(ProtocolVersions::DEFAULT.to_bytes()),
            state: MemberState::Alive,
        });
        let before = member.clone();
        member.record_mut().state = MemberState::Dead;
        assert_eq!((before.state(), member.state()), (MemberState::Alive, MemberState::Dead));
        assert_ne!(before, member);
    }
}

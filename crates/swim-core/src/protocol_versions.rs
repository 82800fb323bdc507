//! The versions that members announce.

/// The six version bytes that every member announces, in wire order.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersions {
    /// Oldest protocol it understands.
    pub protocol_min: u8,
    /// Newest protocol it understands. From 3 it answers stream pings, from 4 it sends nacks,
    /// from 5 it checks packet checksums.
    pub protocol_max: u8,
    /// The protocol it speaks.
    pub protocol_current: u8,
    /// Oldest version of the application's own protocol.
    pub delegate_min: u8,
    /// Newest version of the application's own protocol.
    pub delegate_max: u8,
    /// The version of the application's protocol that it speaks.
    pub delegate_current: u8,
}

impl ProtocolVersions {
    /// What Go's memberlist announces by default: understands 1 to 5, speaks 2.
    pub const DEFAULT: Self = Self::from_bytes([1, 5, 2, 0, 0, 0]);

    /// From the wire's order: protocol min, max, current, delegate min, max, current.
    ///
    /// ```
    /// # use swim_core::ProtocolVersions;
    /// let versions = ProtocolVersions::from_bytes([1, 5, 2, 0, 0, 0]);
    /// assert_eq!(versions, ProtocolVersions::DEFAULT);
    /// ```
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 6]) -> Self {
        let [
            protocol_min,
            protocol_max,
            protocol_current,
            delegate_min,
            delegate_max,
            delegate_current,
        ] = bytes;
        Self {
            protocol_min,
            protocol_max,
            protocol_current,
            delegate_min,
            delegate_max,
            delegate_current,
        }
    }

    /// In the wire's order.
    ///
    /// ```
    /// # use swim_core::ProtocolVersions;
    /// assert_eq!(ProtocolVersions::DEFAULT.to_bytes()[1], 5);
    /// ```
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 6] {
        [
            self.protocol_min,
            self.protocol_max,
            self.protocol_current,
            self.delegate_min,
            self.delegate_max,
            self.delegate_current,
        ]
    }
}

impl Default for ProtocolVersions {
    fn default() -> Self {
        Self::DEFAULT
    }
}

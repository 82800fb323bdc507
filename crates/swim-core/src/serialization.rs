//! What `serde` writes and reads of types whose fields are their own.

use serde::de::Error;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bytes_text;
use crate::ip_network::IpNetwork;
use crate::member::Member;
use crate::member_name::MemberName;

/// A string where the name is UTF-8, else a list of numbers.
impl Serialize for MemberName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        bytes_text::serialize(self.as_bytes(), serializer)
    }
}

impl<'de> Deserialize<'de> for MemberName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = bytes_text::deserialize(deserializer)?;
        Self::try_from(bytes.as_slice()).map_err(D::Error::custom)
    }
}

/// As it is printed: `10.0.0.0/8`.
impl Serialize for IpNetwork {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for IpNetwork {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Its metadata as text where it is UTF-8.
impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Meta<'a>(&'a [u8]);
        impl Serialize for Meta<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                bytes_text::serialize(self.0, serializer)
            }
        }
        let mut member = serializer.serialize_struct("Member", 6)?;
        member.serialize_field("name", self.name())?;
        member.serialize_field("address", &self.address())?;
        member.serialize_field("state", &self.state())?;
        member.serialize_field("incarnation", &self.incarnation())?;
        member.serialize_field("meta", &Meta(self.meta()))?;
        member.serialize_field("versions", &self.versions())?;
        member.end()
    }
}

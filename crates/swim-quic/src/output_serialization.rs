//! What `serde` writes and reads of types whose fields are their own.
//!
//! An event is a map whose `event` says which it is: `joined`, `failed`, ... Where all it has is a
//! member, the member's fields are beside it. Errors are written as their text with those of their
//! sources: an application acts on an error where it gets it, and elsewhere people read it.

use std::error::Error;

use certs::with_sources;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::advertise::Advertise;
use crate::error::JoinFailureReason;
use crate::members::Members;
use crate::metrics::Metrics;

pub(crate) fn error_text<S: Serializer>(
    error: &(impl Error + 'static),
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&with_sources(error))
}

impl Serialize for JoinFailureReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        error_text(self, serializer)
    }
}

/// As it is printed.
impl Serialize for Advertise {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A string in any of the forms that [`Advertise`] has; what it leads to is looked up at the start.
impl<'de> Deserialize<'de> for Advertise {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// A list of members, in the order of their names.
impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

/// A map from the names of the series to their values.
impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|sample| (sample.series.name(), sample.value)))
    }
}

//! What an endpoint is told when it starts: who it is, and what it speaks. The bounds that it keeps
//! are in [`Limits`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::EndpointError;
use crate::hello::{MAX_FEATURES, MAX_TEXT};
use crate::limits::Limits;

/// Tells which names a leaf certificate (DER) proves.
///
/// Called once for each authenticated connection. An empty answer means that names are not
/// enforced for that peer: every expected name matches it.
pub type Identify = Arc<dyn Fn(&[u8]) -> Vec<Arc<[u8]>> + Send + Sync>;

/// Says what a leaf certificate (DER) holds in the fields that prove names, on one line, for the
/// [detail](crate::EndpointEvent::Refused::detail) of a refusal. What is in a certificate is its
/// owner's: the answer is to be short, and without control characters.
pub type DescribeNames = Arc<dyn Fn(&[u8]) -> String + Send + Sync>;

/// Everything an [`Endpoint`](crate::Endpoint) needs besides its TLS context.
#[derive(Clone)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// The ALPN token of the extended protocol, offered first and spoken with peers of our kind:
    /// it allows the first bytes `0xF5` and `0xF6` and exchanges a HELLO.
    pub extended_protocol: Vec<u8>,
    /// The ALPN token of the classic protocol, offered second: plain packets and streams only.
    pub classic_protocol: Vec<u8>,
    /// Our own name, 1 to 255 bytes, sent in HELLO. Two peers that dialed each other keep the
    /// connection that the lower name dialed.
    pub name: Vec<u8>,
    /// A label, at most 255 bytes, sent in HELLO. Peers with unequal labels part at once.
    pub label: Vec<u8>,
    /// What the layer above speaks beyond the basics, at most 32 bytes, sent in HELLO. Peers
    /// report them as [`PeerFeatures`](crate::EndpointEvent::PeerFeatures); the endpoint gives
    /// them no meaning.
    pub features: Vec<u8>,
    /// The key of connection ids, reset tokens and retry tokens. It must survive a restart, else
    /// peers keep sending into connections that no longer exist until these time out.
    pub reset_secret: [u8; 32],
    /// Reads the names out of a peer's certificate. Default: names are not enforced.
    pub identify: Identify,
    /// Says why a peer's certificate does not prove a name. Default: nothing.
    pub describe_names: DescribeNames,
    /// Every bound and timeout.
    pub limits: Limits,
    /// [`Limits::idle_timeout`] for connections that speak the extended protocol, where it is
    /// another one; default: the same.
    pub extended_idle_timeout: Option<Duration>,
}

impl EndpointConfig {
    /// A configuration with the given ALPN tokens and reset secret, and defaults elsewhere.
    pub fn new(
        extended_protocol: impl Into<Vec<u8>>,
        classic_protocol: impl Into<Vec<u8>>,
        reset_secret: [u8; 32],
    ) -> Self {
        Self {
            extended_protocol: extended_protocol.into(),
            classic_protocol: classic_protocol.into(),
            name: Vec::new(),
            label: Vec::new(),
            features: Vec::new(),
            reset_secret,
            identify: Arc::new(|_| Vec::new()),
            describe_names: Arc::new(|_| String::new()),
            limits: Limits::default(),
            extended_idle_timeout: None,
        }
    }

    /// Finds what HELLO or TLS cannot carry, and limits that cannot work.
    pub(crate) fn validate(&self) -> Result<(), EndpointError> {
        if self.name.len() > MAX_TEXT {
            return Err(EndpointError::NameTooLong(self.name.len()));
        }
        if self.label.len() > MAX_TEXT {
            return Err(EndpointError::LabelTooLong(self.label.len()));
        }
        if self.features.len() > MAX_FEATURES {
            return Err(EndpointError::FeaturesTooLong(self.features.len()));
        }
        for protocol in [&self.extended_protocol, &self.classic_protocol] {
            if protocol.is_empty() || protocol.len() > 255 {
                return Err(EndpointError::ProtocolLength(protocol.len()));
            }
        }
        Ok(self.limits.validate()?)
    }
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EndpointConfig")
            .field("extended_protocol", &self.extended_protocol.escape_ascii().to_string())
            .field("classic_protocol", &self.classic_protocol.escape_ascii().to_string())
            .field("name", &self.name.escape_ascii().to_string())
            .field("label", &self.label.escape_ascii().to_string())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

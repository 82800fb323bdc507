//! Settings in JSON, as a service reads them from a file.

use serde::{Deserialize, Serialize};
use swim_quic::{Advertise, Config, Limits, NameFields, NamePolicy, SubscriptionLimits};

/// All settings that a file may hold.
#[derive(Debug, Deserialize, Serialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    config: Config,
    limits: Limits,
    subscriptions: SubscriptionLimits,
    advertise: Option<Advertise>,
    name_fields: NameFields,
    name_policy: NamePolicy,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            config: Config::lan(),
            limits: Limits::default(),
            subscriptions: SubscriptionLimits::default(),
            advertise: None,
            name_fields: NameFields::default(),
            name_policy: NamePolicy::default(),
        }
    }
}

/// What is read is judged without a panic, and written and read again if it would work.
pub fn check(input: &[u8]) -> bool {
    let settings: Settings = match serde_json::from_slice(input) {
        Ok(settings) => settings,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let judged = settings.config.validate().map_err(|error| error.to_string());
    let judged = judged.and(settings.limits.validate().map_err(|error| error.to_string()));
    if let Err(text) = judged {
        assert!(!text.is_empty() && !text.contains('\n'), "{text:?}");
        return true;
    }
    let written = serde_json::to_vec(&settings).expect("what would work can be written");
    let again: Settings = serde_json::from_slice(&written).expect("and is read again");
    assert_eq!(again, settings);
    true
}

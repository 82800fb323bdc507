//! Which settings may change while a member runs.

use std::fmt;

use super::Config;
use crate::config_error::ConfigError;

/// What to do to change a setting that is a part of every message.
const AT_THE_START: &str = "leave it as it is: it can be set at the start only";

impl Config {
    /// Whether a member that runs with these settings may go on with others.
    ///
    /// # Errors
    /// The first setting that would not work or may not change, with what it was to become.
    pub(crate) fn check_change(&self, to: &Self) -> Result<(), ConfigError> {
        to.validate()?;
        let label = |config: &Self| format!("{}", config.label.escape_ascii());
        same("label", &label(self), &label(to))?;
        same("versions", &self.versions, &to.versions)?;
        same("observers", &self.observers, &to.observers)?;
        same("compression", &self.compression, &to.compression)?;
        same("verify_incoming", &self.verify_incoming, &to.verify_incoming)?;
        same("verify_outgoing", &self.verify_outgoing, &to.verify_outgoing)?;
        let labels = [self.skip_inbound_label_check, to.skip_inbound_label_check];
        same("skip_inbound_label_check", &labels[0], &labels[1])?;
        if self.keys != to.keys {
            let value = format!("{} other keys", to.keys.len());
            let remedy = "leave them as they are, and add, use and remove keys one by one";
            return Err(ConfigError { field: "keys", value, remedy });
        }
        Ok(())
    }
}

fn same<T: PartialEq + fmt::Debug>(
    field: &'static str,
    held: &T,
    to: &T,
) -> Result<(), ConfigError> {
    match held == to {
        true => Ok(()),
        false => Err(ConfigError { field, value: format!("{to:?}"), remedy: AT_THE_START }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret_key::SecretKey;

    #[test]
    fn what_is_a_part_of_every_message_stays_and_the_rest_may_change() {
        let held = Config { label: b"blue".to_vec(), ..Config::lan() };
        type Spoiler = (&'static str, fn(&mut Config));
        let spoilers: [Spoiler; 9] = [
            ("observers", |config| config.observers = 10),
            ("label", |config| config.label = b"green".to_vec()),
            ("versions", |config| config.versions.protocol_max = 4),
            ("compression", |config| config.compression = false),
            ("verify_incoming", |config| config.verify_incoming = false),
            ("verify_outgoing", |config| config.verify_outgoing = false),
            ("skip_inbound_label_check", |config| config.skip_inbound_label_check = true),
            ("keys", |config| config.keys = vec![SecretKey::try_from(&[7; 32][..]).unwrap()]),
            ("max_members", |config| config.max_members = 0),
        ];
        for (field, spoil) in spoilers {
            let mut to = held.clone();
            spoil(&mut to);
            let error = held.check_change(&to).unwrap_err();
            assert_eq!(error.field, field);
            assert!(!error.to_string().contains("[7"), "{error}");
        }
        let to = Config { label: b"blue".to_vec(), ..Config::wan() };
        assert_eq!(held.check_change(&to), Ok(()));
    }
}

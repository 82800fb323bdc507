//! The calls of a [`Cluster`] that change its settings.

use swim_core::Config;

use super::Cluster;
use crate::error::{CommandError, ReconfigureError};
use crate::settings_command::SettingsCommand;

/// # Settings that change while the member runs
///
/// | what | with |
/// |---|---|
/// | intervals, timeouts, multipliers, bounds, allowed networks | `reconfigure` |
/// | keys | `add_key`, `use_key`, `remove_key` |
/// | seeds | `set_seeds`, `forget_seed` |
/// | metadata, address, state for exchanges | `set_meta`, `set_advertise`, `set_user_state` |
/// | certificate, key, authorities | `rotate`, `revoke`, files that change |
///
/// Name, label, versions, compression, what is verified, name policy, hooks and the limits of the
/// transport are those of the start.
///
/// ```no_run
/// # use std::time::Duration;
/// # use swim_quic::Cluster;
/// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = cluster.config()?;
/// config.probe_interval = Duration::from_secs(2);
/// cluster.reconfigure(config)?;
/// # Ok(())
/// # }
/// ```
impl Cluster {
    /// The settings in use. Its `keys` are those of the start: [`keys`](Self::keys) gives those
    /// that there are now.
    ///
    /// # Errors
    ///
    /// [`CommandError`] when the driver thread does not take or answer the question.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// println!("probes every {:?}", cluster.config()?.probe_interval);
    /// # Ok(())
    /// # }
    /// ```
    pub fn config(&self) -> Result<Config, CommandError> {
        self.settings(|reply| SettingsCommand::Config { reply })
    }

    /// Uses other settings from here on, checked as at the start. What is under way, as a probe or
    /// a suspicion, ends by those that it began with. All members should use the same intervals.
    ///
    /// # Errors
    ///
    /// [`ReconfigureError`] names the first setting that would not work, or that may not change,
    /// with its value and what to do; nothing is changed then.
    ///
    /// ```no_run
    /// # use swim_quic::Cluster;
    /// # use std::time::Duration;
    /// # fn example(cluster: &Cluster) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config = cluster.config()?;
    /// config.probe_interval = Duration::ZERO;
    /// if let Err(error) = cluster.reconfigure(config) {
    ///     println!("nothing is changed: {error}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconfigure(&self, config: Config) -> Result<(), ReconfigureError> {
        let config = Box::new(config);
        self.settings(|reply| SettingsCommand::Reconfigure { config, reply })?
            .map_err(ReconfigureError::from_refusal)
    }
}

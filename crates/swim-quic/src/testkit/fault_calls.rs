//! What can be done to the network of a [`TestCluster`], and to its members.

use std::time::Duration;

use super::proxy::Port;
use super::standstill::Standstill;
use super::{TestCluster, TestClusterError};
use crate::cluster::Cluster;

/// # Faults
impl TestCluster {
    /// Lets nothing pass between the members of one side and those of the other, either way. What
    /// is on its way with a [`delay`](Self::delay) still arrives.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::UnknownMember`]: nothing is cut then.
    ///
    /// ```no_run
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// cluster.cut(["ada"], ["bob", "cyd"])?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cut<N: AsRef<str>, M: AsRef<str>>(
        &mut self,
        side: impl IntoIterator<Item = N>,
        other_side: impl IntoIterator<Item = M>,
    ) -> Result<(), TestClusterError> {
        let ports = |names: Vec<Result<Port, TestClusterError>>| -> Result<Vec<Port>, _> {
            names.into_iter().collect()
        };
        let side = ports(side.into_iter().map(|name| self.port(name.as_ref())).collect())?;
        let other_side = ports(other_side.into_iter().map(|n| self.port(n.as_ref())).collect())?;
        for (one, other) in side.iter().flat_map(|one| other_side.iter().map(|to| (*one, *to))) {
            self.proxy.change_link(one, other, |link| link.is_cut = true);
            self.proxy.change_link(other, one, |link| link.is_cut = true);
        }
        Ok(())
    }

    /// Ends every [cut](Self::cut), [loss](Self::lose) and [delay](Self::delay). Members that had
    /// declared each other dead find each other again by their seeds, within seconds.
    ///
    /// ```no_run
    /// # fn example(cluster: &mut swim_quic::testkit::TestCluster) {
    /// cluster.heal();
    /// # }
    /// ```
    pub fn heal(&mut self) {
        self.proxy.heal();
    }

    /// Loses this share of the datagrams that one member sends to another: 0 is none, 1 all. The
    /// other direction stays as it is.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::UnknownMember`], and [`TestClusterError::Share`] for what is not between
    /// 0 and 1.
    ///
    /// ```no_run
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// cluster.lose("ada", "bob", 0.3)?;
    /// cluster.lose("bob", "ada", 1.0)?; // bob hears ada, and ada nothing of bob
    /// # Ok(())
    /// # }
    /// ```
    pub fn lose(&mut self, from: &str, to: &str, share: f64) -> Result<(), TestClusterError> {
        if !(0.0..=1.0).contains(&share) {
            return Err(TestClusterError::Share(share));
        }
        let (from, to) = (self.port(from)?, self.port(to)?);
        self.proxy.change_link(from, to, |link| link.lost = share);
        Ok(())
    }

    /// Delays each datagram that one member sends to another by this time; the other direction
    /// stays as it is. Of what is delayed at most 65,536 datagrams wait; further ones are lost.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::UnknownMember`].
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// cluster.delay("ada", "bob", Duration::from_millis(40))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delay(&mut self, from: &str, to: &str, by: Duration) -> Result<(), TestClusterError> {
        let (from, to) = (self.port(from)?, self.port(to)?);
        self.proxy.change_link(from, to, |link| link.delay = by);
        Ok(())
    }

    /// Ends a member as a loss of power does: it sends nothing any more, neither a leave nor the
    /// end of its connections, and all handles to it are closed. Again is no error.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::UnknownMember`].
    ///
    /// ```no_run
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// cluster.crash("bob")?;
    /// assert!(matches!(cluster.member("bob"), Err(TestClusterError::Crashed(_))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn crash(&mut self, name: &str) -> Result<(), TestClusterError> {
        let port = self.port(name)?;
        self.proxy.detach(port);
        if let Some(member) = self.members.get_mut(name) {
            member.end();
        }
        Ok(())
    }

    /// Stops a member as `SIGSTOP` stops a process: its driver thread stands still, its timers and
    /// event loop with it, before this returns. What arrives waits in its socket's buffer, and is
    /// lost when that is full. Threads of the application go on: calls that need the driver thread
    /// fail after 5 s, or their own timeout. Again is no error.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::UnknownMember`], [`TestClusterError::Crashed`], and
    /// [`TestClusterError::Network`] when there is no thread to be had.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// cluster.freeze("bob")?;
    /// let soon = Duration::from_secs(10);
    /// cluster.wait_until("bob is given up", soon, |cluster| !cluster.sees("ada", "bob"))?;
    /// cluster.thaw("bob")?;
    /// cluster.wait_until("bob refutes it", soon, |cluster| cluster.sees("ada", "bob"))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn freeze(&mut self, name: &str) -> Result<(), TestClusterError> {
        self.member(name)?;
        if let Some(member) = self.members.get_mut(name)
            && member.standstill.is_none()
        {
            let standstill =
                Standstill::begin(&member.driver).map_err(TestClusterError::Network)?;
            member.standstill = Some(standstill);
        }
        Ok(())
    }

    /// Lets a frozen member go on. Nothing happens to one that is not frozen.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::UnknownMember`].
    ///
    /// ```no_run
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// for name in ["ada", "bob"] {
    ///     cluster.thaw(name)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn thaw(&mut self, name: &str) -> Result<(), TestClusterError> {
        self.known(name)?;
        if let Some(member) = self.members.get_mut(name) {
            member.standstill = None;
        }
        Ok(())
    }

    /// Starts a member anew, with its settings, certificate and announced address; if it still
    /// runs it [crashes](Self::crash) first. Returns as [`add`](Self::add) does.
    ///
    /// # Errors
    ///
    /// [`TestClusterError::UnknownMember`], and what keeps a member from starting.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use swim_quic::testkit::{TestCluster, TestClusterError};
    /// # fn example(cluster: &mut TestCluster) -> Result<(), TestClusterError> {
    /// let bob = cluster.restart("bob")?;
    /// let soon = Duration::from_secs(10);
    /// cluster.wait_until("bob has joined", soon, |_| bob.members().len() == 3)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn restart(&mut self, name: &str) -> Result<Cluster, TestClusterError> {
        self.crash(name)?;
        let member = self.known(name)?;
        let (cluster, driver) =
            self.start_member(name, &member.identity, &member.configure, member.port)?;
        let handle = cluster.clone();
        if let Some(member) = self.members.get_mut(name) {
            (member.cluster, member.driver, member.has_crashed) = (cluster, driver, false);
        }
        Ok(handle)
    }
}

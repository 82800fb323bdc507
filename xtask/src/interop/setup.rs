//! Starting the members of a case. Those whose names begin with `g` are Go peers, all others are
//! nodes.

use crate::Stop;
use crate::fleet::stage::Stage;
use crate::fleet::{MemberSpec, Program, logs};

impl Stage {
    /// Starts a member, waits until it listens, and says where.
    pub(super) fn start(&mut self, name: &str, flags: &[&str]) -> Result<String, Stop> {
        self.start_spec(MemberSpec::new(name, Program::named(name)).with(flags))
    }

    /// Starts a member behind the proxy.
    pub(super) fn start_proxied(&mut self, name: &str, flags: &[&str]) -> Result<String, Stop> {
        let mut spec = MemberSpec::new(name, Program::named(name)).with(flags);
        spec.proxied = true;
        self.start_spec(spec)
    }

    fn start_spec(&mut self, spec: MemberSpec) -> Result<String, Stop> {
        if !self.fleet.folder().join(format!("{}.pem", spec.name)).exists() {
            self.certify(&spec.name, "127.0.0.1")?;
        }
        Ok(self.launch(&spec)?.to_string())
    }

    /// Gives a member a certificate for the address, made by its own kind's tool.
    pub(super) fn certify(&self, name: &str, ip: &str) -> Result<(), Stop> {
        let ip = ip.parse().map_err(|_| Stop::Failed(format!("{ip} is no address")))?;
        self.fleet.certify(name, Program::named(name), ip)
    }

    /// The address that the member announces.
    pub(super) fn address(&self, name: &str) -> String {
        let ready = self.history(name).ready.as_ref();
        ready.map(|(address, _)| address.to_string()).unwrap_or_default()
    }

    /// What the member has logged.
    pub(super) fn log(&self, name: &str) -> String {
        logs::read(&self.fleet.folder().join(format!("{name}.log")))
    }
}

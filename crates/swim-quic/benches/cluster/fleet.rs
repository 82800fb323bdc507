//! The members of one process, and what is done with them.

use std::error::Error;
use std::net::IpAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use swim_quic::{Authority, Cluster, Config, Driver, Identity, MemberState};

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// So many members join at once.
const JOINING: usize = 8;
/// How often views are looked at.
const LOOK: Duration = Duration::from_millis(2);
/// One join, that of a victim included.
const JOIN: Duration = Duration::from_secs(30);
/// The authority of victims, which are processes of their own.
const FOLDER: &str = "SWIM_QUIC_BENCH_AUTHORITY";

/// Some members on one driver thread.
pub(crate) struct Fleet {
    driver: Driver,
    authority: Authority,
    folder: tempfile::TempDir,
    config: Config,
    members: Vec<Cluster>,
    began: Instant,
    victims: u16,
}

impl Fleet {
    /// Starts the first member, and all others with [`JOINING`] joins at a time.
    pub(crate) fn start(count: u16, config: &Config) -> Result<Self, Failure> {
        let authority = Authority::generate("bench", Duration::from_secs(86_400))?;
        let folder = tempfile::tempdir()?;
        authority.save(folder.path())?;
        let driver = Driver::start()?;
        let names: Vec<String> = (0..count).map(|number| format!("member-{number}")).collect();
        let identities = names.iter().map(|name| identity(&authority, name));
        let identities = identities.collect::<Result<Vec<_>, _>>()?;
        let began = Instant::now();
        let first = member(&names[0], &identities[0], config, &driver)?;
        let seed = first.address().to_string();
        let next = AtomicUsize::new(1);
        let members = Mutex::new(vec![first]);
        thread::scope(|scope| {
            let join = || -> Result<(), Failure> {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = names.get(place) else { return Ok(()) };
                    let member = member(name, &identities[place], config, &driver)?;
                    // Who was not answered in time is found missing later.
                    let _ = member.join([seed.as_str()], JOIN);
                    members.lock().unwrap_or_else(PoisonError::into_inner).push(member);
                }
            };
            let joining: Vec<_> = (0..JOINING).map(|_| scope.spawn(join)).collect();
            joining.into_iter().try_for_each(|thread| {
                thread.join().unwrap_or_else(|_| Err("a thread that joins members panicked".into()))
            })
        })?;
        let members = members.into_inner().unwrap_or_else(PoisonError::into_inner);
        let config = config.clone();
        Ok(Self { driver, authority, folder, config, members, began, victims: 0 })
    }

    /// Until all see all, from the start of the first member.
    pub(crate) fn wait_until_formed(&self, patience: Duration) -> Option<Duration> {
        let count = self.members.len();
        self.until_all(self.began, patience, |member| live(member) == count)
    }

    /// How many views lack somebody.
    pub(crate) fn missing(&self) -> usize {
        self.members.iter().filter(|member| live(member) != self.members.len()).count()
    }

    /// Ends of connections that members have, all together.
    pub(crate) fn connections(&self) -> Result<usize, Failure> {
        let all = self.members.iter().map(|member| Ok(member.connections()?.len()));
        all.sum()
    }

    /// One member changes its metadata: until all others have it.
    pub(crate) fn change_metadata(
        &mut self,
        round: u16,
        patience: Duration,
    ) -> Result<Option<Duration>, Failure> {
        let teller = &self.members[usize::from(round) % self.members.len()];
        let (name, meta) = (teller.name().clone(), format!("metadata {round}").into_bytes());
        let began = Instant::now();
        teller.set_meta(meta.clone())?;
        Ok(self.until_all(began, patience, |member| {
            member.members().get(&name).is_some_and(|seen| seen.meta() == meta)
        }))
    }

    /// One more member joins and leaves: until nobody holds it for alive.
    pub(crate) fn leave(
        &mut self,
        round: u16,
        patience: Duration,
    ) -> Result<Option<Duration>, Failure> {
        let name = format!("leaver-{round}");
        let identity = identity(&self.authority, &name)?;
        let leaver = member(&name, &identity, &self.config, &self.driver)?;
        leaver.join([self.seed()], JOIN)?;
        self.until_all(Instant::now(), patience, |member| is_live(member, &name));
        let began = Instant::now();
        thread::scope(|scope| {
            let seen =
                scope.spawn(|| self.until_all(began, patience, |member| !is_live(member, &name)));
            leaver.leave(patience)?;
            seen.join().map_err(|_| Failure::from("the thread that looks panicked"))
        })
    }

    /// One more member joins, as a process of its own, and is killed: until nobody holds it for
    /// alive or suspect.
    pub(crate) fn crash(&mut self, patience: Duration) -> Result<Option<Duration>, Failure> {
        self.victims += 1;
        let name = format!("victim-{}", self.victims);
        let observers = self.config.observers.to_string();
        let mut victim = Victim::start(&name, &self.seed(), &observers, self.folder.path())?;
        self.until_all(Instant::now(), patience, |member| is_live(member, &name));
        // A member that has only just joined is probed by few.
        thread::sleep(Duration::from_secs(2));
        let began = Instant::now();
        victim.kill();
        Ok(self.until_all(began, patience, |member| !is_live(member, &name)))
    }

    fn seed(&self) -> String {
        self.members[0].address().to_string()
    }

    fn until_all(
        &self,
        began: Instant,
        patience: Duration,
        sees: impl Fn(&Cluster) -> bool,
    ) -> Option<Duration> {
        let mut waiting: Vec<&Cluster> = self.members.iter().collect();
        while began.elapsed() < patience {
            waiting.retain(|member| !sees(member));
            if waiting.is_empty() {
                return Some(began.elapsed());
            }
            thread::sleep(LOOK);
        }
        None
    }
}

/// Members that this one holds alive or suspect, itself included.
fn live(member: &Cluster) -> usize {
    member.members().iter().filter(|seen| is_there(seen.state())).count()
}

fn is_live(member: &Cluster, name: &str) -> bool {
    member.members().get(name).is_some_and(|seen| is_there(seen.state()))
}

fn is_there(state: MemberState) -> bool {
    matches!(state, MemberState::Alive | MemberState::Suspect)
}

fn identity(authority: &Authority, name: &str) -> Result<Identity, Failure> {
    let loopback = [IpAddr::from([127, 0, 0, 1])];
    Ok(authority.issue(name, &loopback, Duration::from_secs(86_400))?.identity()?)
}

fn member(
    name: &str,
    identity: &Identity,
    config: &Config,
    driver: &Driver,
) -> Result<Cluster, Failure> {
    let builder = Cluster::builder(name).bind("127.0.0.1:0").identity(identity.clone());
    Ok(builder.config(config.clone()).driver(driver).start()?)
}

/// A process with one member.
struct Victim(Child);

impl Victim {
    fn start(name: &str, seed: &str, observers: &str, folder: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--victim", seed, "--observers", observers])
            .env(FOLDER, folder)
            .env("NAME", name);
        Ok(Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?))
    }

    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One member, until the process is killed.
pub(crate) fn be_a_victim(seed: &str, config: &Config) -> Result<(), Failure> {
    let folder = std::env::var_os(FOLDER).ok_or("a victim is started by the benchmark only")?;
    let name = std::env::var("NAME")?;
    let authority = Authority::load(Path::new(&folder))?;
    let driver = Driver::start()?;
    let member = member(&name, &identity(&authority, &name)?, config, &driver)?;
    member.join([seed], JOIN)?;
    loop {
        thread::sleep(Duration::from_secs(3_600));
    }
}

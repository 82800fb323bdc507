//! What members in one process hold: memory for each, and for each end of a connection.
//!
//! For each size of cluster: starts members that know nobody, lets all join the first and waits
//! until all see all, connects all with all, and looks at a while of quiet. With `own` each member
//! has a driver thread of its own, with `shared` (the default) one thread has all.

mod counting;

use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use certs::Authority;
use counting::Heap;
use swim_quic::{Cluster, Config, Driver, Identity};

const DAY: Duration = Duration::from_secs(86_400);
/// More than anything here takes.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a connected cluster is looked at.
const QUIET: Duration = Duration::from_secs(10);
/// How many sizes of blocks are shown.
const SHOWN: usize = 14;

type Failed = Box<dyn Error>;

fn main() -> Result<(), Failed> {
    let mut sizes: Vec<usize> = Vec::new();
    let mut own = false;
    let mut blocks = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--bench" | "shared" => {}
            "own" => own = true,
            "blocks" => blocks = true,
            size => sizes.push(size.parse()?),
        }
    }
    if sizes.is_empty() {
        sizes = vec![10, 50, 100];
    }
    let authority = Authority::generate("benchmark", 30 * DAY)?;
    let threads = if own { "a driver thread each" } else { "one driver thread" };
    for members in sizes {
        say(format_args!("{members} members, {threads}"));
        Measurement { authority: &authority, members, own, blocks }.run()?;
    }
    Ok(())
}

struct Measurement<'a> {
    authority: &'a Authority,
    members: usize,
    own: bool,
    /// Whether blocks are shown by size.
    blocks: bool,
}

impl Measurement<'_> {
    fn run(&self) -> Result<(), Failed> {
        let driver = Driver::start()?;
        let identities: Vec<Identity> = (0..self.members)
            .map(|index| identity(self.authority, &name(index)))
            .collect::<Result<_, _>>()?;
        // What the first member alone sets up for the process is nobody's.
        let first = identity(self.authority, "first")?;
        self.start("first".into(), first, &driver)?.close(PATIENCE);

        let before = Heap::now();
        let resident = resident();
        let mut clusters = Vec::new();
        for (index, identity) in identities.into_iter().enumerate() {
            clusters.push(self.start(name(index), identity, &driver)?);
        }
        let alone = self.report("a member alone", self.members, (&before, resident));

        let began = now();
        let first = clusters[0].address().to_string();
        for cluster in &clusters[1..] {
            cluster.set_seeds([&first])?;
        }
        until("all see all", || clusters.iter().all(|one| one.members().len() == self.members))?;
        say(format_args!("  all see all after {:.1} s", began.elapsed().as_secs_f64()));
        self.connect_all(&clusters)?;

        let (time, bytes) = (processor_time(), bytes_sent(&clusters)?);
        sleep(QUIET);
        let seconds = QUIET.as_secs_f64() * as_f64(self.members);
        let time = (processor_time() - time).as_secs_f64() / seconds * 1e3;
        let bytes = as_f64(bytes_sent(&clusters)? - bytes) / seconds;
        say(format_args!("  quiet: {time:.2} ms of a processor and {bytes:.0} B sent a second"));
        let ends = self.members * (self.members - 1);
        self.report("an end of a connection", ends, (&alone.0, alone.1));
        self.report("a member with all connections", self.members, (&before, resident));
        for cluster in clusters {
            cluster.close(Duration::from_secs(1));
        }
        Ok(())
    }

    fn start(&self, name: String, identity: Identity, driver: &Driver) -> Result<Cluster, Failed> {
        let member = Cluster::builder(name).bind("127.0.0.1:0").identity(identity);
        let member = member.config(Config::lan());
        Ok(if self.own { member.start()? } else { member.driver(driver).start()? })
    }

    /// One connection between every two.
    fn connect_all(&self, clusters: &[Cluster]) -> Result<(), Failed> {
        let others = self.members - 1;
        let connected = |one: &Cluster| one.connections().map_or(0, |held| held.len());
        for (index, cluster) in clusters.iter().enumerate() {
            for other in &clusters[index + 1..] {
                // One that takes too long on a busy machine is tried again.
                until("connected", || cluster.connect(other.name(), PATIENCE).is_ok())?;
            }
        }
        // Of two that dialed each other at once, one goes after the grace of a duplicate.
        until("one connection each", || clusters.iter().all(|one| connected(one) == others))
    }

    /// Prints what has been added since a moment, for each of so many.
    fn report(&self, what: &str, count: usize, since: (&Heap, i64)) -> (Heap, i64) {
        let (now, resident) = (Heap::now(), resident());
        let count = i64::try_from(count).unwrap_or(1).max(1);
        let rust = (now.rust - since.0.rust) / count;
        let all = (now.all - since.0.all) / count;
        let pages = (resident - since.1) / count;
        say(format_args!("  {what}: {rust} B of Rust heap, {all} B of heap, {pages} B resident"));
        if self.blocks {
            for (bytes, size, blocks) in now.largest_since(since.0).into_iter().take(SHOWN) {
                let (bytes, blocks) = (bytes / count, blocks as f64 / count as f64);
                say(format_args!("    {bytes:7} B in {blocks:6.2} blocks of {size}"));
            }
        }
        (now, resident)
    }
}

fn name(index: usize) -> String {
    format!("member-{index:05}")
}

fn identity(authority: &Authority, name: &str) -> Result<Identity, Failed> {
    let issued = authority.issue(name, &[IpAddr::V4(Ipv4Addr::LOCALHOST)], 30 * DAY)?;
    let parts = [authority.certificate_pem(), &issued.certificate_pem, &issued.key_pem];
    let [roots, certificate, key] = parts.map(str::as_bytes);
    Ok(Identity::from_pem(roots, certificate, key)?)
}

/// Bytes of this process that are in memory.
fn resident() -> i64 {
    let pages = statistic("/proc/self/statm", 1);
    pages * 4096
}

/// What this process has used of processors, to a hundredth of a second.
fn processor_time() -> Duration {
    let ticks = statistic("/proc/self/stat", 13) + statistic("/proc/self/stat", 14);
    Duration::from_millis(u64::try_from(ticks).unwrap_or(0) * 10)
}

fn statistic(path: &str, field: usize) -> i64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().nth(field).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn bytes_sent(clusters: &[Cluster]) -> Result<u64, Failed> {
    let mut sum = 0;
    for cluster in clusters {
        sum += cluster.stats()?.transport.bytes_sent;
    }
    Ok(sum)
}

fn as_f64(count: impl TryInto<u32>) -> f64 {
    count.try_into().map_or(f64::NAN, f64::from)
}

fn until(what: &str, mut done: impl FnMut() -> bool) -> Result<(), Failed> {
    let began = now();
    while !done() {
        if began.elapsed() > PATIENCE {
            return Err(format!("never: {what}").into());
        }
        sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "members over real sockets need real time")]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

#[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
fn say(line: std::fmt::Arguments<'_>) {
    println!("{line}");
}

//! Real members of which each is watched by few: connections stay few, and nobody is overlooked.

use std::error::Error;
use std::time::Duration;

use swim_quic::{Authority, Cluster, Config, Driver, Event};

/// With three observers, more than twelve are many.
const OBSERVERS: usize = 3;
const MEMBERS: usize = 24;
const PROBE_INTERVAL: Duration = Duration::from_millis(500);
const SOON: Duration = Duration::from_secs(30);

type Outcome = Result<(), Box<dyn Error>>;

fn member(name: &str, authority: &Authority, driver: &Driver) -> Result<Cluster, Box<dyn Error>> {
    let mut config = Config::lan();
    config.observers = OBSERVERS;
    // Connections that carry nothing for nine intervals are closed.
    config.probe_interval = PROBE_INTERVAL;
    config.probe_timeout = Duration::from_millis(300);
    let loopback = [[127, 0, 0, 1].into()];
    let identity = authority.issue(name, &loopback, Duration::from_secs(3_600))?.identity()?;
    let builder = Cluster::builder(name).bind("127.0.0.1:0").identity(identity);
    Ok(builder.config(config).driver(driver).start()?)
}

fn mean_connections(members: &[Cluster]) -> Result<usize, Box<dyn Error>> {
    let mut all = 0;
    for member in members {
        all += member.connections()?.len();
    }
    Ok(all / members.len())
}

#[test]
fn connections_become_few_and_a_crash_is_known_to_all() -> Outcome {
    let authority = Authority::generate("observers", Duration::from_secs(3_600))?;
    let driver = Driver::start()?;
    let mut members = Vec::new();
    for number in 0..MEMBERS {
        members.push(member(&format!("member-{number:02}"), &authority, &driver)?);
    }
    let seed = members[0].address().to_string();
    for member in &members[1..] {
        member.join([seed.as_str()], SOON)?;
    }
    for member in &members {
        member.wait_for(|view| view.live() == MEMBERS, SOON)?;
    }
    // Within this time each would probe every other one.
    std::thread::park_timeout(PROBE_INTERVAL * 26);
    // Three that are watched, three that watch, two links of each kind, and those that were in use
    // in the last seconds; all would be 23.
    let mut mean = MEMBERS;
    for _ in 0..120 {
        std::thread::park_timeout(Duration::from_millis(500));
        mean = mean_connections(&members)?;
        if mean <= 12 {
            break;
        }
    }
    assert!(mean <= 12, "{mean} connections in the mean");

    let crashed = members.pop().expect("there are many");
    let (name, events) = (crashed.name().clone(), members[0].subscribe());
    drop(crashed);
    for member in &members {
        member.wait_for(|view| view.live() == MEMBERS - 1, SOON)?;
    }
    let is_its =
        |event: &Event| matches!(event, Event::Failed { member, .. } if *member.name() == name);
    assert!(events.iter().any(|event| is_its(&event)));
    Ok(())
}
